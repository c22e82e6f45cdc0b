"""`vhdx-kaitai check`: what it prints, in which form, and with which exit status it ends."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files, Outcome, Run
from tests.images.bases import base_differencing
from tests.images.chain import CHAIN_DAMAGES, chain
from tests.images.examples import OWN_LIMITS
from tests.images.goods import GOODS
from tests.images.image import Block, Image, Layout, dynamic
from tests.images.structures import MIB
from tests.support import assert_valid, damaged, good
from vhdx_kaitai.rules import catalogue

DONE, FAILED, CORRUPT, WARNINGS, NOT_VHDX, USAGE = 0, 1, 2, 3, 63, 64

# One image for each exit status; the first name is that of a good one.
IMAGES = {
    DONE: "dynamic-plain",
    CORRUPT: "bat-state-4",
    WARNINGS: "header-1-checksum-wrong",
}
VERDICTS = {DONE: "clean", CORRUPT: "corrupt", WARNINGS: "warnings", NOT_VHDX: "not-vhdx"}


def path_of(status: int, files: Files) -> Path:
    """Return the path of an image whose check ends with a status."""
    if status == FAILED:
        return files.folder / "nobody-wrote-this.vhdx"
    if status == NOT_VHDX:
        path = files.folder / "another-kind.vhdx"
        path.write_bytes(b"conectix" + bytes(2 * MIB))
        return path
    name = IMAGES[status]
    return files.good(name) if name in GOODS else files.damaged(name)


def documents(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the documents of a run, one a line."""
    return [json.loads(line) for line in outcome.out.splitlines()]


def many_bad_blocks() -> Layout:
    layout = dynamic(128 * MIB).layout()
    for block in range(100):
        layout.set_entry(block, 4)
    return layout


# -- exit statuses --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("status", [DONE, CORRUPT, WARNINGS, NOT_VHDX, FAILED])
def test_the_verdict_decides_the_exit_status(
    status: int, form: list[str], files: Files, run: Run
) -> None:
    outcome = run("check", *form, path_of(status, files))
    assert outcome.status == status
    assert bool(outcome.err) == (status == FAILED)


WORST_FIRST = (FAILED, CORRUPT, NOT_VHDX, WARNINGS, DONE)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_worst_of_several_files_decides(count: int, files: Files, run: Run) -> None:
    for statuses in itertools.combinations(WORST_FIRST, count):
        for order in (statuses, tuple(reversed(statuses))):
            paths = [path_of(status, files) for status in order]
            assert run("check", *paths).status == statuses[0], order


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_being_checked(
    files: Files, run: Run
) -> None:
    outcome = run("check", path_of(FAILED, files), path_of(CORRUPT, files))
    assert "corrupt" in outcome.out
    assert outcome.err.count("\n") == 2  # with the summary
    assert "nobody-wrote-this.vhdx: No such file" in outcome.err


def test_no_file_is_a_wrong_command_line(run: Run) -> None:
    outcome = run("check")
    assert (outcome.status, outcome.out) == (USAGE, "")
    assert "FILE" in outcome.err


@pytest.mark.parametrize("status", [DONE, CORRUPT, WARNINGS, NOT_VHDX, FAILED])
def test_a_process_ends_with_the_status(status: int, files: Files) -> None:
    argv = [sys.executable, "-m", "vhdx_kaitai", "check", str(path_of(status, files))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


# -- text -----------------------------------------------------------------------------------------


def test_the_verdict_comes_first(files: Files, run: Run) -> None:
    for status, words in (
        (DONE, "clean"),
        (WARNINGS, "usable, with warnings (1 warning)"),
        (CORRUPT, "corrupt (1 error)"),
        (NOT_VHDX, "not a VHDX file (1 error)"),
    ):
        path = path_of(status, files)
        assert run("check", path).out.splitlines()[0] == f"{path}: {words}"


def everything_at_once() -> Layout:
    """Two errors, three warnings and two notes."""
    layout = dynamic(8 * MIB, blocks={0: Block()}).layout()
    layout.headers[0].checksum = 1
    layout.region_tables[1].checksum = 1
    layout.metadata.reserved = 1
    layout.headers[1].reserved = b"\x01"
    layout.identifier.reserved = b"\x01"
    layout.set_entry(6, 4)
    layout.set_entry(7, 5)
    return layout


def test_findings_are_grouped_by_level_the_worst_first(tmp_path: Path, run: Run) -> None:
    path = everything_at_once().build().write(tmp_path / "image.vhdx")
    lines = run("check", path).out.splitlines()
    assert lines[0] == f"{path}: corrupt (2 errors, 3 warnings, 2 notes)"
    titles = [line for line in lines[1:] if not line.startswith(" ")]
    assert titles == ["Errors", "Warnings", "Notes"]
    groups = [list(group) for _, group in itertools.groupby(lines[1:], lambda s: s[0] == " ")]
    diagnosis, _, errors, _, warnings, _, notes = groups
    assert len(diagnosis) == 3
    assert rules_in(errors) == ["BAT-03", "BAT-03"]
    assert rules_in(warnings) == ["HDR-03", "REG-03", "MET-02"]
    assert rules_in(notes) == ["FTI-05", "HDR-16"]


def rule_of(line: str) -> str:
    """Return the id at the end of a line about a finding."""
    return line.rpartition("[")[2].partition(",")[0]


def rules_in(lines: list[str]) -> list[str]:
    """Return the ids in lines about findings; what explains them is further to the right."""
    return [rule_of(line) for line in lines if not line.startswith("    ")]


def test_a_finding_is_one_line_that_says_everything(files: Files, run: Run) -> None:
    lines = run("check", files.damaged("block-size-3-mib")).out.splitlines()
    (line,) = (line for line in lines if rule_of(line) == "ITEM-06")
    assert line == (
        "  File Parameters at 0x310000: BlockSize 0x300000, expected a power of two "
        "[ITEM-06, MS-VHDX 2.6.2.1]"
    )


def test_what_was_left_out_is_counted(tmp_path: Path, run: Run) -> None:
    path = many_bad_blocks().build().write(tmp_path / "image.vhdx")
    lines = run("check", path).out.splitlines()
    assert sum(rule_of(line) == "BAT-03" for line in lines) == 20
    assert lines[-2] == "  ... and 80 more [BAT-03], see --all-findings"


def test_what_was_not_checked_is_told_with_the_reason(files: Files, run: Run) -> None:
    lines = run("check", files.damaged("version-2")).out.splitlines()
    at = lines.index("Not checked")
    assert lines[at + 1].startswith("  log, regions, metadata, BAT: ")


def test_the_diagnosis_stands_below_the_verdict(files: Files, run: Run) -> None:
    lines = run("check", files.good("dirty-bat")).out.splitlines()
    assert lines[0].endswith(": clean once its dirty log is replayed (1 note)")
    assert lines[1].startswith("  The log is dirty: ")


def test_several_files_stand_one_below_the_other(files: Files, run: Run) -> None:
    paths = [path_of(status, files) for status in (WARNINGS, DONE, CORRUPT)]
    lines = run("check", *paths).out.splitlines()
    assert [line.partition(": ")[0] for line in lines if line.startswith("/")] == [*map(str, paths)]


def test_titles_are_bold_when_colour_is_wanted(files: Files, run: Run) -> None:
    path = path_of(CORRUPT, files)
    colored = run("check", "--color", "always", path).out
    assert "\x1b[1mErrors\x1b[m" in colored
    assert "\x1b" not in run("check", path).out


def test_text_of_the_image_and_the_path_does_nothing_to_a_terminal(
    tmp_path: Path, run: Run
) -> None:
    locator = base_differencing().resolved_locator()
    assert locator is not None
    locator.set("relative_path", "C:\\\x1b[31m\u202e\x07.vhdx")
    locator.set("volume_path", "\x1b]0;title\x07")
    image = base_differencing().but(locator=locator)
    path = image.build().write(tmp_path / "a\x1b[2J\u202eb.vhdx")
    for options in ([], ["--chain"]):
        outcome = run("check", *options, path)
        assert (outcome.out + outcome.err).replace("\n", "").isprintable()
        assert {"LOC-18", "LOC-19"} <= {rule_of(line) for line in outcome.out.splitlines()}


# -- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [DONE, CORRUPT, WARNINGS, NOT_VHDX])
def test_the_document_says_what_the_text_says(status: int, files: Files, run: Run) -> None:
    path = path_of(status, files)
    outcome = run("check", "--json", path)
    (document,) = documents(outcome)
    assert_valid(document, "check")
    assert document["path"] == str(path)
    assert document["verdict"] == VERDICTS[status]
    text = run("check", path).out
    for finding in document["findings"]:
        assert f"{finding['where']}: {finding['message']} [{finding['rule']}" in text
        assert finding["section"] in text


def test_a_document_has_numbers_for_places_and_values_for_both_sides(
    files: Files, run: Run
) -> None:
    (document,) = documents(run("check", "--json", files.damaged("block-size-3-mib")))
    (finding,) = (f for f in document["findings"] if f["rule"] == "ITEM-06")
    assert finding == {
        "rule": "ITEM-06",
        "level": "error",
        "section": "2.6.2.1",
        "where": "File Parameters at 0x310000",
        "offset": 0x310000,
        "length": 4,
        "message": "BlockSize 0x300000, expected a power of two",
        "expected": "a power of two",
        "actual": "0x300000",
    }
    assert [skipped["what"] for skipped in document["skipped"]] == [
        "the whole BAT, overlaps of blocks"
    ]


def test_several_files_are_a_line_each(files: Files, run: Run) -> None:
    statuses = (CORRUPT, DONE, NOT_VHDX, WARNINGS)
    outcome = run("check", "--json", *(path_of(status, files) for status in statuses))
    found = documents(outcome)
    assert [document["verdict"] for document in found] == [VERDICTS[s] for s in statuses]
    for document in found:
        assert_valid(document, "check")


def test_a_file_that_cannot_be_read_is_a_line_too(files: Files, run: Run) -> None:
    outcome = run("check", "--json", path_of(DONE, files), path_of(FAILED, files))
    assert outcome.status == FAILED
    checked, failed = documents(outcome)
    assert_valid(checked, "check")
    assert_valid(failed, "error")
    assert failed["path"] == str(path_of(FAILED, files))


def test_what_was_left_out_is_in_the_document(tmp_path: Path, run: Run) -> None:
    path = many_bad_blocks().build().write(tmp_path / "image.vhdx")
    (document,) = documents(run("check", "--json", path))
    assert document["more"] == {"BAT-03": 80}
    assert len(document["findings"]) == 20


# -- options --------------------------------------------------------------------------------------


def test_an_ignored_rule_does_not_count(files: Files, run: Run) -> None:
    path = path_of(WARNINGS, files)
    outcome = run("check", "--ignore", "HDR-03", path)
    assert outcome.status == DONE
    assert outcome.out.startswith(f"{path}: clean\n")
    assert "HDR-03" not in outcome.out
    assert run("check", "--ignore", "HDR-02", path).status == WARNINGS


def test_several_rules_may_be_ignored(tmp_path: Path, run: Run) -> None:
    path = everything_at_once().build().write(tmp_path / "image.vhdx")
    options = [word for rule in ("BAT-03", "HDR-03", "REG-03") for word in ("--ignore", rule)]
    outcome = run("check", *options, path)
    assert outcome.status == WARNINGS
    assert {rule_of(line) for line in outcome.out.splitlines() if "[" in line} == {
        "MET-02",
        "FTI-05",
        "HDR-16",
    }


def test_the_case_of_an_ignored_rule_does_not_matter(files: Files, run: Run) -> None:
    assert run("check", "--ignore", "hdr-03", path_of(WARNINGS, files)).status == DONE


def test_a_rule_that_is_none_cannot_be_ignored(files: Files, run: Run) -> None:
    outcome = run("check", "--ignore", "HDR-99", path_of(WARNINGS, files))
    assert (outcome.status, outcome.out) == (USAGE, "")
    assert "no rule HDR-99" in outcome.err


def test_the_text_says_why_it_matters_once_for_each_rule(tmp_path: Path, run: Run) -> None:
    path = many_bad_blocks().build().write(tmp_path / "image.vhdx")
    lines = run("check", path).out.splitlines()
    assert lines.count(f"    {catalogue()['BAT-03'].why}") == 1


def test_notes_need_no_reason(files: Files, run: Run) -> None:
    path = files.damaged("bat-zero-with-an-offset")
    assert catalogue()["BAT-11"].why not in run("check", path).out


def test_a_skeleton_may_lack_its_payload(tmp_path: Path, run: Run) -> None:
    layout = dynamic(8 * MIB, blocks={0: Block()}).layout()
    layout.file_length = layout.bat_offset + MIB
    path = layout.build().write(tmp_path / "skeleton.vhdx")
    assert run("check", path).status == CORRUPT
    outcome = run("check", "--skeleton", path)
    assert (outcome.status, outcome.err) == (DONE, "")


def damage_headers(_depth: int, image: Image) -> Layout:
    layout = image.layout()
    layout.headers[0].checksum = 1
    return layout


def test_a_chain_is_checked_when_it_is_asked_for(tmp_path: Path, run: Run) -> None:
    made = chain(3, change=damage_headers).write(tmp_path)
    assert run("check", made.path).out.count(": usable, with warnings") == 1
    outcome = run("check", "--chain", made.path)
    assert outcome.status == WARNINGS
    for path in made.paths:
        assert f"{path}: usable, with warnings" in outcome.out
    found = documents(run("check", "--chain", "--json", made.path))
    assert [document["path"] for document in found] == [*map(str, reversed(made.paths))]
    for document in found:
        assert_valid(document, "check")
        assert "HDR-03" in {finding["rule"] for finding in document["findings"]}


def test_the_worst_of_a_chain_decides(tmp_path: Path, run: Run) -> None:
    def change(depth: int, image: Image) -> Layout:
        layout = image.layout()
        if depth == 0:
            layout.set_entry(1, 5)
        return layout

    path = chain(2, change=change).write(tmp_path).path
    assert run("check", path).status == DONE
    assert run("check", "--chain", path).status == CORRUPT
    assert run("check", "--chain", "--no-parent", path).status == DONE


def test_a_parent_that_is_missing_is_found_out_with_the_chain(tmp_path: Path, run: Run) -> None:
    path = CHAIN_DAMAGES["parent-missing"].build().write(tmp_path).path
    outcome = run("check", "--chain", path)
    assert outcome.status == FAILED
    assert outcome.out.splitlines()[0].startswith(f"{path}: cannot be used (1 error")
    assert "[CHAIN-10, " in outcome.out
    assert "Not checked\n  the parents: " in outcome.out


def test_a_parent_that_is_mistyped_is_told_and_no_fault_of_the_image(
    tmp_path: Path, run: Run
) -> None:
    made = chain(2).write(tmp_path)
    outcome = run("check", "--chain", "--parent", tmp_path / "mistyped", made.path)
    assert (outcome.status, outcome.out) == (FAILED, "")
    assert f"{tmp_path / 'mistyped'}: No such file or directory" in outcome.err
    assert "Errno" not in outcome.err


def test_a_limit_of_our_own_is_no_corruption(tmp_path: Path, run: Run) -> None:
    path = OWN_LIMITS["log-of-3-gib"]().build().write(tmp_path / "long.vhdx")
    outcome = run("check", path)
    assert outcome.status == FAILED
    assert "corrupt" not in outcome.out
    assert run("info", path).status == FAILED


def test_an_option_about_parents_lets_them_be_checked(tmp_path: Path, run: Run) -> None:
    made = chain(2)
    (tmp_path / "above").mkdir()
    parent = made.images[0].write(tmp_path / "above" / "base.vhdx")
    child = made.images[1].write(tmp_path / "child1.vhdx")
    assert run("check", child).out.count(": clean") == 1
    for option in (("--parent", parent), ("--search", parent.parent)):
        assert run("check", *option, child).out.count(": clean") == 2
    assert run("check", "--parent", tmp_path / "none", child).status not in (DONE, WARNINGS)
    assert run("check", "--follow-absolute", child).status not in (DONE, WARNINGS)


def test_a_parent_may_be_named_or_searched_for(tmp_path: Path, run: Run) -> None:
    made = chain(2)
    (tmp_path / "above").mkdir()
    parent = made.images[0].write(tmp_path / "above" / "base.vhdx")
    child = made.images[1].write(tmp_path / "child1.vhdx")
    assert run("check", "--chain", child).status == FAILED
    assert run("check", "--chain", "--parent", parent, child).status == DONE
    assert run("check", "--chain", "--search", parent.parent, child).status == DONE


# -- the catalogue --------------------------------------------------------------------------------


def test_all_rules_are_listed_with_their_status(run: Run) -> None:
    outcome = run("check", "--rules")
    assert (outcome.status, outcome.err) == (DONE, "")
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines] == list(catalogue())
    for line, rule in zip(lines, catalogue().values(), strict=True):
        assert line.split()[1:3] == [rule.requirement, rule.section]
        assert rule.status in line
        assert rule.by or rule.reason in line
        assert all(other in line for other in rule.by)


@pytest.mark.parametrize("rule", catalogue())
def test_every_rule_can_be_explained(rule: str, run: Run) -> None:
    outcome = run("check", "--explain", rule)
    assert (outcome.status, outcome.err) == (DONE, "")
    known = catalogue()[rule]
    first, *rest = outcome.out.splitlines()
    assert first.startswith(f"{rule} [MS-VHDX {known.section}], {known.requirement}")
    assert all(len(line) <= 100 for line in rest)
    text = "".join("".join(rest).split())
    for part in (known.rule, known.why, known.others, known.status, known.reason):
        assert "".join(part.split()) in text


def test_a_rule_may_be_named_in_lower_case(run: Run) -> None:
    assert run("check", "--explain", "hdr-03") == run("check", "--explain", "HDR-03")


def test_the_catalogue_is_a_document_too(run: Run) -> None:
    outcome = run("check", "--rules", "--json")
    assert (outcome.status, outcome.err) == (DONE, "")
    document = json.loads(outcome.out)
    assert_valid(document, "rules")
    assert [rule["id"] for rule in document["rules"]] == list(catalogue())
    one = json.loads(run("check", "--json", "--explain", "hdr-03").out)
    assert_valid(one, "rules")
    assert one["rules"] == [rule for rule in document["rules"] if rule["id"] == "HDR-03"]


def test_sarif_on_standard_output_stands_alone(
    files: Files, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = path_of(CORRUPT, files)
    run("check", "--sarif", "out.sarif", path)
    outcome = run("check", "--sarif", "-", path)
    assert (outcome.status, outcome.err) == (CORRUPT, "")
    assert json.loads(outcome.out) == json.loads((tmp_path / "out.sarif").read_text())
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.sarif"]


@pytest.mark.parametrize("rule", ["HDR-99", "", "HDR", "checksum"])
def test_a_rule_that_does_not_exist_is_a_wrong_command_line(rule: str, run: Run) -> None:
    outcome = run("check", "--explain", rule)
    assert (outcome.status, outcome.out) == (USAGE, "")
    assert outcome.err


def test_only_one_form_can_be_asked_for(files: Files, run: Run) -> None:
    path = path_of(DONE, files)
    assert run("check", "--json", "--sarif", "-", path).status == USAGE
    assert run("check", "--rules", "--explain", "HDR-03").status == USAGE


# -- nothing is changed ---------------------------------------------------------------------------


def states(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Yield name, time of change and hash of every file in a folder."""
    for path in sorted(folder.iterdir()):
        data = path.read_bytes() if path.is_file() else b""
        yield path.name, path.stat().st_mtime_ns, hashlib.sha256(data).hexdigest()


def test_a_check_changes_no_byte_and_leaves_nothing(tmp_path: Path, run: Run) -> None:
    made = chain(2, change=damage_headers).write(tmp_path)
    good("dirty-bat").write(tmp_path / "dirty.vhdx")
    damaged("bat-state-4").write(tmp_path / "damaged.vhdx")
    damaged("log-checksum-wrong").write(tmp_path / "log.vhdx")
    before = list(states(tmp_path))
    paths = [tmp_path / name for name in ("dirty.vhdx", "damaged.vhdx", "log.vhdx")]
    for options in ([], ["--json"], ["--chain"], ["--skeleton"]):
        run("check", *options, made.path, *paths)
    assert list(states(tmp_path)) == before


def test_an_image_that_may_not_be_written_can_be_checked(tmp_path: Path, run: Run) -> None:
    path = good("dirty-bat").write(tmp_path / "image.vhdx")
    path.chmod(0o400)
    assert run("check", path).status == DONE


def test_a_reader_that_goes_away_ends_a_check_quietly(files: Files) -> None:
    path = path_of(CORRUPT, files)
    argv = [sys.executable, "-m", "vhdx_kaitai", "check", *[str(path)] * 3000]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
