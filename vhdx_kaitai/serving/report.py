"""A report on an image: everything that is known of it, whatever is wrong with it.

Each part is found by what the command of its name asks. A part that cannot be had leaves its place
empty, and the report says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..checking.chain import check
from ..checking.evidence import evidence
from ..checking.findings import Report
from ..checking.layout import layout
from ..copying.digest import digest, file_digest
from ..errors import VhdxError
from ..format.descent import state_of_log
from ..reading.allocation import Allocation
from ..reading.disk import Disk, open_disk
from ..reading.image import Image
from ..reading.places import places
from ..showing.chain import chain_document
from ..showing.document import Document, error_fields
from ..showing.files import files_document
from ..showing.info import add_links, info_document
from ..showing.log import log_document
from ..showing.report import (
    allocation_document,
    closing_document,
    evidence_document,
    layout_document,
    refused_document,
    report_document,
    shorten_log,
)
from ..storage.source import Source, SourceLike, open_source
from .files import described

_IN_MEMORY = "(in memory)"
_MOST_LAYOUTS = 8  # ours: a chain may have 256 files
_MANY = "those are many files"
_ABOUT_PARENTS = ("parent", "search", "follow_absolute")


def report(
    source: SourceLike,
    *,
    hashes: bool = False,
    progress: Callable[[int], object] | None = None,
    **options: Any,
) -> Document:
    """Return a report on an image, of which `report_page` makes a page.

    It is what `vhdx_kaitai/schemas/report.json` says, and has something to say of any file.

    Args:
        source: Path, URL, buffer or binary file object.
        hashes: Whether it has the SHA-256 of the files of the chain and of the disk, for which
            all of them are read.
        progress: Told how many bytes were hashed, now and then.
        **options: Where parents are, and what may be assumed: those of `vhdx_kaitai.open`, but
            for `lost` and `writable`. A parent that cannot be had is told, and no failure.

    Raises:
        OSError: The file, or a parent that was named, cannot be read.
        ReplacedError: A file at a URL was replaced meanwhile.
    """
    stored = open_source(source)
    try:
        with ExitStack() as stack:
            return _Reporter(stored, options, stack).document(hashes, progress or (lambda _: None))
    finally:
        if stored is not source:
            stored.close()


class _Reporter:
    """Asks everything about an image.

    Args:
        stored: The file.
        options: How its disk is opened.
        stack: Closes the disk.
    """

    def __init__(self, stored: Source, options: dict[str, Any], stack: ExitStack) -> None:
        self._stored = stored
        self._path = stored.path or _IN_MEMORY
        self._left_out: list[tuple[str, str]] = []
        self._refused: VhdxError | None = None
        self._disk: Disk | None = None
        about = {name: options[name] for name in _ABOUT_PARENTS if name in options}
        with_parents = options.get("resolve_parents", True)
        self._check = check(stored, chain=with_parents, **about)
        missing = "lost" if with_parents else "refuse"
        try:
            disk = open_disk(stored, **{"missing_parent": missing, **options})
            self._disk = stack.enter_context(closing(disk))
            self._left_out += [("what was said of parents", sentence) for sentence in disk.unused]
        except VhdxError as error:
            self._refused = error

    def document(self, hashes: bool, progress: Callable[[int], object]) -> Document:
        """Return the report."""
        disk, reports = self._disk, self._check.reports
        layouts: list[Document | None] = []
        shown: list[Document] = []
        for depth, (part, source, image) in enumerate(self._files_of(reports)):
            shown += [evidence_document(depth, one) for one in evidence(part.findings, source)]
            if depth < _MOST_LAYOUTS:
                layouts.append(self._layout(source, image))
        if len(reports) > _MOST_LAYOUTS:
            self._left_out.append((f"what files from level {_MOST_LAYOUTS} on are made of", _MANY))
        parts: Document = {
            "evidence": shown,
            "error": refused_document(self._refused),
            "info": disk and self._info(disk),
            "chain": disk and chain_document(disk, self._path),
            "log": self._log(),
            "layouts": layouts,
            "allocation": disk and self._allocation(disk),
            "files": disk and self._files(disk),
            "hashes": self._hashes(progress) if hashes else None,
        }
        now = datetime.now(UTC)
        document = report_document(self._path, now, self._stored.size, reports, **parts)
        return document | closing_document(self._left_out, disk.assumed if disk else ())

    def _files_of(self, reports: Sequence[Report]) -> Iterator[tuple[Report, Source, Image | None]]:
        """Yield what was found in each file, the file, and the image in it if it opens."""
        images = self._disk.chain if self._disk else ()
        yield reports[0], self._stored, images[0] if images else None
        for depth, part in enumerate(reports[1:], 1):
            if depth < len(images):
                yield part, images[depth].stored, images[depth]
            else:
                with closing(open_source(part.path or "")) as source:
                    yield part, source, None

    def _info(self, disk: Disk) -> Document:
        found = [info_document(image, image.path or self._path) for image in disk.chain]
        add_links(found, disk)
        return found[0]

    def _log(self) -> Document | None:
        try:
            document = log_document(self._path, *state_of_log(self._stored))
        except VhdxError as error:
            self._left_out.append(("the log", str(error)))
            return None
        self._left_out += shorten_log(document)
        return document

    def _layout(self, source: Source, image: Image | None) -> Document | None:
        try:
            found = layout(source, image)
        except VhdxError as error:
            self._leave_out("what the file is made of", str(error), source)
            return None
        if found.unknown is not None:
            self._leave_out(*found.unknown, source)
        return layout_document(found)

    def _leave_out(self, what: str, why: str, source: Source) -> None:
        of = f"of {source.path}: " if source is not self._stored else ""
        self._left_out.append((f"{of}{what}", why))

    def _allocation(self, disk: Disk) -> Document:
        found = Allocation(disk)
        if found.why is not None:
            self._left_out.append((f"what the disk is made of from {found.end:#x} on", found.why))
        return allocation_document(found)

    def _files(self, disk: Disk) -> Document | None:
        def tell(path: str, why: str) -> None:
            self._left_out.append((f"of the file systems: {path}", why))

        try:
            table, found = places(disk)
            parts = [described(disk, place, tell) for place in found]
        except VhdxError as error:
            self._left_out.append(("partitions and file systems", str(error)))
            return None
        return files_document(self._path, disk.size, table, parts, disk.assumed)

    def _hashes(self, progress: Callable[[int], object]) -> Document:
        disk, done = self._disk, 0
        files: list[Document] = []
        for source in [image.stored for image in disk.chain] if disk else [self._stored]:
            found = file_digest(source, progress=partial(_add, progress, done))
            done += source.size
            path = source.path or self._path
            files.append({"path": path, "file_size": source.size, "hashes": found})
        document: Document = {"files": files, "disk": None, "error": None}
        if disk is not None:
            try:
                document["disk"] = digest(disk, progress=partial(_add, progress, done)).disk
            except VhdxError as error:
                document["error"] = error_fields(error)
        return document


def _add(progress: Callable[[int], object], before: int, done: int) -> None:
    progress(before + done)
