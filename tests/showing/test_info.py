"""What `info` says of an image is what the model of the builder says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.images.bases import UNKNOWN_ITEM, UNKNOWN_REGION
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Region, differencing, dynamic, windows_locator
from tests.images.structures import (
    BAT_REGION,
    CHS_PARAMETERS,
    FILE_PARAMETERS,
    IS_USER,
    METADATA_REGION,
    MIB,
    VIRTUAL_DISK_SIZE,
    MetadataItem,
)
from tests.support import assert_valid, good, opened
from vhdx_kaitai.guids import NIL
from vhdx_kaitai.showing.document import json_text
from vhdx_kaitai.showing.info import info_document, info_text


@cache
def info(built: Built, *, allocation: bool = False) -> dict[str, Any]:
    """Return the document of `info`; nobody changes it."""
    with opened(built) as image:
        return info_document(image, "image.vhdx", allocation=allocation)


def text_of(built: Built, *, allocation: bool = False) -> list[str]:
    """Return the lines of `info`."""
    return list(info_text(info(built, allocation=allocation)))


@pytest.mark.parametrize("name", GOODS)
def test_the_document_of_a_good_image_is_what_the_schema_says(name: str) -> None:
    assert_valid(info(good(name), allocation=name != "largest-disk"), "info")


def test_allocation_is_there_only_when_asked_for() -> None:
    assert "states" not in info(good("dynamic-plain"))["bat"]
    assert_valid(info(good("dynamic-plain")), "info")
    states = info(good("dynamic-plain"), allocation=True)["bat"]["states"]
    assert states == good("dynamic-plain").model.state_counts()
    assert "reserved" not in info(good("dynamic-plain"))["bat"]


@pytest.mark.parametrize("state", [4, 5])
def test_blocks_in_reserved_states_are_counted_too(state: int) -> None:
    layout = dynamic(8 * MIB, blocks={0: Block(), 1: Block(), 2: Block()}).layout()
    layout.set_entry(1, state)
    layout.set_entry(4, state)
    built = layout.build()
    document = info(built, allocation=True)
    assert_valid(document, "info")
    bat = document["bat"]
    assert bat["states"] == dict.fromkeys(bat["states"], 0) | {
        "fully_present": 2,
        "not_present": 4,
    }
    assert bat["reserved"] == 2
    lines = text_of(built, allocation=True)
    assert any("2 blocks in RESERVED STATES" in line for line in lines)
    assert not any("RESERVED" in line for line in text_of(good("dynamic-plain"), allocation=True))


def test_known_regions_and_items_have_names_and_others_have_none() -> None:
    items = [
        MetadataItem(UNKNOWN_ITEM, b"optional", 0),
        MetadataItem(VIRTUAL_DISK_SIZE, bytes(8), IS_USER),
        MetadataItem(CHS_PARAMETERS, bytes(16), 0),
    ]
    document = info(dynamic(items=items, regions=[Region(UNKNOWN_REGION)]).build())
    regions = {region["guid"]: region["name"] for region in document["regions"]}
    assert regions == {
        str(BAT_REGION): "BAT",
        str(METADATA_REGION): "Metadata",
        str(UNKNOWN_REGION): None,
    }
    named = {(item["item_id"], item["is_user"]): item["name"] for item in document["metadata"]}
    assert named[str(FILE_PARAMETERS), False] == "File Parameters"
    assert named[str(VIRTUAL_DISK_SIZE), False] == "Virtual Disk Size"
    assert named[str(VIRTUAL_DISK_SIZE), True] is None
    assert named[str(UNKNOWN_ITEM), False] is None
    assert named[str(CHS_PARAMETERS), False] is not None


def test_a_header_that_is_not_valid_says_why() -> None:
    header = info(good("header-1-damaged"))["headers"][0]
    assert header["valid"] is False
    assert "checksum 0x00000001 stored" in header["reason"]
    assert header["sequence_number"] == "9"


def test_a_header_without_its_signature_has_no_fields() -> None:
    header = info(good("header-2-missing"))["headers"][1]
    assert "signature" in header["reason"]
    assert {value for name, value in header.items() if name not in ("copy", "valid", "reason")} == {
        None
    }


def test_a_clean_log_has_no_numbers_and_a_dirty_one_has_all() -> None:
    clean = info(good("clean-with-old-entries"))["log"]
    assert set(clean.values()) == {"clean", None}
    dirty = info(good("log-of-windows"))["log"]
    assert None not in dirty.values()
    assert dirty["changed_bytes"] == good("log-of-windows").model.log.target_bytes


def test_sequence_numbers_are_strings_because_they_exceed_what_json_holds() -> None:
    document = info(good("sequence-number-max"))
    assert document["headers"][1]["sequence_number"] == "18446744073709551615"


@pytest.mark.parametrize("name", GOODS)
def test_info_is_one_screen_of_printable_text(name: str) -> None:
    lines = text_of(good(name), allocation=name != "largest-disk")
    assert len(lines) <= 50
    assert all(line.isprintable() for line in lines)
    for line in lines[1:]:
        assert len(line) <= 80 or line.startswith(AS_IT_IS)


# Text of the image is not broken into lines, so that it can be copied.
AS_IT_IS = ("  created by ", "  relative_path ", "  volume_path ", "  absolute_win32_path ")


def test_rows_of_unknown_things_and_of_all_states_fit_the_screen() -> None:
    states = (0, 1, 2, 3, 4)
    layout = dynamic(
        2048 * MIB, items=[MetadataItem(UNKNOWN_ITEM, b"x", 0)], regions=[Region(UNKNOWN_REGION)]
    ).layout()
    for block in range(2048):
        layout.set_entry(block, states[block % len(states)])
    built = layout.build()
    lines = text_of(built, allocation=True)
    assert all(len(line) <= 80 for line in lines)
    text = " ".join(" ".join(lines).split())
    for fact in (
        str(UNKNOWN_ITEM),
        str(UNKNOWN_REGION),
        "410 not present, 410 undefined, 410 zero",
    ):
        assert fact in text


def test_each_path_that_was_tried_has_lines_of_its_own(tmp_path: Path, run: Run) -> None:
    locator = windows_locator(NIL, "parent.vhdx")
    path = differencing(4 * MIB, locator=locator).build().write(tmp_path / "child.vhdx")
    outcome = run("info", path)
    lines = outcome.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  not found "))
    error = run("info", "--json", path)
    reasons = json.loads(error.out)["parent"]["error"].split("; ")
    assert len(reasons) > 2
    shown = [line[23:] for line in lines[start:]]
    for reason in reasons:
        first = reason.split()[0]
        assert any(line.startswith(first) for line in shown)
    assert " ".join(shown).replace(" ", "") == "; ".join(reasons).replace("; ", "").replace(" ", "")


def test_info_tells_what_a_storage_engineer_asks_for() -> None:
    text = "\n".join(text_of(good("dirty-bat"), allocation=True))
    model = good("dirty-bat").model
    for fact in (
        "dynamic virtual disk of 8 MiB",
        "8388608 bytes",
        "512 bytes logical, 4096 bytes physical",
        "8 of 1 MiB",
        str(model.virtual_disk_id),
        "vhdx test images",
        "DIRTY",
        "sequence number 2",
        str(model.current_header.data_write_guid),
        "4 not present, 1 zero, 1 unmapped, 2 fully present",
        f"{good('dirty-bat').length} bytes",
        f"{good('dirty-bat').layout.bat_offset:#x}",
    ):
        assert fact in text


def test_info_of_a_differencing_disk_shows_every_key_of_its_locator() -> None:
    text = "\n".join(text_of(good("differencing-plain")))
    for key, value in good("differencing-plain").layout.image.resolved_locator().text.items():  # type: ignore[union-attr]
        assert key in text
        assert value in text


def test_info_of_a_log_that_is_not_there_says_none() -> None:
    lines = text_of(good("log-length-0"))
    assert any(line.split() == ["log", "none"] for line in lines)


HOSTILE = "a\x1b[31mb\x07c\u202ed\u2066e\x9bf\ud800"


def test_text_from_the_image_is_escaped_for_terminals_and_kept_in_documents() -> None:
    locator = windows_locator(NIL, "parent.vhdx")
    hostile = HOSTILE[:-1]  # half a surrogate pair would be refused
    locator.set("relative_path", hostile)
    locator.set("key\x1b]0;title\x07", "value")
    creator = HOSTILE.encode("utf-16-le", "surrogatepass")
    built = differencing(4 * MIB, locator=locator, creator=creator).build()
    document = info(built)
    assert document["creator"] == HOSTILE
    assert document["parent"]["entries"]["relative_path"] == hostile
    lines = list(info_text(document))
    assert all(line.isprintable() for line in lines)
    text = "\n".join(lines)
    assert r"a\x1b[31mb\x07c\u202ed\u2066e\x9bf\ud800" in text
    assert r"key\x1b]0;title\x07" in text
    said = json.loads(json_text(document))
    assert said["creator"] == HOSTILE[:-1] + r"\ud800"
    assert said["parent"]["entries"]["relative_path"] == hostile
