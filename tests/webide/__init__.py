"""The parsed tree of the Kaitai Web IDE, as `panel.js` shows it.

`make webide` fetches what the IDE is made of: the compiler and the runtime for JavaScript.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from os import PathLike, environ
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

ROOT = Path(__file__).parent.parent.parent
MODULES = ROOT / "build" / "webide" / "node_modules"


class Node(NamedTuple):
    """A line of the tree.

    Attributes:
        path: In the grammar's names, as in `bat.chunks[0].payload_blocks[3]`.
        depth: Levels above it, -1 for the root.
        kind: object, array, bytes, primitive or nothing; closed for what nobody asked for.
        text: The line.
        type: The grammar's type of an object.
        representation: What `-webide-representation` says of an object, "" where it has none.
        value: Numbers as decimal text, bytes up to 64 as hexadecimal text, longer ones up to 1 MiB
            as their SHA-256, text and truth values as they are; None for all else.
        length: Elements of an array, bytes of bytes.
        start: File offset in bytes; None for what is computed.
        end: File offset of the end in bytes.
        error: Why it could not be read, or not all of it.
    """

    path: str
    depth: int
    kind: str
    text: str
    type: str | None = None
    representation: str | None = None
    value: str | bool | None = None
    length: int | None = None
    start: int | None = None
    end: int | None = None
    error: str | None = None

    @property
    def line(self) -> str:
        """The line as the page shows it."""
        mark = f"  (!) {self.error}" if self.error else ""
        return "  " * self.depth + self.text + mark


def reason_for_absence() -> str | None:
    """Return why the IDE cannot be had here, None when it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    return None if MODULES.is_dir() else "the Web IDE's modules are missing: run 'make webide'"


class WebIde:
    """A Web IDE into which the grammar was loaded; one Node process for many images."""

    def __init__(self, grammar: Path = ROOT / "vhdx.ksy") -> None:
        self._process = subprocess.Popen(
            ["node", str(Path(__file__).with_name("panel.js")), str(grammar)],
            env=dict(environ, NODE_PATH=str(MODULES)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> WebIde:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def show(
        self,
        image: str | PathLike[str],
        opened: Sequence[str] | Literal["all"] = "all",
        *,
        eager: bool = False,
        limit: int = 1 << 30,
    ) -> list[Node]:
        """Return the tree of an image from top to bottom, the root first.

        Args:
            image: A file that fits into memory.
            opened: Paths that are clicked open; what lies above them is open too.
            eager: Whether lazy parsing is disabled: all is read before anything is shown.
            limit: Elements of an array that are returned, half of them from its end.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "image": str(image),
            "open": opened if opened == "all" else list(opened),
            "eager": eager,
            "limit": limit,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "failure" in answer:
            raise AssertionError(answer["failure"])
        return [Node(**node) for node in answer["nodes"]]
