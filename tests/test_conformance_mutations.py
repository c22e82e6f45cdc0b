"""The conformance kit notices a mistake in the grammar, and so in any parser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conformance import kit

KSY = kit.KSY.read_text(encoding="utf-8")


class Mutation(NamedTuple):
    """A mistake: texts and what stands in their place, below a type where there is one."""

    name: str
    below: str
    changes: dict[str, str]


def _moved(first: str, second: str) -> dict[str, str]:
    """Return the changes that give two fields each other's place."""
    return {f"- id: {first}\n": f"- id: {second}\n", f"- id: {second}\n": f"- id: {first}\n"}


MUTATIONS = [
    Mutation("two fields swapped", "header", _moved("log_version", "version")),
    Mutation("two long fields swapped", "header", _moved("file_write_guid", "log_guid")),
    Mutation("two params swapped", "bat_chunk", _moved("block_size", "chunk_ratio")),
    Mutation("a field too wide", "metadata_table", {"type: u2": "type: u4"}),
    Mutation("a wrong byte in the GUID of the BAT", "", {"[0x66, 0x77,": "[0x66, 0x78,"}),
    Mutation("a wrong byte in the GUID of an item", "", {"0xe7, 0x6b] ?": "0xe7, 0x6a] ?"}),
    Mutation("a wrong byte in a signature", "region_table", {"0x67, 0x69]": "0x67, 0x49]"}),
    Mutation("bits from the other end", "", {"bit-endian: le": "bit-endian: be"}),
    Mutation("bits cut elsewhere", "payload_bat_entry", {"b17": "b18", "b12": "b11"}),
    Mutation("header 2 elsewhere", "", {"pos: 0x20000": "pos: 0x21000"}),
    Mutation("a wrong number in an enum", "payload_block_state", {"6:\n": "5:\n"}),
    Mutation("a sign", "region_table_entry", {"type: u4": "type: s4"}),
    Mutation("the other byte order", "log_entry_header", {"type: u8": "type: u8be"}),
    Mutation("one entry too many", "region_lookup", {"<= 2047": "<= 2048"}),
    Mutation("padding of a full sector", "log_entry", {")) % 4096)": ")))"}),
    Mutation("a sector bitmap at the end", "bat_chunk", {"> chunk_ratio)": ">= chunk_ratio)"}),
    Mutation("no sector bitmaps between", "bat_view", {"(chunk_ratio + 1": "(chunk_ratio + 0"}),
    Mutation("a user's item taken", "metadata_table_entry", {"is_user ? item_kind::other :": ""}),
    Mutation("an item at the end refused", "metadata_item", {"ofs_item <= (": "ofs_item < ("}),
    Mutation("text to the end of the field", "utf16_field", {"_ == 0 or ": ""}),
    Mutation(
        "headers compared by halves, wrongly", "header_choice", {"high > rank_1": "high >= rank_1"}
    ),
    Mutation(
        "a header that is not all there", "header_choice", {"header_2 + 4096": "header_2 + 4095"}
    ),
    Mutation("any count in region table 1", "region_table_choice", {"<= 2047": "<= 4294967295"}),
    Mutation(
        "region table 1 whatever it is", "region_table_choice", {"0x67, 0x69]": "0x67, 0x49]"}
    ),
    Mutation(
        "regions past the file",
        "region_lookup",
        {"has_count and end_of_possible_entries >": "has_count and end_of_possible_entries <"},
    ),
    Mutation("half a region", "region_lookup", {"- 16)": "- 15)"}),
    Mutation("the signature of the metadata", "metadata_table", {"[0x6d, 0x65,": "[0x6d, 0x45,"}),
    Mutation("items past the file", "metadata_view", {"_possible_items >": "_possible_items <"}),
    Mutation(
        "a metadata signature that stops", "metadata_table", {"size: 8": "contents: metadata"}
    ),
    Mutation("an item past the file taken", "item_lookup", {"_io.size - 8": "_io.size + 8"}),
    Mutation(
        "an unknown item as the next kind", "metadata_item", {"            _: unknown_item\n": ""}
    ),
    Mutation(
        "entries of the BAT past the file",
        "bat_chunk",
        {"<= _io.size ? num_entries": ">= _io.size ? num_entries"},
    ),
    Mutation(
        "a bitmap entry past the file",
        "bat_chunk",
        {"_entry <= (_io.size - 8": "_entry <= (_io.size - 7"},
    ),
    Mutation("slots past the file", "log_ring", {"(len_log <= ": "(len_log >= "}),
    Mutation("a log that need not be replayed", "log_ring", {"raw != [": "raw == ["}),
    Mutation(
        "stale entries taken for live",
        "log_slot",
        {"guid_of_entry == log_guid and": "log_guid == log_guid and"},
    ),
    Mutation(
        "entries of no log taken for live", "log_slot", {"log_guid != [0x00": "log_guid != [0x01"}
    ),
    Mutation(
        "data sectors not known",
        "log_slot",
        {"[0x64, 0x61, 0x74, 0x61]": "[0x64, 0x41, 0x74, 0x61]"},
    ),
    Mutation(
        "halves swapped",
        "log_entry_sector",
        {"ofs_sector + 16": "ofs_sector + 20", "ofs_sector + 20": "ofs_sector + 16"},
    ),
    Mutation("slots of a sector", "log_slot", {"size: 0x1000": "size: 512"}),
    Mutation("half an entry marked", "payload_block", {"size: 8": "size: 4"}),
    Mutation("a place for what has none", "payload_bat_entry", {'MiB" : "not in': 'MiB" : "at in'}),
]
TELLING = {
    "bat-far-away",
    "chunks-of-a-dynamic-disk",
    "differencing-512",
    "dynamic-512",
    "header-1-damaged",
    "items-of-all-kinds",
    "log-entries-of-every-shape",
    "regions-unknown",
}
ARITHMETIC = "file_offset_mb_high.as<s8> * 4096.as<s8>"


def mutated(mutation: Mutation) -> str:
    """Return the grammar with a mistake in it."""
    start = KSY.index(f"\n  {mutation.below}:\n") if mutation.below else 0
    head, body = KSY[:start], KSY[start:]
    places = {old: body.index(old) for old in mutation.changes}
    for old in sorted(places, key=lambda old: -places[old]):
        body = body[: places[old]] + mutation.changes[old] + body[places[old] + len(old) :]
    return head + body


def runner_of(language: str, text: str, folder: Path) -> kit.Runner:
    """Return a runner for another grammar; skip or fail when it cannot be built here."""
    (folder / "vhdx.ksy").write_text(text, encoding="utf-8")
    runner = kit.Runner(language, folder / "vhdx.ksy", folder)
    if runner.missing and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(runner.missing)}")
    assert not runner.missing
    return runner


def is_red(runner: kit.Runner) -> bool:
    """Whether anything comes out that is neither right nor known."""
    try:
        runner.prepare()
    except kit.KitError:
        return True
    # The telling ones first: most mistakes show there, and the rest need not be asked.
    telling = [vector for vector in kit.vectors() if vector.name in TELLING]
    others = [vector for vector in kit.vectors() if vector.name not in TELLING]
    known = kit.deviations(runner.language)
    return any(any(kit.judge(runner.check(part), known, part)) for part in (telling, others))


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_in_the_grammar_turns_the_kit_red(mutation: Mutation, tmp_path: Path) -> None:
    text = mutated(mutation)
    assert text != KSY
    runner = runner_of("python", text, tmp_path)
    runner.prepare()  # a mistake that does not compile shows nothing
    assert is_red(runner)


@pytest.mark.slow
def test_without_a_mistake_the_kit_is_green(tmp_path: Path) -> None:
    assert not is_red(runner_of("python", KSY, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "wrong"),
    [
        ("javascript", "file_offset_mb_high.as<s8> << 12"),  # shifts 32 bits there
        *(
            (language, "file_offset_mb_high * 4096")  # multiplies 32 bits, or does not compile
            for language in ("go", "rust")
            if language in kit.languages()
        ),
    ],
)
def test_a_mistake_of_one_language_turns_that_language_red(
    language: str, wrong: str, tmp_path: Path
) -> None:
    text = KSY.replace(ARITHMETIC, wrong)
    assert KSY.count(ARITHMETIC) == 2
    assert not is_red(runner_of("python", text, tmp_path))
    assert is_red(runner_of(language, text, tmp_path))
