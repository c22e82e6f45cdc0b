"""What it means what is wrong with headers, log and region tables, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ..format import headers, regions, replay
from ..format.descent import Contents, Descent
from ..format.replay import MAX_FILE_LENGTH
from ..guids import REGION_NAMES
from ..text import human_size
from .told import Sentence


def explain_start(way: Descent) -> Iterator[Sentence]:
    """Yield what it means what is wrong with the identifier, the headers and the log."""
    if way.identifier is not None and not headers.probe(way.identifier):
        yield Sentence(
            "The start of a VHDX file was overwritten; headers or region tables are whole. "
            "`--assume-vhdx` reads the disk.",
            ("FTI-01",),
        )
    if way.headers is None:
        if way.identifier is not None:
            yield Sentence(
                "No header is valid. `--assume-header` reads the disk: by the one that is most "
                "nearly right, or by none, and without what the log may hold then.",
                ("HDR-05", "HDR-06"),
            )
        return
    for copy in way.headers.copies:
        if copy.defect is not None:
            yield Sentence(
                f"Header {copy.copy} is damaged and header {3 - copy.copy} is used; "
                "a program that opens the file for writing makes both good again.",
                (copy.defect.rule,),
            )
    header, size = way.headers.current, way.stored.size
    yield from _explain_cut("the log", header.log_offset + header.log_length, size, "HDR-13")
    if way.replayed is not None:
        changed = human_size(way.replayed.summary.changed_bytes)
        yield Sentence(
            f"The log is dirty: replay changes {changed} of the file. "
            "Programs that do not replay it see an older or torn state.",
            ("LOG-01",),
        )
    elif way.log is not None and way.sequence == ():
        never = replay.never_written(way.log)
        if never is not None:
            yield Sentence(f"{never[0].upper()}{never[1:]}.", ("LOG-31",))
    elif way.sequence:
        flushed = way.sequence[-1].header.flushed_file_offset
        if size < flushed <= MAX_FILE_LENGTH:
            yield Sentence(
                f"The file is cut short: it ends at {size:#x}, what its log was written for at "
                f"{flushed:#x}, so at least {human_size(flushed - size)} are missing. "
                "`--salvage` replays the log all the same, and reads what is there.",
                ("LOG-32",),
            )


def explain_contents(contents: Contents) -> Iterator[Sentence]:
    """Yield what it means what is wrong with the region tables."""
    used = contents.table
    if used is None:
        yield Sentence(
            "Neither region table is valid. `--assume-regions` looks for what they should name.",
            ("REG-04",),
        )
        return
    for copy in contents.tables.known():
        if copy.defect is not None:
            yield Sentence(
                f"Region table {copy.copy} is damaged and table {used.copy} is used; "
                "QEMU reads table 1 alone and refuses the file when that is the damaged one.",
                (copy.defect.rule,),
            )
    for entry in filter(regions.is_known, used.table.entries):
        name, end = f"the {REGION_NAMES[entry.guid]} region", entry.file_offset + entry.length
        yield from _explain_cut(name, end, contents.source.size, "REG-13")


def _explain_cut(name: str, end: int, size: int, rule: str) -> Iterator[Sentence]:
    """Yield what it means that a structure, without which nothing can be read, is cut."""
    if size < end <= MAX_FILE_LENGTH:
        yield Sentence(
            f"The file is cut short: it ends at {size:#x}, {name} at {end:#x}, so at least "
            f"{human_size(end - size)} are missing. Without that nothing of the disk can be read.",
            (rule,),
        )
