"""Damage to the block allocation table, and to where blocks lie."""

from __future__ import annotations

from tests.images.bases import END
from tests.images.image import Block, Layout
from tests.images.structures import (
    BAT_REGION,
    FULLY_PRESENT,
    GIB,
    MIB,
    PARTIALLY_PRESENT,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)

from .case import damage
from .editing import free_space


@damage("BAT-01", base="wide")
def bat_region_too_small(layout: Layout) -> None:
    """The BAT region has room for 131072 of 204849 entries."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "length", MIB))


@damage("BAT-02", refusal="read", read_at=0)
def bat_reserved_bit_low(layout: Layout) -> None:
    """Bit 3 of the entry of a stored block is set."""
    layout.set_entry(0, FULLY_PRESENT, layout.payload[0], reserved=1)


@damage("BAT-02", refusal="read", read_at=0)
def bat_reserved_bit_high(layout: Layout) -> None:
    """Bit 19 of the entry of a stored block is set."""
    layout.set_entry(0, FULLY_PRESENT, layout.payload[0], reserved=1 << 16)


@damage("BAT-03", refusal="read", read_at=7 * MIB)
def bat_state_4(layout: Layout) -> None:
    """A payload entry has the reserved state 4."""
    layout.set_entry(7, 4)


@damage("BAT-03", refusal="read", read_at=MIB)
def bat_state_5(layout: Layout) -> None:
    """A payload entry with a place has the reserved state 5."""
    layout.set_entry(1, 5, layout.payload[1])


@damage("BAT-04", base="differencing", refusal="read", read_at=MIB)
def bat_bitmap_state_1(layout: Layout) -> None:
    """The sector bitmap entry of a chunk with a partly present block has state 1."""
    index = layout.image.geometry.bitmap_index(0)
    layout.bat[index] = layout.bat[index] & ~7 | 1


@damage("BAT-04", base="chunks", refusal="check")
def bat_bitmap_state_7(layout: Layout) -> None:
    """The sector bitmap entry of a dynamic image has state 7."""
    layout.bat[16] = 7 | free_space(layout)


@damage("BAT-05", refusal="read", read_at=0)
def bat_partial_in_dynamic(layout: Layout) -> None:
    """A block of a dynamic image is PARTIALLY_PRESENT."""
    layout.set_entry(0, PARTIALLY_PRESENT, layout.payload[0])


@damage("BAT-05", base="fixed", refusal="read", read_at=0)
def bat_partial_in_fixed(layout: Layout) -> None:
    """A block of a fixed image is PARTIALLY_PRESENT."""
    layout.set_entry(0, PARTIALLY_PRESENT, layout.payload[0])


@damage("BAT-06", base="chunks", refusal="check")
def bat_bitmap_in_dynamic(layout: Layout) -> None:
    """A dynamic image has a present sector bitmap block."""
    layout.bat[16] = 6 | free_space(layout)


@damage("BAT-07", base="differencing", refusal="read", read_at=MIB)
def bat_bitmap_missing(layout: Layout) -> None:
    """A block is PARTIALLY_PRESENT and its chunk has no sector bitmap."""
    del layout.bat[layout.image.geometry.bitmap_index(0)]


@damage("BAT-08", "OVL-06", refusal="check", visible=("BAT-08", "OVL-06"))
def bat_two_blocks_in_one_place(layout: Layout) -> None:
    """Two payload blocks have the same place in the file."""
    layout.set_entry(1, FULLY_PRESENT, layout.payload[0])


@damage("BAT-08", "OVL-06", base="differencing", refusal="check", visible=("BAT-08", "OVL-06"))
def bat_bitmap_over_a_block(layout: Layout) -> None:
    """The sector bitmap block has the place of payload block 6."""
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6 | layout.payload[6]


@damage("BAT-09", "OVL-07", refusal="read", read_at=0, visible=("BAT-09", "OVL-07"))
def bat_block_at_zero(layout: Layout) -> None:
    """A present block has FileOffsetMB 0, which is the header section."""
    layout.set_entry(0, FULLY_PRESENT, 0)


@damage("OVL-07", "BAT-09", base="fixed", refusal="read", read_at=0, visible=("OVL-07", "BAT-09"))
def bat_block_of_fixed_at_zero(layout: Layout) -> None:
    """A present block of a fixed image has FileOffsetMB 0, which is the header section."""
    layout.set_entry(0, FULLY_PRESENT, 0)


@damage("BAT-09", base="differencing", refusal="read", read_at=MIB, visible=("BAT-09", "OVL-07"))
def bat_bitmap_at_zero(layout: Layout) -> None:
    """A present sector bitmap has FileOffsetMB 0, which is the header section."""
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6


@damage("BAT-10", refusal="read", read_at=0)
def bat_block_past_the_end(layout: Layout) -> None:
    """A present block lies wholly past the end of the file."""
    layout.set_entry(0, FULLY_PRESENT, GIB)


@damage("BAT-10", base="two-mib", refusal="read", read_at=MIB)
def bat_block_over_the_end(layout: Layout) -> None:
    """The second half of a present block, not the disk's last one, is past the file's end."""
    layout.set_entry(0, FULLY_PRESENT, free_space(layout))


@damage("BAT-10", base="fixed", refusal="read", read_at=4 * MIB - 512)
def bat_last_block_cut_in_its_data(layout: Layout) -> None:
    """The file ends in the last block, one sector before the disk does."""
    layout.file_length = layout.payload[3] + MIB - 512


@damage("BAT-10", "GEN-09", base="two-mib", refusal="read", read_at=0)
def bat_block_wraps_around(layout: Layout) -> None:
    """FileOffsetMB is all ones, so the block passes 2**64."""
    layout.set_entry(0, FULLY_PRESENT, END - MIB)


@damage("BAT-10", base="differencing", refusal="read", read_at=MIB)
def bat_bitmap_past_the_end(layout: Layout) -> None:
    """A present sector bitmap lies past the end of the file."""
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6 | GIB


@damage("BAT-11", level="note")
def bat_zero_with_an_offset(layout: Layout) -> None:
    """A ZERO block has a file offset, which means nothing."""
    layout.set_entry(2, ZERO, GIB)


@damage("BAT-11", level="note")
def bat_not_present_with_an_offset(layout: Layout) -> None:
    """A NOT_PRESENT block has the file offset of a stored one, which means nothing."""
    layout.set_entry(7, 0, layout.payload[0])


@damage("BAT-02", "BAT-05", "BAT-10", base="wide", refusal="check")
def bat_page_of_ones(layout: Layout) -> None:
    """All bits of the second page of the BAT are set."""
    layout.bat |= dict.fromkeys(range(512, 1024), END - 1)


@damage("BAT-10", base="fixed", refusal="check")
def bat_counts_sectors(layout: Layout) -> None:
    """The places of all blocks are in sectors of 512 bytes instead of MiB."""
    for block, place in layout.payload.items():
        layout.set_entry(block, FULLY_PRESENT, place * (MIB // 512))


@damage("BAT-15", base="differencing", level="note")
def bat_entries_past_the_disk(layout: Layout) -> None:
    """Of the last chunk of a differencing disk, two entries for blocks that it has not are set."""
    layout.bat |= {8: FULLY_PRESENT | free_space(layout), 10: ZERO}


@damage("BAT-15", level="note")
def bat_entries_after_the_last(layout: Layout) -> None:
    """An entry after the computed count is not zero."""
    layout.bat[layout.image.geometry.entry_count] = 6 | layout.payload[0]


@damage("BLK-07", base="differencing", level="note")
def bitmap_without_a_bit(layout: Layout) -> None:
    """A PARTIALLY_PRESENT block has no sector in this file."""
    layout.bitmaps[0].runs = ()


@damage("BLK-13", level="note")
def data_of_nothing(layout: Layout) -> None:
    """There are old data in the free MiB after the log."""
    layout.patch(layout.log_offset + layout.image.log_length + 1000, b"old data")


@damage("BLK-10", base="differencing", level="note")
def bitmap_bits_past_the_end(layout: Layout) -> None:
    """The sector bitmap has bits for the 8 sectors past the end of the disk."""
    bitmap, end = layout.bitmaps[0], 8 * MIB // 512
    bitmap.runs = (*bitmap.runs, (end, end + 8))


@damage("OVL-05", "REG-19", refusal="read", read_at=0, visible=("OVL-05", "REG-19"))
def bat_block_over_the_metadata(layout: Layout) -> None:
    """A present block has the place of the metadata region."""
    layout.set_entry(0, FULLY_PRESENT, layout.metadata_offset)


@damage("OVL-05", "HDR-29", refusal="read", read_at=0, visible=("OVL-05", "HDR-29"))
def bat_block_over_the_log(layout: Layout) -> None:
    """A present block has the place of the log."""
    layout.set_entry(0, FULLY_PRESENT, layout.log_offset)


@damage("OVL-05", "REG-19", base="two-mib", refusal="read", read_at=0, visible=("OVL-05", "REG-19"))
def bat_block_reaches_into_the_bat(layout: Layout) -> None:
    """The second half of a present block is the BAT region."""
    layout.set_entry(0, FULLY_PRESENT, layout.bat_offset - MIB)


@damage(
    "OVL-05",
    "REG-19",
    base="differencing",
    refusal="read",
    read_at=MIB,
    visible=("OVL-05", "REG-19"),
)
def bat_bitmap_over_the_metadata(layout: Layout) -> None:
    """A present sector bitmap has the place of the metadata region."""
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6 | layout.metadata_offset


@damage("OVL-06", base="two-mib", refusal="check")
def bat_blocks_overlap_partly(layout: Layout) -> None:
    """Half of a present block is half of another one; their offsets differ."""
    layout.set_entry(1, FULLY_PRESENT, layout.payload[0] + MIB)


def _be(layout: Layout, block: int, state: int) -> None:
    """Let the model know that a block is in another state."""
    layout.image = layout.image.but(blocks={**layout.image.blocks, block: Block(state)})


@damage("OVL-09", "BAT-12", base="two-mib", level="warning")
def bat_unmapped_over_a_block(layout: Layout) -> None:
    """An UNMAPPED block keeps a range that a present block now has half of."""
    _be(layout, 3, UNMAPPED)
    layout.set_entry(3, UNMAPPED, layout.payload[0] + MIB)


@damage("OVL-09", "BAT-12", level="warning")
def bat_undefined_over_the_log(layout: Layout) -> None:
    """An UNDEFINED block keeps the range of the log."""
    layout.set_entry(4, UNDEFINED, layout.log_offset)


@damage("BAT-12", level="warning")
def bat_unmapped_past_the_end(layout: Layout) -> None:
    """An UNMAPPED block keeps a range past the end of the file."""
    layout.set_entry(3, UNMAPPED, GIB)


@damage("BAT-12", level="warning", base="two-mib")
def bat_undefined_over_the_end(layout: Layout) -> None:
    """An UNDEFINED block keeps a range whose second half is past the end of the file."""
    _be(layout, 3, UNDEFINED)
    layout.set_entry(3, UNDEFINED, (layout.file_length or 0))
    layout.file_length = (layout.file_length or 0) + MIB
