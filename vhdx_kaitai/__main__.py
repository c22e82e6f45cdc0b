"""The program, `vhdx-kaitai` and `python -m vhdx_kaitai`: the command line in a process of its own.

A process that is soon over is spared what only long ones need; most of the time of describing an
image is that of starting Python. This module is the program's alone: whoever imports the command
line into another process gets none of it.
"""

from __future__ import annotations

import gc

# The collector of garbage goes through all that imports make, many times.
gc.set_threshold(100_000, 50, 50)

import atexit  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from types import ModuleType  # noqa: E402

# The linear algebra that comes with numpy, which nobody here wants, starts a thread for each
# processor: a third of what numpy costs a process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class _Late(ModuleType):
    """Has the one thing of a module that everybody's imports ask for; the rest loads it."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # which importing asks for
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(__import__(self.__name__), name)


def _put_off(module: str, **known: object) -> None:
    if module not in sys.modules:
        sys.modules[module] = late = _Late(module)
        vars(late).update(known)


# Both compile patterns for longer than an image is looked at. Nobody translates what argparse
# says; and `uuid` asks, before Python 3.12, whether this is AIX.
_put_off("gettext", gettext=str, ngettext=lambda one, many, count: one if count == 1 else many)
_put_off("platform", system=lambda: os.uname().sysname)

# The library that `uuid` asks for the number of this machine, which no GUID here has in it.
sys.modules.setdefault("_uuid", None)  # type: ignore[arg-type]

from .commands import main as command_line  # noqa: E402


def main() -> int:
    """Run the command that the process was started for and return its exit status."""
    try:
        status = command_line.main(sys.argv[1:])
    except SystemExit as end:  # help was asked for, or words are wrong; all is told
        if not isinstance(end.code, int):
            raise
        status = end.code
    return _end(status)


def _end(status: int) -> int:
    """End the process, which is spared to take apart all that it was.

    Where there are threads the interpreter has to wait for them, and whoever develops hears what
    was left open: then it ends as it always does.
    """
    if "threading" in sys.modules or sys.flags.dev_mode:
        gc.freeze()  # whatever is left goes with the process
        return status
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # of which the interpreter tells
        return status
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
