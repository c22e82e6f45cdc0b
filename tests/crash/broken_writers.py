"""Writers that break a rule of the order of writes, or of what space is, each to be caught.

A mutant has the name of what it does, and the rule that it breaks as `docs/writing.md` has it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest.mock import PropertyMock, patch
from uuid import UUID, uuid4

from tests.images.structures import MIB, NOT_PRESENT, PARTIALLY_PRESENT, UNDEFINED, UNMAPPED, ZERO
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.guids import NIL
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing import blocks, disk, editor, journal
from vhdx_kaitai.writing.blocks import Blocks
from vhdx_kaitai.writing.editor import Editor
from vhdx_kaitai.writing.journal import Journal
from vhdx_kaitai.writing.session import Session
from vhdx_kaitai.writing.space import Room, Space

from .breaking import Patch, around, callers, instead, together, without_flush
from .disks import DISKS
from .recorder import Event
from .replaying import HEADERS
from .working import Subject, WrongError, complaints

# -- headers --------------------------------------------------------------------------------------


def _no_flush_before_the_first_header() -> Patch:
    def update(old: Callable[..., None], session: Session, **changes: Any) -> None:
        session._is_current_flushed = True
        old(session, **changes)

    return around(Session, "_update_headers", update)


def _no_flush_between(name: str) -> Callable[[], Patch]:
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


def _current_header_overwritten() -> Patch:
    def write(old: Callable[..., None], session: Session, data: bytes, offset: int) -> None:
        old(session, data, sum(HEADERS) - offset if offset in HEADERS else offset)

    return around(Session, "write", write)


def _one_header_alone() -> Patch:
    def update(_: Any, session: Session, **changes: Any) -> None:
        session.flush()
        session._update_header(changes)

    return around(Session, "_update_headers", update)


def _file_write_guid_stays() -> Patch:
    def update(old: Callable[..., None], session: Session, **changes: Any) -> None:
        changes.pop("file_write_guid", None)
        old(session, **changes)

    return around(Session, "_update_headers", update)


def _data_write_guid_stays() -> Patch:
    return around(Session, "begin", lambda old, session, **_: old(session))


def _data_write_guid_comes_last() -> Patch:
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


def _log_guid_is_used_again() -> Patch:
    return instead(journal, "uuid4", lambda: UUID(int=99))


# -- replay ---------------------------------------------------------------------------------------


def _no_replay() -> Patch:
    """Let the log be clean without having put anything in its place."""
    return instead(disk, "replay_in", lambda session, _: session.end())


def _file_measured_before_the_replay() -> Patch:
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


def _header_before_the_first_entry() -> Patch:
    def append(old: Callable[..., None], log: Journal, *arguments: Any) -> None:
        if not log.has_begun:
            log._session.begin_log(log._guid)
            log.has_begun = True
        old(log, *arguments)

    return around(Journal, "_append", append)


def _no_flush_before_the_header() -> Patch:
    return without_flush("_flush", "_settle", when=lambda log: not log.has_begun)


def _pages_before_the_headers_name_the_log() -> Patch:
    def begin_log(old: Callable[..., None], session: Session, guid: UUID) -> None:
        late.append((session, guid, old))

    def settle(old: Callable[..., None], log: Journal) -> None:
        old(log)
        while late:
            session, guid, begin = late.pop()
            begin(session, guid)

    late: list[tuple[Session, UUID, Callable[..., None]]] = []
    return together(around(Session, "begin_log", begin_log), around(Journal, "_settle", settle))


def _pages_before_their_entries_are_flushed() -> Patch:
    def settle(old: Callable[..., None], log: Journal) -> None:
        for page in log._waiting:
            log._session.write(page.data, page.offset)
        old(log)

    return around(Journal, "_settle", settle)


def _pages_are_certain_at_once() -> Patch:
    def settle(old: Callable[..., None], log: Journal) -> None:
        old(log)
        log._certain = log._placed

    return around(Journal, "_settle", settle)


def _tail_from_memory() -> Patch:
    """Take ring space for free as soon as memory knows that pages are in place for certain."""

    def make_room(_: Any, log: Journal, _size: int) -> None:
        log._settle()
        log._flush()
        log._entries.clear()

    return around(Journal, "_make_room", make_room)


def _full_ring_is_an_empty_one() -> Patch:
    free = PropertyMock(return_value=1 << 40)
    return instead(Journal, "_free", free)


def _room_without_flush(number: int) -> Callable[[], Patch]:
    """Leave out one of the two flushes by which room is made in the ring."""

    def is_that(log: Journal) -> bool:
        is_second = log._entries[-1].length == journal.SECTOR
        return is_second == (number == 1)

    return lambda: without_flush("_flush", "_make_room", when=is_that)


def _each_entry_is_a_sequence() -> Patch:
    """Name as the tail of each entry the entry itself, those flushed together, too."""

    def append(old: Callable[..., None], log: Journal, *arguments: Any) -> None:
        certain, log._certain = log._certain, log._number
        old(log, *arguments)
        log._certain = certain

    return together(around(Journal, "_append", append), _one_page_an_entry())


def _one_page_an_entry() -> Patch:
    return instead(journal, "MOST_PAGES", 1)


def _pages_in_order(key: Callable[[Any, int], Any]) -> Callable[[], Patch]:
    """Write pages into the log in another order, one an entry."""

    def in_order(_: Any, this: Editor) -> list[int]:
        region = this.image.regions.bat
        return sorted(this._source.pages, key=lambda at: key(region, at))

    return lambda: together(around(Editor, "_in_order", in_order), _one_page_an_entry())


def _is_in(region: Any, at: int) -> bool:
    return bool(region.file_offset <= at < region.file_offset + region.length)


def _last_file_offset_never_grows() -> Patch:
    def append(old: Callable[..., None], log: Journal, pages: Any, _: int) -> None:
        old(log, pages, log._session.flushed_size // MIB * MIB)

    return around(Journal, "_append", append)


def _flushed_file_offset_too_large() -> Patch:
    def append(old: Callable[..., None], log: Journal, *arguments: Any) -> None:
        log._session.flushed_size = log._session.file.size
        old(log, *arguments)

    return around(Journal, "_append", append)


# -- payload --------------------------------------------------------------------------------------


class _Never:
    """A barrier that is not asked for, by some functions or by all."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __get__(self, this: Any, _: type) -> bool:
        return bool(this.__dict__.get("needs_barrier", False))

    def __set__(self, this: Any, value: bool) -> None:
        name = sys._getframe(1).f_code.co_name
        this.__dict__["needs_barrier"] = value and name not in self.names


def _no_barrier(*names: str) -> Callable[[], Patch]:
    return lambda: patch.object(Editor, "needs_barrier", _Never(*names), create=True)


def _barrier_after_the_entry() -> Patch:
    def commit(old: Callable[..., None], this: Editor) -> None:
        is_needed, this.needs_barrier = this.needs_barrier, False
        old(this)
        if is_needed:
            this.session.flush()

    return around(Editor, "commit", commit)


def _flush_of_payload_alone_is_none() -> Patch:
    def without(this: Editor) -> bool:
        return not (this.needs_barrier or this._source.pages)

    return without_flush("commit", when=without)


def _former_bits_stay() -> Patch:
    def set_bits(old: Callable[..., None], this: Editor, *where: int, is_set: bool) -> None:
        if is_set:
            old(this, *where, is_set=is_set)

    return around(Editor, "set_bits", set_bits)


def _partial_over(*states: int) -> Callable[[], Patch]:
    """Take blocks that hide their parent for blocks that show it."""

    def is_parents(old: Callable[..., bool], this: Blocks, block: int, state: int) -> bool:
        return old(this, block, NOT_PRESENT if state in states else state)

    return lambda: around(Blocks, "_is_parents", is_parents)


def _discard_shows_the_parent() -> Patch:
    def drop(old: Callable[..., None], this: Blocks, *where: int, **kept: Any) -> None:
        first, end, state, *rest = where
        old(this, first, end, NOT_PRESENT if state == UNMAPPED else state, *rest, **kept)

    return around(Blocks, "_drop", drop)


def _never_fully_present() -> Patch:
    """Leave a block partially present that has all of its sectors."""

    def set_entry(old: Callable[..., None], this: Editor, block: int, *rest: Any) -> None:
        if this.entry(block) & 7 != PARTIALLY_PRESENT:
            old(this, block, *rest)

    return around(Editor, "set_entry", set_entry)


# -- space ----------------------------------------------------------------------------------------


def _old_space_is_zeros() -> Patch:
    return around(Space, "take", lambda old, *arguments: old(*arguments)._replace(is_new=True))


def _kept_place_is_zeros() -> Patch:
    return instead(blocks, "Room", lambda offset, **_: Room(offset, is_new=True))


def _no_zeros(*names: str) -> Callable[[], Patch]:
    """Leave old space as it is, where some functions ask for zeros."""

    def attempt(old: Callable[..., Any], session: Session, work: Any, *arguments: Any) -> Any:
        if callers()[0] in names and getattr(work, "__name__", "") == "zero":
            return None
        return old(session, work, *arguments)

    return lambda: around(Session, "attempt", attempt)


def _failed_room_is_new() -> Patch:
    def put_back(old: Callable[..., None], this: Space, room: Room, length: int) -> None:
        if room.offset + length == this.end:
            this.end -= length
        else:
            old(this, room, length)

    return around(Space, "put_back", put_back)


def _given_space_is_free_at_once() -> Patch:
    def give_back(_: Any, this: Space, offset: int, length: int) -> None:
        this._settled.append((offset, offset + length))

    return around(Space, "give_back", give_back)


def _settled_before_the_entry_is_flushed() -> Patch:
    def commit(old: Callable[..., None], this: Editor) -> None:
        this.space.settle()
        old(this)

    return around(Editor, "commit", commit)


def _unknown_regions_are_free_space() -> Patch:
    """Know no regions but those of BAT and metadata, where blocks are placed and judged."""

    def occupied(old: Callable[..., Iterator[Any]], image: Image) -> Iterator[Any]:
        return (other for other in old(image) if other.rule != "OVL-08")

    return around(Image, "_occupied", occupied)


def _anchors_are_free_space() -> Patch:
    """Take the place that a block keeps for free."""

    def init(old: Callable[..., None], this: Editor, session: Session, image: Any, f: Any) -> None:
        old(this, session, image, f)
        for block in range(this.geometry.payload_blocks):
            entry = this.entry(block)
            if entry & 7 in (UNDEFINED, UNMAPPED) and entry >> 20:
                start = entry >> 20 << 20
                this.space._add(start, start + this.geometry.block_size)

    return around(Editor, "__init__", init)


def _cut_block_is_overlapped() -> Patch:
    return instead(editor, "_end_of_last_block", lambda _: 0)


def _length_is_not_rounded() -> Patch:
    def init(old: Callable[..., None], this: Editor, session: Session, *rest: Any) -> None:
        size = session.file.size
        with instead(editor, "Space", lambda gaps, _: Space(gaps, size)):
            old(this, session, *rest)

    return around(Editor, "__init__", init)


# -- the end --------------------------------------------------------------------------------------


def _surplus_cut_first() -> Patch:
    def end(old: Callable[..., None], this: Editor) -> None:
        this.commit()
        if this.space.used_end < this.session.file.size:
            this.session.set_length(this.space.used_end)
            this.session.flush()
        old(this)

    return around(Editor, "end", end)


def _no_flush_at_the_end() -> Patch:
    """Leave out the flush after the last header."""
    return without_flush("end", when=lambda this: _is_clean(this))


def _no_flush_before_the_log_is_clean(caller: str) -> Callable[[], Patch]:
    return lambda: without_flush(*("end", caller), when=lambda this: not _is_clean(this))


def _is_clean(this: Any) -> bool:
    return isinstance(this, Session) and this.headers.current.log_guid == NIL


# -- all of them ----------------------------------------------------------------------------------


class Mutant(NamedTuple):
    """A writer with a fault.

    Attributes:
        rule: The rule that it breaks.
        make: Breaks the writer for as long as the context lasts.
        complaint: What the machine has to say.
        subject: The image on which it says so.
        seed: Chooses what is asked of the disk.
        cuts: How many it takes.
        count: How many operations; as many as there usually are when it is None.
    """

    rule: str
    make: Callable[[], Patch]
    complaint: str
    subject: str = "dynamic"
    seed: int = 0
    cuts: int = 100
    count: int | None = None

    def complaints(self) -> Iterator[str]:
        """Yield what the machine says of the writer."""
        subject = Subject(DISKS[self.subject]())
        try:
            with self.make():
                events: list[Event] = subject.events(self.seed, self.count)
        except (WrongError, VhdxError) as error:
            yield f"at once: {error}"
            return
        yield from complaints(subject, self.cuts, seed=self.seed, events=events)


MUTANTS = {
    "no flush before the first header": Mutant(
        "current header on the medium", _no_flush_before_the_first_header, "refused"
    ),
    "no flush between the headers of the beginning": Mutant(
        "one header at a time", _no_flush_between("begin"), "refused"
    ),
    "no flush between the headers that name the log": Mutant(
        "one header at a time", _no_flush_between("begin_log"), "refused"
    ),
    "no flush between the headers of the end": Mutant(
        "one header at a time", _no_flush_between("end"), "refused"
    ),
    "the header that is current is overwritten": Mutant(
        "the other header", _current_header_overwritten, "refused"
    ),
    "one header alone is updated": Mutant("both headers", _one_header_alone, "the headers"),
    "the FileWriteGuid stays": Mutant(
        "new GUIDs first", _file_write_guid_stays, "old FileWriteGuid"
    ),
    "the DataWriteGuid stays": Mutant(
        "new GUIDs first", _data_write_guid_stays, "old DataWriteGuid"
    ),
    "the DataWriteGuid is new at the end": Mutant(
        "new GUIDs first", _data_write_guid_comes_last, "old DataWriteGuid"
    ),
    "what the log held is forgotten": Mutant("replay first", _no_replay, "X"),
    "the log is clean before the replay is on the medium": Mutant(
        "replay first", _no_flush_before_the_log_is_clean("replay_in"), "X"
    ),
    "the file is measured before the replay": Mutant(
        "replay first", _file_measured_before_the_replay, "X"
    ),
    "the LogGuid is that of the session before": Mutant(
        "a LogGuid a session", _log_guid_is_used_again, "X"
    ),
    "the header names the log before its first entry": Mutant(
        "entry, then header", _header_before_the_first_entry, "refused"
    ),
    "no flush between the first entry and the header": Mutant(
        "entry, then header", _no_flush_before_the_header, "refused"
    ),
    "pages are in place before the headers name the log": Mutant(
        "header, then pages", _pages_before_the_headers_name_the_log, "X"
    ),
    "pages are in place before their entry is flushed": Mutant(
        "entry, then pages", _pages_before_their_entries_are_flushed, "X"
    ),
    "pages in place are certain at once": Mutant("certain pages", _pages_are_certain_at_once, "X"),
    "the log is clean before its pages are certain": Mutant(
        "certain pages", _no_flush_before_the_log_is_clean("end"), "X"
    ),
    "room is made before pages are certain": Mutant("certain pages", _room_without_flush(0), "X"),
    "room is made before the medium knows": Mutant(
        "the tail on the medium", _room_without_flush(1), "X"
    ),
    "the tail is the one in memory": Mutant("the tail on the medium", _tail_from_memory, "X"),
    "a full ring is taken for an empty one": Mutant(
        "the tail on the medium", _full_ring_is_an_empty_one, "X"
    ),
    "each entry of a flush is a sequence": Mutant(
        "one tail a flush", _each_entry_is_a_sequence, "X"
    ),
    "entries come before bits": Mutant(
        "bits, then entries", _pages_in_order(lambda region, at: (not _is_in(region, at), -at)), "X"
    ),
    "the entry of a sector bitmap comes last": Mutant(
        "bits, then entries", _pages_in_order(lambda region, at: (_is_in(region, at), at)), "X"
    ),
    "LastFileOffset never grows": Mutant("true lengths", _last_file_offset_never_grows, "X"),
    "FlushedFileOffset is the length in memory": Mutant(
        "true lengths", _flushed_file_offset_too_large, "X"
    ),
    "no barrier where the parent was seen": Mutant(
        "barrier of a child", _no_barrier("_store_partial", "_write_partial"), "X"
    ),
    "no barrier for whole blocks of a child": Mutant(
        "barrier of a child", _no_barrier("_store"), "X"
    ),
    "no barrier for old space": Mutant("barrier of old space", _no_barrier("_store"), "X"),
    "the barrier comes after the entry": Mutant(
        "barrier of a child", _barrier_after_the_entry, "X"
    ),
    "a flush of payload alone is none": Mutant(
        "a flush flushes", _flush_of_payload_alone_is_none, "X"
    ),
    "bits from former times stay": Mutant("all bits", _former_bits_stay, "X"),
    "partially present over ZERO": Mutant("what hides the parent", _partial_over(ZERO), "X"),
    "partially present over UNMAPPED": Mutant(
        "what hides the parent", _partial_over(UNMAPPED), "X"
    ),
    "partially present over UNDEFINED": Mutant(
        "what hides the parent", _partial_over(UNDEFINED), "X"
    ),
    "a discard shows the parent": Mutant("what hides the parent", _discard_shows_the_parent, "X"),
    "a block stays partially present": Mutant("none", _never_fully_present, "X"),
    "old space is taken for zeros": Mutant("new space", _old_space_is_zeros, "X"),
    "a kept place is taken for zeros": Mutant("new space", _kept_place_is_zeros, "X"),
    "nothing is zeroed around what is stored": Mutant("new space", _no_zeros("_store"), "X"),
    "a sector bitmap in old space is not zeroed": Mutant(
        "new space", _no_zeros("sector_bitmap"), "X"
    ),
    "room whose write failed is new again": Mutant("new space", _failed_room_is_new, "X"),
    "space is free as soon as it is given back": Mutant(
        "given space", _given_space_is_free_at_once, "X"
    ),
    "space is free before the entry is flushed": Mutant(
        "given space", _settled_before_the_entry_is_flushed, "X"
    ),
    "unknown regions are free space": Mutant("free space", _unknown_regions_are_free_space, "X"),
    "kept places are free space": Mutant("free space", _anchors_are_free_space, "X"),
    "the last block is overlapped where it is cut": Mutant(
        "free space", _cut_block_is_overlapped, "X"
    ),
    "the length is not rounded": Mutant("length in MiB", _length_is_not_rounded, "X"),
    "the surplus is cut before the log is clean": Mutant("end", _surplus_cut_first, "X"),
    "no flush at the end": Mutant("end", _no_flush_at_the_end, "X"),
}
