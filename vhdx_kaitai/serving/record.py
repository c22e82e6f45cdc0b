"""One image as a flat record: what `check` and `info` say of it, or why they cannot.

Records go over processes and machines, into JSON Lines and tables. So each has the same fields,
whatever became of the image, and a bound on all that an image can put into it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator
from types import FrameType
from typing import Any

from ..checking.findings import Collector, Report
from ..checking.image import check_image
from ..checking.told import Skipped
from ..errors import Finding, UnsupportedError, VhdxError
from ..format.locator import LINKAGE, LINKAGE_2, PATH_KEYS
from ..reading.image import Image
from ..showing.document import SCHEMA_VERSION, TOOL, Document, error_fields, headed
from ..showing.findings import check_document, finding_of
from ..showing.info import IDENTITY, identity_document
from ..storage.source import RemoteSource, Source, open_source

# Ours: an image may break any number of rules, and have any text in it.
MOST_FINDINGS = 100
LONGEST_TEXT = 1024

_GRAVITY = ("error", "warning", "note")
_OF_STATE = ("file_size", "modified", "etag")
_OF_HEADER = ("file_write_guid", "data_write_guid")
_OF_LOCATOR = (LINKAGE, LINKAGE_2, *PATH_KEYS)


def scan_one(
    path: str | os.PathLike[str],
    *,
    ignore: Collection[str] = (),
    time_limit: float | None = None,
) -> Document:
    """Return the record of an image, whatever is wrong with it.

    It is what `vhdx_kaitai/schemas/scan.json` says. Parents are not looked at: `summarize` puts
    chains together of all records.

    Args:
        path: Path or URL of the file.
        ignore: Ids of rules that do not count.
        time_limit: Seconds after which the image is given up; in the main thread of a process
            alone. None for no limit.
    """
    start = time.perf_counter()
    path = os.fsdecode(path)
    record = _blank(path, ignore)
    try:
        with _limited(time_limit), contextlib.closing(open_source(path)) as stored:
            record |= state_of(stored)
            record |= _checked(stored, path, ignore)
    except _TimeIsUpError:
        record |= _failure(TimeoutError(f"not done within {time_limit:g} s"))
    except Exception as error:
        record |= _failure(error)
    record["seconds"] = round(time.perf_counter() - start, 6)
    return record


def failed(path: str, error: BaseException, ignore: Collection[str] = ()) -> Document:
    """Return the record of an image that could not be looked at."""
    return _blank(path, ignore) | _failure(error)


def state_of(stored: Source) -> Document:
    """Return what of a file tells whether it is still the one that was looked at.

    Nothing else in a record does, and nothing else asks for it, wherever the file is.
    """
    status = stored.status()
    modified = str(status.st_mtime_ns) if status is not None else None
    etag = stored.stamp_text() if isinstance(stored, RemoteSource) else None
    return {"file_size": stored.size, "modified": modified, "etag": etag}


def is_current(record: Document, path: str, ignore: Collection[str] = ()) -> bool:
    """Tell whether a record says what a new one would: same version, same rules, same file.

    That of a failure never does: what failed may work the next time.
    """
    if record["tool"] != TOOL or record["schema_version"] != SCHEMA_VERSION:
        return False
    if record["error_type"] is not None or record["ignored"] != sorted(ignore):
        return False
    try:
        with contextlib.closing(open_source(path)) as stored:
            return state_of(stored) == {name: record[name] for name in _OF_STATE}
    except (VhdxError, OSError, ValueError):
        return False


def report_of(record: Document, more: Collection[Finding] = ()) -> Report:
    """Return the report on an image that its record was made of.

    Args:
        record: The record.
        more: What was found since, about its parent.
    """
    skipped = [Skipped(**skipped) for skipped in record["skipped"]]
    if record["error_type"] is not None:
        skipped.append(Skipped("the image", f"{record['error_type']}: {record['error_message']}"))
    return Report(
        record["path"],
        record["verdict"] or "unusable",
        (*map(finding_of, record["findings"]), *more),
        tuple(skipped),
        record["more"],
        tuple(record["diagnosis"]),
        is_incomplete=record["is_incomplete"],
    )


def _blank(path: str, ignore: Collection[str]) -> Document:
    return headed(
        path=path,
        **dict.fromkeys(_OF_STATE),
        seconds=0.0,
        error_type=None,
        error_message=None,
        verdict=None,
        is_incomplete=False,
        ignored=sorted(ignore),
        **dict.fromkeys((*IDENTITY, "log_state", *_OF_HEADER, *_OF_LOCATOR)),
        findings=[],
        more={},
        skipped=[],
        diagnosis=[],
    )


def _failure(error: BaseException) -> Document:
    fields = error_fields(error)
    return {"error_type": fields["type"], "error_message": _cut(fields["message"])}


def _checked(stored: Source, path: str, ignore: Collection[str]) -> Document:
    """Return what a check finds, and what the image is, as far as it can be had."""
    collector = Collector(ignore)
    image = check_image(stored, collector)
    report = collector.report(path)
    found = check_document(report, path) | {"is_incomplete": report.is_incomplete}
    found.update(_worst(found["findings"], report.more))
    found.update(_of_image(image) if image is not None else {})
    return {name: value if name == "path" else _cut(value) for name, value in found.items()}


def _worst(findings: list[Document], more: dict[str, int]) -> Document:
    """Return the worst findings, and how many there are more of each rule."""
    by_gravity = sorted(findings, key=lambda finding: _GRAVITY.index(finding["level"]))
    left_out = Counter(finding["rule"] for finding in by_gravity[MOST_FINDINGS:])
    return {"findings": by_gravity[:MOST_FINDINGS], "more": dict(left_out + Counter(more))}


def _of_image(image: Image) -> Document:
    header, locator = image.headers.current, image.locator
    record = identity_document(image)
    record["log_state"] = image.log_state
    record.update((name, str(getattr(header, name))) for name in _OF_HEADER)
    if locator is not None:
        record.update((key, locator.entries.get(key)) for key in PATH_KEYS)
        record[LINKAGE] = str(locator.linkage)
        record[LINKAGE_2] = locator.linkage_2 and str(locator.linkage_2)
    return record


def _cut(value: Any) -> Any:
    """Return a value whose texts are no longer than a record can have them."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}..."
    if isinstance(value, dict):
        return {name: _cut(item) for name, item in value.items()}
    return [_cut(item) for item in value] if isinstance(value, list) else value


class _TimeIsUpError(BaseException):
    """An image has had its time; no handler of errors on the way may take this for one."""


@contextlib.contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    """Let what takes too long end with `_TimeIsUpError`."""
    if seconds is None:
        yield
        return
    if not hasattr(signal, "setitimer"):
        raise UnsupportedError("this system has no timer for a time limit")

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _TimeIsUpError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
