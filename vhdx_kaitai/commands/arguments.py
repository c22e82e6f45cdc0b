"""What commands have in common in what they are told: files, parents, ranges, sizes.

`--help` needs this, so nothing is imported here that takes time.
"""

from __future__ import annotations

import argparse
import os
import re
import sys

from ..text import printable
from . import streams
from .status import OF_SALVAGE, USAGE

TYPE_CHECKING = False  # as in `typing`, for which help and version need not wait

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

_POWERS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_SIZE = r"(?i:(0x[0-9a-f]+|[0-9]+)(?:([kmgt])i?)?(b)?)"
_DIGITS = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GUID = rf"(?i:\{{{_DIGITS}\}}|{_DIGITS})"
_MOST_DIGITS = 32  # far more than any size has, far fewer than Python refuses


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, found out without `shutil`, which takes time to import.

    The parser makes one of these for every argument, to check its metavar.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns() - 2)


def columns(descriptor: int = 1) -> int:
    """Return how wide the terminal is that a file descriptor leads to; 80 when it is none."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(descriptor).columns or 80
    except OSError:
        return 80


class Parser(argparse.ArgumentParser):
    """A parser that takes options by their whole names, and ends with our own status.

    What is mistyped is called so, with a guess at what was meant.

    Attributes:
        hint_of_surplus: What is said after an argument that is one too many.
    """

    hint_of_surplus = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help or the version; that it cannot be printed is a failure."""
        if file in (None, sys.stdout):
            streams.write(message)
            streams.flush()
        else:
            super()._print_message(message, file)

    def error(self, message: str) -> NoReturn:
        """Say how the command is used, and what is wrong."""
        from ..storage.urls import told  # help needs nothing of files

        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {printable(told(message))}\n")

    def refuse_unknown_options(self, words: Iterable[str], hint: str = "") -> None:
        """End with a guess when an option is none of this parser, before anything is missed.

        Args:
            words: What may be options, up to `--`; one with a space in it is none.
            hint: What is said where there is no guess.
        """
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            is_option = name.startswith("--") and " " not in name
            if is_option and name not in self._option_string_actions:
                nearest = guess(name, self._option_string_actions)
                self.error(f"unknown option {name}{nearest or hint}")


def guess(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean X?` when a word is nearly one that is known, else nothing."""
    from difflib import get_close_matches  # takes time, and most words are right

    nearest = get_close_matches(word.lower(), known, 1)
    return f", did you mean {nearest[0]}?" if nearest else ""


def add_common(parser: Parser, color: str, quiet: bool | str) -> None:
    """Add what may stand before a command and after it.

    Args:
        parser: To which.
        color: What `--color` is when it is not given.
        quiet: The same for `--quiet`.
    """
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default=color,
        help="colour the output; auto does on a terminal, unless NO_COLOR is set",
    )
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        default=quiet,
        help="no progress, notes and hints; results, warnings and errors stay",
    )


def add_file(command: Parser) -> None:
    """Add the one file that a command is about."""
    command.add_argument("file", metavar="FILE", help="the VHDX file")


def add_files(command: Parser, nargs: str) -> None:
    """Add the files that a command is about, one after the other.

    Args:
        command: The parser.
        nargs: How many there have to be.
    """
    command.add_argument(
        "files", metavar="FILE", nargs=nargs, help="VHDX files, and folders with some in them"
    )
    command.add_argument(
        "--recursive", action="store_true", help="look into the folders below a folder, too"
    )


def add_json(command: argparse._ActionsContainer) -> None:
    """Add `--json`, which commands without it have as False."""
    command.add_argument("--json", action="store_true", help="print a JSON document")


def add_force(command: Parser) -> None:
    """Add `--force`."""
    command.add_argument("--force", action="store_true", help="replace a file that is there")


def add_parents(command: Parser, *, may_lack: bool = True) -> None:
    """Add the options about parents.

    Args:
        command: The parser.
        may_lack: Whether the command can do without any.
    """
    group = command.add_argument_group("parents of differencing disks")
    group.add_argument(
        "--parent",
        metavar="PATH",
        action="append",
        default=[],
        help="the parent, instead of looking for it; repeatable, once for each level",
    )
    group.add_argument(
        "--search",
        metavar="DIR",
        action="append",
        default=[],
        help="a folder to look in, for other names, too; repeatable",
    )
    group.add_argument(
        "--follow-absolute", action="store_true", help="follow paths that lead out of the folder"
    )
    if may_lack:
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
    group.add_argument(
        "--ignore-linkage",
        action="store_true",
        help="take a parent although it is another one than its child was made for",
    )


def add_missing_parent(command: Parser) -> None:
    """Add the option that says what stands for a parent that cannot be had."""
    command.add_argument(
        "--missing-parent",
        choices=("zero", "lost"),
        default="refuse",
        help="when a parent cannot be had, take its ranges for zeros, or for lost",
    )


def assumable(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what may be assumed, as everything that opens disks takes it."""
    return {
        "replay": "ignore" if arguments.as_stored else "memory",
        "linkage": "ignore" if arguments.ignore_linkage else "refuse",
        "missing_parent": getattr(arguments, "missing_parent", "refuse"),
        **{
            name: "assume" if getattr(arguments, f"assume_{option}") else "refuse"
            for name, option in _ASSUMED.items()
        },
    }


_ASSUMED = {"header": "header", "identifier": "vhdx", "regions": "regions", "bat": "bat"}


def add_rescue(command: Parser, *, has_map: bool = True) -> None:
    """Add what saves the data of a damaged disk: what is lost, assumed, and missing.

    Args:
        command: The parser.
        has_map: Whether the command writes a map of what is lost.
    """
    _add_salvage(command, has_map=has_map)
    add_assumptions(command)
    add_missing_parent(command)
    if has_map:
        command.epilog = OF_SALVAGE


def _add_salvage(command: Parser, *, has_map: bool) -> None:
    status = "; exit status 3 when something was" if has_map else ""
    group = command.add_argument_group("what is lost")
    group.add_argument(
        "--salvage",
        action="store_true",
        help=f"go on past what is lost, with zeros for it{status}",
    )
    if has_map:
        group.add_argument(
            "--lost-map",
            metavar="OUT",
            type=file_name,
            help="write a GNU ddrescue map of the disk that shows what is lost",
        )
    else:
        command.set_defaults(lost_map=None)


def add_new_disk(
    command: Parser, types: tuple[str, ...], usual: str | None
) -> argparse._ArgumentGroup:
    """Add what can be said of a disk that is to be made, and return the group of it.

    Args:
        command: The parser.
        types: The types that it may have.
        usual: Which it has when none is named; None for the first, or what follows from the rest.
    """
    group = command.add_argument_group("the new disk")
    group.add_argument(
        "--type", choices=types, default=usual, help=f"the type of the disk; {types[0]} by default"
    )
    group.add_argument(
        "--block-size",
        type=size,
        metavar="N",
        help="size of a payload block, from 1MiB to 256MiB; 32MiB by default, 2MiB in a child",
    )
    group.add_argument(
        "--sector-size",
        type=int,
        choices=(512, 4096),
        help="the logical sector size, 512 by default",
    )
    group.add_argument(
        "--physical-sector-size",
        type=int,
        choices=(512, 4096),
        help="the physical sector size, 4096 by default",
    )
    group.add_argument(
        "--disk-id",
        type=guid,
        metavar="GUID",
        help="the identifier of the disk, by default a new one",
    )
    return group


def add_range(command: Parser) -> None:
    """Add `--offset` and `--length`."""
    command.add_argument(
        "--offset", type=size, default=0, metavar="N", help="start there; 0x200, 64KiB, 1M will do"
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
    """Return a number of bytes that may be given in KiB, MiB, GiB or TiB.

    `1MB` is refused: for `dd` that is 1000000 bytes, and `qemu-img` refuses it, too.
    """
    match = re.fullmatch(_SIZE, text) if len(text) <= _MOST_DIGITS else None
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: {_FORMS}")
    digits, unit, is_bytes = match.groups()
    if is_bytes and unit and text[-2] not in "iI":
        plain = text[:-1]
        raise argparse.ArgumentTypeError(
            f"{text!r} may count in thousands or in 1024s; {plain} and {plain}iB are in 1024s"
        )
    return int(digits, 16 if digits[:2] in ("0x", "0X") else 10) << _POWERS[(unit or "").lower()]


_FORMS = "write bytes (1048576 or 0x100000), or KiB, MiB, GiB, TiB (1MiB, 1Mi or 1M)"


def guid(text: str) -> str:
    """Return a GUID, with or without braces; argparse calls it by the name of this function."""
    if re.fullmatch(_GUID, text) is None:
        raise ValueError
    return text


def output(text: str) -> str | None:
    """Return the name of a file to write; None for `-`, which is standard output."""
    return None if text == "-" else text


def file_name(text: str) -> str:
    """Return the name of a file that cannot be standard output, since it is written in no order."""
    if text == "-":
        raise argparse.ArgumentTypeError("standard output will not do, expected a file")
    return text
