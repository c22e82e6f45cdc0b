"""Paths that were not followed are worth a note only where the parent lies beside its child."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checking.reports import rules_of
from tests.images.chain import GOOD_CHAINS
from vhdx_kaitai.checking.chain import check


@pytest.mark.parametrize("is_searched", [False, True])
def test_a_parent_that_a_search_found_says_nothing_about_the_way(
    is_searched: bool, tmp_path: Path
) -> None:
    """The caller said where it is."""
    made = GOOD_CHAINS["paths-lead-out"].build().write(tmp_path / "child")
    if is_searched:
        (tmp_path / "parents").mkdir()
        made.paths[0].rename(tmp_path / "parents" / made.paths[0].name)
    report = check(made.path, chain=True, search=[tmp_path / "parents"])
    assert len(report.parents) == 1
    assert ("CHAIN-07" in rules_of(report)) == (not is_searched)
