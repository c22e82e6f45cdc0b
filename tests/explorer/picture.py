"""Take the picture of docs/explorer.md: `python -m tests.explorer.picture OUT`."""

from __future__ import annotations

import base64
import struct
import sys
import tempfile
import zlib
from collections import Counter
from itertools import count
from pathlib import Path

from tests import browser as a_browser
from tests.browser import chromium
from tests.explorer import Explorer, reason_for_absence
from tests.images.demo import demo

PATH = "log.slots[0].entry.descriptors[0].file_offset"
WIDTH = 1300

PIXELS = """async (shot) => {
  const bytes = Uint8Array.from(atob(shot), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(''));
}"""


def picture() -> bytes:
    """Return the demo's image, unfolded to what its log changes, as a PNG."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        image = Path(folder, "demo.vhdx")
        demo(image)
        with Explorer(browser, image, width=WIDTH) as explorer:
            explorer.go("field", PATH)
            shot = base64.b64encode(explorer.page.screenshot()).decode()
            pixels = base64.b64decode(explorer.page.evaluate(PIXELS, shot))
    return png(WIDTH, len(pixels) // 4 // WIDTH, pixels)


def png(width: int, height: int, pixels: bytes) -> bytes:
    """Return a PNG of no more than 256 colours, which is half as large as one of all.

    Args:
        width: Pixels of a row.
        height: Rows.
        pixels: Red, green, blue and opacity of each.
    """
    colors = [pixels[i : i + 3] for i in range(0, len(pixels), 4)]
    usual = [color for color, _ in Counter(colors).most_common()]
    for bits in count():
        chosen: dict[tuple[int, ...], bytes] = {}
        for color in usual:
            chosen.setdefault(tuple(part >> bits for part in color), color)
        if len(chosen) <= 256:
            break
    number = {key: bytes([place]) for place, key in enumerate(chosen)}
    of_color = {color: number[tuple(part >> bits for part in color)] for color in usual}
    points = b"".join(map(of_color.__getitem__, colors))
    rows = b"".join(b"\0" + points[y * width : (y + 1) * width] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"PLTE", b"".join(chosen.values()))]
    chunks += [(b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


if __name__ == "__main__":
    reason = reason_for_absence() or a_browser.reason_for_absence()
    if reason is not None:
        sys.exit(f"no picture: {reason}")
    Path(sys.argv[1]).write_bytes(picture())
