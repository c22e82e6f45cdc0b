"""Kinds of values: a path in the grammar, what kind of value it has, and the value as text.

The README describes the kinds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

Value = tuple[str, str, str]
Values = Iterator[Value]


def number(path: str, value: int) -> Value:
    """Say that a number is this one; always as decimal digits, so that no reader rounds it."""
    return path, "int", str(value)


def flag(path: str, value: bool) -> Value:
    """Say that a boolean is this one."""
    return path, "bool", "true" if value else "false"


def text(path: str, value: str) -> Value:
    """Say that a string is this one."""
    return path, "str", value


def label(path: str, enum: str, value: str) -> Value:
    """Say that a field of an enum has this label, or this number when the enum has none for it."""
    return path, enum, value


def size(path: str, value: int) -> Value:
    """Say that an array has this number of elements."""
    return path, "size", str(value)


def absent(path: str) -> Value:
    """Say that the `if` of an instance is false."""
    return path, "absent", ""


def error(path: str, reason: str) -> Value:
    """Say that reading this fails."""
    return path, "error", reason


def raw(path: str, data: bytes) -> Value:
    """Say that bytes are these."""
    return path, "bytes", packed(data)


def utf16_text(path: str, data: bytes) -> Value:
    """Say what these bytes are as text; that of broken text has U+FFFD, or is an error."""
    try:
        return text(path, data.decode("utf-16-le"))
    except UnicodeDecodeError:
        return path, "broken_text", data.decode("utf-16-le", "replace")


def packed(data: bytes) -> str:
    """Return bytes as hexadecimal digits; a run of 16 or more of a byte is written 00*16."""
    words: list[str] = []
    plain = bytearray()
    position = 0
    while position < len(data):
        byte = data[position : position + 1]
        run = len(data) - position - len(data[position:].lstrip(byte))
        if run >= 16:
            if plain:
                words.append(plain.hex())
                plain.clear()
            words.append(f"{byte.hex()}*{run}")
        else:
            plain += byte * run
        position += run
    if plain:
        words.append(plain.hex())
    return " ".join(words)


def shown(count: int, telling: Iterable[int] = ()) -> list[int]:
    """Return which elements of an array are told: the telling ones, the first two, the last."""
    return sorted(index for index in {0, 1, count - 1, *telling} if 0 <= index < count)


def guid(path: str, value: UUID) -> Values:
    """Yield `guid`."""
    yield raw(f"{path}.raw", value.bytes_le)


def le(data: bytes) -> int:
    """Return a little-endian number."""
    return int.from_bytes(data, "little")
