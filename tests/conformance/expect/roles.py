"""Which values are fields of the format, and which are helpers of the grammar.

A parser that somebody has written by hand has the fields, whatever it calls them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import yaml

from tests.support import ROOT

# Steps to what the grammar finds its way by: the same fields stand elsewhere, too.
_WAYS = {
    *("current_header", "current_region_table", "region_of_bat", "region_of_metadata"),
    *("region", "geometry", "up_to_entry", "up_to_item", "signature_1", "num_entries_1"),
}
_LOG_HEADER = "log.header."
# Names that the grammar has for what the specification describes without a name.
_UNNAMED = {"raw", "text", "data"}


@cache
def _named() -> frozenset[str]:
    """Return the attributes of structs for which the specification has a name."""
    grammar: dict[str, Any] = yaml.safe_load((ROOT / "vhdx.ksy").read_text(encoding="utf-8"))
    structs = [spec for spec in grammar["types"].values() if "params" not in spec]
    fields = [field for spec in structs for field in spec["seq"]]
    named = {field["id"] for field in fields if "-orig-id" in field}
    computed = [item for spec in structs for item in spec.get("instances", {}).items()]
    return frozenset(named | {name for name, spec in computed if "-orig-id" in spec})


def role(path: str) -> str:
    """Return `field` for a field of the format, `helper` for anything else."""
    *way, last = re.findall(r"[a-z]\w*", path)
    is_way = _WAYS & {*way, last} or path.startswith(_LOG_HEADER)
    is_field = last in _named() or last in _UNNAMED
    return "field" if is_field and not is_way else "helper"
