"""`vhdx-kaitai info`: one screen, or one document, about an image."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.commands.launching import GRAMMAR, HEAVY, document_of, imported
from tests.conftest import Files, Run
from tests.images.chain import chain
from tests.images.damage import DAMAGES
from tests.info_fixtures import expected_info, without_our_words
from tests.support import Sample, good

# `showing.test_info` looks at all of them; here it is about what becomes of the document.
SOME_GOODS = (
    "dynamic-plain",
    "fixed-plain",
    "differencing-plain",
    "creator-broken",
    "header-2-missing",
    "region-table-1-damaged",
    "items-of-all-kinds",
    "locator-unknown-key",
    "dirty-everything",
    "log-of-windows",
    "log-length-0",
    "differencing-past-one-chunk",
    "largest-disk",
)


@pytest.mark.parametrize("name", SOME_GOODS)
def test_info_says_of_a_good_image_what_its_model_says(name: str, files: Files, run: Run) -> None:
    path = files.good(name)
    if name == "largest-disk":
        outcome = run("info", "--json", path)
    else:
        outcome = run("info", "--json", "--allocation", path)
    assert (outcome.status, outcome.err) == (0, "")
    document = document_of(outcome, "info")
    assert document["path"] == str(path)
    expected = expected_info(good(name), allocation=name != "largest-disk")
    expected["creator"] = expected["creator"].encode("utf-8", "backslashreplace").decode()
    assert without_our_words(document) == expected


def test_info_of_a_real_image_is_right(sample: tuple[Sample, Path], run: Run) -> None:
    known, path = sample
    outcome = run("info", "--json", "--allocation", path)
    assert (outcome.status, outcome.err) == (0, "")
    document = document_of(outcome, "info")
    assert document["disk_type"] == "dynamic"
    assert document["virtual_disk_size"] == known.virtual_disk_size
    assert document["block_size"] == known.block_size
    assert document["logical_sector_size"] == 512
    assert document["physical_sector_size"] == known.physical_sector_size
    assert document["virtual_disk_id"] == known.virtual_disk_id
    assert document["file_size"] == known.file_size
    assert document["creator"] == known.creator
    assert document["current_header"] == known.current_header
    current = document["headers"][known.current_header - 1]
    assert current["data_write_guid"] == known.data_write_guid
    numbers = tuple(int(header["sequence_number"]) for header in document["headers"])
    assert numbers == known.sequence_numbers
    assert all(header["valid"] for header in document["headers"])
    states = {name: count for name, count in document["bat"]["states"].items() if count}
    assert states == known.states
    assert document["log"]["state"] == ("dirty" if known.is_dirty else "clean")
    assert document["log"]["entries"] == (1 if known.is_dirty else None)
    assert document["parent"] is None


def test_info_of_a_real_image_is_one_screen(sample: tuple[Sample, Path], run: Run) -> None:
    outcome = run("info", "--allocation", sample[1])
    assert outcome.status == 0
    lines = outcome.out.replace(str(sample[1]), sample[1].name).splitlines()
    assert 20 < len(lines) < 40
    assert max(map(len, lines)) <= 100


def test_info_tells_which_parent_was_found(tmp_path: Path, run: Run) -> None:
    made = chain(2).write(tmp_path)
    parent = document_of(run("info", "--json", made.path), "info")["parent"]
    assert (parent["path"], parent["matched_by"]) == (str(made.paths[0]), "parent_linkage")
    assert parent["error"] is None
    text = run("info", made.path).out
    assert re.search(rf"^  found at +{re.escape(str(made.paths[0]))}$", text, re.MULTILINE)
    assert re.search(r"^  matched by +parent_linkage$", text, re.MULTILINE)


def test_info_of_a_child_without_its_parent_tells_why_and_is_done(tmp_path: Path, run: Run) -> None:
    """A missing parent says nothing against the image itself."""
    path = chain(2).write(tmp_path).path
    (tmp_path / "base.vhdx").unlink()
    outcome = run("info", "--json", path)
    assert (outcome.status, outcome.err) == (0, "")
    parent = document_of(outcome, "info")["parent"]
    assert (parent["path"], parent["matched_by"]) == (None, None)
    assert "base.vhdx" in parent["error"]
    assert "not found" in run("info", path).out
    parent = document_of(run("info", "--json", "--no-parent", path), "info")["parent"]
    assert (parent["path"], parent["error"]) == (None, None)


@pytest.mark.parametrize("name", [name for name, case in DAMAGES.items() if not case.open_refuses])
def test_what_opens_although_damaged_is_described(name: str, files: Files, run: Run) -> None:
    outcome = run("info", "--allocation", files.damaged(name))
    assert (outcome.status, outcome.err) == (0, "")


@pytest.mark.parametrize("options", [[], ["--json"], ["--allocation"]])
def test_info_imports_nothing_that_takes_time(
    options: list[str], files: Files, tmp_path: Path
) -> None:
    arguments = ("info", *options, files.good("dynamic-plain"))
    modules = HEAVY if "--allocation" in options else (*HEAVY, "typing")
    assert imported(*arguments, cwd=tmp_path, modules=modules) == GRAMMAR
