"""What findings mean together, in sentences."""

from __future__ import annotations

import pytest

from tests.checking.reports import damage_report, good_report, only_sentence, report_on, rules_of
from tests.images.bases import BASES
from tests.images.damage import DAMAGES
from tests.images.structures import KIB, MIB


def test_an_ordinary_image_needs_no_explanation() -> None:
    for name in ("dynamic-plain", "fixed-plain", "differencing-plain", "fixed-last-block-cut"):
        assert good_report(name).diagnosis == ()


@pytest.mark.parametrize("copy", [1, 2])
def test_a_damaged_header_is_explained(copy: int) -> None:
    layout = BASES["dynamic"]()
    layout.headers[copy - 1].checksum = 1
    assert only_sentence(report_on(layout)).startswith(
        f"Header {copy} is damaged and header {3 - copy} is used"
    )


@pytest.mark.parametrize("copy", [1, 2])
def test_a_damaged_region_table_is_explained(copy: int) -> None:
    layout = BASES["dynamic"]()
    layout.region_tables[copy - 1].checksum = 1
    sentence = only_sentence(report_on(layout))
    assert sentence.startswith(f"Region table {copy} is damaged and table {3 - copy} is used")
    assert "QEMU" in sentence


def test_a_dirty_log_is_explained() -> None:
    sentence = only_sentence(good_report("log-of-windows"))
    assert sentence.startswith("The log is dirty: replay changes 1 MiB of the file")


def test_regions_that_are_not_required_are_a_note_alone() -> None:
    report = good_report("regions-not-required")
    assert rules_of(report, "note") == {"REG-18"}
    assert report.diagnosis == ()


@pytest.mark.parametrize("name", ["metadata", "bat"])
def test_a_file_cut_before_a_region_says_what_is_missing(name: str) -> None:
    layout = BASES["dynamic"]()
    ((start, length),) = layout.ranges(name)
    layout.file_length = start + 300 * KIB
    found = report_on(layout)
    assert rules_of(found, "error") == {"REG-13"}
    title = {"metadata": "Metadata", "bat": "BAT"}[name]
    assert (
        f"The file is cut short: it ends at {start + 300 * KIB:#x}, the {title} region at "
        f"{start + length:#x}, so at least 724 KiB are missing. Without that nothing of the disk "
        "can be read."
    ) in found.diagnosis


def test_a_file_cut_in_its_log_says_what_is_missing() -> None:
    layout = BASES["dynamic"]()
    layout.file_length = layout.log_offset + 512 * KIB
    assert only_sentence(report_on(layout)).startswith(
        f"The file is cut short: it ends at {layout.log_offset + 512 * KIB:#x}, the log at "
        f"{layout.log_offset + MIB:#x}, so at least 512 KiB are missing."
    )


def test_a_file_shorter_than_its_log_knows_it_says_what_is_missing() -> None:
    assert only_sentence(damage_report("log-file-truncated")).endswith(
        "so at least 1 MiB are missing. `--salvage` replays the log all the same, and reads what "
        "is there."
    )


@pytest.mark.parametrize("name", ["region-wraps-around", "log-wraps-around", "log-past-the-end"])
def test_an_absurd_place_is_not_taken_for_a_cut_file(name: str) -> None:
    sentences = damage_report(name).diagnosis
    assert all("cut short" not in s for s in sentences) == (name != "log-past-the-end")


def test_an_identifier_that_was_overwritten_is_explained() -> None:
    sentence = only_sentence(damage_report("identifier-signature-wrong"))
    assert sentence.startswith("The start of a VHDX file was overwritten")
    assert "`--assume-vhdx`" in sentence


@pytest.mark.parametrize("name", ["both-header-checksums-wrong", "both-header-signatures-wrong"])
def test_lost_headers_are_explained(name: str) -> None:
    sentence = only_sentence(damage_report(name))
    assert sentence.startswith("No header is valid. `--assume-header` reads the disk")


@pytest.mark.parametrize("name", [n for n in DAMAGES if "REG-04" in DAMAGES[n].rules])
def test_lost_region_tables_are_explained(name: str) -> None:
    sentence = only_sentence(damage_report(name))
    assert sentence.startswith("Neither region table is valid. `--assume-regions` looks")
