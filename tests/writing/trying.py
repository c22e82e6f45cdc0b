"""A disk that is written to while something fails: what it may hold then, and what it may not.

What is asked of it comes from the scripts of the crash machine, and so does the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from tests.crash.disks import DISKS
from tests.crash.machine import cuts
from tests.crash.model import Held, Operation
from tests.crash.recorder import Began, Promised, Recorder
from tests.crash.scripts import Habits, script
from tests.crash.working import Subject
from vhdx_kaitai.errors import FailedError
from vhdx_kaitai.reading.image import Image

FLUSH, CLOSE = Operation("flush"), Operation("close")

_HABITS = Habits(write=8, zero=3, discard=3, flush=4, reopen=0, abandon=0, hot=4, longest=30_000)


@cache
def subject_of(name: str) -> Subject:
    """Return a disk of the crash machine, made once for all tests."""
    return Subject(DISKS[name]())


def short_script(subject: Subject, count: int, seed: int) -> list[Operation]:
    """Return what is asked of a disk: neither long writes nor a second opening."""
    return list(script(subject.shape, subject.view.windows, count, seed, _HABITS))


class Trial:
    """A disk that is written to while something fails.

    Args:
        subject: The image.
        file: Its file, as it is before.

    Attributes:
        disk: The disk.
        before: Its file, as it was.
        held: What it may hold after a cut.
        now: What it reads as.
    """

    def __init__(self, subject: Subject, file: Recorder) -> None:
        self.subject = subject
        self.file = file
        self.before = bytes(file.data)
        self.now = bytearray(subject.read(Image(file)))
        if self.before == subject.before:
            assert self.now == subject.contents
        self.held = Held(subject.view, self.now, file.events)
        self._contents = bytes(self.now)
        self._seen = bytearray(len(self.now))
        self.disk = subject.open(file)

    def do(self, operation: Operation) -> BaseException | None:
        """Do one thing, show that the disk reads as it may then, and return what was raised."""
        change = None
        if operation not in (FLUSH, CLOSE):
            change = self.subject.shape.change(operation)
            self.file.mark(change)
        raised: BaseException | None = None
        try:
            self._ask(operation)
        except (OSError, FailedError, KeyboardInterrupt) as error:
            raised = error.with_traceback(None)  # whose frames hold files
        if raised is None and change is None:
            self.file.mark(Promised())
        if operation != CLOSE:
            self._look(change, raised)
        self.held.move_to(len(self.file.events))
        return raised

    def _ask(self, operation: Operation) -> None:
        verb, offset, length, data = operation
        if verb == "write":
            assert self.disk.pwrite(data, offset) == length
        elif verb in ("flush", "close"):
            getattr(self.disk, verb)()
        else:
            getattr(self.disk, verb)(offset, length)

    def _look(self, change: Began | None, raised: BaseException | None) -> None:
        """Show that all reads as before, but for what was to change."""
        self.subject.view.read(self.disk, self._seen)
        if change is None or isinstance(raised, FailedError):
            assert self._seen == self.now
            return
        for at, inside, length in self.subject.view.parts(change.offset, change.length):
            new = bytes(change.part(inside, inside + length))
            seen, old = self._seen[at : at + length], self.now[at : at + length]
            if raised is None:
                assert seen == new
            else:
                assert _is_mixed(seen, old, new), "neither what was there nor what was written"
                self.file.mark(Began(change.offset + inside, length, bytes(seen)))
            self.now[at : at + length] = seen
        assert self._seen == self.now

    def wrong_after_a_kill(self) -> str | None:
        """Return what is wrong with the file when the process is killed now."""
        reached = len(self.file.events)
        return self.subject.wrong_with(self.file.data, self.held, reached, thoroughly=True)

    def wrong_after_cuts(self, count: int, seed: int) -> Iterator[str]:
        """Yield what is wrong with what cuts up to now leave."""
        held = Held(self.subject.view, self._contents, self.file.events)
        for cut in cuts(self.before, self.file.events, count, seed):
            held.move_to(cut.end)
            wrong = self.subject.wrong_with(cut.data, held, cut.reached)
            if wrong:
                yield f"{cut.what}: {wrong}"

    def wrong_at_the_end(self) -> str | None:
        """Return what is wrong with the file after the disk was closed."""
        return self.subject.wrong_at_the_end(self.file.data, self.held)


def _is_mixed(seen: bytearray, old: bytearray, new: bytes) -> bool:
    found = np.frombuffer(seen, np.uint8)
    is_old = found == np.frombuffer(old, np.uint8)
    return bool((is_old | (found == np.frombuffer(new, np.uint8))).all())
