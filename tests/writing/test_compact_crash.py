"""Wherever the power is cut while an image is compacted, the disk reads as before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.crash.compacting import IMAGES, OWN, complaints, events_of, is_smaller
from tests.crash.working import Subject
from vhdx_kaitai.writing import compact
from vhdx_kaitai.writing.editor import Editor
from vhdx_kaitai.writing.packing import Move
from vhdx_kaitai.writing.session import Session

FEW = ["zeros first", "shuffled", "child of all states", "child whose bitmaps go"]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of a few blocks, so that there are many."""
    monkeypatch.setattr(compact, "_MOST_COPIED", 2 << 20)
    monkeypatch.setattr(compact, "_MOST_PAGES", 3)


@pytest.mark.parametrize("name", FEW)
def test_no_cut_changes_the_disk(name: str) -> None:
    subject = Subject(OWN[name]())
    assert list(complaints(subject, events_of(subject), 120)) == []


@pytest.mark.slow
@pytest.mark.parametrize("punch", [False, True])
@pytest.mark.parametrize("name", IMAGES)
def test_no_cut_of_any_image_changes_the_disk(name: str, punch: bool) -> None:
    written = IMAGES[name]()
    if not is_smaller(written):
        pytest.skip("nothing of it can be left out")
    subject = Subject(written)
    assert list(complaints(subject, events_of(subject, punch=punch), 150, seed=1)) == []


# -- what is left out of the order of writes is caught -------------------------------------------


def _entries_before_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries are flushed together with what they lead to."""
    commit = Editor.commit

    def mutant(self: Editor) -> None:
        self.needs_barrier = False
        commit(self)

    monkeypatch.setattr(Editor, "commit", mutant)


def _copies_before_space_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given up is overwritten while entries on the medium lead there still."""
    steps, commit = compact._Work.steps, Editor.commit

    def mutant(self: Any, **options: bool) -> Iterator[int]:
        held = True

        def hold(editor: Editor) -> None:
            if not held:
                commit(editor)

        monkeypatch.setattr(Editor, "commit", hold)
        for done in steps(self, **options):
            held = False
            yield done

    monkeypatch.setattr(compact._Work, "steps", mutant)


def _cut_before_the_log_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is cut while the log says that it has to be longer."""

    def mutant(self: Editor) -> None:
        self.commit()
        self.session.set_length(self.space.used_end)
        self.session.flush()
        self.session.end()

    monkeypatch.setattr(Editor, "end", mutant)


def _bitmaps_before_their_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sector bitmaps go while partially present blocks need them still."""
    steps = compact._Work.steps

    def mutant(self: Any, **options: bool) -> Iterator[int]:
        for chunk in self._plan.needless.bitmaps:
            self._editor.put_sector_bitmap(chunk, 0)
        self._editor.commit()
        yield from steps(self, **options)

    monkeypatch.setattr(compact._Work, "steps", mutant)


def _holes_keep_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only half of a block is copied."""
    copy = compact._Work._copy

    def mutant(self: Any, move: Move) -> None:
        length = move.piece.length // 2
        copy(self, move._replace(piece=move.piece._replace(length=length)))

    monkeypatch.setattr(compact._Work, "_copy", mutant)


def _another_data_write_guid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sees the DataWriteGuid takes the disk for another one."""
    begin = Session.begin
    monkeypatch.setattr(Session, "begin", lambda self, **_: begin(self, for_data=bool(uuid4())))


MUTANTS = {
    "entries before copies": (_entries_before_copies, "shuffled", "never there"),
    "copies before the space is free": (
        *(_copies_before_space_is_free, "zeros first", "never there"),
    ),
    "cut before the log is clean": (_cut_before_the_log_is_clean, "shuffled", "refused"),
    "bitmaps before their blocks": (
        *(_bitmaps_before_their_blocks, "child whose bitmaps go", "refused"),
    ),
    "half a copy": (_holes_keep_what_was_there, "shuffled", "never there"),
    "another DataWriteGuid": (_another_data_write_guid, "shuffled", "children"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_what_the_order_of_writes_leaves_out_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate, image, complaint = MUTANTS[name]
    subject = Subject(OWN[image]())
    with monkeypatch.context() as patch:
        mutate(patch)
        events = events_of(subject)
    found = list(complaints(subject, events, 250))
    assert any(complaint in one for one in found)
