"""Whatever command is given a file of another format says what it is, and the way on."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed, document_of
from tests.conftest import Run
from tests.images.chain import chain
from tests.support import SHARED
from vhdx_kaitai.commands.main import COMMANDS

WORDS: dict[str, tuple[str, ...]] = {
    "metadump": ("OUT",),
    "convert": ("OUT",),
    "compare": ("FILE",),
    "rebase": ("FILE",),
    "resize": ("--minimum",),
}
WORDS["set"] = ("--disk-id", "new")
WORDS |= {"cat": ("/",), "extract": ("/", "OUT"), "mount": ("FOLDER",)}
WITHOUT_FILE = {"create", "explorer", "ksy", "help", "scan"}  # which read none, a parent, or many
ABOUT_ANY = {"check", "report"}  # which tell what is wrong with a file in their own words
WITH_FILE = sorted(set(COMMANDS) - WITHOUT_FILE)
JSON = sorted(set(WITH_FILE) - {"read", "convert", "cat", "extract", "serve", "mount"})
SAID = "not a VHDX file: it is compressed with gzip (`gunzip < FILE > OUT` or 7-Zip unpacks it)"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """An image that somebody forgot to unpack."""
    path = tmp_path / "disk.vhdx"
    path.write_bytes(gzip.compress(b"vhdxfile" + bytes(100)))
    return path


def words(command: str, path: Path) -> list[object]:
    rest: dict[str, object] = {"OUT": path.with_name("out"), "FILE": path, "FOLDER": path.parent}
    return [command, path, *(rest.get(word, word) for word in WORDS.get(command, ()))]


@pytest.mark.parametrize("command", sorted(set(WITH_FILE) - ABOUT_ANY))
def test_every_command_says_what_the_file_is(command: str, packed: Path, run: Run) -> None:
    outcome = run(*words(command, packed))
    assert outcome.out == ""
    assert_failed(outcome, 63, f"{packed}: ", f"{SAID} [FTI-01, MS-VHDX 2.2.1]")
    assert not packed.with_name("out").exists()


@pytest.mark.parametrize("command", sorted(set(JSON) - ABOUT_ANY))
def test_every_document_says_what_the_file_is(command: str, packed: Path, run: Run) -> None:
    outcome = run(*words(command, packed), "--json")
    assert outcome.status == 63
    error = document_of(outcome, "error")["error"]
    assert (error["type"], error["rule"], error["message"]) == ("FormatError", "FTI-01", SAID)


def test_check_says_so_with_its_verdict(packed: Path, run: Run) -> None:
    outcome = run("check", packed)
    assert outcome.status == 63
    assert outcome.out.startswith(f"{packed}: not a VHDX file (1 error)\n")
    assert f"{SAID} [FTI-01, MS-VHDX 2.2.1]\n" in outcome.out
    document = document_of(run("check", packed, "--json"), "check")
    assert document["verdict"] == "not-vhdx"
    assert [finding["message"] for finding in document["findings"]] == [SAID]


def test_report_says_so_on_its_page_and_to_people(packed: Path, run: Run) -> None:
    outcome = run("report", packed, "-o", packed.with_name("out"))
    assert_failed(outcome, 63, f"{packed}: does not open: {SAID} [FTI-01]")
    document = document_of(run("report", packed, "--json"), "report")
    assert document["error"]["message"] == SAID
    assert document["checks"][0]["verdict"] == "not-vhdx"


def test_a_parent_of_another_format_is_called_what_it_is(packed: Path, run: Run) -> None:
    child = chain(2).write(packed.parent / "chain").path
    assert_failed(run("map", child, "--parent", packed), 63, f"{packed}: ", SAID)


def test_the_same_disk_as_vhd_is_no_raw_image(tmp_path: Path, run: Run) -> None:
    for name in ("other-fixed.vhd", "other-twin.vhdx"):
        stored = SHARED / "cases" / f"{name}.xz"
        if not stored.is_file():
            pytest.skip("no ../shared/cases")
        (tmp_path / name).write_bytes(lzma.decompress(stored.read_bytes()))
    vhd, twin = tmp_path / "other-fixed.vhd", tmp_path / "other-twin.vhdx"
    assert_failed(run("info", vhd), 63, "it is a fixed VHD image (`qemu-img convert -f vpc")
    outcome = run("compare", vhd, twin, "--json")
    assert outcome.status == 63
    assert "it is a fixed VHD image" in json.loads(outcome.out)["error"]["message"]


def test_bare_names_will_do_for_whatever_changes_a_file(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bytes").write_bytes(b"x" * 5000)
    for line in (
        "create a.vhdx --size 64MiB --block-size 1MiB",
        "write a.vhdx -i bytes",
        "set a.vhdx --disk-id new",
        "resize a.vhdx 80MiB",
        "write a.vhdx --discard --length 80MiB",
        "compact a.vhdx",
        "compact a.vhdx --to packed.vhdx",
        "create b.avhdx --parent a.vhdx",
        "create c.avhdx --parent b.avhdx",
        "write c.avhdx -i bytes --offset 7MiB",
        "rebase b.avhdx packed.vhdx",
        "merge c.avhdx --delete",
        "merge b.avhdx --into packed.vhdx --delete",
        "replay packed.vhdx",
        "repair packed.vhdx --write",
        "convert packed.vhdx d.vhdx",
        "compare packed.vhdx d.vhdx",
    ):
        outcome = run(*line.split())
        assert outcome.status == 0, (line, outcome.err)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a.vhdx", "bytes", "d.vhdx", "packed.vhdx")
    ]
