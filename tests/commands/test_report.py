"""`report` writes a page of any file, and its exit status says whether the disk opens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed, assert_one_line, document_of
from tests.conftest import Files, Run
from tests.images.chain import chain
from tests.images.demo import demo
from tests.support import files_in


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "demo.vhdx"
    demo(path)
    return path


def test_a_page_is_written(image: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out.html"
    assert run("report", image, "-o", out) == (0, "", "")
    text = out.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<title>" in text
    piped = run("report", image, "-o", "-")
    assert (piped.status, piped.err) == (0, "")
    assert piped.out.startswith("<!doctype html>")


def test_a_document_is_the_same_as_data(image: Path, tmp_path: Path, run: Run) -> None:
    document = document_of(run("report", image, "--json"), "report")
    assert document["path"] == str(image)
    out = tmp_path / "out.json"
    assert run("report", image, "--json", "-o", out) == (0, "", "")
    written = json.loads(out.read_bytes())
    assert {**written, "created": ""} == {**document, "created": ""}


def test_hashes_come_when_they_are_asked_for(image: Path, run: Run) -> None:
    hashes = document_of(run("report", image, "--json", "--hash"), "report")["hashes"]
    plain = json.loads(run("hash", image, "--layers", "--json").out)
    assert hashes["disk"] == plain["hashes"]
    assert [one["hashes"] for one in hashes["files"]] == [one["hashes"] for one in plain["layers"]]


def test_somebody_has_to_say_where_the_page_goes(image: Path, run: Run) -> None:
    outcome = run("report", image)
    assert outcome.status == 64
    assert_one_line(outcome.err)


def test_no_file_is_replaced_without_leave(image: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out.html"
    out.write_text("mine")
    assert_failed(run("report", image, "-o", out), 1)
    assert out.read_text() == "mine"
    assert run("report", image, "-o", out, "--force").status == 0
    assert out.read_text() != "mine"


def test_no_image_is_replaced_at_all(image: Path, run: Run) -> None:
    before = image.read_bytes()
    assert_failed(run("report", image, "-o", image, "--force"), 1)
    assert image.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "status"),
    [("both-header-checksums-wrong", 2), ("header-2-checksum-wrong", 0)],
)
def test_a_damaged_image_has_a_page(
    name: str, status: int, files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out.html"
    outcome = run("report", files.damaged(name), "-o", out)
    assert outcome.status == status
    assert ("does not open: neither copy is valid" in outcome.err) == (status == 2)
    assert out.stat().st_size > 20_000


def test_so_has_what_is_no_image_and_a_child_without_its_parent(tmp_path: Path, run: Run) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"conectix" * 64)
    assert run("report", other, "-o", tmp_path / "1.html").status == 63
    made = chain(2)
    made.missing = frozenset({"base.vhdx"})
    made.write(tmp_path)
    assert run("report", made.path, "-o", tmp_path / "2.html").status == 1
    assert run("report", made.path, "--no-parent", "-o", tmp_path / "3.html").status == 0
    assert {"1.html", "2.html", "3.html"} <= files_in(tmp_path)


def test_a_file_that_cannot_be_read_has_none(tmp_path: Path, run: Run) -> None:
    assert_failed(run("report", tmp_path / "none", "-o", tmp_path / "out.html"), 1)
    assert files_in(tmp_path) == set()


def test_what_is_assumed_is_told_to_people_too(files: Files, tmp_path: Path, run: Run) -> None:
    path = files.damaged("both-header-checksums-wrong")
    outcome = run("report", path, "--assume-header", "-o", tmp_path / "out.html")
    assert "assumed headers" in outcome.err
