"""`vhdx-kaitai create`: makes what it is told, and says what that is."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed, assert_one_line, document_of
from tests.conftest import Run
from tests.images.chain import chain
from tests.images.image import dynamic
from tests.images.structures import GIB, MIB
from tests.support import files_in
from tests.writing.making import assert_clean

DISK_ID = "d15c0001-3333-4333-8333-0123456789ab"


def test_it_says_what_it_made(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "new.vhdx"
    outcome = run("create", path, "--size", "10G")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == (
        f"{path}: dynamic virtual disk of 10 GiB, blocks of 32 MiB, "
        "sectors of 512 bytes logical, 4096 bytes physical\n"
    )
    assert_clean(path)


def test_a_disk_is_what_it_is_told_to_be(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "new.vhdx"
    options = (
        "--type",
        "fixed",
        "--block-size",
        "1MiB",
        "--sector-size",
        4096,
        "--disk-id",
        DISK_ID,
    )
    outcome = run("create", path, "--size", "5MiB", *options, "--json")
    document = document_of(outcome, "create")
    assert document["path"] == str(path)
    assert document["file_size"] == path.stat().st_size == 9 * MIB
    assert document["virtual_disk_id"] == DISK_ID
    assert document["parent"] is None
    with vhdx_kaitai.open(path) as disk:
        for name in ("disk_type", "block_size", "logical_sector_size", "physical_sector_size"):
            assert document[name] == getattr(disk, name)
        assert document["virtual_disk_size"] == disk.size == 5 * MIB
        assert (disk.disk_type, disk.logical_sector_size) == ("fixed", 4096)


def test_a_child_names_its_parent(tmp_path: Path, run: Run) -> None:
    made = chain(2).write(tmp_path)
    outcome = run("create", tmp_path / "new.vhdx", "--parent", made.path)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.endswith(f", child of {made.path}\n")
    document = document_of(
        run("create", tmp_path / "new.vhdx", "--parent", made.path, "--force", "--json"), "create"
    )
    assert document["disk_type"] == "differencing"
    assert document["parent"] == str(made.path)


def test_a_parent_elsewhere_is_told(tmp_path: Path, run: Run) -> None:
    """Since readers do not go there by themselves."""
    (tmp_path / "children").mkdir()
    parent = dynamic(MIB).build().write(tmp_path / "base.vhdx")
    child = tmp_path / "children" / "new.vhdx"
    outcome = run("create", child, "--parent", parent)
    assert outcome.status == 0
    assert_one_line(outcome.err)
    assert "--follow-absolute" in outcome.err
    assert run("create", child, "--parent", parent, "--force", "-q").err == ""
    assert run("map", child).status == 1
    assert run("map", child, "--follow-absolute").status == 0


def test_parents_of_a_parent_may_be_elsewhere(tmp_path: Path, run: Run) -> None:
    made = chain(2, names=["base.vhdx", "child.vhdx"]).write(tmp_path)
    (tmp_path / "store").mkdir()
    made.paths[0].rename(tmp_path / "store" / "base.vhdx")
    words = ("create", tmp_path / "new.vhdx", "--parent", made.path)
    assert_failed(run(*words), 1, "no parent found")
    assert files_in(tmp_path) == {"child.vhdx", "store"}
    assert run(*words, "--search", tmp_path / "store").status == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "needs a size"),
        (["--size", "1000"], "VirtualDiskSize 1000"),
        (["--size", "1M", "--type", "differencing"], "needs a parent"),
        (["--size", "1M", "--block-size", "3M"], "a power of two"),
        (["--size", "1M", "--sector-size", "1024"], "--sector-size"),
        (["--size", "1M", "--disk-id", "5"], "invalid guid value"),
        (["--size", "1M", "--disk-id", "{" + DISK_ID], "invalid guid value"),
        (["--size", "1MB"], "1MiB"),
    ],
)
def test_what_cannot_be_is_a_matter_of_usage(
    words: list[str], told: str, tmp_path: Path, run: Run
) -> None:
    outcome = run("create", tmp_path / "new.vhdx", *words)
    assert (outcome.status, outcome.out) == (64, "")
    assert outcome.err.startswith("usage: ")
    assert told in outcome.err
    assert files_in(tmp_path) == set()


def test_standard_output_is_no_image(run: Run) -> None:
    assert run("create", "-", "--size", "1M").status == 64


def test_a_file_that_is_there_stays_unless_told(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "new.vhdx"
    path.write_bytes(b"before")
    assert_failed(run("create", path, "--size", GIB), 1, f"{path}: ", "--force")
    assert path.read_bytes() == b"before"
    assert run("create", path, "--size", GIB, "--force").status == 0
    assert_clean(path)


def test_a_refused_parent_is_told_in_one_line_and_a_document(tmp_path: Path, run: Run) -> None:
    made = chain(2).write(tmp_path)
    made.paths[0].unlink()
    words = ("create", tmp_path / "new.vhdx", "--parent", made.path)
    assert_failed(run(*words), 1, f"{made.path}: ")
    document = document_of(run(*words, "--json"), "error")
    assert document["error"]["type"] == "ParentNotFoundError"
    assert files_in(tmp_path) == {"child1.vhdx"}
