"""The explorer's page, in Node and in Chromium; `make explorer` makes it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tests.browser import Visit
from tests.support import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGE = ROOT / "build" / "explorer" / "explorer.html"


def reason_for_absence() -> str | None:
    """Return why the page cannot be tried here, None when it can."""
    return None if PAGE.is_file() else "the page was not made: run 'make explorer'"


class Program:
    """The program of the page, outside a browser.

    Args:
        page_size: Bytes of a page of the file.
    """

    def __init__(self, page_size: int = 1 << 16) -> None:
        self._process = subprocess.Popen(
            ["node", str(Path(__file__).with_name("asked.js")), str(PAGE), str(page_size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Program:
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

    def nodes(self, image: Path, paths: list[str]) -> dict[str, dict[str, Any] | None]:
        """Return what the page knows of some paths; None for what is not there."""
        found: dict[str, dict[str, Any] | None]
        found = self._ask({"image": str(image), "paths": paths})["nodes"]
        return found

    def call(self, image: Path, expression: str) -> Any:
        """Return what an expression of JavaScript gives, in which `reading` is the image."""
        return self._ask({"image": str(image), "call": expression})["result"]

    def _ask(self, request: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "failure" not in answer, answer["failure"]
        return answer


class Explorer(Visit):
    """The page in Chromium.

    Args:
        browser: The browser.
        image: A file to open.
        query: What follows the address of the page.
        width: Of the window, in pixels.
        scheme: `light` or `dark`.
    """

    def __init__(
        self,
        browser: Browser,
        image: Path | None = None,
        *,
        query: str = "",
        width: int = 1400,
        scheme: str = "light",
    ) -> None:
        super().__init__(browser, f"{PAGE}{query}", width=width, scheme=scheme)
        if image is not None:
            self.page.set_input_files("#file", image)
        if image is not None or query:
            self.done()

    def __enter__(self) -> Explorer:
        return self

    def done(self) -> None:
        """Wait until the page has done what it was told."""
        self.page.wait_for_function(
            """() => document.getElementById('status').textContent !== ''
              && !document.querySelector('#work:not([hidden])[aria-busy=true]')"""
        )

    def click(self, selector: str) -> None:
        """Click on something."""
        self.page.click(selector)
        self.done()

    def press(self, *keys: str) -> None:
        """Press some keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
            self.done()

    def go(self, kind: str, where: str) -> None:
        """Go to a field, an offset or whatever else there is to choose."""
        self.page.select_option("#kind", kind)
        self.page.fill("#where", where)
        self.click("#go button")

    def rows(self) -> list[str]:
        """Return what the rows of the tree say: name and text."""
        names, texts = (
            self.page.locator(f"[role=treeitem] {part}").all_text_contents()
            for part in (".name", ".text")
        )
        return [f"{name}: {text}" for name, text in zip(names, texts, strict=True)]

    def marked(self) -> list[int]:
        """Return the offsets of the bytes that are marked."""
        return self._offsets("[data-at][aria-selected=true]")

    def here(self) -> int:
        """Return the offset of the byte where the keyboard is."""
        (offset,) = self._offsets(".here")
        return offset

    def _offsets(self, selector: str) -> list[int]:
        cells = self.page.locator(selector).all()
        return [int(cell.get_attribute("data-at") or "") for cell in cells]

    def status(self) -> str:
        """Return what the page says last."""
        return self.page.locator("#status").inner_text()

    def detail(self, term: str) -> str:
        """Return one of the things that are said of the selected field."""
        return self.page.locator(f"#details dt:text-is('{term}') + dd").inner_text()
