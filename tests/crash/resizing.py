"""Disks that get another size while the power is cut, and what has to be true then.

The image opens with the old size or the new one; what both have reads as before, and what is
new reads as zeros; no rule finds an error, and parents are as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.images.image import Built
from tests.images.structures import MIB
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.editor import Editor, begin_editing
from vhdx_kaitai.writing.resize import _carry_out, _Plan
from vhdx_kaitai.writing.session import Session

from .machine import cuts
from .recorder import Event, Recorder, applied
from .replaying import NO_GUID, Stored

Bytes: TypeAlias = bytes | bytearray | memoryview
CarryOut: TypeAlias = Callable[[Editor, _Plan], None]

# What a smaller disk may leave: space that belongs to nothing, and a last block whose sectors
# here were all past the new end.
_HARMLESS = ("BLK-13", "BLK-07")


@dataclass
class Resized:
    """A disk that gets another size.

    Attributes:
        built: Its image.
        size: The size that it gets, in bytes.
        parents: Its parents, nearest first.
        windows: The ranges of the disk that are looked at; all of it when there is none.
    """

    built: Built
    size: int
    parents: list[Built] = field(default_factory=list)
    windows: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        self.before = self.built.to_bytes()
        self.old_size = self.built.model.size
        largest = max(self.old_size, self.size)
        self.windows = self.windows or ((0, largest),)
        self.above = [Recorder(parent.to_bytes()) for parent in self.parents]
        self._images = [Image(parent) for parent in self.above]
        self._notes = {f.rule for f in check(self.before).findings}
        self._held = {size: self._contents(size) for size in (self.old_size, self.size)}

    def _contents(self, size: int) -> list[bytes]:
        """Return what is looked at of the disk when it has a size, by the model of the builder."""
        held = []
        for start, end in self.windows:
            stop = max(start, min(end, self.old_size, size))
            data = self.built.model.read(start, stop - start) if start < stop else b""
            held.append(data + bytes(max(start, min(end, size)) - stop))
        return held

    def do(self, file: Recorder, carry_out: CarryOut | None = None) -> None:
        """Give the disk its new size."""
        image = Image(file)
        parent_size = self.parents[0].model.size if self.parents else 0
        session = Session(file, image.headers)
        editor = begin_editing(session, image, for_data=True)
        plan = _Plan(self.size, parent_size, ())
        with session.critical():
            if carry_out is None:
                _carry_out(editor, plan, progress=lambda _done: None)
            else:
                carry_out(editor, plan)
            editor.end()

    def events(self, carry_out: CarryOut | None = None) -> list[Event]:
        """Return what is done to the file for that."""
        file = Recorder(self.before)
        self.do(file, carry_out)
        return file.events

    def wrong_with(self, data: Bytes, *, thoroughly: bool = False) -> str | None:
        """Return what is wrong with what a cut has left; None when nothing is."""
        try:
            disk = Disk([Image(data), *self._images])
            if disk.size not in self._held:
                return f"the disk has {disk.size} bytes"
            for (start, end), held in zip(self.windows, self._held[disk.size], strict=True):
                if disk.pread(end - start, start) != held:
                    return f"another disk of {disk.size} bytes"
        except VhdxError as error:
            return f"refused: {error}"
        header = disk.image.headers.current
        first = self.built.model.current_header
        if disk.size != self.old_size and header.data_write_guid == first.data_write_guid:
            return "another size under the old DataWriteGuid"
        if any(parent.events for parent in self.above):
            return "a parent was written to"
        if thoroughly:
            report = check(data)
            errors = [str(finding) for finding in report.findings if finding.level == "error"]
            if errors or report.verdict not in ("clean", "warnings"):
                return f"check: {report.verdict}: {errors[:2]}"
        return None

    def wrong_at_the_end(self, data: Bytes) -> str | None:
        """Return what is wrong with the file when all is done."""
        one, two = Stored(data, 1), Stored(data, 2)
        if abs(one.number - two.number) != 1 or one.log_guid != NO_GUID != two.log_guid:
            return "the headers are not those of a clean log"
        if Image(data).metadata.virtual_disk_size != self.size:
            return "the disk has its old size"
        report = check(data)
        news = [str(f) for f in report.findings if f.rule not in {*self._notes, *_HARMLESS}]
        if news:
            return f"check: {news[:2]}"
        if len(data) % MIB:
            return f"the file is {len(data)} bytes long"
        return self.wrong_with(data)

    def complaints(
        self, count: int, events: Sequence[Event] | None = None, *, seed: int = 1, often: int = 50
    ) -> Iterator[str]:
        """Yield what is wrong with the files that cuts leave.

        Args:
            count: How many cuts to make, more or less.
            events: What was done to the file, in the place of what the product does.
            seed: Chooses the cuts.
            often: Each how manieth cut is looked at thoroughly, and resized again.
        """
        events = self.events() if events is None else events
        sizes = set()
        for number, cut in enumerate(cuts(self.before, events, count, seed)):
            is_chosen = number % often == 0
            wrong = self.wrong_with(cut.data, thoroughly=is_chosen)
            if wrong is None:
                sizes.add(Image(cut.data).metadata.virtual_disk_size)
                wrong = self._wrong_when_done_again(cut.data) if is_chosen else None
            if wrong:
                yield f"{cut.what}: {wrong}"
        if count >= 100 and sizes != {self.old_size, self.size}:  # fewer may miss one
            yield f"cuts leave sizes {sizes}"
        wrong = self.wrong_at_the_end(applied(self.before, events))
        if wrong:
            yield f"at the end: {wrong}"

    def _wrong_when_done_again(self, data: Bytes) -> str | None:
        if Image(data).metadata.virtual_disk_size == self.size:
            return None
        file = Recorder(data)
        self.do(file)
        wrong = self.wrong_at_the_end(file.data)
        return f"done again: {wrong}" if wrong else None
