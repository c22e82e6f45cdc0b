"""Wherever the power is cut during a replay, the file reads as it did before and as it does after.

`make crash CUTS=100000` makes more cuts than these.
"""

from __future__ import annotations

import pytest

from tests.crash.mutants import MUTANTS
from tests.crash.replaying import SUBJECTS, Subject, complaints
from tests.support import good

FEW = ["dirty-everything", "log-extends-the-file", "dirty-payload, one header lost"]


@pytest.mark.parametrize("name", FEW)
def test_no_cut_loses_anything(name: str) -> None:
    subject = SUBJECTS[name]()
    assert list(complaints(subject, subject.events, 150)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
def test_no_cut_of_any_image_loses_anything(name: str) -> None:
    subject = SUBJECTS[name]()
    assert list(complaints(subject, subject.events, 100, seed=1)) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_what_the_order_of_writes_leaves_out_is_caught(name: str) -> None:
    mutant = MUTANTS[name]
    built = good("log-last-offset-extends-the-file" if "length" in name else "dirty-everything")
    subject = Subject(built, is_other_lost="current" in name)
    found = complaints(subject, mutant.mutation(subject.events), 250)
    assert any(mutant.complaint in complaint for complaint in found)
