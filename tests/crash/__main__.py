"""`make crash CUTS=100000`: cut the power of replays as often as that, and say what was bad."""

from __future__ import annotations

import argparse
import sys
import time

from .replaying import SUBJECTS, complaints

_SHOWN = 20


def main() -> int:
    """Cut, and return 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description="Cut the power of replays.")
    parser.add_argument("--cuts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    each = -(-options.cuts // len(SUBJECTS))
    bad = 0
    for number, (name, make) in enumerate(SUBJECTS.items()):
        subject = make()
        for complaint in complaints(subject, subject.events, each, seed=options.seed + number):
            bad += 1
            if bad <= _SHOWN:
                print(f"{name}: {complaint}")
    done = each * len(SUBJECTS)
    print(f"{done} cuts of {len(SUBJECTS)} images, {bad} bad; --seed {options.seed} does the same")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
