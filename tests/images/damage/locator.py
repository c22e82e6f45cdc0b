"""Damage to the parent locator."""

from __future__ import annotations

from collections.abc import Callable

from tests.images.bases import OTHER_GUID, base_differencing, by_the_letter
from tests.images.image import Layout
from tests.images.structures import ZERO_GUID, Locator, LocatorEntry, braced

from .case import Level, damage, enter


def _locator(
    name: str,
    description: str,
    change: Callable[[Locator], object],
    *rules: str,
    level: Level = "error",
    visible: tuple[str, ...] | None = None,
) -> None:
    """Enter a damage that changes the parent locator of the differencing image."""

    def apply(layout: Layout) -> None:
        locator = base_differencing().resolved_locator()
        assert locator is not None
        change(locator)
        layout.set_locator(locator)

    enter(name, description, apply, *rules, base="differencing", level=level, visible=visible)


def _first(**fields: object) -> Callable[[Locator], None]:
    def change(locator: Locator) -> None:
        for name, value in fields.items():
            setattr(locator.find("relative_path"), name, value)

    return change


def _without(*keys: str) -> Callable[[Locator], None]:
    def change(locator: Locator) -> None:
        for key in keys:
            locator.remove(key)

    return change


_PATHS = ("relative_path", "volume_path", "absolute_win32_path")

_locator(
    "locator-count-too-large",
    "KeyValueCount is 65535, far more than the item can hold.",
    lambda locator: setattr(locator, "count", 65535),
    "LOC-01",
    visible=("LOC-01", "LOC-04"),
)
_locator(
    "locator-type-unknown",
    "LocatorType is a GUID nobody knows.",
    lambda locator: setattr(locator, "locator_type", OTHER_GUID),
    "LOC-02",
)
_locator(
    "locator-reserved-not-zero",
    "Reserved of the locator header is 1.",
    lambda locator: setattr(locator, "reserved", 1),
    "LOC-03",
    level="warning",
)
_locator(
    "locator-without-entries",
    "KeyValueCount is 0.",
    lambda locator: setattr(locator, "count", 0),
    "LOC-04",
    "LOC-13",
    "LOC-16",
)
_locator(
    "locator-key-offset-0", "A KeyOffset is 0.", _first(key_offset=0), "LOC-05",
    visible=("LOC-05", "LOC-09"),
)  # fmt: skip
_locator(
    "locator-value-offset-0", "A ValueOffset is 0.", _first(value_offset=0), "LOC-06",
    visible=("LOC-06", "LOC-09"),
)  # fmt: skip
_locator("locator-key-empty", "A KeyLength is 0.", _first(key_length=0), "LOC-07")
_locator("locator-value-empty", "A ValueLength is 0.", _first(value_length=0), "LOC-08")
_locator(
    "locator-value-past-the-item",
    "A ValueOffset lies past the item.",
    _first(value_offset=0x10000),
    "LOC-09",
)
_locator(
    "locator-value-wraps-around",
    "ValueOffset plus ValueLength passes 2**32.",
    _first(value_offset=0xFFFFFFFE),
    "LOC-09",
    "GEN-09",
)
_locator(
    "locator-key-in-the-entry-table",
    "A key lies in the table of entries.",
    _first(key_offset=20),
    "LOC-09",
)
_locator(
    "locator-value-length-odd",
    "A ValueLength is odd.",
    _first(value_length=7),
    "LOC-10",
)
_locator(
    "locator-value-lone-surrogate",
    "A value holds half a surrogate pair.",
    lambda locator: locator.set("volume_path", "\\\\?\\Volume{x}\\\ud800"),
    "LOC-10",
)
_locator(
    "locator-key-lone-surrogate",
    "A key is half a surrogate pair.",
    lambda locator: locator.set("\udc00", "value"),
    "LOC-10",
)
_locator(
    "locator-value-with-nul",
    "A value holds a NUL.",
    lambda locator: locator.set("relative_path", ".\\par\0ent.vhdx"),
    "LOC-11",
)
_locator(
    "locator-value-ends-with-nul",
    "The length of a value counts a trailing NUL.",
    lambda locator: locator.set("relative_path", ".\\parent.vhdx\0"),
    "LOC-11",
)
_locator(
    "locator-key-ends-with-nul",
    "The length of an unknown key counts a trailing NUL.",
    lambda locator: locator.set("extra\0", "value"),
    "LOC-11",
)
_locator(
    "locator-key-unknown",
    "A key is none of the specification.",
    lambda locator: locator.set("colour", "blue"),
    "LOC-22",
    level="note",
)
_locator(
    "locator-key-in-capitals",
    "A key is written in capitals, which makes it an unknown one.",
    lambda locator: locator.set("RELATIVE_PATH", ".\\parent.vhdx"),
    "LOC-24",
    "LOC-22",
    level="note",
)
_locator(
    "locator-key-twice",
    "relative_path is there twice, with different values.",
    lambda locator: locator.entries.append(LocatorEntry("relative_path", ".\\other.vhdx")),
    "LOC-12",
)
_locator(
    "locator-without-linkage",
    "There is no parent_linkage.",
    _without("parent_linkage"),
    "LOC-13",
)
_locator(
    "locator-linkage-no-guid",
    "parent_linkage is no GUID.",
    lambda locator: locator.set("parent_linkage", "{parent}"),
    "LOC-15",
)
_locator(
    "locator-linkage-without-braces",
    "parent_linkage lacks its braces.",
    lambda locator: locator.set("parent_linkage", str(OTHER_GUID)),
    "LOC-15",
)
_locator(
    "locator-linkage-no-hexadecimal",
    "parent_linkage holds a letter that is no hexadecimal digit.",
    lambda locator: locator.set("parent_linkage", braced(OTHER_GUID).replace("0", "g", 1)),
    "LOC-15",
)
_locator("locator-without-paths", "There is no path at all.", _without(*_PATHS), "LOC-16")
_locator(
    "locator-relative-path-absolute",
    "relative_path is an absolute path.",
    lambda locator: locator.set("relative_path", "C:\\images\\parent.vhdx"),
    "LOC-18",
    level="warning",
)
_locator(
    "locator-volume-path-other-form",
    "volume_path names a drive letter.",
    lambda locator: locator.set("volume_path", "D:\\images\\parent.vhdx"),
    "LOC-19",
    level="warning",
)


@damage("LOC-14", base="by-the-letter", level="note")
def locator_with_a_second_linkage(layout: Layout) -> None:
    """There is a parent_linkage2, and it is zero, as Windows writes it."""
    locator = by_the_letter()
    locator.set("parent_linkage2", braced(ZERO_GUID))
    layout.set_locator(locator)


@damage("LOC-20", base="by-the-letter", level="note")
def locator_absolute_path_without_prefix(layout: Layout) -> None:
    """absolute_win32_path has no prefix, as Windows writes it."""
    locator = by_the_letter()
    locator.set("absolute_win32_path", "C:\\images\\parent.vhdx")
    layout.set_locator(locator)


_locator(
    "locator-linkage-zero",
    "parent_linkage is all zero, so no parent can ever match.",
    lambda locator: locator.set("parent_linkage", braced(ZERO_GUID)),
    "LOC-23",
    level="warning",
)


@damage("LOC-01", "ITEM-02", base="differencing", visible=("LOC-01", "ITEM-02"))
def locator_shorter_than_its_header(layout: Layout) -> None:
    """The Parent Locator item is 19 bytes long."""
    item = layout.locator_item()
    item.data = item.data[:19]


@damage("LOC-01", base="differencing")
def locator_cut_in_its_table(layout: Layout) -> None:
    """The Parent Locator item ends inside its fifth entry."""
    item = layout.locator_item()
    item.data = item.data[: 20 + 12 * 4 + 5]
