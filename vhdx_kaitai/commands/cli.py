"""The command line: arguments in, exit status out.

Only this module prints. Standard output carries the result alone; what a
person should know besides goes to standard error. Imports that take time stay
inside the commands that need them, so that `--help` and `--version` are quick.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from .._version import __version__
from ..records import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO, Any, NoReturn, TypeAlias

    from ..checking.checks import Report
    from ..reading.disk import Disk, Extent
    from ..reading.image import Image
    from ..showing.report import Document

DONE, FAILED, CORRUPT, NOT_VHDX, USAGE, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 63, 64, 130, 141
DIFFERENT, IO_FAILED = 1, 4  # of `compare`, whose failures are never 1
WARNINGS = 3  # of `check`

_EXIT_STATUS = """\
exit status:
  0 done   1 failed (I/O, permission, parent, unsupported)
  2 corrupt: a rule refuses   63 not a VHDX file
  64 usage   130 interrupted   141 the pipe's reader is gone
"""
_EXIT_STATUS_OF_ALL = f"""\
{_EXIT_STATUS}  check besides: 3 usable, with warnings
  compare: 0 same   1 different   4 failed; the others as above
"""
_EXIT_STATUS_OF_CHECK = """\
exit status:
  0 clean   3 usable, with warnings   2 corrupt: a rule refuses
  63 not a VHDX file   1 failed (I/O, permission, parent, unsupported)
  64 usage   130 interrupted   141 the pipe's reader is gone
  of several files the worst counts, in the order 1, 2, 63, 3, 0
"""
_EXIT_STATUS_OF_COMPARE = """\
exit status:
  0 same   1 different   4 failed (I/O, permission, parent, unsupported)
  2 corrupt: a rule refuses   63 not a VHDX file
  64 usage   130 interrupted   141 the pipe's reader is gone
"""

Command = Callable[[argparse.Namespace], int]


class OutputError(Exception):
    """Standard output cannot be written. It has nothing to do with the image."""


class _Output:
    """Standard output, whose failures are told from those of the image.

    Attributes:
        is_closed: Whether it was closed before the start.
    """

    is_closed = False

    @classmethod
    def write(cls, data: str | bytes | memoryview) -> None:
        """Write text, or bytes as they are."""
        try:
            if cls.is_closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            if isinstance(data, str):
                sys.stdout.write(data)
            else:
                sys.stdout.buffer.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.strerror) from error

    @staticmethod
    def refuse_input(path: str | None, status: os.stat_result | None) -> None:
        """Refuse to write into a file that is read: not even what failed can be told there."""
        try:
            output = os.fstat(sys.stdout.fileno())
        except (OSError, ValueError):  # it is no file of the system's
            return
        if status is not None and os.path.samestat(status, output):
            raise OutputError(f"is {path}, which is read")

    @staticmethod
    def flush() -> None:
        """Hand everything written to the operating system."""
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.strerror) from error


class _Formatter(argparse.RawDescriptionHelpFormatter):
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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Args:
        only: The one command that it has to know, when that is certain: each
            of them takes a while to set up.
    """
    parser = _Parser(
        prog="vhdx-kaitai",
        description="Look into VHDX disk images: what they are, what they hold, what is wrong.",
        epilog=_EXIT_STATUS_OF_ALL,
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    _add_color(parser, "auto")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, prog=parser.prog
    )
    for add in _COMMANDS.values() if only is None else [_COMMANDS[only]]:
        add(commands)
    return parser


Commands: TypeAlias = "Any"  # argparse has no public name for what add_subparsers returns


def _add_command(commands: Commands, name: str, run: Command, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, epilog=_EXIT_STATUS, formatter_class=_Formatter
    )
    command.set_defaults(run=run, json=False)
    _add_color(command, argparse.SUPPRESS)  # it may stand before the command or behind it
    return command


def _add_color(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default=default,
        help="colour the output; auto does on a terminal, unless NO_COLOR is set",
    )


def _add_file(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="the VHDX file")


def _add_json(command: argparse._ActionsContainer) -> None:
    command.add_argument("--json", action="store_true", help="print a JSON document")


def _add_parents(command: argparse.ArgumentParser) -> None:
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


def _add_range(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--offset", type=size, default=0, metavar="N", help="start there; 64K, 1M, 0x200 will do"
    )
    command.add_argument(
        "--length", type=size, metavar="N", help="so many bytes, instead of all the rest"
    )


def _add_force(command: argparse.ArgumentParser) -> None:
    command.add_argument("--force", action="store_true", help="replace a file that is there")


def _add_info(commands: Commands) -> None:
    command = _add_command(commands, "info", _info, "say what an image is, on one screen")
    _add_file(command)
    _add_json(command)
    command.add_argument(
        "--allocation", action="store_true", help="count blocks by state; reads the whole BAT"
    )
    command.add_argument("--chain", action="store_true", help="the parents, too")
    _add_parents(command)


def _add_check(commands: Commands) -> None:
    text = "check every rule of the format and say what is wrong, where, and what it means"
    command = _add_command(commands, "check", _check, text)
    command.add_argument("files", metavar="FILE", nargs="*", help="the VHDX files")
    command.add_argument("--json", action="store_true", help="print a JSON document for each file")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--rules", action="store_true", help="list all rules and their status")
    form.add_argument("--explain", metavar="RULE", help="say what a rule is about")
    command.add_argument("--sarif", metavar="OUT", help="write SARIF 2.1.0, too; - to stdout")
    _add_force(command)
    command.add_argument(
        "--ignore", metavar="RULE", action="append", default=[], help="a rule that does not count"
    )
    command.add_argument(
        "--chain", action="store_true", help="check the parents, too; any option about them does"
    )
    command.add_argument(
        "--skeleton",
        action="store_true",
        help="blocks may lie behind the end, unused bytes do not count: for metadata dumps",
    )
    _add_parents(command)
    command.epilog = _EXIT_STATUS_OF_CHECK


def _add_map(commands: Commands) -> None:
    text = "list what the disk is made of: start, length, state, depth and place in the file"
    command = _add_command(commands, "map", _map, text)
    _add_file(command)
    form = command.add_mutually_exclusive_group()
    _add_json(form)
    form.add_argument("--count", action="store_true", help="print how many there are")
    _add_range(command)
    _add_parents(command)


def _add_read(commands: Commands) -> None:
    text = "write bytes of the virtual disk to standard output or a file"
    command = _add_command(commands, "read", _read, text)
    _add_file(command)
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=output,
        help="a file, sparse where there are zeros; - is standard output",
    )
    _add_force(command)
    _add_range(command)
    _add_parents(command)


def _add_convert(commands: Commands) -> None:
    text = "write the virtual disk to a raw image, sparse where there are zeros"
    command = _add_command(commands, "convert", _convert, text)
    _add_file(command)
    command.add_argument(
        "output", metavar="OUT", type=output, help="the raw image; - is standard output"
    )
    _add_force(command)
    _add_parents(command)
    command.set_defaults(offset=0, length=None)  # all of it, when it is read to standard output


def _add_compare(commands: Commands) -> None:
    text = "tell whether two images hold the same disk, and where they differ first"
    command = _add_command(commands, "compare", _compare, text)
    command.add_argument("file", metavar="A", help="a VHDX file or a raw image")
    command.add_argument("other", metavar="B", help="another one")
    _add_json(command)
    _add_parents(command)
    command.epilog = _EXIT_STATUS_OF_COMPARE


def _add_chain(commands: Commands) -> None:
    text = "list an image and its parents, how each was found and by what it was recognised"
    command = _add_command(commands, "chain", _chain, text)
    _add_file(command)
    form = command.add_mutually_exclusive_group()
    _add_json(form)
    form.add_argument("--dot", action="store_true", help="print a graph for Graphviz")
    _add_parents(command)


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
        "--depth", type=number, metavar="N", help="levels below PATH (2 unless told)", default=2
    )


def _add_metadump(commands: Commands) -> None:
    text = "copy the metadata of an image at its own offsets, without what is on the disk"
    command = _add_command(commands, "metadump", _metadump, text)
    _add_file(command)
    command.add_argument("output", metavar="OUT", type=file_name, help="the dump")
    command.add_argument(
        "--sparse", action="store_true", help="as long as the image, not cut behind the metadata"
    )
    choice = command.add_mutually_exclusive_group()
    choice.add_argument(
        "--redact", action="store_true", help="blank creator, paths and items of unknown meaning"
    )
    choice.add_argument(
        "--all", action="store_true", help="keep unused bytes of header section and regions, too"
    )
    _add_force(command)
    _add_json(command)
    hint = "compare a dump with its image by info, log, tree and check --skeleton"
    command.epilog = f"{hint}\n\n{_EXIT_STATUS}"


def _add_ksy(commands: Commands) -> None:
    text = "print the Kaitai Struct grammar of the format, or copy it"
    command = _add_command(commands, "ksy", _ksy, text)
    command.add_argument("-o", "--output", metavar="OUT", type=output, help="a file to write it to")
    _add_force(command)


_COMMANDS = {
    "info": _add_info,
    "check": _add_check,
    "map": _add_map,
    "read": _add_read,
    "convert": _add_convert,
    "compare": _add_compare,
    "log": _add_log,
    "chain": _add_chain,
    "tree": _add_tree,
    "metadump": _add_metadump,
    "ksy": _add_ksy,
}


def number(text: str) -> int:
    """Return a natural number; argparse calls it by the name of this function."""
    value = int(text)
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


def size(text: str) -> int:
    """Return a number of bytes that may be given in KiB, MiB, GiB or TiB."""
    number, factor = text, 1
    if text[-1:].upper() in _SUFFIXES:
        number, factor = text[:-1], _SUFFIXES[text[-1].upper()]
    value = int(number, 0) * factor
    if value < 0:
        raise ValueError
    return value


_SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _settle_parents(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse options that contradict each other; let `check` check the parents that some name."""
    given = [name for name in _ABOUT_PARENTS if getattr(arguments, name, None) not in _NOT_GIVEN]
    if given and arguments.no_parent:
        option = given[0].replace("_", "-")
        parser.error(f"--no-parent and --{option} contradict each other")
    if given and arguments.run is _check:
        arguments.chain = True


_ABOUT_PARENTS = ("parent", "search", "follow_absolute")
_NOT_GIVEN: tuple[object, ...] = (None, [], False)


def _open_disk(arguments: argparse.Namespace, path: str | None = None) -> Disk:
    from ..reading.disk import open_disk

    disk = open_disk(
        path or arguments.file,
        parent=arguments.parent,
        search=arguments.search,
        follow_absolute=arguments.follow_absolute,
        resolve_parents=not arguments.no_parent,
    )
    try:
        for image in disk.chain[1:]:
            _Output.refuse_input(image.path, image.stored.status())
    except BaseException:
        disk.close()
        raise
    return disk


def _info(arguments: argparse.Namespace) -> int:
    if arguments.chain:
        return _info_of_chain(arguments)
    from ..reading.image import Image
    from ..showing import report

    with Image(arguments.file) as image:
        document = report.info_document(image, arguments.file, allocation=arguments.allocation)
        if image.locator is not None and not arguments.no_parent:
            _describe_parent(arguments, image, document)
    _print_result(arguments, document, report.info_text)
    return DONE


def _describe_parent(arguments: argparse.Namespace, image: Image, document: Document) -> None:
    """Look for the parent and say in the document what was found; none is no failure."""
    from ..errors import VhdxError
    from ..reading.disk import find_parent
    from ..showing.report import add_parent, plain_message

    try:
        parent, link = find_parent(
            image,
            parent=arguments.parent,
            search=arguments.search,
            follow_absolute=arguments.follow_absolute,
        )
    except (VhdxError, OSError) as error:
        document["parent"]["error"] = plain_message(error)
    else:
        parent.close()
        add_parent(document, parent.path, link)


def _info_of_chain(arguments: argparse.Namespace) -> int:
    from ..showing import report

    with _open_disk(arguments) as disk:
        for depth, image in enumerate(disk.chain):
            path = image.path or arguments.file
            document = report.info_document(image, path, allocation=arguments.allocation)
            if depth < len(disk.links):
                report.add_parent(document, disk.chain[depth + 1].path, disk.links[depth])
            if arguments.json:
                _print_document(document, indent=None)
            else:
                _print_lines([""] if depth else [])
                _print_colored(arguments, report.info_text(document))
    return DONE


# The worst of several files is what counts, in this order.
_WORST_FIRST = (FAILED, CORRUPT, NOT_VHDX, WARNINGS, DONE)
_VERDICT_STATUS = {
    "clean": DONE,
    "warnings": WARNINGS,
    "corrupt": CORRUPT,
    "not-vhdx": NOT_VHDX,
}


def _check(arguments: argparse.Namespace) -> int:
    if arguments.rules:
        return _print_rules(arguments)
    if arguments.explain is not None:
        return _explain(arguments)
    if not arguments.files:
        _complain(None, "check: no FILE given")
        return USAGE
    if arguments.json and arguments.sarif == "-":
        _complain(None, "check: --json and --sarif - both want standard output")
        return USAGE
    unknown = [rule for rule in arguments.ignore if not _is_rule(rule)]
    if unknown:
        _complain(None, f"no rule {unknown[0]}; check --rules lists them")
        return USAGE
    if arguments.sarif not in (None, "-"):
        _refuse_image(arguments.sarif)
        _refuse_to_replace(arguments.sarif, arguments.force)
    reports: list[Report] = []
    statuses = {_check_file(arguments, path, reports) for path in arguments.files}
    if arguments.sarif is not None:
        _write_sarif(arguments, reports)
    return _worst(statuses)


def _worst(statuses: set[int]) -> int:
    return next(status for status in _WORST_FIRST if status in statuses)


def _print_rules(arguments: argparse.Namespace) -> int:
    from ..rules import catalogue
    from ..showing.report import rules_document

    if arguments.json:
        _print_document(rules_document(catalogue().values()))
        return DONE
    for rule in catalogue().values():
        note = f" ({', '.join(rule.by)})" if rule.by else f": {rule.reason}" if rule.reason else ""
        _Output.write(f"{rule.id:<9} {rule.level:<6} {rule.section:<11} {rule.status}{note}\n")
    return DONE


def _is_rule(wanted: str) -> bool:
    from ..rules import catalogue

    return wanted.upper() in catalogue()


def _explain(arguments: argparse.Namespace) -> int:
    from ..rules import catalogue
    from ..showing.report import rule_text, rules_document

    rule = catalogue().get(arguments.explain.upper())
    if rule is None:
        _complain(None, f"no rule {arguments.explain}; check --rules lists them")
        return USAGE
    if arguments.json:
        _print_document(rules_document([rule]))
    else:
        _print_lines(rule_text(rule))
    return DONE


def _check_file(arguments: argparse.Namespace, path: str, reports: list[Report]) -> int:
    """Check one file, print what was found, and return the exit status that stands for it."""
    from ..checking.checks import check
    from ..showing import report

    try:
        result = check(
            path,
            chain=arguments.chain and not arguments.no_parent,
            skeleton=arguments.skeleton,
            ignore=[rule.upper() for rule in arguments.ignore],
            parent=arguments.parent,
            search=arguments.search,
            follow_absolute=arguments.follow_absolute,
        )
    except BrokenPipeError:
        raise
    except OSError as error:
        return _failure(arguments, error, indent=None)
    reports.extend(result.reports)
    for part in result.reports:
        if arguments.json:
            _print_document(report.check_document(part, part.path or path), indent=None)
        elif arguments.sarif != "-":
            _print_colored(arguments, report.check_text(part, part.path or path))
    return _worst({_status_of(part) for part in result.reports})


def _status_of(report: Report) -> int:
    status = _VERDICT_STATUS[report.verdict]
    return FAILED if report.is_incomplete and status in (DONE, WARNINGS) else status


def _write_sarif(arguments: argparse.Namespace, reports: list[Report]) -> None:
    from ..copying.files import write_file
    from ..showing.report import json_text
    from ..showing.sarif import sarif_document

    text = json_text(sarif_document(reports), indent=2) + "\n"
    if arguments.sarif == "-":
        _Output.write(text)
    else:
        write_file(arguments.sarif, text.encode(), replace=arguments.force)


def _refuse_image(path: str) -> None:
    """Let no report take the place of an image, which is hardly what is wanted."""
    from ..format.headers import probe

    if os.path.isfile(path):
        with open(path, "rb") as file:
            if probe(file.read(8)):
                raise FileExistsError(errno.EEXIST, "is a VHDX file, and stays one", path)


def _range(arguments: argparse.Namespace, disk: Disk) -> tuple[int, int]:
    """Return offset and length of the wanted range, which ends where the disk does."""
    from ..errors import VhdxError

    offset: int = arguments.offset
    if offset > disk.size:
        raise VhdxError(f"offset {offset} is behind the end of the disk at {disk.size}")
    left = disk.size - offset
    return offset, left if arguments.length is None else min(arguments.length, left)


def _map(arguments: argparse.Namespace) -> int:
    from ..reading import bulk
    from ..showing import report

    with _open_disk(arguments) as disk:
        offset, length = _range(arguments, disk)
        few = _few_extents(disk, offset, length)
        if arguments.count or (arguments.json and few is None):
            # Counting many takes little time, and what cannot be mapped has to be known before
            # the first word of a document.
            count = bulk.count_extents(disk, offset, length) if few is None else len(few)
        extents = bulk.extents(disk, offset, length) if few is None else [bulk.columns(few)]
        if arguments.count:
            _print_lines([str(count)])
        elif arguments.json:
            for piece in report.map_json(extents):
                _Output.write(piece)
        else:
            _print_lines(report.map_text(extents))
    return DONE


def _few_extents(disk: Disk, offset: int, length: int) -> list[Extent] | None:
    """Return all extents of a range; None when numpy pays for so many, or not all can be told."""
    from ..errors import FormatError
    from ..reading import bulk

    if bulk.is_large(disk):
        return None
    sample = bulk.WORTHWHILE_EXTENTS // 8
    try:
        found = disk.extents(offset, length)
        extents = list(islice(found, sample))
        if len(extents) == sample > 0 and 8 * (extents[-1].offset - offset) < length:
            return None  # there will be too many, when so many cover so little of the range
        extents += islice(found, bulk.WORTHWHILE_EXTENTS - len(extents))
    except FormatError:
        return None
    return extents if len(extents) < bulk.WORTHWHILE_EXTENTS else None


def _read(arguments: argparse.Namespace) -> int:
    from ..copying import convert

    if arguments.output is not None:
        _refuse_to_replace(arguments.output, arguments.force)
    with _open_disk(arguments) as disk:
        offset, length = _range(arguments, disk)
        with _progress(arguments, length) as progress, _interruptible():
            if arguments.output is not None:
                convert.convert(
                    disk, arguments.output, offset, length, progress, replace=arguments.force
                )
            else:
                _Output.flush()
                convert.write_stream(disk, _Output.write, offset, length, progress)
    return DONE


def _convert(arguments: argparse.Namespace) -> int:
    from ..copying import convert

    if arguments.output is None:
        return _read(arguments)
    _refuse_to_replace(arguments.output, arguments.force)
    with (
        _open_disk(arguments) as disk,
        _progress(arguments, disk.size) as progress,
        _interruptible(),
    ):
        convert.convert(disk, arguments.output, 0, disk.size, progress, replace=arguments.force)
    return DONE


def _refuse_to_replace(path: str, force: bool) -> None:
    if os.path.lexists(path) and not force:
        raise FileExistsError(errno.EEXIST, "output exists already, --force would replace it", path)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let requests to end be exceptions, so that no partial file stays behind."""
    import signal

    def end(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    numbers = [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]  # Windows has no SIGHUP
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _compare(arguments: argparse.Namespace) -> int:
    from ..copying import convert
    from ..format.headers import probe

    def open_either(path: str) -> Disk | convert.RawDisk:
        raw = convert.RawDisk(path)  # refuses what is no file, a pipe for example, at once
        if not probe(raw.start(8)):
            return raw
        raw.close()
        return _open_disk(arguments, path)

    with contextlib.ExitStack() as stack:
        one = stack.enter_context(contextlib.closing(open_either(arguments.file)))
        two = stack.enter_context(contextlib.closing(open_either(arguments.other)))
        with _progress(arguments, min(one.size, two.size)) as progress:
            difference = convert.compare(one, two, progress)
    if arguments.json:
        _print_document(
            {
                "schema_version": 1,
                "path": arguments.file,
                "other": arguments.other,
                "same": difference is None,
                "offset": difference and difference.offset,
                "reason": difference and difference.reason,
            }
        )
    elif difference is None:
        _print_lines(["same"])
    else:
        _print_lines([f"different at {difference.offset:#x}: {difference.reason}"])
    return DONE if difference is None else DIFFERENT


def _chain(arguments: argparse.Namespace) -> int:
    from ..showing import report

    with _open_disk(arguments) as disk:
        document = report.chain_document(disk, arguments.file)
    if arguments.json:
        _print_document(document)
    else:
        _print_lines(report.chain_dot(document) if arguments.dot else report.chain_text(document))
    return DONE


@contextlib.contextmanager
def _progress(arguments: argparse.Namespace, total: int) -> Iterator[Callable[[int], object]]:
    """Show how far a long command is, on a terminal; anywhere else say nothing."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn())
    console = Console(stderr=True, no_color=arguments.color == "never" or None)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def _log(arguments: argparse.Namespace) -> int:
    from ..format.descent import state_of_log
    from ..showing import report
    from ..storage.source import open_source

    source = open_source(arguments.file)
    try:
        state = state_of_log(source)
        document = report.log_document(arguments.file, *state)
    finally:
        source.close()
    _print_result(arguments, document, report.log_text)
    if state.error is None:
        return DONE
    _complain(arguments.file, str(state.error))
    return CORRUPT


def _tree(arguments: argparse.Namespace) -> int:
    from ..showing import tree
    from ..storage.source import open_source

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


def _metadump(arguments: argparse.Namespace) -> int:
    from ..copying import metadump
    from ..showing import dump
    from ..text import human_size

    _refuse_to_replace(arguments.output, arguments.force)
    with _interruptible():
        manifest = metadump.metadump(
            arguments.file,
            arguments.output,
            form="sparse" if arguments.sparse else "cut",
            redact=arguments.redact,
            slack=arguments.all,
        )
    document = dump.manifest_document(manifest, arguments.file, arguments.output)
    _print_result(arguments, document, dump.manifest_text)
    if manifest.length >= metadump.TOO_LONG_FOR_WEB_IDE and not arguments.sparse:
        written, length = human_size(manifest.written_bytes), human_size(manifest.length)
        _complain(
            arguments.output,
            f"{length} long with {written} in it, because it ends with {manifest.ends_with} and "
            "offsets stay what they are; the Web IDE loads less than 2 GiB. Pass it on packed.",
        )
    return DONE


def _ksy(arguments: argparse.Namespace) -> int:
    from .. import grammar_text
    from ..copying.files import write_file

    text = grammar_text()
    if arguments.output is not None:
        _refuse_image(arguments.output)
        _refuse_to_replace(arguments.output, arguments.force)
        write_file(arguments.output, text, replace=arguments.force)
    else:
        _Output.flush()
        _Output.write(text)
    return DONE


def _print_result(
    arguments: argparse.Namespace, document: Document, text: Callable[[Document], Iterable[str]]
) -> None:
    if arguments.json:
        _print_document(document)
    else:
        _print_colored(arguments, text(document))


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        _Output.write(line + "\n")


def _print_colored(arguments: argparse.Namespace, lines: Iterable[str]) -> None:
    """Print lines with titles in bold and warnings in red, when colour is wanted."""
    if not _wants_color(arguments.color):
        _print_lines(lines)
        return
    for line in lines:
        if line and not line.startswith((" ", "*")):
            line = f"{_BOLD}{line}{_PLAIN}"
        elif line.startswith(_MAY_WARN):  # not what an image says of itself
            for word in _WARNINGS:
                line = line.replace(word, f"{_RED}{word}{_PLAIN}")
        _Output.write(line + "\n")


_BOLD, _RED, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[m"
_WARNINGS = ("DIRTY", "NOT VALID")
_MAY_WARN = ("  log ", "  other header ")


def _wants_color(choice: str) -> bool:
    if choice == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return choice == "always"


def _print_document(document: object, indent: int | None = 2) -> None:
    from ..showing.report import json_text

    _Output.write(json_text(document, indent) + "\n")


def _complain(path: str | None, message: str) -> None:
    from ..text import printable

    place = "" if path is None else f"{path or repr(path)}: "
    sys.stderr.write(printable(f"vhdx-kaitai: {place}{message}") + "\n")


def _failure(arguments: argparse.Namespace, error: Exception, indent: int | None = 2) -> int:
    """Tell about an error and return the exit status that stands for it."""
    from ..errors import FormatError
    from ..showing.report import error_document, plain_message

    path = _path_of(error)
    if path is None:
        path = getattr(arguments, "file", None)
    if arguments.json:
        _print_document(error_document(path, error), indent)
    _complain(path, plain_message(error))
    if isinstance(error, FormatError):
        return NOT_VHDX if error.finding.rule == "FTI-01" else CORRUPT
    return _failed(arguments)


def _failed(arguments: argparse.Namespace) -> int:
    """Return the status of a failure; `compare` has its own, as 1 says something there."""
    return IO_FAILED if arguments.run is _compare else FAILED


def _path_of(error: Exception) -> str | None:
    """Return the file that an error is about, which need not be the one that was named."""
    path = error.filename if isinstance(error, OSError) else getattr(error, "path", None)
    return path if isinstance(path, str) else None


def _use_replacement(stream: IO[str]) -> None:
    # A terminal that cannot show a character gets its number instead of a traceback.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _run(arguments: argparse.Namespace) -> int:
    from ..errors import VhdxError

    try:
        for path in _inputs(arguments):
            with contextlib.suppress(OSError, ValueError):  # that is told when it is opened
                _Output.refuse_input(path, os.stat(path))
        try:
            status: int = arguments.run(arguments)
        except BrokenPipeError:
            raise
        except (VhdxError, OSError) as error:
            status = _failure(arguments, error)
        _Output.flush()
    except OutputError as error:
        _complain(None, f"standard output: {error}")
        _forget_output()
        return _failed(arguments)
    return status


def _inputs(arguments: argparse.Namespace) -> list[str]:
    """Return the files that are named to be read."""
    named = [getattr(arguments, name, None) for name in ("file", "other")]
    return [path for path in (*named, *getattr(arguments, "files", ())) if path is not None]


def _forget_output() -> None:
    # The interpreter would try once more to write what is left, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    # A stream that was closed before the start is None; no file may get its number.
    _Output.is_closed = sys.stdout is None
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    _use_replacement(sys.stdout)
    _use_replacement(sys.stderr)
    try:
        words = sys.argv[1:] if argv is None else list(argv)
        only = words[0] if words and words[0] in _COMMANDS else None
        parser = build_parser(only)
        arguments = parser.parse_args(words)
        _settle_parents(parser, arguments)
        return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads any more
        _forget_output()
        return PIPE_CLOSED


if __name__ == "__main__":
    sys.exit(main())
