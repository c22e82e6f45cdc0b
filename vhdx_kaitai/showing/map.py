"""What a disk is made of, as text and as JSON.

There may be tens of millions of extents, so they come in columns and go out in
pieces; the documents of `qemu-img map` are the example.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from ..records import TYPE_CHECKING

if TYPE_CHECKING:
    from ..reading.extents import Columns

_LINES_AT_ONCE = 4096


def map_text(extents: Iterable[Columns]) -> Iterator[str]:
    """Yield the lines of `map`."""
    yield f"{'start':>18} {'length':>16} {'depth':>5} {'file offset':>18} state"
    for start, length, what, place in chain.from_iterable(some.rows() for some in extents):
        state, depth, kind, rule = what
        offset = "" if place is None else f"{place:#x}"
        note = "" if state == kind else f" ({kind})" if rule is None else f" ({kind}: {rule})"
        yield f"{start:#18x} {length:#16x} {depth:>5} {offset:>18} {state}{note}"


def map_json(extents: Iterable[Columns]) -> Iterator[str]:
    """Yield the pieces of `map --json`: a list with the names of fields that qemu-img uses."""
    separator = "["
    for some in extents:
        forms = {what: _map_form(*what) for what in set(some.what)}
        rows = zip(
            some.start, some.length, map(forms.__getitem__, some.what), some.place, strict=True
        )
        while lines := [
            f'{{"start": {start}, "length": {length}, {form}{"" if place is None else place}}}'
            for start, length, form, place in islice(rows, _LINES_AT_ONCE)
        ]:
            yield separator + ",\n".join(lines)
            separator = ",\n"
    yield "[]\n" if separator == "[" else "]\n"


def _map_form(state: str, depth: int, kind: str, rule: str | None) -> str:
    """Return what stands between the length of an extent and its place, if it has one."""
    present = kind in ("data", "lost") or state != "not_present"
    place = ', "offset": ' if kind == "data" else f', "lost": "{rule}"' if rule else ""
    return (
        f'"depth": {depth}, "present": {_json(present)}, "zero": {_json(kind == "zero")}, '
        f'"data": {_json(kind == "data")}, "state": "{state}"{place}'
    )


def _json(value: bool) -> str:
    return "true" if value else "false"
