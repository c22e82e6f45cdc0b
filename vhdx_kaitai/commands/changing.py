"""What commands have in common that change an image in place.

A request to end is heard between two steps of the work, never amid one: what was done
is brought to its end, and how far that is gets told.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

from ..checking.chain import check
from ..checking.findings import Report
from ..copying.data import Progress
from ..storage.locks import Lock
from ..writing.filling import ReadInto
from .arguments import Parser, add_json
from .interrupts import hearing
from .output import complain, note
from .status import CORRUPT, DONE


def add_changing(command: Parser) -> None:
    """Add what all of them take."""
    command.add_argument(
        "--dry-run", action="store_true", help="say what would be changed, and change nothing"
    )
    add_no_lock(command)
    add_json(command)


def add_no_lock(command: Parser) -> None:
    """Add `--no-lock`."""
    command.add_argument(
        "--no-lock",
        action="store_true",
        help="do not lock the file; whoever else writes to it meanwhile destroys it",
    )


def add_force_to_change(command: Parser) -> None:
    """Add `--force` to those that give the image a new DataWriteGuid."""
    command.add_argument(
        "--force",
        action="store_true",
        help="change it although children of it, or records for backups, rely on it",
    )


def wanted_lock(arguments: argparse.Namespace) -> Lock:
    """Return whether the file has to be locked."""
    return False if arguments.no_lock else "auto"


def tell_unlocked(arguments: argparse.Namespace, is_locked: bool) -> None:
    """Tell people when other programs were not kept away although they had to be."""
    if not (is_locked or arguments.dry_run or arguments.no_lock):
        message = "the file system has no locks, so no other program was kept away"
        note(arguments, arguments.file, message)


class StoppedError(Exception):
    """Somebody has asked for the end, and a step is done.

    Attributes:
        status: The exit status for that.
        done: How many bytes were done.
    """

    def __init__(self, number: int, done: int) -> None:
        super().__init__(number)
        self.status = 128 + number
        self.done = done


class Steps:
    """Hears requests to end, and raises between two steps when there was one.

    Args:
        progress: Is told how far it is, too.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._asked = 0
        self._done = 0
        self._is_waiting = False

    def __call__(self, done: int) -> None:
        """Say how many bytes are done.

        Raises:
            StoppedError: Somebody has asked for the end.
        """
        self._progress(done)
        self._done = done
        self._stop_if_asked()

    def hear(self, number: int, _frame: object) -> None:
        """Remember a signal; who only waits for input stops at once."""
        self._asked = number
        if self._is_waiting:
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._asked:
            raise StoppedError(self._asked, self._done)

    def reading(self, readinto: ReadInto) -> ReadInto:
        """Return a function that reads the same, and may be stopped while it waits for that."""

        def waiting(view: memoryview) -> int | None:
            self._is_waiting = True
            try:
                self._stop_if_asked()
                return readinto(view)
            finally:
                self._is_waiting = False

        return waiting


@contextlib.contextmanager
def between_steps(progress: Progress) -> Iterator[Steps]:
    """Yield something to be told of progress, to which requests to end go meanwhile."""
    steps = Steps(progress)
    with hearing(steps.hear):
        yield steps


def conclude(arguments: argparse.Namespace) -> tuple[Report, int]:
    """Check the metadata of a file that was changed, and return the report and the status."""
    report = check(arguments.file)
    if report.verdict not in ("clean", "warnings"):
        first = next((f for f in report.findings if f.level == "error"), None)
        complain(arguments.file, f"after the change it is {report.verdict}: {first}")
        return report, CORRUPT
    return report, DONE
