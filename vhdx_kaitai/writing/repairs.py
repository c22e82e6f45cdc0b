"""The repairs themselves: what is wrong by a rule is put right, where the file itself says how.

Each begins with new FileWriteGuids in both headers, like every change, and ends with all of
it on the medium. Damaged copies are overwritten by whole ones, when those are on the medium;
structures that are in use get their new contents through the log, all of them together or,
of entries each of which makes sense alone, a beginning. So a cut leaves each repair undone
or done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..checking.findings import MOST_OF_ALL
from ..checking.survey import survey
from ..errors import Finding, UnsafeError, UnsupportedError, refuse
from ..format import bat, encode, grammar, metadata, regions
from ..format.descent import Descent
from ..format.judge import REFUSE
from ..format.place import TOP_LEVEL
from ..format.structures import MetadataEntry, RegionEntry, RegionTable
from ..guids import REGION_NAMES
from ..reading.image import Image
from ..storage.target import Target
from ..text import counted, human_size
from ..units import MIB, ceil_div
from .mending import (
    Block,
    Leave,
    Mended,
    begun,
    bitmaps,
    blocks,
    refuse_dirty,
    refuse_others,
    refuse_too_many,
    through_log,
)
from .moved import mend_shift
from .rebuilding import mend_identifier, rebuild_headers
from .rehearsal import Rehearsal
from .separating import split

_ENTRY = bat.ENTRY_LENGTH


def mend_header(file: Target, _leave: Leave) -> Mended:
    """Write a newer header, made of the whole one, over the damaged one, then over the other."""
    session = begun(file)
    session.flush()
    number = session.headers.current.sequence_number
    return Mended(f"both headers are written anew from the whole one, up to number {number}")


def mend_table(file: Target, _leave: Leave) -> Mended:
    """Write the region table that is whole over the damaged one."""
    refuse_dirty(file)
    tables = regions.Tables(grammar.HeaderSection(file))
    whole = tables.current()
    if whole is None:
        refuse(regions.check_copies(tables))
    assert whole is not None
    refuse(regions.check_table(whole.table, file.size))
    damaged = 3 - whole.copy
    session = begun(file)
    session.flush()
    session.write(whole.table.raw, TOP_LEVEL[f"region_table_{damaged}"][0])
    session.flush()
    return Mended(f"region table {damaged} becomes a copy of region table {whole.copy}")


def mend_length(file: Target, leave: Leave) -> Mended:
    """Make a file longer that ends amid a MiB or amid a block.

    Raises:
        UnsafeError: Bytes of the disk are missing there, and would be zeros; or others rely
            on the image, for which the disk would be another one.
    """
    refuse_dirty(file)
    size = file.size
    image = Image(file)
    placed = list(blocks(image, size))
    cut = [block for block in placed if block.start < size < block.end]
    end = max([ceil_div(size, MIB) * MIB, *(block.end for block in cut)])
    if any(size <= block.start < end for block in placed):
        raise UnsupportedError("a block whose place is past the end would become zeros unseen")
    if any(size < start + MIB and start < end for start in bitmaps(image)):
        raise UnsupportedError("a sector bitmap is cut, and nobody knows what was in it")
    lost = tuple(_missing(image, cut, size))
    missing = sum(length for _, length in lost)
    if missing and not leave.fill_cut:
        message = f"{human_size(missing)} of the disk are missing there and would read as zeros; "
        raise UnsafeError(message + "--fill-cut (fill_cut=True) takes zeros for them")
    if missing:
        refuse_others(image, leave)
    session = begun(file, for_data=missing > 0)
    session.flush()
    session.set_length(end)
    session.flush()
    what = f"the file becomes {end:#x} bytes long, {human_size(end - size)} of zeros more"
    if missing:
        return Mended(what, f"{human_size(missing)} of the disk, which read as zeros", lost)
    return Mended(what)


def forget_lost(file: Target, leave: Leave) -> Mended:
    """Let blocks be undefined whose place is past the end of the file.

    Raises:
        UnsafeError: That was not asked for; or others rely on the image.
    """
    refuse_dirty(file)
    size, image = file.size, Image(file)
    past = [block for block in blocks(image, size) if block.is_stored and block.start >= size]
    gone = [block for block in past if block.is_plain]
    if not gone:
        raise UnsupportedError("no entry says plainly that a whole block is past the end")
    if not leave.forget_lost:
        message = f"{counted(len(gone), 'block is', 'blocks are')} past the end of the file; "
        raise UnsafeError(message + "--forget-lost (forget_lost=True) gives them up")
    geometry = image.geometry
    base, undefined = image.regions.bat.file_offset, bat.UNDEFINED.to_bytes(_ENTRY, "little")
    places = [base + geometry.payload_index(block.number) * _ENTRY for block in gone]
    refuse_others(image, leave)
    session = begun(file, for_data=True)
    through_log(file, dict.fromkeys(places, undefined), is_one=False, session=session)
    lost = tuple((block.number * geometry.block_size, block.needed - block.start) for block in gone)
    amount = human_size(sum(length for _, length in lost))
    what = f"{counted(len(gone), 'block becomes', 'blocks become')} UNDEFINED"
    return Mended(what, f"{amount} of the disk, which no reader refuses any more", lost)


def discard_log(file: Target, leave: Leave) -> Mended:
    """Let the log be clean that has no valid sequence of entries (LOG-31).

    Raises:
        UnsafeError: That was not asked for.
    """
    way = Descent(file, REFUSE)
    if not way.is_dirty or way.sequence != ():
        raise UnsupportedError("the log has entries that are valid")
    if not leave.discard_log:
        message = "what the log may have held is not known; --discard-log (discard_log=True)"
        raise UnsafeError(message + " gives it up")
    begun(file).end()
    return Mended("both headers say that the log is clean", "whatever the log held, if anything")


def _missing(image: Image, cut: list[Block], size: int) -> Iterator[tuple[int, int]]:
    """Yield what of the disk the file lacks because it ends amid blocks: offset and length."""
    for block in cut:
        if block.is_stored and block.needed > size:
            start = block.number * image.geometry.block_size + size - block.start
            yield start, block.needed - size


def mend_entries(file: Target, _leave: Leave) -> Mended:
    """Clear the reserved bits of BAT entries [MS-VHDX 2.5.1]."""
    count = _change_entries(file, lambda entry: entry & ~bat.RESERVED_MASK)
    lost = "nothing, if the rest of the entry is what it was; nobody can tell that"
    entries = counted(count, "BAT entry", "BAT entries")
    return Mended(f"reserved bits are cleared in {entries}", lost)


def mend_partial(file: Target, _leave: Leave) -> Mended:
    """Let blocks be stored wholly that cannot be so partly, for want of a parent (BAT-05)."""
    if Image(file).geometry.is_differencing:
        raise UnsupportedError("the image has a parent")

    def whole(entry: int) -> int:
        is_partial = entry & bat.STATE_MASK == bat.PARTIALLY_PRESENT
        return entry & ~bat.STATE_MASK | bat.FULLY_PRESENT if is_partial else entry

    count = _change_entries(file, whole)
    lost = "nothing that is stored; if the disk ever had a parent, its sectors are not in the file"
    return Mended(f"{counted(count, 'block becomes', 'blocks become')} FULLY_PRESENT", lost)


def _change_entries(file: Target, changed: Callable[[int], int]) -> int:
    """Change entries of payload blocks through the log, and return how many."""
    refuse_dirty(file)
    image = Image(file)
    base, geometry = image.regions.bat.file_offset, image.geometry
    pieces = {}
    for sample in survey(image, MOST_OF_ALL).payload.values():
        if all(changed(entry) == entry for entry in sample.entries):
            continue
        refuse_too_many(sample.total, len(sample.numbers))
        for block, entry in zip(sample.numbers, sample.entries, strict=True):
            right = changed(entry)
            refuse(_check_entry(image, block, right))
            place = base + geometry.payload_index(block) * _ENTRY
            pieces[place] = right.to_bytes(_ENTRY, "little")
    through_log(file, pieces, is_one=False)
    return len(pieces)


def _check_entry(image: Image, block: int, entry: int) -> Iterator[Finding]:
    """Yield what would be wrong with the entry of a block."""
    geometry = image.geometry
    needed = min(geometry.block_size, geometry.virtual_disk_size - block * geometry.block_size)
    index = geometry.payload_index(block)
    place = bat.entry_span(image.regions.bat, index, f"BAT entry of block {block}")
    is_child, size = geometry.is_differencing, image.source.size
    return bat.check_payload_entry(entry, place, needed, size, is_differencing=is_child)


def mend_regions(file: Target, _leave: Leave) -> Mended:
    """Let the region tables say what they should of what they have no choice about.

    Known regions are required, Required is 0 or 1, reserved bytes are zeros [MS-VHDX 2.2.3].
    """
    refuse_dirty(file)
    tables = regions.Tables(grammar.HeaderSection(file))
    copy = tables.current()
    if copy is None:
        refuse(regions.check_copies(tables))
    assert copy is not None
    refuse(regions.check_table(copy.table, file.size))
    entries = tuple(map(_right_entry, copy.table.entries))
    table: RegionTable = copy.table._replace(entries=entries, reserved=0)
    data = encode.region_table(table)
    pieces = {TOP_LEVEL[f"region_table_{number}"][0]: data for number in (1, 2)}
    through_log(file, pieces)
    what = "both region tables are written anew: known regions are required, the rest is as it was"
    return Mended(what)


def _right_entry(entry: RegionEntry) -> RegionEntry:
    required = 1 if entry.guid in REGION_NAMES else entry.required & 1
    return entry._replace(required=required)


def mend_metadata(file: Target, _leave: Leave) -> Mended:
    """Clear reserved bits of the metadata, and give known items their flags [MS-VHDX 2.6]."""
    refuse_dirty(file)
    contents = Descent(file, REFUSE).contents()
    items = None if contents is None else contents.items
    assert items is not None
    refuse(metadata.check_table(items.table, items.region.length))
    start, table = items.region.file_offset, items.table
    entries = tuple(map(_right_flags, table.entries))
    zeros = bytes(len(table.reserved_2))
    right = table._replace(reserved=0, reserved_2=zeros, entries=entries)
    end = metadata.entry_place(table, len(entries)).offset
    assert end is not None
    pieces = {start: encode.metadata_table(right)[: end - start]}  # what is after it stays
    for entry in entries:
        if entry.kind == "file_parameters":
            parameters = items.get("file_parameters")._replace(reserved=0)
            pieces[start + entry.offset] = encode.file_parameters(parameters)
    through_log(file, pieces)
    return Mended("reserved bits of the metadata are cleared, and known items have their flags")


def _right_flags(entry: MetadataEntry) -> MetadataEntry:
    right = entry._replace(reserved=0, reserved_2=0)
    if entry.kind == "other":
        return right
    is_virtual_disk = entry.kind not in metadata.FILE_KINDS
    return right._replace(is_required=True, is_virtual_disk=is_virtual_disk)


Repair = Callable[[Rehearsal, Leave], Mended]

# Which repair helps against which rule, in the order in which they are made: what is needed
# to open the file comes first.
REPAIRS: tuple[tuple[str, Repair], ...] = (
    ("HDR-05", rebuild_headers),
    ("FTI-01", mend_identifier),
    ("HDR-02", mend_header),
    ("HDR-03", mend_header),
    ("LOG-31", discard_log),
    ("REG-02", mend_table),
    ("REG-03", mend_table),
    ("GEN-08", mend_length),
    ("BLK-11", mend_length),
    ("BAT-10", mend_length),
    ("BAT-10", forget_lost),
    *((rule, mend_metadata) for rule in ("MET-02", "MET-04", "MET-14", "MET-15")),
    *((rule, mend_metadata) for rule in ("ITEM-03", "ITEM-07")),
    ("HDR-16", mend_header),
    *((rule, mend_regions) for rule in ("REG-07", "REG-15", "REG-18", "REG-20")),
    ("BAT-15", mend_shift),
    ("BAT-06", mend_shift),
    ("BAT-02", mend_entries),
    ("BAT-05", mend_partial),
    ("BAT-08", split),
    ("OVL-06", split),
)
