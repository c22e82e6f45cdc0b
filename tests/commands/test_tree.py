"""`vhdx-kaitai tree`: every field of the grammar, of any file."""

from __future__ import annotations

import pytest

from tests.commands.launching import assert_one_line, document_of
from tests.commands.test_running import REFUSED
from tests.conftest import Files, Run
from tests.images.damage import DAMAGES


def test_tree_shows_one_field_when_asked_for_it(files: Files, run: Run) -> None:
    outcome = run("tree", files.good("dynamic-plain"), "header_1.signature")
    assert outcome.status == 0
    assert outcome.out.split() == ["0x10000", "4", "header_1.signature", "68", "65", "61", "64"]


def test_tree_goes_as_deep_as_it_is_told(files: Files, run: Run) -> None:
    path = files.good("dynamic-plain")
    lines = [len(run("tree", path, "--depth", depth).out.splitlines()) for depth in range(4)]
    assert lines[0] == 1
    assert lines == sorted(set(lines))
    assert len(run("tree", path).out.splitlines()) == lines[2]


@pytest.mark.parametrize("name", REFUSED[::4])
def test_tree_shows_any_file_with_the_signature(name: str, files: Files, run: Run) -> None:
    outcome = run("tree", "--json", files.damaged(name), "--depth", 1)
    if outcome.status:
        assert_one_line(outcome.err)
        assert DAMAGES[name].main_rule in ("FTI-01", "GEN-07")
    else:
        document_of(outcome, "tree")
        assert outcome.err == ""


@pytest.mark.parametrize("path", ["nothing", "header_1.nothing", "bat.chunks[99]", "a..b", "]["])
def test_a_field_that_is_not_there_is_a_failure(path: str, files: Files, run: Run) -> None:
    outcome = run("tree", files.good("dynamic-plain"), path)
    assert outcome.status == 1
    assert outcome.out == ""
    assert_one_line(outcome.err)
