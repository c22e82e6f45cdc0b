"""The conformance kit as a stranger uses it: runners that misbehave, reasons, copies elsewhere."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance import comparing, kit, running
from tests.conformance.kit import Answer, Mismatch, Value

VALUES = (Value("a", "int", "1", "field"), Value("b", "int", "2"))

SAYS = """
import sys
for line in open(sys.argv[1], encoding="utf-8"):
    kind, path = line.rstrip("\\n").split("\\t")
    if kind == "open":
        print("opened\\t", flush=True)
        name = path
"""

Make = Callable[..., kit.Runner]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a runner of a few lines of Python, for which nothing is compiled."""
    monkeypatch.setattr(running, "RUNNERS", tmp_path / "runners")
    monkeypatch.setenv("KSC", f"{shlex.quote(sys.executable)} -c pass")

    def runner(program: str, **settings: object) -> kit.Runner:
        folder = tmp_path / "runners" / "some"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "runner.py").write_text(SAYS + program, encoding="utf-8")
        said = {
            "tools": [],
            "compile": [],
            "build": [],
            "run": ["{python}", "runner.py"],
        } | settings
        (folder / "runner.json").write_text(json.dumps(said), encoding="utf-8")
        made = kit.Runner("some", build=tmp_path / "build")
        made.prepare()
        return made

    return runner


def files(tmp_path: Path) -> list[tuple[Path, tuple[Value, ...]]]:
    return [(tmp_path / name, VALUES) for name in ("one", "two", "three")]


GOOD = [Answer("int", "1"), Answer("int", "2")]
ANSWER = '    elif path == "a": print("int\\t1")\n    else: print("int\\t2")\n'


# -- programs that misbehave ----------------------------------------------------------------------


def test_a_program_that_answers_is_asked_once(make: Make, tmp_path: Path) -> None:
    assert make(ANSWER).ask_files(files(tmp_path)) == [GOOD] * 3


def test_a_program_that_dies_is_wrong_about_the_file_it_was_reading(
    make: Make, tmp_path: Path
) -> None:
    dies = '    elif path == "b" and name.endswith("two"): sys.exit("out of\\n memory")\n'
    one, two, three = make(dies + ANSWER).ask_files(files(tmp_path))
    assert one == three == GOOD
    assert two == [GOOD[0], Answer("nothing", "status 1: out of memory")]


def test_a_program_that_says_nothing_for_long_is_stopped(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "TIME_LIMIT", 1.0)
    hangs = '    elif name.endswith("two"): import time; time.sleep(600)\n'
    one, two, three = make(hangs + ANSWER).ask_files(files(tmp_path))
    assert one == three == GOOD
    assert two == [Answer("nothing", "nothing was said for 1 seconds")]


def test_a_program_that_leaves_out_an_answer_is_said_to(make: Make, tmp_path: Path) -> None:
    (answers,) = make('    elif path == "a": print("int\\t1")\n').ask_files(files(tmp_path)[:1])
    assert answers == [GOOD[0], Answer("nothing", "it ended early")]


def test_a_program_that_never_opens_a_file_does_not_keep_the_kit(
    make: Make, tmp_path: Path
) -> None:
    runner = make(ANSWER, run=["{python}", "-c", "raise SystemExit('no')"])
    for answers in runner.ask_files(files(tmp_path)):
        assert answers[-1] == Answer("nothing", "status 1: no")


def test_what_is_not_utf_8_is_an_answer_like_others(make: Make, tmp_path: Path) -> None:
    noise = '    else: sys.stdout.flush(); sys.stdout.buffer.write(b"str\\t\\xff\\n")\n'
    (answers,) = make(noise).ask_files(files(tmp_path)[:1])
    assert answers == [Answer("str", "\\xff")] * 2
    assert not kit.agrees(Value("a", "str", "x"), answers[0])


def test_commands_are_quoted_as_for_a_shell(make: Make) -> None:
    with pytest.raises(kit.KitError, match="a blank"):
        make(ANSWER, build=["{python} -c 'raise SystemExit(\"a blank\")'"])


# -- runtimes -------------------------------------------------------------------------------------


def test_a_runtime_is_a_folder_that_the_user_names(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAITAI_RUNTIMES", raising=False)
    runner = make(ANSWER, runtime="kaitai_struct_some_runtime")
    assert runner.missing == ["kaitai_struct_some_runtime in KAITAI_RUNTIMES"]
    place = tmp_path / "all runtimes" / "kaitai_struct_some_runtime"
    place.mkdir(parents=True)
    monkeypatch.setenv("KAITAI_RUNTIMES", os.pathsep.join(["/nowhere", str(place.parent)]))
    assert (runner.missing, runner.runtime) == ([], place)
    told = '    else: print("str\\t" + sys.argv[2])\n'
    command = ["{python}", "runner.py"]
    runner = make(told, runtime=place.name, run=command)
    assert "{runtime}" not in str(runner.settings["run"])


def test_only_languages_without_a_runtime_in_a_registry_may_be_missing() -> None:
    optional = {name for name in kit.languages() if kit.Runner(name).is_optional}
    assert optional == {"cpp", "csharp", "lua", "nim", "php", "ruby"}


# -- what is shown and recorded -------------------------------------------------------------------


def mismatch(path: str, got: str = "3", vector: str = "v") -> Mismatch:
    return Mismatch(vector, Value(path, "int", "1"), Answer("int", got))


def test_differences_that_are_alike_are_one_line() -> None:
    many = [mismatch(f"bat.chunks[{n}].header_{n}", vector=f"v{n}") for n in range(9)]
    lines = list(kit.grouped([mismatch("log"), *many]))
    assert lines[0].startswith("9 of bat.chunks[].header_N in 9 vectors, such as v0: bat.chunks[0]")
    assert lines[1] == "v: log: expected int 1, got int 3"


def test_a_record_has_several_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "DEVIATIONS", tmp_path)
    unknown = [mismatch("a"), mismatch("b", "-1"), mismatch("c", "x")]
    reasons = [(r": a:", "The first."), (r"got int -\d", "A sign.")]
    assert kit.record("some", unknown, (), reasons) == [unknown[2]]
    assert kit.deviations("some") == {
        "The first.": [("v", "a", Answer("int", "3"))],
        "A sign.": [("v", "b", Answer("int", "-1"))],
    }
    assert kit.record("some", (), [("v", "a", Answer("int", "3"))], ()) == []
    assert list(kit.deviations("some")) == ["A sign."]


def test_fields_are_what_any_parser_has() -> None:
    roles = {value.path: value.role for vector in kit.vectors() for value in vector.values}
    assert set(roles.values()) == {"field", "helper"}
    fields = {path for path, role in roles.items() if role == "field"}
    assert fields >= {
        "header_1.sequence_number",
        "metadata.items[0].data.block_size",
        "bat.chunks[0].payload_blocks[0].entry.file_offset_mb",
        "log.slots[0].entry.descriptors[0].file_offset",
    }
    for path in ("bat.num_chunks", "log.header.log_guid.raw", "metadata.region.length"):
        assert roles[path] == "helper"
    vector = kit.vectors()[0].of_fields()
    assert {value.role for value in vector.values} == {"field"}


def test_one_vector_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ...]] = []

    def result(language: str, asked: tuple[kit.Vector, ...], _: Path) -> kit.Result:
        seen.append(tuple(vector.name for vector in asked))
        return kit.Result(language)

    monkeypatch.setattr(kit, "result", result)
    shown: list[str] = []
    assert kit.main(["python", "--vector", "cut-at-0"], shown.append) == 0
    assert seen == [("cut-at-0",)]
    assert kit.main(["python", "--vector", "nowhere"], shown.append) == 2
    assert shown[-1] == "no vector nowhere"


# -- elsewhere ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_copy_of_the_kit_runs_wherever_it_is(tmp_path: Path) -> None:
    runner = kit.Runner("python")
    if runner.missing and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(runner.missing)}")
    unwanted = shutil.ignore_patterns("makers", "expect", "make.py", "__pycache__")
    shutil.copytree(Path(kit.__file__).parent, tmp_path / "vhdx_kit", ignore=unwanted)
    names = ["--vector", "dynamic-512", "--vector", "cut-in-the-bat"]
    command = [sys.executable, "-m", "vhdx_kit", "python", "--ksy", str(kit.KSY), *names]
    environment = os.environ | {"KSC": shlex.join(running.compiler())}
    environment.pop("PYTHONSAFEPATH", None)  # which keeps Python from the folder that it is in
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "python: " in done.stdout
