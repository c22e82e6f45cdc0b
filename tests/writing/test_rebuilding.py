"""Identifier and headers that are gone are made anew; the disk is what the builder put there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.crash.machine import cuts
from tests.crash.recorder import Recorder, applied
from tests.images.bases import BASES
from tests.images.damage import DAMAGES
from tests.images.image import Built, Layout
from tests.images.structures import KIB, MIB
from tests.writing.repairing import EVERYTHING
from vhdx_kaitai import repair, undo_repair
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.rehearsal import Rehearsal
from vhdx_kaitai.writing.repair import _plan

IDENTIFIER, HEADERS = (0, 64 * KIB), (64 * KIB, 128 * KIB)
FIRST_TABLE = (192 * KIB, 64 * KIB)
GONE = {
    "the identifier": ([IDENTIFIER], ["FTI-01"]),
    "both headers": ([HEADERS], ["HDR-05"]),
    "all that is before the region tables": ([IDENTIFIER, HEADERS], ["HDR-05", "FTI-01"]),
    "all but the second region table": (
        [IDENTIFIER, HEADERS, FIRST_TABLE],
        ["HDR-05", "FTI-01", "REG-02"],
    ),
}


def without(what: str, layout: Layout) -> Built:
    """Overwrite something of an image with zeros."""
    for offset, length in GONE[what][0]:
        layout.patch(offset, bytes(length))
    return layout.build()


def disk_of(path: Path) -> bytes:
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        return disk.pread(disk.size, 0)


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def held(built: Built) -> bytes:
    return built.model.read(0, built.model.virtual_disk_size)


@pytest.mark.parametrize("base", ["dynamic", "fixed", "two-mib"])
@pytest.mark.parametrize("what", GONE)
def test_an_image_is_as_good_as_new(what: str, base: str, tmp_path: Path) -> None:
    layout = BASES[base]()
    built = without(what, layout)
    path = built.write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    told = repair(path)
    assert [item.rule for item in told.items] == GONE[what][1]
    assert digest_of(path) == before
    done = repair(path, write=True)
    assert done.verdict == told.planned == "clean"
    assert disk_of(path) == held(built)
    undo_repair(path, f"{path}.undo")
    assert digest_of(path) == before


def test_the_guids_are_new_and_the_log_is_where_it_was(tmp_path: Path) -> None:
    built = without("both headers", BASES["dynamic"]())
    path = built.write(tmp_path / "disk.vhdx")
    (item,) = repair(path, write=True).items
    assert "assumed is a clean log at 0x100000, where nothing else is" in item.what
    assert item.lost == "the DataWriteGuid, by which children know their parent"
    with Image(path) as image:
        header = image.headers.current
    former = built.model.current_header
    assert (header.log_offset, header.log_length) == (former.log_offset, former.log_length)
    assert header.data_write_guid != former.data_write_guid
    assert header.file_write_guid != former.file_write_guid


def test_a_header_that_is_nearly_right_says_where_the_log_is(tmp_path: Path) -> None:
    layout = BASES["dynamic"]()
    place = layout.build().length
    layout.file_length = place + 2 * MIB
    layout.set_headers(log_offset=place + MIB)
    layout.patch(64 * KIB + 4, b"\xff")
    layout.patch(128 * KIB + 4, b"\xff")
    built = layout.build()
    path = built.write(tmp_path / "disk.vhdx")
    (item,) = repair(path, write=True).items
    assert f"a clean log at {place + MIB:#x}, as header" in item.what
    assert disk_of(path) == held(built)


def test_what_looks_like_a_log_is_given_up_only_when_asked_for(tmp_path: Path) -> None:
    layout = BASES["dynamic"]()
    layout.patch(MIB + 12 * KIB, b"loge")
    built = without("both headers", layout)
    path = built.write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    refused = repair(path, write=True)
    why = next(left.why for left in refused.left if left.rule == "HDR-05")
    assert "there may be a log at 0x103000" in why
    assert "--discard-log" in why
    assert digest_of(path) == before
    (item,) = repair(path, write=True, discard_log=True).items
    assert "whatever the log held" in item.lost
    assert disk_of(path) == held(built)


def test_headers_are_not_made_anew_when_more_is_wrong_then(tmp_path: Path) -> None:
    layout = DAMAGES["bat-state-4"].build().layout  # not the one that other tests have
    layout.patch(HEADERS[0], bytes(HEADERS[1]))
    path = layout.build().write(tmp_path / "disk.vhdx")
    before = digest_of(path)
    outcome = repair(path, write=True)
    assert (outcome.items, digest_of(path)) == ((), before)


def test_an_image_without_region_tables_is_left(tmp_path: Path) -> None:
    layout = BASES["dynamic"]()
    layout.patch(64 * KIB, bytes(MIB - 64 * KIB))
    path = layout.build().write(tmp_path / "disk.vhdx")
    outcome = repair(path, write=True, discard_log=True)
    assert (outcome.items, outcome.verdict) == ((), "corrupt")
    assert "region" in next(left.why for left in outcome.left if left.rule == "HDR-05")


# -- the power fails ----------------------------------------------------------------------------


@pytest.mark.parametrize("what", GONE)
def test_a_cut_leaves_what_can_be_repaired_as_before(what: str, tmp_path: Path) -> None:
    built = without(what, BASES["dynamic"]())
    stored = built.to_bytes()
    rehearsal, file = Rehearsal(Recorder(stored)), Recorder(stored)
    outcome = _plan(rehearsal, None, EVERYTHING)
    for step in rehearsal.steps:
        step.do(file)
    assert not file.pending
    path = tmp_path / "disk.vhdx"
    for number, cut in enumerate(cuts(stored, file.events, 15, 1)):
        path.write_bytes(cut.data)
        repair(path, write=True, undo=tmp_path / f"dump{number}")
        assert disk_of(path) == held(built), cut.what
    assert vhdx_kaitai.check(bytes(applied(stored, file.events))).verdict == outcome.planned


def test_no_cut_leaves_an_identifier_without_headers() -> None:
    """The mutant of the rule that the identifier comes last writes it first."""
    built = without("all that is before the region tables", BASES["dynamic"]())
    stored = built.to_bytes()
    rehearsal, file = Rehearsal(Recorder(stored)), Recorder(stored)
    _plan(rehearsal, None, EVERYTHING)
    for step in rehearsal.steps:
        step.do(file)

    def is_promised_too_early(data: memoryview) -> bool:
        rules = {finding.rule for finding in vhdx_kaitai.check(bytes(data)).findings}
        return bytes(data[:8]) == b"vhdxfile" and "HDR-05" in rules

    assert not any(is_promised_too_early(c.data) for c in cuts(stored, file.events, 60, 1))
    (first,) = [e for e in file.events if getattr(e, "offset", None) == 0]
    mutant = [first, *(event for event in file.events if event is not first)]
    assert any(is_promised_too_early(c.data) for c in cuts(stored, mutant, 60, 1))
