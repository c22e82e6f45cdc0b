"""Exit statuses: which there are, and what help says of them."""

from __future__ import annotations

from collections.abc import Iterable

DONE, FAILED, CORRUPT, NOT_VHDX, USAGE, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 63, 64, 130, 141
DIFFERENT, IO_FAILED = 1, 4  # of `compare`, whose failures are never 1
WARNINGS = 3  # of `check`, and of `repair`
LOST = 3  # of commands that go on past what is lost

# What stands for the verdict of a check.
OF_VERDICT = {
    "clean": DONE,
    "warnings": WARNINGS,
    "unusable": FAILED,
    "corrupt": CORRUPT,
    "not-vhdx": NOT_VHDX,
}

# The worst of several files is what counts, in this order.
_WORST_FIRST = (FAILED, CORRUPT, NOT_VHDX, WARNINGS, DONE)

OF_MOST_COMMANDS = """\
exit status:
  0 done   1 failed (I/O, permission, parent, unsupported)
  2 corrupt: a rule refuses   63 not a VHDX file
  64 usage   130 interrupted   141 the pipe's reader is gone
"""
OF_SALVAGE = f"""\
{OF_MOST_COMMANDS}  3 done, but something is lost
"""
OF_FILES = f"""\
{OF_MOST_COMMANDS}  3 done, but something is lost or left out
"""
OF_ALL_COMMANDS = f"""\
{OF_MOST_COMMANDS}  of several files the worst counts, in the order 1, 2, 63, 3, 0
  check, scan and repair also: 3 usable, with warnings
  map, and read, convert and hash with --salvage: 3 done, but something is lost
  files, ls, cat and extract: 3 done, but something is lost or left out
  compare: 0 same   1 different   4 failed; the others as above
"""


def status_of(verdict: str, *, is_incomplete: bool) -> int:
    """Return the status that stands for a check.

    Args:
        verdict: What it came to.
        is_incomplete: Whether something else than the file kept some of it from being checked.
    """
    status = OF_VERDICT[verdict]
    return FAILED if is_incomplete and status in (DONE, WARNINGS) else status


def worst(statuses: Iterable[int]) -> int:
    """Return the status of several files."""
    return min(statuses, key=_WORST_FIRST.index)
