"""What becomes of a block that is written to, by its state, without a parent and with one."""

from __future__ import annotations

import errno
import random
from unittest.mock import Mock

import pytest

from tests.crash.recorder import Flush, Recorder
from tests.images.image import Block, Built, differencing, dynamic, fixed, partial
from tests.images.structures import (
    FULLY_PRESENT,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from tests.writing.writing_fixtures import (
    BLOCK,
    PLACE,
    SECTOR,
    STATE,
    Case,
    Holed,
    Maker,
    child,
    lone,
    parent,
    sectors_set,
)
from vhdx_kaitai.errors import FailedError
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.writing.disk import WritableDisk

DATA = bytes(range(1, 251)) * 10  # 2500 bytes: some sectors wholly, some in part
ABSENT = (NOT_PRESENT, ZERO, UNDEFINED, UNMAPPED)


def flushes(case: Case) -> int:
    return sum(type(event).__name__ == "Flush" for event in case.file.events)


@pytest.mark.parametrize("state", ABSENT)
def test_without_a_parent_a_block_is_stored_with_zeros_around(state: int) -> None:
    case = lone({1: Block(state)})
    case.write(DATA, BLOCK + 100)
    entry = case.entry(1)
    assert entry & STATE == FULLY_PRESENT
    place = entry & PLACE
    assert case.file.data[place : place + BLOCK] == (bytes(100) + DATA).ljust(BLOCK, b"\0")
    case.disk.close()


@pytest.mark.parametrize("maker", [lone, child])
def test_a_stored_block_is_written_in_place(maker: Maker) -> None:
    case = maker({1: Block()})
    before = case.entry(1)
    case.write(DATA, BLOCK + 100)
    assert case.entry(1) == before
    assert case.file.size == len(case.before)


@pytest.mark.parametrize("state", [ZERO, UNDEFINED, UNMAPPED])
def test_a_block_that_hides_its_parent_is_never_partially_present(state: int) -> None:
    case = child({1: Block(state)})
    case.write(DATA, BLOCK + 100)
    assert case.entry(1) & STATE == FULLY_PRESENT
    assert case.bitmap_entry(0) == 0


def test_a_part_of_a_parents_block_has_bits_for_whole_sectors() -> None:
    case = child({})
    case.write(DATA, BLOCK + 3 * SECTOR + 100)
    assert case.entry(1) & STATE == PARTIALLY_PRESENT
    assert case.bitmap_entry(0) & STATE == FULLY_PRESENT
    assert case.bits(1) == sectors_set(range(3, 9))


def test_bits_from_former_times_are_cleared() -> None:
    case = child({1: Block(NOT_PRESENT, present=((0, 2048),)), 2: partial(7)})
    case.write(DATA, BLOCK + 3 * SECTOR)
    assert case.bits(1) == sectors_set(range(3, 8))
    assert case.bits(2) == sectors_set([7])


def test_a_whole_block_of_the_parents_needs_no_bits() -> None:
    case = child({})
    case.write(b"x" * BLOCK, BLOCK)
    assert case.entry(1) & STATE == FULLY_PRESENT
    assert case.bitmap_entry(0) == 0


def test_a_block_past_the_end_of_the_parent_needs_no_bits() -> None:
    case = child({}, above=parent(BLOCK), virtual_disk_size=4 * BLOCK)
    case.write(DATA, BLOCK + 100)
    assert case.entry(1) & STATE == FULLY_PRESENT
    case.write(DATA, 100)
    assert case.entry(0) & STATE == PARTIALLY_PRESENT


def test_a_sector_that_is_here_is_written_in_place_and_others_get_bits() -> None:
    case = child({1: partial(range(4, 8))})
    before = case.entry(1)
    case.write(b"y" * 700, BLOCK + 4 * SECTOR + 10)
    assert case.bits(1) == sectors_set(range(4, 8))
    case.write(b"z" * 700, BLOCK + 7 * SECTOR + 10)
    assert case.bits(1) == sectors_set(range(4, 9))
    assert case.entry(1) == before


def test_with_its_last_sector_a_block_is_fully_present() -> None:
    case = child({1: partial(range(1, 2048))})
    place = case.entry(1) & PLACE
    case.write(b"z", BLOCK + 17)
    assert case.entry(1) == place | FULLY_PRESENT


def test_of_the_last_block_only_sectors_of_the_disk_count() -> None:
    size = BLOCK + 3 * SECTOR
    case = child({1: partial(0, 1)}, above=parent(size))
    case.write(b"z" * SECTOR, BLOCK + 2 * SECTOR)
    assert case.entry(1) & STATE == FULLY_PRESENT
    assert case.bits(1)[:3] == "111"


@pytest.mark.parametrize("state", [UNDEFINED, UNMAPPED])
def test_a_block_goes_back_to_the_place_that_it_kept(state: int) -> None:
    """There may be anything: what is not written reads as zeros."""
    case = lone({0: Block(), 1: Block(state, file_offset=6 * MIB)}, file_length=8 * MIB)
    case.file.data[6 * MIB : 7 * MIB] = b"#" * MIB
    case.write(DATA, BLOCK + 100)
    assert case.entry(1) == 6 * MIB | FULLY_PRESENT


def test_old_space_is_made_zeros_and_flushed_before_an_entry_leads_to_it() -> None:
    case = lone({0: Block()}, file_length=8 * MIB)
    case.file.data[5 * MIB : 8 * MIB] = b"#" * 3 * MIB
    case.write(DATA, BLOCK + 100)
    before = flushes(case)
    case.disk.flush()
    first = flushes(case) - before
    case.write(DATA, 2 * BLOCK)
    before = flushes(case)
    case.disk.flush()
    assert flushes(case) - before == 2  # one of them before the entry is written
    assert first == 3  # and one for the header that names the first entry


@pytest.mark.parametrize(("maker", "count"), [(lone, 1), (child, 2)])
def test_how_many_flushes_a_flush_takes(maker: Maker, count: int) -> None:
    case = maker({0: Block()})
    case.write(DATA, BLOCK)
    case.disk.flush()
    case.write(DATA, 2 * BLOCK)
    before = flushes(case)
    case.disk.flush()
    assert flushes(case) - before == count


@pytest.mark.parametrize("state", [*ABSENT, FULLY_PRESENT])
@pytest.mark.parametrize("maker", [lone, child])
def test_whole_blocks_that_are_zeroed_take_no_space(maker: Maker, state: int) -> None:
    case = maker({1: Block(state)})
    case.disk.zero(BLOCK, BLOCK)
    case.held[BLOCK : 2 * BLOCK] = bytes(BLOCK)
    case.assert_held()
    assert case.entry(1) == ZERO


@pytest.mark.parametrize("maker", [lone, child])
@pytest.mark.parametrize("state", [*ABSENT, FULLY_PRESENT])
def test_a_part_of_a_block_is_zeroed_as_its_state_wants_it(maker: Maker, state: int) -> None:
    case = maker({1: Block(state)})
    case.disk.zero(BLOCK + 100, 5000)
    case.held[BLOCK + 100 : BLOCK + 5100] = bytes(5000)
    case.assert_held()
    is_parents = maker is child and state == NOT_PRESENT
    expected = PARTIALLY_PRESENT if is_parents else state if state == FULLY_PRESENT else ZERO
    assert case.entry(1) & STATE == expected


@pytest.mark.parametrize("state", [*ABSENT, FULLY_PRESENT])
@pytest.mark.parametrize("maker", [lone, child])
def test_what_is_discarded_shows_no_parent(maker: Maker, state: int) -> None:
    case = maker({1: Block(state)})
    case.disk.discard(BLOCK - 100, BLOCK + 200)
    case.held[BLOCK : 2 * BLOCK] = bytes(BLOCK)
    case.assert_held()
    stays = state in (ZERO, UNDEFINED) or (maker is lone and state == NOT_PRESENT)
    assert case.entry(1) == (state if stays else UNMAPPED)


def test_a_part_of_a_block_is_not_discarded() -> None:
    case = lone({1: Block()})
    case.disk.discard(BLOCK + 1, BLOCK - 1)
    case.disk.discard(BLOCK, BLOCK - 1)
    assert bytes(case.file.data) == case.before


def test_the_last_block_counts_as_whole_at_the_end_of_the_disk() -> None:
    case = Case(dynamic(BLOCK + SECTOR, blocks={1: Block()}))
    case.disk.discard(BLOCK, SECTOR)
    assert case.entry(1) == UNMAPPED


def test_space_that_is_given_back_is_used_again_after_a_flush() -> None:
    case = lone({0: Block(), 1: Block()})
    length = case.file.size
    place = case.entry(1) & PLACE
    case.disk.discard(BLOCK, BLOCK)
    case.held[BLOCK : 2 * BLOCK] = bytes(BLOCK)
    case.write(DATA, 2 * BLOCK)
    assert case.file.size == length + BLOCK  # its data has to stay for whoever finds the old entry
    case.disk.flush()
    case.write(DATA, 3 * BLOCK)
    assert case.entry(3) & PLACE == place
    assert case.file.size == length + BLOCK


def test_on_a_fixed_disk_zeros_are_written_and_nothing_is_discarded() -> None:
    case = Case(fixed(4 * BLOCK))
    before = [case.entry(block) for block in range(4)]
    case.disk.discard(0, 4 * BLOCK)
    assert bytes(case.file.data) == case.before
    case.disk.zero(100, 2 * BLOCK)
    case.held[100 : 2 * BLOCK + 100] = bytes(2 * BLOCK)
    case.assert_held()
    assert [case.entry(block) for block in range(4)] == before


def test_sectors_of_4096_bytes_have_a_bit_each() -> None:
    above = dynamic(
        4 * BLOCK, blocks={n: Block() for n in range(4)}, logical_sector_size=4096
    ).build()
    case = child({}, above=above, logical_sector_size=4096)
    case.write(b"z" * 5000, BLOCK + 4096 + 10)
    assert case.bits(1)[:256] == sectors_set([1, 2], 256)


# -- partially present blocks, which are kept in mind ----------------------------------------------


def test_a_block_fills_up_sector_by_sector_in_whatever_order() -> None:
    case = child({})
    sectors = [*range(BLOCK // SECTOR)]
    chance = random.Random(7)
    chance.shuffle(sectors)
    case.write(b"a" * 5 * SECTOR, BLOCK)
    case.write(b"b" * 5 * SECTOR, BLOCK + 3 * SECTOR)
    for number in sectors[:-1]:
        data, start = chance.randbytes(SECTOR), BLOCK + number * SECTOR
        if number % 3:  # a part of it alone, and then the rest
            case.disk.pwrite(data[:100], start)
        case.disk.pwrite(data, start)
        case.held[start : start + SECTOR] = data
    case.assert_held()
    assert case.entry(1) & STATE == PARTIALLY_PRESENT
    assert case.bits(1) == sectors_set({*sectors[:-1], *range(8)})
    place = case.entry(1) & PLACE
    case.write(b"z" * SECTOR, BLOCK + sectors[-1] * SECTOR)
    assert case.entry(1) == place | FULLY_PRESENT
    case.disk.close()


@pytest.mark.parametrize("verb", ["zero", "discard"])
def test_a_block_that_has_lost_its_place_is_not_written_there(verb: str) -> None:
    case = child({})
    case.write(DATA, BLOCK + 100)
    place = case.entry(1) & PLACE
    getattr(case.disk, verb)(BLOCK, BLOCK)
    case.held[BLOCK : 2 * BLOCK] = bytes(BLOCK)
    case.disk.flush()
    case.write(b"q" * BLOCK, 2 * BLOCK)
    assert case.entry(2) == place | FULLY_PRESENT
    case.write(DATA, BLOCK + 100)
    assert case.entry(1) & STATE == FULLY_PRESENT


def test_a_block_that_others_have_changed_is_looked_up_anew() -> None:
    case = child({})
    case.write(DATA, BLOCK + 100)
    with case.disk.editing() as editor:
        editor.drop_blocks(1, 2, ZERO, ())
    case.disk.pwrite(DATA, BLOCK + 100)
    assert case.entry(1) & STATE == FULLY_PRESENT
    case.held[BLOCK : 2 * BLOCK] = (bytes(100) + DATA).ljust(BLOCK, b"\0")
    case.assert_held()


def test_nothing_is_written_into_a_block_that_is_known_when_the_disk_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = child({})
    case.write(DATA, BLOCK + 100)

    def fails(*_arguments: object) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(Recorder, "flush", fails)
    with pytest.raises(OSError, match="no"):
        case.disk.flush()
    before = bytes(case.file.data)
    monkeypatch.setattr(Recorder, "_fill", fails)  # nor is anything read for that
    for offset in (0, 100, 2900):  # whole sectors, some that are here, and one that is not
        with pytest.raises(FailedError):
            case.disk.pwrite(DATA[:SECTOR], BLOCK + offset)
    monkeypatch.undo()
    case.disk.close()
    assert bytes(case.file.data) == before


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_nothing_is_written_into_a_block_that_is_known_when_the_disk_is_closed(
    is_interrupted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = child({})
    case.write(DATA, BLOCK + 100)
    if is_interrupted:
        monkeypatch.setattr(WritableDisk, "_forget_blocks", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            case.disk.close()
    else:
        case.disk.close()
    before = bytes(case.file.data)
    with pytest.raises(ValueError, match="closed"):
        case.disk.pwrite(b"x", BLOCK + 100)
    assert bytes(case.file.data) == before


def test_nothing_is_written_past_the_end_of_the_disk_into_a_block_that_is_known() -> None:
    size = BLOCK + 8 * SECTOR
    case = child({}, above=parent(size))
    case.write(b"z" * SECTOR, BLOCK)
    case.write(b"z" * SECTOR, BLOCK + SECTOR)
    with pytest.raises(ValueError, match="inside the disk"):
        case.disk.pwrite(b"z" * SECTOR, size)
    case.assert_held()


def test_a_write_does_not_go_on_past_a_block_that_is_known() -> None:
    case = child({})
    case.write(DATA, BLOCK + 100)
    case.write(DATA, 2 * BLOCK - 1000)
    assert case.entry(2) & STATE == PARTIALLY_PRESENT


def test_a_write_of_nothing_changes_nothing() -> None:
    """A sector of which it is in the middle stays the parent's."""
    case = child({})
    case.write(b"x" * SECTOR, BLOCK)
    case.disk.flush()
    before = bytes(case.file.data)
    case.write(b"", BLOCK + SECTOR + 100)
    case.disk.flush()
    assert bytes(case.file.data) == before


def test_who_holds_the_editor_writes_nothing_to_a_block_that_is_known() -> None:
    case = child({})
    case.write(DATA, BLOCK + 100)
    with case.disk.editing():
        assert case.disk.pwrite(b"", BLOCK + 100) == 0
        with pytest.raises(ValueError, match="inside the disk"):
            case.disk.pwrite(b"x", 1 << 40)
        with pytest.raises(RuntimeError):
            case.disk.pwrite(b"x", BLOCK + 100)


def test_what_is_there_already_is_written_in_place_and_takes_one_flush() -> None:
    case = child({})
    case.write(DATA, BLOCK)
    case.disk.flush()
    case.write(b"x" * 1000, BLOCK + 10)
    case.write(b"y" * SECTOR, BLOCK + SECTOR)
    before = len(case.file.events)
    case.disk.flush()
    assert case.file.events[before:] == [Flush()]


def test_bits_that_are_set_are_kept_back_by_a_barrier_though_others_could_not_be() -> None:
    """Their page of the sector bitmap is a hole, and there is no space."""
    block = 32 * MIB
    above = dynamic(block, block_size=block, blocks={0: Block()}, tag=9).build()
    built = differencing(parent=above, blocks={}, block_size=block).build()
    file = Holed(built.to_bytes())
    disk = WritableDisk([Opened(file), Opened(above.to_bytes())])
    disk.pwrite(b"x" * SECTOR, 0)
    disk.flush()
    former = disk.pread(2 * SECTOR, block // 2 - SECTOR)
    entry = built.layout.bat_offset + 8 * built.layout.image.geometry.bitmap_index(0)
    bitmap = int.from_bytes(Opened(bytes(file.data)).source.read(entry, 8), "little") & PLACE
    file.holes = frozenset({bitmap + 4096})
    with pytest.raises(OSError, match="full"):
        disk.pwrite(b"y" * 2 * SECTOR, block // 2 - SECTOR)
    assert disk.pread(2 * SECTOR, block // 2 - SECTOR) == b"y" * SECTOR + former[SECTOR:]
    before = file.events.count(Flush())
    disk.flush()
    assert file.events.count(Flush()) - before == 2
    file.holes = frozenset()
    disk.pwrite(b"z" * (block - 1), 1)  # the bit that is set counts
    assert disk.pread(3, 0) == b"xzz"
    disk.close()
    assert [extent.state for extent in disk_of(file, above).extents()] == ["fully_present"]


def disk_of(file: Recorder, *above: Built) -> Disk:
    """Return the disk of an image with its parents, to be read."""
    return Disk([Opened(bytes(file.data)), *(Opened(parent.to_bytes()) for parent in above)])
