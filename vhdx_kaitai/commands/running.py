"""Running a command: what becomes of errors."""

from __future__ import annotations

import argparse

from ..errors import FormatError, OverwrittenError, ParentError, VhdxError
from ..names import OF_IMAGES
from ..showing.document import error_document, plain_message
from .output import complain, print_document, tell_quicker
from .status import CORRUPT, NOT_VHDX
from .streams import OutputError, flush, forget, refuse_to_write_into


def run(arguments: argparse.Namespace) -> int:
    """Run the command that was asked for and return its exit status."""
    try:
        for path in _inputs(arguments):
            refuse_to_write_into(path)
        try:
            status: int = arguments.command(arguments)
        except BrokenPipeError:
            raise
        except (VhdxError, OSError) as error:
            status = failure(arguments, error)
        tell_quicker(arguments)
        flush()
    except OutputError as error:
        complain(None, f"standard output: {error}")
        forget()
        return int(arguments.failed)
    return status


def _inputs(arguments: argparse.Namespace) -> list[str]:
    """Return the files that are named to be read."""
    named = [getattr(arguments, name, None) for name in ("file", "other")]
    return [path for path in (*named, *getattr(arguments, "files", ())) if path is not None]


def failure(arguments: argparse.Namespace, error: Exception) -> int:
    """Tell people about an error, and programs that want a document; return its exit status."""
    if arguments.json:
        print_document(error_document(_path_of(arguments, error), error), arguments.indent)
    return tell_failure(arguments, error)


def tell_failure(arguments: argparse.Namespace, error: Exception) -> int:
    """Tell people about an error and return its exit status."""
    option, what = _way_on(error, can_salvage=hasattr(arguments, "salvage"))
    message = plain_message(error)
    is_left = getattr(arguments, option.replace("-", "_"), None) in (False, "refuse")
    is_left = is_left and not getattr(arguments, "writable", False)  # which takes none of them
    if is_left and f"--{option}" not in message and not arguments.quiet:
        message += f" (--{option} {what})"
    complain(_path_of(arguments, error), message)
    if not isinstance(error, FormatError):
        return int(arguments.failed)
    is_other = error.finding.rule == "FTI-01" and not isinstance(error, OverwrittenError)
    return NOT_VHDX if is_other else CORRUPT


def _way_on(error: Exception, *, can_salvage: bool) -> tuple[str, str]:
    """Return which option of a command may get past a refusal, and what that does.

    Args:
        error: The refusal.
        can_salvage: Whether the command can go on past what is lost.
    """
    from ..reading.layers import LOST_RULES  # refusals are few

    if isinstance(error, ParentError):
        return "missing-parent", "zero (or lost) goes on without it"
    if not isinstance(error, FormatError):
        return "", ""
    if isinstance(error, OverwrittenError):
        return "assume-vhdx", "takes it for a VHDX file"
    rule = error.finding.rule
    is_named_so = str(error.path).lower().endswith(OF_IMAGES)
    if rule == "FTI-01" and error.finding.actual == _WIPED and is_named_so:
        return "assume-regions", "--assume-vhdx --assume-header read it if only its start is lost"
    if rule in LOST_RULES:
        return "salvage", "goes on past what is lost"
    if rule in ("HDR-05", "HDR-06"):
        return "assume-header", "follows the header that is most nearly right"
    if rule == "REG-04":
        return "assume-regions", "looks for what the region tables should name"
    if rule == "LOG-32" and can_salvage:
        return "salvage", "replays the log all the same, and goes on past what is lost"
    if rule.startswith("LOG-"):
        return "as-stored", "reads the file without the replay of its log"
    return "", ""


_WIPED = " ".join(["00"] * 8)  # in the place of the identifier


def _path_of(arguments: argparse.Namespace, error: Exception) -> str | None:
    """Return the file that an error is about, which need not be the one that was named."""
    path = error.filename if isinstance(error, OSError) else getattr(error, "path", None)
    return path if isinstance(path, str) else getattr(arguments, "file", None)
