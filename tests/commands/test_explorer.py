"""`vhdx-kaitai explorer`: the page that opens images, byte for byte, or how it is made."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.conftest import Run
from vhdx_kaitai.commands import explorer, main

PAGE = b"<!DOCTYPE html>\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose page can be looked at."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "explorer.html.gz").write_bytes(gzip.compress(PAGE))
    monkeypatch.setattr(explorer, "files", lambda _package: folder)
    return folder


@pytest.mark.usefixtures("installed")
def test_explorer_copies_the_page(tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out.html"
    assert run("explorer", "-o", out) == (0, "", "")
    assert out.read_bytes() == PAGE
    outcome = run("explorer", "-o", out)
    assert outcome.status == 1
    assert "--force" in outcome.err
    out.write_bytes(b"old")
    assert run("explorer", "-o", out, "--force").status == 0
    assert out.read_bytes() == PAGE


@pytest.mark.usefixtures("installed")
def test_explorer_prints_the_page(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main.main(["explorer", "-o", "-"]) == 0
    assert capsysbinary.readouterr().out == PAGE


@pytest.mark.usefixtures("installed")
def test_the_page_does_not_take_the_place_of_an_image(tmp_path: Path, run: Run) -> None:
    image = tmp_path / "disk.vhdx"
    image.write_bytes(b"vhdxfile")
    assert "is a VHDX file, and stays one" in run("explorer", "-o", image, "--force").err
    assert image.read_bytes() == b"vhdxfile"


def test_without_the_page_explorer_says_how_it_is_made(
    installed: Path, tmp_path: Path, run: Run
) -> None:
    (installed / "explorer.html.gz").unlink()
    outcome = run("explorer", "-o", tmp_path / "out.html")
    assert outcome.status == 1
    assert "run 'make explorer' in a checkout" in outcome.err
    assert not (tmp_path / "out.html").exists()
