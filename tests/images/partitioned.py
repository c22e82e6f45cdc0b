"""Partition tables, with `struct` alone: MBR with logical partitions, and GPT."""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Sequence
from uuid import UUID

LINUX = 0x83
EXTENDED = 0x0F
PROTECTIVE = 0xEE
DYNAMIC = 0x42

Entry = tuple[int, int, int]  # type, first sector, number of sectors


def mbr(*entries: Entry, status: int = 0, signature: bytes = b"\x55\xaa") -> bytes:
    """Return the first 512 bytes of an MBR, or of what an extended partition has like it."""
    packed = [
        struct.pack("<BBBBBBBBII", status, 0, 0, 0, kind, 0, 0, 0, first, count)
        for kind, first, count in entries
    ]
    return bytes(446) + b"".join(packed).ljust(64, b"\0") + signature


def logical(start: int, *parts: tuple[int, int, int]) -> dict[int, bytes]:
    """Return the chain of an extended partition, by sector.

    Args:
        start: The first sector of the extended partition.
        parts: Of each logical partition the place of its link, and that of its first sector
            counted from there, in sectors, and how many it has.
    """
    pieces = {}
    for number, (at, first, count) in enumerate(parts):
        entries: list[Entry] = [(LINUX, first, count)]
        if number + 1 < len(parts):
            entries.append((0x05, parts[number + 1][0] - start, 1000))
        pieces[at] = mbr(*entries)
    return pieces


def gpt(
    sectors: int,
    parts: Sequence[tuple[int, int]],
    *,
    sector: int = 512,
    shape: tuple[int, int] = (128, 128),
    other_fields: dict[str, int] | None = None,
) -> dict[int, bytes]:
    """Return both copies of a GPT with the MBR before it, by sector.

    Args:
        sectors: How many sectors the disk has.
        parts: First and last sector of each partition.
        sector: Bytes of a sector.
        shape: How many entries there are, and the bytes of each.
        other_fields: Fields of the header that have another value, for good or bad.
    """
    fields, packed = other_fields or {}, b""
    for number, (first, last) in enumerate(parts, 1):
        guids = UUID(int=7).bytes_le + UUID(int=number).bytes_le
        packed += (guids + struct.pack("<QQQ", first, last, 0)).ljust(shape[1], b"\0")
    entries = packed.ljust(shape[0] * shape[1], b"\0")
    length = -(-len(entries) // sector)
    usable = 2 + length, sectors - length - 2
    one = _header(1, sectors - 1, 2, usable, entries, shape, fields)
    two = _header(sectors - 1, 1, sectors - 1 - length, usable, entries, shape, fields)
    protective = mbr((PROTECTIVE, 1, min(sectors - 1, 2**32 - 1)))
    return {0: protective, 1: one, 2: entries, sectors - 1 - length: entries, sectors - 1: two}


def _header(
    own: int,
    other: int,
    start: int,
    usable: tuple[int, int],
    entries: bytes,
    shape: tuple[int, int],
    fields: dict[str, int],
) -> bytes:
    values = {
        "revision": 0x10000,
        "length": 92,
        "own": own,
        "other": other,
        "first": usable[0],
        "last": usable[1],
        "start": start,
        "count": shape[0],
        "size": shape[1],
        "of_entries": crc32(entries),
    } | fields
    head, tail = struct.Struct("<8sII"), struct.Struct("<IQQQQ16sQIII")
    before = head.pack(b"EFI PART", values["revision"], values["length"])
    after = tail.pack(
        *(0, values["own"], values["other"], values["first"], values["last"]),
        UUID(int=5).bytes_le,
        *(values["start"], values["count"], values["size"], values["of_entries"]),
    )
    whole = before + bytes(4) + after
    return before + struct.pack("<I", crc32(whole[: values["length"]])) + after
