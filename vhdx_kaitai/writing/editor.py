"""One image that is being changed: its BAT, its sector bitmaps, and the space of its file.

What is changed of the metadata is kept in pages, and readers of the image see them at
once. A commit takes them through the log into the file.

Two rules of order belong to the caller, who knows what a sector reads as: payload is
written before the entry or the bits that lead to it, and `needs_barrier` is set when it
would read otherwise than before if it were lost while those are not.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Container, Iterator

from ..checking.blocks import check_payload_entries, check_sector_bitmap_entries
from ..checking.classes import OCCUPYING_STATES, Survey
from ..checking.overlaps import check_overlaps
from ..checking.shift import check_shift
from ..checking.survey import survey
from ..errors import Finding, Span, refusal, refuse
from ..format import bat
from ..format.bat import (
    ENTRY_LENGTH,
    OFFSET_MASK,
    PRESENT,
    STATE_MASK,
    Bat,
)
from ..reading.image import Image
from ..storage.overlay import PAGE, Edited
from ..units import MIB, ceil_div
from .journal import MOST_PAGES, Journal, Page, refuse_without_log
from .replay import replay_in
from .session import Session, refuse_without_room
from .space import Room, Space

_ENTRY = struct.Struct("<Q")
_ENTRIES = PAGE // ENTRY_LENGTH  # in a page; a region begins with one
_BITS = PAGE * 8  # of a sector bitmap in a page
_MOST_KEPT = 1024  # pages that stay in memory, be they in their places or in the log alone

# What is harmless to readers, but not to who puts a block where there seems to be room: the
# place that a block keeps is past the end, or also that of another one; entries are moved.
_REFUSED_WARNINGS = ("BAT-12", "BAT-15", "OVL-09")


def survey_to_write(image: Image) -> Survey:
    """Look at the whole BAT of an image that is to be changed.

    Raises:
        FormatError: Something is wrong with it. What is harmless to readers may be, too.
    """
    found = survey(image, 1)
    entries = (several.finding for several in check_payload_entries(image, found, 1))
    for findings in (
        check_shift(image),
        entries,
        check_sector_bitmap_entries(image, found),
        check_overlaps(image, found),
    ):
        refuse(map(_for_writers, findings))
    if found.uncompared:
        message = f"a great many blocks overlap, and {found.uncompared} more were not compared"
        raise refusal(Finding("OVL-06", "error", Span("BAT"), message))
    return found


def survey_to_begin(image: Image) -> Survey:
    """Look at all that a session needs of an image that is to be changed.

    Raises:
        FormatError: Something is wrong with its BAT, or it has no room for newer headers.
        UnsupportedError: It has no log.
        LimitError: Its log is too long to be replayed.
    """
    header = image.headers.current
    refuse_without_log(header, image.stored.size)
    refuse_without_room(header)
    return survey_to_write(image)


def _for_writers(finding: Finding) -> Finding:
    is_refused = finding.level == "warning" and finding.rule in _REFUSED_WARNINGS
    return finding._replace(level="error") if is_refused else finding


class ChangingBat(Bat):
    """The BAT of a file that is being changed: no entry of it is kept."""

    def entry(self, index: int) -> int:
        """Return an entry of the BAT as a number of 64 bits."""
        offset = self.region.file_offset + index * ENTRY_LENGTH
        return int.from_bytes(self.source.read(offset, ENTRY_LENGTH), "little")

    def entry_in_large_page(self, index: int, _pages: dict[int, array[int]]) -> int:
        """Return an entry, and keep no page."""
        return self.entry(index)


class Editor:
    """The changes to one image.

    Args:
        session: The session of its file, which has begun; the log is clean.
        image: The image as it was when it was opened.
        found: The look at its BAT.

    Attributes:
        session: The session.
        image: The image as it is now, changes included.
        space: The free space of its file.
        needs_barrier: Whether what was written of payload has to be on the medium before
            the metadata that leads to it.
        used_end: File offset after all that is used, in bytes, when more than what was appended
            is to be cut off at the end; else None.
        given_up: Places of former metadata, offset and length in bytes, which become zeros when
            the log is clean.
    """

    def __init__(self, session: Session, image: Image, found: Survey) -> None:
        self.session = session
        self.needs_barrier = False
        self.used_end: int | None = None
        self.given_up: list[tuple[int, int]] = []
        file = session.file
        end = max(ceil_div(file.size, MIB) * MIB, _end_of_last_block(image))
        if end > file.size:  # what is appended has to begin at a MiB, and after the last block
            session.set_length(end)
        self._source = Edited(file)
        self.image = Image(self._source)
        self.geometry = self.image.geometry
        self.image.bat = ChangingBat(self._source, self.image.regions.bat, self.geometry)
        # Some gaps will do, or none: then all that is needed is appended.
        gaps = found.gaps.first if found.gaps is not None else ()
        self.space = Space(((start * MIB, stop * MIB) for start, stop in gaps), end)
        self._journal = Journal(session)
        self._changed: set[int] = set()  # pages that no entry of the log has as they are

    @property
    def changed_pages(self) -> int:
        """How many pages of metadata are changed and not in the file yet."""
        return len(self._changed)

    def entry(self, block: int) -> int:
        """Return the BAT entry of a payload block."""
        return self.image.bat.entry(self.geometry.payload_index(block))

    def set_entry(self, block: int, state: int, offset: int = 0) -> None:
        """Give a payload block another state and place.

        Args:
            block: Which.
            state: The state.
            offset: File offset of the block in bytes; 0 when it is not stored.

        Raises:
            FormatError: A reader would refuse it; nothing was changed.
        """
        index, geometry = self.geometry.payload_index(block), self.geometry
        place = bat.entry_span(self.image.regions.bat, index, f"BAT entry of block {block}")
        entry, needed, size = offset | state, geometry.block_size, self._source.size
        is_child = geometry.is_differencing
        refuse(bat.check_payload_entry(entry, place, needed, size, is_differencing=is_child))
        if offset:
            refuse(bat.check_place(offset, needed, self.image.occupied, place))
        self._put_entry(index, entry)

    def drop_blocks(self, first: int, end: int, state: int, kept: Container[int]) -> bool:
        """Let blocks be in a state without a place, and take back the space that they have.

        Args:
            first: The first block. All of them have entries in one page of the BAT.
            end: The block after the last.
            state: The state.
            kept: Entries that stay as they are.

        Returns:
            Whether anything has changed.
        """
        geometry, start = self.geometry, self.geometry.payload_index(first)
        numbers = self.image.bat.numbers(start, end - first)
        dropped = [at for at, entry in enumerate(numbers) if entry != state and entry not in kept]
        for at in dropped:
            self._put_entry(start + at, state)
        for at in dropped:
            entry = numbers[at]
            if entry & OFFSET_MASK and entry & STATE_MASK in OCCUPYING_STATES:
                self.space.give_back(entry & OFFSET_MASK, geometry.block_size)
        return bool(dropped)

    def put_sector_bitmap(self, chunk: int, offset: int) -> None:
        """Give a sector bitmap another place, at which its copy is, or none.

        Args:
            chunk: Whose.
            offset: File offset in bytes; 0 when no block of the chunk needs it any more, on the
                medium either.

        Raises:
            FormatError: A reader would refuse it; nothing was changed.
        """
        index = self.geometry.sector_bitmap_index(chunk)
        place = bat.entry_span(self.image.regions.bat, index, f"BAT entry of sector bitmap {chunk}")
        entry, size = offset | PRESENT if offset else 0, self._source.size
        needed = {"is_differencing": True, "is_needed": offset > 0}
        refuse(bat.check_sector_bitmap_entry(entry, place, size, **needed))
        if offset:
            refuse(bat.check_place(offset, MIB, self.image.occupied, place))
        former = self.image.bat.entry(index)
        self._put_entry(index, entry)
        if former & STATE_MASK == PRESENT:
            self.space.give_back(former & OFFSET_MASK, MIB)

    def runs(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield blocks as runs, each with entries that follow each other in a page of the BAT."""
        while first < end:
            index = self.geometry.payload_index(first)
            ratio = self.geometry.chunk_ratio
            count = min(end - first, _ENTRIES - index % _ENTRIES, ratio - first % ratio)
            yield first, first + count
            first += count

    def new_room(self, length: int, *, is_new: bool = False) -> Room:
        """Return space in the file, which is made longer for that.

        Args:
            length: Bytes.
            is_new: Whether only new space will do.

        Raises:
            OSError: The file cannot be made longer.
        """
        room = self.space.take(length, is_new=is_new)
        file = self.session.file
        try:
            if self.space.end > file.size:
                self.session.attempt(file.set_length, self.space.end)
                self._source.size = file.size
        except OSError:
            self.space.put_back(room, length)
            raise
        return room

    def sector_bitmap(self, chunk: int) -> int:
        """Return the file offset of a chunk's sector bitmap, which is made if there is none."""
        index = self.geometry.sector_bitmap_index(chunk)
        entry = self.image.bat.entry(index)
        if entry & STATE_MASK == PRESENT:
            return entry & OFFSET_MASK
        place = bat.entry_span(self.image.regions.bat, index, f"BAT entry of sector bitmap {chunk}")
        room = self.new_room(MIB)
        if not room.is_new:
            self.needs_barrier = True
            try:
                self.session.attempt(self.session.file.zero, room.offset, MIB)
            except OSError:
                self.space.put_back(room, MIB)
                raise
        entry, size = room.offset | PRESENT, self._source.size
        needed = {"is_differencing": True, "is_needed": True}
        refuse(bat.check_sector_bitmap_entry(entry, place, size, **needed))
        refuse(bat.check_place(room.offset, MIB, self.image.occupied, place))
        self._put_entry(index, entry)
        return room.offset

    def bits(self, offset: int, first: int, end: int) -> int:
        """Return bits of a sector bitmap as a number, the first one being the least significant.

        Args:
            offset: File offset of the first byte of the sector bitmap.
            first: The first bit.
            end: The bit after the last.
        """
        data = self._source.read(offset + first // 8, ceil_div(end, 8) - first // 8)
        return int.from_bytes(data, "little") >> first % 8 & (1 << end - first) - 1

    def set_bits(self, offset: int, first: int, end: int, *, is_set: bool) -> int:
        """Set or clear bits, and return how many of them were not so.

        Args:
            offset: File offset of the first byte of the sector bitmap.
            first: The first bit.
            end: The bit after the last.
            is_set: What they are to be.

        Raises:
            OSError: There is no space for a page of the bitmap. Some bits may be changed.
        """
        changed = 0
        while first < end:
            at = first % _BITS
            stop = min(_BITS, at + end - first)
            low, high = at >> 3, stop + 7 >> 3
            place = offset + (first - at >> 3)
            page = self._source.pages.get(place)
            if page is None:
                bits = int.from_bytes(self._source.read(place + low, high - low), "little")
            else:
                bits = int.from_bytes(page[low:high], "little")
            first += stop - at
            if not (bits or is_set):
                continue
            mask = (1 << stop - at) - 1 << at % 8
            new = mask & ~bits if is_set else mask & bits
            if new:
                self._page(place)[low:high] = (bits ^ new).to_bytes(high - low, "little")
                changed += new.bit_count()
        return changed

    def write(self, offset: int, data: bytes) -> None:
        """Change metadata that has no method of its own.

        Args:
            offset: File offset in bytes.
            data: What is to be there.
        """
        for at in range(offset - offset % PAGE, offset + len(data), PAGE):
            start, end = max(at, offset), min(at + PAGE, offset + len(data))
            self._page(at)[start - at : end - at] = data[start - offset : end - offset]

    def judge(self) -> Image:
        """Return the image as a reader finds it with its changes, before they are in the file.

        They have to be few enough to get there together.

        Returns:
            The image as that reader has it.

        Raises:
            FormatError: A reader refuses it.
        """
        assert self.changed_pages <= MOST_PAGES
        return Image(self._source)

    def forget(self) -> None:
        """Let nothing be changed that is not committed. All that is has to be in its place."""
        self._source.pages.clear()
        self._changed.clear()

    def commit(self, *, in_place: bool = True) -> None:
        """Return when all that was changed is on the medium, one way or the other.

        Args:
            in_place: Whether the metadata has to be in its place then, and is kept no longer. It
                may wait in the log as long as it is read through this image, and no place of
                metadata is used for anything else.

        Raises:
            OSError: The medium fails; the session has ended.
            FailedError: The session had ended before.
        """
        pages = [Page(at, bytes(self._source.pages[at])) for at in self._in_order()]
        if self.needs_barrier or not pages:
            self._journal.flush()
        if pages:
            self._journal.write(pages, self.space.end)
        self.needs_barrier = False
        self.space.settle()
        self._changed.clear()
        are_many = len(self._source.pages) > _MOST_KEPT
        if in_place or are_many or self._journal.is_half_full:
            self._journal.place()
        if in_place or are_many:
            self._source.pages.clear()

    def end(self) -> None:
        """Commit, let the log be clean, and then cut off what is not used.

        That is what was appended, and what `Space.lower_end` was told of.
        """
        self.commit()
        if self._journal.has_begun:
            self.session.end()
        for offset, length in self.given_up:
            self.session.zero(offset, length)
        end = self.space.used_end if self.used_end is None else self.used_end
        if end < self.session.file.size:
            self.session.set_length(end)
        elif not self.given_up:
            return
        self.session.flush()

    def _in_order(self) -> list[int]:
        """Return where changed pages are, such that each beginning of them makes sense.

        Bits come before the entries of the blocks that they are about. The entry of a sector
        bitmap is the last of its chunk, and comes before those that need it.
        """
        pages, region = sorted(self._changed), self.image.regions.bat
        first = bisect_left(pages, region.file_offset)
        end = bisect_left(pages, region.file_offset + region.length)
        return [*pages[end:], *pages[:first], *reversed(pages[first:end])]

    def _put_entry(self, index: int, entry: int) -> None:
        offset = self.image.regions.bat.file_offset + index * ENTRY_LENGTH
        _ENTRY.pack_into(self._page(offset - offset % PAGE), offset % PAGE, entry)

    def _page(self, offset: int) -> bytearray:
        """Return a page to be changed. It has room in the file, so it can be put into its place.

        Raises:
            OSError: There is no space for it; nothing was changed.
        """
        page = self._source.pages.get(offset)
        if page is None:
            file = self.session.file
            if file.data_start(offset, offset + PAGE) > offset:
                self.session.attempt(file.allocate, offset, PAGE)
            page = self._source.page(offset)
        self._changed.add(offset)
        return page


def begin_editing(session: Session, image: Image, *, for_data: bool) -> Editor:
    """Make a file ready to be changed, and return its editor.

    The whole BAT is looked at, and there is room for the log, before the first byte changes.
    A dirty log is replayed.

    Args:
        session: A session of the file that has not begun.
        image: The image, over the same file.
        for_data: Whether what a reader of the disk sees is going to change.

    Raises:
        FormatError: The image is not to be written to; it is as it was.
        UnsupportedError: The same, because it has no log.
        OSError: There is no space, or the medium fails.
    """
    found = session.attempt(_prepare, session, image)
    session.begin(for_data=for_data)
    if image.replayed is not None:
        replay_in(session, image)
    return Editor(session, image, found)


def _prepare(session: Session, image: Image) -> Survey:
    found = survey_to_begin(image)
    header = image.headers.current
    session.file.allocate(header.log_offset, header.log_length)
    return found


def _end_of_last_block(image: Image) -> int:
    """Return where the last block ends, of which the file need not hold all.

    Only what the disk needs of it has to be there.
    """
    geometry = image.geometry
    entry = image.bat.entry(geometry.payload_index(geometry.payload_blocks - 1))
    has_place = entry & OFFSET_MASK and entry & STATE_MASK in OCCUPYING_STATES
    return (entry & OFFSET_MASK) + geometry.block_size if has_place else 0
