"""`make crash CUTS=100000`: cut the power of writers as often as that, and say what was bad.

The cuts are shared out among operations, and disks that are written to get most. Each run is
an image, a seed and a number of cuts; a line about a bad cut says which run makes it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import compacting, merging, replaying, sizes, working
from .disks import DISKS

_MOST = 250  # cuts of a run, so that many scripts are tried


class Kind(NamedTuple):
    """What is cut.

    Attributes:
        names: The images.
        times: How often an image is taken in a round, each time with a seed of its own.
        complaints: What is wrong with cuts of an image, from its name, their number and a seed.
    """

    names: tuple[str, ...]
    times: int
    complaints: Callable[[str, int, int], Iterator[str]]


def _replays(name: str, cuts: int, seed: int) -> Iterator[str]:
    subject = replaying.SUBJECTS[name]()
    return replaying.complaints(subject, subject.events, cuts, seed=seed)


def _disks(name: str, cuts: int, seed: int) -> Iterator[str]:
    return working.complaints(working.Subject(DISKS[name]()), cuts, seed=seed)


def _compactings(name: str, cuts: int, seed: int) -> Iterator[str]:
    subject = working.Subject(compacting.OWN[name]())
    events = compacting.events_of(subject, punch=bool(seed % 2))
    return compacting.complaints(subject, events, cuts, seed=seed)


def _sizes(name: str, cuts: int, seed: int) -> Iterator[str]:
    return SIZES[name]().complaints(cuts, seed=seed)


def _merges(name: str, cuts: int, seed: int) -> Iterator[str]:
    return merging.CHAINS[name]().complaints(merging.merging, cuts, seed=seed)


SIZES = {make.__name__.replace("_", " "): make for make in sizes.MAKERS}
KINDS = {
    "replay": Kind(tuple(replaying.SUBJECTS), 1, _replays),
    "merge": Kind(tuple(merging.CHAINS), 1, _merges),
    "disk": Kind(tuple(DISKS), 4, _disks),
    "compact": Kind(tuple(compacting.OWN), 4, _compactings),
    "resize": Kind(tuple(SIZES), 2, _sizes),
}


class Run(NamedTuple):
    """An image, and how it is cut."""

    kind: str
    name: str
    cuts: int
    seed: int

    @property
    def command(self) -> str:
        """What makes this run again."""
        only = f"{self.kind}:{self.name}"
        return f"python -m tests.crash --only '{only}' --cuts {self.cuts} --seed {self.seed}"


def runs(cuts: int, seed: int, only: str | None) -> Iterator[Run]:
    """Yield the runs by which cuts are shared out, round by round.

    Args:
        cuts: How many, more or less.
        seed: That of the first round.
        only: Kind and name of the only image, which is cut in one run.

    Raises:
        KeyError: There is no such image.
    """
    if only is not None:
        kind, _, name = only.partition(":")
        if name not in KINDS[kind].names:
            raise KeyError(name)
        yield Run(kind, name, cuts, seed)
        return
    turns = [
        (kind, name, turn)
        for kind in KINDS
        for turn in range(KINDS[kind].times)
        for name in KINDS[kind].names
    ]
    rounds = -(-cuts // (_MOST * len(turns)))
    for number in range(rounds):
        for kind, name, turn in turns:
            each = -(-cuts // (rounds * len(turns)))
            yield Run(kind, name, each, seed + number * KINDS[kind].times + turn)


def main() -> int:
    """Cut, and return 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description="Cut the power of writers.")
    parser.add_argument("--cuts", type=int, default=2000, help="how many, more or less")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same again")
    parser.add_argument("--only", metavar="KIND:NAME", help="one image")
    options = parser.parse_args()
    done, bad, images = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0), set()
    began = time.monotonic()
    for run in runs(options.cuts, options.seed, options.only):
        for complaint in KINDS[run.kind].complaints(run.name, run.cuts, run.seed):
            bad[run.kind] += 1
            print(f"{run.name}: {complaint}: {run.command}", flush=True)
        done[run.kind] += run.cuts
        images.add((run.kind, run.name))
    for kind in KINDS:
        count = sum(kind == other for other, _ in images)
        print(f"{kind}: {done[kind]} cuts of {count} images, {bad[kind]} bad")
    print(f"{time.monotonic() - began:.0f} s; --cuts {options.cuts} --seed {options.seed} again")
    return int(any(bad.values()))


if __name__ == "__main__":
    sys.exit(main())
