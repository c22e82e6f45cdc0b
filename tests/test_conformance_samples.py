"""Real images: the JavaScript parser says what the Python parser says, value by value."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kaitaistruct import KaitaiStream, KaitaiStruct
from vhdx_kaitai.generated.vhdx import Vhdx

from tests.conformance import kit
from tests.conformance.kit import Answer, Value
from tests.support import Sample
from tests.test_conformance import attributes


def paths(value: Any, path: str = "") -> Iterator[Value]:
    """Yield what to ask for: every value, the contents of payload blocks left out."""
    if isinstance(value, KaitaiStruct):
        owner = _snake_case(type(value).__name__)
        for name in attributes(owner):
            if (owner, name) != ("payload_block", "data"):
                yield from paths(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        yield Value(path, "size", "")
        # Blocks of a large disk are many and alike: the first ones and the last ones are told.
        for index in sorted({*range(len(value))[:400], *range(len(value))[-20:]}):
            yield from paths(value[index], f"{path}[{index}]")
    elif hasattr(type(value), "__members__"):
        yield Value(path, _snake_case(type(value).__name__), "")
    else:
        kinds = {bool: "bool", int: "int", bytes: "bytes", str: "str", type(None): "absent"}
        yield Value(path, kinds[type(value)], "")


def _snake_case(name: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name).lstrip("_")


def is_same(one: Answer, other: Answer) -> bool:
    """Whether JavaScript says what Python says; a number beyond 2^53 is the double next to it."""
    if one.kind == other.kind == "int":
        return int(other.value) == (
            int(one.value) if abs(int(one.value)) <= 1 << 53 else int(float(int(one.value)))
        )
    if one.kind == other.kind == "str":
        return bool(json.loads(one.value) == json.loads(other.value))
    return one == other


@pytest.mark.slow
def test_python_and_javascript_agree_on_a_real_image(sample: tuple[Sample, Path]) -> None:
    runners = [kit.Runner("python"), kit.Runner("javascript")]
    missing = [tool for runner in runners for tool in runner.missing]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert not missing
    with sample[1].open("rb") as stream:
        asked = list(paths(Vhdx(KaitaiStream(stream))))
    answers = []
    for runner in runners:
        runner.prepare()
        answers.append(runner.ask_files([(sample[1], asked)])[0])
    assert len(asked) > 3000
    assert [len(one) for one in answers] == [len(asked), len(asked)]
    wrong = [
        (value.path, *both)
        for value, *both in zip(asked, *answers, strict=True)
        if both[0].kind in ("error", "nothing") or not is_same(*both)
    ]
    assert wrong == []
