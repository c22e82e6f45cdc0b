"""Answers requests with the Python parser; see the README of the kit."""

import json
import re
import sys
from enum import Enum

from kaitaistruct import KaitaiStream, KaitaiStruct, KaitaiStructError

from vhdx import Vhdx

# What a parser may raise over a file that is not as it should be.
REFUSALS = (KaitaiStructError, EOFError, UnicodeDecodeError)
FRESH = ("error", "broken_text")


class NothingThere(Exception):
    """The path leads nowhere."""


class Image:
    """A file that is opened when a value of it is asked for."""

    def __init__(self, name):
        self.stream = open(name, "rb")
        self.root = None

    def follow(self, path):
        if self.root is None:
            self.stream.seek(0)
            self.root = Vhdx(KaitaiStream(self.stream))
        value = self.root
        for step in re.findall(r"\w+", path):
            if step.isdigit():
                if not isinstance(value, list) or int(step) >= len(value):
                    raise NothingThere(f"no element {step}")
                value = value[int(step)]
            else:
                if step not in vars(value) and not hasattr(type(value), step):
                    raise NothingThere(f"no {step} in {type(value).__name__}")
                value = getattr(value, step)
        return value


def snake_case(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def answer(kind, value):
    if value is None:
        return "absent", ""
    if isinstance(value, bool):
        return "bool", "true" if value else "false"
    if isinstance(value, Enum):
        return snake_case(type(value).__name__), value.name
    if isinstance(value, int):
        # A number that the enum has no label for stays a number.
        is_enum = kind not in ("int", "bool", "bytes", "str", "size", "absent", *FRESH)
        return kind if is_enum else "int", str(value)
    if isinstance(value, bytes):
        return "bytes", value.hex()
    if isinstance(value, str):
        return "str", json.dumps(value)
    if isinstance(value, list):
        return "size", str(len(value))
    return "object" if isinstance(value, KaitaiStruct) else "nothing", type(value).__name__


def main(requests):
    image = None
    with open(requests, encoding="utf-8") as lines:
        for line in lines:
            kind, path = line.rstrip("\n").split("\t")
            if kind == "open":
                image = Image(path)
                continue
            if kind in FRESH:
                image.root = None
            try:
                got = answer(kind, image.follow(path))
            except REFUSALS as error:
                got = "error", type(error).__name__
            except NothingThere as error:
                got = "nothing", str(error)
            if kind in FRESH or got[0] == "error":
                image.root = None
            print("\t".join(got))


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    main(sys.argv[1])
