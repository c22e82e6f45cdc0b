"""A report of a check as text and as a document."""

from __future__ import annotations

import pytest

from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.support import SparseSource, assert_valid, damaged, good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.rules import catalogue
from vhdx_kaitai.showing.findings import check_document, check_text


@pytest.mark.parametrize("name", [*DAMAGES, *GOODS])
def test_any_report_can_be_printed_and_is_what_the_schema_says(name: str) -> None:
    built = good(name) if name in GOODS else damaged(name)
    found = check(SparseSource(built.file))
    document = check_document(found, "image.vhdx")
    assert_valid(document, "check")
    assert len(document["findings"]) == len(found.findings)
    lines = list(check_text(found, "image.vhdx"))
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith("image.vhdx: ")
    rules = [line.rpartition("[")[2].partition(",")[0] for line in lines]
    assert sum(rule in catalogue() for rule in rules) >= len(found.findings)
