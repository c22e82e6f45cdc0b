"""What the file says how it should be is put right; what it was can be had back, to the byte."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.checking.test_shift import shift_page, shifted_small, stored_everywhere
from tests.crash.machine import cuts
from tests.crash.recorder import Write, applied
from tests.images.bases import BASES
from tests.images.damage import DAMAGES
from tests.images.image import Built, dynamic
from tests.images.structures import FULLY_PRESENT, GIB, MIB
from tests.support import damaged
from tests.writing.repairing import tried
from vhdx_kaitai import repair, undo_repair
from vhdx_kaitai.errors import FormatError, UnsupportedError
from vhdx_kaitai.writing.session import Session

# Images that are as good as new afterwards, each with the rule by which that is done.
MENDED = {
    "identifier-signature-wrong": "FTI-01",
    "identifier-signature-reversed": "FTI-01",
    "header-1-checksum-wrong": "HDR-03",
    "header-2-checksum-wrong": "HDR-03",
    "header-2-missing": "HDR-02",
    "header-reserved-not-zero": "HDR-16",
    "region-table-1-missing": "REG-02",
    "region-table-2-signature-wrong": "REG-02",
    "region-table-1-checksum-wrong": "REG-03",
    "region-table-1-last-byte-changed": "REG-03",
    "region-table-reserved-not-zero": "REG-07",
    "region-required-3": "REG-15",
    "unknown-region-required-2": "REG-15",
    "known-regions-not-required": "REG-18",
    "region-table-tail-not-zero": "REG-20",
    "file-length-odd": "GEN-08",
    "bat-reserved-bit-low": "BAT-02",
    "bat-reserved-bit-high": "BAT-02",
    "bat-partial-in-dynamic": "BAT-05",
    "bat-partial-in-fixed": "BAT-05",
    "metadata-reserved-not-zero": "MET-02",
    "metadata-reserved2-not-zero": "MET-04",
    "item-flags-highest-bit": "MET-14",
    "item-reserved2-not-zero": "MET-15",
    "file-parameters-reserved-bit": "ITEM-07",
    "file-parameters-not-required": "ITEM-03",
    "virtual-disk-size-virtual-disk-flag-wrong": "ITEM-03",
}


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def levels_of(path: Path) -> dict[str, str]:
    return {finding.rule: finding.level for finding in vhdx_kaitai.check(path).findings}


def disk_of(path: Path) -> bytes:
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        return disk.pread(disk.size, 0)


def held(built: Built) -> bytes:
    """What the builder says that the disk holds."""
    return built.model.read(0, built.model.virtual_disk_size)


@pytest.mark.parametrize("name", MENDED)
def test_an_image_is_as_good_as_new(name: str, tmp_path: Path) -> None:
    built, rule = damaged(name), MENDED[name]
    path = built.write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    assert rule in levels_of(path)
    told = repair(path)
    assert (told.is_changed, told.undo) == (False, None)
    assert (digest_of(path), list(tmp_path.iterdir())) == (before, [path])
    done = repair(path, write=True)
    assert done.is_changed
    assert [item.rule for item in done.items] == [item.rule for item in told.items] == [rule]
    assert done.verdict == done.planned == told.planned == vhdx_kaitai.check(path).verdict
    assert rule not in levels_of(path)
    assert not {"error", "warning"} & set(levels_of(path).values())
    assert repair(path).items == ()
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        guid = disk.image.headers.current.data_write_guid
    assert guid == built.model.current_header.data_write_guid
    undo_repair(path, f"{path}.undo")
    assert digest_of(path) == before


@pytest.mark.parametrize("name", MENDED)
def test_the_disk_holds_what_the_builder_put_there(name: str, tmp_path: Path) -> None:
    built = damaged(name)
    path = built.write(tmp_path / "disk.vhdx")
    repair(path, write=True)
    assert disk_of(path) == held(built)


def test_only_what_is_asked_for_is_repaired(tmp_path: Path) -> None:
    path = damaged("region-table-1-missing").write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    outcome = repair(path, write=True, only=["GEN-08"])
    assert (outcome.is_changed, outcome.items) == (False, ())
    assert [(left.rule, left.why) for left in outcome.left] == [("REG-02", "it was not asked for")]
    assert digest_of(path) == before
    with pytest.raises(ValueError, match="no rule REG-99"):
        repair(path, only=["REG-99"])


def test_missing_bytes_become_zeros_only_when_asked_for(tmp_path: Path) -> None:
    path = damaged("bat-block-over-the-end").write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    refused = repair(path, write=True, forget_lost=True)
    assert (refused.is_changed, digest_of(path)) == (False, before)
    assert "--fill-cut" in next(left.why for left in refused.left if left.rule == "BAT-10")
    done = repair(path, write=True, fill_cut=True)
    assert [item.rule for item in done.items] == ["BAT-10"]
    assert done.items[0].lost_ranges == ((MIB, MIB),)
    assert disk_of(path)[MIB : 2 * MIB] == bytes(MIB)
    undo_repair(path, f"{path}.undo")
    assert digest_of(path) == before


def test_blocks_past_the_end_are_given_up_only_when_asked_for(tmp_path: Path) -> None:
    path = damaged("bat-block-past-the-end").write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    refused = repair(path, write=True, fill_cut=True)
    assert (refused.is_changed, digest_of(path)) == (False, before)
    done = repair(path, write=True, forget_lost=True)
    assert done.items[0].lost_ranges[0][0] == 0
    with vhdx_kaitai.open(path) as disk:
        assert next(iter(disk.extents())).state == "undefined"


def test_a_log_without_anything_is_given_up_only_when_asked_for(tmp_path: Path) -> None:
    layout = BASES["dynamic"]()
    layout.set_headers(log_guid=UUID(int=7))
    path = layout.build().write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    refused = repair(path, write=True)
    assert (refused.is_changed, digest_of(path)) == (False, before)
    assert "--discard-log" in next(left.why for left in refused.left if left.rule == "LOG-31")
    done = repair(path, write=True, discard_log=True)
    assert ([item.rule for item in done.items], done.verdict) == (["LOG-31"], "clean")
    assert disk_of(path) == held(BASES["dynamic"]().build())


def test_entries_that_qemu_has_moved_are_moved_back(tmp_path: Path) -> None:
    layout = shifted_small()
    path = layout.build().write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    done = repair(path, write=True)
    assert ([item.rule for item in done.items], done.verdict) == (["BAT-15"], "clean")
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        rows = [row for row in disk.extents() if row.kind == "data"]
    assert [(row.offset, row.file_offset) for row in rows] == [(598 * MIB, layout.payload[598])]
    assert rows[0].length == 2 * MIB
    undo_repair(path, f"{path}.undo")
    assert digest_of(path) == before


def test_entries_are_not_moved_back_where_one_is_lost_or_another_program_was_at_work(
    tmp_path: Path,
) -> None:
    many = stored_everywhere(40 * GIB, 32 * MIB)
    shift_page(many, 1)
    for layout in (many, shifted_small("somebody else")):
        path = layout.build().write(tmp_path / "disk.vhdx")
        rules = [item.rule for item in repair(path).items]
        assert not {"BAT-15", "BAT-06"} & set(rules)


def test_more_entries_than_one_of_the_log_holds_are_put_right(tmp_path: Path) -> None:
    """One in each of 129 pages of the BAT; each is right by itself, so they need no one moment."""
    layout = dynamic(64 * GIB).layout()
    numbers = range(0, 64 << 10, 510)
    for number in numbers:
        layout.set_entry(number, FULLY_PRESENT, GIB)
    path = layout.build().write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    outcome = repair(path, write=True, forget_lost=True)
    assert ([item.rule for item in outcome.items], outcome.verdict) == (["BAT-10"], "clean")
    assert outcome.items[0].lost_ranges == tuple((number * MIB, MIB) for number in numbers)
    undo_repair(path, f"{path}.undo")
    assert digest_of(path) == before


@pytest.mark.parametrize(
    "name",
    [
        "both-region-table-checksums-wrong",
        "headers-differ-under-one-sequence-number",
        "log-empty-although-dirty",
        "log-sequence-number-skipped",
        "bat-page-of-ones",
        "bat-two-blocks-in-one-place",
        "region-entry-count-2048",
        "bat-region-listed-twice",
    ],
)
def test_what_cannot_be_repaired_is_left_with_a_reason(name: str, tmp_path: Path) -> None:
    path = damaged(name).write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    outcome = repair(path, write=True, fill_cut=True, forget_lost=True, discard_log=True)
    assert (outcome.items, outcome.verdict) == ((), "corrupt")
    assert digest_of(path) == before
    assert list(tmp_path.iterdir()) == [path]
    errors = {rule for rule, level in levels_of(path).items() if level == "error"}
    assert errors <= {left.rule for left in outcome.left}
    assert all(left.why and left.next_step for left in outcome.left)


def left_of(name: str, tmp_path: Path) -> dict[str, tuple[str, str]]:
    """Return of what is left of an image by rule: why, and what can be done instead."""
    path = damaged(name).write(tmp_path / "disk.vhdx")
    return {left.rule: (left.why, left.next_step) for left in repair(path).left}


def test_a_reason_that_comes_from_another_rule_names_it(tmp_path: Path) -> None:
    left = left_of("bat-page-of-ones", tmp_path)
    named = [why for why, _ in left.values() if "in the way" in why]
    assert named
    for rule, (why, _) in left.items():
        for other in re.findall(r"\[(\w+-\d+)\]", why):
            assert other != rule


def test_no_step_is_advised_that_would_fail(tmp_path: Path) -> None:
    steps = {rule: step for rule, (_, step) in left_of("bat-page-of-ones", tmp_path).items()}
    assert "convert --salvage" in steps["BAT-02"]
    steps = {r: step for r, (_, step) in left_of("metadata-signature-wrong", tmp_path).items()}
    assert steps == {"MET-01": "none is known: without that nothing of the disk can be read"}
    tables = left_of("both-region-table-checksums-wrong", tmp_path)
    assert {step for _, step in tables.values()} == {
        "`convert --assume-regions` looks for what the tables should name"
    }


def test_a_log_that_no_replay_brings_back_is_not_to_be_replayed(tmp_path: Path) -> None:
    steps = {rule: step for rule, (_, step) in left_of("log-file-truncated", tmp_path).items()}
    assert steps["LOG-32"] == "`convert --salvage` replays the log of a file that was cut"
    assert "replay` brings" not in "".join(steps.values())


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    path.write_bytes(bytes(2 * MIB))
    for write in (False, True):
        with pytest.raises(FormatError, match="FTI-01"):
            repair(path, write=write)
    assert path.read_bytes() == bytes(2 * MIB)


def test_a_dump_that_is_there_is_kept(tmp_path: Path) -> None:
    path = damaged("header-2-missing").write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    dump = tmp_path / "other"
    dump.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        repair(path, write=True, undo=dump)
    assert (digest_of(path), dump.read_bytes()) == (before, b"mine")


def test_a_dump_that_is_damaged_brings_nothing_back(tmp_path: Path) -> None:
    path = damaged("header-2-missing").write(tmp_path / "disk.vhdx")
    repair(path, write=True)
    after, dump = digest_of(path), tmp_path / "disk.vhdx.undo"
    whole = dump.read_bytes()
    for wrong in (b"", whole[:-1], whole[:40] + b"\xff" + whole[41:], b"x" + whole[1:]):
        dump.write_bytes(wrong)
        with pytest.raises(UnsupportedError):
            undo_repair(path, dump)
        assert digest_of(path) == after


def test_it_is_stopped_between_two_repairs(tmp_path: Path) -> None:
    layout = DAMAGES["region-table-1-missing"].build().layout
    layout.set_entry(5, 0, 0, reserved=1)
    path = layout.build().write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    assert [item.rule for item in repair(path).items] == ["REG-02", "BAT-02"]
    told: list[int] = []

    def stop(done: int) -> None:
        told.append(done)
        if Path(f"{path}.undo").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair(path, write=True, progress=stop)
    assert "BAT-02" in levels_of(path)
    assert "REG-02" not in levels_of(path)
    undo_repair(path, f"{path}.undo")
    assert digest_of(path) == before


# -- the power fails ----------------------------------------------------------------------------

CUT = {**MENDED, "bat-block-over-the-end": "BAT-10", "bat-block-past-the-end": "BAT-10"}


def wrong_with(before: dict[str, int], data: memoryview) -> str | None:
    """Say what is worse of a file that a cut has left than it was."""
    report = vhdx_kaitai.check(bytes(data))
    for finding in report.findings:
        if finding.level == "error" and finding.rule not in before:
            return f"{finding}"
    return None


@pytest.mark.parametrize("name", CUT)
def test_a_cut_leaves_nothing_worse_than_it_was(name: str) -> None:
    built = damaged(name)
    stored = built.to_bytes()
    file, outcome = tried(built)
    assert outcome.items
    assert not file.pending
    before = {f.rule: 1 for f in vhdx_kaitai.check(stored).findings if f.level == "error"}
    for cut in cuts(stored, file.events, 60, 1):
        assert wrong_with(before, cut.data) is None, cut.what
    assert vhdx_kaitai.check(bytes(applied(stored, file.events))).verdict == outcome.planned


@pytest.mark.parametrize(
    "name", ["header-2-missing", "region-table-1-missing", "bat-reserved-bit-low"]
)
def test_without_the_flushes_of_the_headers_a_cut_leaves_none(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the rule that one header is on the medium before the other is written."""
    monkeypatch.setattr(Session, "flush", lambda _self: None)
    built = damaged(name)
    stored = built.to_bytes()
    file, _ = tried(built)
    found = {wrong_with({}, cut.data) or "" for cut in cuts(stored, file.events, 200, 1)}
    assert any("neither copy is valid" in wrong for wrong in found)


def stale(stored: bytes, data: memoryview) -> bool:
    """Tell whether a region table has changed of a file whose FileWriteGuid is the old one."""
    tables, guids = slice(192 << 10, 320 << 10), (64 << 10, 128 << 10)
    known = {stored[at + 16 : at + 32] for at in guids if stored[at : at + 4] == b"head"}
    current = max(guids, key=lambda at: int.from_bytes(data[at + 8 : at + 16], "little"))
    return data[tables] != stored[tables] and bytes(data[current + 16 : current + 32]) in known


def test_headers_come_before_what_they_tell_of() -> None:
    """The mutant of the rule writes the region table first."""
    built = damaged("region-table-1-missing")
    stored = built.to_bytes()
    file, _ = tried(built)
    (table,) = [e for e in file.events if isinstance(e, Write) and e.length == 64 << 10]
    assert table.offset == 192 << 10  # the damaged copy; the whole one is never written
    assert not any(stale(stored, cut.data) for cut in cuts(stored, file.events, 100, 1))
    others = [event for event in file.events if event is not table]
    mutant = [table, *others]
    assert any(stale(stored, cut.data) for cut in cuts(stored, mutant, 100, 1))
