"""docs/webide.md shows the tree of the Web IDE: `python -m tests.webide.page` brings it up to date.

What is shown stands in a comment above the block, as image and paths that were clicked open:

    <!-- panel demo: header_1 bat.chunks -->
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tests.images.damage import DAMAGES
from tests.images.demo import demo
from tests.images.goods import GOODS

from . import ROOT, WebIde

PAGE = ROOT / "docs" / "webide.md"

_FEW = 4  # elements of an array
_PANEL = re.compile(r"<!-- panel (\S+):(.*?) -->\n\n```text\n.*?```\n", re.DOTALL)


def image(name: str, folder: Path) -> Path:
    """Write the demo's image, a good or a damaged one, and return its path."""
    path = folder / f"{name}.vhdx"
    if name == "demo":
        demo(path)
    else:
        (GOODS[name] if name in GOODS else DAMAGES[name]).build().write(path)
    return path


def rendered(page: str, ide: WebIde, folder: Path) -> str:
    """Return a page whose blocks show what the IDE shows now; images go into a folder."""

    def block(match: re.Match[str]) -> str:
        name, paths = match[1], match[2]
        nodes = ide.show(image(name, folder), paths.split(), limit=_FEW)
        lines = "\n".join(node.line for node in nodes[1:])
        return f"<!-- panel {name}:{paths} -->\n\n```text\n{lines}\n```\n"

    return _PANEL.sub(block, page)


if __name__ == "__main__":
    with WebIde() as ide, tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(rendered(PAGE.read_text("utf-8"), ide, Path(folder)), "utf-8")
