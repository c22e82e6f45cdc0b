"""Documents and texts about images, held against their schemas and the models of the builder."""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import vhdx_kaitai
from tests.conftest import Files, Run
from tests.images.damage import DAMAGES, UNKNOWN_ITEM, UNKNOWN_REGION
from tests.images.dirty import log_only
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Region, differencing, dynamic, windows_locator
from tests.images.log import Data, Entry, Placed
from tests.images.structures import (
    BAT_REGION,
    CHS_PARAMETERS,
    FILE_PARAMETERS,
    IS_USER,
    KIB,
    METADATA_REGION,
    MIB,
    VIRTUAL_DISK_SIZE,
    MetadataItem,
)
from tests.support import SCHEMAS, assert_valid, damaged, good, opened, refusals
from vhdx_kaitai.errors import FormatError, VhdxError
from vhdx_kaitai.format import log
from vhdx_kaitai.format.headers import read_headers
from vhdx_kaitai.format.replay import ReplaySummary, replay
from vhdx_kaitai.guids import NIL
from vhdx_kaitai.showing.document import error_document, json_text
from vhdx_kaitai.showing.info import info_document, info_text
from vhdx_kaitai.showing.log import log_document, log_text
from vhdx_kaitai.storage.source import BufferSource

LOGGED = [
    name
    for name in GOODS
    if name.startswith(("dirty-", "log-", "clean-")) and good(name).layout.log is not None
]


@cache
def info(built: Built, *, allocation: bool = False) -> dict[str, Any]:
    """Return the document of `info`; nobody changes it."""
    with opened(built) as image:
        return info_document(image, "image.vhdx", allocation=allocation)


def text_of(built: Built, *, allocation: bool = False) -> list[str]:
    """Return the lines of `info`."""
    return list(info_text(info(built, allocation=allocation)))


@cache
def log_of(built: Built) -> dict[str, Any]:
    """Return the document of `log`; nobody changes it."""
    source = BufferSource(built.to_bytes())
    header = read_headers(source).current
    ring = log.Log(source, header) if header.log_length else None
    replayed: ReplaySummary | None = None
    error: VhdxError | None = None
    if ring is not None and header.log_guid != NIL:
        try:
            replayed = replay(source, ring)[1]
        except FormatError as refusal:
            error = refusal
    return log_document("image.vhdx", ring, replayed, error)


# -- schemas -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [path.stem for path in SCHEMAS.glob("*.json") if path.stem != "map"]
)
def test_a_schema_is_itself_valid_and_lists_every_field(name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["schema_version"] == {"const": 1}
    assert set(schema["required"]) == set(schema["properties"])
    assert list(schema["required"][:2]) == ["schema_version", "tool"]


def test_a_document_says_which_version_of_what_made_it(files: Files, run: Run) -> None:
    path = files.good("dynamic-plain")
    for command in ("info", "check", "log", "chain", "tree"):
        document = json.loads(run(command, "--json", path).out)
        assert document["tool"] == {"name": "vhdx-kaitai", "version": vhdx_kaitai.__version__}


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


@pytest.mark.parametrize("name", [*LOGGED, *refusals("LOG")])
def test_the_document_of_a_log_is_what_the_schema_says(name: str) -> None:
    assert_valid(log_of(good(name) if name in GOODS else damaged(name)), "log")


@pytest.mark.parametrize("name", [name for name, case in DAMAGES.items() if case.open_refuses])
def test_the_document_of_a_refusal_is_what_the_schema_says(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        opened(damaged(name))
    finding = caught.value.finding
    document = error_document("image.vhdx", caught.value)
    assert_valid(document, "error")
    error = document["error"]
    assert error["type"] == type(caught.value).__name__
    assert error["rule"] in DAMAGES[name].visible
    assert error["message"] == finding.message
    assert (error["section"], error["where"]) == (finding.section, finding.where)
    assert error["offset"] == finding.offset


def test_an_error_without_a_finding_has_a_message_and_no_rule() -> None:
    document = error_document("x", FileNotFoundError(2, "No such file", "x"))
    assert_valid(document, "error")
    assert document["error"] == {
        "type": "FileNotFoundError",
        "rule": None,
        "section": None,
        "where": None,
        "offset": None,
        "message": "No such file",
    }


# -- info: what a model cannot say ---------------------------------------------------------------


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


# -- info: the screen ----------------------------------------------------------------------------


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


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text('a\\"\n\xe9\U0001f4be\ud800\udc00\udcff'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("a\ud800"), inner),
    )
)
def test_json_is_such_that_every_parser_takes_it(document: Any) -> None:
    """No number of a surrogate stands without its partner, which jq and others refuse."""
    text = json_text(document)
    assert text.isascii()
    said = json.loads(text)
    json.dumps(said, ensure_ascii=False).encode("utf-8")  # fails for a lone surrogate
    assert said == unescaped(document)


def unescaped(value: Any) -> Any:
    """Return what is expected of a document: numbers of lone surrogates are text."""
    if isinstance(value, str):
        return "".join(
            f"\\u{ord(char):04x}" if unicodedata.category(char) == "Cs" else char for char in value
        )
    if isinstance(value, list):
        return [unescaped(item) for item in value]
    if isinstance(value, dict):
        return {unescaped(key): unescaped(item) for key, item in value.items()}
    return value


# -- log -----------------------------------------------------------------------------------------


def described(placed: Placed) -> dict[str, Any]:
    """Return what a document says of an entry that the builder placed."""
    return {
        "offset": placed.at,
        "length": placed.length,
        "sequence_number": str(placed.sequence_number),
        "tail": placed.tail,
        "descriptors": len(placed.entry.descriptors),
        "log_guid": str(placed.log_guid),
        "flushed_file_offset": placed.flushed_file_offset,
        "last_file_offset": placed.last_file_offset,
    }


@pytest.mark.parametrize("name", LOGGED)
def test_the_entries_of_a_log_are_those_that_the_builder_placed(name: str) -> None:
    built = good(name)
    ring = built.layout.log
    assert ring is not None
    guid = built.model.current_header.log_guid
    active = ring.active(guid) if guid.int else None
    positions = {placed.at for placed in active.entries} if active else set()
    whole = ring.pack()
    expected = {
        placed.at: described(placed)
        for placed in ring.placed()
        if whole.read(placed.at, 64) == placed.pack()[:64]  # not overwritten by a later one
    }
    listed = log_of(built)["entries"]
    assert [entry["offset"] for entry in listed] == sorted(expected)
    for entry in listed:
        assert entry | expected[entry["offset"]] == entry
        assert entry["active"] == (entry["offset"] in positions)
        assert entry["file_offset"] == built.layout.log_offset + entry["offset"]
        assert (entry["rule"] is None) == (entry["reason"] is None) == entry["valid"]


@pytest.mark.parametrize("name", [n for n in LOGGED if good(n).model.log.state == "dirty"])
def test_what_replay_changes_is_listed_in_the_order_of_replay(name: str) -> None:
    built = good(name)
    ring = built.layout.log
    assert ring is not None
    active = ring.active(built.model.current_header.log_guid)
    assert active is not None
    document = log_of(built)
    assert document["replay"]["changes"] == [
        {
            "sequence_number": str(placed.sequence_number),
            "kind": "data" if isinstance(item, Data) else "zero",
            "file_offset": item.file_offset,
            "length": 4096 if isinstance(item, Data) else item.length,
        }
        for placed in active.entries
        for item in placed.entry.descriptors
    ]
    assert document["replay"]["entries"] == len(active.entries)
    assert document["replay"]["file_size"] == built.replayed().length
    assert document["replay"]["changed_bytes"] == built.model.log.target_bytes
    assert document["state"] == "dirty"
    assert [sequence["active"] for sequence in document["sequences"]].count(True) == 1


def test_sequences_that_are_not_active_say_why() -> None:
    sequences = log_of(good("log-two-sequences"))["sequences"]
    reasons = {sequence["last_sequence_number"]: sequence["reason"] for sequence in sequences}
    assert "LOG-30" in reasons.pop("10")
    assert set(reasons.values()) == {None}
    broken = log_of(damaged("log-tail-outside-the-sequence"))["sequences"]
    assert len(broken) == 1
    assert "LOG-29" in broken[0]["reason"]


@pytest.mark.parametrize("name", refusals("LOG"))
def test_a_log_that_must_not_be_replayed_is_dirty_and_has_an_error(name: str) -> None:
    document = log_of(damaged(name))
    assert document["state"] == "dirty"
    assert document["replay"] is None
    assert document["error"]["rule"] in DAMAGES[name].visible
    rule = document["error"]["rule"]
    active = [sequence for sequence in document["sequences"] if sequence["active"]]
    if rule == "LOG-31":
        assert active == []
        assert not any(entry["active"] for entry in document["entries"])
        return
    # It is the one to be replayed, and cannot be: there is no other that is better.
    assert [sequence["reason"] for sequence in active] == [
        f"{document['error']['message']} [{rule}]"
    ]
    numbers = {entry["sequence_number"] for entry in document["entries"] if entry["active"]}
    assert active[0]["last_sequence_number"] in numbers
    assert len(numbers) == active[0]["entries"]
    text = list(log_text(document))
    assert any(line.startswith("*") for line in text)
    assert any(
        f": active, refused: {document['error']['message']} [{rule}]" in line for line in text
    )
    assert not any("LOG-30" in line for line in text)


def test_a_sequence_that_is_not_used_tells_of_the_one_that_is() -> None:
    built = log_only(
        dynamic(8 * MIB, blocks={0: Block()}, file_length=8 * MIB),
        [
            Entry(at=0, sequence_number=5, tail=0),
            Entry(at=512 * KIB, sequence_number=9, tail=512 * KIB, flushed_file_offset=1 << 40),
            Entry(at=768 * KIB, sequence_number=9, tail=768 * KIB),
        ],
    ).build()
    document = log_of(built)
    assert_valid(document, "log")
    assert document["error"]["rule"] == "LOG-32"
    assert [(one["active"], one["reason"]) for one in document["sequences"]] == [
        (False, "another sequence ends with a greater sequence number, 9 [LOG-30]"),
        (True, document["error"]["message"] + " [LOG-32]"),
        (False, "another sequence ends with the same sequence number, 9 [LOG-30]"),
    ]
    assert [entry["active"] for entry in document["entries"]] == [False, True, False]


def test_an_image_without_a_log_has_an_empty_document() -> None:
    document = log_of(good("log-length-0"))
    assert_valid(document, "log")
    assert (document["state"], document["length"], document["entries"]) == ("clean", None, [])
    assert list(log_text(document)) == ["image.vhdx: no log"]


@pytest.mark.parametrize("name", LOGGED)
def test_the_text_of_a_log_is_printable_and_marks_the_active_entries(name: str) -> None:
    document = log_of(good(name))
    lines = list(log_text(document))
    assert all(line.isprintable() for line in lines)
    marked = [line for line in lines if line.startswith("*")]
    assert len(marked) == (good(name).model.log.entries or 0)
