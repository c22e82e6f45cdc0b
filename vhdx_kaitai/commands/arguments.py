"""What commands have in common in what they are told: files, parents, ranges, sizes.

`--help` needs this, so nothing is imported here that takes time.
"""

from __future__ import annotations

import argparse
import os
import sys

from .status import USAGE

TYPE_CHECKING = False  # as in `typing`, for which help and version need not wait

if TYPE_CHECKING:
    from typing import Any, NoReturn

_SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, found out without `shutil`, which takes time to import.

    The parser makes one of these for every argument, to check its metavar.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class Parser(argparse.ArgumentParser):
    """A parser that ends with our own status for a wrong command line."""

    def error(self, message: str) -> NoReturn:
        """Say how the command is used, and what is wrong."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def add_color(parser: Parser, default: str) -> None:
    """Add `--color`."""
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default=default,
        help="colour the output; auto does on a terminal, unless NO_COLOR is set",
    )


def add_file(command: Parser) -> None:
    """Add the one file that a command is about."""
    command.add_argument("file", metavar="FILE", help="the VHDX file")


def add_json(command: argparse._ActionsContainer) -> None:
    """Add `--json`, which commands without it have as False."""
    command.add_argument("--json", action="store_true", help="print a JSON document")


def add_force(command: Parser) -> None:
    """Add `--force`."""
    command.add_argument("--force", action="store_true", help="replace a file that is there")


def add_parents(command: Parser) -> None:
    """Add the options about parents."""
    group = command.add_argument_group("parents of differencing disks")
    group.add_argument("--parent", metavar="PATH", help="the parent, instead of looking for it")
    group.add_argument(
        "--search",
        metavar="DIR",
        action="append",
        default=[],
        help="a folder to look in; repeatable",
    )
    group.add_argument(
        "--follow-absolute", action="store_true", help="follow paths that lead out of the folder"
    )
    group.add_argument("--no-parent", action="store_true", help="open the one file alone")


def parent_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return where parents may be, as everything that looks for them takes it."""
    return {name: getattr(arguments, name) for name in _ABOUT_PARENTS}


def first_about_parents(arguments: argparse.Namespace) -> str | None:
    """Return the first option that was given to say where parents are."""
    given = (name for name in _ABOUT_PARENTS if getattr(arguments, name, None))
    name = next(given, None)
    return name and f"--{name.replace('_', '-')}"


_ABOUT_PARENTS = ("parent", "search", "follow_absolute")


def add_assumptions(command: Parser) -> None:
    """Add the options that say what may be assumed of an image that does not open."""
    group = command.add_argument_group("images that do not open; what was assumed is told")
    group.add_argument(
        "--as-stored", action="store_true", help="read the file without the replay of its log"
    )
    group.add_argument(
        "--assume-header",
        action="store_true",
        help="when no header is valid, follow the one that is most nearly right, or none",
    )
    group.add_argument(
        "--assume-vhdx",
        action="store_true",
        help="read a VHDX file whose identifier was overwritten",
    )
    group.add_argument(
        "--assume-regions",
        action="store_true",
        help="when no region table is valid, look for BAT and metadata",
    )
    group.add_argument(
        "--assume-bat",
        action="store_true",
        help="move pages of the BAT back that QEMU before 8.0 moved by one entry",
    )


def assumable(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what may be assumed, as everything that opens disks takes it."""
    return {
        "replay": "ignore" if arguments.as_stored else "memory",
        **{
            name: "assume" if getattr(arguments, f"assume_{option}") else "refuse"
            for name, option in _ASSUMED.items()
        },
    }


_ASSUMED = {"header": "header", "identifier": "vhdx", "regions": "regions", "bat": "bat"}


def add_salvage(command: Parser) -> None:
    """Add the options about what is lost."""
    group = command.add_argument_group("what is lost")
    group.add_argument(
        "--salvage",
        action="store_true",
        help="go on past what is lost, with zeros for it; exit status 3 when something was",
    )
    group.add_argument(
        "--lost-map",
        metavar="OUT",
        type=file_name,
        help="write a GNU ddrescue map of the disk that shows what is lost",
    )


def add_range(command: Parser) -> None:
    """Add `--offset` and `--length`."""
    command.add_argument(
        "--offset", type=size, default=0, metavar="N", help="start there; 64K, 1M, 0x200 will do"
    )
    command.add_argument(
        "--length", type=size, metavar="N", help="how many bytes; all the rest by default"
    )


def number(text: str) -> int:
    """Return a natural number; argparse calls it by the name of this function."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def size(text: str) -> int:
    """Return a number of bytes that may be given in KiB, MiB, GiB or TiB."""
    number, factor = text, 1
    if text[-1:].upper() in _SUFFIXES:
        number, factor = text[:-1], _SUFFIXES[text[-1].upper()]
    value = int(number, 0) * factor
    if value < 0:
        raise ValueError
    return value


def output(text: str) -> str | None:
    """Return the name of a file to write; None for `-`, which is standard output."""
    return None if text == "-" else text


def file_name(text: str) -> str:
    """Return the name of a file that cannot be standard output, since it is written in no order."""
    if text == "-":
        raise argparse.ArgumentTypeError("standard output will not do, expected a file")
    return text
