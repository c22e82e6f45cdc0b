"""What `log` says of a log is what the builder placed there."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.images.damage import DAMAGES
from tests.images.dirty import log_only
from tests.images.goods import GOODS
from tests.images.image import Block, Built, dynamic
from tests.images.log import Data, Entry, Placed
from tests.images.structures import (
    KIB,
    MIB,
)
from tests.support import assert_valid, damaged, good, refusals
from vhdx_kaitai.format.descent import state_of_log
from vhdx_kaitai.showing.log import log_document, log_text
from vhdx_kaitai.storage.source import BufferSource

LOGGED = [
    name
    for name in GOODS
    if name.startswith(("dirty-", "log-", "clean-")) and good(name).layout.log is not None
]


@cache
def log_of(built: Built) -> dict[str, Any]:
    """Return the document of `log`; nobody changes it."""
    return log_document("image.vhdx", *state_of_log(BufferSource(built.to_bytes())))


@pytest.mark.parametrize("name", [*LOGGED, *refusals("LOG")])
def test_the_document_of_a_log_is_what_the_schema_says(name: str) -> None:
    assert_valid(log_of(good(name) if name in GOODS else damaged(name)), "log")


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
