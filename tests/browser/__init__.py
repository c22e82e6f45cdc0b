"""Pages in Debian's Chromium, which playwright drives; one browser for all tests of a process."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# As root in a container, and with letters whose pictures are small.
_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-lcd-text")

_ADDRESS_SPACE = 1 << 40  # that it reserves, more or less


def reason_for_absence() -> str | None:
    """Return why there is no browser here, None when there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    if shutil.which("chromium") is None:
        return "chromium is not installed"
    import resource  # which Windows lacks

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    is_enough = limit == resource.RLIM_INFINITY or limit >= _ADDRESS_SPACE
    return None if is_enough else "a browser needs more address space than `ulimit -v` allows"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser, which ends with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=_OPTIONS
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page that was opened from a file, and all that went on there.

    Args:
        browser: The browser.
        path: The file.
        width: Of the window, in pixels.
        scheme: `light` or `dark`.

    Attributes:
        page: The page, as playwright has it.
        told: What it told on the console, and its errors.
        asked: What was loaded, the file included.
    """

    def __init__(
        self, browser: Browser, path: object, *, width: int = 1100, scheme: Any = "light"
    ) -> None:
        self.told: list[str] = []
        self.asked: list[str] = []
        self._context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme
        )
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda message: self.told.append(message.text))
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: self.told.append(dialog.message))
        self.url = f"file://{path}"
        self.page.goto(self.url)

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_error: object) -> None:
        self._context.close()

    def violations(self) -> list[str]:
        """Return what keeps somebody from using the page, as axe finds it."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]
