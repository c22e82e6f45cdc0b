"""Good images by name: each entry of `GOODS` must be accepted and read as its model says.

They are the neighbours of the damages: everything the format, or the habit of a known producer,
allows although it looks odd. `findings` are the rules a checker should mention for the image, with
their level; nothing worse may appear. Differencing images come without a parent: open them with
resolve_parents=False, or read only what `model.read` gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from .damage import OTHER_GUID, UNKNOWN_ITEM, UNKNOWN_REGION, Level
from .dirty import STRUCTURES, dirty, log_only
from .image import (
    Block,
    Built,
    Image,
    Layout,
    Region,
    differencing,
    dynamic,
    fixed,
    partial,
    windows_locator,
)
from .log import Data, Entry, Zero
from .sparse import pattern
from .structures import (
    CHS_PARAMETERS,
    FULLY_PRESENT,
    GIB,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    MIB,
    PMEM_LABEL_STORAGE,
    TIB,
    UNDEFINED,
    UNMAPPED,
    VIRTUAL_DISK_SIZE,
    ZERO,
    ZERO_GUID,
    MetadataItem,
    braced,
)

Make = Callable[[], Image | Layout]

_LAST = (1 << 64) - 1
_JUNK = b"\xa5" * 4096


@dataclass(frozen=True)
class Good:
    """One image that must be accepted; `findings` must be mentioned at this level."""

    name: str
    description: str
    make: Make
    findings: dict[str, Level]

    @property
    def verdict(self) -> str:
        """What `check` has to conclude: clean or warnings."""
        return "warnings" if "warning" in self.findings.values() else "clean"

    def layout(self) -> Layout:
        """Return its layout."""
        made = self.make()
        return made.layout() if isinstance(made, Image) else made

    def build(self) -> Built:
        """Return the image with its model."""
        return self.layout().build()


GOODS: dict[str, Good] = {}


def good(**findings: Level) -> Callable[[Make], Make]:
    """Enter a function into `GOODS`; keywords are rules with _ for -, as in HDR_06='note'."""

    def enter(make: Make) -> Make:
        name = str(getattr(make, "__name__", "")).replace("_", "-")
        if name in GOODS:
            raise ValueError(f"two good images are called {name}")
        rules = {rule.replace("_", "-"): level for rule, level in findings.items()}
        GOODS[name] = Good(name, (make.__doc__ or "").strip(), make, rules)
        return make

    return enter


def _small(**fields: object) -> Image:
    values: dict[str, object] = {
        "blocks": {0: Block(), 1: Block(ZERO), 2: Block(), 6: Block(UNMAPPED)}
    }
    return dynamic(8 * MIB, **(values | fields))


# -- the ordinary ones --------------------------------------------------------------------------


@good()
def dynamic_plain() -> Image:
    """A dynamic image with blocks in every state it may have."""
    return _small(blocks={0: Block(), 1: Block(ZERO), 2: Block(UNMAPPED), 3: Block(UNDEFINED)})


@good()
def dynamic_empty() -> Image:
    """A dynamic image in which no block is stored."""
    return dynamic(8 * MIB)


@good()
def fixed_plain() -> Image:
    """A fixed image, every block stored."""
    return fixed(4 * MIB)


@good(LOC_20="note")
def differencing_plain() -> Image:
    """A differencing image as Windows writes it, with blocks in every state."""
    blocks = {0: Block(), 1: partial(0, range(5, 20), 2047), 2: Block(ZERO), 3: Block(UNMAPPED)}
    return differencing(8 * MIB, blocks=blocks | {4: Block(UNDEFINED)})


@good()
def one_sector() -> Image:
    """A disk of one sector of 512 bytes."""
    return dynamic(512, blocks={0: Block()})


@good()
def odd_sectors() -> Image:
    """A disk with an odd number of 512-byte sectors, which ends inside its last block."""
    return dynamic(3 * MIB + 512, blocks={0: Block(), 3: Block()})


@good()
def sectors_of_4096() -> Image:
    """Logical and physical sectors of 4096 bytes."""
    return _small(logical_sector_size=4096)


@good()
def sectors_of_512() -> Image:
    """Logical and physical sectors of 512 bytes."""
    return _small(physical_sector_size=512)


@good(ITEM_18="note")
def physical_smaller_than_logical() -> Image:
    """Physical sectors of 512 bytes under logical ones of 4096."""
    return _small(logical_sector_size=4096, physical_sector_size=512)


@good()
def blocks_in_disorder() -> Image:
    """BAT, metadata and log behind the blocks, which lie in reverse order with gaps."""
    order = ("blocks", "bat", "regions", "metadata", "log")
    return _small(order=order, block_order=(2, 0), gap=3 * MIB)


# -- file and identifier ------------------------------------------------------------------------


@good(GEN_08="note")
def file_length_odd() -> Image:
    """The file ends 512 bytes behind a MiB boundary, as Disk2vhd's do."""
    layout = _small().layout()
    return _small(file_length=layout.pack().length + 512)


@good()
def creator_empty() -> Image:
    """There is no Creator string."""
    return _small(creator="")


@good()
def creator_full() -> Image:
    """Creator takes all of its 256 units, without a NUL."""
    return _small(creator="0123456789abcdef" * 16)


@good()
def creator_broken() -> Image:
    """Creator is half a surrogate pair and then noise behind a NUL."""
    return _small(creator=b"\x3d\xd8A\0\0\0\xff\xdf\x01\xd8")


# -- headers ------------------------------------------------------------------------------------


@good(HDR_06="note")
def headers_identical() -> Layout:
    """Both headers are the same, sequence number included, as Disk2vhd writes them."""
    layout = _small().layout()
    layout.set_headers(sequence_number=1)
    return layout


@good(HDR_03="warning")
def header_1_damaged() -> Layout:
    """Header 1 is damaged, header 2 is good and older."""
    layout = _small().layout()
    layout.headers[0].sequence_number = 9
    layout.headers[0].checksum = 1
    return layout


@good(HDR_02="warning")
def header_2_missing() -> Layout:
    """Header 2 is all zeros."""
    layout = _small().layout()
    layout.headers[1].raw = bytes(4096)
    return layout


@good()
def header_1_newer() -> Layout:
    """Header 1 is the newer one; they are far apart and differ in every GUID."""
    layout = _small().layout()
    layout.headers[0].sequence_number = 1 << 40
    layout.headers[1].data_write_guid = OTHER_GUID
    layout.headers[1].file_write_guid = OTHER_GUID
    return layout


@good()
def headers_of_two_states() -> Layout:
    """The older header still names a log, the newer one says it is clean."""
    layout = _small().layout()
    layout.headers[0].log_guid = OTHER_GUID
    layout.headers[0].log_offset = 64 * MIB
    return layout


@good()
def sequence_number_0() -> Image:
    """The older header has sequence number 0."""
    return _small(sequence_number=0)


@good()
def sequence_number_max() -> Image:
    """The newer header has sequence number 2**64 - 1; nobody can write to this file again."""
    return _small(sequence_number=_LAST)


@good()
def log_version_1_while_clean() -> Layout:
    """LogVersion is 1, which matters only where LogGuid is not zero."""
    layout = _small().layout()
    layout.set_headers(log_version=1)
    return layout


@good()
def log_length_0() -> Layout:
    """There is no log at all: LogGuid, LogOffset and LogLength are 0."""
    layout = _small().layout()
    layout.set_headers(log_length=0, log_offset=0)
    return layout


@good(HDR_08="warning")
def old_header_version_0() -> Layout:
    """The older header, which nobody has to obey and nobody could fall back on, has Version 0."""
    layout = _small().layout()
    layout.headers[0].version = 0
    return layout


# -- region tables ------------------------------------------------------------------------------


@good(REG_03="warning")
def region_table_1_damaged() -> Layout:
    """Only region table 2 has a right checksum."""
    layout = _small().layout()
    layout.region_tables[0].checksum = 1
    return layout


@good(REG_02="warning")
def region_table_2_missing() -> Layout:
    """Region table 2 is all zeros."""
    layout = _small().layout()
    layout.region_tables[1].raw = bytes(64 * KIB)
    return layout


@good(REG_18="note")
def regions_not_required() -> Image:
    """Required of both regions is 0, as QEMU writes it."""
    return _small(required=0)


@good()
def unknown_region_optional() -> Image:
    """Two unknown optional regions with contents."""
    regions = [Region(UNKNOWN_REGION, 2 * MIB, data=_JUNK), Region(OTHER_GUID, data=_JUNK)]
    return _small(regions=regions)


@good()
def regions_2047() -> Layout:
    """The region table is full: 2045 unknown optional regions beside the known ones."""
    regions = [Region(UUID(int=index + 1)) for index in range(2045)]
    return dynamic(4 * MIB, regions=regions).layout()


# -- metadata -----------------------------------------------------------------------------------


@good()
def stale_metadata_entry() -> Layout:
    """Behind the counted entries is an old copy of one of them, as Windows leaves it."""
    layout = _small().layout()
    offset, item = layout.metadata.placed()[-1]
    layout.metadata.tail = item.pack(offset)
    return layout


@good()
def items_of_all_kinds() -> Image:
    """Unknown optional, user and empty items, and a known GUID as user metadata."""
    items = [
        MetadataItem(UNKNOWN_ITEM, b"optional", 0),
        MetadataItem(OTHER_GUID, b"travels with the disk", IS_VIRTUAL_DISK),
        MetadataItem(UNKNOWN_ITEM, b"user", IS_USER),
        MetadataItem(UUID(int=7), b"", IS_USER),
        MetadataItem(UUID(int=8), b"", 0),
        MetadataItem(VIRTUAL_DISK_SIZE, bytes(8), IS_USER),
        MetadataItem(CHS_PARAMETERS, bytes(16), 0),
        MetadataItem(PMEM_LABEL_STORAGE, bytes(64), 0),
    ]
    return _small(items=items)


@good()
def items_in_another_order() -> Layout:
    """The table lists the items backwards, and they lie scattered and unaligned."""
    layout = _small().layout()
    layout.metadata.items.reverse()
    for index, item in enumerate(layout.metadata.items):
        item.offset = 64 * KIB + 7 + (index * 5 % 7) * 4099
    return layout


@good()
def items_up_to_the_limits() -> Layout:
    """An item of 1 MiB, and one that ends with the region."""
    image = _small(metadata_length=3 * MIB)
    layout = image.layout()
    layout.metadata.items.append(MetadataItem(UNKNOWN_ITEM, b"last", IS_USER, 3 * MIB - 4))
    layout.metadata.items.append(MetadataItem(OTHER_GUID, b"x" * MIB, IS_USER, MIB))
    return layout


@good()
def user_items_1024() -> Image:
    """As many user items as are allowed."""
    return _small(items=[MetadataItem(UUID(int=n + 1), b"", IS_USER) for n in range(1024)])


@good()
def metadata_slack() -> Layout:
    """Free space of the metadata region holds noise."""
    layout = _small().layout()
    layout.patch(layout.metadata_offset + 512 * KIB, _JUNK)
    return layout


# -- parent locator -----------------------------------------------------------------------------

_PARENT = UUID("9A5E0001-5555-4555-8555-0123456789AB")


@good(LOC_20="note")
def linkage_in_upper_case() -> Image:
    """parent_linkage is written in upper case."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    locator.set("parent_linkage", braced(_PARENT).upper())
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good(LOC_20="note")
def linkage_in_parent_linkage2() -> Image:
    """parent_linkage2 names a GUID of its own, as in the middle of a merge."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    locator.set("parent_linkage2", braced(OTHER_GUID))
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good()
def locator_by_the_letter() -> Image:
    """Only what the text asks for: parent_linkage and one path, absolute and with its prefix."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    for key in ("relative_path", "volume_path", "parent_linkage2"):
        locator.remove(key)
    locator.set("absolute_win32_path", "\\\\?\\C:\\images\\parent.vhdx")
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good(LOC_20="note")
def locator_unknown_key() -> Image:
    """The locator has a key nobody knows and one that differs from a known one in case only."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    locator.set("later_invention", "value")
    locator.set("Relative_Path", ".\\nobody.vhdx")
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good(LOC_20="note")
def locator_shared_strings() -> Image:
    """Three values share one range at an odd offset, behind space that belongs to nobody."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    shared = ".\\parent.vhdx"
    for key in ("relative_path", "one", "two"):
        locator.set(key, shared)
    locator.tail = bytes(7) + shared.encode("utf-16-le")
    offset = len(locator.pack()) - 2 * len(shared)
    for key in ("relative_path", "one", "two"):
        locator.find(key).value_offset = offset
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good(LOC_20="note")
def differencing_leave_block_allocated() -> Image:
    """LeaveBlockAllocated is set beside HasParent, which makes it meaningless."""
    return differencing(4 * MIB, blocks={0: Block()}, leave_block_allocated=True)


# -- log ----------------------------------------------------------------------------------------


@good()
def clean_with_old_entries() -> Layout:
    """The log is clean and full of entries of two earlier sessions."""
    bat = _small().layout().bat_offset
    entries = [
        Entry([Data(bat, _JUNK), Zero(2 * MIB, MIB)], sequence_number=77),
        Entry([Data(bat, _JUNK)], log_guid=UUID(int=5), sequence_number=900),
    ]
    layout = log_only(_small(), entries, OTHER_GUID)
    layout.set_headers(log_guid=ZERO_GUID)
    return layout


@good()
def dirty_bat() -> Layout:
    """The BAT is junk until the log is replayed."""
    return dirty(_small())


@good()
def dirty_region_tables() -> Layout:
    """Both region tables are junk until the log is replayed."""
    return dirty(_small(), hide=("region_tables",))


@good()
def dirty_region_tables_moved() -> Layout:
    """The stored region tables lead to another metadata region and BAT, of another disk."""
    before = dynamic(
        64 * MIB, bat_offset=40 * MIB, metadata_offset=50 * MIB, blocks={9: Block(ZERO)}
    )
    return dirty(_small(), before=before)


@good()
def dirty_metadata() -> Layout:
    """The metadata region is junk until the log is replayed."""
    return dirty(_small(), hide=("metadata",))


@good(LOC_20="note")
def dirty_bitmaps() -> Layout:
    """BAT and sector bitmaps are junk until the log is replayed."""
    blocks = {0: partial(range(16)), 3: partial(range(100, 2000, 3))}
    return dirty(differencing(8 * MIB, blocks=blocks), hide=("bat", "bitmaps"))


@good()
def dirty_everything() -> Layout:
    """Everything that may be logged is junk, spread over many entries."""
    return dirty(_small(), hide=STRUCTURES, split=3, at=100 * 4096, empty_first=True)


@good()
def dirty_payload() -> Layout:
    """Even a payload block is only in the log."""
    image = _small(blocks={0: Block(data=pattern(1, 0, 16 * KIB))})
    return dirty(image, hide=("bat", "payload"), junk=False)


@good()
def dirty_older_state() -> Layout:
    """The stored file is a consistent older state of the same disk."""
    before = _small(blocks={0: Block(), 1: Block(), 2: Block()})
    return dirty(_small(), before=before)


@good()
def log_of_windows() -> Layout:
    """An empty first entry, a large sequence number that passes 2**32, one entry per update."""
    return dirty(_small(), split=1, empty_first=True, first_sequence_number=(1 << 32) - 1)


@good()
def log_sequence_numbers_to_the_end() -> Layout:
    """The head has sequence number 2**64 - 1."""
    return dirty(_small(), split=1, first_sequence_number=_LAST - 1)


@good()
def log_empty_entry_only() -> Layout:
    """The log is not empty and its replay changes nothing."""
    return dirty(_small(), hide=())


@good()
def log_entry_wraps() -> Layout:
    """The only entry begins in the last sector of the ring."""
    return dirty(_small(), at=MIB - 4096)


@good()
def log_sequence_wraps() -> Layout:
    """The sequence runs over the end of the ring between two entries."""
    return dirty(_small(), split=1, at=MIB - 8192)


def _padded(count: int) -> list[Data | Zero]:
    """Return updates of the first BAT page, which all say the same."""
    layout = _small().layout()
    page = layout.pack_body().read(layout.bat_offset, 4096)
    return [Data(layout.bat_offset, page) for _ in range(count)]


@good()
def log_one_entry_fills_the_ring() -> Layout:
    """One entry of two descriptor and 254 data sectors is as long as the log."""
    return dirty(_small(), junk=False, extra=_padded(253), split=254)


@good()
def log_one_entry_fills_the_ring_from_the_middle() -> Layout:
    """One entry as long as the log begins in the middle of it."""
    return dirty(_small(), junk=False, extra=_padded(253), split=254, at=512 * KIB)


@good()
def log_many_entries_fill_the_ring() -> Layout:
    """128 entries of two sectors fill the log exactly; the first one is in the middle."""
    return dirty(_small(), junk=False, extra=_padded(127), split=1, at=40 * 4096)


@good()
def log_run_longer_than_the_sequence() -> Layout:
    """Two valid entries directly before the tail must not be replayed: they would hit payload."""
    image = _small()
    block = image.layout().payload[0]
    prelude = [Entry([Data(block, _JUNK)]), Entry([Zero(block + 4096, 8192)])]
    return dirty(image, prelude=prelude, first_sequence_number=40)


@good()
def log_two_sequences() -> Layout:
    """An older valid sequence of the same session lies behind the active one."""
    image = _small()
    old = Entry([Data(image.layout().bat_offset, _JUNK)], at=512 * KIB, sequence_number=10)
    return dirty(image, stale=[old], first_sequence_number=100)


@good()
def log_lone_entry_against_a_run() -> Layout:
    """A lone entry 15 loses against the run 10 to 20, whose head counts."""
    image = _small()
    lone = Entry([Data(image.layout().bat_offset, _JUNK)], at=512 * KIB, sequence_number=15)
    extra = _padded(10)
    return dirty(image, junk=False, extra=extra, split=1, stale=[lone], first_sequence_number=10)


@good()
def log_stale_entries_around() -> Layout:
    """Entries of other sessions lie before, inside the way of and behind the sequence."""
    image = _small()
    bat = image.layout().bat_offset
    stale = [
        Entry([Data(bat, _JUNK)], at=at, log_guid=OTHER_GUID, sequence_number=number)
        for at, number in ((0, 1), (8192, 2), (256 * KIB, 2000), (MIB - 4096, 2001))
    ]
    return dirty(image, stale=stale, at=16 * 4096, split=1)


@good()
def log_flushed_offset_falls() -> Layout:
    """An earlier entry of the sequence knows a larger file, as Windows logs after a shrink."""
    layout = dirty(_small(), split=1)
    assert layout.log is not None
    layout.log.entries[0].flushed_file_offset = 64 * MIB
    layout.log.entries[0].last_file_offset = 64 * MIB
    return layout


@good(GEN_08="note", LOG_15="note", LOG_16="note")
def log_offsets_odd() -> Layout:
    """Flushed and LastFileOffset are the raw, odd file length, as QEMU writes them."""
    length = _small().layout().pack().length + 512
    return dirty(_small(file_length=length))


@good()
def log_last_offset_extends_the_file() -> Layout:
    """The stored file ends before a block of zeros that LastFileOffset makes room for."""
    image = dynamic(8 * MIB, blocks={0: Block(), 1: Block(data=b"")})
    return dirty(image, file_length=image.layout().pack().length - MIB)


@good()
def log_extends_the_file() -> Layout:
    """The stored file ends before a block whose contents the log writes behind the end."""
    image = dynamic(8 * MIB, blocks={0: Block(), 1: Block(data=pattern(1, MIB, 12 * KIB))})
    return dirty(image, file_length=image.layout().pack().length - MIB)


@good()
def log_extends_the_file_by_a_bat() -> Layout:
    """The BAT itself lies behind the end of the stored file."""
    image = _small(order=("log", "metadata", "blocks", "bat"))
    return dirty(image, hide=(), file_length=image.layout().bat_offset)


@good()
def log_longer() -> Layout:
    """A log of 3 MiB whose sequence lies in its last MiB and wraps."""
    return dirty(_small(log_length=3 * MIB), split=1, at=3 * MIB - 4096)


# -- blocks -------------------------------------------------------------------------------------


@good()
def bat_larger_than_needed() -> Image:
    """The BAT region has room for far more entries."""
    return _small(bat_length=5 * MIB)


@good(REG_18="note")
def fixed_of_qemu() -> Image:
    """QEMU's fixed image: every block ZERO without a place, nothing marked as required."""
    return fixed(4 * MIB, others=Block(ZERO), required=0, file_length=8 * MIB)


@good()
def fixed_with_absent_blocks() -> Image:
    """A fixed image with blocks in states 0 to 3."""
    return fixed(8 * MIB, blocks={n: Block(n % 4) for n in range(1, 6)})


@good(BLK_11="note", GEN_08="note")
def fixed_last_block_cut() -> Image:
    """The file ends in the last block, where the disk ends too, as in QEMU's fixed images."""
    image = fixed(3 * MIB + 512)
    return image.but(file_length=image.layout().payload[3] + 512)


@good()
def unmapped_and_undefined_keep_places() -> Image:
    """UNMAPPED and UNDEFINED blocks keep a place of their own, full of old data; they are zeros."""
    blocks = {0: Block(), 1: Block(UNMAPPED, 30 * MIB), 2: Block(UNDEFINED, 31 * MIB)}
    return dynamic(8 * MIB, blocks=blocks, file_length=32 * MIB)


@good(LOC_20="note", BLK_07="note")
def bitmap_bits_nobody_heeds() -> Image:
    """Bits are set for blocks in all states, and for none of those in state 7."""
    every = ((0, 2048),)
    blocks = {
        0: Block(present=((3, 50),)),
        1: Block(ZERO, present=every),
        2: Block(UNMAPPED, present=every),
        3: Block(UNDEFINED, present=every),
        4: partial(),
        5: Block(0, present=every),
    }
    return differencing(8 * MIB, blocks=blocks)


@good(LOC_20="note")
def bitmap_bits_behind_the_end() -> Image:
    """Bits are set for sectors behind the end of the disk."""
    return differencing(MIB + 512, blocks={1: partial(range(2048))})


@good(LOC_20="note")
def bitmap_present_and_unused() -> Image:
    """The sector bitmap block is present although no block is PARTIALLY_PRESENT."""
    return differencing(8 * MIB, blocks={0: Block()}, bitmap_chunks=frozenset({0}))


@good(LOC_20="note", BLK_07="note")
def partial_without_sectors() -> Image:
    """Blocks in state 7 of which no sector, one sector or every sector is in this file."""
    blocks = {0: partial(), 1: partial(7), 2: partial(range(2048))}
    return differencing(4 * MIB, blocks=blocks)


# -- large ones: write() them, they are sparse --------------------------------------------------


@good()
def dynamic_past_one_chunk() -> Image:
    """10 GiB in blocks of 256 MiB, 16 to a chunk; blocks on both sides of each slot."""
    return dynamic(10 * GIB, block_size=256 * MIB, blocks={n: Block() for n in (0, 15, 16, 32, 39)})


@good()
def fixed_past_one_chunk() -> Image:
    """4.5 GiB fixed: the BAT has an unused sector bitmap slot after 16 blocks."""
    return fixed(4 * GIB + 512 * MIB, block_size=256 * MIB)


@good(LOC_20="note")
def differencing_past_one_chunk() -> Image:
    """6 GiB differencing with partly present blocks in both chunks."""
    blocks = {
        0: partial((0, 64), (500000, 500008)),
        15: partial((524287, 524288)),
        16: partial(range(8)),
        17: Block(),
        23: Block(ZERO),
    }
    return differencing(6 * GIB, block_size=256 * MIB, blocks=blocks)


@good(LOC_20="note")
def differencing_past_one_chunk_of_4096() -> Image:
    """40 GiB differencing with sectors of 4096 bytes: 128 blocks of 256 MiB make a chunk."""
    blocks = {
        0: partial(range(4)),
        127: partial((65535, 65536)),
        128: partial(range(9)),
        130: Block(),
    }
    return differencing(40 * GIB, block_size=256 * MIB, logical_sector_size=4096, blocks=blocks)


@good()
def largest_disk() -> Image:
    """64 TiB in blocks of 1 MiB: the BAT is 513 MiB; first and last block are stored."""
    last = 64 * TIB // MIB - 1
    return dynamic(64 * TIB, blocks={0: Block(), 4096: Block(), last: Block()})


@good()
def blocks_far_away() -> Image:
    """A block lies 1 TiB into the file."""
    return dynamic(8 * MIB, blocks={0: Block(FULLY_PRESENT, TIB), 1: Block()})
