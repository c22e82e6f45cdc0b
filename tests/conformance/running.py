"""Builds the programs that read images with the parsers of languages, and asks them.

A runner is a folder in `runners/`; its `runner.json` says how to build and start it, the README how
to talk to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .comparing import KIT, Answer, Mismatch, Value, Vector, compare

RUNNERS = KIT / "runners"

# In the project, the grammar and what is built lie at its root; elsewhere, the kit has its own.
_PROJECT = KIT.parent.parent
ROOT = _PROJECT if (_PROJECT / "vhdx.ksy").exists() else KIT
KSY = ROOT / "vhdx.ksy"
BUILD = ROOT / "build" / "conformance"

TIME_LIMIT = 120.0  # seconds for one file; a good runner takes a fraction of one


class KitError(Exception):
    """Compiling, building or starting a runner failed."""


def compiler() -> list[str]:
    """Return the command of the Kaitai Struct compiler: KSC, the project's own, or the PATH's."""
    if "KSC" in os.environ:
        return shlex.split(os.environ["KSC"])
    jars = ROOT / "build" / "compiler"
    if any(jars.glob("*.jar")):
        options = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        return ["java", *options, "-cp", f"{jars}/*", "io.kaitai.struct.JavaMain"]
    return ["kaitai-struct-compiler"]


def _environment() -> dict[str, str]:
    # The first makes Java print a line, the other keeps Python from what lies beside a runner.
    unwanted = ("JAVA_TOOL_OPTIONS", "PYTHONSAFEPATH")
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).decode("utf-8", "backslashreplace")
        raise KitError(f"{shlex.join(command)}: {said}")


@dataclass(frozen=True)
class Runner:
    """A program that reads images with the parser of one language; `ksy` is the grammar to try."""

    language: str
    ksy: Path = KSY
    build: Path = BUILD

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What its `runner.json` says."""
        text = (RUNNERS / self.language / "runner.json").read_text(encoding="utf-8")
        settings: dict[str, Any] = json.loads(text)
        return settings

    @property
    def folder(self) -> Path:
        """Where it is built."""
        return self.build / self.language

    @property
    def runtime(self) -> Path | None:
        """The folder of the official runtime, where the user has named one that has it."""
        named = os.environ.get("KAITAI_RUNTIMES", "").split(os.pathsep)
        places = [Path(place).absolute() / self.settings["runtime"] for place in named if place]
        return next((place for place in places if place.is_dir()), None)

    @property
    def missing(self) -> list[str]:
        """What it takes and is not here: programs, a runtime, the grammar."""
        needed = [compiler()[0], *self.settings["tools"]]
        missing = [tool for tool in needed if shutil.which(tool) is None]
        if "runtime" in self.settings and self.runtime is None:
            missing.append(f"{self.settings['runtime']} in KAITAI_RUNTIMES")
        return missing if self.ksy.exists() else [*missing, str(self.ksy)]

    @property
    def is_optional(self) -> bool:
        """Whether it takes what no registry has."""
        return "runtime" in self.settings

    def _command(self, words: Iterable[str]) -> list[str]:
        places = {"python": sys.executable, "ksy": str(self.ksy)}
        if "runtime" in self.settings:
            places["runtime"] = str(self.runtime)
        return [word.format_map(places) for word in words]

    def prepare(self) -> None:
        """Compile the grammar and build the program, unless both were built from the same."""
        source = RUNNERS / self.language
        inputs = [self.ksy, *(path for path in sorted(source.rglob("*")) if path.is_file())]
        data = b"".join(path.read_bytes() for path in inputs)
        state = hashlib.sha256(data + str(self.is_optional and self.runtime).encode()).hexdigest()
        stamp = self.folder / ".built"
        if stamp.exists() and stamp.read_text() == state:
            return
        stamp.unlink(missing_ok=True)
        shutil.copytree(source, self.folder, dirs_exist_ok=True)
        _run([*compiler(), *self.settings["compile"], str(self.ksy)], self.folder)
        for command in self.settings["build"]:
            _run(self._command(shlex.split(command)), self.folder)
        stamp.write_text(state)

    def ask(self, asked: Sequence[Vector]) -> dict[str, list[Answer]]:
        """Return the answers for every vector."""
        folder = BUILD / "images"
        answers = self.ask_files([(vector.unpacked(folder), vector.values) for vector in asked])
        return {vector.name: one for vector, one in zip(asked, answers, strict=True)}

    def ask_files(self, requests: Sequence[tuple[Path, Sequence[Value]]]) -> list[list[Answer]]:
        """Return the answers for values of files.

        A program that stops, or says nothing for long, leaves out the rest of the file that it was
        reading; the files after that are asked for anew.
        """
        answers: list[list[Answer]] = []
        while len(answers) < len(requests):
            answers += self._ask(requests[len(answers) :])
        return answers

    def _ask(self, requests: Sequence[tuple[Path, Sequence[Value]]]) -> list[list[Answer]]:
        """Return the answers for files up to the one that the program got stuck in."""
        lines = []
        for path, values in requests:
            lines.append(f"open\t{path}\n")
            lines += [f"{value.kind}\t{value.path}\n" for value in values]
        (self.folder / "requests.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
        reason, said = self._say()
        files: list[list[Answer]] = []
        for line in said.split("\n"):
            kind, tab, value = line.partition("\t")
            if kind == "opened":
                files.append([])
            elif tab and files:
                files[-1].append(Answer(kind, value))
        if reason is None and (len(files) < len(requests) or len(files[-1]) < len(requests[-1][1])):
            reason = "it ended early"
        files = files[: len(requests)] or [[]]
        if reason is not None:
            files[-1].append(Answer("nothing", reason))
        return files

    def _say(self) -> tuple[str | None, str]:
        """Run the program; return why it did not end well, and what it has said until then."""
        command = [*self._command(self.settings["run"]), "requests.txt"]
        answers, errors = self.folder / "answers.txt", self.folder / "errors.txt"
        reason: str | None = None
        with answers.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                command, cwd=self.folder, env=_environment(), stdout=out, stderr=err
            )
            try:
                status = self._wait(process, answers)
            except subprocess.TimeoutExpired:
                reason = f"nothing was said for {TIME_LIMIT:g} seconds"
            finally:
                process.kill()
                process.wait()
        if reason is None and status:
            tail = errors.read_bytes()[-1500:].decode("utf-8", "backslashreplace")
            reason = " ".join(f"status {status}: {tail}".split())
        return reason, answers.read_bytes().decode("utf-8", "backslashreplace")

    @staticmethod
    def _wait(process: subprocess.Popen[bytes], answers: Path) -> int:
        """Return the status of a program that says something from time to time."""
        size = -1
        while True:
            try:
                return process.wait(TIME_LIMIT)
            except subprocess.TimeoutExpired:
                if answers.stat().st_size == size:
                    raise
                size = answers.stat().st_size

    def check(self, asked: Sequence[Vector]) -> list[Mismatch]:
        """Return everything that came out otherwise than expected."""
        answers = self.ask(asked)
        return [mismatch for vector in asked for mismatch in compare(vector, answers[vector.name])]


def languages() -> list[str]:
    """Return the languages that there are runners for."""
    return sorted(path.parent.name for path in RUNNERS.glob("*/runner.json"))
