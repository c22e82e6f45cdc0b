"""A file seen through updates reads as if they had been written into it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.sparse import Sparse
from tests.support import SparseSource
from vhdx_kaitai.errors import TruncatedError
from vhdx_kaitai.storage.overlay import PAGE, Edited, Overlay, Update
from vhdx_kaitai.storage.source import BufferSource, FileSource, Source


@st.composite
def updates(draw: st.DrawFn, base: bytes) -> tuple[list[Update], bytes]:
    """Draw updates that do not overlap, and the bytes that a file has after them."""
    size = len(base) + draw(st.integers(0, 30))
    cuts = sorted(draw(st.sets(st.integers(0, size), max_size=12)))
    model = bytearray(base.ljust(size, b"\0"))
    made = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        length = end - start
        if length <= len(base) and draw(st.booleans()):
            origin = draw(st.integers(0, len(base) - length))
            prefix = draw(st.binary(max_size=min(8, length)))
            suffix = draw(st.binary(max_size=min(4, length - len(prefix))))
            made.append(Update(start, end, origin, prefix, suffix))
            inner = base[origin + len(prefix) : origin + length - len(suffix)]
            model[start:end] = prefix + inner + suffix
        else:
            made.append(Update(start, end))
            model[start:end] = bytes(length)
    return made, bytes(model)


@given(st.data(), st.binary(max_size=60))
def test_an_overlay_reads_like_a_file_that_was_written(data: st.DataObject, base: bytes) -> None:
    made, model = data.draw(updates(base))
    source = Overlay(BufferSource(base), made, len(model))
    assert source.size == len(model)
    assert source.read(0, len(model)) == model
    for _ in range(5):
        start = data.draw(st.integers(0, len(model)))
        length = data.draw(st.integers(0, len(model) - start))
        assert source.read(start, length) == model[start : start + length]
    with pytest.raises(TruncatedError):
        source.read(1, len(model))


class Holed(BufferSource):
    """Bytes of which zeros are holes."""

    def data_start(self, offset: int, end: int, /) -> int:
        data = self.read(offset, end - offset)
        return end - len(data.lstrip(b"\0"))


@given(st.data(), st.lists(st.sampled_from([b"\0" * 9, b"data"]), max_size=9).map(b"".join))
def test_only_holes_and_zeros_come_before_data(data: st.DataObject, base: bytes) -> None:
    made, model = data.draw(updates(base))
    source = Overlay(Holed(base), made, len(model))
    start = data.draw(st.integers(0, len(model)))
    end = data.draw(st.integers(start, len(model)))
    found = source.data_start(start, end)
    assert start <= found <= end
    assert not any(model[start:found])
    is_updated = any(u.start <= found < u.end and u.origin is not None for u in made)
    assert found == end or is_updated or base[found]


class LocalBuffer(BufferSource):
    """Bytes that pass for those of a local file."""

    def local_file(self, _start: int, _end: int, /) -> FileSource:
        return cast("FileSource", self)


@given(st.data(), st.binary(max_size=60))
def test_a_range_without_updates_is_that_of_the_file(data: st.DataObject, base: bytes) -> None:
    made, model = data.draw(updates(base))
    file: Source = LocalBuffer(base)
    source = Overlay(file, made, len(model))
    for _ in range(5):
        start = data.draw(st.integers(0, len(model)))
        end = data.draw(st.integers(start, len(model)))
        is_updated = any(update.start < end and start < update.end for update in made)
        found = source.local_file(start, end)
        assert (found is file) == (not is_updated and end <= len(base))
        assert found is file or found is None


def test_what_is_after_the_end_of_the_file_is_zeros_up_to_the_new_end() -> None:
    source = Overlay(BufferSource(b"abc"), [Update(5, 6, 0, b"x")], 9)
    assert source.read(0, 9) == b"abc\0\0x\0\0\0"


def test_an_overlay_reads_no_more_than_it_needs() -> None:
    base = SparseSource(Sparse(1 << 40))
    source = Overlay(base, [Update(1 << 30, 1 << 39)], 1 << 41)
    assert source.read(1 << 35, 4096) == bytes(4096)
    assert source.read(1 << 40, 4096) == bytes(4096)
    assert base.bytes_read == 0
    assert source.read(0, 100) == bytes(100)
    assert base.bytes_read == 100


def test_closing_an_overlay_closes_the_file() -> None:
    base = SparseSource(Sparse(10))
    Overlay(base, [], 10).close()
    assert base.is_closed


# -- a file with pages that were changed -----------------------------------------------------------

PAGES = 4


@given(
    st.lists(st.tuples(st.integers(0, PAGES * PAGE - 1), st.binary(min_size=1, max_size=50))),
    st.integers(0, PAGES * PAGE),
    st.integers(0, PAGES * PAGE),
)
def test_an_edited_file_reads_as_its_pages_say(
    changes: list[tuple[int, bytes]], one: int, two: int
) -> None:
    model = bytearray(range(256)) * (PAGES * PAGE // 256)
    source = Edited(BufferSource(bytes(model)))
    for offset, data in changes:
        for at, byte in enumerate(data[: PAGES * PAGE - offset], offset):
            source.page(at - at % PAGE)[at % PAGE] = model[at] = byte
    start, end = min(one, two), max(one, two)
    assert source.read(start, end - start) == model[start:end]
    assert set(source.pages) <= set(range(0, PAGES * PAGE, PAGE))


def test_a_changed_page_is_in_no_local_file_and_begins_with_data() -> None:
    base: Any = LocalBuffer(bytes(PAGES * PAGE))
    source = Edited(base)
    source.page(PAGE)[0] = 1
    assert source.local_file(0, PAGE) is base
    assert source.local_file(2 * PAGE, 4 * PAGE) is base
    assert source.local_file(PAGE - 1, PAGE + 1) is None
    assert source.local_file(2 * PAGE - 1, 3 * PAGE) is None
    holed = Edited(Holed(bytes(PAGES * PAGE)))
    holed.page(2 * PAGE)[0] = 1
    assert holed.data_start(0, 4 * PAGE) == 2 * PAGE
    assert holed.data_start(2 * PAGE + 5, 4 * PAGE) == 2 * PAGE + 5
    assert holed.data_start(3 * PAGE, 4 * PAGE) == 4 * PAGE
