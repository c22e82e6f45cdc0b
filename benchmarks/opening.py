"""Opening: judging an image in process, and `info` as a whole process."""

from __future__ import annotations

import vhdx_kaitai

from . import images, processes
from .framework import OURS, Bench, Benchmark, Runner, at_most, timed
from .images import GIB, MIB, TIB, Made
from .readers import DISSECT, LIBVHDI, dissect, libvhdi

_QEMU = "qemu-img"
_NOTHING = "python -c pass"
_BOTH = "1 GiB"


def _small(bench: Bench) -> Made:
    return images.image(bench.folder / "1gib.vhdx", GIB, 32 * MIB)


def _large(bench: Bench) -> Made:
    """Make an image of 64 TiB in blocks of 1 MiB: a BAT of 513 MiB, of which nothing is stored."""
    return images.image(bench.folder / "64tib.vhdx", 64 * TIB, MIB)


def _ours(made: Made) -> Runner:
    path = str(made.path)
    return timed(lambda: vhdx_kaitai.open(path).close(), 100)


def open_clean(bench: Bench) -> None:
    """Open and judge a clean image in process, and close it."""
    made = _small(bench)
    path = str(made.path)

    def by_libvhdi() -> Runner:
        pyvhdi = libvhdi()

        def work() -> None:
            file = pyvhdi.file()
            file.open(path)
            file.close()

        return timed(work, 100)

    def by_dissect() -> Runner:
        vhdx = dissect()

        def work() -> None:
            with open(path, "rb") as file:
                vhdx(file)

        return timed(work, 100)

    makers = {OURS: lambda: _ours(made), LIBVHDI: by_libvhdi, DISSECT: by_dissect}
    goals = [at_most(1.0, LIBVHDI), at_most(1.3, DISSECT)]
    runners = bench.present(makers)
    bench.race("open, 1 GiB", runners, goals, rounds=bench.pick(40, 10), unit="us")


def open_large(bench: Bench) -> None:
    """Open a disk of 64 TiB, whose BAT has 513 MiB: no slower than one of 1 GiB, nor larger."""
    small, large = _small(bench), _large(bench)
    runners = {OURS: _ours(large), _BOTH: _ours(small)}
    rounds = bench.pick(40, 10)
    bench.race("open, 64 TiB", runners, [at_most(1.2, _BOTH)], rounds=rounds, unit="us")
    more = processes.growth("open", small.path, large.path)
    more -= processes.growth("open", small.path, small.path)
    bench.judge("open, 64 TiB, memory above that of 1 GiB", more, 1, "MiB")


def info_large(bench: Bench) -> None:
    """`info` of a disk of 64 TiB as a whole process."""
    made = _large(bench)
    commands = bench.present(
        {
            OURS: lambda: processes.vhdx_kaitai("info", made.path),
            _QEMU: lambda: processes.program(_QEMU, "info", made.path),
        }
    )
    seconds = {name: processes.seconds(argv) for name, argv in commands.items()}
    rounds = bench.pick(7, 3)
    bench.race("info, 64 TiB", seconds, [at_most(0.2, _QEMU)], rounds=rounds, unit="ms")
    peaks = {name: processes.peak(argv) for name, argv in commands.items()}
    goals = [at_most(0.1, _QEMU)]
    bench.race("info, 64 TiB, memory", peaks, goals, rounds=2, unit="MiB", warm_up=False)


def info_small(bench: Bench) -> None:
    """`info` of a small image as a whole process, against one line of Python for dissect."""
    made = _small(bench)

    def by_dissect() -> list[str]:
        dissect()
        line = (
            "from dissect.hypervisor.disk.vhdx import VHDX; "
            f"print(VHDX(open({str(made.path)!r}, 'rb')).size)"
        )
        return [*processes.interpreter(), "-c", line]

    commands = bench.present(
        {OURS: lambda: processes.vhdx_kaitai("info", made.path), DISSECT: by_dissect}
    )
    seconds = {name: processes.seconds(argv) for name, argv in commands.items()}
    rounds = bench.pick(31, 7)
    bench.race("info, 1 GiB", seconds, [at_most(0.6, DISSECT)], rounds=rounds, unit="ms")


def start(bench: Bench) -> None:
    """Start: help, and `info` of a small image, against a Python that does nothing."""
    made = _small(bench)
    for words, limit in ((["--help"], 2.5), (["info", str(made.path)], 3.0)):
        ours = processes.seconds(processes.vhdx_kaitai(*words))
        nothing = processes.seconds([*processes.interpreter(), "-c", "pass"])
        runners = {OURS: ours, _NOTHING: nothing}
        rounds = bench.pick(31, 7)
        bench.race(
            f"start, {words[0]}", runners, [at_most(limit, _NOTHING)], rounds=rounds, unit="ms"
        )


BENCHMARKS: dict[str, Benchmark] = {
    "start": start,
    "open": open_clean,
    "open-64tib": open_large,
    "info": info_small,
    "info-64tib": info_large,
}
