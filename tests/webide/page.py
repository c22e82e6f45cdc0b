"""docs/webide.md shows the tree of the Web IDE: `python -m tests.webide.page` brings it up to date.

What is shown stands in a comment above the block: the image, and the paths that were clicked open.
Only the pieces of the file that these belong to are printed, all of them when nothing was clicked.

    <!-- panel demo: header_1 bat.chunks -->
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.images.damage import DAMAGES
from tests.images.demo import demo
from tests.images.goods import GOODS

from . import ROOT, Node, WebIde

PAGE = ROOT / "docs" / "webide.md"

_FEW = 8  # elements of an array
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
        pieces = {re.split(r"[.[]", path)[0] for path in paths.split()}
        shown = [n for n in nodes[1:] if not pieces or re.split(r"[.[]", n.path)[0] in pieces]
        text = "".join(f"{line}\n" for line in _lines(shown))
        return f"<!-- panel {name}:{paths} -->\n\n```text\n{text}```\n"

    return _PANEL.sub(block, page)


def _lines(nodes: list[Node]) -> Iterator[str]:
    """Yield the lines of nodes, and dots where elements of an array were left out."""
    last: dict[str, int] = {}
    for node in nodes:
        element = re.fullmatch(r"(.*)\[(\d+)\]", node.path)
        if element is not None:
            array, index = element[1], int(element[2])
            if index > last.get(array, -1) + 1:
                yield "  " * node.depth + "..."
            last[array] = index
        yield node.line


if __name__ == "__main__":
    with WebIde() as ide, tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(rendered(PAGE.read_text("utf-8"), ide, Path(folder)), "utf-8")
