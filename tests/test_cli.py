"""The command line: results on stdout, words for people on stderr, statuses for scripts."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.conftest import Files, Outcome, Run
from tests.format.log_fixtures import entry_head, forged
from tests.images.chain import chain
from tests.images.damage import DAMAGES
from tests.images.structures import MIB
from tests.support import REAL_IMAGES, ROOT, Sample, assert_valid, good, refusals
from tests.test_image import expected_info, without_our_words
from vhdx_kaitai.commands import main

REFUSED = [name for name, case in DAMAGES.items() if case.open_refuses]
CORRUPT = "version-2"
OF_ONE_FILE = ("info", "log", "tree")
VHDX_KAITAI = [sys.executable, "-m", "vhdx_kaitai"]


def launch(
    *arguments: object, stdout: Any = subprocess.PIPE, **fields: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [*VHDX_KAITAI, *map(str, arguments)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=fields.pop("cwd", "/"),
        env=os.environ | fields.pop("env", {}),
        timeout=60,
        **fields,
    )


def document_of(outcome: Outcome, schema: str) -> Any:
    """Return the document that a command printed, after its schema was asked."""
    document = json.loads(outcome.out)
    assert_valid(document, schema)
    return document


def assert_one_line(err: str) -> None:
    """Show that a person gets one line, and no traceback."""
    assert err.startswith("vhdx-kaitai: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert err[:-1].isprintable()


# -- results -------------------------------------------------------------------------------------


# `test_report` compares all of them; here it is about what becomes of the document.
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


@pytest.mark.parametrize("command", OF_ONE_FILE)
@pytest.mark.parametrize("name", ["dynamic-plain", "differencing-plain", "dirty-everything"])
def test_a_command_prints_text_or_a_document(
    name: str, command: str, files: Files, run: Run
) -> None:
    path = files.good(name)
    text = run(command, path)
    assert (text.status, text.err) == (0, "")
    assert text.out.endswith("\n")
    assert text.out.replace("\n", "").isprintable()
    document = run(command, "--json", path)
    assert (document.status, document.err) == (0, "")
    assert document_of(document, command)["path"] == str(path)


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
    lines = outcome.out.splitlines()
    assert 20 < len(lines) < 40
    assert max(map(len, lines)) <= 100


def test_log_of_the_dirty_real_image_has_one_active_entry(
    samples: Callable[[str], Path], run: Run
) -> None:
    path = samples("iotest-dirtylog-10G-4M.vhdx.bz2")
    document = json.loads(run("log", "--json", path).out)
    assert document["state"] == "dirty"
    assert [entry["active"] for entry in document["entries"]].count(True) == 1
    assert document["replay"]["entries"] == 1
    assert [sequence["active"] for sequence in document["sequences"]] == [True]


def test_stale_entries_of_a_clean_real_image_are_listed_and_not_active(
    samples: Callable[[str], Path], run: Run
) -> None:
    document = json.loads(run("log", "--json", samples("swap.vhdx.gz")).out)
    assert document["state"] == "clean"
    assert len(document["entries"]) >= 4
    assert not any(entry["active"] or entry["valid"] for entry in document["entries"])
    assert document["sequences"] == []
    assert document["replay"] is None


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


def test_ksy_prints_the_grammar_byte_for_byte(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main.main(["ksy"]) == 0
    assert capsysbinary.readouterr().out == (ROOT / "vhdx.ksy").read_bytes()


def test_ksy_copies_the_grammar(tmp_path: Path, run: Run) -> None:
    outcome = run("ksy", "-o", tmp_path / "copy.ksy")
    assert outcome == (0, "", "")
    assert (tmp_path / "copy.ksy").read_bytes() == (ROOT / "vhdx.ksy").read_bytes()
    assert vhdx_kaitai.grammar_text() == (ROOT / "vhdx.ksy").read_bytes()


def test_tree_shows_one_field_when_asked_for_it(files: Files, run: Run) -> None:
    outcome = run("tree", files.good("dynamic-plain"), "header_1.signature")
    assert outcome.status == 0
    assert outcome.out.split() == ["0x10000", "4", "header_1.signature", "68", "65", "61", "64"]


def test_tree_goes_as_deep_as_it_is_told(files: Files, run: Run) -> None:
    path = files.good("dynamic-plain")
    lines = [len(run("tree", path, "--depth", depth).out.splitlines()) for depth in range(4)]
    assert lines[0] == 1
    assert lines == sorted(set(lines))
    assert len(run("tree", path).out.splitlines()) == lines[2]


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_image_takes_one_line_that_says_why(name: str, files: Files, run: Run) -> None:
    path = files.damaged(name)
    outcome = run("info", path)
    assert outcome.out == ""
    assert_one_line(outcome.err)
    assert outcome.err.startswith(f"vhdx-kaitai: {path}: ")
    rule = outcome.err.rpartition("[")[2].partition(",")[0]
    assert rule in DAMAGES[name].visible
    assert outcome.status == (63 if rule == "FTI-01" else 2)


@pytest.mark.parametrize("name", REFUSED[::6])
def test_a_refused_image_is_a_document_when_asked_for_one(
    name: str, files: Files, run: Run
) -> None:
    path = files.damaged(name)
    outcome = run("info", "--json", path)
    assert_one_line(outcome.err)
    document = document_of(outcome, "error")
    assert document["path"] == str(path)
    error = document["error"]
    assert error["rule"] in DAMAGES[name].visible
    assert error["message"] in outcome.err
    assert outcome.status == (63 if error["rule"] == "FTI-01" else 2)


# The log is judged before the regions, which it may overlap.
BEFORE_THE_REGIONS = [
    name for name in refusals("LOG", "HDR", "FTI", "GEN") if "OVL-03" not in DAMAGES[name].visible
]


@pytest.mark.parametrize("name", BEFORE_THE_REGIONS)
def test_log_refuses_what_info_refuses_as_far_as_the_log_goes(
    name: str, files: Files, run: Run
) -> None:
    outcome = run("log", files.damaged(name))
    assert_one_line(outcome.err)
    rule = outcome.err.rpartition("[")[2].partition(",")[0]
    assert rule in DAMAGES[name].visible
    assert outcome.status == (63 if rule == "FTI-01" else 2)


@pytest.mark.parametrize("name", refusals("LOG"))
def test_log_lists_the_entries_of_a_log_that_must_not_be_replayed(
    name: str, files: Files, run: Run
) -> None:
    outcome = run("log", "--json", files.damaged(name))
    assert outcome.status == 2
    document = document_of(outcome, "log")
    assert document["error"]["rule"] in DAMAGES[name].visible
    assert document["state"] == "dirty"


@pytest.mark.parametrize("command", ["info", "log"])
def test_a_log_of_forged_entries_is_refused_in_one_line(
    command: str, tmp_path: Path, run: Run
) -> None:
    """Each sector of it claims to be an entry as long as the log."""
    ring = 8 * MIB
    path = tmp_path / "forged.vhdx"
    heads = {at: entry_head(ring, at // 4096 + 1) for at in range(0, ring, 4096)}
    path.write_bytes(forged(ring, heads))
    outcome = run(command, path)
    assert outcome.status == 1
    assert_one_line(outcome.err)
    assert "LOG-39" in outcome.err


@pytest.mark.parametrize("name", REFUSED[::4])
def test_tree_shows_any_file_with_the_signature(name: str, files: Files, run: Run) -> None:
    outcome = run("tree", "--json", files.damaged(name), "--depth", 1)
    if outcome.status:
        assert_one_line(outcome.err)
        assert DAMAGES[name].main_rule in ("FTI-01", "GEN-07")
    else:
        document_of(outcome, "tree")
        assert outcome.err == ""


@pytest.mark.parametrize("name", [name for name, case in DAMAGES.items() if not case.open_refuses])
def test_what_opens_although_damaged_is_described(name: str, files: Files, run: Run) -> None:
    outcome = run("info", "--allocation", files.damaged(name))
    assert (outcome.status, outcome.err) == (0, "")


@pytest.mark.parametrize("command", OF_ONE_FILE)
def test_a_file_that_is_no_vhdx_has_a_status_of_its_own(
    command: str, tmp_path: Path, run: Run
) -> None:
    for content in (b"", b"vhdxfil", b"conectix" + bytes(2 * MIB), b"\0" * 512):
        path = tmp_path / "other.img"
        path.write_bytes(content)
        outcome = run(command, path)
        assert outcome.status == 63
        assert outcome.out == ""
        assert_one_line(outcome.err)
        assert "FTI-01" in outcome.err


@pytest.mark.parametrize("command", OF_ONE_FILE)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_failure_of_the_system_is_a_failure(
    command: str, options: list[str], tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "none.vhdx"
    outcome = run(command, *options, path)
    assert outcome.status == 1
    assert_one_line(outcome.err)
    assert outcome.err == f"vhdx-kaitai: {path}: No such file or directory\n"
    if options:
        error = document_of(outcome, "error")["error"]
        assert (error["type"], error["rule"]) == ("FileNotFoundError", None)
    else:
        assert outcome.out == ""


def test_a_folder_is_no_image(tmp_path: Path, run: Run) -> None:
    outcome = run("info", tmp_path)
    assert outcome.status == 1
    assert_one_line(outcome.err)


@pytest.mark.parametrize("path", ["nothing", "header_1.nothing", "bat.chunks[99]", "a..b", "]["])
def test_a_field_that_is_not_there_is_a_failure(path: str, files: Files, run: Run) -> None:
    outcome = run("tree", files.good("dynamic-plain"), path)
    assert outcome.status == 1
    assert outcome.out == ""
    assert_one_line(outcome.err)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["info"],
        ["info", "--nonsense", "x"],
        ["info", "a", "b"],
        ["tree", "x", "--depth", "-1"],
        ["tree", "x", "--depth", "deep"],
        ["ksy", "--json"],
    ],
)
def test_a_wrong_command_line_is_a_status_of_its_own(arguments: list[str], run: Run) -> None:
    outcome = run(*arguments)
    assert outcome.status == 64
    assert outcome.out == ""
    assert outcome.err.startswith("usage: vhdx-kaitai")


def test_a_wrong_number_is_told_in_words(run: Run) -> None:
    """argparse names the function that it calls, which means nothing to a caller."""
    assert "_natural" not in run("tree", "x", "--depth", "-1").err


def test_a_path_is_escaped_where_people_read_it(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "a\x1b[31m\u202eb\nc.vhdx"
    path.write_bytes(b"no")
    outcome = run("info", path)
    assert_one_line(outcome.err)
    assert r"a\x1b[31m\u202eb\x0ac.vhdx" in outcome.err


# -- interruptions -------------------------------------------------------------------------------


def test_an_interrupted_command_says_so(
    files: Files, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vhdx_kaitai.commands.info.info_document", interrupted)
    outcome = run("info", files.good("dynamic-plain"))
    assert outcome.status == 130
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("arguments", [["ksy"], ["tree", "--depth", "6"], ["info", "--json"]])
def test_a_reader_that_goes_away_ends_a_command_quietly(arguments: list[str], files: Files) -> None:
    if arguments[0] != "ksy":
        arguments = [*arguments, str(files.good("user-items-1024"))]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = launch(*arguments, stdout=writer)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize("arguments", [["ksy"], ["info"], ["info", "--json"]])
def test_a_full_disk_is_a_failure_without_a_traceback(arguments: list[str], files: Files) -> None:
    if arguments[0] == "info":
        arguments = [*arguments, str(files.good("dynamic-plain"))]
    with open("/dev/full", "wb") as full:
        ended = launch(*arguments, stdout=full)
    assert ended.returncode == 1
    assert_one_line(ended.stderr.decode())


def test_a_full_disk_is_not_blamed_on_the_image(files: Files) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "wb") as full:
        ended = launch("info", files.good("dynamic-plain"), stdout=full)
    assert b"dynamic-plain.vhdx" not in ended.stderr


CLOSED = (
    ("info", 1),
    ("info --json", 1),
    ("read", 1),
    ("read -o -", 1),
    ("check", 1),
    ("check --sarif -", 1),
    ("compare $0", 4),
    ("log", 1),
    ("read -o out.raw", 0),  # it has nothing to say
    ("convert out2.raw", 0),
)


@pytest.mark.parametrize(("words", "status"), CLOSED)
def test_output_that_goes_nowhere_because_it_is_closed_is_a_failure(
    words: str, status: int, files: Files, tmp_path: Path
) -> None:
    path = files.good("dynamic-plain")
    command, _, options = words.partition(" ")
    first, second = ("", options) if command in ("convert", "compare") else (options, "")
    line = f'"{sys.executable}" -m vhdx_kaitai {command} {first} "$0" {second} >&-'
    ended = subprocess.run(
        ["sh", "-c", line, path], check=False, capture_output=True, timeout=60, cwd=tmp_path
    )
    assert ended.returncode == status
    if status:
        assert_one_line(ended.stderr.decode())
        assert ended.stderr.startswith(b"vhdx-kaitai: standard output: ")
    else:
        assert ended.stderr == b""


def test_a_full_disk_is_no_difference(files: Files) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    path = files.good("dynamic-plain")
    with open("/dev/full", "wb") as full:
        ended = launch("compare", path, path, stdout=full)
    assert ended.returncode == 4
    assert_one_line(ended.stderr.decode())


# -- the name `-` --------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("read", "-o", "-"), ("convert", "-")])
def test_a_disk_is_written_to_standard_output(
    words: tuple[str, ...], files: Files, tmp_path: Path
) -> None:
    path = files.good("dirty-everything")
    command, *options = words
    if command == "convert":
        ended = launch(command, path, *options, cwd=tmp_path)
    else:
        ended = launch(command, *options, path, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    with vhdx_kaitai.open(path) as disk:
        assert ended.stdout == disk.pread(disk.size, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_be_called_a_dash_when_its_folder_is_named(tmp_path: Path) -> None:
    assert launch("ksy", "-o", "./-", cwd=tmp_path).stdout == b""
    assert launch("ksy", "-o", "-").stdout == (tmp_path / "-").read_bytes()


# -- things that are no files --------------------------------------------------------------------


@pytest.mark.parametrize("command", ["info", "check", "read", "log", "tree"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_called_so(kind: str, command: str, tmp_path: Path, run: Run) -> None:
    path = Path(os.devnull)
    if kind == "pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)
    outcome = run(command, path)
    assert outcome.status == 1
    assert outcome.err == f"vhdx-kaitai: {path}: not a regular file or block device\n"


def test_a_name_without_a_letter_can_be_seen(run: Run) -> None:
    assert run("info", "").err == "vhdx-kaitai: '': No such file or directory\n"


# -- options about parents -----------------------------------------------------------------------


@pytest.mark.parametrize("option", [("--parent", "x"), ("--search", "."), ("--follow-absolute",)])
@pytest.mark.parametrize("command", ["info", "check", "map", "read", "chain"])
def test_options_about_parents_need_parents(
    command: str, option: tuple[str, ...], files: Files, run: Run
) -> None:
    outcome = run(command, "--no-parent", *option, files.good("dynamic-plain"))
    assert (outcome.status, outcome.out) == (64, "")
    assert option[0] in outcome.err
    assert "--no-parent" in outcome.err


# -- help ----------------------------------------------------------------------------------------


def statuses_in(text: str) -> set[int]:
    """Return the numbers of exit statuses that a help text explains."""
    return {
        int(word)
        for word in re.findall(r"(?:^|\s)(\d+)(?= [a-z])", text.partition("exit status")[2])
    }


ALL_STATUSES = {0, 1, 2, 63, 64, 130, 141}


@pytest.mark.parametrize("command", ["", *main.COMMANDS])
def test_help_tells_every_exit_status(command: str) -> None:
    ended = launch(*command.split(), "--help", env={"COLUMNS": "80"})
    text = ended.stdout.decode()
    more = {"": {3, 4}, "check": {3}, "compare": {4}}.get(command, set())
    assert statuses_in(text) == ALL_STATUSES | more
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-"])
def test_closed_streams_are_no_reason_for_a_traceback(redirection: str, files: Files) -> None:
    path = files.good("dynamic-plain")
    command = f'"{sys.executable}" -m vhdx_kaitai info "{path}" {redirection}'
    ended = subprocess.run(["sh", "-c", command], check=False, capture_output=True, timeout=60)
    assert b"Traceback" not in ended.stderr
    assert ended.returncode in (0, 1)


# -- nothing is written, and nothing else is printed ---------------------------------------------

EVERY_COMMAND = (
    ["info"],
    ["info", "--json", "--allocation"],
    ["log"],
    ["log", "--json"],
    ["tree", "--depth", "3"],
    ["tree", "--json"],
    ["check"],
    ["map"],
    ["chain"],
)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("name", REAL_IMAGES)
def test_no_command_changes_a_byte_of_a_real_image(
    name: str, samples: Callable[[str], Path], run: Run
) -> None:
    path = samples(name)
    before, status = digest(path), path.stat()
    for command in EVERY_COMMAND:
        assert run(*command, path).status == 0
    assert digest(path) == before
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert sorted(path.parent.glob(f"{path.name}*")) == [path]


@pytest.mark.parametrize(
    "name", ["dirty-everything", "differencing-plain", "log-extends-the-file", "dirty-payload"]
)
def test_no_command_changes_a_byte_of_an_image(name: str, files: Files, run: Run) -> None:
    path = files.good(name)
    before = digest(path)
    for command in EVERY_COMMAND:
        alone = ["--no-parent"] if command[0] in ("map", "chain") else []
        assert run(*command, *alone, path).status == 0
    assert digest(path) == before


def test_no_command_changes_a_byte_of_what_it_refuses(files: Files, run: Run) -> None:
    path = files.damaged("log-checksum-wrong")
    before = digest(path)
    for command in EVERY_COMMAND:
        assert run(*command, path).status in (0, 2)
    assert digest(path) == before


# -- start-up ------------------------------------------------------------------------------------

HEAVY = ("numpy", "rich", "kaitaistruct", "vhdx_kaitai.generated.vhdx")


def imported(*arguments: object, cwd: Path, modules: Iterable[str] = HEAVY) -> set[str]:
    """Return which of some modules a command has imported."""
    script = (
        "import sys, vhdx_kaitai.commands.main\n"
        "try: status = vhdx_kaitai.commands.main.main(sys.argv[1:])\n"
        "except SystemExit as end: status = end.code or 0\n"
        f"sys.stderr.write(repr([name for name in {[*modules]!r} if name in sys.modules]))\n"
        "sys.exit(status)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
    )
    assert ended.stdout
    names: set[str] = set(eval(ended.stderr))
    return names


GRAMMAR = {"kaitaistruct", "vhdx_kaitai.generated.vhdx"}


MODULES = {f"vhdx_kaitai.commands.{name}": name for name in main.COMMANDS}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_help_imports_nothing_that_takes_time(option: str, tmp_path: Path) -> None:
    assert imported(option, cwd=tmp_path, modules=(*HEAVY, *MODULES)) == set()


@pytest.mark.parametrize("command", main.COMMANDS)
def test_help_of_a_command_loads_that_one_alone(command: str, tmp_path: Path) -> None:
    names = imported(command, "--help", cwd=tmp_path, modules=(*HEAVY, *MODULES)) - GRAMMAR
    needed = {command, "read"} if command == "convert" else {command}  # which reads all of a disk
    assert {MODULES.get(name, name) for name in names} == needed


@pytest.mark.parametrize("options", [[], ["--json"], ["--allocation"]])
def test_info_imports_neither_numpy_nor_rich(
    options: list[str], files: Files, tmp_path: Path
) -> None:
    names = imported("info", *options, files.good("dynamic-plain"), cwd=tmp_path)
    assert names == GRAMMAR


def test_the_version_is_that_of_the_package(run: Run) -> None:
    outcome = run("--version")
    assert outcome.status == 0
    assert outcome.out.split()[-1] == vhdx_kaitai.__version__


# -- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_any_encoding_gets_all_of_the_text(
    encoding: str, tmp_path: Path, files: Files
) -> None:
    path = tmp_path / "größe 測試.vhdx"
    path.symlink_to(files.good("creator-broken"))
    ended = launch("info", path, env={"PYTHONIOENCODING": encoding})
    assert (ended.returncode, ended.stderr) == (0, b"")
    text = ended.stdout.decode(encoding)
    assert text.isascii() == (encoding == "ascii")
    assert r"\ud83dA" in text


def test_a_refusal_is_told_in_ascii_too(tmp_path: Path) -> None:
    path = tmp_path / "測試.vhdx"
    path.write_bytes(b"no")
    ended = launch("info", path, env={"PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 63
    assert_one_line(ended.stderr.decode("ascii"))


def test_a_name_that_is_no_text_can_be_opened_and_told(tmp_path: Path, files: Files) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe.vhdx"
    os.symlink(os.fsencode(files.good("dynamic-plain")), path)
    for options in ([], ["--json"]):
        ended = subprocess.run(
            [*VHDX_KAITAI, "info", *options, path], check=False, capture_output=True, timeout=60
        )
        assert (ended.returncode, ended.stderr) == (0, b"")
        if options:
            said = json.loads(ended.stdout)["path"]
            assert said == f"{tmp_path}/" + r"\udcff\udcfe.vhdx"  # no surrogates, their numbers
        else:
            assert rb"\udcff\udcfe.vhdx" in ended.stdout


@pytest.mark.parametrize(
    ("choice", "no_color", "is_terminal", "is_colored"),
    [
        ("auto", "", False, False),
        ("auto", "", True, True),
        ("auto", "1", True, False),
        ("never", "", True, False),
        ("always", "1", False, True),
    ],
)
def test_colour_is_for_terminals_whose_owner_has_nothing_against_it(
    choice: str,
    no_color: str,
    is_terminal: bool,
    is_colored: bool,
    files: Files,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    outcome = run("info", "--color", choice, files.good("dirty-bat"))
    assert outcome.status == 0
    assert ("\x1b[" in outcome.out) == is_colored
    plain = re.sub(r"\x1b\[\d*m", "", outcome.out)
    assert plain == run("info", "--color", "never", files.good("dirty-bat")).out


@pytest.mark.parametrize("status", [0, 2, 63])
def test_a_process_ends_with_the_status_of_the_command(status: int, files: Files) -> None:
    paths = {
        0: files.good("dynamic-plain"),
        2: files.damaged(CORRUPT),
        63: files.damaged("identifier-signature-wrong"),
    }
    ended = launch("info", paths[status])
    assert ended.returncode == status
    assert bool(ended.stdout) == (status == 0)
    assert ended.stderr.count(b"\n") == (0 if status == 0 else 1)


def test_the_script_is_the_module() -> None:
    script = Path(sys.executable).with_name("vhdx-kaitai")
    if not script.exists():
        pytest.skip("the package is not installed with its script")
    ended = subprocess.run([script, "--version"], check=True, capture_output=True, timeout=60)
    assert ended.stdout == launch("--version").stdout


# -- help ----------------------------------------------------------------------------------------


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the parsers of all commands by name."""
    for action in main.build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def test_every_command_and_option_says_what_it_is_for() -> None:
    listed = main.build_parser().format_help()
    for name, parser in parsers():
        assert parser.description, name
        assert f"\n    {name} " in listed
        for action in parser._actions:
            assert action.help, f"{name} {action.dest}"


def test_the_commands_are_there() -> None:
    assert {name for name, _ in parsers()} >= {"info", "log", "tree", "ksy"}


@pytest.mark.parametrize("name", [name for name, _ in parsers()])
def test_help_of_a_command_fits_a_terminal(name: str, run: Run) -> None:
    outcome = run(name, "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: vhdx-kaitai {name}")
    assert max(map(len, outcome.out.splitlines())) <= 100


def test_help_lists_every_exit_status(run: Run) -> None:
    text = run("--help").out
    for status in (0, 1, 2, 63, 64, 130, 141):
        assert f"{status} " in text
