"""What has to be true of an image that is written to, wherever the power is cut.

It opens, no rule finds an error, every sector holds what was promised, parents and whatever
nobody knows are as they were; and it can be written to again.
"""

from __future__ import annotations

import errno
import random
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from typing import Any, TypeAlias
from unittest.mock import PropertyMock, patch

from tests.images.structures import KIB, METADATA_REGION, MIB
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.disk import WritableDisk
from vhdx_kaitai.writing.journal import Journal

from .disks import Written
from .machine import cuts, epochs
from .model import Held, Operation, Shape, View
from .recorder import Began, Event, Flush, Promised, Recorder, Write, Zero, applied
from .replaying import NO_GUID, Stored
from .scripts import script

Bytes: TypeAlias = bytes | bytearray | memoryview

_AGAIN = 12  # operations after a cut
_HEADERS_START, _HEADERS_END = 64 * KIB, 192 * KIB


def _places_at_random(seed: int) -> AbstractContextManager[Any]:
    chance = random.Random(seed)
    is_time = PropertyMock(side_effect=lambda: chance.random() < 0.4)
    return patch.object(Journal, "is_half_full", is_time)


class Subject:
    """An image, what is true of it, and what is asked of it.

    Args:
        written: The image.

    Attributes:
        before: The file.
        contents: What the disk holds, as far as it is looked at.
    """

    def __init__(self, written: Written) -> None:
        self.written = written
        self.built = written.image.build()
        self.before = self.built.to_bytes()
        model = self.built.model
        image = self.built.image
        self.shape = Shape(
            model.size, image.block_size, image.logical_sector_size, image.disk_type == "fixed"
        )
        self.view = View(written.windows or ((0, model.size),))
        self.contents = b"".join(model.read(start, end - start) for start, end in self.view.windows)
        self.parents = [Recorder(parent.to_bytes()) for parent in written.parents]
        self._kept = list(self._all_that_is_kept())
        self._seen = bytearray(self.view.length)
        self._first = Stored(self.before, model.current_copy or 1)
        self._notes = {f.rule for f in check(self.before).findings if f.level != "error"}

    @cached_property
    def parent_images(self) -> list[Image]:
        """The parents, opened."""
        return [Image(parent) for parent in self.parents]

    def script(self, seed: int, count: int | None = None) -> list[Operation]:
        """Return what is asked of the disk."""
        written = self.written
        count = written.count if count is None else count
        return list(script(self.shape, self.view.windows, count, seed, written.habits))

    def open(self, file: Recorder) -> WritableDisk:
        """Open the disk to write to it."""
        return WritableDisk([Image(file), *self.parent_images])

    def events(self, seed: int, count: int | None = None) -> list[Event]:
        """Return what a writer does to the file for a script.

        With every other seed its pages get into their places whenever chance says so, and not
        only when the log is half full, which no script is long enough to see often.
        """
        file = Narrow(self.before)
        work = Work(self, file, self.contents)
        with _places_at_random(seed) if seed % 2 else nullcontext():
            work.do_all(self.script(seed, count))
        return file.events

    def read(self, image: Image) -> bytearray:
        """Return what the disk holds, in a buffer that is used again."""
        self.view.read(Disk([image, *self.parent_images]), self._seen)
        return self._seen

    # -- judging ----------------------------------------------------------------------------------

    def wrong_with(
        self, data: Bytes, held: Held, reached: int, *, thoroughly: bool = False
    ) -> str | None:
        """Return what is wrong with what a cut has left; None when nothing is.

        Args:
            data: The file.
            held: What the disk may hold.
            reached: How many events had been done before the cut.
            thoroughly: Whether every rule is to be checked, too.
        """
        try:
            image = Image(data)
            seen = self.read(image)
        except VhdxError as error:
            return f"refused: {error}"
        wrong = held.wrong_with(seen, reached) or self._wrong_with_the_rest(image)
        if wrong:
            return wrong
        header = image.headers.current
        if seen != self.contents and header.data_write_guid == self._first.data_write_guid:
            return "another disk under the old DataWriteGuid"
        if header.file_write_guid == self._first.file_write_guid and self._is_modified(data):
            return "modified under the old FileWriteGuid"
        if thoroughly:
            report = check(data)
            errors = [str(finding) for finding in report.findings if finding.level == "error"]
            if errors or report.verdict not in ("clean", "warnings"):
                return f"check: {report.verdict}: {errors[:2]}"
        return None

    def _wrong_with_the_rest(self, image: Image) -> str | None:
        for what, start, expected in self._kept:
            if image.source.read(start, len(expected)) != expected:
                return f"{what} has changed"
        if any(parent.events for parent in self.parents):
            return "a parent was written to"
        return None

    def _is_modified(self, data: Bytes) -> bool:
        return bytes(data[_HEADERS_END:]) != self.before[_HEADERS_END:]

    def _all_that_is_kept(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield what no writer may change: its name, place and bytes."""
        file = self.built.replayed()

        def kept(what: str, start: int, length: int) -> tuple[str, int, bytes]:
            return what, start, file.read(start, length)

        yield kept("the identifier", 0, _HEADERS_START)
        yield kept("what follows the headers", _HEADERS_END, MIB - _HEADERS_END)
        for entry in self.written.image.region_tables[0].entries[1:]:
            known = "metadata" if entry.guid == METADATA_REGION else "unknown"
            yield kept(f"the {known} region", entry.file_offset, entry.length)

    def wrong_at_the_end(self, file: Bytes, held: Held) -> str | None:
        """Return what is wrong with a file whose disk was closed.

        Args:
            file: The file.
            held: What the disk has to hold.
        """
        one, two = Stored(file, 1), Stored(file, 2)
        if abs(one.number - two.number) != 1:
            return "the headers do not have numbers that follow each other"
        for name in ("file_write_guid", "data_write_guid", "log_guid", "rest"):
            if getattr(one, name) != getattr(two, name):
                return f"the headers have another {name}"
        if one.log_guid != NO_GUID:
            return "the log is dirty"
        if len(file) % MIB and len(file) != len(self.before):
            return f"the file is {len(file)} bytes long"
        report = check(file)
        news = [str(f) for f in report.findings if f.level != "note" and f.rule not in self._notes]
        if report.verdict not in ("clean", "warnings") or news:
            return f"check: {report.verdict}: {news[:2]}"
        return self.wrong_with(file, held, len(held.events))

    def wrong_after_more_work(self, data: Bytes, seed: int) -> str | None:
        """Write to what a cut has left, and cut the power while that is done, too.

        Returns:
            What is wrong; None when nothing is.
        """
        file = Narrow(data)
        image = Image(file)
        contents = bytes(self.read(image))
        Work(self, file, contents).do_all(self.script(seed, _AGAIN))
        if file.pending:
            return "written again: not all was flushed"
        if Image(file).headers.current.file_write_guid == image.headers.current.file_write_guid:
            return "written again under the FileWriteGuid of the session before"
        held = Held(self.view, contents, file.events)
        for cut in cuts(data, file.events, 6, seed):
            held.move_to(cut.end)
            wrong = self.wrong_with(cut.data, held, cut.reached)
            if wrong:
                return f"cut again, {cut.what}: {wrong}"
        held.move_to(len(file.events))
        wrong = self.wrong_at_the_end(file.data, held)
        return f"written again: {wrong}" if wrong else None


class WrongError(Exception):
    """A disk does not read as it should while it is written to."""


class Narrow(Recorder):
    """A file on a medium that may be full for once.

    Attributes:
        room: How many more changes fit; None when all do.
    """

    room: int | None = None

    def _do(self, event: Event) -> None:
        if self.room == 0 and not isinstance(event, Flush):
            if isinstance(event, Write | Zero):
                super()._do(Write(event.offset, bytes(event.part(0, event.length // 2))))
            raise OSError(errno.ENOSPC, "full")
        if self.room:
            self.room -= 1
        super()._do(event)


class Work:
    """A disk that is written to, and looked at after each operation.

    Args:
        subject: The image.
        file: Its file.
        contents: What the disk holds.
    """

    def __init__(self, subject: Subject, file: Narrow, contents: bytes | bytearray) -> None:
        self._subject = subject
        self._file = file
        self._held = Held(subject.view, contents, file.events)
        self._seen = bytearray(len(contents))
        self._disk = subject.open(file)

    def do_all(self, operations: Iterable[Operation]) -> None:
        """Do what is asked, close the disk, and mark what was promised when.

        The last operation is a write: a disk that is only opened leaves its file as it is.

        Raises:
            WrongError: The disk holds something else than it should.
        """
        for operation in operations:
            self.do(operation)
        self._write_something()
        self._disk.close()
        self._file.mark(Promised())

    def do(self, operation: Operation) -> None:
        """Do one thing."""
        verb, offset, length, data = operation
        if verb == "abandon":
            self._abandon()
        elif verb == "reopen":
            self._disk.close()
            self._file.mark(Promised())
            self._disk = self._subject.open(self._file)
        elif verb == "flush":
            self._disk.flush()
            self._file.mark(Promised())
        elif verb == "fail":
            self._fail(operation)
        else:
            self._file.mark(self._subject.shape.change(operation))
            if verb == "write":
                assert self._disk.pwrite(data, offset) == length
            else:
                {"zero": self._disk.zero, "discard": self._disk.discard}[verb](offset, length)
        self._look(operation)

    def _write_something(self) -> None:
        start = self._subject.view.windows[-1][0]
        self.do(Operation("write", start, 512, b"the end " * 64))

    def _fail(self, operation: Operation) -> None:
        """Write while the medium is full, so that some of it is there, or nothing."""
        self._write_something()  # what a session begins with must not fail
        self._file.mark(self._subject.shape.change(operation))
        self._file.room = (operation.offset // 512 + operation.length) % 3
        with suppress(OSError):
            self._disk.pwrite(operation.data, operation.offset)
        self._file.room = None
        self._take_what_is_there("full")

    def _look(self, operation: Operation) -> None:
        self._held.move_to(len(self._file.events))
        self._subject.view.read(self._disk, self._seen)
        if self._seen != self._held.now():
            what = f"{operation.verb} {operation.offset} {operation.length}"
            wrong = self._held.wrong_with(self._seen, 1 << 63) or "it reads as it did before"
            raise WrongError(f"after {what}: {wrong}")

    def _abandon(self) -> None:
        """Let the process be killed; the system keeps what it has written to the file.

        Of what was not flushed, anything may be there then; what is there stays.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self._disk = self._subject.open(self._file)
        self._take_what_is_there("killed")

    def _take_what_is_there(self, why: str) -> None:
        """Nobody knows how much of what was asked for is there, but from now on it is."""
        events = self._file.events
        self._held.move_to(len(events))
        self._subject.view.read(self._disk, self._seen)
        wrong = self._held.wrong_with(self._seen, len(events))
        if wrong:
            raise WrongError(f"{why}: {wrong}")
        for at, offset, length in self._held.changed_parts():
            self._file.mark(Began(offset, length, bytes(self._seen[at : at + length])))


def complaints(
    subject: Subject,
    count: int,
    *,
    seed: int = 0,
    events: Sequence[Event] | None = None,
    often: int = 64,
) -> Iterator[str]:
    """Yield what is wrong with the files that cuts leave.

    Args:
        subject: The image.
        count: How many cuts to make, more or less.
        seed: Chooses what is asked of the disk, and the cuts.
        events: What was done to the file, in the place of what the writer does.
        often: Each how manieth cut is looked at thoroughly, and written to again.
    """
    try:
        events = subject.events(seed) if events is None else events
    except (WrongError, VhdxError) as wrong_at_once:
        yield f"at once: {wrong_at_once}"
        return
    if epochs(len(subject.before), events)[-1].writes:
        yield "at the end: not all was flushed"
    held = Held(subject.view, subject.contents, events)
    for number, cut in enumerate(cuts(subject.before, events, count, seed)):
        held.move_to(cut.end)
        is_chosen = number % often == seed % often
        wrong = subject.wrong_with(cut.data, held, cut.reached, thoroughly=is_chosen)
        if wrong is None and is_chosen:
            wrong = subject.wrong_after_more_work(cut.data, number)
        if wrong:
            yield f"{cut.what}: {wrong}"
    held.move_to(len(events))
    wrong = subject.wrong_at_the_end(applied(subject.before, events), held)
    if wrong:
        yield f"at the end: {wrong}"
