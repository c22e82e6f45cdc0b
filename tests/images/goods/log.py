"""Good images with logs, empty, clean and dirty."""

from __future__ import annotations

from uuid import UUID

from tests.images.bases import OTHER_GUID
from tests.images.dirty import STRUCTURES, dirty, log_only
from tests.images.image import Block, Layout, differencing, dynamic, partial
from tests.images.log import Data, Entry, Zero
from tests.images.sparse import pattern
from tests.images.structures import KIB, MIB, ZERO, ZERO_GUID

from .case import JUNK, LAST, good, small


@good()
def clean_with_old_entries() -> Layout:
    """The log is clean and full of entries of two earlier sessions."""
    bat = small().layout().bat_offset
    entries = [
        Entry([Data(bat, JUNK), Zero(2 * MIB, MIB)], sequence_number=77),
        Entry([Data(bat, JUNK)], log_guid=UUID(int=5), sequence_number=900),
    ]
    layout = log_only(small(), entries, OTHER_GUID)
    layout.set_headers(log_guid=ZERO_GUID)
    return layout


@good()
def dirty_bat() -> Layout:
    """The BAT is junk until the log is replayed."""
    return dirty(small())


@good()
def dirty_region_tables() -> Layout:
    """Both region tables are junk until the log is replayed."""
    return dirty(small(), hide=("region_tables",))


@good()
def dirty_region_tables_moved() -> Layout:
    """The stored region tables lead to another metadata region and BAT, of another disk."""
    before = dynamic(
        64 * MIB, bat_offset=40 * MIB, metadata_offset=50 * MIB, blocks={9: Block(ZERO)}
    )
    return dirty(small(), before=before)


@good()
def dirty_metadata() -> Layout:
    """The metadata region is junk until the log is replayed."""
    return dirty(small(), hide=("metadata",))


@good()
def dirty_bitmaps() -> Layout:
    """BAT and sector bitmaps are junk until the log is replayed."""
    blocks = {0: partial(range(16)), 3: partial(range(100, 2000, 3))}
    return dirty(differencing(8 * MIB, blocks=blocks), hide=("bat", "bitmaps"))


@good()
def dirty_everything() -> Layout:
    """Everything that may be logged is junk, spread over many entries."""
    return dirty(small(), hide=STRUCTURES, split=3, at=100 * 4096, empty_first=True)


@good()
def dirty_payload() -> Layout:
    """Even a payload block is only in the log."""
    image = small(blocks={0: Block(data=pattern(1, 0, 16 * KIB))})
    return dirty(image, hide=("bat", "payload"), junk=False)


@good()
def dirty_older_state() -> Layout:
    """The stored file is a consistent older state of the same disk."""
    before = small(blocks={0: Block(), 1: Block(), 2: Block()})
    return dirty(small(), before=before)


@good()
def log_of_windows() -> Layout:
    """An empty first entry, a large sequence number that passes 2**32, one entry per update."""
    return dirty(small(), split=1, empty_first=True, first_sequence_number=(1 << 32) - 1)


@good()
def log_sequence_numbers_to_the_end() -> Layout:
    """The head has sequence number 2**64 - 1."""
    return dirty(small(), split=1, first_sequence_number=LAST - 1)


@good()
def log_empty_entry_only() -> Layout:
    """The log is not empty and its replay changes nothing."""
    return dirty(small(), hide=())


@good()
def log_entry_wraps() -> Layout:
    """The only entry begins in the last sector of the ring."""
    return dirty(small(), at=MIB - 4096)


@good()
def log_sequence_wraps() -> Layout:
    """The sequence runs over the end of the ring between two entries."""
    return dirty(small(), split=1, at=MIB - 8192)


def _padded(count: int) -> list[Data | Zero]:
    """Return updates of the first BAT page, which all say the same."""
    layout = small().layout()
    page = layout.pack_body().read(layout.bat_offset, 4096)
    return [Data(layout.bat_offset, page) for _ in range(count)]


@good()
def log_one_entry_fills_the_ring() -> Layout:
    """One entry of two descriptor and 254 data sectors is as long as the log."""
    return dirty(small(), junk=False, extra=_padded(253), split=254)


@good()
def log_one_entry_fills_the_ring_from_the_middle() -> Layout:
    """One entry as long as the log begins in the middle of it."""
    return dirty(small(), junk=False, extra=_padded(253), split=254, at=512 * KIB)


@good()
def log_many_entries_fill_the_ring() -> Layout:
    """128 entries of two sectors fill the log exactly; the first one is in the middle."""
    return dirty(small(), junk=False, extra=_padded(127), split=1, at=40 * 4096)


@good()
def log_run_longer_than_the_sequence() -> Layout:
    """Two valid entries directly before the tail must not be replayed: they would hit payload."""
    image = small()
    block = image.layout().payload[0]
    prelude = [Entry([Data(block, JUNK)]), Entry([Zero(block + 4096, 8192)])]
    return dirty(image, prelude=prelude, first_sequence_number=40)


@good()
def log_two_sequences() -> Layout:
    """An older valid sequence of the same session lies after the active one."""
    image = small()
    old = Entry([Data(image.layout().bat_offset, JUNK)], at=512 * KIB, sequence_number=10)
    return dirty(image, stale=[old], first_sequence_number=100)


@good()
def log_lone_entry_against_a_run() -> Layout:
    """A lone entry 15 loses against the run 10 to 20, whose head counts."""
    image = small()
    lone = Entry([Data(image.layout().bat_offset, JUNK)], at=512 * KIB, sequence_number=15)
    extra = _padded(10)
    return dirty(image, junk=False, extra=extra, split=1, stale=[lone], first_sequence_number=10)


@good()
def log_stale_entries_around() -> Layout:
    """Entries of other sessions lie before, inside the way of and after the sequence."""
    image = small()
    bat = image.layout().bat_offset
    stale = [
        Entry([Data(bat, JUNK)], at=at, log_guid=OTHER_GUID, sequence_number=number)
        for at, number in ((0, 1), (8192, 2), (256 * KIB, 2000), (MIB - 4096, 2001))
    ]
    return dirty(image, stale=stale, at=16 * 4096, split=1)


@good()
def log_flushed_offset_falls() -> Layout:
    """An earlier entry of the sequence knows a larger file, as Windows logs after a shrink."""
    layout = dirty(small(), split=1)
    assert layout.log is not None
    layout.log.entries[0].flushed_file_offset = 64 * MIB
    layout.log.entries[0].last_file_offset = 64 * MIB
    return layout


@good(GEN_08="note", LOG_15="note", LOG_16="note")
def log_offsets_odd() -> Layout:
    """Flushed and LastFileOffset are the raw, odd file length, as QEMU writes them."""
    length = small().layout().pack().length + 512
    return dirty(small(file_length=length))


@good()
def log_last_offset_extends_the_file() -> Layout:
    """The stored file ends before a block of zeros that LastFileOffset makes room for."""
    image = dynamic(8 * MIB, blocks={0: Block(), 1: Block(data=b"")})
    return dirty(image, file_length=image.layout().pack().length - MIB)


@good()
def log_extends_the_file() -> Layout:
    """The stored file ends before a block whose contents the log writes past the end."""
    image = dynamic(8 * MIB, blocks={0: Block(), 1: Block(data=pattern(1, MIB, 12 * KIB))})
    return dirty(image, file_length=image.layout().pack().length - MIB)


@good()
def log_extends_the_file_by_a_bat() -> Layout:
    """The BAT itself lies past the end of the stored file."""
    image = small(order=("log", "metadata", "blocks", "bat"))
    return dirty(image, hide=(), file_length=image.layout().bat_offset)


@good()
def log_longer() -> Layout:
    """A log of 3 MiB whose sequence lies in its last MiB and wraps."""
    return dirty(small(log_length=3 * MIB), split=1, at=3 * MIB - 4096)
