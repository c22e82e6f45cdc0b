"""The parent locator: keys and values, judged. Damages to it are in `reading.test_image`."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.bases import OTHER_GUID, base_differencing
from tests.images.image import Layout, windows_locator
from tests.images.structures import KIB, Locator, LocatorEntry, braced
from tests.support import good, opened
from vhdx_kaitai.errors import FormatError, LimitError, VhdxError, refuse
from vhdx_kaitai.format import grammar
from vhdx_kaitai.format.locator import (
    MAX_KEYS,
    check_locator,
    check_texts,
    judged,
    matching_key,
)
from vhdx_kaitai.format.locator import Locator as Judged
from vhdx_kaitai.format.metadata import MAX_ITEM_LENGTH
from vhdx_kaitai.format.place import Place

PARENT = UUID("9a5e0001-5555-4555-8555-0123456789ab")
PLACE = Place("Parent Locator", "parent_locator_item", 0x210028)


def locator() -> Locator:
    """Return a locator as Windows writes it."""
    return windows_locator(PARENT, "parent.vhdx")


def read(made: Locator | bytes) -> Judged:
    """Return what a locator says."""
    data = made if isinstance(made, bytes) else made.pack()
    locator = grammar.parent_locator(data, PLACE)
    refuse(check_locator(locator))
    return judged(locator)


def refused_with(made: Locator | bytes) -> str:
    with pytest.raises(FormatError) as caught:
        read(made)
    assert "at 0x2100" in str(caught.value)
    return caught.value.finding.rule


# -- what it says ---------------------------------------------------------------------------------


def test_keys_and_values_are_those_of_the_builder_in_their_order() -> None:
    made = locator()
    assert list(read(made).entries.items()) == list(made.text.items())
    assert read(made).locator_type == made.locator_type


def test_an_image_with_a_parent_has_a_locator_and_others_have_none() -> None:
    with opened(good("differencing-plain")) as image:
        assert image.locator is not None
        assert image.locator.linkage == PARENT
    with opened(good("dynamic-plain")) as image:
        assert image.locator is None


def test_the_locator_is_read_after_replay() -> None:
    with opened(good("dirty-bitmaps")) as image:
        assert image.locator is not None


def test_paths_are_tried_in_the_order_of_the_specification() -> None:
    """OpenVMM and libvhdi have other orders; that of the file means nothing."""
    made = locator()
    made.entries.reverse()
    paths = read(made).paths
    assert [key for key, _ in paths] == ["relative_path", "volume_path", "absolute_win32_path"]
    assert dict(paths) == {key: made.text[key] for key, _ in paths}


@pytest.mark.parametrize("key", ["relative_path", "volume_path", "absolute_win32_path"])
def test_one_path_is_enough(key: str) -> None:
    made = locator()
    for other in ("relative_path", "volume_path", "absolute_win32_path"):
        if other != key:
            made.remove(other)
    assert [name for name, _ in read(made).paths] == [key]
    made.remove(key)
    assert refused_with(made) == "LOC-16"


@pytest.mark.parametrize("write", [str, str.upper, str.title])
def test_the_linkage_may_be_written_in_either_case(write: Callable[[str], str]) -> None:
    made = locator()
    made.set("parent_linkage", write(braced(PARENT)))
    assert read(made).linkage == PARENT


@pytest.mark.parametrize(
    "text",
    [
        str(PARENT),
        "{" + str(PARENT),
        braced(PARENT) + " ",
        braced(PARENT)[:-2] + "}",
        braced(PARENT).replace("-", ""),
        braced(PARENT).replace("9", "\uff19"),  # a digit, but not one of these
        "{}",
        "x",
    ],
)
def test_anything_but_a_guid_in_braces_is_no_linkage(text: str) -> None:
    made = locator()
    made.set("parent_linkage", text)
    assert refused_with(made) == "LOC-15"


def test_parent_linkage2_is_accepted_and_kept() -> None:
    """The text forbids it, and Windows writes it; vhdx-rs refuses Windows' files for that."""
    made = locator()
    made.set("parent_linkage2", braced(OTHER_GUID))
    assert read(made).linkage_2 == OTHER_GUID
    made.remove("parent_linkage2")
    assert read(made).linkage_2 is None


def test_a_parent_linkage2_that_is_no_guid_is_as_good_as_none() -> None:
    made = locator()
    made.set("parent_linkage2", "none")
    assert read(made).linkage_2 is None


@pytest.mark.parametrize(
    ("linkage", "linkage_2", "guid", "key"),
    [
        (PARENT, OTHER_GUID, PARENT, "parent_linkage"),
        (PARENT, OTHER_GUID, OTHER_GUID, "parent_linkage2"),
        (PARENT, PARENT, PARENT, "parent_linkage"),
        (PARENT, OTHER_GUID, UUID(int=5), None),
        (PARENT, UUID(int=0), UUID(int=0), None),
        (UUID(int=0), UUID(int=0), UUID(int=0), None),
    ],
)
def test_a_parent_is_recognised_by_either_linkage_and_never_by_zero(
    linkage: UUID, linkage_2: UUID, guid: UUID, key: str | None
) -> None:
    made = locator()
    made.set("parent_linkage", braced(linkage))
    made.set("parent_linkage2", braced(linkage_2))
    assert matching_key(read(made), guid) == key


def test_keys_that_nobody_knows_are_kept_and_mean_nothing() -> None:
    made = locator()
    made.set("later_invention", "value")
    assert read(made).entries["later_invention"] == "value"
    assert read(made).paths == read(locator()).paths


def test_keys_are_case_sensitive() -> None:
    made = locator()
    made.set("Parent_Linkage", braced(OTHER_GUID))
    assert read(made).linkage == PARENT
    made.remove("parent_linkage")
    assert refused_with(made) == "LOC-13"


@pytest.mark.parametrize("path", ["C:\\images\\parent.vhdx", "\\\\?\\C:\\images\\parent.vhdx"])
def test_an_absolute_path_may_lack_its_prefix(path: str) -> None:
    """Windows writes it so."""
    made = locator()
    made.set("absolute_win32_path", path)
    assert dict(read(made).paths)["absolute_win32_path"] == path


# -- its shape ------------------------------------------------------------------------------------


def test_strings_may_share_their_place_and_stand_at_odd_offsets() -> None:
    """OpenVMM refuses odd ones."""
    with opened(good("locator-shared-strings")) as image:
        assert image.locator is not None
        assert image.locator.entries["one"] == image.locator.entries["two"] == ".\\parent.vhdx"


def test_another_type_of_locator_is_refused() -> None:
    made = locator()
    made.locator_type = OTHER_GUID
    assert refused_with(made) == "LOC-02"


@pytest.mark.parametrize("length", [0, 1, 19])
def test_a_locator_without_its_head_is_refused(length: int) -> None:
    assert refused_with(locator().pack()[:length]) == "ITEM-02"


def test_a_locator_without_keys_is_refused() -> None:
    made = locator()
    made.count = 0
    assert refused_with(made) == "LOC-04"


def test_more_keys_than_we_allow_are_no_fault_of_the_locator() -> None:
    made = locator()
    for number in range(MAX_KEYS + 1 - len(made.entries)):
        made.set(f"key{number}", "value")
    with pytest.raises(LimitError) as caught:
        read(made)
    assert (caught.value.finding.rule, caught.value.finding.level) == ("LOC-04", "limit")


@pytest.mark.parametrize("count", [MAX_KEYS + 1, 0xFFFF])
def test_a_number_of_keys_without_room_for_them_is_refused(count: int) -> None:
    made = locator()
    made.count = count
    assert refused_with(made) == "LOC-01"


def test_as_many_keys_as_we_allow_are_read() -> None:
    made = locator()
    for number in range(MAX_KEYS - len(made.entries)):
        made.set(f"key{number}", "value")
    assert len(read(made).entries) == MAX_KEYS


def sharing(length: int) -> Locator:
    """Return a locator of 64 KiB with as many keys as we allow, whose values share their bytes."""
    made = locator()
    for number in range(MAX_KEYS - len(made.entries)):
        entry = LocatorEntry(f"key{number}", "", value_offset=32 * KIB, value_length=length)
        made.entries.append(entry)
    item = made.pack()
    made.tail = "x".encode("utf-16-le") * ((64 * KIB - len(item)) // 2)
    return made


def test_texts_that_share_their_bytes_are_read_until_they_take_more_than_an_item_can() -> None:
    """Each is in the file once, and would be shown 250 times."""
    assert read(sharing(4000)).entries["key250"] == "x" * 2000
    with pytest.raises(LimitError) as caught:
        read(sharing(4200))
    assert (caught.value.finding.rule, caught.value.finding.level) == ("LOC-09", "limit")
    assert str(caught.value).startswith("Parent Locator at 0x210028: length of all texts 0x1")


def test_an_item_as_long_as_may_be_is_read_whatever_its_texts() -> None:
    made = locator()
    for number in range(16):
        made.set(f"key{number:02}", "x" * 32_000)
    made.set("last", "x" * ((MAX_ITEM_LENGTH - len(made.pack()) - 12 - 8) // 2))
    item = made.pack()
    assert MAX_ITEM_LENGTH - 1 <= len(item) <= MAX_ITEM_LENGTH
    assert read(item).entries == made.text


def test_a_count_that_the_item_has_no_room_for_is_refused() -> None:
    made = locator()
    made.count = 200
    assert refused_with(made) == "LOC-01"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"key_offset": 0}, "LOC-05"),
        ({"value_offset": 0}, "LOC-06"),
        ({"key_length": 0}, "LOC-07"),
        ({"value_length": 0}, "LOC-08"),
        ({"key_offset": 79}, "LOC-09"),
        ({"value_offset": 0xFFFFFFFF}, "LOC-09"),
        ({"value_length": 0xFFFE}, "LOC-09"),
        ({"key_length": 3}, "LOC-10"),
        ({"value_length": 27}, "LOC-10"),
    ],
)
def test_the_place_of_every_string_is_judged(fields: dict[str, int], rule: str) -> None:
    made = locator()
    for name, value in fields.items():
        setattr(made.find("volume_path"), name, value)
    assert refused_with(made) == rule


def test_a_string_may_begin_right_after_the_entries_and_end_with_the_item() -> None:
    made = locator()
    data = made.pack()
    first = made.entries[0]
    assert isinstance(first.key, str)
    begin = 20 + 12 * len(made.entries)
    assert data[begin : begin + 2 * len(first.key)].decode("utf-16-le") == first.key
    assert read(data).entries == made.text


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("volume_path", "a\0b", "LOC-11"),
        ("volume_path", "a\0", "LOC-11"),
        ("k\0", "v", "LOC-11"),
        ("volume_path", b"\x00\xd8", "LOC-10"),
        ("volume_path", b"a\0\x00\xdcb\0", "LOC-10"),
        (b"\x00\xd8", "value", "LOC-10"),
    ],
)
def test_strings_are_whole_utf_16_without_nul(
    key: str | bytes, value: str | bytes, rule: str
) -> None:
    made = locator()
    if isinstance(key, str):
        made.set(key, value)
    else:
        made.entries.append(LocatorEntry(key, value))
    assert refused_with(made) == rule


def test_strings_may_hold_any_character_beyond_the_first_65536() -> None:
    made = locator()
    made.set("relative_path", ".\\\U0001f4be\u00e4.vhdx")
    assert read(made).entries["relative_path"] == ".\\\U0001f4be\u00e4.vhdx"


def test_a_value_is_judged_although_its_key_is_no_text() -> None:
    made = Locator([LocatorEntry(b"\x00\xd8", "a\0"), LocatorEntry("b", b"\x00\xdc")])
    found = check_texts(grammar.parent_locator(made.pack(), PLACE))
    assert [(f.rule, f.message.partition(" ")[0]) for f in found] == [
        ("LOC-10", "key"),
        ("LOC-11", "value"),
        ("LOC-10", "value"),
    ]


def test_one_key_is_enough_for_the_count_but_not_for_the_rest() -> None:
    assert refused_with(Locator.of({"relative_path": "a"})) == "LOC-13"
    assert refused_with(Locator.of({"parent_linkage": f"{{{PARENT}}}"})) == "LOC-16"


def test_a_key_is_there_only_once() -> None:
    made = locator()
    made.entries.append(LocatorEntry("other", "1"))
    made.entries.append(LocatorEntry("other", "1"))
    assert refused_with(made) == "LOC-12"


def test_a_refusal_names_the_entry_and_its_place() -> None:
    made = locator()
    made.find("relative_path").value_length = 7
    with pytest.raises(FormatError) as caught:
        read(made)
    entry = 0x210028 + 20 + 12 * 2
    found = caught.value.finding
    assert found.where == f"Parent Locator, entry 2 at {entry:#x}"
    assert (found.offset, found.length) == (entry + 10, 2)


@pytest.mark.parametrize("key", ["parent_linkage", "volume_path", "relative_path"])
def test_a_finding_stays_short_whatever_the_file_says(key: str) -> None:
    """A value has up to 64 KiB, and one line is to say what is wrong with it."""
    made = locator()
    made.set(key, "C:" + "\u202e" * 32_000)
    record = grammar.parent_locator(made.pack(), PLACE)
    found = list(check_locator(record))
    assert found
    assert max(len(str(finding)) for finding in found) < 1000


@given(st.data())
def test_any_text_is_given_back(data: st.DataObject) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
    pairs = data.draw(st.dictionaries(text, text, max_size=8))
    made = locator()
    for key, value in pairs.items():
        if key not in made.text:
            made.set(key, value)
    assert read(made).entries == made.text


@given(st.binary(max_size=120), st.integers(0, 700), st.binary(max_size=8))
def test_any_bytes_are_read_or_refused(data: bytes, position: int, patch: bytes) -> None:
    whole = bytearray(locator().pack())
    whole[position : position + len(patch)] = patch
    for made in (data, bytes(whole)):
        try:
            said = read(made)
        except VhdxError:
            continue
        assert isinstance(said.linkage, UUID)
        assert said.paths


def test_a_refused_locator_refuses_the_image() -> None:
    layout: Layout = base_differencing().layout()
    made = locator()
    made.remove("parent_linkage")
    layout.set_locator(made)
    with pytest.raises(FormatError) as caught:
        opened(layout)
    assert caught.value.finding.rule == "LOC-13"
