"""The explorer's page, in Node and in Chromium.

`make explorer` makes it, `make puppeteer` fetches what clicks in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import ROOT

PAGE = ROOT / "vhdx_kaitai" / "explorer.html"
MODULES = ROOT / "build" / "puppeteer" / "node_modules"


def reason_for_absence(*tools: str) -> str | None:
    """Return why the page cannot be tried here, None when it can."""
    missing = [tool for tool in ("node", *tools) if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not installed"
    if not PAGE.is_file():
        return "the page was not made: run 'make explorer'"
    if tools and not MODULES.is_dir():
        return "what clicks in a browser is missing: run 'make puppeteer'"
    return None


class _Program:
    """A program of Node that answers a line of JSON with a line of JSON."""

    def __init__(self, name: str, *words: str) -> None:
        self._process = subprocess.Popen(
            ["node", str(Path(__file__).with_name(name)), str(PAGE), *words],
            env={**os.environ, "NODE_PATH": str(MODULES)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _ask(self, request: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "failure" not in answer, answer["failure"]
        return answer


class Program(_Program):
    """The program of the page, outside a browser.

    Args:
        page_size: Bytes of a page of the file.
    """

    def __init__(self, page_size: int = 1 << 16) -> None:
        super().__init__("asked.js", str(page_size))

    def nodes(self, image: Path, paths: list[str]) -> dict[str, dict[str, Any] | None]:
        """Return what the page knows of some paths; None for what is not there."""
        found: dict[str, dict[str, Any] | None]
        found = self._ask({"image": str(image), "paths": paths})["nodes"]
        return found

    def call(self, image: Path, expression: str) -> Any:
        """Return what an expression of JavaScript gives, in which `reading` is the image."""
        return self._ask({"image": str(image), "call": expression})["result"]


class Browser(_Program):
    """Chromium, with one page."""

    def __init__(self) -> None:
        super().__init__("clicks.js")

    def do(self, steps: str, **values: object) -> Any:
        """Run JavaScript that drives the page: it has `page`, `open`, `done`, `axe`, the values."""
        return self._ask({"steps": steps, "values": values})["result"]
