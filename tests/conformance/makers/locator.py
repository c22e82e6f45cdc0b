"""Parent locators."""

from __future__ import annotations

from tests.images.image import Layout, differencing
from tests.images.structures import MIB, Locator, LocatorEntry

from .registry import GUID_A, bare, hole, vector


def _located(locator: Locator) -> Layout:
    return bare(differencing(4 * MIB, blocks={1: hole()}, locator=locator))


@vector
def locator_texts() -> Layout:
    """Keys and values of every sort: beyond the BMP, empty, shared, with zeros, not UTF-16, of an
    odd number of bytes, in disorder, and outside the item."""
    entries = [
        LocatorEntry("relative_path", "..\\\U0001f4be\u00e4\u20ac\ufeff.vhdx"),
        LocatorEntry("\U00010348", ""),
        LocatorEntry("", "value of no key"),
        LocatorEntry("lone high", b"a\0\x3d\xd8b\0"),
        LocatorEntry("lone low", b"\xbe\xdcz\0"),
        LocatorEntry("high at the end", b"q\0\x3d\xd8"),
        LocatorEntry("zeros\0inside", "\0between\0"),
        LocatorEntry("odd", b"o\0d\0d"),
        LocatorEntry("shared", b"", value_offset=20 + 12 * 11, value_length=26),
        LocatorEntry(
            "outside", "", value_offset=0xFFFFFFF0, value_length=0x9192, key_length=0xFFFF
        ),
        LocatorEntry("far away", "", key_offset=0x81828384),
    ]
    return _located(Locator(entries, locator_type=GUID_A, reserved=0x8586, tail=b"tail"))


@vector
def locator_count_too_large() -> Layout:
    """A parent locator that counts one key more than its item has room for."""
    locator = Locator.of({"parent_linkage": "{" + str(GUID_A) + "}"})
    room = len(locator.pack())
    locator.count = (room - 20) // 12 + 1
    return _located(locator)


@vector
def locator_count_of_every_byte() -> Layout:
    """A parent locator that counts keys with something in each byte of the count."""
    return _located(Locator([LocatorEntry("key", "value")], count=0x8182))


@vector
def locator_empty() -> Layout:
    """A parent locator without a key."""
    return _located(Locator([]))
