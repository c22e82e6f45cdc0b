"""Parents of images at URLs: beside the child and below, and nowhere else unless it is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import vhdx_kaitai
from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS, Chain, ChainCase
from tests.images.image import Built
from tests.parents_fixtures import ABSOLUTE, RIGHT, WRONG, child, parent, put, tag_of
from tests.web import Answer, Web, serving
from vhdx_kaitai.errors import ParentMismatchError, ParentNotFoundError


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


class Memory:
    """Files in the memory of this process, which can be listed."""

    url = "memory:/"  # with the slash before the name

    def __init__(self) -> None:
        self.system: Any = fsspec.filesystem("memory")

    def put(self, path: str, built: Built) -> str:
        self.system.pipe(f"/{path}", built.to_bytes())
        return f"memory://{path}"


@pytest.fixture
def memory() -> Iterator[Memory]:
    made = Memory()
    yield made
    made.system.store.clear()
    made.system.pseudo_dirs[:] = [""]


def asked_paths(web: Web) -> list[str]:
    """Return the paths that were asked for, each once, in order."""
    return list(dict.fromkeys(request.path for request in web.requests))


@pytest.mark.parametrize("text", ["parent.vhdx", ".\\parent.vhdx", "d\\..\\parent.vhdx"])
def test_a_parent_is_found_beside_its_child(text: str, web: Web) -> None:
    web.put("d/parent.vhdx", parent(4).file)
    with vhdx_kaitai.open(web.put("d/child.vhdx", child(relative_path=text).file)) as disk:
        assert tag_of(disk) == 4
        assert disk.chain[1].path == f"{web.url}/d/parent.vhdx"
        assert disk.links == (("relative_path", "parent_linkage"),)
    assert asked_paths(web) == ["/d/child.vhdx", "/d/parent.vhdx"]


def test_a_parent_is_found_below_and_by_the_last_name_of_any_path(web: Web) -> None:
    web.put("d/e f/parent.vhdx", parent(4).file)
    url = web.put("d/child.vhdx", child(relative_path="e f\\parent.vhdx").file)
    with vhdx_kaitai.open(url) as disk:
        assert tag_of(disk) == 4
    web.put("d/parent.vhdx", parent(5).file)
    absolute = child(**{ABSOLUTE: "C:\\images\\parent.vhdx"})
    with vhdx_kaitai.open(web.put("d/child.vhdx", absolute.file)) as disk:
        assert tag_of(disk) == 5


OUTSIDE = [
    "..\\parent.vhdx",
    "..\\..\\parent.vhdx",
    "e\\..\\..\\parent.vhdx",
    "https://host/parent.vhdx",
    "\\\\host\\share\\parent.vhdx",
    "/parent.vhdx",
    "C:\\parent.vhdx",
    "..\\d2\\parent.vhdx",
]


@pytest.mark.parametrize("text", OUTSIDE)
def test_nothing_else_is_asked_for(text: str, web: Web) -> None:
    web.put("parent.vhdx", parent().file)
    web.put("d2/parent.vhdx", parent().file)
    url = web.put("d/child.vhdx", child(relative_path=text, **{ABSOLUTE: text}).file)
    with pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(url)
    assert set(asked_paths(web)) <= {"/d/child.vhdx", "/d/parent.vhdx"}
    assert caught.value.path == url


def test_what_leads_out_is_followed_when_that_is_allowed(web: Web) -> None:
    web.put("d/parent.vhdx", parent(4).file)
    url = web.put("d/e/child.vhdx", child(relative_path="..\\parent.vhdx").file)
    with vhdx_kaitai.open(url, follow_absolute=True) as disk:
        assert tag_of(disk) == 4


@pytest.mark.parametrize("text", ["https://host/parent.vhdx", "http://127.0.0.1:9/parent.vhdx"])
def test_a_locator_cannot_name_a_url(text: str, tmp_path: Path) -> None:
    path = put(child(relative_path=text, **{ABSOLUTE: text}), tmp_path, "child.vhdx")
    with pytest.raises(ParentNotFoundError):
        vhdx_kaitai.open(path, follow_absolute=True)


def test_a_parent_whose_name_differs_in_case_is_found_where_names_can_be_listed(
    memory: Memory, web: Web
) -> None:
    built = child(relative_path="E\\Parent.VHDX")
    memory.put("d/e/parent.vhdx", parent(4))
    with vhdx_kaitai.open(memory.put("d/child.vhdx", built)) as disk:
        assert tag_of(disk) == 4
    web.put("d/e/parent.vhdx", parent(4).file)
    with pytest.raises(ParentNotFoundError, match="no such file"):
        vhdx_kaitai.open(web.put("d/child.vhdx", built.file))


def test_a_folder_to_search_may_be_a_url(web: Web, tmp_path: Path) -> None:
    built = child(relative_path="parent.vhdx")
    path = put(built, tmp_path, "child.vhdx")
    web.put("backup/parent.vhdx", parent(4).file)
    for source in (path, web.put("own/child.vhdx", built.file)):
        with vhdx_kaitai.open(source, search=f"{web.url}/backup") as disk:
            assert tag_of(disk) == 4
            assert disk.unused == ()
    put(parent(5), tmp_path, "here", "parent.vhdx")
    with vhdx_kaitai.open(web.put("own/child.vhdx", built.file), search=tmp_path / "here") as disk:
        assert tag_of(disk) == 5


def test_a_parent_under_another_name_is_found_by_its_guid(memory: Memory, tmp_path: Path) -> None:
    memory.put("backup/a.vhdx", parent(1, WRONG))
    memory.put("backup/renamed.vhdx", parent(4, RIGHT))
    memory.system.pipe("/backup/short", b"vhdxfile")
    path = put(child(relative_path="gone.vhdx"), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path, search=["memory://backup"]) as disk:
        assert tag_of(disk) == 4
        assert disk.links[0].key == "data_write_guid"
    memory.system.rm("/backup/renamed.vhdx")
    with pytest.raises(ParentNotFoundError, match="none of 2 files has it"):
        vhdx_kaitai.open(path, search=["memory://backup"])
    with pytest.raises(ParentNotFoundError, match="there is no file to look at"):
        vhdx_kaitai.open(path, search=["memory://nothing"])


def test_a_parent_may_be_named_by_its_url(web: Web, tmp_path: Path) -> None:
    url = web.put("other.vhdx", parent(4).file)
    path = put(child(relative_path="gone.vhdx"), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path, parent=url) as disk:
        assert tag_of(disk) == 4
    wrong = web.put("wrong.vhdx", parent(4, WRONG).file)
    with pytest.raises(ParentMismatchError, match=wrong):
        vhdx_kaitai.open(path, parent=wrong)


def test_a_parent_that_may_not_be_read_is_an_error_of_the_system(web: Web) -> None:
    url = web.put("child.vhdx", child(relative_path="parent.vhdx").file)
    web.twist = lambda request, _: Answer(403) if "parent" in request.path else None
    with pytest.raises(PermissionError) as caught:
        vhdx_kaitai.open(url)
    assert caught.value.filename == f"{web.url}/parent.vhdx"


def test_a_query_goes_along_and_nothing_of_it_is_told(web: Web) -> None:
    url = web.put("d/child.vhdx", child(relative_path="parent.vhdx").file)
    secret = f"{url}?sig=hidden".replace("://", "://me:word@")
    with pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(secret)
    assert asked_paths(web)[-1] == "/d/parent.vhdx?sig=hidden"
    shown = f"{web.url}/d/parent.vhdx?...".replace("://", "://...@")
    assert shown in str(caught.value)
    web.put("d/parent.vhdx", parent(4, WRONG).file)
    with pytest.raises(ParentMismatchError) as other:
        vhdx_kaitai.open(secret)
    search = f"{web.url}/e?sig=hidden"
    with pytest.raises(ParentMismatchError) as third:
        vhdx_kaitai.open(secret, search=search)
    with vhdx_kaitai.open(
        secret, parent=[None, f"{web.url}/x?hidden"], missing_parent="lost"
    ) as disk:
        told = [repr(disk), str(disk.unused), str(disk.missing), *map(str, disk.lost())]
    for text in (str(caught.value), str(other.value), str(third.value), *told):
        assert "hidden" not in text
        assert "word" not in text


# -- chains ---------------------------------------------------------------------------------------


def chain_at(web: Web, made: Chain) -> str:
    """Serve the images of a chain beside each other, and return the URL of the child."""
    for built, name in zip(made.images, made.names, strict=True):
        if name not in made.missing:
            web.put(f"d/{name}", built.file)
    return f"{web.url}/d/{made.names[-1]}"


def told(report: vhdx_kaitai.Report, place: str) -> list[object]:
    """Return what a report says, whatever the folder is called."""
    return [
        (part.verdict, [str(finding).replace(place, "") for finding in part.findings])
        for part in report.reports
    ]


@pytest.mark.parametrize("case", GOOD_CHAINS.values(), ids=list(GOOD_CHAINS))
def test_a_chain_has_the_same_findings_at_a_url(case: ChainCase, web: Web, tmp_path: Path) -> None:
    made = case.build().write(tmp_path)
    url = chain_at(web, made)
    here = vhdx_kaitai.check(made.path, chain=True)
    there = vhdx_kaitai.check(url, chain=True)
    assert told(there, f"{web.url}/d/") == told(here, f"{tmp_path}/")


@pytest.mark.parametrize("name", sorted(CHAIN_DAMAGES.keys() - {"too-deep"}))
def test_a_damaged_chain_has_the_same_findings_at_a_url(
    name: str, web: Web, tmp_path: Path
) -> None:
    made = CHAIN_DAMAGES[name].build().write(tmp_path)
    url = chain_at(web, made)
    here = vhdx_kaitai.check(made.path, chain=True)
    there = vhdx_kaitai.check(url, chain=True)
    assert told(there, f"{web.url}/d/") == told(here, f"{tmp_path}/")
