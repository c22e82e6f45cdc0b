"""Rules of the catalogue: as text, as a document, and as the page `docs/rules.md`."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator

from ..rules import GROUPS, STATUSES, Rule, Status, catalogue
from ..text import as_markdown
from .document import Document, headed

_INTRODUCTION = """\
# Rules

What [MS-VHDX] demands of an image, and what `vhdx-kaitai check` makes of it. This page is made
from `vhdx_kaitai/rules.json` by `make docs`; `vhdx-kaitai check --explain HDR-03` shows one rule.

Requirements are those of the text. SANITY stands for what the text does not say and a reader of
hostile files needs all the same, or for a tolerance that real files ask for; such rules name the
nearest section.

A rule is *checked* when a finding can carry its id, *covered* when its breach is reported under
other ids, and *not checkable* when a file does not show whether it was kept; one for writers is
*kept*, whatever else it is, when a test shows that the writers of this package do. Reason and test
stand below the table, which counts those that are nothing but kept. C is the chunk ratio, P the
number of payload blocks, S that of sector bitmap blocks.

What others do was read in their sources (src), seen when they were run on a crafted file (run), or
found in the bytes of images (measured); (reported) is what third parties say. QEMU is version 7.2.
"""

_READERS = {"reader": "readers", "writer": "writers", "both": "readers and writers"}


def rules_text(rules: Iterable[Rule]) -> Iterator[str]:
    """Yield the lines of `check --rules`."""
    for rule in rules:
        note = f" ({', '.join(rule.by)})" if rule.by else f": {rule.reason}" if rule.reason else ""
        yield f"{rule.id:<9} {rule.requirement:<6} {rule.section:<11} {rule.status}{note}"


def rule_text(rule: Rule) -> Iterator[str]:
    """Yield the lines of `check --explain`."""
    yield f"{rule.id} [MS-VHDX {rule.section}], {rule.requirement}, for {_READERS[rule.applies_to]}"
    for title, text in (
        ("Rule", rule.rule),
        ("Why", rule.why),
        ("Others", rule.others),
        ("Status", f"{rule.status} {', '.join(rule.by)}".strip()),
        ("Reason", rule.reason),
        ("Test", rule.test),
    ):
        if text:
            yield from textwrap.wrap(
                f"{title + ':':<8}{text}", 96, initial_indent="  ", subsequent_indent=" " * 10
            )


def rules_document(rules: Iterable[Rule]) -> Document:
    """Return what `check --rules --json` and `check --explain RULE --json` print."""
    return headed(
        rules=[rule._asdict() | {"by": list(rule.by)} for rule in rules],
    )


def rules_page() -> str:
    """Return the catalogue as a page, `docs/rules.md`."""
    rules = catalogue().values()
    lines = [_INTRODUCTION, *_counts(rules)]
    for group, title in GROUPS.items():
        lines += _group_lines(title, [rule for rule in rules if rule.group == group])
    return "\n".join(lines) + "\n"


def _counts(rules: Iterable[Rule]) -> Iterator[str]:
    counts = Counter((rule.group, rule.status) for rule in rules)
    yield f"| group | {' | '.join(STATUSES)} | all |"
    yield f"|---|{'--:|' * len(STATUSES)}--:|"
    for group, title in GROUPS.items():
        yield _count_row(f"{group}: {title}", *_of_each_status(counts, [group]))
    yield _count_row("all", *_of_each_status(counts, GROUPS))


def _of_each_status(counts: Counter[tuple[str, Status]], groups: Iterable[str]) -> Iterator[int]:
    chosen = list(groups)
    for status in STATUSES:
        yield sum(counts[group, status] for group in chosen)


def _count_row(title: str, *numbers: int) -> str:
    return f"| {' | '.join([title, *map(str, numbers), str(sum(numbers))])} |"


def _group_lines(title: str, rules: list[Rule]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield "| rule | section | requirement | for | status | what it demands |"
    yield "|---|---|---|---|---|---|"
    for rule in rules:
        status = f"covered by {', '.join(rule.by)}" if rule.by else rule.status
        status += ", kept" * (bool(rule.test) and rule.status != "kept")
        cells = (rule.section, rule.requirement, rule.applies_to, status, as_markdown(rule.rule))
        yield f"| **{rule.id}** | {' | '.join(cells)} |"
    reasons = [f"- **{rule.id}** {as_markdown(rule.reason)}" for rule in rules if rule.reason]
    if reasons:
        yield from ("", "Why some are not checked under their own ids:", "", *reasons)
    yield from ("", "Why it matters, and what others do:", "")
    for rule in rules:
        kept = f" *Test:* `{rule.test}`." if rule.test else ""
        yield f"- **{rule.id}** {as_markdown(rule.why)} *Others:* {as_markdown(rule.others)}.{kept}"
