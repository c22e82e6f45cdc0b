"""Wherever the power is cut while a child is merged, it reads as before, and the merge goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.crash.merging import CHAINS, merging
from vhdx_kaitai.writing import merge as module
from vhdx_kaitai.writing.merge import Work
from vhdx_kaitai.writing.session import Session


@pytest.mark.parametrize("name", ["two", "larger"])
def test_no_cut_changes_the_child(name: str) -> None:
    assert list(CHAINS[name]().complaints(merging, 60)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAINS)
def test_no_cut_of_any_chain_changes_the_child(name: str) -> None:
    assert list(CHAINS[name]().complaints(merging, 150, seed=2)) == []


# -- what is left out of the order of writes is caught -------------------------------------------


def _in_order(*names: str) -> Callable[[Work], None]:
    """Do the steps in another order, or not all of them."""

    def run(work: Work) -> None:
        for name in names:
            step = getattr(work, name)
            step(*([lambda _done: None] * (name in ("enlarge", "fill"))))

    return run


def _new_linkage_alone(work: Work) -> None:
    """The image above the target names the new DataWriteGuid, and the old one no more."""
    put = work._put_locator

    def mutant(image: Any, texts: dict[str, str], parent: Any = None) -> None:
        if "parent_linkage2" in texts:
            texts = {**texts, "parent_linkage": texts["parent_linkage2"]}
        put(image, texts, parent)

    work._put_locator = mutant  # type: ignore[method-assign]
    merging(work)


def _not_flushed(work: Work) -> None:
    """The target gets its DataWriteGuid before the image above it is on the medium."""
    flush = Session.flush
    file: Any = work._files[-2]

    def mutant(session: Session) -> None:
        if session.file is not file:
            flush(session)
        session._is_current_flushed = True
        session.flushed_size = file.size

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "flush", mutant)
        work.announce()
    _in_order("enlarge", "fill", "relink")(work)


def _another_guid(work: Work) -> None:
    """The target gets another DataWriteGuid than the image above it was told."""
    work.announce()
    work._guid = uuid4()
    _in_order("enlarge", "fill", "relink")(work)


def _guid_of_the_target_stays(work: Work) -> None:
    """The target has its old DataWriteGuid as long as it is written to."""
    begin = Session.begin
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "begin", lambda self, **_: begin(self, for_data=False))
        _in_order("announce", "fill")(work)
    _in_order("enlarge", "fill", "relink")(work)


def _relinked_before_the_data(work: Work) -> None:
    """The child has the target for its only parent before that holds what was between."""
    copy = work.copy

    def mutant(upper: Any, disk: Any, progress: Any) -> None:
        with disk.editing() as editor:
            editor.commit()
        work.relink()
        copy(upper, disk, progress)

    work.copy = mutant  # type: ignore[method-assign]
    _in_order("announce", "enlarge", "fill")(work)


def _no_zeros(work: Work) -> None:
    """What hides the parent is not written."""
    held = module._held
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_held", lambda upper: (e for e in held(upper) if e.kind == "data"))
        merging(work)


def _stale_before_relinked(work: Work) -> None:
    """The image between has lost its parent before the child has another one."""
    put, held = work._put_locator, []

    def mutant(image: Any, texts: dict[str, str], parent: Any = None) -> None:
        held.append((image, texts, parent))

    _in_order("announce", "enlarge", "fill")(work)
    work._put_locator = mutant  # type: ignore[method-assign]
    work.relink()
    for image, texts, parent in reversed(held):
        put(image, texts, parent)


def _items_stay(work: Work) -> None:
    """The target keeps its items."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "put_items_of_another", lambda *_: None)
        merging(work)


MUTANTS: dict[str, tuple[Callable[[Work], None], str, str]] = {
    "the target first": (_in_order("enlarge", "fill", "announce", "relink"), "two", "lost"),
    "the new linkage alone": (_new_linkage_alone, "two", "lost its parent"),
    "relinked at once": (_in_order("announce", "relink", "enlarge", "fill"), "two", "lost"),
    "relinked before the data": (_relinked_before_the_data, "three", "another disk"),
    "not flushed": (_not_flushed, "two", "lost its parent"),
    "another DataWriteGuid": (_another_guid, "two", "lost its parent"),
    "the old DataWriteGuid": (_guid_of_the_target_stays, "two", "under its old DataWriteGuid"),
    "no zeros": (_no_zeros, "three", "another disk"),
    "stale before relinked": (_stale_before_relinked, "three", "lost its parent"),
    "never relinked": (_in_order("announce", "enlarge", "fill"), "two", "has another parent"),
    "items stay": (_items_stay, "two", "another identity"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_what_the_order_of_writes_leaves_out_is_caught(name: str) -> None:
    run, chain, complaint = MUTANTS[name]
    found = list(CHAINS[chain]().complaints(run, 60, often=1 << 30))
    assert any(complaint in one for one in found), found[:3]
