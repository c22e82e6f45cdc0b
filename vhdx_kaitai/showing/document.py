"""What documents have in common, how they become JSON, and the one for a refusal.

Nothing on this floor prints. Text that comes from an image is escaped before it
gets into a line for a terminal; documents keep it, and JSON escapes it by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from .._version import __version__
from ..errors import Assumption, FormatError
from ..records import TYPE_CHECKING
from ..storage.urls import shown

if TYPE_CHECKING:
    from typing import Any, TypeAlias

SCHEMA_VERSION = 1
TOOL = {"name": "vhdx-kaitai", "version": __version__}

Document: TypeAlias = "dict[str, Any]"


# The fields that say which files a document is about.
_OF_FILES = ("path", "other")


def headed(**fields: Any) -> Document:
    """Return a document with these fields, after what each of them begins with.

    Of URLs it has what may be told.
    """
    for name in _OF_FILES:
        if fields.get(name) is not None:
            fields[name] = shown(fields[name])
    return {"schema_version": SCHEMA_VERSION, "tool": dict(TOOL), **fields}


def json_text(document: object, indent: int | None = None) -> str:
    r"""Return a document as JSON that every parser takes.

    JSON has no place for a surrogate without a partner; it becomes the text of
    its number, `\ud800` for example. Names of files have such where their bytes
    are not UTF-8.
    """
    import json

    return json.dumps(_encodable(document), indent=indent)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value


def assumed_document(assumed: Iterable[Assumption]) -> list[Document]:
    """Return what documents say of what was taken for granted."""
    return [assumption._asdict() for assumption in assumed]


def error_document(path: str | None, error: Exception) -> Document:
    """Return the document for a file that could not be worked on."""
    return headed(path=path, error=error_fields(error))


def error_fields(error: BaseException) -> Document:
    """Return what a document says of an error: its class, and the rule and place if it has one."""
    finding = error.finding if isinstance(error, FormatError) else None
    return {
        "type": type(error).__name__,
        "rule": finding and finding.rule,
        "section": finding and finding.section,
        "where": finding and finding.where,
        "offset": finding and finding.offset,
        "message": finding.message if finding else plain_message(error),
    }


def plain_message(error: BaseException) -> str:
    """Return what an error says, without the number and path that `OSError` adds."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
