"""Read, judge and describe VHDX disk images [MS-VHDX]."""

from __future__ import annotations

from ._version import __version__
from .records import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from .checking.chain import check
    from .checking.findings import Report
    from .errors import (
        Finding,
        FormatError,
        LimitError,
        ParentError,
        ParentMismatchError,
        ParentNotFoundError,
        ReplayRequiredError,
        TruncatedError,
        UnsupportedError,
        VhdxError,
    )
    from .format.headers import probe
    from .reading.disk import Disk, DiskFile, Extent
    from .reading.disk import open_disk as open
    from .reading.image import Image

__all__ = [
    "Disk",
    "DiskFile",
    "Extent",
    "Finding",
    "FormatError",
    "Image",
    "LimitError",
    "ParentError",
    "ParentMismatchError",
    "ParentNotFoundError",
    "ReplayRequiredError",
    "Report",
    "TruncatedError",
    "UnsupportedError",
    "VhdxError",
    "__version__",
    "check",
    "grammar_text",
    "open",
    "probe",
]

# Which module each name comes from. They are imported when they are first used:
# the command line's --help needs none of them, and the parser takes time.
_HOMES = {
    "Report": "checking.findings",
    "check": "checking.chain",
    "Disk": "reading.disk",
    "DiskFile": "reading.disk",
    "Extent": "reading.disk",
    "open": "reading.disk",
    "Image": "reading.image",
    "probe": "format.headers",
    "Finding": "errors",
    "FormatError": "errors",
    "LimitError": "errors",
    "ParentError": "errors",
    "ParentMismatchError": "errors",
    "ParentNotFoundError": "errors",
    "ReplayRequiredError": "errors",
    "TruncatedError": "errors",
    "UnsupportedError": "errors",
    "VhdxError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_HOMES[name]}", __name__)
    value = getattr(module, "open_disk" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def grammar_text() -> bytes:
    """Return the Kaitai Struct grammar of the format, `vhdx.ksy`, as it is shipped."""
    from importlib.resources import files

    return (files("vhdx_kaitai.generated") / "vhdx.ksy").read_bytes()
