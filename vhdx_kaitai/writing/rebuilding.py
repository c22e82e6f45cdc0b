"""Identifier and headers that are gone are made anew, where a region table says what the rest is.

No reader opens such a file, so nothing that is written can make it worse. The headers come
first, one on the medium before the other, and then the identifier, by which a file is taken
for a VHDX file (FTI-06).

Nobody knows without a header where the log was and whether it was dirty. What looks like an
entry of a log may be a new one or a very old one: then it takes the word of the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from ..checking.survey import survey
from ..errors import UnsafeError, UnsupportedError, refuse
from ..format import encode, grammar, headers
from ..format.descent import Descent
from ..format.judge import Assumable
from ..format.log import ENTRY_SIGNATURE, SECTOR
from ..format.place import HEADERS, IDENTIFIER, TOP_LEVEL
from ..format.rescue import Rescuer
from ..format.structures import FileTypeIdentifier, Header
from ..guids import NIL
from ..reading.image import Image
from ..storage.source import Source
from ..storage.target import Target
from ..units import MIB
from .blank import CREATOR
from .mending import Leave, Mended

_IDENTIFIER_LENGTH = TOP_LEVEL["header_1"][0]  # with what is reserved after it


def mend_identifier(file: Target, _leave: Leave) -> Mended:
    """Write a file type identifier over one that was overwritten."""
    way = Descent(file, Rescuer(file.path, Assumable(identifier=True)))
    found = way.headers
    assert found is not None
    refuse(headers.check_room(found.current, 2))
    _write_headers(file, 3 - found.current_copy, found.current, file_write_guid=uuid4())
    data = encode.file_type_identifier(FileTypeIdentifier(encode.raw_creator(CREATOR)))
    assert IDENTIFIER.base is not None
    file.write(data.ljust(_IDENTIFIER_LENGTH, b"\0"), IDENTIFIER.base)
    file.flush()
    lost = "the name of the program that made the file, and what else was in its first 64 KiB"
    return Mended("the file type identifier is written anew", lost)


def rebuild_headers(file: Target, leave: Leave) -> Mended:
    """Write both headers anew, with new GUIDs and a clean log.

    Raises:
        UnsafeError: There may be a log, and nobody has given it up.
        UnsupportedError: There is no place for a log.
    """
    copies = headers.judge_copies(grammar.HeaderSection(file))
    if any(copy.is_valid for copy in copies):
        raise UnsupportedError("a header is valid")
    image = Image(file, assumable=Assumable(identifier=True, headers=True, as_stored=True))
    gaps = survey(image, 1).gaps
    if gaps is None or gaps.total > sum(stop - start for start, stop in gaps.first):
        raise UnsupportedError("there are too many places where a log may be")
    free = [(start * MIB, min(stop * MIB, file.size)) for start, stop in gaps.first]
    near = headers.most_nearly_right(copies, file.size)
    if near is not None and near.header.log_length:
        offset, length = near.header.log_offset, near.header.log_length
        why = f"as header {near.copy} says, although it is not valid"
    else:
        offset = next((start for start, stop in free if stop - start >= MIB), 0)
        length, why = MIB, "where nothing else is"
    if not offset:
        raise UnsupportedError("nothing says where the log is, and there is no space for one")
    entry = _entry_of_log(file, [(offset, offset + length), *free])
    if entry is not None and not leave.discard_log:
        message = f"there may be a log at {entry:#x}, which was replayed or was not; "
        raise UnsafeError(message + "--discard-log (discard_log=True) gives it up")
    new = {"log_offset": offset, "log_length": length, "log_guid": NIL, "log_version": 0}
    guids = {"file_write_guid": uuid4(), "data_write_guid": uuid4()}
    blank = copies[0].header._replace(is_signature_valid=True, version=1, sequence_number=0)
    _write_headers(file, 1, blank, **new, **guids)
    what = f"both headers are written anew; assumed is a clean log at {offset:#x}, {why}"
    lost = "the DataWriteGuid, by which children know their parent"
    return Mended(
        what, lost if entry is None else f"{lost}; and whatever the log held, if anything"
    )


def _write_headers(file: Target, copy: int, current: Header, **changes: Any) -> None:
    """Write a newer header over one copy and then over the other, each on the medium by itself.

    Args:
        file: The file.
        copy: The copy that is written first, 1 or 2.
        current: What they are made of.
        **changes: What is to be otherwise.
    """
    file.flush()  # of the current header nobody knows whether it is on the medium
    for number, one in enumerate((copy, 3 - copy), current.sequence_number + 1):
        reserved = bytes(len(current.reserved))
        header = current._replace(place=HEADERS[one - 1], sequence_number=number, **changes)
        data = encode.header(header._replace(reserved=reserved))
        file.write(data, TOP_LEVEL[f"header_{one}"][0])
        file.flush()


def _entry_of_log(file: Source, ranges: Iterable[tuple[int, int]]) -> int | None:
    """Return where the first entry of a log may be; None when there is none."""
    for start, end in ranges:
        at = start
        while (at := file.data_start(at, end)) < end:
            at -= at % SECTOR
            data = file.read(at, min(MIB, end - at))
            for place in range(0, len(data), SECTOR):
                if data.startswith(ENTRY_SIGNATURE, place):
                    return at + place
            at += len(data)
    return None
