"""A damaged image is repaired, as far as the file itself says how it should be.

What is wrong is what a check finds. Every repair is tried first, without a byte being
written, and checked again: only those count by which findings go and no error comes. The
plan is what was tried. When it is carried out, what the file was is first saved in a dump
beside it; then the steps that were tried are done to the file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from contextlib import closing

from ..checking.chain import check
from ..checking.findings import Report
from ..copying.data import Progress
from ..errors import FormatError, UnsafeError, VhdxError, refusal
from ..reading.image import Image
from ..records import NamedTuple
from ..rules import catalogue
from ..storage.locks import Lock
from ..storage.source import open_source
from ..storage.target import FileTarget
from .mending import Doubt, Leave
from .rehearsal import Rehearsal
from .repairs import REPAIRS
from .undo import Undo, read_undo


class RepairItem(NamedTuple):
    """One repair of a plan.

    Attributes:
        rule: The rule that is broken.
        what: What is changed, in words.
        lost: What is lost with it; `nothing` when nothing is.
        lost_ranges: Ranges of the disk that are lost: virtual offset and length in bytes.
        doubtful: Ranges of which nobody knows whether they are right.
    """

    rule: str
    what: str
    lost: str
    lost_ranges: tuple[tuple[int, int], ...]
    doubtful: tuple[Doubt, ...]


class Unrepaired(NamedTuple):
    """What stays as it is.

    Attributes:
        rule: The rule that is broken.
        why: Why it is not repaired.
        next_step: What can be done instead.
    """

    rule: str
    why: str
    next_step: str


class RepairOutcome(NamedTuple):
    """What a repair has made of an image, or would make of it.

    Attributes:
        is_changed: Whether the file was changed.
        is_locked: Whether programs that ask for locks were kept away meanwhile.
        items: The repairs, in their order.
        left: What is not repaired.
        undo: The file that holds what the image was; None when nothing was changed.
        verdict: What a check says of the image as it is now.
        planned: What a check says of it after the repairs of the plan.
    """

    is_changed: bool
    is_locked: bool
    items: tuple[RepairItem, ...]
    left: tuple[Unrepaired, ...]
    undo: str | None
    verdict: str
    planned: str


def repair(
    path: str | os.PathLike[str],
    *,
    write: bool = False,
    only: Collection[str] | None = None,
    undo: str | os.PathLike[str] | None = None,
    fill_cut: bool = False,
    forget_lost: bool = False,
    discard_log: bool = False,
    split: bool = False,
    force: bool = False,
    lock: Lock = "auto",
    progress: Progress | None = None,
) -> RepairOutcome:
    """Plan repairs of an image from what a check finds, and make them if that is wanted.

    The DataWriteGuid stays, so children keep their parent [MS-VHDX 2.2.2], unless the disk
    reads otherwise then: with zeros for what was cut, or without blocks that are given up.

    Args:
        path: The file.
        write: Whether the repairs are made; otherwise nothing is written.
        only: Ids of the rules that count; all when it is None.
        undo: Where what is overwritten gets saved; `.undo` after the path when it is None.
        fill_cut: Whether zeros may stand for the missing end of a block that was cut.
        forget_lost: Whether blocks may be given up whose place is past the end of the file.
        discard_log: Whether a log may be given up of which nothing is valid.
        split: Whether blocks that share space of the file get each a copy of its own. Which of
            them is right nobody knows, so they are listed.
        force: Whether the disk may read otherwise although children, or records for backups,
            rely on the image.
        lock: Whether the file has to be locked, as QEMU does it: `auto` goes on without
            where the file system has no locks, True refuses, False does not ask.
        progress: Told how many bytes of blocks were copied, and also while the plan is made
            and between repairs. When it raises, what was repaired stays so, and the rest is as
            it was, but that the file may be longer; `undo_repair` takes all of it back.

    Raises:
        FormatError: The file is no VHDX file.
        InUseError: Another program has the file open.
        ValueError: There is no such rule.
        OSError: The dump exists, cannot be written, or the medium fails.
    """
    name = os.fsdecode(path)
    unknown = sorted(set(only or ()) - catalogue().keys())
    if unknown:
        raise ValueError(f"no rule {unknown[0]}")
    leave = Leave(fill_cut, forget_lost, discard_log, split, force)
    with closing(FileTarget(name, lock) if write else open_source(name)) as file:
        rehearsal = Rehearsal(file)
        told = progress or _silent
        planned = _plan(rehearsal, only, leave, told)
        if not isinstance(file, FileTarget) or not planned.items:
            return planned._replace(is_locked=isinstance(file, FileTarget) and file.is_locked)
        told(0)
        dump = f"{name}.undo" if undo is None else os.fsdecode(undo)
        Undo.of(rehearsal).save(dump)
        carry_out(rehearsal, file, told)
        done = planned._replace(is_changed=True, is_locked=file.is_locked, undo=dump)
    return done._replace(verdict=check(name).verdict)


def carry_out(rehearsal: Rehearsal, file: FileTarget, progress: Progress) -> None:
    """Do to a file what was tried."""
    done = 0
    for number, step in enumerate(rehearsal.steps, 1):
        for copied in step.parts(file):
            done += copied
            progress(done)
        if number in rehearsal.pauses:
            progress(done)


def undo_repair(
    path: str | os.PathLike[str],
    dump: str | os.PathLike[str],
    *,
    force: bool = False,
    lock: Lock = "auto",
) -> None:
    """Make an image what it was before it was repaired, to the byte.

    The file may have another name by now, and the repair may have been cut off. When this is
    interrupted, it can be done once more.

    Args:
        path: The file.
        dump: What `repair` has left.
        force: Whether it is done although the dump is of another file, or this one was
            written to since: that is partly lost then, and the disk may be damaged by it.
        lock: As `repair` takes it.

    Raises:
        UnsupportedError: That is no dump, or is damaged; nothing was changed.
        UnsafeError: The dump is of another file, or that was written to since.
        InUseError: Another program has the file open.
        OSError: A file cannot be opened, or the medium fails.
    """
    with closing(open_source(os.fsdecode(dump))) as source:
        try:
            before = read_undo(source)
        except VhdxError as error:
            error.path = source.path
            raise
    with closing(FileTarget(os.fsdecode(path), lock)) as file:
        if not force:
            try:
                before.refuse_other(file)
            except UnsafeError as error:
                error.path = file.path
                raise
        before.bring_back(file)


def _silent(_done: int) -> None:
    """Say nothing of how far it is."""


def _plan(
    rehearsal: Rehearsal,
    only: Collection[str] | None,
    leave: Leave,
    progress: Progress = _silent,
) -> RepairOutcome:
    """Try the repairs, and return what comes of them."""
    report = _checked(rehearsal)
    verdict = report.verdict
    items: list[RepairItem] = []
    why: dict[str, list[str]] = {}
    for rule, mend in REPAIRS:
        if rule not in _counts(report) or (only is not None and rule not in only):
            continue
        progress(0)
        moment = rehearsal.moment()
        try:
            mended = mend(rehearsal, leave)
        except VhdxError as error:
            rehearsal.go_back(moment)
            why.setdefault(rule, []).append(_reason(error, rule))
            continue
        after = _checked(rehearsal)
        bad = _wrong_with(rule, report, after)
        if bad is not None:
            rehearsal.go_back(moment)
            why.setdefault(rule, []).append(bad)
            continue
        rehearsal.pause()
        items.append(RepairItem(rule, *mended))
        report = after
    left = tuple(_left(report, only, why, is_readable=_is_readable(rehearsal)))
    return RepairOutcome(False, False, tuple(items), left, None, verdict, report.verdict)


def _checked(rehearsal: Rehearsal) -> Report:
    report = check(rehearsal, all_findings=True)
    if report.verdict == "not-vhdx":
        error = refusal(next(f for f in report.findings if f.rule == "FTI-01"))
        error.path = rehearsal.path
        raise error
    return report


def _counts(report: Report, level: str | None = None) -> Counter[str]:
    """Return how often rules are broken, or those that are so at a level."""
    counts = Counter(f.rule for f in report.findings if level in (None, f.level))
    for rule in counts:
        counts[rule] += report.more.get(rule, 0)
    return counts


def _wrong_with(rule: str, before: Report, after: Report) -> str | None:
    """Return why a repair is none: it has to help, and do no harm."""
    if _counts(after)[rule] >= _counts(before)[rule]:
        return "what would be done does not help"
    worse = _counts(after, "error") - _counts(before, "error")
    if worse:
        return f"another rule would be broken then: {', '.join(sorted(worse))}"
    return None


def _reason(error: VhdxError, rule: str) -> str:
    """Return why the repair of what breaks a rule failed."""
    if not isinstance(error, FormatError):
        return str(error)
    found = error.finding
    if found.rule == rule:
        return found.message
    return f"something else is in the way: {found.message} [{found.rule}]"


def _is_readable(rehearsal: Rehearsal) -> bool:
    """Tell whether anything of the disk can be read without that something is assumed."""
    try:
        Image(rehearsal)
    except VhdxError:
        return False
    return True


def _left(
    report: Report,
    only: Collection[str] | None,
    why: dict[str, list[str]],
    *,
    is_readable: bool,
) -> list[Unrepaired]:
    """Return what is not repaired, with the reason and what to do about it."""
    left: dict[str, Unrepaired] = {}
    broken = _counts(report)
    for finding in report.findings:
        rule = finding.rule
        if rule in why:
            reason = "; ".join(why[rule])
        elif only is not None and rule not in only and any(rule == one for one, _ in REPAIRS):
            reason = "it was not asked for"
        else:
            needless = _NO_DAMAGE if rule == "LOG-01" else _NEEDLESS
            reason = _UNKNOWN if finding.level == "error" else needless
        worse = next((other for other in _WORSE.get(rule, ()) if other in broken), rule)
        step = _NEXT.get(worse)
        if step is None:
            of_errors = _INTO_A_NEW_FILE if is_readable else _UNREADABLE
            step = of_errors if finding.level == "error" else _HARMLESS
        left.setdefault(rule, Unrepaired(rule, reason, step))
    return list(left.values())


_UNKNOWN = "the file does not say how it should be"
_NEEDLESS = "there is no repair, and none is needed"
_NO_DAMAGE = "a dirty log is no damage"
_INTO_A_NEW_FILE = "`convert --salvage` takes what can be read into a new file, see docs/rescue.md"
_UNREADABLE = "none is known: without that nothing of the disk can be read"
_HARMLESS = "none is needed: readers do not mind"
# With what else is broken the next step of a rule is another one.
_WORSE = {
    "LOG-01": ("LOG-31", "LOG-32"),
    "HDR-02": ("HDR-05", "HDR-06"),
    "HDR-03": ("HDR-05", "HDR-06"),
    "REG-02": ("REG-04",),
    "REG-03": ("REG-04",),
}
_OTHER_COPY = "look at what is said of the other copy"
_NEXT = {
    "LOG-01": "`replay` brings what the log holds into its place",
    "LOG-31": "`convert --as-stored` reads the file without its log",
    "LOG-32": "`convert --salvage` replays the log of a file that was cut",
    "HDR-05": "`convert --assume-header` follows the header that is most nearly right",
    "HDR-02": _OTHER_COPY,
    "HDR-03": _OTHER_COPY,
    "REG-02": _OTHER_COPY,
    "REG-03": _OTHER_COPY,
    "HDR-06": "`convert --assume-header` follows one of them",
    "REG-04": "`convert --assume-regions` looks for what the tables should name",
    "FTI-01": "`convert --assume-vhdx` takes the file for a VHDX file",
    "BAT-10": "`convert --salvage` saves the rest, with zeros where blocks are lost",
}
