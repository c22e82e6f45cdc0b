"""Each rule about the order of writes has writers that break it, and the machine catches them."""

from __future__ import annotations

import re

import pytest

from tests.crash.disks import DISKS
from tests.crash.working import Subject, complaints
from tests.crash.writer_mutants import HARMLESS, MUTANTS
from tests.test_layers import ROOT

_ROW = re.compile(r"^\| \*\*(.+?)\*\*", re.MULTILINE)


SLOW = {
    "a full ring is taken for an empty one",
    "entries come before bits",
    "pages in place are certain at once",
    "room is made before the medium knows",
    "the tail is the one in memory",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in MUTANTS]
)
def test_a_writer_that_breaks_a_rule_is_caught(name: str) -> None:
    mutant = MUTANTS[name]
    found = mutant.complaints()
    assert any(mutant.complaint in complaint for complaint in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_the_same_writer_is_not_when_it_keeps_the_rule(name: str) -> None:
    trial = MUTANTS[name].trial
    subject = Subject(DISKS[trial.subject]())
    events = subject.events(trial.seed, trial.operations)
    assert list(complaints(subject, trial.cuts, seed=trial.seed, events=events)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_rule_may_be_left_out(name: str) -> None:
    assert list(HARMLESS[name].complaints()) == []


def test_slow_writers_are_among_them() -> None:
    assert MUTANTS.keys() >= SLOW


def test_every_rule_has_a_writer_that_breaks_it() -> None:
    text = (ROOT / "docs/writing.md").read_text(encoding="utf-8")
    rules = _ROW.findall(text)
    assert len(rules) > 20
    assert len(set(rules)) == len(rules)
    assert {mutant.rule for mutant in MUTANTS.values()} == set(rules)
