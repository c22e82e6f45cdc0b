"""The catalogue of rules: what the format demands, what findings carry, and the page made of it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import vhdx_kaitai
from tests.images.damage import DAMAGES
from tests.support import ROOT, RULES
from vhdx_kaitai.rules import GROUPS, catalogue, section_of

ID = re.compile(r"[A-Z]{3,5}-[0-9]{2}")
PACKAGE = Path(vhdx_kaitai.__file__).parent

# These speak of findings, all others make them.
SPEAKERS = {"showing", "commands", "errors", "rules"}


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All of a syntax tree but comparisons, which only ask for the id of a finding."""
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, ast.Compare):
            yield child
            yield from nodes(child)


def ids_in(path: Path) -> set[str]:
    """Ids that stand in a module as literals."""
    constants = (
        node.value
        for node in nodes(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in constants if ID.fullmatch(text)}


def ids_of_findings() -> set[str]:
    """Ids that a finding can carry."""
    rooms = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    paths = (PACKAGE / f"{room}.py" for room in rooms if room.parts[0] not in SPEAKERS)
    return set().union(*map(ids_in, paths))


def with_status(status: str) -> list[str]:
    return [rule.id for rule in catalogue().values() if rule.status == status]


def same_place(text: str) -> str:
    """Return a text with one word for what comes after something."""
    return re.sub(r"\b(behind|past)\b", "after", text)


# Of which more was learned about others than stood there, with what.
KNOWN_BETTER = {"REG-18": "VirtualBox"}


def test_what_is_known_better_is_said() -> None:
    for rule_id, name in KNOWN_BETTER.items():
        assert name in catalogue()[rule_id].others
        assert "nobody" not in catalogue()[rule_id].others


@pytest.mark.skipif(not RULES.is_file(), reason="the rules are not at ../shared/spec")
def test_the_catalogue_says_what_the_format_demands() -> None:
    demanded = yaml.safe_load(RULES.read_text(encoding="utf-8"))["rules"]
    assert [rule.id for rule in catalogue().values()] == [entry["id"] for entry in demanded]
    for entry in demanded:
        rule = catalogue()[entry["id"]]
        assert rule.section == str(entry["section"]), rule.id
        assert rule.requirement == entry["level"], rule.id
        assert rule.applies_to == entry["applies_to"], rule.id
        assert same_place(rule.rule) == same_place(entry["rule"]), rule.id
        if rule.id not in KNOWN_BETTER:
            assert same_place(rule.others) == same_place(entry["peers"]), rule.id


def test_there_are_242_rules_each_in_a_group() -> None:
    assert len(catalogue()) == 242
    assert list(dict.fromkeys(rule.group for rule in catalogue().values())) == list(GROUPS)
    assert all(ID.fullmatch(rule_id) for rule_id in catalogue())


def test_every_rule_has_its_section() -> None:
    assert section_of("HDR-03") == "2.2.2"
    for rule in catalogue().values():
        assert re.fullmatch(r"[1-9](\.[1-9][0-9]?)*", rule.section), rule.id
        assert section_of(rule.id) == rule.section


def test_every_rule_says_in_one_sentence_why_it_matters() -> None:
    for rule in catalogue().values():
        assert re.fullmatch(r"[A-Z].{20,138}[^.]\.", rule.why), rule.id
        assert ". " not in rule.why, rule.id


def test_every_id_in_the_code_is_in_the_catalogue() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert ids_in(path) <= set(catalogue()), path.name


def test_a_rule_that_a_finding_can_carry_is_checked() -> None:
    assert ids_of_findings() - set(with_status("checked")) == set()


def test_a_rule_that_is_checked_can_be_carried_by_a_finding() -> None:
    assert set(with_status("checked")) - ids_of_findings() == set()


def test_a_rule_is_covered_by_rules_that_are_checked() -> None:
    checked = set(with_status("checked"))
    for rule in catalogue().values():
        assert bool(rule.by) == (rule.status == "covered"), rule.id
        assert set(rule.by) <= checked, rule.id


def test_what_is_not_checked_has_a_reason() -> None:
    for rule in catalogue().values():
        assert bool(rule.reason) == (rule.status != "checked"), rule.id
        assert re.fullmatch(r"([A-Z].*\.)?", rule.reason), rule.id


def test_a_rule_that_is_kept_names_the_test_that_shows_it() -> None:
    for rule in catalogue().values():
        assert rule.test or rule.status != "kept", rule.id
        if rule.test:
            assert rule.applies_to != "reader"
            path, _, name = rule.test.partition("::")
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_an_image_can_break_is_checked_or_covered(name: str) -> None:
    for rule_id in DAMAGES[name].rules:
        assert catalogue()[rule_id].status in ("checked", "covered"), rule_id


def test_errors_come_without_the_catalogue_until_somebody_asks() -> None:
    code = "import sys, vhdx_kaitai.errors; sys.exit('json' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
