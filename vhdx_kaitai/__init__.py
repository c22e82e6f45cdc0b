"""Read, judge and describe VHDX disk images, make new ones, and write to them [MS-VHDX].

    >>> import vhdx_kaitai
    >>> created = vhdx_kaitai.create("disk.vhdx", 64 << 20)
    >>> with vhdx_kaitai.open("disk.vhdx", writable=True) as disk:
    ...     written = disk.pwrite(b"hello", 0)
    ...     disk.flush()
    >>> with vhdx_kaitai.open("disk.vhdx") as disk:
    ...     print(disk.size, disk.disk_type, disk.pread(5, 0))
    67108864 dynamic b'hello'
    >>> vhdx_kaitai.check("disk.vhdx").verdict
    'clean'

Only `open(..., writable=True)`, `compact`, `edit`, `merge`, `rebase`, `repair`, `undo_repair`,
`resize` and `replay` change an image that is there.

What `open`, `check` and the errors hand out has a name here. Names are imported
when they are first used: the command line's --help needs none of them, and the
parser takes time.
"""

from __future__ import annotations

from ._version import __version__

TYPE_CHECKING = False  # as in `typing`, for which help and version need not wait

if TYPE_CHECKING:
    from typing import Any

    from .checking.chain import check
    from .checking.findings import Report
    from .checking.told import Skipped
    from .copying.digest import Digest, digest
    from .errors import (
        Assumption,
        FailedError,
        Finding,
        FormatError,
        InUseError,
        LimitError,
        OverwrittenError,
        ParentError,
        ParentMismatchError,
        ParentNotFoundError,
        ReplacedError,
        ReplayRequiredError,
        Span,
        TruncatedError,
        UnsafeError,
        UnsupportedError,
        VhdxError,
    )
    from .format.bat import Bat, Geometry, Occupied
    from .format.headers import HeaderCopy, Headers, probe
    from .format.locator import Locator
    from .format.log import JudgedEntry, Log, LogRun
    from .format.metadata import Metadata
    from .format.place import Place
    from .format.regions import Regions
    from .format.replay import ReplaySummary
    from .format.structures import (
        Header,
        KeyValue,
        LogDescriptor,
        LogEntryHeader,
        MetadataEntry,
        ParentLocator,
        RegionEntry,
    )
    from .reading.changed import Changed, changed
    from .reading.disk import Disk, DiskFile
    from .reading.extents import Extent
    from .reading.image import Image
    from .reading.layers import MissingParent
    from .reading.links import Link
    from .rules import Rule, catalogue
    from .serving.fleet import scan
    from .serving.record import scan_one
    from .serving.report import report
    from .serving.summary import summarize
    from .showing.page import report_page
    from .storage.overlay import Update
    from .storage.source import Source
    from .writing.blank import Created
    from .writing.compact import compact
    from .writing.convert import convert
    from .writing.create import create
    from .writing.disk import WritableDisk, WritableDiskFile
    from .writing.edit import edit
    from .writing.mending import Doubt
    from .writing.merge import merge
    from .writing.opening import open
    from .writing.rebase import rebase
    from .writing.repair import RepairItem, RepairOutcome, Unrepaired, repair, undo_repair
    from .writing.replay import replay
    from .writing.resize import resize
    from .writing.session import Change, Outcome

__all__ = [
    "Assumption",
    "Bat",
    "Change",
    "Changed",
    "Created",
    "Digest",
    "Disk",
    "DiskFile",
    "Doubt",
    "Extent",
    "FailedError",
    "Finding",
    "FormatError",
    "Geometry",
    "Header",
    "HeaderCopy",
    "Headers",
    "Image",
    "InUseError",
    "JudgedEntry",
    "KeyValue",
    "LimitError",
    "Link",
    "Locator",
    "Log",
    "LogDescriptor",
    "LogEntryHeader",
    "LogRun",
    "Metadata",
    "MetadataEntry",
    "MissingParent",
    "Occupied",
    "Outcome",
    "OverwrittenError",
    "ParentError",
    "ParentLocator",
    "ParentMismatchError",
    "ParentNotFoundError",
    "Place",
    "RegionEntry",
    "Regions",
    "RepairItem",
    "RepairOutcome",
    "ReplacedError",
    "ReplayRequiredError",
    "ReplaySummary",
    "Report",
    "Rule",
    "Skipped",
    "Source",
    "Span",
    "TruncatedError",
    "Unrepaired",
    "UnsafeError",
    "UnsupportedError",
    "Update",
    "VhdxError",
    "WritableDisk",
    "WritableDiskFile",
    "__version__",
    "catalogue",
    "changed",
    "check",
    "compact",
    "convert",
    "create",
    "digest",
    "edit",
    "grammar_text",
    "merge",
    "open",
    "probe",
    "rebase",
    "repair",
    "replay",
    "report",
    "report_page",
    "resize",
    "scan",
    "scan_one",
    "summarize",
    "undo_repair",
]

_NAMES_IN = {
    "checking.chain": "check",
    "checking.findings": "Report",
    "checking.told": "Skipped",
    "copying.digest": "Digest digest",
    "errors": (
        "Assumption FailedError Finding FormatError InUseError LimitError OverwrittenError "
        "ParentError ParentMismatchError ParentNotFoundError ReplacedError ReplayRequiredError "
        "Span TruncatedError UnsafeError UnsupportedError VhdxError"
    ),
    "format.bat": "Bat Geometry Occupied",
    "format.headers": "HeaderCopy Headers probe",
    "format.locator": "Locator",
    "format.log": "JudgedEntry Log LogRun",
    "format.metadata": "Metadata",
    "format.place": "Place",
    "format.regions": "Regions",
    "format.replay": "ReplaySummary",
    "format.structures": (
        "Header KeyValue LogDescriptor LogEntryHeader MetadataEntry ParentLocator RegionEntry"
    ),
    "reading.changed": "Changed changed",
    "reading.disk": "Disk DiskFile",
    "reading.extents": "Extent",
    "reading.image": "Image",
    "reading.layers": "MissingParent",
    "reading.links": "Link",
    "rules": "Rule catalogue",
    "serving.fleet": "scan",
    "serving.record": "scan_one",
    "serving.report": "report",
    "serving.summary": "summarize",
    "showing.page": "report_page",
    "storage.overlay": "Update",
    "storage.source": "Source",
    "writing.blank": "Created",
    "writing.compact": "compact",
    "writing.convert": "convert",
    "writing.create": "create",
    "writing.disk": "WritableDisk WritableDiskFile",
    "writing.edit": "edit",
    "writing.mending": "Doubt",
    "writing.merge": "merge",
    "writing.opening": "open",
    "writing.rebase": "rebase",
    "writing.repair": "RepairItem RepairOutcome Unrepaired repair undo_repair",
    "writing.replay": "replay",
    "writing.resize": "resize",
    "writing.session": "Change Outcome",
}
_HOMES = {name: module for module, names in _NAMES_IN.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_HOMES[name]}", __name__)
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def grammar_text() -> bytes:
    """Return the Kaitai Struct grammar of the format, `vhdx.ksy`, as it is shipped."""
    from importlib.resources import files

    return (files("vhdx_kaitai.generated") / "vhdx.ksy").read_bytes()
