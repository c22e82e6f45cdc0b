"""The builder of test images, judged by its own model: what it builds means what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings

from tests.images import strategies
from tests.images.bases import BASES
from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS, chain
from tests.images.crc import crc32c, sealed
from tests.images.damage import DAMAGES, NOT_BREACHABLE
from tests.images.dirty import STRUCTURES, dirty
from tests.images.goods import GOODS
from tests.images.image import Block, Built, differencing, dynamic, partial, sectors
from tests.images.log import Data, Entry, Log, Zero
from tests.images.model import Model, NoParentError
from tests.images.sparse import Pattern, Sparse, Zeros, pattern
from tests.images.structures import GIB, KIB, MIB, REGION_TABLE_OFFSETS, TIB, ZERO, ZERO_GUID
from tests.support import RULES

# -- checksum -------------------------------------------------------------------------------------


def test_the_checksum_has_its_check_value() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_the_checksum_of_zero_runs_is_that_of_the_plain_loop() -> None:
    def plain(data: bytes) -> int:
        register = 0xFFFFFFFF
        for byte in data:
            register ^= byte
            for _ in range(8):
                register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
        return register ^ 0xFFFFFFFF

    samples = [
        b"",
        bytes(1),
        bytes(63),
        bytes(64),
        bytes(5000),
        b"a" + bytes(77) + b"b",
        bytes(300) + b"\x01",
        bytes(64) + b"x" + bytes(64) + b"y" + bytes(1000),
    ]
    for data in samples:
        assert crc32c(data) == plain(data)


def test_a_sealed_structure_holds_the_checksum_of_itself_with_the_field_zero() -> None:
    data = sealed(b"head\xff\xff\xff\xffrest")
    assert data[4:8] == crc32c(b"head\0\0\0\0rest").to_bytes(4, "little")
    assert data[:4] + data[8:] == b"headrest"


# -- pieces ---------------------------------------------------------------------------------------


def test_a_sparse_file_reads_as_written(tmp_path: Path) -> None:
    file = Sparse(10000, {100: b"abc", 101: b"x", 5000: Pattern(7, 3000, 2000)})
    file.put(5100, Zeros(50))
    file.put(9000, Zeros(100))
    whole = file.to_bytes()
    assert whole[99:104] == b"\0axc\0"
    assert whole[5000:5100] == pattern(7, 3000, 100)
    assert whole[5100:5150] == bytes(50)
    assert file.write(tmp_path / "file").read_bytes() == whole
    assert all(
        file.read(at, size) == whole[at : at + size]
        for at in range(0, 9000, 517)
        for size in (1, 600)
    )
    assert file.slice(5050, 200).to_bytes() == whole[5050:5250]


def test_a_pattern_names_its_place() -> None:
    whole = pattern(3, 0, 4096)
    assert pattern(3, 700, 900) == whole[700:1600]
    assert pattern(4, 0, 4096) != whole
    pieces = {whole[at : at + 16] for at in range(0, 512, 16)}
    assert len(pieces) == 32


def test_cutting_a_file_forgets_what_was_past_the_cut() -> None:
    file = Sparse(0, {0: b"abcdef"})
    file.truncate(3)
    file.truncate(6)
    assert file.to_bytes() == b"abc\0\0\0"


def test_the_largest_disk_is_cheap(tmp_path: Path) -> None:
    built = GOODS["largest-disk"].build()
    assert built.model.geometry.entry_count == 67_125_247
    assert built.model.info()["bat"]["length"] == 513 * MIB
    path = built.write(tmp_path / "largest.vhdx")
    assert path.stat().st_size == built.length
    if hasattr(path.stat(), "st_blocks"):
        assert path.stat().st_blocks * 512 < 16 * MIB
    assert len(built.model.extents()) == 5
    last = built.model.size - MIB
    assert built.model.read(last, 512) == pattern(1, last, 512)


# -- what the images mean -------------------------------------------------------------------------


def test_sector_runs_are_sorted_and_merged() -> None:
    assert sectors(5, range(3), (3, 4), 9) == ((0, 4), (5, 6), (9, 10))
    assert sectors(range(0, 6, 2)) == ((0, 1), (2, 3), (4, 5))
    assert sectors() == ()


def test_the_geometry_is_that_of_the_text() -> None:
    largest = differencing(64 * TIB).geometry
    assert (largest.chunk_ratio, largest.entry_count) == (4096, 67_125_248)
    child = differencing(6 * GIB, block_size=256 * MIB).geometry
    assert (child.chunk_ratio, child.payload_blocks, child.entry_count) == (16, 24, 34)
    assert (child.index(15), child.index(16), child.bitmap_index(1)) == (15, 17, 33)


def test_a_partial_block_mixes_file_and_parent() -> None:
    base = dynamic(2 * MIB, blocks={0: Block()}).build()
    child = differencing(parent=base, blocks={0: partial(1, 3), 1: Block(ZERO)}).build()
    data = child.model.read(0, 5 * 512)
    own = [data[at : at + 512] == pattern(2, at, 512) for at in range(0, 5 * 512, 512)]
    theirs = [data[at : at + 512] == pattern(1, at, 512) for at in range(0, 5 * 512, 512)]
    assert own == [False, True, False, True, False]
    assert theirs == [True, False, True, False, True]
    assert child.model.read(MIB, MIB) == bytes(MIB)


def test_without_a_parent_only_own_ranges_can_be_read() -> None:
    model = GOODS["differencing-plain"].build().model
    assert model.read(0, 512) == pattern(2, 0, 512)
    with pytest.raises(NoParentError):
        model.read(7 * MIB, 512)


def test_bitmap_bits_count_from_the_least_significant() -> None:
    built = differencing(8 * MIB, blocks={1: partial(0, 3, range(8, 17))}).build()
    bitmap = built.layout.bitmaps[0]
    assert built.file.read(bitmap.file_offset + 256, 4) == b"\x09\xff\x01\0"


def test_placing_things_by_hand_is_obeyed() -> None:
    layout = dynamic(
        4 * MIB,
        log_offset=9 * MIB,
        bat_offset=3 * MIB,
        metadata_offset=20 * MIB,
        blocks={0: Block(file_offset=MIB), 1: Block()},
    ).layout()
    assert (layout.log_offset, layout.bat_offset, layout.metadata_offset) == (
        9 * MIB,
        3 * MIB,
        20 * MIB,
    )
    assert layout.payload == {0: MIB, 1: 2 * MIB}


def occupied(built: Built) -> list[tuple[int, int]]:
    layout = built.layout
    ranges = [(0, MIB), (layout.log_offset, layout.image.log_length)]
    ranges += [(entry.file_offset, entry.length) for entry in layout.region_tables[0].entries]
    return sorted(ranges + layout.ranges("bitmaps", "payload"))


def assert_extents_agree(model: Model, offsets: Iterable[int]) -> None:
    """Show that extents cover the disk without gaps and lead to the bytes the model reads."""
    extents = model.extents()
    assert extents[0].offset == 0
    assert extents[-1].offset + extents[-1].length == model.size
    for extent, after in pairwise(extents):
        assert extent.offset + extent.length == after.offset
        assert not extent.continues_in(after)
    layouts = [model._layout]
    older = model.parent
    while older is not None:
        layouts.append(older._layout)
        older = older.parent
    bodies = [layout.pack_body() for layout in layouts]
    for at in offsets:
        extent = next(item for item in extents if item.offset <= at < item.offset + item.length)
        if extent.file_offset is not None:
            inside = extent.file_offset + at - extent.offset
            assert bodies[extent.depth].read(inside, 16) == model.read(at, 16)
        elif extent.kind == "zero":
            assert model.read(at, 16) == bytes(16)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.images())
def test_drawn_images_are_consistent(built: Built) -> None:
    ranges = occupied(built)
    for (start, length), (after, _) in pairwise(ranges):
        assert start + length <= after
    assert all(start % MIB == 0 for start, _ in ranges)
    assert built.replayed().length >= max(start + length for start, length in ranges)
    info = built.model.info(allocation=True)
    json.dumps(info)
    assert sum(info["bat"]["states"].values()) == info["bat"]["payload_blocks"]
    if built.model.log.state == "dirty":
        assert_replay_gives(built, built.image.build())


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(strategies.wide_images())
def test_drawn_wide_images_are_consistent(built: Built) -> None:
    assert_extents_agree(
        built.model, range(0, built.model.size, (built.model.size // 51200 + 1) * 512)
    )
    ranges = occupied(built)
    for (start, length), (after, _) in pairwise(ranges):
        assert start + length <= after
    assert built.model.info()["file_size"] == built.length


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(strategies.chains())
def test_drawn_chains_can_be_read(drawn: Any) -> None:
    model = drawn.model
    assert_extents_agree(model, range(0, model.size, 100 * 512))


@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
@given(strategies.wild_files())
def test_wild_files_can_be_drawn(wild: Built) -> None:
    assert len(wild.to_bytes()) == wild.length <= 64 * MIB


# -- the log --------------------------------------------------------------------------------------


def assert_replay_gives(built: Built, target: Built) -> None:
    """Show that replay leaves the target's bytes wherever a reader looks."""
    replayed = built.replayed()
    assert replayed.length == target.length
    wanted = [(REGION_TABLE_OFFSETS[0], 128 * KIB)]
    wanted += target.layout.ranges(*STRUCTURES[1:], "payload")
    for start, length in wanted:
        for at in range(start, start + length, MIB):
            size = min(MIB, start + length - at)
            assert replayed.read(at, size) == target.file.read(at, size)


@pytest.mark.parametrize(
    "name", [n for n in GOODS if n.startswith(("dirty-", "log-")) and n != "dirty-older-state"]
)
def test_replay_gives_the_image_the_model_speaks_of(name: str) -> None:
    built = GOODS[name].build()
    if built.model.log.state == "clean":
        return
    assert_replay_gives(built, built.image.build())


def test_a_dirty_file_differs_until_it_is_replayed() -> None:
    image = dynamic(8 * MIB, blocks={0: Block()})
    for name in STRUCTURES[:3]:
        built = dirty(image, hide=(name,)).build()
        start, length = built.layout.ranges(name)[0]
        assert built.file.read(start, length) != image.build().file.read(start, length)
        assert built.replayed().read(start, length) == image.build().file.read(start, length)


def entries_of(log: Log) -> list[int]:
    active = log.active(log.guid)
    return [] if active is None else [item.sequence_number for item in active.entries]


def test_the_active_sequence_follows_the_text() -> None:
    guid = UUID(int=1)
    page = Data(2 * MIB, b"x")
    assert entries_of(Log(guid, [])) == []
    assert entries_of(Log(guid, [Entry(), Entry([page]), Entry()])) == [1, 2, 3]
    # The head's tail begins the sequence, the run may be longer.
    assert entries_of(Log(guid, [Entry(), Entry(), Entry(tail=4096)])) == [2, 3]
    # A head whose tail is outside makes no sequence.
    assert entries_of(Log(guid, [Entry(), Entry(tail=65536)])) == []
    # A gap in the numbers ends the run; the later one has its tail outside.
    assert entries_of(Log(guid, [Entry(), Entry(sequence_number=3)])) == [1]
    # The greatest head wins, wherever it is.
    two = [Entry(at=65536, sequence_number=9, tail=65536), Entry(at=0, sequence_number=5, tail=0)]
    assert entries_of(Log(guid, two)) == [9]
    # Entries of others and broken ones end the run.
    assert entries_of(Log(guid, [Entry(), Entry(log_guid=UUID(int=2)), Entry(at=8192)])) == [1]
    assert entries_of(Log(guid, [Entry(), Entry([page, Data(3 * MIB + 1, b"")])])) == [1]
    # What a later entry overwrote is no entry any more.
    assert entries_of(Log(guid, [Entry([page]), Entry(at=4096, tail=4096)])) == [2]


def test_entries_wrap_around_the_ring() -> None:
    guid = UUID(int=1)
    log = Log(guid, [Entry([Data(2 * MIB, b"x"), Zero(3 * MIB, 4096)], at=MIB - 4096)])
    ring = log.pack().to_bytes()
    assert len(ring) == MIB
    assert ring[MIB - 4096 : MIB - 4092] == b"loge"
    assert ring[:4] == b"data"
    assert sealed(ring[-4096:] + ring[:4096]) == ring[-4096:] + ring[:4096]


# -- chains ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_chain_is_linked(depth: int, tmp_path: Path) -> None:
    made = chain(depth).write(tmp_path)
    assert [path.is_file() for path in made.paths] == [True] * depth
    for parent, child in pairwise(made.images):
        locator = child.image.resolved_locator()
        assert locator is not None
        linkage = locator.text["parent_linkage"]
        assert UUID(linkage.strip("{}")) == parent.model.current_header.data_write_guid
        assert UUID(locator.text["parent_linkage2"].strip("{}")) == ZERO_GUID


@pytest.mark.parametrize("name", [*GOOD_CHAINS, *CHAIN_DAMAGES])
def test_a_chain_by_name_can_be_written(name: str, tmp_path: Path) -> None:
    case = (GOOD_CHAINS | CHAIN_DAMAGES)[name]
    if name == "too-deep":
        return
    made = case.build().write(tmp_path)
    assert made.path.is_file()
    if case.outcome is None:
        assert len(made.model.read(0, made.model.size)) == made.model.size


# -- the registries -------------------------------------------------------------------------------


def reader_rules() -> dict[str, str]:
    """Return the rules a reader has to do with, by id, as their text."""
    if not RULES.is_file():
        pytest.skip("the rules are not at ../shared/spec")
    blocks = RULES.read_text().split("\n- id: ")[1:]
    rules = {block.split("\n", 1)[0]: block for block in blocks}
    return {
        rule: text
        for rule, text in rules.items()
        if not re.search(r"^  applies_to: writer$", text, re.MULTILINE)
    }


def test_every_rule_of_a_reader_is_breached_or_cannot_be() -> None:
    rules = {rule for rule in reader_rules() if not rule.startswith("CHAIN-")}
    breached = {rule for damage in DAMAGES.values() for rule in damage.rules}
    assert rules - breached - set(NOT_BREACHABLE) == set()
    assert breached & set(NOT_BREACHABLE) == set()
    assert set(NOT_BREACHABLE) <= rules


def test_named_rules_exist() -> None:
    written = {"HDR-26", "HDR-27", "ITEM-09", "ITEM-10", "LOC-21", "LOC-24", "LOG-42", "MET-17"}
    known = set(reader_rules()) | {"GEN-05", *written}
    named = {rule for damage in DAMAGES.values() for rule in (*damage.rules, *damage.visible)}
    named |= {rule for case in GOODS.values() for rule in case.findings}
    named |= {rule for case in (GOOD_CHAINS | CHAIN_DAMAGES).values() for rule in case.rules}
    assert named <= known


def test_reasons_name_good_images_that_exist() -> None:
    for reason in NOT_BREACHABLE.values():
        for name in re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)+", reason.partition(":")[2]):
            assert name in GOODS


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_changes_the_file(name: str) -> None:
    case = DAMAGES[name]
    assert case.description.endswith(".")
    built = case.build()
    good = BASES[case.base]().build()
    ranges = [
        (0, MIB),
        *good.layout.ranges("metadata", "bat", "bitmaps"),
        (good.layout.log_offset, 2 * MIB),  # and what is free after it
    ]
    assert built.length != good.length or any(
        built.file.read(start, length) != good.file.read(start, length) for start, length in ranges
    )
    if case.level == "error":
        assert case.refusal is not None
        assert (case.refusal == "read") == (case.read_at is not None)
    else:
        assert case.refusal is None
        json.dumps(built.model.info(allocation=True))


@pytest.mark.parametrize("name", [n for n, case in DAMAGES.items() if "LOG-31" in case.rules])
def test_a_damaged_log_has_no_valid_sequence_by_the_description(name: str) -> None:
    layout = DAMAGES[name].layout()
    assert layout.log is not None
    if DAMAGES[name].main_rule not in ("LOG-36", "LOG-37", "LOG-38"):
        assert layout.log.active(layout.headers[1].log_guid) is None


@pytest.mark.parametrize("name", GOODS)
def test_a_good_image_is_consistent(name: str) -> None:
    case = GOODS[name]
    assert case.description.endswith(".")
    built = case.build()
    json.dumps(built.model.info(allocation=True))
    ranges = occupied(built)
    if name != "log-length-0":
        for (start, length), (after, _) in pairwise(ranges):
            assert start + length <= after
