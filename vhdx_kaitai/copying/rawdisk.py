"""Raw images, which are the bytes of a disk and no more, and what is not taken for one."""

from __future__ import annotations

from collections.abc import Iterator

from ..format.descent import has_structures
from ..format.headers import SIGNATURE, probe
from ..format.others import Other, recognise
from ..storage.source import FileSource, Source, open_source
from .data import DataRange


def begins_as_vhdx(source: Source) -> bool:
    """Tell whether bytes begin as a VHDX file does."""
    return probe(source.read(0, min(len(SIGNATURE), source.size))) > 0


def other_than_raw(source: Source) -> Other | None:
    """Return what a file is known to be that is neither a VHDX file nor a raw image."""
    other = recognise(source)
    return None if other is None or other.is_raw else other


class RawDisk:
    """A raw image, with as much of `Disk` as is needed to compare and to copy it.

    Attributes:
        source: The file.
        size: Length in bytes.
    """

    def __init__(self, path: str) -> None:
        self.source = open_source(path)
        self.size = self.source.size

    def is_vhdx(self) -> bool:
        """Tell whether the file is a VHDX file, be it one whose start was overwritten."""
        return begins_as_vhdx(self.source) or has_structures(self.source)

    def is_other(self) -> bool:
        """Tell whether the file is known to be neither of these."""
        return other_than_raw(self.source) is not None

    def readinto_at(self, buffer: bytearray | memoryview, offset: int) -> int:
        """Fill a buffer from an offset on; the caller stays inside the file."""
        self.source.readinto(memoryview(buffer), offset)
        return len(buffer)

    def zero_end(self, offset: int, end: int) -> int:
        """Return how far a hole goes that begins at an offset; that offset when there is none."""
        source = self.source
        return source.hole_end(offset, end) if isinstance(source, FileSource) else offset

    def data_ranges(self) -> Iterator[DataRange]:
        """Yield what of the file is no hole, where the system tells."""
        file = self.source
        if not isinstance(file, FileSource):
            yield DataRange(0, self.size)
            return
        for start, end in file.stored_ranges(0, self.size):
            yield DataRange(start, end, file)

    def close(self) -> None:
        """Close the file."""
        self.source.close()
