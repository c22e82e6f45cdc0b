"""A process of its own for one action, which prints by how many bytes memory grew at its peak.

What the action needs in any case (imports, a first use of everything) is there before it begins.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import vhdx_kaitai

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _memory(field: str) -> int:
    """Return a size from the system's account of this process, in bytes."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def measured(work: Callable[[], object]) -> int:
    """Return by how much resident memory grows at its peak, while and after something is done."""
    if _STATUS.exists():
        _CLEAR.write_text("5")  # the peak begins anew
        before = _memory("VmRSS")
        kept = work()
        after = _memory("VmHWM")
    else:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        kept = work()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    del kept
    return max(0, after - before)


def opening(known: str, path: str) -> int:
    """Open an image, after another one."""
    vhdx_kaitai.open(known).close()
    return measured(lambda: vhdx_kaitai.open(path))


def reading(path: str, length: str, count: str) -> int:
    """Make a number of requests of one length at random places."""
    size = int(length)
    with vhdx_kaitai.open(path) as disk:
        disk.pread(4096, 0)
        choice = random.Random(1)
        offsets = [choice.randrange(0, disk.size - size + 1, 512) for _ in range(int(count))]

        def read() -> None:
            for offset in offsets:
                disk.pread(size, offset)

        return measured(read)


ACTIONS: dict[str, Callable[..., int]] = {"open": opening, "read": reading}

if __name__ == "__main__":
    print(ACTIONS[sys.argv[1]](*sys.argv[2:]))
