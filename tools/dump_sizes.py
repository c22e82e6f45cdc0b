"""Put the sizes of metadata dumps into docs/metadump.md, for real images that are at hand.

    python -m tools.dump_sizes IMAGE...               # prints the table
    python -m tools.dump_sizes --update IMAGE...      # writes it into the page

Images may be packed with gzip or bzip2.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from vhdx_kaitai.copying.metadump import metadump

PAGE = Path(__file__).parent.parent / "docs" / "metadump.md"
TABLE = re.compile(r"(?<=<!-- sizes -->\n).*?(?=<!-- end of sizes -->)", re.DOTALL)

PACKED = (".gz", ".bz2")


def row(image: Path, folder: Path) -> str:
    """Return the line of the table about one image."""
    path = image
    if image.suffix in PACKED:
        path = folder / image.stem
        unpack = gzip.open if image.suffix == ".gz" else bz2.open
        with unpack(image, "rb") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    cells = [path.name, f"{path.stat().st_size:,}"]
    dump = folder / "dump"
    for redact in (False, True):
        manifest = metadump(path, dump, redact=redact)
        packed = len(gzip.compress(dump.read_bytes(), mtime=0))
        cells += [] if redact else [f"{manifest.length:,}", f"{manifest.written_bytes:,}"]
        cells.append(f"{packed:,}")
    if path != image:
        path.unlink()
    return "| " + " | ".join(cells) + " |\n"


def table(images: Iterable[Path]) -> str:
    """Return the table; sizes in bytes."""
    head = "| image | its length | dump | written | packed | redacted, packed |\n"
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(image, Path(folder)) for image in images]
    return head + "|---|--:|--:|--:|--:|--:|\n" + "".join(rows)


def main() -> None:
    """Print the table or write it into the page."""
    parser = argparse.ArgumentParser(description="make the table of docs/metadump.md")
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path)
    parser.add_argument("--update", action="store_true", help="write it into the page")
    arguments = parser.parse_args()
    text = table(arguments.images)
    if arguments.update:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(TABLE.sub(lambda _: text, page), encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
