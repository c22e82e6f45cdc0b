"""Vectors, what is said of their values, and what differs."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

KIT = Path(__file__).parent
VECTORS = KIT / "vectors"
DEVIATIONS = KIT / "deviations"


class Value(NamedTuple):
    """One value: where it is, of which kind it is, and what it is, as the README says."""

    path: str
    kind: str
    value: str
    role: str = "helper"


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
        path, kind, value, _ = self.expected
        return f"{self.vector}: {path}: expected {kind} {short(value)}, got {short(self.answer)}"


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

    def of_fields(self) -> Vector:
        """Return the vector with those values that any parser of the format has."""
        return replace(self, values=tuple(v for v in self.values if v.role == "field"))

    def image(self) -> bytes:
        """Return the image."""
        return gzip.decompress(self.packed.read_bytes())

    @property
    def packed(self) -> Path:
        """Where the image is."""
        return VECTORS / f"{self.name}.vhdx.gz"

    def unpacked(self, folder: Path) -> Path:
        """Return the image as a file of its own in a folder, written unless it is there."""
        path = folder / f"{self.name}.vhdx"
        if not path.exists() or path.stat().st_mtime_ns < self.packed.stat().st_mtime_ns:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.image())
        return path


@cache
def vectors() -> tuple[Vector, ...]:
    """Return all vectors by name."""
    return tuple(Vector.load(path) for path in sorted(VECTORS.glob("*.json")))


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
        return _text(answer.value) == expected.value
    return expected.kind == "absent" or answer.value == expected.value


def _text(literal: str) -> object:
    try:
        return json.loads(literal)
    except ValueError:  # a runner may say anything
        return None


def json_text(value: object) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def short(value: object) -> str:
    """Return a value as a line has room for it."""
    text = str(value)
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)} characters)"


def compare(vector: Vector, answers: Sequence[Answer]) -> Iterator[Mismatch]:
    """Yield what came out otherwise; what was not answered did."""
    for number, value in enumerate(vector.values):
        answer = answers[number] if number < len(answers) else Answer("nothing", "no answer")
        if not agrees(value, answer):
            yield Mismatch(vector.name, value, answer)


def grouped(mismatches: Iterable[Mismatch]) -> Iterator[str]:
    """Yield a line for those that are alike: of one field, by the kinds of what was said."""
    groups: dict[tuple[str, str, str], list[Mismatch]] = {}
    for one in mismatches:
        field = re.sub(r"\d+", "N", re.sub(r"\[\d+\]", "[]", one.expected.path))
        groups.setdefault((field, one.expected.kind, one.answer.kind), []).append(one)
    for (field, _, _), alike in sorted(groups.items(), key=lambda group: -len(group[1])):
        names = {one.vector for one in alike}
        if len(alike) == 1:
            yield str(alike[0])
        else:
            yield f"{len(alike)} of {field} in {len(names)} vectors, such as {alike[0]}"


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
    places = {(vector.name, value.path) for vector in asked for value in vector.values}
    waiting = [one for values in known.values() for one in values if one[:2] in places]
    gone = dict.fromkeys(waiting)
    unknown = []
    for mismatch in mismatches:
        key = mismatch.vector, mismatch.expected.path, mismatch.answer
        if key in gone:
            del gone[key]
        else:
            unknown.append(mismatch)
    return unknown, list(gone)


def record(
    language: str,
    unknown: Iterable[Mismatch],
    gone: Sequence[tuple[str, str, Answer]],
    reasons: Sequence[tuple[str, str]],
) -> list[Mismatch]:
    """Enter what is not known of a language under reasons, and take out what is gone.

    Args:
        language: Whose deviations they are.
        unknown: What came out otherwise and is not known.
        gone: What is known and did not happen.
        reasons: Pairs of a regular expression and a reason; a mismatch goes under the first one
            whose expression is found in its line.

    Returns:
        Those that no expression was found in.
    """
    known = deviations(language)
    for values in known.values():
        values[:] = [value for value in values if value not in gone]
    left = []
    for one in unknown:
        reason = next((text for pattern, text in reasons if re.search(pattern, str(one))), None)
        if reason is None:
            left.append(one)
        else:
            known.setdefault(reason, []).append((one.vector, one.expected.path, one.answer))
    groups = []
    for name, values in known.items():
        lines = [f"    {json_text([*value[:2], *value[2]])}" for value in sorted(values)]
        if lines:
            groups.append(f"  {json_text(name)}: [\n" + ",\n".join(lines) + "\n  ]")
    path = DEVIATIONS / f"{language}.json"
    if groups:
        path.write_text("{\n" + ",\n".join(groups) + "\n}\n", encoding="utf-8", newline="\n")
    else:
        path.unlink(missing_ok=True)
    return left
