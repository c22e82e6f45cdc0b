"""Repairs that are made to a file in memory, to see what a cut of the power leaves."""

from __future__ import annotations

from tests.crash.recorder import Recorder
from tests.images.image import Built
from vhdx_kaitai import RepairOutcome
from vhdx_kaitai.writing.mending import Leave
from vhdx_kaitai.writing.rehearsal import Rehearsal
from vhdx_kaitai.writing.repair import _plan

EVERYTHING = Leave(fill_cut=True, forget_lost=True, discard_log=True)


def rehearsed(built: Built) -> tuple[Rehearsal, RepairOutcome]:
    """Try all repairs, and return what is to be done to the file, and what they are."""
    rehearsal = Rehearsal(Recorder(built.to_bytes()))
    return rehearsal, _plan(rehearsal, None, EVERYTHING)


def tried(built: Built) -> tuple[Recorder, RepairOutcome]:
    """Return a file to which all repairs were done, and what they were."""
    file = Recorder(built.to_bytes())
    rehearsal, outcome = rehearsed(built)
    for step in rehearsal.steps:
        step.do(file)
    return file, outcome
