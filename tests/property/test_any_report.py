"""Any bytes have a report that follows its schema, and a page; nothing of theirs gets out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.property.hostile import any_bytes, mutations, scraps, wild
from tests.support import assert_valid

HOSTILE = {
    "mutations": mutations(),
    "wild files": wild(),
    "scraps": scraps(),
    "bytes": any_bytes(),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
@given(st.data())
def test_any_bytes_have_a_report(kind: str, data: st.DataObject) -> None:
    document = vhdx_kaitai.report(data.draw(HOSTILE[kind]).data)
    assert_valid(document, "report")
    for layout in document["layouts"]:
        if layout is not None and layout["is_exact"]:
            assert sum(kind["bytes"] for kind in layout["kinds"]) == layout["file_size"]
    found = document["allocation"]
    if found is not None:
        assert sum(kind["bytes"] for kind in found["kinds"]) == found["end"]
    page = vhdx_kaitai.report_page(document)
    assert page.count("<script") == page.count("</script>") == 2
