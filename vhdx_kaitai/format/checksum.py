"""CRC-32C as VHDX uses it: the checksum's own field counts as zero [MS-VHDX 2].

Headers, region tables and log entries have one. A wrong one is told in the same
words for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder

from ..errors import Finding, Level, Where
from ..records import TYPE_CHECKING
from .place import span_of

if TYPE_CHECKING:
    from typing import Any

# Headers, region tables and log entries have it in the same place; a test says so.
_START, _LENGTH = span_of("header", "checksum")
_END = _START + _LENGTH
_ZEROS = bytes(_LENGTH)


def _load_crc32c() -> Callable[..., int]:
    """Return the function of the package crc32c, without importing the package.

    Its `__init__` asks `importlib.metadata` for a version, which takes longer
    than everything else that this program does to describe an image.
    """
    package = PathFinder.find_spec("crc32c")
    folders = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec("crc32c._crc32c", folders) if folders else None
    if spec is None or spec.loader is None:  # not laid out as expected, or not for this Python
        try:
            from crc32c import crc32c as compiled
        except ImportError:
            from .crc import crc32c as plain

            return plain
        return compiled  # type: ignore[no-any-return, unused-ignore]
    module: Any = spec.loader.create_module(spec)  # what of `importlib.util` an extension needs
    spec.loader.exec_module(module)
    return module.crc32c  # type: ignore[no-any-return]


crc32c = _load_crc32c()


def structure_checksum(data: bytes | bytearray | memoryview) -> int:
    """Return the CRC-32C of a whole header, region table or log entry.

    Args:
        data: The structure from its signature to its end.
    """
    view = memoryview(data)
    crc = crc32c(view[:_START])
    crc = crc32c(_ZEROS, crc)
    return crc32c(view[_END:], crc)


def check(
    rule: str, level: Level, place: Where, data: bytes | memoryview, stored: int
) -> Iterator[Finding]:
    """Yield whether the bytes of a structure are not those that its writer summed up.

    Args:
        rule: The rule that this breaks.
        level: How bad that is.
        place: Where the structure, or its checksum, is.
        data: The structure from its signature to its end.
        stored: The checksum that it holds.
    """
    computed = structure_checksum(data)
    if computed != stored:
        expected, actual = f"{computed:#010x}", f"{stored:#010x}"
        message = f"checksum {actual} stored, {expected} computed"
        yield Finding(rule, level, place, message, expected, actual)


def sealed(data: bytes | bytearray) -> bytes:
    """Return a whole header, region table or log entry with the right checksum in its place."""
    view, crc = memoryview(data), structure_checksum(data).to_bytes(_LENGTH, "little")
    return b"".join((view[:_START], crc, view[_END:]))
