"""Every rule on one image, in the order of reading.

The rules themselves stand beside their structures, and opening goes the same
way down, stopping at the first that refuses. Here nothing stops: what cannot be
looked at because something above it is broken is listed as skipped, with the
reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import FormatError
from ..format.descent import Contents, Descent
from ..reading.image import Image
from ..storage.source import Source
from .blocks import check_blocks
from .diagnosis import explain_contents, explain_start
from .findings import Collector
from .told import Skipped


def check_image(stored: Source, take: Collector, *, is_skeleton: bool = False) -> Image | None:
    """Check everything of an image that can be got at.

    Args:
        stored: The file as it is stored.
        take: Takes what is found.
        is_skeleton: Whether only the metadata is there, and blocks may lie past the end.

    Returns:
        The image; None if it cannot be opened.
    """
    way = Descent(stored, take)
    contents = way.contents()
    layers = contents.layers() if contents is not None else None
    take.take(explain_start(way))
    if contents is not None:
        take.take(explain_contents(contents))
    take.take(_unreached(way, contents))
    if layers is None:
        return None
    image = Image.of(way, layers)
    try:
        for news in check_blocks(image, take.most, is_skeleton=is_skeleton):
            take.add(news)
    except FormatError as error:  # bytes that were there a moment ago are not there any more
        take.add(error.finding)
        take.skip("the rest of the BAT and of the blocks", "not all of it can be read")
    return image


def _unreached(way: Descent, contents: Contents | None) -> Iterator[Skipped]:
    """Yield what is not checked because something above it is lost."""
    if way.identifier is None:
        yield Skipped("everything else", "the file is not long enough or no VHDX file")
    elif way.header is None:
        why = "no header is current, or it cannot be used"
        yield Skipped("log, regions, metadata, BAT", why)
    elif contents is None:
        why = "the log has to be replayed first and cannot be"
        yield Skipped("regions, metadata, BAT", why)
    else:
        if contents.table is None:
            yield Skipped("regions, metadata, BAT", "neither region table is valid")
        elif contents.metadata_region is None:
            yield Skipped("metadata, BAT", "the metadata region cannot be found")
        elif contents.items is None:
            yield Skipped("metadata items, BAT", "there is no metadata table")
        if contents.layers() is None:
            yield Skipped("the whole BAT, overlaps of blocks", "the image cannot be opened")
