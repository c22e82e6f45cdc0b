"""A reader of a disk that is being changed looks up anew what it has been told of."""

from __future__ import annotations

import threading

from tests.images.structures import MIB
from tests.support import SparseSource, good
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.reading.layers import Layer
from vhdx_kaitai.reading.reader import reader, reads_elsewhere
from vhdx_kaitai.storage.source import BufferSource

BLOCK = MIB


def layer_of(data: bytes) -> Layer:
    return Layer(Image(BufferSource(data)), 0, None)


def test_another_layer_is_read_by_functions_that_were_taken_before() -> None:
    one, two = good("dynamic-plain"), good("blocks-in-disorder")
    size = min(one.model.virtual_disk_size, two.model.virtual_disk_size)
    found = reader(layer_of(one.to_bytes()))
    pread, readinto_at = found.pread, found.readinto_at
    assert pread(BLOCK, 0) == one.model.read(0, BLOCK)
    found.change(layer_of(two.to_bytes()))
    assert pread(BLOCK, 0) == two.model.read(0, BLOCK)
    buffer = bytearray(size)
    readinto_at(buffer, 0)
    assert buffer == two.model.read(0, size)


class Slow(SparseSource):
    """A file that is read slowly by one thread."""

    def __init__(self) -> None:
        super().__init__(good("dynamic-plain").file)
        self.reader: threading.Thread | None = None
        self.begun, self.may_end = threading.Event(), threading.Event()

    def readinto(self, buffer: memoryview, offset: int) -> None:
        if threading.current_thread() is self.reader:
            self.begun.set()
            assert self.may_end.wait(10)
        super().readinto(buffer, offset)


def test_a_thread_amid_a_read_is_seen() -> None:
    file = Slow()
    disk = Disk([Image(file)])
    file.reader = threading.Thread(target=disk.pread, args=(4096, 0))
    assert not reads_elsewhere()
    file.reader.start()
    assert file.begun.wait(10)
    seen = reads_elsewhere()
    assert seen
    assert reads_elsewhere() == seen  # it is the same read still
    file.may_end.set()
    file.reader.join()
    assert not reads_elsewhere()


def test_what_was_found_before_a_change_is_not_kept_after_it() -> None:
    """A thread looks a block up; before it keeps the place another one changes the map."""
    file = Slow()
    found = reader(Layer(Image(file), 0, None))
    file.reader = threading.Thread(target=found.pread, args=(4096, 0))
    file.reader.start()
    assert file.begun.wait(10)
    other = good("blocks-in-disorder")
    found.change(layer_of(other.to_bytes()))
    file.may_end.set()
    file.reader.join()
    assert found.pread(4096, 0) == other.model.read(0, 4096)
