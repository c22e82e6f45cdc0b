"""Contenders that take turns, ratios, goals, and the table they end up in.

A *runner* does a piece of work once and returns what it cost: seconds, or bytes. `Bench.race` lets
our runner and those of the peers take turns for some rounds, in alternating order, after one round
that does not count. The ratio to a peer is the median of the ratios of the rounds, so that what
slows a whole round down, another process for example, cancels out.
"""

from __future__ import annotations

import errno
import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Literal, TypeVar

OURS = "ours"

Runner = Callable[[], float]
Unit = Literal["s", "ms", "us", "MiB", ""]

_UNITS: dict[Unit, float] = {"s": 1, "ms": 1e3, "us": 1e6, "MiB": 1 / (1 << 20), "": 1}

_T = TypeVar("_T")


class AbsentError(Exception):
    """A peer is not installed, or the system cannot do what a benchmark needs."""


class FailedError(Exception):
    """A program that was to be measured failed."""


@dataclass(frozen=True)
class Goal:
    """What a ratio to a peer has to be; without a peer, what our own figure has to be.

    Attributes:
        limit: The bound of the ratio, or of the figure in the unit of the row.
        peer: Whom the ratio is to.
        is_rate: The goal is about operations per second, and `limit` the least that will do.
        is_best: The ratio is to the best run of the peer, whose runs scatter.
    """

    limit: float
    peer: str | None = None
    is_rate: bool = False
    is_best: bool = False

    def __str__(self) -> str:
        return f"{'>=' if self.is_rate else '<='} {self.limit:.3g}"


def at_most(limit: float, peer: str | None = None, *, is_best: bool = False) -> Goal:
    """Return the goal to cost at most a multiple of what a peer costs."""
    return Goal(limit, peer, is_best=is_best)


def at_least(limit: float, peer: str) -> Goal:
    """Return the goal to do at least a multiple of a peer's operations per second."""
    return Goal(limit, peer, is_rate=True)


@dataclass(frozen=True)
class Row:
    """A line of the table: one task, one peer.

    Attributes:
        ours: Median of our figures, in `unit`; `theirs` the same for the peer.
        ratio: What the goal is about; our own figure when there is no peer.
        spread: Half the distance between the quartiles of the ratio: a figure with a spread as
            large as its distance from the goal says little.
    """

    task: str
    unit: Unit
    ours: float
    peer: str | None
    theirs: float | None
    ratio: float
    spread: float
    goal: str
    is_met: bool


class Table:
    """Prints rows as they come and keeps them."""

    _LINE = "{:<44} {:>9} {:>9} {:<8} {:>6} {:>5} {:>8}  {}"

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self.failures = 0

    def head(self) -> None:
        """Print the names of the columns."""
        names = ("task", "ours", "peer's", "peer", "ratio", "+/-", "goal", "met?")
        print(self._LINE.format(*names))
        print("-" * 100)

    def add(self, row: Row) -> None:
        """Print a row."""
        self.rows.append(row)
        theirs = "" if row.theirs is None else _figure(row.theirs, row.unit)
        print(
            self._LINE.format(
                row.task,
                _figure(row.ours, row.unit),
                theirs,
                row.peer or "",
                f"{row.ratio:.2f}" if row.peer else "",
                f"{row.spread:.2f}" if row.peer else "",
                row.goal,
                "yes" if row.is_met else "NO",
            ),
            flush=True,
        )

    def note(self, text: str) -> None:
        """Print a remark, once."""
        if text not in self.notes:
            self.notes.append(text)
            print(f"  ({text})", flush=True)

    def summary(self) -> str:
        """Return how many goals were met, and which were not."""
        missed = [row for row in self.rows if not row.is_met]
        lines = [f"{len(self.rows) - len(missed)} of {len(self.rows)} goals met"]
        lines += [f"  missed: {row.task}{f', {row.peer}' if row.peer else ''}" for row in missed]
        lines += [f"  benchmarks that failed: {self.failures}"] if self.failures else []
        return "\n".join(lines)

    @property
    def is_good(self) -> bool:
        """Whether nothing failed and no goal was missed."""
        return not self.failures and all(row.is_met for row in self.rows)

    def as_json(self) -> list[dict[str, object]]:
        """Return the rows as they go into a JSON document."""
        return [asdict(row) for row in self.rows]


def _figure(value: float, unit: Unit) -> str:
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f} {unit}"


class Bench:
    """What a benchmark works with: a folder of its own, a table, and how hard to try.

    Attributes:
        folder: An empty folder, removed when the benchmark is done.
        is_quick: Small images and few rounds are wanted.
    """

    def __init__(self, folder: Path, table: Table, *, is_quick: bool) -> None:
        self.folder = folder
        self.table = table
        self.is_quick = is_quick

    def pick(self, full: _T, quick: _T) -> _T:
        """Return the first value, or the second one in a quick run."""
        return quick if self.is_quick else full

    def race(
        self,
        task: str,
        runners: Mapping[str, Runner],
        goals: Iterable[Goal],
        *,
        rounds: int,
        unit: Unit,
        warm_up: bool = True,
    ) -> None:
        """Let contenders take turns, and add a row for each goal whose peer is among them.

        Args:
            task: What they do.
            runners: By name, `OURS` among them.
            goals: What is to be shown.
            rounds: How often each runs.
            unit: How figures are printed.
            warm_up: Whether one more round comes first that does not count.
        """
        shown = [goal for goal in goals if goal.peer is None or goal.peer in runners]
        if not shown:
            return
        figures: dict[str, list[float]] = {name: [] for name in runners}
        for number in range(-1 if warm_up else 0, rounds):
            order = list(runners)
            for name in order if number % 2 else reversed(order):
                gc.collect()  # nobody pays for what others left
                figure = runners[name]()
                if number >= 0:
                    figures[name].append(figure)
        for goal in shown:
            self.table.add(_row(task, figures, goal, unit))

    def judge(self, task: str, figure: float, limit: float, unit: Unit) -> None:
        """Add a row for a figure that stands for itself; `limit` is in its unit."""
        self.race(
            task, {OURS: lambda: figure}, [at_most(limit)], rounds=1, unit=unit, warm_up=False
        )

    def present(self, makers: Mapping[str, Callable[[], _T]]) -> dict[str, _T]:
        """Return what the makers make, without the peers that are absent."""
        made = {}
        for name, make in makers.items():
            try:
                made[name] = make()
            except AbsentError as reason:
                if name == OURS:
                    raise
                self.table.note(f"{name} is skipped: {reason}")
        return made


def _row(task: str, figures: Mapping[str, list[float]], goal: Goal, unit: Unit) -> Row:
    factor = _UNITS[unit]
    ours = figures[OURS]
    if goal.peer is None:
        ratios, theirs = [figure * factor for figure in ours], None
    else:
        others = figures[goal.peer]
        theirs = (min(others) if goal.is_best else median(others)) * factor
        if goal.is_best:
            ratios = [own / min(others) for own in ours]
        elif goal.is_rate:
            ratios = [other / own for own, other in zip(ours, others, strict=True)]
        else:
            ratios = [own / other for own, other in zip(ours, others, strict=True)]
    ratio = median(ratios)
    spread = 0.0
    if len(ratios) > 1:
        low, _, high = quantiles(ratios, n=4, method="inclusive")
        spread = (high - low) / 2
    is_met = ratio >= goal.limit if goal.is_rate else ratio <= goal.limit
    return Row(
        task, unit, median(ours) * factor, goal.peer, theirs, ratio, spread, str(goal), is_met
    )


def timed(work: Callable[[], object], repeat: int = 1) -> Runner:
    """Return a runner that tells how many seconds one call of a function takes.

    Args:
        work: The function.
        repeat: How many calls make up one run, when a single one is too short to be timed.
    """

    def run() -> float:
        start = time.perf_counter()
        for _ in range(repeat):
            work()
        return (time.perf_counter() - start) / repeat

    return run


Benchmark = Callable[[Bench], None]
"""A function that measures and adds rows. Its docstring says what it measures."""


def run(benchmarks: Mapping[str, Benchmark], folder: Path, table: Table, *, is_quick: bool) -> None:
    """Run benchmarks, each in a folder of its own inside `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, function in benchmarks.items():
        place = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
        try:
            function(Bench(place, table, is_quick=is_quick))
        except AbsentError as reason:
            table.note(f"{name} is skipped: {reason}")
        except FailedError as error:
            table.failures += 1
            table.note(f"{name} FAILED: {error}")
        except OSError as error:
            if error.errno not in (errno.EFBIG, errno.ENOSPC, errno.EINVAL):
                raise
            table.note(f"{name} is skipped: {error.strerror}; --folder names another place")
        finally:
            shutil.rmtree(place, ignore_errors=True)
            sys.stdout.flush()
