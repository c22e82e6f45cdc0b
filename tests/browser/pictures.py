"""docs/report.md shows the page of a report: `make docs-report` takes its pictures.

The image is a child whose log is dirty over a parent that is damaged.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import vhdx_kaitai

from . import Visit, chromium
from .images import dirty_over_damaged

DOCS = Path(__file__).parent.parent.parent / "docs"


class Picture(NamedTuple):
    """What of the page is to be seen: some sections of it, without tables, as far as they go."""

    sections: tuple[str, ...]
    width: int
    height: int
    scheme: str


PICTURES = {
    "report-pictures.png": Picture(("layout", "allocation", "log"), 660, 1200, "light"),
    "report-findings.png": Picture(("findings",), 630, 660, "dark"),
}
_LEAVE = """names => {
  for (const other of document.querySelectorAll("header, footer, output, .scroll")) other.remove();
  document.querySelector("article").remove();
  for (const one of document.querySelectorAll("section")) if (!names.includes(one.id)) one.remove();
}"""


def take(folder: Path) -> None:
    """Write the pictures into a folder."""
    with tempfile.TemporaryDirectory() as images, chromium() as browser:
        made = dirty_over_damaged(Path(images))
        with contextlib.chdir(images):
            document = json.dumps(vhdx_kaitai.report(made.names[-1])).replace(f"{images}/", "")
        page = Path(images) / "report.html"
        page.write_text(vhdx_kaitai.report_page(json.loads(document)), encoding="utf-8")
        for name, (sections, width, height, scheme) in PICTURES.items():
            with Visit(browser, page, width=width, scheme=scheme) as one:
                one.page.evaluate(_LEAVE, list(sections))
                one.page.set_viewport_size({"width": width, "height": height})
                one.page.screenshot(path=folder / name)


if __name__ == "__main__":
    take(DOCS)
