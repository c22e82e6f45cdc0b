"""Blocks that share space of the file get each its own, so that what is written to one stays there.

The disk reads the same at every moment: copies are on the medium before an entry leads there,
and each entry makes sense by itself. Which of the blocks is right nobody can tell, so all of
them keep what they read as.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ..errors import UnsafeError, UnsupportedError
from ..format import bat
from ..ranges import Ranges
from ..reading.image import Image
from ..records import NamedTuple
from ..text import counted, human_size
from ..units import MIB, ceil_div
from .mending import Block, Doubt, Leave, Mended, begun, bitmaps, blocks, refuse_dirty, through_log
from .rehearsal import Rehearsal

_MOST = 1 << 20  # blocks that are compared; they take some 200 bytes each


class _Places(NamedTuple):
    """What has a place in the file.

    Attributes:
        stored: Stored blocks, by place and number.
        bitmaps: Where sector bitmaps are.
        end: File offset after all that has a place, a multiple of 1 MiB.
    """

    stored: list[Block]
    bitmaps: list[int]
    end: int


def split(file: Rehearsal, leave: Leave) -> Mended:
    """Give blocks whose places overlap others a copy of their own at the end of the file.

    Raises:
        UnsafeError: That was not asked for.
        UnsupportedError: Something is past the end, or no block can be moved.
    """
    refuse_dirty(file)
    image = Image(file)
    places = _places(image)
    moved = list(_moved(places))
    if not moved:
        raise UnsupportedError("no stored block shares its place with another one")
    doubtful = tuple(_doubtful(image, places))
    count = len({doubt.offset // image.geometry.block_size for doubt in doubtful})
    sharing = counted(count, "block shares", "blocks share") + " space with others"
    if not leave.split:
        raise UnsafeError(f"{sharing}; --split (split=True) gives each a copy of its own")
    size = image.geometry.block_size
    session = begun(file)
    session.flush()
    session.set_length(places.end + len(moved) * size)
    pieces = {}
    for to, block in zip(range(places.end, file.size, size), moved, strict=True):
        file.copy(block.start, to, size)
        index = image.geometry.payload_index(block.number)
        entry = to | image.bat.entry(index) & bat.STATE_MASK
        place = image.regions.bat.file_offset + index * bat.ENTRY_LENGTH
        pieces[place] = entry.to_bytes(bat.ENTRY_LENGTH, "little")
    session.flush()
    through_log(file, pieces, is_one=False, session=session)
    copies = counted(len(moved), "block gets a copy of its", "blocks get copies of their")
    what = f"{copies} own at the end of the file, which is {human_size(len(moved) * size)} longer"
    lost = f"nothing; but {sharing}, and at most one of those in a place holds what it should"
    return Mended(what, lost, doubtful=doubtful)


def _places(image: Image) -> _Places:
    """Return what has a place in the file.

    Raises:
        UnsupportedError: Something is past the end, where a longer file would have other bytes;
            or there are too many blocks.
    """
    size, own = image.source.size, bitmaps(image)
    found = list(islice(blocks(image), _MOST + 1))
    if len(found) > _MOST:
        raise UnsupportedError(f"there are more than {_MOST} blocks, which are not compared")
    if any(block.start >= size or (block.is_stored and block.needed > size) for block in found):
        raise UnsupportedError("blocks are past the end of the file; that has to be repaired first")
    if any(start + MIB > size for start in own):
        raise UnsupportedError("a sector bitmap is past the end of the file")
    ends = [ceil_div(size, MIB) * MIB, *(block.end for block in found)]
    stored = sorted(
        (block for block in found if block.is_stored), key=lambda one: (one.start, one.number)
    )
    return _Places(stored, own, max(ends))


def _moved(places: _Places) -> Iterator[Block]:
    """Yield the blocks that cannot stay, so that those which do overlap nothing."""
    taken = Ranges((start, start + MIB) for start in places.bitmaps)
    end = 0
    for block in places.stored:
        if block.start < end or next(taken.inside(block.start, block.end), None) is not None:
            yield block
        else:
            end = block.end


def _doubtful(image: Image, places: _Places) -> Iterator[Doubt]:
    """Yield what of the disk shares its bytes, by place in the file."""
    everything = [(block.start, block.end) for block in places.stored]
    everything += ((start, start + MIB) for start in places.bitmaps)
    shared, last = [], 0
    for start, end in sorted(everything):
        if start < last:
            shared.append((start, min(end, last)))
        last = max(last, end)
    twice = Ranges(shared)
    for block in places.stored:
        virtual = block.number * image.geometry.block_size
        for start, end in twice.inside(block.start, block.needed):
            yield Doubt(virtual + start - block.start, end - start, start)
