"""Strategies for hostile files: good images that were changed, most with their checksums mended."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

from crc32c import crc32c
from hypothesis import strategies as st

from tests.images.strategies import wild_files
from tests.images.structures import HEADER_OFFSETS, KIB, MIB, REGION_TABLE_OFFSETS
from tests.support import good


class Hostile:
    """A file that shows itself by how it came about.

    Its bytes would fill a report; and hypothesis keeps what it has drawn, so they are made anew
    each time.
    """

    def __init__(self, make: Callable[[], bytes], recipe: str) -> None:
        self._make = make
        self._recipe = recipe

    def __repr__(self) -> str:
        return f"<{self._recipe}>"

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return self._make()


# Images of every kind, small ones: each is a place to start from.
BASES = (
    "dynamic-plain",
    "fixed-with-absent-blocks",
    "differencing-plain",
    "items-of-all-kinds",
    "locator-shared-strings",
    "unknown-region-optional",
    "clean-with-old-entries",
    "dirty-everything",
    "dirty-bitmaps",
    "dirty-older-state",
    "log-of-windows",
    "log-sequence-wraps",
    "log-run-longer-than-the-sequence",
    "log-extends-the-file",
)


def mended(data: bytes) -> bytes:
    """Return a file with the checksums that its structures ask for, wherever they can be found.

    Without this nearly every change would end at the first checksum.
    """
    out = bytearray(data)
    for offset in REGION_TABLE_OFFSETS:
        if out[offset : offset + 4] == b"regi":
            _mend(out, offset, 64 * KIB)
    for offset in HEADER_OFFSETS:
        if out[offset : offset + 4] == b"head" and len(out) >= offset + 4096:
            length, place = struct.unpack_from("<IQ", out, offset + 68)
            _mend_log(out, place, length)
            _mend(out, offset, 4096)
    return bytes(out)


def _mend(out: bytearray, offset: int, length: int) -> None:
    if offset + length <= len(out):
        checksum = _checksum(bytes(out[offset : offset + length]))
        out[offset + 4 : offset + 8] = checksum


def _mend_log(out: bytearray, place: int, length: int) -> None:
    if not 0 < length <= 4 * MIB or place + length > len(out) or length % 4096:
        return
    ring = bytes(out[place : place + length])
    for at in range(0, length, 4096):
        if ring[at : at + 4] != b"loge":
            continue
        size = int.from_bytes(ring[at + 8 : at + 12], "little")
        if 64 <= size <= length:
            entry = (ring[at:] + ring[:at])[:size]
            out[place + at + 4 : place + at + 8] = _checksum(entry)


def _checksum(data: bytes) -> bytes:
    return crc32c(data[:4] + bytes(4) + data[8:]).to_bytes(4, "little")


@cache
def _bytes_of(name: str) -> bytes:
    return good(name).to_bytes()


@cache
def _places(name: str) -> list[tuple[int, int]]:
    """Return offset and length of what is worth changing in an image."""
    layout = good(name).layout
    places = [(0, 80), (8, 512)]
    places += [(offset, 80) for offset in HEADER_OFFSETS]
    places += [(offset, 16 + 32 * 5) for offset in REGION_TABLE_OFFSETS]
    places += [
        (layout.metadata_offset, 32 + 32 * 12),
        (layout.metadata_offset + 64 * KIB, 900),
        (layout.bat_offset, 8 * 20),
        (layout.bat_offset + 8 * layout.image.geometry.chunk_ratio, 8),
    ]
    if layout.log is not None:
        for placed in layout.log.placed():
            places.append((layout.log_offset + placed.at, 64 + 32 * 4))
            places.append((layout.log_offset + placed.at + 4096, 16))
    return places


_EXTREMES = st.sampled_from(
    [
        b"\0",
        b"\xff",
        b"\x01",
        b"\x80",
        b"\0" * 4,
        b"\xff" * 4,
        b"\xff" * 8,
        b"\xff\xff\xff\x7f",
        (MIB).to_bytes(8, "little"),
        (1 << 63).to_bytes(8, "little"),
        (1 << 46).to_bytes(8, "little"),
        ((1 << 64) - MIB).to_bytes(8, "little"),
        (4096).to_bytes(4, "little"),
        (2048).to_bytes(4, "little"),
    ]
)
_LENGTHS = st.sampled_from((1, 2, 4, 8, 16, 32, 64, 512, 4096, 64 * KIB, MIB))


class Change(NamedTuple):
    """One thing done to the bytes of a file."""

    kind: str
    at: int
    new: bytes = b""
    number: int = 0
    source: int = 0

    def apply(self, data: bytearray) -> None:
        """Do it."""
        if self.kind == "flip" and self.at < len(data):
            data[self.at] ^= 1 << self.number
        elif self.kind == "set":
            data[self.at : self.at + len(self.new)] = self.new
        elif self.kind == "copy":
            piece = data[self.source : self.source + self.number]
            data[self.at : self.at + len(piece)] = piece
        elif self.kind == "remove":
            del data[self.at : self.at + self.number]
        elif self.kind == "cut":
            del data[self.at :]


def changed(name: str, changes: list[Change], *, is_mended: bool) -> bytes:
    """Return a good image with things done to it, one after the other."""
    data = bytearray(_bytes_of(name))
    for change in changes:
        change.apply(data)
    return mended(bytes(data)) if is_mended else bytes(data)


@st.composite
def mutations(draw: st.DrawFn) -> Hostile:
    """Draw a good image with some bytes changed, moved or cut."""
    name = draw(st.sampled_from(BASES))
    places = st.sampled_from(_places(name)).flatmap(
        lambda place: st.integers(place[0], place[0] + place[1] - 1)
    )
    change = st.one_of(
        st.builds(Change, st.just("flip"), places, st.just(b""), st.integers(0, 7)),
        st.builds(Change, st.just("set"), places, st.binary(min_size=1, max_size=8)),
        st.builds(Change, st.just("set"), places, _EXTREMES),
        st.builds(Change, st.just("set"), places.map(lambda at: at - at % 8), _EXTREMES),
        st.builds(Change, st.just("copy"), places, st.just(b""), _LENGTHS, places),
        st.builds(Change, st.just("remove"), places, st.just(b""), _LENGTHS),
    )
    changes = draw(st.lists(change, min_size=1, max_size=5))
    if draw(st.integers(0, 5)) == 0:
        changes.append(Change("cut", draw(st.integers(0, len(_bytes_of(name))))))
    is_mended = draw(st.integers(0, 9)) > 0
    recipe = f"{name}, {changes}, mended: {is_mended}"
    return Hostile(partial(changed, name, changes, is_mended=is_mended), recipe)


def _scrap(size: int, pieces: dict[int, bytes], *, is_mended: bool) -> bytes:
    data = bytearray(size)
    for offset, piece in pieces.items():
        data[offset : offset + len(piece)] = piece
    result = bytes(data[:size])
    return mended(result) if is_mended else result


@st.composite
def scraps(draw: st.DrawFn) -> Hostile:
    """Draw files that were never images: some bytes at the places of structures, or nothing."""
    starts = st.sampled_from((b"head", b"regi", b"", b"\xff" * 80))
    pieces = {
        0: draw(st.sampled_from((b"vhdxfile", b"vhdxfile", b"", b"vhdxfilf"))),
        **{
            offset: draw(starts) + draw(st.binary(max_size=90))
            for offset in (*HEADER_OFFSETS, *REGION_TABLE_OFFSETS, MIB, 2 * MIB, 3 * MIB)
        },
    }
    size = draw(st.sampled_from((0, 100, MIB, 4 * MIB)))
    is_mended = draw(st.booleans())
    recipe = f"{size} bytes, {pieces}, mended: {is_mended}"
    return Hostile(partial(_scrap, size, pieces, is_mended=is_mended), recipe)


def wild() -> st.SearchStrategy[Hostile]:
    """Return images whose descriptions were spoiled before they were packed."""
    return wild_files().map(lambda built: Hostile(built.to_bytes, f"{built.layout}"))


def any_bytes() -> st.SearchStrategy[Hostile]:
    """Return a few bytes, the signature at the start of half of them."""
    data = st.binary(max_size=300)
    return (data | data.map(lambda rest: b"vhdxfile" + rest)).map(
        lambda data: Hostile(lambda: data, data.hex())
    )
