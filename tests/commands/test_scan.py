"""`scan` finds images, tells one line of each, and goes on where it was stopped."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.commands.launching import VHDX_KAITAI, assert_failed, document_of
from tests.conftest import Files, Outcome, Run
from tests.images.chain import chain
from tests.images.damage import DAMAGES
from tests.serving.fleets import Fleet, assert_told, make_fleet, timeless
from tests.showing.test_sarif import validator
from tests.support import assert_valid, damaged, files_in, good
from vhdx_kaitai.commands import scan as command
from vhdx_kaitai.serving.record import scan_one
from vhdx_kaitai.serving.tables import read_records


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads of this process look at images, which need no time to begin."""
    monkeypatch.setattr(command, "Processes", ThreadPoolExecutor)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "top"


@pytest.fixture
def fleet(top: Path) -> Fleet:
    """A fleet that is there as a whole, since what is not in a folder is not found in it."""
    fleet = make_fleet(top, 16)
    return {path: expected for path, expected in fleet.items() if os.path.lexists(path)}


def records_in(text: str) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in text.splitlines()]
    for record in records:
        assert_valid(record, "scan")
    return records


def paths_in(outcome: Outcome) -> set[str]:
    return {record["path"] for record in records_in(outcome.out)}


def test_each_image_is_a_line_and_the_summary_is_for_people(
    fleet: Fleet, top: Path, run: Run
) -> None:
    outcome = run("scan", top)
    assert outcome.status == 1
    assert_told(records_in(outcome.out), fleet)
    assert timeless(records_in(outcome.out)) == timeless(map(scan_one, fleet))
    lines = outcome.err.splitlines()
    assert lines[0].startswith(
        "vhdx-kaitai: 15 images: 8 clean, 1 usable, with warnings, 4 corrupt"
    )
    assert run("scan", "-q", top).err == ""


def test_with_an_output_the_summary_is_the_result(
    fleet: Fleet, top: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out.jsonl"
    outcome = run("scan", top, "-o", out)
    named = {line.split(": ")[1] for line in outcome.err.splitlines()}
    assert named == {path for path, expected in fleet.items() if expected.verdict != "clean"}
    assert outcome.out.startswith("15 images: 8 clean, ")
    assert_told(records_in(out.read_text()), fleet)
    document = document_of(run("scan", top, "-o", out, "--force", "--json"), "scan-summary")
    assert document["images"] == 15
    assert (document["children"], document["whole"]) == (2, 2)


# -- which images ---------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, files: Files) -> Path:
    image = files.good("dynamic-plain")
    for name in ("a.vhdx", "b.AVHDX", "c.img", "notes.txt", "below/d.vhdx", "below/more/e.vhdx"):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, path)
    return tmp_path / "folder"


def names(outcome: Outcome) -> list[str]:
    return sorted(Path(path).name for path in paths_in(outcome))


def test_folders_are_looked_through_with_those_below(folder: Path, run: Run) -> None:
    assert names(run("scan", folder)) == ["a.vhdx", "b.AVHDX", "d.vhdx", "e.vhdx"]
    assert names(run("scan", folder, folder / "c.img")) == [
        *("a.vhdx", "b.AVHDX", "c.img", "d.vhdx", "e.vhdx")
    ]


def test_patterns_are_looked_up_and_names_are_not(folder: Path, run: Run) -> None:
    assert names(run("scan", folder / "*.img")) == ["c.img"]
    assert names(run("scan", f"{folder}/**/[de].vhdx")) == ["d.vhdx", "e.vhdx"]
    shutil.copyfile(folder / "a.vhdx", folder / "[x].vhdx")
    shutil.copyfile(folder / "a.vhdx", folder / "x.vhdx")
    assert names(run("scan", folder / "[x].vhdx")) == ["[x].vhdx"]
    outcome = run("scan", folder / "*.none")
    assert outcome.status == 1
    assert records_in(outcome.out)[0]["error_type"] == "FileNotFoundError"


def test_an_image_that_is_named_twice_is_one(folder: Path, run: Run) -> None:
    outcome = run("scan", folder / "a.vhdx", folder / "a.vhdx", folder / "*.vhdx", folder)
    assert len(records_in(outcome.out)) == 4


@pytest.mark.parametrize("is_stdin", [False, True])
def test_paths_come_from_a_file(
    is_stdin: bool, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = f"{folder / 'c.img'}\n\n{folder / 'a*.vhdx'}\r\n{folder / 'below'}"
    (folder / "list").write_bytes(lines.encode())
    stdin = io.TextIOWrapper(io.BytesIO(lines.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    outcome = run("scan", "--from-file", "-" if is_stdin else folder / "list")
    assert names(outcome) == ["a*.vhdx", "c.img", "d.vhdx", "e.vhdx"]  # no patterns there
    assert outcome.status == 1


def test_an_empty_list_is_no_failure(tmp_path: Path, run: Run) -> None:
    (tmp_path / "list").touch()
    outcome = run("scan", "--from-file", tmp_path / "list")
    assert (outcome.status, outcome.out) == (0, "")
    assert run("scan", "--from-file", tmp_path / "none").status == 1


def test_a_folder_without_an_image_is_a_record(tmp_path: Path, run: Run) -> None:
    outcome = run("scan", tmp_path)
    assert outcome.status == 1
    (record,) = records_in(outcome.out)
    assert (record["path"], record["error_type"]) == (str(tmp_path), "VhdxError")
    assert record["error_message"] == "no VHDX file in this folder"


def test_names_that_are_no_text_have_records(folder: Path, tmp_path: Path, run: Run) -> None:
    path = folder / "below" / "\udcff\x1b[2J.vhdx"
    shutil.copyfile(folder / "a.vhdx", path)
    out = tmp_path / "out.jsonl"
    assert run("scan", folder / "below", "-o", out).status == 0
    paths = [record["path"] for record in records_in(out.read_text())]
    assert any(path.endswith("/\\udcff\x1b[2J.vhdx") for path in paths)
    before = out.read_text()
    assert run("scan", folder / "below", "-o", out, "--resume").status == 0
    assert sorted(out.read_text()) == sorted(before)


# -- exit statuses --------------------------------------------------------------------------------


@pytest.fixture
def kinds(tmp_path: Path) -> dict[str, Path]:
    other = tmp_path / "other"
    other.write_bytes(b"conectix" + bytes(4096))
    return {
        "good": good("dynamic-plain").write(tmp_path / "good"),
        "warned": good("header-2-missing").write(tmp_path / "warned"),
        "corrupt": damaged("version-2").write(tmp_path / "corrupt"),
        "other": other,
        "gone": tmp_path / "gone",
    }


@pytest.mark.parametrize(
    ("words", "status", "on_error"),
    [
        ("good", 0, 0),
        ("good warned", 3, 0),
        ("good warned other", 63, 63),
        ("corrupt other", 2, 2),
        ("corrupt gone good", 1, 1),
    ],
)
def test_the_worst_image_decides(
    words: str, status: int, on_error: int, kinds: dict[str, Path], run: Run
) -> None:
    paths = [kinds[word] for word in words.split()]
    assert run("scan", *paths).status == status
    assert run("scan", *paths, "--fail-on", "warning").status == status
    assert run("scan", *paths, "--fail-on", "error").status == on_error
    assert run("scan", *paths, "--fail-on", "never").status == 0


def test_a_child_without_its_parent_is_a_failure_where_chains_matter(
    tmp_path: Path, run: Run
) -> None:
    made = chain(3).write(tmp_path)
    assert run("scan", tmp_path).status == 0
    made.paths[0].unlink()
    outcome = run("scan", tmp_path)
    assert outcome.status == 1
    assert "[CHAIN-10]" in outcome.err
    assert "2 children, 0 with all parents in order" in outcome.err
    outcome = run("scan", tmp_path, "--no-parent")
    assert outcome.status == 0
    assert "CHAIN" not in outcome.err


def test_an_ignored_rule_does_not_count(kinds: dict[str, Path], run: Run) -> None:
    rules = [word for rule in ("hdr-01", "hdr-02") for word in ("--ignore", rule)]
    outcome = run("scan", kinds["warned"], *rules)
    (record,) = records_in(outcome.out)
    assert record["ignored"] == ["HDR-01", "HDR-02"]
    assert run("scan", kinds["warned"], "--ignore", "HDR-99").status == 64


@pytest.mark.parametrize(
    "words",
    [
        "",
        "a --json",
        "a --resume",
        "a --dask tcp://localhost:1 --jobs 2",
        "a --dask tcp://localhost:1 --time-limit 2",
        "a --sarif -",
        "a --fail-on nothing",
        "a --jobs -1",
    ],
)
def test_what_makes_no_sense_is_a_wrong_command_line(words: str, run: Run) -> None:
    outcome = run("scan", *words.split())
    assert (outcome.status, outcome.out) == (64, "")


def test_no_output_takes_the_place_of_another_file(
    kinds: dict[str, Path], tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    for option in ("-o", "--sarif"):
        assert_failed(run("scan", kinds["good"], option, out), 1, "--force would replace it")
        assert_failed(run("scan", kinds["good"], option, kinds["good"], "--force"), 1, "VHDX file")
    assert_failed(run("scan", kinds["good"], "-o", out, "--resume"), 1, "no record of a scan")
    assert out.read_text() == "mine"
    outcome = run("scan", kinds["good"], "-o", out, "--sarif", out, "--force")
    assert_failed(outcome, 1, "cannot be the report, too")


# -- going on -------------------------------------------------------------------------------------


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that are looked at from now on, in this process."""
    paths: list[str] = []

    def scan(wanted: Any, **_options: Any) -> Any:
        for path in wanted:
            paths.append(Path(path).name)
            yield scan_one(path)

    monkeypatch.setattr(command, "scan", scan)
    return paths


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_what_is_known_is_not_done_again(
    suffix: str, folder: Path, tmp_path: Path, looked_at: list[str], run: Run
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
    out = tmp_path / f"out.{suffix}"
    words = ("scan", folder, folder / "gone.vhdx", "-o", out, "--resume")
    run(*words)  # there is nothing to go on with
    assert sorted(looked_at) == ["a.vhdx", "b.AVHDX", "d.vhdx", "e.vhdx", "gone.vhdx"]
    looked_at.clear()
    first = run(*words)
    assert looked_at == ["gone.vhdx"]  # what failed may work now
    looked_at.clear()
    os.utime(folder / "a.vhdx", ns=(0, 0))
    shutil.copyfile(folder / "a.vhdx", folder / "new.vhdx")
    (folder / "b.AVHDX").unlink()
    again = run(*words)
    assert sorted(looked_at) == ["a.vhdx", "gone.vhdx", "new.vhdx"]
    found = list(read_records(str(out)))
    assert len(found) == 5
    assert {Path(record["path"]).name for record in found} == {
        *("a.vhdx", "d.vhdx", "e.vhdx", "gone.vhdx", "new.vhdx")
    }
    assert first.out.startswith("5 images: 4 clean, 1 failed")
    assert again.out.startswith("5 images: 4 clean, 1 failed")
    assert run(*words[:-1], "--force").status == 1
    assert len(list(read_records(str(out)))) == 5


def test_a_line_that_was_cut_is_done_again(
    folder: Path, tmp_path: Path, looked_at: list[str], run: Run
) -> None:
    out = tmp_path / "out.jsonl"
    run("scan", folder, "-o", out)
    whole = out.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for cut in (1, len(last) // 2, len(last) - 1):
        out.write_bytes(whole[:-cut])
        looked_at.clear()
        assert run("scan", folder, "-o", out, "--resume").status == 0
        assert len(looked_at) == (cut > 1)
        assert timeless(records_in(out.read_text())) == timeless(records_in(whole.decode()))


def test_lines_are_there_as_they_come(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    out = tmp_path / "out.jsonl"
    seen: list[int] = []

    def scan(wanted: Any, **_options: Any) -> Any:
        for path in wanted:
            seen.append(len(records_in(out.read_text())))
            yield scan_one(path)

    monkeypatch.setattr(command, "scan", scan)
    assert run("scan", folder, "-o", out).status == 0
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_whoever_interrupts_it_has_what_is_there(
    suffix: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")

    def scan(wanted: Any, **_options: Any) -> Any:
        yield scan_one(next(iter(wanted)))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "scan", scan)
    out, sarif = tmp_path / f"out.{suffix}", tmp_path / "out.sarif"
    outcome = run("scan", folder, "-o", out, "--sarif", sarif)
    assert outcome.status == 130
    assert outcome.out.startswith("1 image: 1 clean")
    assert len(list(read_records(str(out)))) == 1
    assert sarif.is_file()
    assert {name for name in files_in(tmp_path) if "partial" in name} == set()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_scan_that_is_ended_goes_on_where_it_was(
    number: signal.Signals, files: Files, tmp_path: Path
) -> None:
    names = [f"{index}.vhdx" for index in range(300)]
    for name in names:
        (tmp_path / name).symlink_to(files.good("dynamic-plain"))
    (tmp_path / "list").write_text("\n".join(names))
    out = tmp_path / "out.jsonl"
    argv = [*VHDX_KAITAI, "scan", "-o", "out.jsonl", "--jobs", "2", "--from-file"]
    with subprocess.Popen(
        [*argv, "-"],
        cwd=tmp_path,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write("\n".join([*names[:200], ""]).encode())
        process.stdin.flush()  # and more may come
        while not out.is_file() or out.read_bytes().count(b"\n") < 50:
            time.sleep(0.01)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        ended = process.wait(timeout=30)
        _, err = process.communicate()
    assert ended == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -9)
    if number != signal.SIGKILL:  # after which Python says that something was left
        assert err == b""
    assert 50 <= out.read_bytes().count(b"\n") <= 200
    again = subprocess.run(
        [*argv, "list", "--resume"], cwd=tmp_path, check=True, capture_output=True, timeout=60
    )
    assert again.stdout.startswith(b"300 images: 300 clean\n")
    assert {record["path"] for record in read_records(str(out))} == set(names)
    assert out.read_bytes().count(b"\n") == 300


# -- reports --------------------------------------------------------------------------------------


def test_the_report_is_sarif_of_all_images_and_their_chains(
    kinds: dict[str, Path], tmp_path: Path, run: Run
) -> None:
    made = chain(2).write(tmp_path)
    made.paths[0].unlink()
    sarif = tmp_path / "out.sarif"
    outcome = run("scan", *kinds.values(), made.path, "--sarif", sarif)
    assert outcome.status == 1
    document = json.loads(sarif.read_text())
    assert not list(validator().iter_errors(document))
    (found,) = document["runs"]
    uris = [artifact["location"]["uri"] for artifact in found["artifacts"]]
    assert sorted(uris) == sorted(path.as_uri() for path in (*kinds.values(), made.path))
    rules = {
        Path(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]).name: result[
            "ruleId"
        ]
        for result in found["results"]
    }
    assert rules["child1.vhdx"] == "CHAIN-10"
    assert rules["other"] == "FTI-01"
    assert rules["corrupt"] == DAMAGES["version-2"].main_rule
    notes = found["invocations"][0]["toolExecutionNotifications"]
    assert any("FileNotFoundError" in note["message"]["text"] for note in notes)


def test_what_takes_dask_says_so(
    kinds: dict[str, Path], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    outcome = run("scan", kinds["good"], "--dask", "tcp://127.0.0.1:1")
    assert_failed(outcome, 1, "pip install 'vhdx-kaitai[dask]'")


def test_what_takes_pyarrow_says_so(
    kinds: dict[str, Path], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    outcome = run("scan", kinds["good"], "-o", tmp_path / "out.parquet")
    assert_failed(outcome, 1, "pip install 'vhdx-kaitai[scan]'")
    assert not (tmp_path / "out.parquet").exists()


def test_nothing_is_changed_or_left(fleet: Fleet, top: Path, run: Run) -> None:
    def state() -> list[tuple[str, int]]:
        return sorted((str(path), path.lstat().st_mtime_ns) for path in top.rglob("*"))

    before = state()
    run("scan", top)
    assert state() == before
    assert fleet


def test_how_far_it_is_is_shown_on_a_terminal(folder: Path, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color"}
    argv = [*VHDX_KAITAI, "scan", str(folder), "-o", str(tmp_path / "out")]
    subprocess.run(argv, env=environment, stderr=slave, check=True, timeout=60)
    os.close(slave)
    shown = os.read(master, 1 << 16)
    os.close(master)
    assert re.search(rb"\d images?, 0 of them not clean", shown)
