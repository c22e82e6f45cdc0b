"""The page about all rules."""

from __future__ import annotations

import re
from collections import Counter

from tests.support import ROOT
from vhdx_kaitai.rules import GROUPS, STATUSES, catalogue
from vhdx_kaitai.showing.rules import rules_page


def test_the_page_is_made_from_the_catalogue() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert page == rules_page(), "run `make docs`"


def test_the_page_lists_every_rule_and_counts_them() -> None:
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in rules_page().splitlines()
        if line.startswith("|")
    ]
    rules = [row for row in rows if re.fullmatch(r"\*\*[A-Z]+-\d\d\*\*", row[0])]
    assert [row[0].strip("*") for row in rules] == list(catalogue())
    assert all(len(row) == 6 for row in rules)
    statuses = Counter(re.split(" by |, kept", row[4])[0] for row in rules)
    assert statuses == Counter(rule.status for rule in catalogue().values())
    counts = {
        row[0].partition(":")[0]: list(map(int, row[1:]))
        for row in rows
        if row not in rules and row[1].isdecimal()
    }
    assert list(counts) == [*GROUPS, "all"]
    assert counts["all"] == [*(statuses[s] for s in STATUSES), 242]
    for numbers in zip(*counts.values(), strict=True):
        assert sum(numbers[:-1]) == numbers[-1]
