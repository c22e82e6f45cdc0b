"""Chains of a fleet are put together by DataWriteGuid; names decide only between copies."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.images.chain import chain
from vhdx_kaitai.serving.lineage import Chains, Lineage
from vhdx_kaitai.serving.record import failed, scan_one

NIL = "00000000-0000-0000-0000-000000000000"


def guid(number: int) -> str:
    return f"da7a{number:04x}-2222-4222-8222-0123456789ab"


def image(path: str, own: int | None, **fields: Any) -> dict[str, Any]:
    """Return what matters of a record; `parent` is the number of its parent's DataWriteGuid."""
    parent = fields.pop("parent", None)
    record = failed(path, OSError())
    record.update(verdict="clean", data_write_guid=None if own is None else guid(own))
    record["parent_linkage"] = guid(parent) if parent is not None else None
    return {**record, **fields}


def chains(records: Iterable[dict[str, Any]]) -> Chains:
    """Return the chains, which are the same in whatever order the records come."""
    lineage, reverse = Lineage(), Lineage()
    for record in (records := list(records)):
        lineage.add(record)
    for record in reversed(records):
        reverse.add(record)
    assert lineage.chains() == reverse.chains()
    return lineage.chains()


def told(found: Chains) -> list[tuple[str, str]]:
    return [(path, finding.rule) for path, finding in found.findings]


def test_a_parent_is_known_by_its_guid_wherever_it_is() -> None:
    found = chains([image("a/child.avhdx", 2, parent=1), image("b/renamed.vhdx", 1)])
    assert found == Chains(1, 1, [])


def test_the_second_linkage_will_do() -> None:
    child = image("child", 2, parent=9, parent_linkage2=guid(1))
    assert chains([child, image("base", 1)]) == Chains(1, 1, [])


def test_a_child_without_a_parent_is_told_with_what_it_wants() -> None:
    found = chains([image("a/child", 2, parent=1), image("a/other", 3)])
    assert (found.children, found.whole) == (1, 0)
    ((path, finding),) = found.findings
    assert (path, finding.rule, finding.where) == ("a/child", "CHAIN-10", "parent of a/child")
    assert guid(1) in finding.message


@pytest.mark.parametrize(
    "paths",
    [
        {"relative_path": r".\base.vhdx"},
        {"relative_path": r"..\a\Base.VHDX"},
        {"absolute_win32_path": r"C:\VMs\base.vhdx"},
        {"volume_path": r"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\base.vhdx"},
        {"relative_path": r"..\gone.vhdx", "absolute_win32_path": r"D:\base.vhdx"},
    ],
)
def test_a_parent_that_was_changed_is_told(paths: dict[str, str]) -> None:
    found = chains([image("a/child", 2, parent=1, **paths), image("a/base.vhdx", 7)])
    ((path, finding),) = found.findings
    assert (path, finding.rule) == ("a/child", "CHAIN-01")
    assert (finding.expected, finding.actual) == (guid(1), guid(7))
    assert "a/base.vhdx" in finding.message


def test_a_parent_that_cannot_be_read_is_none() -> None:
    base = image("a/base.vhdx", None, verdict="corrupt")
    found = chains([image("a/child", 2, parent=1, relative_path="base.vhdx"), base])
    assert told(found) == [("a/child", "CHAIN-10")]
    assert "found a/base.vhdx, but it cannot be used" in found.findings[0][1].message


def test_places_in_a_store_are_places_too() -> None:
    child = image("s3://b/a/child", 2, parent=1, relative_path=r"..\base.vhdx")
    assert told(chains([child, image("s3://b/base.vhdx", 7)])) == [("s3://b/a/child", "CHAIN-01")]


def test_zero_matches_nothing() -> None:
    child = image("child", 2, parent=0, parent_linkage2=NIL)
    child["parent_linkage"] = NIL
    base = {**image("base", 0), "data_write_guid": NIL}
    assert told(chains([child, base])) == [("child", "CHAIN-10")]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_cycle_is_told_of_all_that_are_in_it(count: int) -> None:
    ring = [image(f"ring{n}", n, parent=(n + 1) % count) for n in range(count)]
    outside = image("outside", 100, parent=0)
    found = chains([*ring, outside])
    assert sorted(told(found)) == [(f"ring{n}", "CHAIN-06") for n in range(count)]
    assert (found.children, found.whole) == (count + 1, 0)


def test_of_copies_the_one_that_is_named_is_the_parent() -> None:
    """And it is the one whose state counts."""
    copies = [image(f"{folder}/base.vhdx", 1, verdict="corrupt") for folder in "abd"]
    child = image("c/child", 2, parent=1, relative_path="base.vhdx")
    assert chains([*copies, image("c/base.vhdx", 1), child]) == Chains(1, 1, [])
    assert chains([*copies, child]) == Chains(1, 0, [])


def test_an_image_is_its_own_parent_only_when_nothing_else_is() -> None:
    own = image("own", 1, parent=1)
    assert told(chains([own])) == [("own", "CHAIN-06")]
    assert told(chains([own, image("other", 1)])) == []


def test_a_chain_is_whole_when_none_of_it_is_corrupt() -> None:
    images = [image("0", 0), *(image(str(n), n, parent=n - 1) for n in range(1, 6))]
    assert chains(images) == Chains(5, 5, [])
    images[2]["verdict"] = "corrupt"
    assert chains(images) == Chains(5, 1, [])
    del images[0]
    assert (chains(images).whole, told(chains(images))) == (0, [("1", "CHAIN-10")])


def test_long_chains_and_many_copies_are_no_matter() -> None:
    images = [image("0", 0), *(image(str(n), n, parent=n - 1) for n in range(1, 5000))]
    assert chains(images) == Chains(4999, 4999, [])
    copies = [image(f"base{n}", 1) for n in range(5000)]
    children = [image(f"child{n}", 2, parent=1) for n in range(5000)]
    assert chains([*copies, *children]) == Chains(5000, 5000, [])


def test_real_chains_in_whatever_order(tmp_path: Path) -> None:
    made = chain(4).write(tmp_path)
    records = [scan_one(str(path)) for path in made.paths]
    for order in itertools.permutations(records):
        assert chains(order) == Chains(3, 3, [])
    left = [record for record in records if record["path"] != str(made.paths[1])]
    assert told(chains(left)) == [(str(made.paths[2]), "CHAIN-10")]
