"""The catalogue of rules: what the format demands, why it matters, and what is checked.

It is data, `rules.json`, in the order in which a reader meets the structures.
Rules that the text of [MS-VHDX], revision 8.0, does not state, but a reader of
hostile files needs, carry the nearest section.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

from .records import NamedTuple

Requirement = Literal["MUST", "SHOULD", "MAY", "SANITY"]
Audience = Literal["reader", "writer", "both"]
Status = Literal["checked", "covered", "kept", "not checkable"]
STATUSES: tuple[Status, ...] = get_args(Status)


class Rule(NamedTuple):
    """One rule of the format.

    Attributes:
        id: Its group and number, `HDR-03` for example.
        section: Section of [MS-VHDX] that states it, or the nearest one.
        requirement: As in the text; `SANITY` where the text is silent.
        applies_to: Who has to keep it.
        rule: What it demands.
        why: What goes wrong with an image, or in a program, when it is broken.
        others: What other implementations do.
        status: `checked`: a finding can carry this id. `covered`: its breach is
            reported under other ids. `kept`: a file does not show a breach, and a test that
            writers of this package keep it. `not checkable`: a file does not show a breach.
        by: The other ids.
        reason: Why it is not checked under its own id.
        test: The test that shows that writers of this package keep it.
    """

    id: str
    section: str
    requirement: Requirement
    applies_to: Audience
    rule: str
    why: str
    others: str
    status: Status
    by: tuple[str, ...] = ()
    reason: str = ""
    test: str = ""

    @property
    def group(self) -> str:
        """What it is about, `HDR` for example."""
        return self.id.partition("-")[0]


@cache
def catalogue() -> dict[str, Rule]:
    """Return all rules by id, in the order in which a reader meets the structures."""
    import json
    from importlib.resources import files

    entries = json.loads((files(__package__) / "rules.json").read_bytes())
    rules = (Rule(**entry | {"by": tuple(entry.get("by", ()))}) for entry in entries)
    return {rule.id: rule for rule in rules}


def section_of(rule_id: str) -> str:
    """Return the section of [MS-VHDX] that a rule rests on, `2.2.2` for example."""
    return catalogue()[rule_id].section


GROUPS = {
    "GEN": "The file as a whole",
    "FTI": "File type identifier",
    "HDR": "Headers",
    "REG": "Region tables",
    "MET": "Metadata table",
    "ITEM": "Metadata items",
    "LOC": "Parent locator",
    "LOG": "Log",
    "BAT": "Block allocation table",
    "BLK": "Blocks and sector bitmaps",
    "OVL": "Overlaps",
    "CHAIN": "Chains of parents",
}
