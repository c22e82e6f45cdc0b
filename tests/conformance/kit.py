"""Asks the parsers of all languages for the values of the vectors, and compares.

Needs Python and the programs of the languages it asks; reads no image itself. A runner
is a folder in `runners/`; its `runner.json` says how to build and start it, the README how to talk
to it.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

KIT = Path(__file__).parent
VECTORS = KIT / "vectors"
RUNNERS = KIT / "runners"
DEVIATIONS = KIT / "deviations"
ROOT = KIT.parent.parent
KSY = ROOT / "vhdx.ksy"
BUILD = ROOT / "build" / "conformance"


class Value(NamedTuple):
    """One value: where it is, of which kind it is, and what it is, as the README says."""

    path: str
    kind: str
    value: str


class Answer(NamedTuple):
    """What a runner said of one value."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class Mismatch(NamedTuple):
    """A value that came out otherwise."""

    vector: str
    expected: Value
    answer: Answer

    def __str__(self) -> str:
        path, kind, value = self.expected
        return f"{self.vector}: {path}: expected {kind} {_short(value)}, got {_short(self.answer)}"


class KitError(Exception):
    """Compiling, building or starting a runner failed."""


@dataclass(frozen=True)
class Vector:
    """An image with what a parser has to say of it."""

    name: str
    description: str
    size: int
    values: tuple[Value, ...]

    @classmethod
    def load(cls, path: Path) -> Vector:
        """Read the expected values of a vector."""
        document = json.loads(path.read_text(encoding="utf-8"))
        values = tuple(Value(*value) for value in document["values"])
        return cls(path.stem, document["description"], document["size"], values)

    def image(self) -> bytes:
        """Return the image."""
        return gzip.decompress(self.packed.read_bytes())

    @property
    def packed(self) -> Path:
        """Where the image is."""
        return VECTORS / f"{self.name}.vhdx.gz"

    def unpacked(self) -> Path:
        """Return the image as a file of its own, written unless it is there."""
        path = BUILD / "images" / f"{self.name}.vhdx"
        if not path.exists() or path.stat().st_mtime_ns < self.packed.stat().st_mtime_ns:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.image())
        return path


@cache
def vectors() -> tuple[Vector, ...]:
    """Return all vectors by name."""
    return tuple(Vector.load(path) for path in sorted(VECTORS.glob("*.json")))


# -- comparing ------------------------------------------------------------------------------------


def plain_bytes(value: str) -> str:
    """Return bytes as hexadecimal digits, without the short form for runs."""
    words = []
    for word in value.split():
        digits, _, count = word.partition("*")
        words.append(digits * int(count or 1))
    return "".join(words)


def agrees(expected: Value, answer: Answer) -> bool:
    """Whether an answer is the expected one."""
    if expected.kind == "error":
        return answer.kind == "error"
    if expected.kind == "broken_text":
        return answer.kind == "error" or agrees(expected._replace(kind="str"), answer)
    if answer.kind != expected.kind:
        return False
    if expected.kind == "bytes":
        return answer.value == plain_bytes(expected.value)
    if expected.kind == "str":
        return bool(json.loads(answer.value) == expected.value)
    return expected.kind == "absent" or answer.value == expected.value


def json_text(value: object) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def compare(vector: Vector, answers: Sequence[Answer]) -> Iterator[Mismatch]:
    """Yield what came out otherwise; what was not answered did."""
    for number, value in enumerate(vector.values):
        answer = answers[number] if number < len(answers) else Answer("nothing", "no answer")
        if not agrees(value, answer):
            yield Mismatch(vector.name, value, answer)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)} characters)"


# -- deviations -----------------------------------------------------------------------------------


# What a language gets wrong by no fault of the grammar: by reason, the answers it gives instead.
Deviations = dict[str, list[tuple[str, str, Answer]]]


def deviations(language: str) -> Deviations:
    """Read the known deviations of a language; one without a file has none."""
    path = DEVIATIONS / f"{language}.json"
    groups = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {
        reason: [(vector, place, Answer(kind, value)) for vector, place, kind, value in values]
        for reason, values in groups.items()
    }


def judge(
    mismatches: Iterable[Mismatch], known: Deviations, asked: Iterable[Vector]
) -> tuple[list[Mismatch], list[tuple[str, str, Answer]]]:
    """Return the mismatches nobody knows of, and the known ones that did not happen."""
    names = {vector.name for vector in asked}
    waiting = [one for values in known.values() for one in values if one[0] in names]
    gone = dict.fromkeys(waiting)
    unknown = []
    for mismatch in mismatches:
        key = mismatch.vector, mismatch.expected.path, mismatch.answer
        if key in gone:
            del gone[key]
        else:
            unknown.append(mismatch)
    return unknown, list(gone)


def record(result: Result, reason: str) -> None:
    """Enter what is not known of a language under a reason, and take out what is gone."""
    known = deviations(result.language)
    for values in known.values():
        values[:] = [value for value in values if value not in result.gone]
    new = [(one.vector, one.expected.path, one.answer) for one in result.unknown]
    known.setdefault(reason, []).extend(new)
    groups = []
    for name, values in known.items():
        lines = [f"    {json_text([*value[:2], *value[2]])}" for value in sorted(values)]
        if lines:
            groups.append(f"  {json_text(name)}: [\n" + ",\n".join(lines) + "\n  ]")
    path = DEVIATIONS / f"{result.language}.json"
    if groups:
        path.write_text("{\n" + ",\n".join(groups) + "\n}\n", encoding="utf-8", newline="\n")
    else:
        path.unlink(missing_ok=True)


# -- runners --------------------------------------------------------------------------------------


def compiler() -> list[str]:
    """Return the command of the Kaitai Struct compiler: KSC, the project's own, or the PATH's."""
    if "KSC" in os.environ:
        return os.environ["KSC"].split()
    jars = ROOT / "build" / "compiler"
    if any(jars.glob("*.jar")):
        options = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        return ["java", *options, "-cp", f"{jars}/*", "io.kaitai.struct.JavaMain"]
    return ["kaitai-struct-compiler"]


def _call(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # The first makes Java print a line, the other keeps Python from what lies beside a runner.
    unwanted = ("JAVA_TOOL_OPTIONS", "PYTHONSAFEPATH")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )


def _run(command: Sequence[str], folder: Path) -> str:
    done = _call(command, folder)
    if done.returncode:
        raise KitError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


@dataclass(frozen=True)
class Runner:
    """A program that reads images with the parser of one language; `ksy` is the grammar to try."""

    language: str
    ksy: Path = KSY
    build: Path = BUILD

    @cached_property
    def settings(self) -> dict[str, list[str]]:
        """What its `runner.json` says."""
        text = (RUNNERS / self.language / "runner.json").read_text(encoding="utf-8")
        settings: dict[str, list[str]] = json.loads(text)
        return settings

    @property
    def folder(self) -> Path:
        """Where it is built."""
        return self.build / self.language

    @property
    def missing(self) -> list[str]:
        """The programs that it takes and that are not installed."""
        needed = [compiler()[0], *self.settings["tools"]]
        return [tool for tool in needed if shutil.which(tool) is None]

    def _command(self, words: Iterable[str]) -> list[str]:
        places = {"python": sys.executable, "ksy": str(self.ksy)}
        return [word.format_map(places) for word in words]

    def prepare(self) -> None:
        """Compile the grammar and build the program, unless both were built from the same."""
        source = RUNNERS / self.language
        inputs = [self.ksy, *(path for path in sorted(source.rglob("*")) if path.is_file())]
        state = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()
        stamp = self.folder / ".built"
        if stamp.exists() and stamp.read_text() == state:
            return
        stamp.unlink(missing_ok=True)
        shutil.copytree(source, self.folder, dirs_exist_ok=True)
        _run([*compiler(), *self.settings["compile"], str(self.ksy)], self.folder)
        for command in self.settings["build"]:
            _run(self._command(command.split()), self.folder)
        stamp.write_text(state)

    def ask(self, asked: Sequence[Vector]) -> dict[str, list[Answer]]:
        """Return the answers for every vector."""
        answers = self.ask_files([(vector.unpacked(), vector.values) for vector in asked])
        return {vector.name: one for vector, one in zip(asked, answers, strict=True)}

    def ask_files(self, requests: Sequence[tuple[Path, Sequence[Value]]]) -> list[list[Answer]]:
        """Return the answers for values of files; a program that stops leaves the rest out."""
        lines = []
        for path, values in requests:
            lines.append(f"open\t{path}\n")
            lines += [f"{value.kind}\t{value.path}\n" for value in values]
        (self.folder / "requests.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
        command = [*self._command(self.settings["run"]), "requests.txt"]
        done = _call(command, self.folder)
        answers = [Answer(*line.split("\t", 1)) for line in done.stdout.split("\n") if "\t" in line]
        if done.returncode:
            answers.append(Answer("nothing", f"status {done.returncode}: {done.stderr[-1500:]}"))
        result = []
        for _, values in requests:
            result.append(answers[: len(values)])
            answers = answers[len(values) :]
        return result

    def check(self, asked: Sequence[Vector]) -> list[Mismatch]:
        """Return everything that came out otherwise than expected."""
        answers = self.ask(asked)
        return [mismatch for vector in asked for mismatch in compare(vector, answers[vector.name])]


def languages() -> list[str]:
    """Return the languages that there are runners for."""
    return sorted(path.parent.name for path in RUNNERS.glob("*/runner.json"))


# -- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """How a language did: `reason` says why it was not asked."""

    language: str
    reason: str | None = None
    mismatches: tuple[Mismatch, ...] = ()
    unknown: tuple[Mismatch, ...] = ()
    gone: tuple[tuple[str, str, Answer], ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether there is nothing that is not known."""
        return not self.unknown and not self.gone

    def cell(self, vector: str) -> str:
        """Return what the table says of a vector."""
        if self.reason:
            return "-"
        unknown = sum(mismatch.vector == vector for mismatch in self.unknown)
        gone = sum(one[0] == vector for one in self.gone)
        known = sum(mismatch.vector == vector for mismatch in self.mismatches) - unknown
        if unknown or gone:
            return f"{unknown + gone} wrong"
        return f"{known} known" if known else "ok"


def result(language: str, asked: Sequence[Vector]) -> Result:
    """Ask a language for all values and judge what it says."""
    runner = Runner(language)
    if runner.missing:
        return Result(language, reason=f"not installed: {', '.join(runner.missing)}")
    runner.prepare()
    mismatches = runner.check(asked)
    unknown, gone = judge(mismatches, deviations(language), asked)
    return Result(language, None, tuple(mismatches), tuple(unknown), tuple(gone))


def table(results: Sequence[Result], asked: Sequence[Vector]) -> str:
    """Return languages against vectors as a Markdown table."""
    rows = [["vector", "values", *(result.language for result in results)]]
    for vector in asked:
        cells = [result.cell(vector.name) for result in results]
        rows.append([vector.name, str(len(vector.values)), *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join(lines)


INTRODUCTION = """\
Made by `make docs`; vectors, expected values and runners are in `tests/conformance/`. `3 known` are
deviations that the language has by no fault of the grammar."""


def page(results: Sequence[Result], asked: Sequence[Vector]) -> str:
    """Return the table with the deviations that it counts as a page of Markdown."""
    parts = [
        "# Conformance: what the parsers of all languages say of the vectors",
        INTRODUCTION,
        table(results, asked),
    ]
    for one in results:
        for reason, values in deviations(one.language).items():
            parts.append(f"**{one.language}**, {len(values)} values: {reason}")
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str], show: Callable[[str], None] = print) -> int:
    """Ask the languages named, or all; return 0 when all is as expected or known."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("languages", metavar="LANGUAGE", nargs="*", help="runners to ask; else all")
    parser.add_argument(
        "--record", metavar="REASON", help="enter what came out otherwise as known deviations"
    )
    parser.add_argument("--save", metavar="FILE", type=Path, help="write the table as Markdown")
    options = parser.parse_args(arguments)
    unheard = sorted(set(options.languages) - set(languages()))
    if unheard:
        show(f"no runner for {', '.join(unheard)}; there are {', '.join(languages())}")
        return 2
    asked = vectors()
    results = [result(language, asked) for language in options.languages or languages()]
    if options.record:
        for one in results:
            record(one, options.record)
    show(table(results, asked))
    skipped = [one.language for one in results if one.reason]
    if options.save and skipped:
        show(f"{options.save} stays as it is: {', '.join(skipped)} skipped")
    elif options.save:
        options.save.write_text(page(results, asked), encoding="utf-8", newline="\n")
    for one in results:
        if one.reason:
            show(f"{one.language}: skipped, {one.reason}")
            continue
        values = sum(len(vector.values) for vector in asked)
        known = len(one.mismatches) - len(one.unknown)
        show(f"{one.language}: {values} values, {known} known deviations, {len(one.unknown)} wrong")
        for mismatch in one.unknown[:20]:
            show(f"  {mismatch}")
        for vector, path, answer in one.gone[:20]:
            show(f"  {vector}: {path}: no longer {_short(answer)}")
    is_complete = not (os.environ.get("CI") and skipped)
    return 0 if is_complete and all(one.is_good for one in results) else 1
