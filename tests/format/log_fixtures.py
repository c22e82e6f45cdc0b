"""Images with a log, and rings of any entries; shared by the tests of `log` and `replay`."""

from __future__ import annotations

import struct
import time
import tracemalloc
from contextlib import suppress

import pytest
from crc32c import crc32c
from hypothesis import strategies as st

from tests.images.bases import OTHER_GUID
from tests.images.dirty import log_only
from tests.images.image import LOG_GUID, Block, Built, Image, Layout, dynamic
from tests.images.log import Data, Descriptor, Entry, Zero
from tests.images.sparse import pattern
from tests.images.structures import MIB
from tests.support import opened, read_headers
from vhdx_kaitai.errors import FormatError, LimitError
from vhdx_kaitai.format import log
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.storage.source import BufferSource

BLOCK = 6 * MIB  # a place past everything that the small image needs

END = 8 * MIB  # its length

MARK = pattern(7, 0, 4096)


def small() -> Image:
    """Return an image with room for the targets of log entries."""
    return dynamic(8 * MIB, blocks={0: Block()}, file_length=END)


def with_log(*entries: Entry, image: Image | None = None) -> Built:
    """Return an image with a dirty log of exactly these entries."""
    return log_only(image or small(), entries).build()


def ring_of(built: Built) -> log.Log:
    """Return the log of an image as the package sees it, without replaying anything."""
    source = BufferSource(built.to_bytes())
    header = read_headers(source).current
    return log.Log(source, header)


def replayed_numbers(built: Built) -> list[int]:
    """Return the sequence numbers of what is replayed when the image is opened."""
    with opened(built) as image:
        assert image.replayed is not None
        return [entry.header.sequence_number for entry in image.replayed.entries]


def refused_with(built: Built | Layout) -> str:
    """Return the rule that keeps an image from being opened."""
    try:
        opened(built)
    except (FormatError, LimitError) as error:
        return error.finding.rule
    pytest.fail("it was opened")


def assert_reads_as_replayed(built: Built) -> None:
    """Show that the opened image reads as the builder's own replay of it does, all of it."""
    after = built.replayed()
    with Opened(built.to_bytes()) as image:
        assert image.source.size == after.length
        for at in range(0, after.length, MIB):
            size = min(MIB, after.length - at)
            assert image.source.read(at, size) == after.read(at, size)


def page_at(built: Built, offset: int) -> bytes:
    """Return 4096 bytes of the opened image, as after replay."""
    with opened(built) as image:
        return image.source.read(offset, 4096)


def pages() -> st.SearchStrategy[int]:
    return st.integers(0, 24).map(lambda number: BLOCK + 4096 * number)


def descriptors() -> st.SearchStrategy[Descriptor]:
    lengths = st.integers(0, 12).map(lambda number: 4096 * number)
    contents = st.integers(1, 9).map(lambda tag: bytes([tag]) * 16 + bytes(4071) + bytes([tag]) * 9)
    return st.builds(Zero, pages(), lengths) | st.builds(Data, pages(), contents)


@st.composite
def rings(draw: st.DrawFn) -> list[Entry]:
    """Draw entries anywhere in the ring that overwrite each other, many of them consecutive."""
    entries = []
    number = draw(st.integers(1, 100))
    at = 0
    for _ in range(draw(st.integers(1, 14))):
        if draw(st.integers(0, 3)) == 0:
            at = 4096 * draw(st.integers(0, 255))
        if draw(st.integers(0, 4)) == 0:
            number = max(1, number + draw(st.integers(-4, 3)))
        entry = Entry(
            draw(st.lists(descriptors(), max_size=3)),
            at=at,
            sequence_number=number,
            tail=4096 * draw(st.integers(0, 255)) if draw(st.integers(0, 3)) == 0 else None,
            log_guid=draw(st.sampled_from((LOG_GUID, LOG_GUID, LOG_GUID, OTHER_GUID))),
        )
        if draw(st.integers(0, 1)):
            entry.tail = at
        if draw(st.integers(0, 9)) == 0:
            entry.checksum = 1
        entries.append(entry)
        number += 1
        at = (at + entry.natural_length) % MIB
    return entries


def forged(ring_length: int, entries: dict[int, bytes]) -> bytes:
    """Return a file whose ring holds these bytes at these places; the builder's CRC is too slow."""
    layout = small().but(log_length=ring_length, file_length=None).layout()
    layout.set_headers(log_guid=LOG_GUID)
    data = bytearray(layout.build().to_bytes())
    for at, entry in entries.items():
        start = layout.log_offset + at
        data[start : start + len(entry)] = entry
    return bytes(data)


def entry_head(length: int, number: int, *, tail: int = 0, count: int = 0) -> bytes:
    """Return the first 64 bytes of an entry, the checksum zero."""
    return struct.pack(
        "<4sIIIQII16sQQ", b"loge", 0, length, tail, number, count, 0, LOG_GUID.bytes_le, 0, 0
    )


def with_checksum(entry: bytes) -> bytes:
    """Return an entry whose checksum field was zero with the checksum in it."""
    return entry[:4] + crc32c(entry).to_bytes(4, "little") + entry[8:]


def cost_of_opening(data: bytes) -> tuple[float, int]:
    """Return seconds of work and the greatest number of bytes in use while opening or refusing."""

    def attempt() -> None:
        with suppress(FormatError, LimitError):
            Opened(data).close()

    start = time.process_time()
    attempt()
    seconds = time.process_time() - start
    tracemalloc.start()
    attempt()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak
