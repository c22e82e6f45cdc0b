"""Make docs/vhdx.dot and docs/vhdx.svg: the structure of the format on one page.

The compiler's graphviz target draws everything in a grammar, formulas included, and fills a wall.
This keeps what lies in a file: a box for each type with its fields, an arrow to the type of each.

    java ... -t graphviz --outdir build/graphviz vhdx.ksy
    python -m tools.diagram build/graphviz/vhdx.dot docs/vhdx.dot    # the boxes
    dot -Tsvg docs/vhdx.dot -o docs/vhdx.svg                         # the picture
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Types that are parts of a value, or that find their way and hold nothing of the file.
HELPERS = {
    *("guid", "utf16_field", "locator_text", "unrecognized_descriptor_body"),
    *("header_choice", "region_table_choice", "region_lookup", "item_lookup", "disk_geometry"),
    *("log_entry_sector", "unused_sector", "unknown_item"),
}

# Second ways to what has a way already.
SHORTCUTS = {
    *("bat_chunk.raw_entries", "bat_view.geometry", "bat_view.region", "metadata_view.region"),
    *("metadata_view.num_stated_items", "log_ring.header", "log_slot.signature"),
    *("log_slot.log_guid", "log_slot.guid_of_entry", "log_slot.entry_length"),
    "file_type_identifier.creator",
    *("header.sequence_number_low", "header.sequence_number_high", "vhdx.current_header"),
    *("vhdx.current_region_table", "vhdx.region_of_bat", "vhdx.region_of_metadata"),
}

# Colours of the boxes: what lies on disk, and what leads there.
STRUCT, VIEW = "#DDEBF7", "#FFF2CC"

_TABLE = re.compile(r"^\s*(\w+) \[label=<<TABLE[^>]*>(.*?)</TABLE>>\];", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(
    r'<TR><TD PORT="\w+_pos">(.*?)</TD><TD PORT="\w+_size">(.*?)</TD><TD>(.*?)</TD>'
    r'<TD PORT="(\w+)_type">.*?</TD></TR>(?:\s*<TR><TD COLSPAN="4" PORT="\w+__repeat">(repeat))?'
)
_ARROW = re.compile(r"^\s*(\w+):(\w+) -> (\w+)__seq \[style=bold\];", re.MULTILINE)


class Field(NamedTuple):
    """A field as the compiler has drawn it; `is_read` when it is an instance."""

    name: str
    pos: str
    size: str
    is_repeated: bool
    is_read: bool


def fields(drawing: str) -> dict[str, list[Field]]:
    """Return the fields of each type, those of `seq` first."""
    found: dict[str, list[Field]] = {}
    for node, rows in _TABLE.findall(drawing):
        owner, mark, instance = node.partition("__inst__")
        owner = owner if mark else node.removesuffix("__seq")
        if owner == node or owner.endswith("_switch") or instance.endswith("_switch"):
            continue
        of_type = found.setdefault(owner, [])
        for pos, size, _, name, repeat in _FIELD.findall(rows):
            of_type.append(Field(name, pos, size, bool(repeat), bool(mark)))
    return found


def arrows(drawing: str) -> Iterator[tuple[str, str, str]]:
    """Yield type, field and the type of the field, in which a choice of types is several."""
    for node, port, target in _ARROW.findall(drawing):
        owner, mark, instance = node.partition("__inst__")
        if port.startswith("case"):
            # log_descriptor__seq_body_switch, metadata_item__inst__data_data_switch
            field = instance.split("_")[0] if mark else node.removesuffix("_switch").split("_")[-1]
            yield owner if mark else owner.split("__seq")[0], field, target
        else:
            owner = owner if mark else owner.removesuffix("__seq")
            yield owner, port.removesuffix("_type"), target


def number(text: str) -> str:
    """Return a place or size in few characters; formulas are left to the grammar."""
    if text.isdigit():
        return hex(int(text)) if int(text) >= 4096 else text
    return "" if text == "..." or not re.fullmatch(r"[a-z_]+", text) else text


def diagram(drawing: str) -> str:
    """Return the boxes and arrows, as DOT, from the compiler's drawing."""
    kept = {
        owner: [
            field
            for field in of_type
            if f"{owner}.{field.name}" not in SHORTCUTS
            and not field.name.startswith("up_to_")
            and not field.name.endswith("_place")
        ]
        for owner, of_type in fields(drawing).items()
        if owner not in HELPERS
    }
    lines = [
        "// Made by tools/diagram.py from vhdx.ksy.",
        "digraph vhdx {",
        '  graph [rankdir=LR, nodesep=0.12, ranksep=0.6, fontname="Helvetica"];',
        '  node [shape=plaintext, fontname="Helvetica", fontsize=10];',
        '  edge [color="#606060", arrowsize=0.6];',
    ]
    for owner, of_type in sorted(kept.items()):
        lines += box(owner, of_type)
    for owner, field, target in arrows(drawing):
        names = {kept_field.name for kept_field in kept.get(owner, [])}
        if field in names and target in kept:
            lines.append(f"  {owner}:{field}:e -> {target}:title:w;")
    return "\n".join([*lines, "}", ""])


def box(owner: str, of_type: list[Field]) -> Iterator[str]:
    """Yield the lines of a type's box."""
    is_struct = any(not field.is_read for field in of_type)
    colour = STRUCT if is_struct else VIEW
    yield f'  {owner} [label=<<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="0" CELLPADDING="2">'
    yield f'    <TR><TD PORT="title" COLSPAN="3" BGCOLOR="{colour}"><B>{owner}</B></TD></TR>'
    for field in of_type:
        # A view says where its fields are by itself: the compiler draws 0.
        is_place = is_struct or owner == "vhdx"
        pos = number(field.pos) if is_place and (field.pos != "0" or not field.is_read) else ""
        size = number(field.size) if field.size != "0" else ""
        name = f"{field.name} [ ]" if field.is_repeated else field.name
        yield (
            f'    <TR><TD ALIGN="RIGHT">{pos}</TD><TD ALIGN="RIGHT">{size}</TD>'
            f'<TD ALIGN="LEFT" PORT="{field.name}">{name}</TD></TR>'
        )
    yield "  </TABLE>>];"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(diagram(source.read_text("utf-8")), "utf-8")
