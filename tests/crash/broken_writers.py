"""Writers that break a rule of the order of writes, or of what space is, each to be caught.

Each function breaks the product for as long as its context lasts; `writer_mutants` says with which
image the machine catches what it makes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import PropertyMock, patch
from uuid import UUID, uuid4

from tests.images.structures import MIB, NOT_PRESENT, PARTIALLY_PRESENT, UNDEFINED, UNMAPPED
from vhdx_kaitai.format.log import SECTOR
from vhdx_kaitai.guids import NIL
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing import blocks, disk, editor, journal
from vhdx_kaitai.writing.blocks import Blocks
from vhdx_kaitai.writing.editor import Editor
from vhdx_kaitai.writing.journal import Journal
from vhdx_kaitai.writing.session import Session
from vhdx_kaitai.writing.space import Room, Space

from .breaking import Patch, around, callers, instead, together, without_flush
from .replaying import HEADERS

# -- headers --------------------------------------------------------------------------------------


def no_flush_before_the_first_header() -> Patch:
    def update(old: Callable[..., None], session: Session, **changes: Any) -> None:
        session._is_current_flushed = True
        old(session, **changes)

    return around(Session, "_update_headers", update)


def no_flush_between(name: str) -> Callable[[], Patch]:
    """Leave out the flush between the two headers that a function of a session writes."""

    def update(old: Callable[..., None], session: Session, **changes: Any) -> None:
        if callers()[0] != name:
            old(session, **changes)
            return
        if not session._is_current_flushed:
            session.flush()
        session._update_header(changes)
        session._update_header(changes)

    return lambda: around(Session, "_update_headers", update)


def current_header_overwritten() -> Patch:
    def write(old: Callable[..., None], session: Session, data: bytes, offset: int) -> None:
        old(session, data, sum(HEADERS) - offset if offset in HEADERS else offset)

    return around(Session, "write", write)


def one_header_alone() -> Patch:
    def update(_: Any, session: Session, **changes: Any) -> None:
        session.flush()
        session._update_header(changes)

    return around(Session, "_update_headers", update)


def file_write_guid_stays() -> Patch:
    def update(old: Callable[..., None], session: Session, **changes: Any) -> None:
        changes.pop("file_write_guid", None)
        old(session, **changes)

    return around(Session, "_update_headers", update)


def data_write_guid_stays() -> Patch:
    return around(Session, "begin", lambda old, session, **_: old(session))


def data_write_guid_comes_last() -> Patch:
    def update(old: Callable[..., None], session: Session, **changes: Any) -> None:
        guid = changes.pop("data_write_guid", None)
        if changes.get("log_guid") == NIL:
            guid = uuid4()
        old(session, **changes, **({"data_write_guid": guid} if "log_guid" in changes else {}))

    def begin_log(_: Any, session: Session, log_guid: UUID) -> None:
        guid = session.headers.current.data_write_guid
        session._update_headers(log_guid=log_guid, data_write_guid=guid)

    return together(
        around(Session, "_update_headers", update), around(Session, "begin_log", begin_log)
    )


def log_guid_is_used_again() -> Patch:
    return instead(journal, "uuid4", lambda: UUID(int=99))


# -- replay ---------------------------------------------------------------------------------------


def no_replay() -> Patch:
    """Let the log be clean without having put anything in its place."""
    return instead(editor, "replay_in", lambda session, _: session.end())


def file_measured_before_the_replay() -> Patch:
    sizes: list[int] = []

    def begun(old: Callable[..., Any], this: Any) -> Any:
        if this._blocks is None:
            sizes.append(-(-this._file.size // MIB) * MIB)
        return old(this)

    return together(
        around(disk.WritableDisk, "_begun", begun),
        around(editor, "Space", lambda old, gaps, _: old(gaps, sizes[-1])),
    )


# -- the log --------------------------------------------------------------------------------------


def header_before_the_first_entry() -> Patch:
    def append(old: Callable[..., None], log: Journal, *arguments: Any) -> None:
        if not log.has_begun:
            log._session.begin_log(log._guid)
            log.has_begun = True
        old(log, *arguments)

    return around(Journal, "_append", append)


def no_flush_before_the_header() -> Patch:
    return without_flush("flush", "_settle", when=lambda log: not log.has_begun)


def pages_before_the_headers_name_the_log() -> Patch:
    def begin_log(old: Callable[..., None], session: Session, guid: UUID) -> None:
        late.append((session, guid, old))

    def settle(old: Callable[..., None], log: Journal) -> None:
        old(log)
        log.place()
        while late:
            session, guid, begin = late.pop()
            begin(session, guid)

    late: list[tuple[Session, UUID, Callable[..., None]]] = []
    return together(around(Session, "begin_log", begin_log), around(Journal, "_settle", settle))


def pages_before_their_entries_are_flushed() -> Patch:
    def settle(old: Callable[..., None], log: Journal) -> None:
        for offset, data in log._waiting.items():
            log._session.write(data, offset)
        old(log)

    return around(Journal, "_settle", settle)


def pages_are_certain_at_once() -> Patch:
    def place(old: Callable[..., None], log: Journal) -> None:
        old(log)
        log._certain = log._placed

    return around(Journal, "place", place)


def waiting_pages_are_taken_for_placed() -> Patch:
    """Let the log have room again for what only the log has."""

    def settle(old: Callable[..., None], log: Journal) -> None:
        old(log)
        log._placed = log._number

    return around(Journal, "_settle", settle)


def waiting_pages_are_forgotten_at_the_end() -> Patch:
    def end(old: Callable[..., None], this: Editor) -> None:
        with patch.object(this._journal, "place", lambda: None):
            old(this)

    return around(Editor, "end", end)


def tail_from_memory() -> Patch:
    """Take ring space for free as soon as memory knows that pages are in place for certain."""

    def make_room(_: Any, log: Journal, _size: int) -> None:
        log._settle()
        log.place()
        log.flush()
        log._entries.clear()
        log._used = 0

    return around(Journal, "_make_room", make_room)


def full_ring_is_an_empty_one() -> Patch:
    free = PropertyMock(return_value=1 << 40)
    return instead(Journal, "_free", free)


def room_without_flush(number: int) -> Callable[[], Patch]:
    """Leave out one of the two flushes by which room is made in the ring."""

    def is_that(log: Journal) -> bool:
        is_second = log._entries[-1].length == SECTOR
        return is_second == (number == 1)

    return lambda: without_flush("flush", "_make_room", when=is_that)


def each_entry_is_a_sequence() -> Patch:
    """Name as the tail of each entry the entry itself, those flushed together, too."""

    def append(old: Callable[..., None], log: Journal, *arguments: Any) -> None:
        certain, log._certain = log._certain, log._number
        old(log, *arguments)
        log._certain = certain

    return together(around(Journal, "_append", append), _one_page_an_entry())


def _one_page_an_entry() -> Patch:
    return instead(journal, "MOST_PAGES", 1)


def pages_in_order(key: Callable[[Any, int], Any]) -> Callable[[], Patch]:
    """Write pages into the log in another order, one an entry."""

    def in_order(_: Any, this: Editor) -> list[int]:
        region = this.image.regions.bat
        return sorted(this._changed, key=lambda at: key(region, at))

    return lambda: together(around(Editor, "_in_order", in_order), _one_page_an_entry())


def entries_before_bits(region: Any, at: int) -> Any:
    return not _is_in(region, at), -at


def bitmap_entries_last(region: Any, at: int) -> Any:
    return _is_in(region, at), at


def _is_in(region: Any, at: int) -> bool:
    return bool(region.file_offset <= at < region.file_offset + region.length)


def last_file_offset_never_grows() -> Patch:
    def append(old: Callable[..., None], log: Journal, pages: Any, _: int) -> None:
        old(log, pages, log._session.flushed_size // MIB * MIB)

    return around(Journal, "_append", append)


def flushed_too_large() -> Patch:
    def append(old: Callable[..., None], log: Journal, *arguments: Any) -> None:
        log._session.flushed_size = log._session.file.size
        old(log, *arguments)

    return around(Journal, "_append", append)


# -- payload --------------------------------------------------------------------------------------


class _Never:
    """A barrier for which some functions do not ask, or not where their space is new."""

    def __init__(self, names: tuple[str, ...], *, only_new: bool) -> None:
        self._names = names
        self._only_new = only_new

    def __get__(self, this: Any, _: type) -> bool:
        return bool(this.__dict__.get("needs_barrier", False))

    def __set__(self, this: Any, value: bool) -> None:
        frame = sys._getframe(1)
        is_forgotten = value and frame.f_code.co_name in self._names
        if is_forgotten and self._only_new:
            is_forgotten = frame.f_locals["room"].is_new
        if not is_forgotten:
            this.__dict__["needs_barrier"] = value


def no_barrier(*names: str, only_new: bool = False) -> Callable[[], Patch]:
    never = _Never(names, only_new=only_new)
    return lambda: patch.object(Editor, "needs_barrier", never, create=True)


def barrier_after_the_entry() -> Patch:
    def commit(old: Callable[..., None], this: Editor, **how: bool) -> None:
        is_needed, this.needs_barrier = this.needs_barrier, False
        old(this, **how)
        if is_needed:
            this.session.flush()

    return around(Editor, "commit", commit)


def flush_of_payload_alone_is_none() -> Patch:
    def commit(old: Callable[..., None], this: Editor, **how: bool) -> None:
        if this.needs_barrier or this.changed_pages:
            old(this, **how)

    return around(Editor, "commit", commit)


def former_bits_stay() -> Patch:
    def set_bits(old: Callable[..., int], this: Editor, *where: int, is_set: bool) -> int:
        return old(this, *where, is_set=is_set) if is_set else 0

    return around(Editor, "set_bits", set_bits)


def partial_over(*states: int) -> Callable[[], Patch]:
    """Take blocks that hide their parent for blocks that show it."""

    def is_parents(old: Callable[..., bool], this: Blocks, block: int, state: int) -> bool:
        return old(this, block, NOT_PRESENT if state in states else state)

    return lambda: around(Blocks, "_is_parents", is_parents)


def discard_shows_the_parent() -> Patch:
    def drop(old: Callable[..., None], this: Blocks, *where: int, **kept: Any) -> None:
        first, end, state, *rest = where
        old(this, first, end, NOT_PRESENT if state == UNMAPPED else state, *rest, **kept)

    return around(Blocks, "_drop", drop)


def never_fully_present() -> Patch:
    """Leave a block partially present that has all of its sectors."""

    def set_entry(old: Callable[..., None], this: Editor, block: int, *rest: Any) -> None:
        if this.entry(block) & 7 != PARTIALLY_PRESENT:
            old(this, block, *rest)

    return around(Editor, "set_entry", set_entry)


# -- space ----------------------------------------------------------------------------------------


def old_space_is_zeros() -> Patch:
    def take(old: Callable[..., Room], *arguments: object, **options: object) -> Room:
        return old(*arguments, **options)._replace(is_new=True)

    return around(Space, "take", take)


def kept_place_is_zeros() -> Patch:
    return instead(blocks, "Room", lambda offset, **_: Room(offset, is_new=True))


def no_zeros(*names: str) -> Callable[[], Patch]:
    """Leave old space as it is, where some functions ask for zeros."""

    def attempt(old: Callable[..., Any], session: Session, work: Any, *arguments: Any) -> Any:
        if callers()[0] in names and getattr(work, "__name__", "") == "zero":
            return None
        return old(session, work, *arguments)

    return lambda: around(Session, "attempt", attempt)


def failed_room_is_new() -> Patch:
    def put_back(old: Callable[..., None], this: Space, room: Room, length: int) -> None:
        if room.offset + length == this.end:
            this.end -= length
        else:
            old(this, room, length)

    return around(Space, "put_back", put_back)


def given_space_is_free_at_once() -> Patch:
    def give_back(_: Any, this: Space, offset: int, length: int) -> None:
        this._settled.append(([(offset, offset + length)], frozenset()))

    return around(Space, "give_back", give_back)


def settled_before_the_entry_is_flushed() -> Patch:
    def commit(old: Callable[..., None], this: Editor, **how: bool) -> None:
        this.space.settle()
        old(this, **how)

    return around(Editor, "commit", commit)


def unknown_regions_are_free_space() -> Patch:
    """Know no regions but those of BAT and metadata, where blocks are placed and judged."""

    def occupied(old: Callable[..., Iterator[Any]], image: Image) -> Iterator[Any]:
        return (other for other in old(image) if other.rule != "OVL-08")

    return around(Image, "_occupied", occupied)


def anchors_are_free_space() -> Patch:
    """Take the place that a block keeps for free."""

    def init(old: Callable[..., None], this: Editor, session: Session, image: Any, f: Any) -> None:
        old(this, session, image, f)
        for block in range(this.geometry.payload_blocks):
            entry = this.entry(block)
            if entry & 7 in (UNDEFINED, UNMAPPED) and entry >> 20:
                start = entry >> 20 << 20
                this.space._add(start, start + this.geometry.block_size)

    return around(Editor, "__init__", init)


def cut_block_is_overlapped() -> Patch:
    return instead(editor, "_end_of_last_block", lambda _: 0)


def length_is_not_rounded() -> Patch:
    def init(old: Callable[..., None], this: Editor, session: Session, *rest: Any) -> None:
        size = session.file.size
        with instead(editor, "Space", lambda gaps, _: Space(gaps, size)):
            old(this, session, *rest)

    return around(Editor, "__init__", init)


# -- the end --------------------------------------------------------------------------------------


def surplus_cut_first() -> Patch:
    def end(old: Callable[..., None], this: Editor) -> None:
        this.commit()
        if this.space.used_end < this.session.file.size:
            this.session.set_length(this.space.used_end)
            this.session.flush()
        old(this)

    return around(Editor, "end", end)


def no_flush_at_the_end() -> Patch:
    """Leave out the flush after the last header."""
    return without_flush("end", when=lambda this: _is_clean(this))


def no_flush_before_the_log_is_clean(caller: str) -> Callable[[], Patch]:
    return lambda: without_flush(*("end", caller), when=lambda this: not _is_clean(this))


def _is_clean(this: Any) -> bool:
    return isinstance(this, Session) and this.headers.current.log_guid == NIL
