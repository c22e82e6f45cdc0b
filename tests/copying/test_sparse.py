"""What is written of a buffer is all but its pages of zeros, which become holes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.images.structures import KIB, MIB
from tests.reading_fixtures import allocated
from vhdx_kaitai.copying.sparse import PIECE, copy_range, written_ranges
from vhdx_kaitai.storage.source import BufferSource, FileSource, Source
from vhdx_kaitai.storage.target import new_file

PAGE = 4 * KIB


def expected_ranges(data: bytes) -> list[tuple[int, int]]:
    """Return where pages are not zero, neighbours as one, by looking at each byte."""
    ranges: list[tuple[int, int]] = []
    for start in range(0, len(data), PAGE):
        page = data[start : start + PAGE]
        if set(page) == {0}:
            continue
        if ranges and ranges[-1][1] == start:
            ranges[-1] = (ranges[-1][0], start + len(page))
        else:
            ranges.append((start, start + len(page)))
    return ranges


def patchwork(seed: int) -> bytes:
    """Return a piece in which pages are zeros, data, or zeros but for one byte somewhere."""
    chance = random.Random(seed)
    pages = []
    for _ in range(PIECE // PAGE):
        page = bytearray(PAGE)
        match chance.randrange(5):
            case 0:
                page[:] = chance.randbytes(PAGE)
            case 1:
                page[chance.randrange(PAGE)] = 1
            case 2:
                page[-1] = 1
        pages += [page] * chance.choice((1, 1, 2, 5))
    return b"".join(pages)[:PIECE]


@pytest.mark.parametrize("count", [PIECE, PIECE - 512, PIECE - PAGE, 5 * PAGE + 1, PAGE, 511, 1])
@pytest.mark.parametrize("seed", range(4))
def test_pages_of_zeros_are_left_out(seed: int, count: int) -> None:
    data = patchwork(seed)
    # What stands in the buffer after the bytes that are meant does not count.
    assert list(written_ranges(memoryview(data), count)) == expected_ranges(data[:count])


@pytest.mark.parametrize("count", [PIECE, PIECE - 1, PAGE + 1, PAGE, 1])
@pytest.mark.parametrize("at", [None, 0, 1, PAGE - 1, PAGE, -PAGE, -1])
def test_nothing_is_written_of_zeros_and_one_byte_is_enough(at: int | None, count: int) -> None:
    data = bytearray(PIECE)
    if at is not None:
        data[at if at >= 0 else count + at if count + at >= 0 else 0] = 1
    view = memoryview(data)
    assert list(written_ranges(view, count)) == expected_ranges(bytes(data[:count]))
    for begin in (0, count // 3, count):
        expected = expected_ranges(bytes(data[begin:count]))
        assert list(written_ranges(view, count - begin, begin)) == expected


@pytest.mark.parametrize("is_file", [False, True])
@pytest.mark.parametrize(("start", "end"), [(0, 5 * MIB), (MIB + 777, 4 * MIB - 5), (7, 7)])
def test_a_range_is_copied_to_its_own_place(
    start: int, end: int, is_file: bool, tmp_path: Path
) -> None:
    data = patchwork(1) + bytes(2 * MIB) + patchwork(2) + patchwork(3)[: MIB - 100]
    data = data.ljust(5 * MIB, b"x")
    source: Source = BufferSource(data)
    if is_file:
        with (tmp_path / "in").open("wb") as file:
            file.write(data[:MIB])
            file.seek(3 * MIB)
            file.write(data[3 * MIB :])
        source = FileSource(str(tmp_path / "in"))
    with new_file(str(tmp_path / "out")) as out:
        out.set_length(len(data))
        written = copy_range(source, out, start, end)
    source.close()
    copied = bytes(start) + data[start:end] + bytes(len(data) - end)
    assert (tmp_path / "out").read_bytes() == copied
    assert abs(allocated(tmp_path / "out") - written) <= 2 * PAGE + written // 20
    assert written <= end - start
