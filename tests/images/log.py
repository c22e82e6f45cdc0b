"""The log: entries placed in its ring, and what a reader has to make of them [MS-VHDX 2.3].

A `Log` is a list of `Entry`, each a list of `Data` and `Zero` descriptors. Fields left at None are
the right ones: the next sequence number, the position after the entry before, the tail of the
first entry with the same GUID, the file length. Whether an entry is valid follows from the
description (a field that was set wrong, sectors overwritten by a later entry), never from bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from .crc import sealed
from .sparse import PAGE, Sparse, Zeros
from .structures import MIB

SECTOR = 4096


@dataclass
class Data:
    """A data descriptor and its data sector: 4096 bytes to write at `file_offset`."""

    file_offset: int
    data: bytes
    signature: bytes = b"desc"
    sequence_number: int | None = None
    leading: bytes | None = None
    trailing: bytes | None = None
    sector_signature: bytes = b"data"
    sector_high: int | None = None
    sector_low: int | None = None

    def __post_init__(self) -> None:
        """Fill the update up to its 4096 bytes."""
        if len(self.data) > SECTOR:
            raise ValueError("an update has 4096 bytes")
        self.data = self.data.ljust(SECTOR, b"\0")

    def pack(self, sequence_number: int) -> bytes:
        """Return the 32 bytes of the descriptor."""
        number = sequence_number if self.sequence_number is None else self.sequence_number
        return struct.pack(
            "<4s4s8sQQ",
            self.signature,
            self.data[4092:] if self.trailing is None else self.trailing,
            self.data[:8] if self.leading is None else self.leading,
            self.file_offset,
            number,
        )

    def pack_sector(self, sequence_number: int) -> bytes:
        """Return the 4096 bytes of the data sector."""
        high = sequence_number >> 32 if self.sector_high is None else self.sector_high
        low = sequence_number & 0xFFFFFFFF if self.sector_low is None else self.sector_low
        return b"".join(
            (
                self.sector_signature,
                high.to_bytes(4, "little"),
                self.data[8:4092],
                low.to_bytes(4, "little"),
            )
        )

    @property
    def is_valid(self) -> bool:
        """Whether nothing in it ends the run of entries."""
        return (
            self.signature == b"desc"
            and self.sequence_number is None
            and self.sector_signature == b"data"
            and self.sector_high is None
            and self.sector_low is None
            and self.file_offset % SECTOR == 0
        )


@dataclass
class Zero:
    """A zero descriptor: `length` zero bytes at `file_offset`."""

    file_offset: int
    length: int
    signature: bytes = b"zero"
    reserved: int = 0
    sequence_number: int | None = None

    def pack(self, sequence_number: int) -> bytes:
        """Return the 32 bytes of the descriptor."""
        number = sequence_number if self.sequence_number is None else self.sequence_number
        return struct.pack(
            "<4sIQQQ", self.signature, self.reserved, self.length, self.file_offset, number
        )

    @property
    def is_valid(self) -> bool:
        """Whether nothing in it ends the run of entries."""
        return (
            self.signature == b"zero"
            and self.sequence_number is None
            and self.file_offset % SECTOR == 0
            and self.length % SECTOR == 0
        )


Descriptor = Data | Zero


@dataclass
class Entry:
    """A log entry; `at` is its position in the ring, `extra_sectors` follow the data sectors."""

    descriptors: list[Descriptor] = field(default_factory=list)
    at: int | None = None
    sequence_number: int | None = None
    tail: int | None = None
    log_guid: UUID | None = None
    flushed_file_offset: int | None = None
    last_file_offset: int | None = None
    signature: bytes = b"loge"
    checksum: int | None = None
    entry_length: int | None = None
    descriptor_count: int | None = None
    reserved: int = 0
    extra_sectors: list[bytes] = field(default_factory=list)
    drop_sectors: int = 0

    @property
    def natural_length(self) -> int:
        """The bytes its descriptor sectors and data sectors take."""
        header = -(-(64 + 32 * len(self.descriptors)) // SECTOR)
        data = sum(isinstance(item, Data) for item in self.descriptors)
        return SECTOR * (header + data + len(self.extra_sectors) - self.drop_sectors)

    @property
    def is_well_formed(self) -> bool:
        """Whether no field of it was set wrong; ring, GUID and neighbours are judged elsewhere."""
        return (
            self.signature == b"loge"
            and self.checksum is None
            and self.entry_length in (None, self.natural_length)
            and self.descriptor_count in (None, len(self.descriptors))
            and not self.extra_sectors
            and not self.drop_sectors
            and all(item.is_valid for item in self.descriptors)
        )

    @property
    def updates(self) -> list[Data]:
        """Its data descriptors."""
        return [item for item in self.descriptors if isinstance(item, Data)]


@dataclass(frozen=True)
class Placed:
    """An entry with every field decided."""

    entry: Entry
    at: int
    length: int
    sequence_number: int
    tail: int
    log_guid: UUID
    flushed_file_offset: int
    last_file_offset: int

    def pack(self) -> bytes:
        """Return its bytes, checksum included."""
        entry = self.entry
        count = len(entry.descriptors) if entry.descriptor_count is None else entry.descriptor_count
        head = struct.pack(
            "<4sIIIQII16sQQ",
            entry.signature,
            entry.checksum or 0,
            self.length if entry.entry_length is None else entry.entry_length,
            self.tail,
            self.sequence_number,
            count,
            entry.reserved,
            self.log_guid.bytes_le,
            self.flushed_file_offset,
            self.last_file_offset,
        )
        table = head + b"".join(item.pack(self.sequence_number) for item in entry.descriptors)
        table += bytes(-len(table) % SECTOR)
        sectors = [item.pack_sector(self.sequence_number) for item in entry.updates]
        sectors += [sector.ljust(SECTOR, b"\0") for sector in entry.extra_sectors]
        if entry.drop_sectors:
            sectors = sectors[: -entry.drop_sectors]
        data = table + b"".join(sectors)
        if entry.checksum is not None:
            return data
        # The checksum covers EntryLength bytes, so that a wrong length is the only fault; no ring
        # of a test is longer than 4 MiB, and after the entry it holds zeros.
        stated = self.length if entry.entry_length is None else entry.entry_length
        covered = data[:stated] + bytes(max(0, min(stated, 4 * MIB) - len(data)))
        return data if len(covered) < 8 else sealed(covered)[:8] + data[8:]


@dataclass(frozen=True)
class ActiveSequence:
    """The entries a reader replays, tail to head, and every entry of the run they end."""

    entries: tuple[Placed, ...]
    run: tuple[Placed, ...]

    @property
    def head(self) -> Placed:
        """The last entry."""
        return self.entries[-1]


@dataclass
class Log:
    """The log of an image.

    Entries state `file_length` as FlushedFileOffset and `last_length` as LastFileOffset (None: the
    same) unless they say otherwise.
    """

    guid: UUID
    entries: list[Entry] = field(default_factory=list)
    length: int = MIB
    file_length: int = 0
    last_length: int | None = None

    def placed(self) -> list[Placed]:
        """Return every entry with its fields decided, in the order of the list."""
        result: list[Placed] = []
        cursor = 0
        numbers: dict[UUID, int] = {}
        tails: dict[UUID, int] = {}
        for entry in self.entries:
            guid = self.guid if entry.log_guid is None else entry.log_guid
            at = cursor if entry.at is None else entry.at
            length = entry.natural_length
            number = (numbers.get(guid, 0) + 1) % (1 << 64)
            if entry.sequence_number is not None:
                number = entry.sequence_number
            numbers[guid] = number
            tails.setdefault(guid, at)
            flushed, last = entry.flushed_file_offset, entry.last_file_offset
            final = self.file_length if self.last_length is None else self.last_length
            result.append(
                Placed(
                    entry=entry,
                    at=at,
                    length=length,
                    sequence_number=number,
                    tail=tails[guid] if entry.tail is None else entry.tail,
                    log_guid=guid,
                    flushed_file_offset=self.file_length if flushed is None else flushed,
                    last_file_offset=final if last is None else last,
                )
            )
            cursor = (at + length) % self.length
        return result

    def pack(self) -> Sparse:
        """Return the ring."""
        ring = Sparse(self.length)
        for placed in self.placed():
            data = placed.pack()
            room = self.length - placed.at
            ring.put(placed.at, data[:room])
            ring.put(0, data[room:])
        ring.length = self.length
        return ring

    def valid_entries(self, guid: UUID) -> dict[int, Placed]:
        """Return, by position, the entries a reader under this LogGuid accepts [2.3.1, 2.3.3]."""
        placed = self.placed()
        valid: dict[int, Placed] = {}
        for index, item in enumerate(placed):
            overwritten = any(
                _rings_meet(item.at, item.length, later.at, later.length, self.length)
                for later in placed[index + 1 :]
            )
            if (
                item.entry.is_well_formed
                and not overwritten
                and item.log_guid == guid
                and item.at % SECTOR == 0
                and item.length <= self.length
                and item.sequence_number > 0
                and item.tail % SECTOR == 0
                and item.tail < self.length
                and not any(self.aims_wrong(update) for update in item.entry.descriptors)
            ):
                valid[item.at] = item
        return valid

    def aims_wrong(self, descriptor: Descriptor) -> bool:
        """Whether a descriptor wraps around or hits the identifier or a header [LOG-36, LOG-37]."""
        length = descriptor.length if isinstance(descriptor, Zero) else SECTOR
        return descriptor.file_offset < 192 * 1024 or descriptor.file_offset + length > 1 << 64

    def active(self, guid: UUID) -> ActiveSequence | None:
        """Return what the search of [2.3.3] finds, made to end when it stops to advance."""
        valid = self.valid_entries(guid)
        best: ActiveSequence | None = None
        position = 0
        while True:
            run = list(_run_from(position, valid, self.length))
            if run:
                head = run[-1]
                starts = [item.at for item in run]
                if head.tail in starts and (
                    best is None or head.sequence_number > best.head.sequence_number
                ):
                    tail = starts.index(head.tail)
                    best = ActiveSequence(tuple(run[tail:]), tuple(run))
                following = (head.at + head.length) % self.length
            else:
                following = (position + SECTOR) % self.length
            if following <= position:
                return best
            position = following


def _run_from(position: int, valid: dict[int, Placed], length: int) -> Iterator[Placed]:
    number: int | None = None
    while position in valid and (number is None or valid[position].sequence_number == number + 1):
        item = valid[position]
        yield item
        number = item.sequence_number
        position = (position + item.length) % length


def _rings_meet(at: int, length: int, other: int, other_length: int, ring: int) -> bool:
    return (other - at) % ring < length or (at - other) % ring < other_length


def replay(file: Sparse, entries: Iterable[Placed]) -> Sparse:
    """Return the file as it is after these entries were replayed in this order [2.3.3]."""
    result = file.copy()
    last = 0
    for placed in entries:
        for item in placed.entry.descriptors:
            if isinstance(item, Data):
                leading = item.data[:8] if item.leading is None else item.leading
                trailing = item.data[4092:] if item.trailing is None else item.trailing
                result.put(item.file_offset, leading + item.data[8:4092] + trailing)
            else:
                result.put(item.file_offset, Zeros(item.length))
        last = placed.last_file_offset
    result.length = max(result.length, last)
    return result


def descriptors(
    before: Sparse, after: Sparse, ranges: Iterable[tuple[int, int]]
) -> list[Descriptor]:
    """Return the updates that turn `before` into `after` inside these (offset, length) ranges.

    Pages that become all zeros are gathered into zero descriptors, others become data descriptors.
    """
    result: list[Descriptor] = []
    limits = sorted(ranges)
    for page in after.pages(before):
        if not any(start <= page < start + length for start, length in limits):
            continue
        old, new = before.read(page, PAGE), after.read(page, PAGE)
        if old == new:
            continue
        if any(new):
            result.append(Data(page, new))
            continue
        previous = result[-1] if result else None
        if isinstance(previous, Zero) and previous.file_offset + previous.length == page:
            previous.length += PAGE
        else:
            result.append(Zero(page, PAGE))
    return result
