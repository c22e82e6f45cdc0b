"""The exception tree, and `Finding`: one broken rule with its id, section, place and value.

Whatever the bytes of an image, a call of this package returns or raises one of
these, or an `OSError` that comes from the operating system. The classes stand
for the decisions a caller can take; which rule was broken is in the finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .records import TYPE_CHECKING, NamedTuple
from .text import plain_signature, quoted, signature_text

if TYPE_CHECKING:
    from typing import Any, Literal, Protocol, TypeAlias
else:
    Protocol = object  # which only type checkers look at

# A limit is one of our own: the file may be fine, but is too much to be looked at.
Level: TypeAlias = 'Literal["error", "warning", "note", "limit"]'

# Rules that are broken when bytes which the image needs are not in the file.
_TRUNCATION_RULES = frozenset({"GEN-07", "HDR-13", "REG-13", "LOG-32", "BAT-10"})


class Where(Protocol):
    """A place in a file. Working out the numbers may cost, so they are asked for late."""

    @property
    def text(self) -> str:
        """The structure and its file offset, for people."""

    @property
    def offset(self) -> int | None:
        """File offset in bytes of what is in question; None when it is not in the file."""

    @property
    def length(self) -> int | None:
        """How many bytes are in question."""


class Replay(Protocol):
    """What the replay of a log does; a `format.replay.ReplaySummary`."""

    @property
    def entries(self) -> Sequence[Any]:
        """The entries that are replayed, each a `format.log.Entry`, oldest first."""

    @property
    def changed_bytes(self) -> int:
        """Bytes of the file that come from the log."""

    @property
    def size(self) -> int:
        """Length of the file after it, in bytes."""


class Span(NamedTuple):
    """A place whose numbers are known already.

    Attributes:
        text: The structure and its file offset, for people.
        offset: File offset in bytes of what is in question; None when it is not in the file.
        length: How many bytes are in question; None when that cannot be said.
    """

    text: str
    offset: int | None = None
    length: int | None = None


class Finding(NamedTuple):
    """One broken rule.

    Attributes:
        rule: Id of the rule, `HDR-03` for example.
        level: `error`: a reader refuses the file or some of its data. `warning`:
            the disk opens and reads rightly, but something is damaged. `note`:
            unusual and harmless. `limit`: it passes a limit of our own; no report
            has such a finding.
        place: Where it is.
        message: What was found and what was expected.
        expected: The expected value alone, where there is one.
        actual: The value found, where there is one, as it stands: texts without quotes.
    """

    rule: str
    level: Level
    place: Where
    message: str
    expected: str | None = None
    actual: str | None = None

    @property
    def section(self) -> str:
        """Section of [MS-VHDX] that states the rule, or the nearest one."""
        from .rules import section_of  # most files are fine, and need no catalogue

        return section_of(self.rule)

    @property
    def where(self) -> str:
        """The structure and its file offset."""
        return self.place.text

    @property
    def offset(self) -> int | None:
        """File offset of the bytes in question."""
        return self.place.offset

    @property
    def length(self) -> int | None:
        """Number of the bytes in question."""
        return self.place.length

    def __str__(self) -> str:
        return f"{self.where}: {self.message} [{self.rule}, MS-VHDX {self.section}]"


def mismatch(
    rule: str, level: Level, place: Where, name: str, actual: str, expected: str
) -> Finding:
    """Return a finding about one value that is not what it has to be."""
    return Finding(rule, level, place, f"{name} {actual}, expected {expected}", expected, actual)


def mismatched_text(
    rule: str, level: Level, place: Where, name: str, actual: str, expected: str
) -> Finding:
    """Return a finding about one text of the image, which its message has in quotes."""
    shown = mismatch(rule, level, place, name, quoted(actual), expected)
    return shown._replace(actual=actual)


def mismatched_signature(
    rule: str, level: Level, place: Where, actual: bytes, expected: bytes
) -> Finding:
    """Return a finding about a structure that does not begin as it has to."""
    shown = signature_text(actual), signature_text(expected)
    plain = plain_signature(actual), plain_signature(expected)
    found = mismatch(rule, level, place, "signature", *shown)
    return found._replace(actual=plain[0], expected=plain[1])


def check_zeros(rule: str, place: Where, name: str, data: bytes) -> Iterator[Finding]:
    """Yield how many of some bytes that are ignored, and should be zero, are not."""
    count = len(data) - data.count(0)
    if count:
        yield mismatch(rule, "note", place, f"number of {name} that are not zero", str(count), "0")


class Assumption(NamedTuple):
    """Something that a rescue takes for granted, because nothing says it rightly.

    Attributes:
        path: The file that it is about; None when its bytes come from somewhere else.
        what: What is assumed: `identifier`, `headers`, `log`, `region table`, for example.
        message: What is wrong, and what is taken instead.
    """

    path: str | None
    what: str
    message: str

    def __str__(self) -> str:
        return f"assumed {self.what}: {self.message}"


class VhdxError(Exception):
    """Anything that keeps this package from doing what it was asked to do.

    Attributes:
        path: The file that it is about, where that is known.
    """

    path: str | None = None


class FormatError(VhdxError):
    """A rule of the format refuses the file, or some of its data.

    Attributes:
        finding: The broken rule.
    """

    def __init__(self, finding: Finding, path: str | None = None) -> None:
        super().__init__(finding)
        self.finding = finding
        self.path = path

    def __str__(self) -> str:
        return str(self.finding)


class OverwrittenError(FormatError):
    """The file type identifier of a VHDX file was overwritten, and other structures are whole."""


class TruncatedError(FormatError):
    """Bytes that should be in the file are not there."""


class UnsupportedError(VhdxError):
    """The file may be fine, but this package cannot or may not do what it needs."""


class LimitError(UnsupportedError):
    """The file passes a limit of our own, which keeps hostile files from costing too much.

    Attributes:
        finding: Which, and where.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class ReplayRequiredError(UnsupportedError):
    """The log has to be replayed first, and the caller forbade it.

    Attributes:
        summary: What the replay would do.
    """

    def __init__(self, message: str, summary: Replay) -> None:
        super().__init__(message)
        self.summary = summary


class InUseError(VhdxError):
    """Another program has the file open, so it is not changed now."""


class UnsafeError(VhdxError):
    """A change would harm something else; the message says what, and what option overrides that."""


class FailedError(VhdxError):
    """An earlier write or flush has failed, so nothing more is written to the file.

    What it holds is what a power cut at that moment may have left: opening it again
    puts it in order.
    """


class ReplacedError(VhdxError):
    """The file is not the one any more that was opened, so that bytes of two would be mixed.

    Opening it again reads the new one.
    """

    def __init__(self, message: str = "the file was replaced or changed since it was opened"):
        super().__init__(message)


class ParentError(VhdxError):
    """The parent of a differencing disk cannot be used."""


class ParentNotFoundError(ParentError):
    """No parent was found, or none was looked for."""


class ParentMismatchError(ParentError):
    """A file stands where the parent should be, but it is another one."""


def refusal(finding: Finding) -> FormatError:
    """Return the exception for a finding that refuses the file."""
    kind = TruncatedError if finding.rule in _TRUNCATION_RULES else FormatError
    return kind(finding)


def refuse(findings: Iterable[Finding]) -> bool:
    """Run a check as opening does: pass over notes and warnings, stop at the first error.

    Returns:
        True: what was checked may be believed.

    Raises:
        FormatError: A finding refuses the file.
        LimitError: A limit of our own is passed.
    """
    for finding in findings:
        if finding.level == "limit":
            raise LimitError(finding)
        if finding.level == "error":
            raise refusal(finding)
    return True
