"""`vhdx-kaitai log`: the entries of a log, also of one that must not be replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.launching import assert_one_line, document_of
from tests.conftest import Files, Run
from tests.format.log_fixtures import entry_head, forged
from tests.images.damage import DAMAGES
from tests.images.structures import MIB
from tests.support import refusals


def test_log_of_the_dirty_real_image_has_one_active_entry(
    samples: Callable[[str], Path], run: Run
) -> None:
    path = samples("iotest-dirtylog-10G-4M.vhdx.bz2")
    document = json.loads(run("log", "--json", path).out)
    assert document["state"] == "dirty"
    assert [entry["active"] for entry in document["entries"]].count(True) == 1
    assert document["replay"]["entries"] == 1
    assert [sequence["active"] for sequence in document["sequences"]] == [True]


def test_stale_entries_of_a_clean_real_image_are_listed_and_not_active(
    samples: Callable[[str], Path], run: Run
) -> None:
    document = json.loads(run("log", "--json", samples("swap.vhdx.gz")).out)
    assert document["state"] == "clean"
    assert len(document["entries"]) >= 4
    assert not any(entry["active"] or entry["valid"] for entry in document["entries"])
    assert document["sequences"] == []
    assert document["replay"] is None


# The log is judged before the regions, which it may overlap.
BEFORE_THE_REGIONS = [
    name for name in refusals("LOG", "HDR", "FTI", "GEN") if "OVL-03" not in DAMAGES[name].visible
]


@pytest.mark.parametrize("name", BEFORE_THE_REGIONS)
def test_log_refuses_what_info_refuses_as_far_as_the_log_goes(
    name: str, files: Files, run: Run
) -> None:
    outcome = run("log", files.damaged(name))
    assert_one_line(outcome.err)
    rule = outcome.err.rpartition("[")[2].partition(",")[0]
    assert rule in DAMAGES[name].visible
    assert outcome.status == 2


@pytest.mark.parametrize("name", refusals("LOG"))
def test_log_lists_the_entries_of_a_log_that_must_not_be_replayed(
    name: str, files: Files, run: Run
) -> None:
    outcome = run("log", "--json", files.damaged(name))
    assert outcome.status == 2
    document = document_of(outcome, "log")
    assert document["error"]["rule"] in DAMAGES[name].visible
    assert document["state"] == "dirty"


@pytest.mark.parametrize("command", ["info", "log"])
def test_a_log_of_forged_entries_is_refused_in_one_line(
    command: str, tmp_path: Path, run: Run
) -> None:
    """Each sector of it claims to be an entry as long as the log."""
    ring = 8 * MIB
    path = tmp_path / "forged.vhdx"
    heads = {at: entry_head(ring, at // 4096 + 1) for at in range(0, ring, 4096)}
    path.write_bytes(forged(ring, heads))
    outcome = run(command, path)
    assert outcome.status == 1
    assert_one_line(outcome.err)
    assert "LOG-39" in outcome.err
