"""What is on a disk: its volumes with their file systems, and the files in one of them."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from ..errors import Assumption
from ..reading.entries import Entry, FileSystem, Status
from ..reading.partitions import PartitionTable
from ..reading.places import WHOLE_DISK, Place
from ..records import NamedTuple
from ..text import human_size, printable
from .document import Document, assumed_document, headed, json_text

_COLUMNS = "{:>10} {:>16} {:>16}  {:<9} {:>10} {:>10} {:>10}  {:<18} {}"
_LETTERS = {"file": "-", "folder": "d", "link": "l", "pipe": "p", "socket": "s"}


class Described(NamedTuple):
    """A part of a disk, and what is said of it.

    Attributes:
        place: Where it is.
        system: What its file system says of itself; None when that is not known.
        error: Why; None when nothing went wrong.
    """

    place: Place
    system: FileSystem | None
    error: str | None


def files_document(
    path: str,
    size: int,
    table: PartitionTable | None,
    described: Iterable[Described],
    assumed: Iterable[Assumption],
) -> Document:
    """Return what `files --json` prints.

    Args:
        path: Path of the image.
        size: Size of the disk in bytes.
        table: Its partition table.
        described: What is on it.
        assumed: What was taken for granted of the images.
    """
    return headed(
        path=path,
        virtual_disk_size=size,
        partition_table=table and table.kind,
        doubt=(table and table.doubt) or None,
        volumes=[_volume(*one) for one in described],
        assumed=assumed_document(assumed),
    )


def _volume(place: Place, system: FileSystem | None, error: str | None) -> Document:
    part = place.partition
    return {
        "partition": place.number,
        "offset": place.volume.start,
        "length": place.volume.end - place.volume.start,
        "type": part and part.kind,
        "name": part and part.name,
        "guid": part and part.guid,
        "content": place.kind or None,
        "file_system": system and _system(system),
        "error": error,
    }


def _system(system: FileSystem) -> Document:
    used = None if system.free is None else system.size - system.free
    fields = system._asdict()
    return {**fields, "label": system.label or None, "uuid": system.uuid or None, "used": used}


def files_text(document: Document) -> Iterator[str]:
    """Yield the lines of `files`."""
    table = document["partition_table"] or "no partition table"
    doubt = f" ({document['doubt']})" if document["doubt"] else ""
    size = human_size(document["virtual_disk_size"])
    yield f"{printable(document['path'])}: disk of {size}, {table}{doubt}"
    heads = ("partition", "start", "length", "holds", "size", "used", "free", "label", "name")
    yield _COLUMNS.format(*heads if document["partition_table"] else (*heads[:-1], "")).rstrip()
    for volume in document["volumes"]:
        system = volume["file_system"] or {}
        number = "whole disk" if volume["partition"] == WHOLE_DISK else volume["partition"]
        yield _COLUMNS.format(
            "-" if number is None else number,
            f"{volume['offset']:#x}",
            f"{volume['length']:#x}",
            system.get("kind") or volume["content"] or "?",
            *(_size(system.get(key)) for key in ("size", "used", "free")),
            *(repr(text) if text else "" for text in (system.get("label"), volume["name"])),
        ).rstrip()
        for text in (system.get("doubt"), volume["error"]):
            if text:
                yield f"{'':>10} {printable(text)}"


def _size(size: int | None) -> str:
    return "" if size is None else human_size(size).removeprefix("about ")


# -- files in a folder ----------------------------------------------------------------------------


def ls_text(entries: Iterable[Entry], *, long: bool) -> Iterator[str]:
    """Yield the lines of `ls`: a name each, that of a folder with `/` after it.

    Args:
        entries: What is listed.
        long: Whether each line tells all that is known.
    """
    for entry in entries:
        status = entry.status
        name = printable(entry.path) + "/" * (status.kind == "folder")
        if not long:
            yield name
            continue
        arrow = "" if status.target is None else f" -> {printable(status.target)}"
        time = "-" if status.modified is None else _time(status.modified)[:19].replace("T", " ")
        yield f"{_mode(status):<10} {status.names:>4} {status.size:>15} {time:<19} {name}{arrow}"


def _mode(status: Status) -> str:
    """Return what somebody is and who may do what, as `ls -l` has it."""
    letter = _LETTERS.get(status.kind, "?")
    return letter if status.mode is None else letter + stat.filemode(status.mode)[1:]


def _time(modified: int) -> str:
    """Return a time in nanoseconds since 1970 as text, in UTC."""
    seconds, nanoseconds = divmod(modified, 10**9)
    try:
        found = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # no year that people count
        return f"{seconds}.{nanoseconds:09}"
    return f"{found:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def ls_json(head: dict[str, Any], entries: Iterable[Entry], left_out: list[Any]) -> Iterator[str]:
    """Yield the pieces of `ls --json`, of which there may be millions.

    Args:
        head: What the document says besides.
        entries: What is listed.
        left_out: Path and reason of what is not, known when all is listed.
    """
    yield json_text(headed(**head))[:-1] + ', "entries": ['
    separator = "\n"
    for entry in entries:
        yield separator + json_text(_entry(entry))
        separator = ",\n"
    told = [{"path": path, "message": why} for path, why in left_out]
    yield f'\n], "left_out": {json_text(told)}}}\n'


def _entry(entry: Entry) -> Document:
    status = entry.status
    return {
        "path": entry.path,
        "type": status.kind,
        "size": status.size,
        "mode": None if status.mode is None else f"{status.mode:04o}",
        "modified": None if status.modified is None else _time(status.modified),
        "names": status.names,
        "target": status.target,
    }
