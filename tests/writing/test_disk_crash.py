"""Wherever the power is cut while a disk is written to, it holds what was promised.

`make crash CUTS=100000` makes more cuts than these.
"""

from __future__ import annotations

import pytest

from tests.crash.breaking import instead
from tests.crash.disks import DISKS
from tests.crash.working import Subject, complaints
from vhdx_kaitai.writing import disk, journal

SEVERAL_PAGES = ["child", "child of several chunks", "chunks without bitmaps", "ring that wraps"]


@pytest.mark.parametrize("name", DISKS)
def test_no_cut_loses_what_was_promised(name: str) -> None:
    assert list(complaints(Subject(DISKS[name]()), 60)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", DISKS)
def test_no_cut_after_other_operations_does(name: str) -> None:
    assert list(complaints(Subject(DISKS[name]()), 150, seed=1)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SEVERAL_PAGES)
def test_no_cut_does_where_each_page_has_an_entry_of_its_own(name: str) -> None:
    """Of entries that are flushed together there may be any on the medium."""
    subject = Subject(DISKS[name]())
    with instead(journal, "MOST_PAGES", 1):
        assert list(complaints(subject, 200, seed=2)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SEVERAL_PAGES)
def test_no_cut_does_where_pages_are_flushed_amid_an_operation(name: str) -> None:
    """As they are when very many are changed."""
    subject = Subject(DISKS[name]())
    with instead(disk, "_MOST_PAGES", 2):
        assert list(complaints(subject, 200, seed=3)) == []
