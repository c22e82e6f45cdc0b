"""What commands say and do when a parent is missing, changed, renamed or named in vain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed
from tests.conftest import Files, Run
from tests.images.chain import Chain, chain, write_guid
from tests.images.image import Image
from tests.images.structures import KIB
from tests.parents_models import OTHER, changed, orphaned_rows, without_parent
from tests.reading_fixtures import contents, few_runs
from tests.support import assert_valid

FORMS: list[list[str]] = [[], ["--json"], ["--dot"]]


@pytest.fixture
def made(tmp_path: Path) -> Chain:
    """A base and two children, the base gone."""
    made = chain(3, blocks=few_runs).write(tmp_path)
    made.paths[0].unlink()
    return made


# -- chain ----------------------------------------------------------------------------------------


def test_a_chain_lists_what_was_found_and_then_what_is_missing(made: Chain, run: Run) -> None:
    outcome = run("chain", made.path)
    assert_failed(outcome, 1, f"wanted DataWriteGuid {write_guid(0)}", "base.vhdx: no such file")
    lines = outcome.out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        f"0  {made.paths[2]}",
        f"1  {made.paths[1]}",
        "2  MISSING",
    ]
    assert f"   wanted: data write GUID {write_guid(0)}" in lines
    assert "base.vhdx: no such file" in outcome.out

    outcome = run("chain", "--json", made.path)
    assert outcome.status == 1
    document = json.loads(outcome.out)
    assert_valid(document, "chain")
    assert [entry["path"] for entry in document["chain"]] == [*map(str, made.paths[:0:-1])]
    missing = document["missing"]
    assert (missing["depth"], missing["data_write_guids"]) == (2, [str(write_guid(0))])
    assert missing["error"]["type"] == "ParentNotFoundError"
    assert "base.vhdx: no such file" in missing["error"]["message"]

    outcome = run("chain", "--dot", made.path)
    assert outcome.status == 1
    assert "  1 -> 2 [style=dashed];" in outcome.out.splitlines()
    assert f"missing\\ndata write GUID {write_guid(0)}" in outcome.out


@pytest.mark.parametrize("form", FORMS)
def test_a_chain_that_is_whole_lacks_nothing(form: list[str], tmp_path: Path, run: Run) -> None:
    made = chain(3, blocks=few_runs).write(tmp_path)
    outcome = run("chain", *form, made.path)
    assert (outcome.status, outcome.err) == (0, "")
    assert "missing" not in outcome.out.replace('"missing": null', "").lower()


def test_a_chain_says_which_parent_was_changed(made: Chain, run: Run) -> None:
    changed(made.images[0]).write(made.paths[0])
    outcome = run("chain", "--json", made.path)
    why = "found base.vhdx, but it was changed after the child was made, or is another disk"
    assert_failed(outcome, 1, why)
    missing = json.loads(outcome.out)["missing"]
    assert missing["error"]["type"] == "ParentMismatchError"
    assert why in missing["error"]["message"]
    ignored = run("chain", "--json", "--ignore-linkage", made.path)
    assert ignored.status == 0
    document = json.loads(ignored.out)
    assert_valid(document, "chain")
    assert document["missing"] is None
    assert (document["chain"][2]["found_by"], document["chain"][2]["matched_by"]) == (
        "relative_path",
        None,
    )
    assert [one["what"] for one in document["assumed"]] == ["linkage"]
    assert "assumed linkage: " in ignored.err
    assert "does NOT match" in run("chain", "--ignore-linkage", made.path).out
    assert "does not match" in run("chain", "--ignore-linkage", "--dot", made.path).out


def test_a_parent_that_was_renamed_is_said_to_be(made: Chain, tmp_path: Path, run: Run) -> None:
    (tmp_path / "store").mkdir()
    made.images[0].write(tmp_path / "store" / "renamed.vhdx")
    outcome = run("chain", "--json", made.path, "--search", tmp_path / "store")
    assert (outcome.status, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert_valid(document, "chain")
    assert document["chain"][2]["found_by"] == "data_write_guid"
    assert "found by data_write_guid" in run(
        "chain", made.path, "--search", tmp_path / "store"
    ).out  # fmt: skip


def test_a_chain_that_a_rule_refuses_has_the_status_of_that(tmp_path: Path, run: Run) -> None:
    def change(depth: int, image: Image) -> Image:
        return image.but(logical_sector_size=4096, blocks={}) if depth else image

    made = chain(2, blocks=few_runs, change=change).write(tmp_path)
    outcome = run("chain", "--json", made.path)
    assert outcome.status == 2
    document = json.loads(outcome.out)
    assert_valid(document, "chain")
    assert document["missing"]["error"]["rule"] == "CHAIN-02"


# -- info -----------------------------------------------------------------------------------------


def test_a_chain_is_described_in_one_document(tmp_path: Path, run: Run) -> None:
    made = chain(3, blocks=few_runs).write(tmp_path)
    outcome = run("info", "--chain", "--json", made.path)
    assert (outcome.status, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert_valid(document, "info")
    parents = document["parents"]
    paths = [*map(str, reversed(made.paths))]
    assert [one["path"] for one in (document, *parents)] == paths
    assert [one["parent"] and one["parent"]["path"] for one in (document, *parents)] == [
        *paths[1:],
        None,
    ]
    assert document | {"parents": None} == json.loads(run("info", "--json", made.path).out)
    alone = json.loads(run("info", "--chain", "--json", "--no-parent", made.path).out)
    assert alone["parents"] == []


def test_a_chain_is_described_as_far_as_it_goes(made: Chain, run: Run) -> None:
    outcome = run("info", "--chain", "--json", made.path)
    assert_failed(outcome, 1, "base.vhdx: no such file")
    document = json.loads(outcome.out)
    assert_valid(document, "info")
    (parent,) = document["parents"]
    assert "base.vhdx: no such file" in parent["parent"]["error"]
    text = run("info", "--chain", made.path)
    assert text.status == 1
    assert text.out.count("Virtual disk\n") == 2


# -- check ----------------------------------------------------------------------------------------


def test_a_check_of_a_chain_without_its_base_is_nowhere_clean(made: Chain, run: Run) -> None:
    outcome = run("check", "--chain", made.path)
    assert outcome.status == 1
    heads = [line for line in outcome.out.splitlines() if line.startswith("/")]
    assert heads == [
        f"{made.paths[2]}: cannot be used",
        f"{made.paths[1]}: cannot be used (1 error)",
    ]
    assert "clean" not in outcome.out
    outcome = run("check", "--chain", "--json", made.path)
    assert outcome.status == 1
    for line in outcome.out.splitlines():
        document = json.loads(line)
        assert_valid(document, "check")
        assert document["verdict"] == "unusable"
        assert document["diagnosis"][0].startswith("The disk cannot be read: ")
    assert run("check", made.path).status == 0


def test_a_check_takes_a_parent_for_each_level(made: Chain, tmp_path: Path, run: Run) -> None:
    base = made.images[0].write(tmp_path / "renamed")
    for options in (["--parent", made.paths[1], "--parent", base], ["--search", tmp_path]):
        outcome = run("check", made.path, *options)
        assert (outcome.status, outcome.err) == (0, "")
        assert outcome.out.count(": clean") == 3


# -- the disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["read", "convert"])
def test_what_a_missing_parent_has_is_zeros_or_lost_on_request(
    command: str, made: Chain, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out.raw"
    words = [command, made.path, *(["-o"] if command == "read" else []), out]
    refused = run(*words)
    assert_failed(refused, 1, "no parent found", "--missing-parent zero (or lost) goes on")
    left = without_parent(made.model, 2)
    expected = bytearray(contents(made.model))
    orphaned = [row[:2] for row in orphaned_rows(left, "lost") if row[5] == "lost"]
    for start, length in orphaned:
        expected[start : start + length] = bytes(length)

    zeros = run(*words, "--missing-parent", "zero")
    assert zeros.status == 0
    assert f"{made.paths[1]}: assumed parent: what belongs to it is taken for zeros" in zeros.err
    assert out.read_bytes() == expected
    out.unlink()

    lost = run(*words, "--missing-parent", "lost")
    assert lost.status == 1
    assert "belong to a parent that cannot be had" in lost.err
    assert not out.exists()

    lost_map = tmp_path / "map"
    saved = run(*words, "--missing-parent", "lost", "--salvage", "--lost-map", lost_map)
    assert saved.status == 3
    assert "belong to a parent that cannot be had, there are zeros in their place" in saved.err
    assert out.read_bytes() == expected
    marks = [line.split() for line in lost_map.read_text().splitlines() if line.endswith("-")]
    assert merged([(int(at, 16), int(size, 16)) for at, size, _ in marks]) == merged(orphaned)


def merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges in order, each with its length, neighbours as one."""
    found: list[tuple[int, int]] = []
    for start, length in ranges:
        if found and sum(found[-1]) == start:
            start, before = found.pop()
            length += before
        found.append((start, length))
    return found


def test_a_map_shows_what_belongs_to_a_missing_parent(made: Chain, run: Run) -> None:
    left = without_parent(made.model, 2)
    outcome = run("map", "--json", "--missing-parent", "lost", made.path)
    assert outcome.status == 3
    document = json.loads(outcome.out)
    assert_valid(document, "map")
    rows = [(row["start"], row["length"], row["depth"]) for row in document if "lost" in row]
    assert rows == [(*row[:2], row[3]) for row in orphaned_rows(left, "lost") if row[5] == "lost"]
    assert {row["lost"] for row in document if "lost" in row} == {"CHAIN-10"}
    assert "no parent found" in outcome.err
    assert run("map", "--missing-parent", "zero", made.path).status == 0


def test_disks_are_compared_with_parents_that_are_missing(
    made: Chain, tmp_path: Path, run: Run
) -> None:
    raw = tmp_path / "raw"
    run("convert", "--missing-parent", "zero", made.path, raw)
    assert run("compare", made.path, raw).status == 4
    assert run("compare", made.path, raw, "--missing-parent", "zero").status == 0
    assert run("compare", made.path, made.path, "--missing-parent", "lost").status == 4


def test_everything_that_is_assumed_of_any_file_of_a_chain_is_told(
    tmp_path: Path, run: Run
) -> None:
    made = chain(3, blocks=few_runs).write(tmp_path)
    with made.paths[1].open("r+b") as file:
        for offset in (64 * KIB, 128 * KIB):  # the checksums of both headers
            file.seek(offset + 4)
            file.write(b"XXXX")
    changed(made.images[0]).write(made.paths[0])
    options = ["--assume-header", "--ignore-linkage"]
    out = tmp_path / "out.raw"
    told = [(str(made.paths[1]), "headers"), (str(made.paths[0]), "linkage")]
    for words in (["read", "-o", out], ["map"], ["chain"]):
        outcome = run(*words, made.path, *options)
        assert outcome.status == 0
        for path, what in told:
            assert f"{path}: assumed {what}: " in outcome.err
    assert out.read_bytes() == contents(made.model)
    for command, *form in (["chain", "--json"], ["info", "--chain", "--json"]):
        document = json.loads(run(command, *form, made.path, *options).out)
        assert_valid(document, command)
        assert [(one["path"], one["what"]) for one in document["assumed"]] == told
    outcome = run("compare", "--json", out, made.path, *options)
    document = json.loads(outcome.out)
    assert_valid(document, "compare")
    assert document["same"]
    assert [(one["path"], one["what"]) for one in document["assumed"]] == told
    outcome = run("info", "--json", made.path, *options)
    document = json.loads(outcome.out)
    assert [(one["path"], one["what"]) for one in document["assumed"]] == told[:1]
    assert f"{made.paths[1]}: assumed headers: " in outcome.err
    document = json.loads(run("info", "--json", made.paths[1], *options).out)
    assert [one["what"] for one in document["assumed"]] == ["headers", "linkage"]
    assert str(OTHER) in document["assumed"][1]["message"]
    assert document["parent"]["matched_by"] is None


# -- options to no use ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["info", "map", "chain", "check"])
def test_options_about_parents_that_do_not_apply_are_told(
    command: str, files: Files, tmp_path: Path, run: Run
) -> None:
    words = [command, files.good("dynamic-plain")]
    quiet = run(*words)
    assert (quiet.status, quiet.err) == (0, "")
    for options, told in (
        (["--parent", "some.vhdx"], "the parent some.vhdx is not used"),
        (["--search", tmp_path], "no parent is looked for: the image has none"),
        (["--search", tmp_path / "none"], "none: there is no such folder"),
        (["--follow-absolute"], "no parent is looked for: the image has none"),
    ):
        outcome = run(*words, *options)
        assert outcome.status == 0
        assert told in outcome.err
        assert outcome.out == quiet.out


@pytest.mark.parametrize("command", ["info", "map", "chain", "check"])
def test_a_folder_that_is_not_there_is_told_although_the_parent_is_found(
    command: str, tmp_path: Path, run: Run
) -> None:
    made = chain(2, blocks=few_runs).write(tmp_path)
    outcome = run(command, made.path, "--search", tmp_path / "none")
    assert outcome.status == 0
    assert outcome.err.count("\n") == 1
    assert f"nothing is looked for in {tmp_path / 'none'}: there is no such folder" in outcome.err


def test_more_parents_than_levels_are_told(tmp_path: Path, run: Run) -> None:
    made = chain(2, blocks=few_runs).write(tmp_path)
    options = ["--parent", made.paths[0], "--parent", "more"]
    for command in ("map", "chain", "check"):
        outcome = run(command, made.path, *options)
        assert outcome.status == 0
        assert "the parent more is not used: no image of the chain needs it" in outcome.err
    assert run("info", made.path, *options).err == ""  # it looks for the first alone


def test_what_is_of_use_to_one_of_several_files_is_not_told(tmp_path: Path, run: Run) -> None:
    made = chain(2, blocks=few_runs).write(tmp_path)
    (tmp_path / "store").mkdir()
    base = made.paths[0].rename(tmp_path / "store" / "base.vhdx")
    for command in ("check", "compare"):
        outcome = run(command, made.path, base, "--search", tmp_path / "store")
        assert outcome.status in (0, 1)
        assert "parent" not in outcome.err
        outcome = run(command, base, base, "--search", tmp_path / "store")
        assert outcome.err.count("no parent is looked for") == 1
