"""A cut of the power leaves the old size or the new one: each rule of order is needed for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import pytest

from tests.crash import sizes
from tests.crash.recorder import Event, Flush, Length, Write, Zero
from tests.crash.replaying import HEADERS
from tests.crash.resizing import CarryOut, Resized
from tests.images.structures import MIB
from vhdx_kaitai.format import encode
from vhdx_kaitai.writing.editor import Editor
from vhdx_kaitai.writing.items import put_item
from vhdx_kaitai.writing.resize import _carry_out, _make_room, _Plan, _surplus

pytestmark = pytest.mark.slow

Mutation = Callable[[Sequence[Event]], list[Event]]


@pytest.mark.parametrize("make", sizes.MAKERS, ids=lambda make: make.__name__.replace("_", "-"))
def test_a_cut_leaves_the_old_size_or_the_new_one(make: Callable[[], Resized]) -> None:
    assert list(make().complaints(100)) == []


# -- mutants --------------------------------------------------------------------------------------


class _Steps(NamedTuple):
    begin: list[Event]  # both headers of the beginning
    ready: list[Event]  # what has no meaning yet, and the flush after it
    switch: list[Event]  # the entry, and the headers that name it
    placed: list[Event]  # pages in their places, what has lost its meaning, and flushes
    end: list[Event]  # headers of the end, and what is done when the log is clean


def _steps(events: Sequence[Event]) -> _Steps:
    """Return the parts of what is done to a file whose log is at its first MiB."""
    headers = [n for n, e in enumerate(events) if isinstance(e, Write) and e.offset in HEADERS]
    assert len(headers) == 6
    entry = next(
        n for n, e in enumerate(events) if isinstance(e, Write) and MIB <= e.offset < 2 * MIB
    )
    bounds = (0, headers[1] + 1, entry, headers[3] + 1, headers[4], len(events))
    return _Steps(*(list(events[a:b]) for a, b in pairwise(bounds)))


def _is_change(event: Event) -> bool:
    return isinstance(event, Write | Zero)


def _ready_after_the_switch(events: Sequence[Event]) -> list[Event]:
    begin, ready, switch, placed, end = _steps(events)
    late = [event for event in ready if _is_change(event)]
    return [*begin, *(e for e in ready if not _is_change(e)), *switch, *late, *placed, *end]


def _ready_without_zeros(events: Sequence[Event]) -> list[Event]:
    begin, ready, switch, placed, end = _steps(events)
    return [*begin, *(e for e in ready if not isinstance(e, Zero)), *switch, *placed, *end]


def _entries_cleared_first(events: Sequence[Event]) -> list[Event]:
    begin, ready, switch, placed, end = _steps(events)
    early = [event for event in placed if isinstance(event, Zero)]
    rest = [event for event in placed if not isinstance(event, Zero)]
    return [*begin, *ready, *early, Flush(), *switch, *rest, *end]


def _former_bat_cleared_first(events: Sequence[Event]) -> list[Event]:
    begin, ready, switch, placed, end = _steps(events)
    early = [event for event in end if isinstance(event, Zero)]
    assert early
    rest = [event for event in end if not isinstance(event, Zero)]
    return [*begin, *ready, *early, Flush(), *switch, *placed, *rest]


def _cut_before_the_log_is_clean(events: Sequence[Event]) -> list[Event]:
    begin, ready, switch, placed, end = _steps(events)
    cut = [event for event in end if isinstance(event, Length)]
    assert cut
    rest = [event for event in end if not isinstance(event, Length)]
    return [*begin, *ready, *switch, *placed, *cut, Flush(), *rest]


def _no_flush_before_the_log_is_clean(events: Sequence[Event]) -> list[Event]:
    begin, ready, switch, placed, end = _steps(events)
    return [*begin, *ready, *switch, *(e for e in placed if not isinstance(e, Flush)), *end]


def _one_table_alone(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not (isinstance(event, Write) and event.offset == 4 << 16)]


def _headers_before_the_entry(events: Sequence[Event]) -> list[Event]:
    begin, ready, switch, placed, end = _steps(events)
    return [*begin, *ready, *switch[2:], Flush(), *switch[:2], *placed, *end]


MUTANTS: dict[str, tuple[Callable[[], Resized], Mutation, str]] = {
    "the last block becomes zeros after the switch": (
        sizes.larger,
        _ready_after_the_switch,
        "another disk",
    ),
    "the last block keeps what is past its end": (
        sizes.larger,
        _ready_without_zeros,
        "another disk",
    ),
    "the place that a block keeps goes on with bytes of a child": (
        sizes.larger_child_with_a_partial_end,
        _ready_after_the_switch,
        "another disk",
    ),
    "entries of former times stay": (
        sizes.larger_by_many_pages,
        _ready_without_zeros,
        "another disk",
    ),
    "entries of former times are cleared after the switch": (
        sizes.larger_by_many_pages,
        _ready_after_the_switch,
        "another disk",
    ),
    "the new BAT is written after the switch": (
        sizes.larger_with_a_new_bat,
        _ready_after_the_switch,
        "another disk",
    ),
    "the former BAT is cleared before the switch": (
        sizes.larger_with_a_new_bat,
        _former_bat_cleared_first,
        "another disk",
    ),
    "one region table alone names the new BAT": (
        sizes.larger_with_a_new_bat,
        _one_table_alone,
        "REG-05",
    ),
    "entries are cleared before the size": (
        sizes.smaller_by_many_pages,
        _entries_cleared_first,
        "another disk",
    ),
    "bits are cleared before the size": (
        sizes.smaller_child_of_several_chunks,
        _entries_cleared_first,
        "another disk",
    ),
    "the file is cut before the log is clean": (
        sizes.smaller,
        _cut_before_the_log_is_clean,
        "refused",
    ),
    "the log is clean before all is in place": (
        sizes.larger_with_a_new_bat,
        _no_flush_before_the_log_is_clean,
        "",
    ),
    "the headers name the log before it has an entry": (
        sizes.larger,
        _headers_before_the_entry,
        "refused",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_machine_catches(name: str) -> None:
    make, mutation, complaint = MUTANTS[name]
    resized = make()
    events = resized.events()
    wrong = list(resized.complaints(300, mutation(events)))
    assert wrong
    assert any(complaint in one for one in wrong), wrong[:3]


# -- mutants of the plan --------------------------------------------------------------------------


def _size_first(editor: Editor, plan: _Plan) -> None:
    """Let the size have an entry of its own, before what it needs."""
    surplus = _surplus(editor, plan.size)
    put_item(editor, "virtual_disk_size", encode.virtual_disk_size(plan.size))
    editor.commit()
    _make_room(editor, plan, surplus, lambda _done: None)


def _as_if_without_parent(editor: Editor, plan: _Plan) -> None:
    _carry_out(editor, plan._replace(parent_size=0), progress=lambda _done: None)


@pytest.mark.parametrize(
    ("make", "carry_out", "complaint"),
    [
        (sizes.larger_with_a_new_bat, _size_first, "refused"),
        (sizes.larger, _size_first, "refused"),
        (sizes.larger_child_of_a_larger_parent, _as_if_without_parent, "another disk"),
        (sizes.larger_child_with_a_new_bat, _as_if_without_parent, "another disk"),
    ],
)
def test_the_machine_catches_another_plan(
    make: Callable[[], Resized], carry_out: CarryOut, complaint: str
) -> None:
    resized = make()
    wrong = list(resized.complaints(100, resized.events(carry_out)))
    assert any(complaint in one for one in wrong), wrong[:3]
