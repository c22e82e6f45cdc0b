"""Answers requests with the Python parser; see the README of the kit."""

from __future__ import annotations

import json
import re
import sys
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import Any

from kaitaistruct import KaitaiStream, KaitaiStruct, KaitaiStructError
from vhdx import Vhdx  # compiled beside this file

# What a parser may raise over a file that is not as it should be.
REFUSALS = (KaitaiStructError, EOFError, UnicodeDecodeError)
FRESH = ("error", "broken_text")
KINDS = ("int", "bool", "bytes", "str", "size", "absent", *FRESH)


class NothingThereError(Exception):
    """The path leads nowhere."""


class Image:
    """A file that is parsed when a value of it is asked for."""

    def __init__(self, name: str) -> None:
        self.data = Path(name).read_bytes()
        self.root: Any = None

    def follow(self, path: str) -> Any:
        if self.root is None:
            self.root = Vhdx(KaitaiStream(BytesIO(self.data)))
        value = self.root
        for step in re.findall(r"\w+", path):
            if step.isdigit():
                if not isinstance(value, list) or int(step) >= len(value):
                    raise NothingThereError(f"no element {step}")
                value = value[int(step)]
            else:
                if step not in vars(value) and not hasattr(type(value), step):
                    raise NothingThereError(f"no {step} in {type(value).__name__}")
                value = getattr(value, step)
        return value


def answer(kind: str, value: Any) -> tuple[str, str]:
    if value is None:
        return "absent", ""
    if isinstance(value, bool):
        return "bool", "true" if value else "false"
    if isinstance(value, Enum):
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(value).__name__).lower(), value.name
    if isinstance(value, int):
        # A number that an enum has no label for is a plain number here.
        return "int" if kind in KINDS else kind, str(value)
    if isinstance(value, bytes):
        return "bytes", value.hex()
    if isinstance(value, str):
        return "str", json.dumps(value)
    if isinstance(value, list):
        return "size", str(len(value))
    return "object" if isinstance(value, KaitaiStruct) else "nothing", type(value).__name__


def main(requests: str) -> None:
    image = Image(requests)
    for line in Path(requests).read_text(encoding="utf-8").splitlines():
        kind, path = line.split("\t")
        if kind == "open":
            image = Image(path)
            sys.stdout.buffer.write(b"opened\t\n")
            sys.stdout.buffer.flush()
            continue
        if kind in FRESH:
            image.root = None
        try:
            got = answer(kind, image.follow(path))
        except REFUSALS as error:
            got = "error", type(error).__name__
        except NothingThereError as error:
            got = "nothing", str(error)
        if kind in FRESH or got[0] == "error":
            image.root = None
        sys.stdout.buffer.write("\t".join(got).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
