"""Where structures and their fields stand in a file.

The layout that is made from the grammar says so; no offset is written anywhere
else. Places are for people who are told about a finding, and for those who
read or write a field by itself.
"""

from __future__ import annotations

from ..generated import layout
from ..records import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

STRUCTS: dict[str, dict[str, Any]] = layout.STRUCTS


def length_of(type_name: str) -> int:
    """Return the bytes of a struct; those of its fixed part when the rest is not always as long."""
    length: int = STRUCTS[type_name]["length"]
    return length


def signature_of(type_name: str, kind: str | None = None) -> bytes:
    """Return what a struct, or one kind of it, begins with when it is what it should be."""
    struct = STRUCTS[type_name]
    signature: bytes = struct["signature"] if kind is None else struct["cases"][kind][1]
    return signature


def span_of(type_name: str, field: str) -> tuple[int, int]:
    """Return offset and length of a field in its struct, in bytes; fields of bits share theirs."""
    span: tuple[int, int] = STRUCTS[type_name]["fields"][field]
    return span


def mask_of(type_name: str, field: str) -> int:
    """Return the bits of a field in the number that a whole struct is, little-endian."""
    offset, length = span_of(type_name, field)
    first, count = STRUCTS[type_name].get("bits", {}).get(field, (0, 8 * length))
    mask: int = ((1 << count) - 1) << (8 * offset + first)
    return mask


class Place:
    """Where a structure or one of its fields stands in the file.

    Many are made while a file is opened, and few are asked for their numbers.

    Args:
        name: What the structure is called in messages.
        type_name: Its type in the grammar.
        base: File offset of the structure in bytes; None when it does not
            stand in the file as one piece.
        field: A field of it.
    """

    __slots__ = ("_field", "base", "name", "type_name")

    def __init__(
        self, name: str, type_name: str, base: int | None, field: str | None = None
    ) -> None:
        self.name = name
        self.type_name = type_name
        self.base = base
        self._field = field

    @property
    def offset(self) -> int | None:
        """File offset in bytes of the field, or of the structure when no field is named."""
        if self.base is None or self._field is None:
            return self.base
        return self.base + span_of(self.type_name, self._field)[0]

    @property
    def length(self) -> int:
        """Bytes of the field, or of the structure."""
        if self._field is None:
            return length_of(self.type_name)
        return span_of(self.type_name, self._field)[1]

    @property
    def field_names(self) -> tuple[str, ...]:
        """The field that is named, if there is one."""
        return () if self._field is None else (self._field,)

    def field(self, name: str) -> Place:
        """Return the place of one field of the structure."""
        return Place(self.name, self.type_name, self.base, name)

    def element(self, field: str, index: int, name: str) -> Place:
        """Return the place of one element of a repeated field, itself a structure.

        Args:
            field: The repeated field, of which the first element has a fixed place.
            index: Number of the element, from 0; there may be no such element.
            name: What it is called in messages.
        """
        start, type_name = STRUCTS[self.type_name]["varying"][field]
        offset = start + index * length_of(type_name)
        return Place(name, type_name, None if self.base is None else self.base + offset)

    @property
    def text(self) -> str:
        """The structure and its file offset, for people."""
        return self.name if self.base is None else f"{self.name} at {self.base:#x}"


# The structures at fixed places, in the order of place, and where what is in `seq` ends.
TOP_LEVEL: dict[str, tuple[int, int]] = STRUCTS["vhdx"]["instances"]
END_OF_IDENTIFIER = length_of("vhdx")

IDENTIFIER = Place("file type identifier", "file_type_identifier", 0, "signature")
HEADERS = tuple(
    Place(f"header {copy}", "header", TOP_LEVEL[f"header_{copy}"][0]) for copy in (1, 2)
)
REGION_TABLES = tuple(
    Place(f"region table {copy}", "region_table", TOP_LEVEL[f"region_table_{copy}"][0])
    for copy in (1, 2)
)
