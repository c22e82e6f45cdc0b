"""A range of a virtual disk gets other contents: bytes of a file, zeros, or none that matter."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import BinaryIO, TypeAlias

from ..copying.data import Progress
from ..copying.files import refuse_source
from ..records import TYPE_CHECKING
from ..storage.buffers import bulk_buffer
from ..units import MIB

if TYPE_CHECKING:  # what converts a stream fills buffers as well, and needs no such disk
    from .disk import WritableDisk

# Fills a buffer from a stream, wholly or in part, and returns how many bytes that were.
ReadInto: TypeAlias = Callable[[memoryview], int | None]

_PIECE = MIB  # of data
_STEP = 1024 * MIB  # of what takes no data; whole blocks of every size


def refuse_input(disk: WritableDisk, source: BinaryIO) -> None:
    """Refuse to read from a file that is written, or that is a parent of it.

    Raises:
        OSError: The file is one of the images of the disk.
    """
    name = getattr(source, "name", None)
    refuse_source(
        (image.stored for image in disk.chain),
        os.fstat(source.fileno()),
        name if isinstance(name, str) else "standard input",
    )


def fill_from(
    disk: WritableDisk, readinto: ReadInto, offset: int, length: int | None, progress: Progress
) -> int:
    """Write what a file or a stream holds at a virtual offset, and return how many bytes.

    Args:
        disk: The disk.
        readinto: Fills a buffer from it, wholly or in part.
        offset: Virtual offset in bytes.
        length: At most this many bytes; None for all that there are.
        progress: Told how far it is; when it raises, what was told is written.

    Raises:
        OSError: The input is longer than the rest of the disk, all of which is written then.
    """
    left = disk.size - offset if length is None else length
    buffer = bulk_buffer(_PIECE)
    done = 0
    while done < left:
        # Up to where pieces of the disk begin, so that those that follow are whole.
        wanted = min(_PIECE - (offset + done) % _PIECE, left - done)
        count = filled(readinto, buffer[:wanted])
        if count:
            disk.pwrite(buffer[:count], offset + done)
            done += count
            progress(done)
        if count < wanted:
            return done
    if length is None and readinto(memoryview(bytearray(1))):
        raise OSError(errno.ENOSPC, f"the input goes on past the end of the disk at {disk.size}")
    return done


def readinto_of(stream: BinaryIO) -> ReadInto:
    """Return what fills buffers from a stream, which some streams have not."""
    readinto: ReadInto | None = getattr(stream, "readinto", None)
    if readinto is not None:
        return readinto

    def by_reading(view: memoryview) -> int:
        data = stream.read(len(view))
        view[: len(data)] = data
        return len(data)

    return by_reading


def filled(readinto: ReadInto, view: memoryview) -> int:
    """Fill a buffer from a stream, and return how many bytes that were: all but at the end.

    A pipe gives fewer at a time.
    """
    done = 0
    while done < len(view):
        count = readinto(view[done:])
        if not count:
            break
        done += count
    return done


def fill_with_nothing(
    change: Callable[[int, int], None], offset: int, length: int, progress: Progress
) -> None:
    """Let a range read as zeros, or give it back.

    Args:
        change: `zero` or `discard` of the disk.
        offset: Virtual offset in bytes.
        length: Bytes.
        progress: Told how far it is; when it raises, what was told is done.
    """
    end = offset + length
    start = offset
    while start < end:
        stop = min(end, start - start % _STEP + _STEP)
        change(start, stop - start)
        progress(stop - offset)
        start = stop
