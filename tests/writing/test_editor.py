"""An image that is being changed: what is refused, what readers see, and the order of pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.recorder import Flush, Length, Recorder
from tests.images.damage import DAMAGES
from tests.images.image import Block, Image, dynamic, fixed
from tests.images.structures import FULLY_PRESENT, MIB, UNMAPPED
from tests.support import damaged, good
from tests.writing.writing_fixtures import BLOCK, PLACE, Case, Holed, child, lone
from vhdx_kaitai.errors import FormatError, LimitError
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.writing import editor
from vhdx_kaitai.writing.disk import WritableDisk
from vhdx_kaitai.writing.editor import survey_to_write

KIB4 = 4096

# What a reader refuses of some block only; a writer takes the whole file for what it is.
OF_BLOCKS = [name for name, case in DAMAGES.items() if case.refusal == "read"]


@pytest.mark.parametrize("name", OF_BLOCKS)
def test_an_image_with_an_error_in_its_bat_is_not_written_to(name: str) -> None:
    built = damaged(name)
    if built.layout.image.has_parent:
        pytest.skip("its parent is not there")
    file = Recorder(built.to_bytes())
    disk = WritableDisk([Opened(file)])
    with pytest.raises((FormatError, LimitError)):
        disk.pwrite(b"x", 0)
    with pytest.raises((FormatError, LimitError)):
        disk.zero(0, 1)
    disk.close()
    assert [event for event in file.events if not isinstance(event, Flush)] == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({1: Block(UNMAPPED, file_offset=90 * MIB)}, "BAT-12"),
        ({0: Block(file_offset=4 * MIB), 1: Block(UNMAPPED, file_offset=4 * MIB)}, "OVL-09"),
    ],
)
def test_a_kept_place_that_is_no_place_for_the_block_is_refused(
    change: dict[int, Block], rule: str
) -> None:
    """To readers it is harmless: no data is read from there."""
    file = Recorder(dynamic(4 * BLOCK, blocks=change).build().to_bytes())
    with pytest.raises(FormatError, match=rule):
        survey_to_write(Opened(file))


def test_readers_see_changes_before_they_are_in_the_file() -> None:
    case = lone({0: Block()})
    case.write(b"x" * 100, BLOCK)
    assert next(case.disk.extents(BLOCK)).state == "fully_present"
    assert case.disk.image.bat.entry(1) & 7 == FULLY_PRESENT
    assert int.from_bytes(case.file.data[case.bat_offset + 8 :][:8], "little") == 0


def test_bits_come_before_entries_and_the_entry_of_a_bitmap_before_those_that_need_it() -> None:
    """Disks with blocks of 1 MiB have eight pages of entries a chunk, the bitmap's in the last."""
    size = 2 * 4096 * MIB
    above = dynamic(size, tag=9).build()
    built = Image(size, "differencing", parent=above).build()
    file = Recorder(built.to_bytes())
    disk = WritableDisk([Opened(file), Opened(above.to_bytes())])
    for block in (0, 600, 4000, 4096, 5000):
        disk.pwrite(b"x" * 512, block * BLOCK)
    disk.flush()
    replayed = Opened(bytes(file.data)).replayed
    assert replayed is not None
    (entry,) = replayed.entries
    pages = [change.file_offset for change in entry.descriptors]
    bat = built.layout.bat_offset
    in_bat = [bat <= offset < bat + MIB for offset in pages]
    assert in_bat == sorted(in_bat)
    assert pages[in_bat.index(True) :] == [bat + at * KIB4 for at in (16, 9, 8, 7, 1, 0)]
    disk.close()


def test_the_file_is_made_as_long_as_a_mib_before_anything_is_appended() -> None:
    layout = dynamic(4 * BLOCK, blocks={0: Block()}, file_length=5 * MIB + 512).layout()
    layout.patch(5 * MIB, b"#" * 512)
    case = Case(layout)
    case.write(b"x", BLOCK)
    case.write(b"x", 2 * BLOCK)
    assert [case.entry(block) & PLACE for block in (1, 2)] == [5 * MIB, 6 * MIB]
    assert case.file.size == 7 * MIB


def test_nothing_is_put_into_a_last_block_that_is_cut() -> None:
    """QEMU writes fixed disks whose file ends where the disk does, inside the last block."""
    layout = fixed(BLOCK + 512).layout()
    last = layout.payload[1]
    layout.file_length = last + 512
    case = Case(layout)
    case.write(b"x", BLOCK + 100)
    case.disk.flush()
    assert case.file.size == last + BLOCK


def test_what_was_appended_and_given_back_is_cut_off_when_the_log_is_clean() -> None:
    case = lone({0: Block()})
    length = case.file.size
    case.write(b"x", BLOCK)
    case.write(b"x", 2 * BLOCK)
    case.disk.discard(2 * BLOCK, BLOCK)
    case.disk.close()
    assert case.file.size == length + BLOCK
    assert isinstance(case.file.events[-2], Length)
    assert isinstance(case.file.events[-1], Flush)


def test_a_page_has_room_in_the_file_before_it_is_logged() -> None:
    """Putting it into its place must not fail for want of space: it would fail at every replay."""
    built = good("dynamic-empty")
    file = Holed(built.to_bytes())
    file.holes = frozenset({built.layout.bat_offset})
    disk = WritableDisk([Opened(file)])
    with pytest.raises(OSError, match="full"):
        disk.pwrite(b"x", 0)
    assert not any(disk.pread(MIB, 0))
    disk.flush()  # the disk goes on
    file.holes = frozenset()
    disk.pwrite(b"x", 0)
    disk.close()
    with WritableDisk([Opened(file)]) as again:
        assert again.pread(2, 0) == b"x\0"


def test_a_child_without_its_parent_is_not_written_to() -> None:
    case = child({})
    with pytest.raises(ValueError, match="all of its parents"):
        WritableDisk([Opened(Recorder(case.before))])


@pytest.mark.parametrize("source", ["path", "bytes"])
def test_only_a_file_that_was_opened_to_be_written_is(source: str, tmp_path: Path) -> None:
    built = good("dynamic-plain")
    data = str(built.write(tmp_path / "a.vhdx")) if source == "path" else built.to_bytes()
    with Opened(data) as image, pytest.raises(TypeError, match="not opened to be written"):
        WritableDisk([image])


def test_layouts_of_all_good_images_survive_a_write_into_each_block() -> None:
    for name in ("blocks-in-disorder", "regions-not-required", "sectors-of-4096"):
        built = good(name)
        file = Recorder(built.to_bytes())
        disk = WritableDisk([Opened(file)])
        held = bytearray(built.model.read(0, disk.size))
        for block in range(-(-disk.size // disk.block_size)):
            disk.pwrite(b"#", block * disk.block_size)
            held[block * disk.block_size] = ord("#")
        assert disk.pread(disk.size, 0) == held
        disk.close()
        assert WritableDisk([Opened(file)]).pread(disk.size, 0) == held, name


@pytest.mark.parametrize(("most", "are_in_place"), [(3, False), (1, True)])
def test_pages_wait_in_memory_unless_there_are_many(
    most: int, are_in_place: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editor, "_MOST_KEPT", most)
    built = dynamic(2048 * MIB).build()  # with 512 entries in a page
    file = Recorder(built.to_bytes())
    disk = WritableDisk([Opened(file)])
    for block in (0, 600):
        disk.pwrite(b"x", block * BLOCK)
    disk.flush()
    first = file.data[built.layout.bat_offset :][:8]
    assert (int.from_bytes(first, "little") & 7 == FULLY_PRESENT) == are_in_place
    disk.close()
    image = Opened(bytes(file.data))
    assert image.replayed is None
    assert [image.bat.entry(block) & 7 for block in (0, 600)] == [FULLY_PRESENT] * 2
