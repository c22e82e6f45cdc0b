"""Files and folders one after the other: documents, statuses, and what is said of all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.commands.launching import assert_one_line, document_of, launch
from tests.conftest import Files, Run
from tests.images.chain import chain
from tests.support import assert_valid


@pytest.fixture
def folder(files: Files, tmp_path: Path) -> Path:
    """A folder with an image of each kind, and one in a folder below."""
    top = tmp_path / "folder"
    (top / "below").mkdir(parents=True)
    shutil.copyfile(files.good("dynamic-plain"), top / "b-clean.vhdx")
    shutil.copyfile(files.good("fixed-plain"), top / "c-clean.vhd")
    shutil.copyfile(files.damaged("version-2"), top / "a-corrupt.avhdx")
    (top / "d-other.vhdx").write_bytes(b"conectix" + bytes(1 << 20))
    (top / "e-other.vhd").write_bytes(b"conectix" + bytes(1 << 20))
    (top / "notes.txt").touch()
    shutil.copyfile(files.good("odd-sectors"), top / "below" / "below.vhdx")
    return top


NAMES = ["a-corrupt.avhdx", "b-clean.vhdx", "c-clean.vhd", "d-other.vhdx"]


def test_every_image_of_a_folder_is_checked_in_the_order_of_names(folder: Path, run: Run) -> None:
    outcome = run("check", folder)
    verdicts = [line for line in outcome.out.splitlines() if line.startswith(str(folder))]
    assert [Path(line.partition(": ")[0]).name for line in verdicts] == NAMES
    assert outcome.err == "vhdx-kaitai: 4 files: 2 clean, 1 corrupt, 1 not VHDX\n"
    assert outcome.status == 2


def test_those_below_are_when_that_is_asked_for(folder: Path, run: Run) -> None:
    outcome = run("check", "--recursive", folder)
    assert f"{folder / 'below' / 'below.vhdx'}: clean" in outcome.out
    assert outcome.err == "vhdx-kaitai: 5 files: 3 clean, 1 corrupt, 1 not VHDX\n"


@pytest.mark.parametrize("command", ["info", "check"])
def test_several_documents_take_a_line_each(command: str, folder: Path, run: Run) -> None:
    outcome = run(command, "--json", folder)
    documents = [json.loads(line) for line in outcome.out.splitlines()]
    assert [Path(document["path"]).name for document in documents] == NAMES
    for document in documents:
        assert_valid(document, "error" if "error" in document else command)
    assert outcome.status == 2
    one = folder / "only"
    one.mkdir()
    shutil.copyfile(folder / "b-clean.vhdx", one / "b.vhdx")
    assert run(command, "--json", one).out.count("\n") == 1
    document_of(run(command, "--json", one / "b.vhdx"), command)


def test_info_describes_what_it_can(folder: Path, run: Run) -> None:
    outcome = run("info", folder)
    assert outcome.status == 2
    texts = outcome.out.split("\n\n/")
    assert [Path(text.partition(": ")[0]).name for text in texts] == NAMES[1:3]
    *errors, summary = outcome.err.splitlines()
    assert [line.split(": ")[1] for line in errors] == [
        str(folder / "a-corrupt.avhdx"),
        str(folder / "d-other.vhdx"),
    ]
    assert summary == "vhdx-kaitai: 4 files: 2 described, 1 corrupt, 1 not VHDX"


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["good", "good"], 0),
        (["good", "warned"], 3),
        (["warned", "other", "good"], 63),
        (["other", "corrupt", "warned"], 2),
        (["corrupt", "none", "other"], 1),
    ],
)
def test_the_worst_of_several_files_counts(
    names: list[str], status: int, files: Files, tmp_path: Path, run: Run
) -> None:
    paths = {
        "good": files.good("dynamic-plain"),
        "warned": files.good("header-2-missing"),
        "corrupt": files.damaged("version-2"),
        "other": tmp_path / "other.vhdx",
        "none": tmp_path / "none.vhdx",
    }
    paths["other"].write_bytes(b"conectix" + bytes(1 << 20))
    assert run("check", *(paths[name] for name in names)).status == status


def test_one_file_has_no_summary(files: Files, run: Run) -> None:
    assert run("check", files.good("dynamic-plain")).err == ""
    assert run("info", files.good("dynamic-plain")).err == ""


def test_quiet_leaves_a_line_for_what_is_not_in_order(folder: Path, run: Run) -> None:
    outcome = run("check", "-q", folder)
    assert (outcome.status, outcome.err) == (2, "")
    assert [line.split(" (")[0] for line in outcome.out.splitlines()] == [
        f"{folder / 'a-corrupt.avhdx'}: corrupt",
        f"{folder / 'd-other.vhdx'}: not a VHDX file",
    ]
    assert run("check", "-q", folder / "b-clean.vhdx") == (0, "", "")
    assert run("check", "-q", "--json", folder / "b-clean.vhdx").out.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("command", ["info", "check"])
def test_a_folder_without_an_image_is_a_failure(
    command: str, options: list[str], folder: Path, run: Run
) -> None:
    (folder / "empty" / "more").mkdir(parents=True)
    outcome = run(command, *options, folder / "empty")
    assert outcome.status == 1
    assert_one_line(outcome.err)
    assert outcome.err.startswith(f"vhdx-kaitai: {folder / 'empty'}: no VHDX file in this folder")
    assert "--recursive looks into the folders below" in outcome.err
    if options:
        assert document_of(outcome, "error")["path"] == str(folder / "empty")
    assert "--recursive" not in run(command, "--recursive", folder / "empty").err


def test_a_folder_that_cannot_be_read_does_not_keep_the_others_from_being_checked(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    scan = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("below"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    outcome = run("check", "--recursive", folder, folder / "b-clean.vhdx")
    assert outcome.status == 1
    assert f"{folder / 'below'}: Permission denied\n" in outcome.err
    assert "5 files: 3 clean" in outcome.err


def test_the_document_of_a_chain_is_one_and_of_several_a_line_each(
    tmp_path: Path, run: Run
) -> None:
    """It has those of the parents in it, however many there are, and if one is missing."""
    made = chain(3).write(tmp_path)
    for path, count in ((made.path, 2), (made.paths[0], 0)):
        outcome = run("info", "--chain", "--json", path)
        assert outcome.status == 0
        assert len(document_of(outcome, "info")["parents"]) == count
    outcome = run("info", "--chain", "--json", made.path, made.paths[1])
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    for line in lines:
        assert_valid(line, "info")
    assert [len(line["parents"]) for line in lines] == [2, 1]
    made.paths[0].unlink()
    outcome = run("info", "--chain", "--json", made.path)
    assert outcome.status == 1
    assert len(document_of(outcome, "info")["parents"]) == 1


def test_no_report_goes_into_a_file_of_the_folder(folder: Path) -> None:
    out = folder / "b-clean.vhdx"
    before = out.read_bytes()
    with out.open("ab") as file:
        ended = launch("check", folder, stdout=file)
    assert ended.returncode == 1
    assert ended.stderr.decode() == f"vhdx-kaitai: standard output: is {out}, which is read\n"
    assert out.read_bytes() == before
