"""Asks the parsers of all languages for the values of the vectors, and compares.

Needs Python and the programs of the languages it asks; reads no image itself. Copied elsewhere, it
runs as `python -m FOLDER` beside its folder, with `--ksy` for the grammar.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .comparing import (
    DEVIATIONS,
    VECTORS,
    Answer,
    Deviations,
    Mismatch,
    Value,
    Vector,
    agrees,
    compare,
    deviations,
    grouped,
    judge,
    plain_bytes,
    record,
    short,
    vectors,
)
from .running import KSY, ROOT, KitError, Runner, languages

__all__ = [
    "DEVIATIONS",
    "KSY",
    "ROOT",
    "VECTORS",
    "Answer",
    "Deviations",
    "KitError",
    "Mismatch",
    "Result",
    "Runner",
    "Value",
    "Vector",
    "agrees",
    "as_known",
    "compare",
    "deviations",
    "grouped",
    "judge",
    "languages",
    "main",
    "page",
    "plain_bytes",
    "record",
    "result",
    "vectors",
]


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


def result(language: str, asked: Sequence[Vector], ksy: Path = KSY) -> Result:
    """Ask a language for all values and judge what it says."""
    runner = Runner(language, ksy)
    if runner.missing:
        return Result(language, reason=f"not installed: {', '.join(runner.missing)}")
    runner.prepare()
    mismatches = runner.check(asked)
    unknown, gone = judge(mismatches, deviations(language), asked)
    return Result(language, None, tuple(mismatches), tuple(unknown), tuple(gone))


def as_known(language: str) -> Result:
    """Return how a language does while nothing of it is wrong but what is known."""
    known = [one for values in deviations(language).values() for one in values]
    mismatches = (Mismatch(name, Value(path, "", ""), answer) for name, path, answer in known)
    return Result(language, mismatches=tuple(mismatches))


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
deviations that the language has by no fault of the grammar. Languages whose runtime is in no
registry are asked where `KAITAI_RUNTIMES` names it; elsewhere, this page says of them what is
known."""


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


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("languages", metavar="LANGUAGE", nargs="*", help="runners to ask; else all")
    parser.add_argument("--vector", metavar="NAME", action="append", help="ask for this one only")
    parser.add_argument("--fields", action="store_true", help="ask for fields of the format only")
    parser.add_argument("--all", action="store_true", help="show every difference, ungrouped")
    parser.add_argument("--ksy", metavar="FILE", type=Path, default=KSY, help="the grammar")
    parser.add_argument(
        "--record",
        metavar=("REGEX", "REASON"),
        nargs=2,
        action="append",
        help="enter differences whose line has REGEX as known deviations; may be repeated",
    )
    parser.add_argument("--save", metavar="FILE", type=Path, help="write the table as Markdown")
    return parser.parse_args(arguments)


def _asked(options: argparse.Namespace) -> tuple[Vector, ...]:
    wanted = options.vector
    asked = tuple(vector for vector in vectors() if wanted is None or vector.name in wanted)
    return tuple(vector.of_fields() for vector in asked) if options.fields else asked


def _unheard(options: argparse.Namespace) -> str | None:
    """Return what was asked for that is not there."""
    unheard = sorted(set(options.languages) - set(languages()))
    if unheard:
        return f"no runner for {', '.join(unheard)}; there are {', '.join(languages())}"
    missing = set(options.vector or ()) - {vector.name for vector in vectors()}
    return f"no vector {', '.join(sorted(missing))}" if missing else None


def _report(one: Result, asked: Sequence[Vector], every: bool, show: Callable[[str], None]) -> None:
    if one.reason:
        show(f"{one.language}: skipped, {one.reason}")
        return
    values = sum(len(vector.values) for vector in asked)
    known = len(one.mismatches) - len(one.unknown)
    show(f"{one.language}: {values} values, {known} known deviations, {len(one.unknown)} wrong")
    lines = list(map(str, one.unknown)) if every else list(grouped(one.unknown))
    lines += [f"{name}: {path}: no longer {short(answer)}" for name, path, answer in one.gone]
    for line in lines if every else lines[:20]:
        show(f"  {line}")
    if not every and len(lines) > 20:
        show(f"  ... {len(lines) - 20} more lines, with --all")


def main(arguments: Sequence[str], show: Callable[[str], None] = print) -> int:
    """Ask the languages named, or all; return 0 when all is as expected or known."""
    options = _options(arguments)
    unheard = _unheard(options)
    if unheard:
        show(unheard)
        return 2
    asked = _asked(options)
    results = [result(name, asked, options.ksy) for name in options.languages or languages()]
    for one in results if options.record else ():
        left = record(one.language, one.unknown, one.gone, options.record)
        show(f"{one.language}: {len(left)} differences have no reason")
    show(table(results, asked))
    skipped = [one.language for one in results if one.reason]
    needed = [name for name in skipped if not Runner(name).is_optional]
    if options.save and needed:
        show(f"{options.save} stays as it is: {', '.join(needed)} skipped")
    elif options.save:
        shown = [as_known(one.language) if one.reason else one for one in results]
        options.save.write_text(page(shown, asked), encoding="utf-8", newline="\n")
    for one in results:
        _report(one, asked, options.all, show)
    is_complete = not (os.environ.get("CI") and needed)
    return 0 if is_complete and all(one.is_good for one in results) else 1
