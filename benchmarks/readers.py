"""Ways to read a disk: ours, the plan, and the peers, each with the calls that its users make."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import vhdx_kaitai

from .framework import OURS, AbsentError
from .images import ABSENT, Made

PLANNED, LIBVHDI, DISSECT = "planned", "libvhdi", "dissect"

Work = Callable[[], object]


def libvhdi() -> Any:
    """Return libvhdi's Python binding."""
    try:
        import pyvhdi
    except ImportError:
        raise AbsentError("pyvhdi is not installed (pip install libvhdi-python)") from None
    return pyvhdi


def dissect() -> Any:
    """Return the class of `dissect.hypervisor` for VHDX images."""
    try:
        from dissect.hypervisor.disk.vhdx import VHDX
    except ImportError:
        raise AbsentError("dissect.hypervisor is not installed") from None
    return VHDX


class Reader:
    """A disk, open."""

    def read(self, offset: int, length: int) -> bytes:
        """Return some bytes of the disk."""
        raise NotImplementedError

    def prepared(self, offsets: Sequence[int], length: int) -> Work:
        """Return a function that reads from each of these offsets, as quickly as it can be done."""
        raise NotImplementedError

    def returning(self, offsets: Sequence[int], length: int) -> Work:
        """Return one that gets new bytes each time, as is the only way that others have."""
        return self.prepared(offsets, length)


class Ours(Reader):
    """`Disk.readinto_at` into one buffer, or `Disk.pread`."""

    def __init__(self, image: Made) -> None:
        self._disk = vhdx_kaitai.open(image.path)

    def read(self, offset: int, length: int) -> bytes:
        return self._disk.pread(length, offset)

    def prepared(self, offsets: Sequence[int], length: int) -> Work:
        readinto_at, buffer = self._disk.readinto_at, bytearray(length)

        def work() -> None:
            for offset in offsets:
                readinto_at(buffer, offset)

        return work

    def returning(self, offsets: Sequence[int], length: int) -> Work:
        pread = self._disk.pread

        def work() -> None:
            for offset in offsets:
                pread(length, offset)

        return work


class Planned(Reader):
    """The system calls and zero fills that the layout asks for, known beforehand.

    One `preadv` for each extent of a request, into its part of the buffer, and an assignment of
    zeros for each hole; or `pread`, and new zeros. What there is to do is known to whoever made the
    image, so this is what is left when resolving a request costs nothing.
    """

    def __init__(self, image: Made) -> None:
        self._files = [os.open(path, os.O_RDONLY) for path in image.files]
        self._extents = image.extents
        self._stops = np.append(image.extents.starts[1:], image.size)

    def read(self, offset: int, length: int) -> bytes:
        buffer = bytearray(length)
        self._perform(self._steps(offset, length, memoryview(buffer), memoryview(bytes(length))))
        return bytes(buffer)

    def prepared(self, offsets: Sequence[int], length: int) -> Work:
        buffer, zeros = memoryview(bytearray(length)), memoryview(bytes(length))
        steps = [step for offset in offsets for step in self._steps(offset, length, buffer, zeros)]
        return lambda: self._perform(steps)

    def returning(self, offsets: Sequence[int], length: int) -> Work:
        view = memoryview(bytearray(length))
        steps = [
            (file, len(target[0]), position) if file >= 0 else (file, len(target), 0)
            for offset in offsets
            for file, target, position in self._steps(offset, length, view, view)
        ]

        def work() -> None:
            pread = os.pread
            for file, count, position in steps:
                if file >= 0:
                    pread(file, count, position)
                else:
                    bytes(count)

        return work

    @staticmethod
    def _perform(steps: list[tuple[int, Any, Any]]) -> None:
        preadv = os.preadv
        for file, target, source in steps:
            if file >= 0:
                preadv(file, target, source)
            else:
                target[:] = source

    def _steps(
        self, offset: int, length: int, buffer: memoryview, zeros: memoryview
    ) -> list[tuple[int, Any, Any]]:
        """Return file, target and file offset of each read; -1, target and zeros of each fill."""
        starts, owners, positions = self._extents
        pieces: list[list[int]] = []  # owner, position, start and end in the buffer
        at, end = offset, offset + length
        index = int(np.searchsorted(starts, offset, "right")) - 1
        while at < end:
            stop = min(end, int(self._stops[index]))
            owner = int(owners[index])
            position = int(positions[index]) + at - int(starts[index])
            last = pieces[-1] if pieces else [ABSENT - 1, 0, 0, 0]
            if last[0] == owner and (owner == ABSENT or last[1] + last[3] - last[2] == position):
                last[3] = stop - offset
            else:
                pieces.append([owner, position, at - offset, stop - offset])
            at, index = stop, index + 1
        return [
            (-1, buffer[low:high], zeros[low:high])
            if owner == ABSENT
            else (self._files[owner], [buffer[low:high]], position)
            for owner, position, low, high in pieces
        ]


class Libvhdi(Reader):
    """`read_buffer_at_offset` of libvhdi's Python binding."""

    def __init__(self, image: Made) -> None:
        self._file = libvhdi().file()
        self._file.open(str(image.path))
        if image.parent is not None:
            self._parent = Libvhdi(image.parent)
            self._file.set_parent(self._parent._file)

    def read(self, offset: int, length: int) -> bytes:
        data: bytes = self._file.read_buffer_at_offset(length, offset)
        return data

    def prepared(self, offsets: Sequence[int], length: int) -> Work:
        read = self._file.read_buffer_at_offset

        def work() -> None:
            for offset in offsets:
                read(length, offset)

        return work


class Dissect(Reader):
    """`seek` and `read` of the stream of `dissect.hypervisor`."""

    def __init__(self, image: Made) -> None:
        self._stream = dissect()(image.path)

    def read(self, offset: int, length: int) -> bytes:
        self._stream.seek(offset, io.SEEK_SET)
        data: bytes = self._stream.read(length)
        return data

    def prepared(self, offsets: Sequence[int], length: int) -> Work:
        seek, read = self._stream.seek, self._stream.read

        def work() -> None:
            for offset in offsets:
                seek(offset)
                read(length)

        return work


READERS: dict[str, Callable[[Made], Reader]] = {
    OURS: Ours,
    PLANNED: Planned,
    LIBVHDI: Libvhdi,
    DISSECT: Dissect,
}
