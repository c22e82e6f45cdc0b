"""The catalogue of rules: what the format demands, why it matters, and what is checked.

It is data, `rules.json`, in the order in which a reader meets the structures.
Rules that the text of [MS-VHDX], revision 8.0, does not state, but a reader of
hostile files needs, carry the nearest section. `docs/rules.md` is made from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal, NamedTuple

from .text import as_markdown

Requirement = Literal["MUST", "SHOULD", "MAY", "SANITY"]
Audience = Literal["reader", "writer", "both"]
Status = Literal["checked", "covered", "not checkable"]


class Rule(NamedTuple):
    """One rule of the format.

    Attributes:
        id: Its group and number, `HDR-03` for example.
        section: Section of [MS-VHDX] that states it, or the nearest one.
        level: As in the text; `SANITY` where the text is silent.
        applies_to: Who has to keep it.
        rule: What it demands.
        why: What goes wrong with an image, or in a program, when it is broken.
        others: What other implementations do.
        status: `checked`: a finding can carry this id. `covered`: its breach is
            reported under other ids. `not checkable`: a file does not show a breach.
        by: The other ids.
        reason: Why it is not checked under its own id.
    """

    id: str
    section: str
    level: Requirement
    applies_to: Audience
    rule: str
    why: str
    others: str
    status: Status
    by: tuple[str, ...] = ()
    reason: str = ""

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

_INTRODUCTION = """\
# Rules

What [MS-VHDX] demands of an image, and what `vhdx-kaitai check` makes of it. This page is made
from `vhdx_kaitai/rules.json` by `make docs`; `vhdx-kaitai check --explain HDR-03` shows one rule.

Levels are those of the text. SANITY stands for what the text does not say and a reader of hostile
files needs all the same, or for a tolerance that real files ask for; such rules name the nearest
section.

A rule is *checked* when a finding can carry its id, *covered* when its breach is reported under
other ids, and *not checkable* when a file does not show whether it was kept; the reason stands
below the table. C is the chunk ratio, P the number of payload blocks, S that of sector bitmap
blocks.

What others do was read in their sources (src), seen when they were run on a crafted file (run), or
found in the bytes of images (measured); (reported) is what third parties say. QEMU is version 7.2.
"""


def markdown() -> str:
    """Return the catalogue as a page, `docs/rules.md`."""
    rules = catalogue().values()
    lines = [_INTRODUCTION, *_counts(rules)]
    for group, title in GROUPS.items():
        lines += _group_lines(title, [rule for rule in rules if rule.group == group])
    return "\n".join(lines) + "\n"


def _counts(rules: Iterable[Rule]) -> Iterator[str]:
    counts = Counter((rule.group, rule.status) for rule in rules)
    yield "| group | checked | covered | not checkable | all |"
    yield "|---|--:|--:|--:|--:|"
    for group, title in GROUPS.items():
        yield _count_row(f"{group}: {title}", *_of_each_status(counts, [group]))
    yield _count_row("all", *_of_each_status(counts, GROUPS))


def _of_each_status(counts: Counter[tuple[str, Status]], groups: Iterable[str]) -> Iterator[int]:
    chosen = list(groups)
    statuses: tuple[Status, ...] = ("checked", "covered", "not checkable")
    for status in statuses:
        yield sum(counts[group, status] for group in chosen)


def _count_row(title: str, *numbers: int) -> str:
    return f"| {' | '.join([title, *map(str, numbers), str(sum(numbers))])} |"


def _group_lines(title: str, rules: list[Rule]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield "| rule | section | level | for | status | what it demands |"
    yield "|---|---|---|---|---|---|"
    for rule in rules:
        status = f"covered by {', '.join(rule.by)}" if rule.by else rule.status
        cells = (rule.section, rule.level, rule.applies_to, status, as_markdown(rule.rule))
        yield f"| **{rule.id}** | {' | '.join(cells)} |"
    reasons = [f"- **{rule.id}** {as_markdown(rule.reason)}" for rule in rules if rule.reason]
    if reasons:
        yield from ("", "Why some are not checked under their own ids:", "", *reasons)
    yield from ("", "Why it matters, and what others do:", "")
    for rule in rules:
        yield f"- **{rule.id}** {as_markdown(rule.why)} *Others:* {as_markdown(rule.others)}."
