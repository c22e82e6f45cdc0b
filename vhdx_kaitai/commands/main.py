"""The command line: arguments in, exit status out.

Help and version need nothing but the names of the commands. The module of a
command is loaded when its words are to be parsed, with all that it imports.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import takewhile

from .._version import __version__
from . import status, streams
from .arguments import Formatter, Parser, add_common, first_about_parents, guess

TYPE_CHECKING = False  # as in `typing`, for which help and version need not wait

if TYPE_CHECKING:
    from typing import Any

# What each command does. It has a module of its name, with two functions: `add_arguments` tells
# a parser what the command takes, `run` takes what was parsed and returns an exit status.
COMMANDS = {
    "info": "say what an image is, on one screen",
    "check": "check every rule of the format and say what is wrong, where, and what it means",
    "scan": "check many images at once, and tell what they are and which chains they make up",
    "map": "list what the disk is made of: start, length, state, depth and place in the file",
    "read": "write bytes of the virtual disk to standard output or a file",
    "convert": "write the virtual disk to a raw image, or any disk to a new VHDX file",
    "report": "write all that is known of an image into one page, with pictures, or as JSON",
    "hash": "print the SHA-256 of the virtual disk, or other hashes; those of files, too",
    "files": "list the partitions of the disk and the file systems in them",
    "ls": "list what is in a folder of a file system on the disk",
    "cat": "write a file of a file system on the disk to standard output",
    "extract": "copy a file or a folder out of a file system on the disk",
    "compare": "tell whether two images hold the same disk, and where they differ first",
    "log": "list the log's entries, which of them are active, and what their replay changes",
    "chain": "list an image and its parents, how each was found and by what it was recognised",
    "tree": "show every field of the grammar with its place, bytes and meaning",
    "metadump": "copy the metadata of an image at its own offsets, without what is on the disk",
    "create": "make a new image: fixed, dynamic, or the child of a parent",
    "write": "write to the disk, in the image as it stands; or zeros, or give space back",
    "compact": "make the file smaller: what need not be stored goes, the last blocks fill holes",
    "merge": "write what a child holds into its parent, or into a parent of that",
    "rebase": "give a child another parent, or another way to the one that it has",
    "set": "change the identifier of the disk, or its physical sectors, in the image",
    "resize": "make the disk larger or smaller, in the image as it stands",
    "repair": "plan repairs of a damaged image; with --write make them, and save what was there",
    "replay": "bring what the log holds into its place in the file; the disk stays as it reads",
    "serve": "let programs that speak NBD read the disk, or write to it, too (nbdkit)",
    "mount": "show the disk as a file, to be read, or to be written, too (nbdkit, nbdfuse)",
    "explorer": "copy the page that opens images of any size in a browser: fields beside bytes",
    "ksy": "print the Kaitai Struct grammar of the format, or copy it",
    "help": "say what a command does and takes",
}


# What commands are told where they say nothing else: the status of a failure, and how far
# documents are indented; None is for a line each.
_DEFAULTS = {"failed": status.FAILED, "json": False, "indent": 2}


class MainParser(Parser):
    """The parser of everything, which finds the command."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in COMMANDS:
            nearest = guess(value, COMMANDS)
            self.error(f"unknown command {value!r}{nearest or ', see --help'}")
        super()._check_value(action, value)

    def parse_args(self, words: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        """Parse all words; those before the command are looked at first."""
        leading = takewhile(lambda word: word.startswith("-"), words)
        self.refuse_unknown_options(leading, "; those of a command are written after it")
        return super().parse_args(words)


class CommandParser(Parser):
    """The parser of a command.

    Args:
        module: Name of its module.
        options: What every parser takes.
    """

    def __init__(self, module: str, **options: Any) -> None:
        super().__init__(**options)
        self._module: str | None = module

    def load(self) -> None:
        """Add the arguments that the command takes, once."""
        if self._module is None:
            return
        from importlib import import_module

        from .running import run

        module = import_module(f".{self._module}", __package__)
        self._module = None
        add_common(self, argparse.SUPPRESS, argparse.SUPPRESS)
        self.set_defaults(run=run, command=module.run, **_DEFAULTS)
        module.add_arguments(self)

    def parse_known_args(self, *words: Any) -> Any:  # type: ignore[override]
        """Load the command and parse its words, which must not contradict each other."""
        self.load()
        self.refuse_unknown_options(words[0])
        arguments, rest = super().parse_known_args(*words)
        if rest:
            is_option = rest[0].startswith("-") and rest[0] != "-"
            what = "unknown option" if is_option else "unexpected argument"
            self.error(f"{what} {rest[0]}{'' if is_option else self.hint_of_surplus}")
        option = first_about_parents(arguments)
        if option and getattr(arguments, "no_parent", False):
            self.error(f"--no-parent and {option} contradict each other")
        return arguments, rest


def build_parser(only: str | None = None) -> Parser:
    """Return the parser of the command line.

    Args:
        only: The one command that it has to know, when that is certain: each
            of them takes a while to set up.
    """
    parser = MainParser(
        prog="vhdx-kaitai",
        description="Look into VHDX disk images: what they are, what they hold, what is wrong.\n"
        "Only `write`, `compact`, `merge`, `rebase`, `set`, `resize`, `repair`,\n"
        "`replay`, and with --writable `serve` and `mount` change an image.",
        epilog=status.OF_ALL_COMMANDS,
        formatter_class=Formatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_common(parser, "auto", False)
    commands = parser.add_subparsers(
        title="commands",
        description="COMMAND --help says what one of them does and takes",
        metavar="COMMAND",
        required=True,
        prog=parser.prog,
        parser_class=CommandParser,
    )
    for name in COMMANDS if only is None else [only]:
        text = COMMANDS[name]
        commands.add_parser(
            name,
            module=name,
            help=text,
            description=text,
            epilog=status.OF_MOST_COMMANDS,
            formatter_class=Formatter,
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        argv: Its words; None for those of the process.
    """
    streams.prepare()
    try:
        words = sys.argv[1:] if argv is None else list(argv)
        only = words[0] if words and words[0] in COMMANDS else None
        arguments = build_parser(only).parse_args(words)
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return status.INTERRUPTED
    except streams.OutputError as error:  # help was asked for, or the version
        print(f"vhdx-kaitai: standard output: {error}", file=sys.stderr)
        streams.forget()
        return status.FAILED
    except BrokenPipeError:  # nobody reads any more
        streams.forget()
        return status.PIPE_CLOSED
