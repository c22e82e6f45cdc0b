"""Whatever a file is: it is replayed and reads the same, or not a byte of it changes."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.crash.recorder import Recorder
from tests.crash.replaying import END_OF_HEADERS, HEADERS
from tests.images.image import Built
from tests.images.strategies import images, wild_files
from tests.images.structures import MIB
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.replay import replay_target

MOST = 64 * MIB  # of what is held in memory here


def reads(image: Image) -> bytes:
    """Return what a reader sees of a file, without headers and log."""
    data = bytearray(image.source.read(0, image.source.size))
    header = image.headers.current
    for start, end in (
        (HEADERS[0], END_OF_HEADERS),
        (header.log_offset, header.log_offset + header.log_length),
    ):
        data[start:end] = bytes(end - start)
    return bytes(data)


@pytest.mark.slow
@given(st.one_of(images(), wild_files()))
def test_a_file_reads_the_same_after_a_replay_or_keeps_every_byte(built: Built) -> None:
    assume(built.length <= MOST)
    file = Recorder(built.to_bytes())
    before = bytes(file.data)
    try:
        image = Image(before)
        assume(image.source.size <= MOST)
        replayed = replay_target(file)
    except VhdxError:
        assert file.events == []
        return
    assert (replayed is None) == (image.replayed is None) == (not file.events)
    assert file.pending == []
    assert reads(Image(bytes(file.data), replay="refuse")) == reads(image)
