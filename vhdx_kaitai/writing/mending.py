"""What repairs have in common: what they are told, what they tell, and how they change a file.

Each begins with new FileWriteGuids in both headers, like every change, and ends with all of
it on the medium. Structures that are in use get their new contents through the log.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..checking.classes import OCCUPYING_STATES
from ..checking.order import payload_entries
from ..checking.survey import survey
from ..errors import UnsupportedError
from ..format import bat
from ..format.descent import Descent
from ..format.judge import REFUSE
from ..reading.image import Image
from ..records import NamedTuple
from ..storage.overlay import PAGE
from ..storage.target import Target
from ..units import MIB
from .guards import refuse_what_others_need
from .journal import MOST_PAGES, Journal, Page, refuse_without_log
from .session import Session

NOTHING_LOST = "nothing"


class Doubt(NamedTuple):
    """A range of the disk of which nobody knows whether it has the right bytes.

    Attributes:
        offset: Virtual offset in bytes.
        length: Bytes.
        file_offset: Where they were found; ranges that shared a place name the same one.
    """

    offset: int
    length: int
    file_offset: int


class Mended(NamedTuple):
    """What a repair has done.

    Attributes:
        what: What it has changed, in words.
        lost: What is lost with it.
        lost_ranges: Ranges of the disk that are lost: virtual offset and length in bytes.
        doubtful: Ranges of which nobody knows whether they are right.
    """

    what: str
    lost: str = NOTHING_LOST
    lost_ranges: tuple[tuple[int, int], ...] = ()
    doubtful: tuple[Doubt, ...] = ()


class Leave(NamedTuple):
    """What the caller lets a repair do.

    Attributes:
        fill_cut: Whether the missing end of a block that was cut may become zeros.
        forget_lost: Whether blocks whose place is past the end may be given up.
        discard_log: Whether a log of which nothing is valid may be given up.
        split: Whether blocks that share space may get each its own.
        force: Whether the disk may read otherwise although others rely on the image.
    """

    fill_cut: bool = False
    forget_lost: bool = False
    discard_log: bool = False
    split: bool = False
    force: bool = False


class Block(NamedTuple):
    """A payload block that has a place.

    Attributes:
        number: Which.
        start: Where it begins in the file, in bytes.
        needed: Where what the disk needs of it ends.
        end: Where it ends.
        is_stored: Whether its contents are there, or should be.
        is_plain: Whether its entry has no reserved bits; one that has may not be one at all.
    """

    number: int
    start: int
    needed: int
    end: int
    is_stored: bool
    is_plain: bool


def blocks(image: Image, past: int = 0) -> Iterator[Block]:
    """Yield the blocks that have a place, by number.

    Args:
        image: The image.
        past: File offset in bytes; only blocks that end past it count.
    """
    geometry = image.geometry
    size = geometry.block_size
    for first, entries in payload_entries(image):
        for block, entry in enumerate(entries, first) if any(entries) else ():
            start, state = entry & bat.OFFSET_MASK, entry & bat.STATE_MASK
            if start and start + size > past and state in OCCUPYING_STATES:
                needed = start + min(size, geometry.virtual_disk_size - block * size)
                is_stored = state in (bat.FULLY_PRESENT, bat.PARTIALLY_PRESENT)
                is_plain = not entry & bat.RESERVED_MASK
                yield Block(block, start, needed, start + size, is_stored, is_plain)


def bitmaps(image: Image) -> list[int]:
    """Return where sector bitmaps are."""
    entries = survey(image, 1).bitmaps.values()
    return [entry & bat.OFFSET_MASK for entry in entries if entry & bat.STATE_MASK == bat.PRESENT]


def refuse_too_many(total: int, kept: int) -> None:
    """Raise when not all of some entries that are alike were kept.

    Args:
        total: How many there are.
        kept: How many were kept.
    """
    if total > kept:
        raise UnsupportedError(f"{total} blocks are alike, which is more than are looked at")


def refuse_others(image: Image, leave: Leave) -> None:
    """Raise when others rely on an image whose disk is going to read otherwise.

    Raises:
        UnsafeError: They do, and nobody has allowed it.
    """
    if not leave.force:
        refuse_what_others_need(image)


def through_log(
    file: Target, pieces: dict[int, bytes], *, is_one: bool = True, session: Session | None = None
) -> None:
    """Change metadata through the log, and let the log be clean.

    Args:
        file: The file.
        pieces: What is to be there, by file offset.
        is_one: Whether all of it has to change at once; otherwise a beginning of the pages
            makes sense, too.
        session: A session of the file that has begun; a new one when it is None.

    Raises:
        UnsupportedError: It is more than an entry holds; or the file has no log.
    """
    pages = _pages(file, pieces)
    if is_one and len(pages) > MOST_PAGES:
        raise UnsupportedError(f"{len(pages)} pages would change, too many for an entry")
    header = Descent(file, REFUSE).header
    assert header is not None
    refuse_without_log(header, file.size)
    if session is None:
        session = begun(file)
    session.file.allocate(header.log_offset, header.log_length)
    for page in pages:  # putting them into their places must not fail for want of space
        session.file.allocate(page.offset, PAGE)
    session.flush()
    journal = Journal(session)
    # What the file ends with may be cut: a replay must not make it longer, with zeros unseen.
    journal.write(pages, file.size // MIB * MIB)
    journal.place()
    session.end()


def _pages(file: Target, pieces: dict[int, bytes]) -> list[Page]:
    """Return the pages that change, in order."""
    pages: dict[int, bytearray] = {}
    for offset, data in pieces.items():
        for at in range(offset - offset % PAGE, offset + len(data), PAGE):
            if at not in pages:
                pages[at] = bytearray(file.read(at, PAGE))
            start, end = max(at, offset), min(at + PAGE, offset + len(data))
            pages[at][start - at : end - at] = data[start - offset : end - offset]
    changed = ((at, bytes(page)) for at, page in sorted(pages.items()))
    return [Page(at, page) for at, page in changed if page != file.read(at, PAGE)]


def begun(file: Target, *, for_data: bool = False) -> Session:
    """Return a session of a file whose headers have a new FileWriteGuid.

    Args:
        file: The file.
        for_data: Whether the disk is going to read otherwise: then the DataWriteGuid is new, too.
    """
    way = Descent(file, REFUSE)
    assert way.headers is not None
    assert way.header is not None
    session = Session(file, way.headers)
    session.begin(for_data=for_data)
    return session


def refuse_dirty(file: Target) -> None:
    """Raise when the log has to be replayed first.

    Raises:
        UnsupportedError: It has.
        FormatError: Or it cannot be known.
    """
    if Descent(file, REFUSE).is_dirty:
        raise UnsupportedError("the log is dirty; `vhdx-kaitai replay FILE` has to come first")
