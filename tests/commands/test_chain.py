"""`vhdx-kaitai chain`: an image and its parents, and how each was found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed
from tests.conftest import Files, Run
from tests.images.chain import GOOD_CHAINS, chain, write_guid
from tests.reading_fixtures import (
    few_runs,
    good_chain,
    run_program,
)
from tests.support import assert_valid


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_chain_is_listed_from_child_to_base(name: str, tmp_path: Path, run: Run) -> None:
    made = good_chain(name).write(tmp_path)
    outcome = run("chain", "--json", made.path)
    assert (outcome.status, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert_valid(document, "chain")
    assert document["path"] == str(made.path)
    assert len(document["chain"]) == len(made.images)
    for depth, (entry, built, path) in enumerate(
        zip(document["chain"], reversed(made.images), reversed(made.paths), strict=True)
    ):
        model = built.model
        locator = built.image.resolved_locator()
        linkage = locator.text["parent_linkage"].strip("{}").lower() if locator else None
        assert entry["parent_linkage"] == linkage
        assert entry["depth"] == depth
        assert entry["path"] == str(path)
        assert entry["disk_type"] == model.disk_type
        assert entry["virtual_disk_size"] == model.size
        assert entry["block_size"] == model.block_size
        assert entry["virtual_disk_id"] == str(model.virtual_disk_id)
        assert entry["data_write_guid"] == str(model.current_header.data_write_guid)
        assert entry["log"] == model.log.state
        assert (entry["found_by"] is None) == (entry["matched_by"] is None) == (depth == 0)
    text = run("chain", made.path)
    assert (text.status, text.err) == (0, "")
    for path in made.paths:
        assert str(path) in text.out


def test_a_chain_says_how_each_parent_was_found(tmp_path: Path, run: Run) -> None:
    made = good_chain("linked-by-parent-linkage2").write(tmp_path)
    document = json.loads(run("chain", "--json", made.path).out)
    (_, base) = document["chain"]
    assert (base["found_by"], base["matched_by"]) == ("relative_path", "parent_linkage2")
    made = good_chain("relative-path-stale").write(tmp_path)
    document = json.loads(run("chain", "--json", made.path).out)
    assert document["chain"][1]["matched_by"] == "parent_linkage"
    named = run("chain", "--json", made.path, "--parent", made.paths[0])
    (_, base) = json.loads(named.out)["chain"]
    assert (base["found_by"], base["matched_by"]) == (None, "parent_linkage")
    assert "named" in run("chain", made.path, "--parent", made.paths[0]).out
    alone = run("chain", "--json", made.path, "--no-parent")
    assert_valid(json.loads(alone.out), "chain")
    assert len(json.loads(alone.out)["chain"]) == 1


@pytest.mark.parametrize(
    "folder",
    ["plain", 'quo"tes', "back\\slash", "\\n", "<b>&amp;", "ÄДИ字", "two\nlines", "\x1b[31m"],
)
def test_a_graph_of_a_chain_can_be_drawn_whatever_its_paths(
    folder: str, tmp_path: Path, run: Run
) -> None:
    (tmp_path / folder).mkdir()
    made = chain(3, blocks=few_runs).write(tmp_path / folder)
    outcome = run("chain", "--dot", made.path)
    assert (outcome.status, outcome.err) == (0, "")
    graph = json.loads(run_program("dot", "-Tjson", input=outcome.out.encode()))
    labels = [node["label"] for node in graph["objects"]]
    assert len(labels) == 3
    for label, name in zip(labels, reversed(made.names), strict=True):
        assert name in label
    edges = [(edge["tail"], edge["head"]) for edge in graph["edges"]]
    assert edges == [(0, 1), (1, 2)]
    assert outcome.out.replace("\n", "").isprintable()
    assert run("chain", made.path).out.replace("\n", "").isprintable()


@pytest.mark.parametrize("form", [[], ["--json"], ["--dot"]])
def test_a_chain_that_cannot_be_followed_is_listed_and_a_failure(
    form: list[str], tmp_path: Path, run: Run
) -> None:
    made = chain(3, blocks=few_runs).write(tmp_path)
    (tmp_path / "base.vhdx").unlink()
    outcome = run("chain", *form, made.path)
    assert_failed(outcome, 1, "base.vhdx: no such file", "--search")
    for path in made.paths[1:]:
        assert str(path) in outcome.out
    assert str(write_guid(0)) in outcome.out
    if form == ["--json"]:
        document = json.loads(outcome.out)
        assert_valid(document, "chain")
        assert document["missing"]["error"]["type"] == "ParentNotFoundError"
    (tmp_path / "store").mkdir()
    made.images[0].write(tmp_path / "store" / "base.vhdx")
    assert run("chain", *form, made.path, "--search", tmp_path / "store").status == 0


def test_forms_of_a_chain_exclude_each_other(files: Files, run: Run) -> None:
    assert run("chain", "--json", "--dot", files.good("dynamic-plain")).status == 64


def test_a_disk_without_parents_is_a_chain_of_one(files: Files, run: Run) -> None:
    document = json.loads(run("chain", "--json", files.good("fixed-plain")).out)
    assert_valid(document, "chain")
    (entry,) = document["chain"]
    assert entry["path"] == str(files.good("fixed-plain"))
    assert entry["parent_linkage"] is entry["parent_linkage2"] is None
