"""Where on a disk file systems are that can be read, by number, and which of them is meant."""

from __future__ import annotations

from collections.abc import Container

from ..errors import UnsupportedError
from ..records import NamedTuple
from ..text import human_size, quoted
from .disk import Disk
from .kinds import kinds_in
from .partitions import Partition, PartitionTable, partition_table
from .volumes import Volume

WHOLE_DISK = 0


class Place(NamedTuple):
    """A part of a disk in which something is.

    Attributes:
        number: The number of the partition; 0 is the whole disk, None a partition without one.
        volume: Where it is.
        kind: What it looks like; empty when that is not known here, or not certain.
        partition: What the partition table says of it; None of the whole disk.
    """

    number: int | None
    volume: Volume
    kind: str
    partition: Partition | None = None

    def __str__(self) -> str:
        """Return the number with what tells people which one it is."""
        name = self.partition.name if self.partition is not None else ""
        size = human_size(self.volume.end - self.volume.start)
        what = [self.kind or "not known here", *([quoted(name)] if name else []), size]
        return f"{self.number} ({', '.join(what)})"


def places(disk: Disk) -> tuple[PartitionTable | None, list[Place]]:
    """Return the partition table of a disk and where something may be: in order, or everywhere.

    The whole disk is among them where it has no partitions, and where it looks like a file
    system itself.

    Args:
        disk: The disk.

    Raises:
        FormatError: What is read of the disk is lost.
    """
    table = partition_table(disk)
    whole = Place(WHOLE_DISK, Volume(0, disk.size), _kind(disk, Volume(0, disk.size)))
    parts = table.parts if table is not None else ()
    numbered = {part[:2] for part in parts if part.number is not None}
    found = [
        Place(part.number, volume, _kind(disk, volume), part)
        for part in sorted(parts, key=lambda part: (part.start, part.number or 0))
        for volume in [Volume(part.start, part.end)]
        if 0 < part.start < part.end <= disk.size
        and (part.number is not None or volume not in numbered)
    ]
    return table, found if found and not whole.kind else [whole, *found]


def _kind(disk: Disk, volume: Volume) -> str:
    kinds = list(kinds_in(disk, volume))
    return kinds[0] if len(kinds) == 1 else ""


def chosen_place(disk: Disk, number: int | None, readable: Container[str]) -> Place:
    """Return the place that somebody means: by its number, or the only one that can be read.

    Args:
        disk: The disk.
        number: The number of a partition, 0 for the whole disk; None when nobody says it.
        readable: The kinds of file systems that can be read.

    Raises:
        UnsupportedError: There is none, or there are several; the message lists them.
        FormatError: What is read of the disk is lost.
    """
    table, found = places(disk)
    known = [place for place in found if place.kind in readable and place.number is not None]
    chosen = known if number is None else [place for place in found if place.number == number]
    if len(chosen) == 1 and chosen[0].kind in readable:
        return chosen[0]
    there = "; ".join(map(str, known if len(known) > 1 else found))
    doubt = f" ({table.doubt})" if table is not None and table.doubt else ""
    if number is not None and chosen:
        message = f"no file system can be read in {chosen[0]}; there are: {there}"
    elif number is not None:
        message = f"there is no partition {number}{doubt}; there are: {there}"
    elif chosen:
        message = f"there are several file systems, --partition says which: {there}"
    else:
        message = f"no file system is on the disk that can be read here{doubt}; there are: {there}"
    raise UnsupportedError(message)
