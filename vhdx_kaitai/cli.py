"""The command line: arguments in, exit status out.

Only this module prints. Standard output carries the result alone; what a
person should know besides goes to standard error. Imports that take time stay
inside the commands that need them, so that `--help` and `--version` are quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, NoReturn

from ._version import __version__

if TYPE_CHECKING:
    from .image import Image

DONE, FAILED, CORRUPT, NOT_VHDX, USAGE, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 63, 64, 130, 141

_EXIT_STATUS = """\
exit status:
  0 done   1 failed (I/O, permission, parent, unsupported)   2 corrupt: a rule refuses
  63 not a VHDX file   64 usage   130 interrupted   141 the pipe's reader is gone
"""

Command = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="vhdx-kaitai",
        description="Look into VHDX disk images: what they are, what they hold, what is wrong.",
        epilog=_EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_info(commands)
    _add_log(commands)
    _add_tree(commands)
    _add_ksy(commands)
    return parser


Commands = Any  # argparse has no public name for what add_subparsers returns


def _add_command(commands: Commands, name: str, run: Command, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run, json=False, path=None)
    return command


def _add_file(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="the VHDX file")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print a JSON document")


def _add_info(commands: Commands) -> None:
    command = _add_command(commands, "info", _info, "say what an image is, on one screen")
    _add_file(command)
    _add_json(command)
    command.add_argument(
        "--allocation", action="store_true", help="count blocks by state; reads the whole BAT"
    )


def _add_log(commands: Commands) -> None:
    text = "list the log's entries, which of them are active, and what their replay changes"
    command = _add_command(commands, "log", _log, text)
    _add_file(command)
    _add_json(command)


def _add_tree(commands: Commands) -> None:
    text = "show every field of the grammar with its place, bytes and meaning"
    command = _add_command(commands, "tree", _tree, text)
    _add_file(command)
    command.add_argument(
        "path", nargs="?", default="", metavar="PATH", help="a field, header_1.checksum for example"
    )
    _add_json(command)
    command.add_argument(
        "--depth", type=_natural, metavar="N", help="levels below PATH (2 unless told)", default=2
    )


def _add_ksy(commands: Commands) -> None:
    text = "print the Kaitai Struct grammar of the format, or copy it"
    command = _add_command(commands, "ksy", _ksy, text)
    command.add_argument("-o", "--output", metavar="OUT", help="a file to write it to")


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _info(arguments: argparse.Namespace) -> int:
    from . import report
    from .image import Image

    with Image(arguments.file) as image:
        document = report.info_document(image, arguments.file, allocation=arguments.allocation)
    _print_document(document) if arguments.json else _print_lines(report.info_text(document))
    return DONE


def _log(arguments: argparse.Namespace) -> int:
    from . import headers, log, report
    from .errors import FormatError
    from .guids import NIL
    from .source import open_source

    source = open_source(arguments.file)
    try:
        header = headers.read_headers(headers.read_root(source), source.size).current
        ring = log.Log(source, header) if header.log_length else None
        replayed = error = None
        if ring is not None and header.log_guid != NIL:
            try:
                replayed = log.replay(source, ring)[1]
            except FormatError as refusal:
                error = refusal
        document = report.log_document(arguments.file, ring, replayed, error)
    finally:
        source.close()
    _print_document(document) if arguments.json else _print_lines(report.log_text(document))
    if error is None:
        return DONE
    _complain(arguments.file, str(error))
    return CORRUPT


def _tree(arguments: argparse.Namespace) -> int:
    from . import tree
    from .source import open_source

    source = open_source(arguments.file)
    try:
        view = tree.Tree(source)
        node = view.find(arguments.path)
        if arguments.json:
            document = tree.tree_document(view, node, arguments.depth)
            _print_document({"schema_version": 1, "path": arguments.file, "tree": document})
        else:
            _print_lines(tree.tree_text(view, node, arguments.depth))
    finally:
        source.close()
    return DONE


def _ksy(arguments: argparse.Namespace) -> int:
    from . import grammar_text

    text = grammar_text()
    if arguments.output:
        with open(arguments.output, "wb") as file:
            file.write(text)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text)
    return DONE


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


def _print_document(document: object) -> None:
    import json

    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _complain(path: str | None, message: str) -> None:
    from .report import printable

    place = f"{path}: " if path else ""
    sys.stderr.write(printable(f"vhdx-kaitai: {place}{message}") + "\n")


def _failure(arguments: argparse.Namespace, error: Exception) -> int:
    """Tell about an error and return the exit status that stands for it."""
    from .errors import FormatError
    from .report import error_document, plain_message

    path = getattr(arguments, "file", None)
    if arguments.json:
        _print_document(error_document(path, error))
    _complain(path, plain_message(error))
    if isinstance(error, FormatError):
        return NOT_VHDX if error.finding.rule == "FTI-01" else CORRUPT
    return FAILED


def _use_replacement(stream: IO[str]) -> None:
    # A terminal that cannot show a character gets its number instead of a traceback.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _run(arguments: argparse.Namespace) -> int:
    from .errors import VhdxError

    try:
        status: int = arguments.run(arguments)
    except BrokenPipeError:
        raise
    except (VhdxError, OSError) as error:
        status = _failure(arguments, error)
    sys.stdout.flush()
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    _use_replacement(sys.stdout)
    _use_replacement(sys.stderr)
    try:
        return _run(build_parser().parse_args(argv))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more; keep the interpreter from complaining at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


if __name__ == "__main__":
    sys.exit(main())
