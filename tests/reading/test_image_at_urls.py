"""An image at a URL is opened by four range requests at most, and is what it would be here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.conftest import Files
from tests.images.damage import DAMAGES
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Block, dynamic, fixed
from tests.images.structures import GIB, KIB, MIB, TIB
from tests.support import damaged, good
from tests.web import Answer, Request, Web, serving
from vhdx_kaitai.errors import ReplacedError, VhdxError

MOST_REQUESTS = 4


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture
def web(server: Web) -> Web:
    server.ranges()
    server.twist = None
    return server


@pytest.mark.parametrize("name", GOODS)
def test_a_good_image_opens_by_few_requests(name: str, web: Web) -> None:
    url = web.put(f"{name}.vhdx", good(name).file)
    with vhdx_kaitai.open(url, resolve_parents=False) as disk:
        asked = web.ranges()
        assert len(asked) <= MOST_REQUESTS
        assert asked[0] == (0, 320 * KIB)
        model = good(name).model
        for offset in (0, disk.size // 1024 * 512, disk.size - 512):
            try:
                read = disk.pread(512, offset)
            except VhdxError:  # it belongs to the parent
                continue
            assert read == model.read(offset, 512)


@pytest.mark.parametrize("size", [64 * MIB, 16 * TIB, 64 * TIB], ids=["64M", "16T", "64T"])
@pytest.mark.parametrize("is_dirty", [False, True], ids=["clean", "dirty"])
def test_the_size_of_a_disk_makes_no_difference(size: int, is_dirty: bool, web: Web) -> None:
    image = dynamic(size, block_size=MIB, blocks={0: Block(), size // MIB - 1: Block()})
    built = (dirty(image, hide=("region_tables", "metadata")) if is_dirty else image).build()
    with vhdx_kaitai.open(web.put("a.vhdx", built.file)) as disk:
        assert len(web.ranges()) == (2 if size > 16 * GIB else 3) + is_dirty
        assert disk.pread(512, size - 512) == built.model.read(size - 512, 512)
        assert len(web.ranges()) <= 2  # the page of the BAT, and the data


def test_a_partition_table_takes_one_request_more(web: Web) -> None:
    built = fixed(8 * MIB).build()
    with vhdx_kaitai.open(web.put("a.vhdx", built.file)) as disk:
        opening = len(web.ranges())
        assert disk.pread(34 * 512, 0) == built.model.read(0, 34 * 512)
        assert disk.pread(512, 512) == built.model.read(512, 512)
        assert (opening, len(web.ranges())) == (3, 1)


def test_a_disk_reads_as_its_model(web: Web) -> None:
    built = good("dynamic-plain")
    with vhdx_kaitai.open(web.put("a.vhdx", built.file)) as disk:
        step = 3 * MIB + 512
        for start in range(0, disk.size, step):
            length = min(step, disk.size - start)
            assert disk.pread(length, start) == built.model.read(start, length)


@pytest.mark.slow
def test_a_damaged_image_has_the_same_findings_at_a_url(files: Files, web: Web) -> None:
    for name in sorted(DAMAGES)[::4]:
        here = vhdx_kaitai.check(files.damaged(name))
        there = vhdx_kaitai.check(web.put("a.vhdx", damaged(name).file))
        assert list(map(str, there.findings)) == list(map(str, here.findings)), name
        assert (there.verdict, there.skipped) == (here.verdict, here.skipped), name


def test_an_image_that_is_replaced_while_it_is_checked_fails(web: Web) -> None:
    url = web.put("a.vhdx", good("dynamic-plain").file)
    asked = 0

    def swap(_request: Request, _answer: Answer) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            web.put("a.vhdx", good("fixed-plain").file)

    web.twist = swap
    with pytest.raises(ReplacedError) as caught:
        vhdx_kaitai.check(url)
    assert caught.value.path == url


def test_nothing_at_a_url_is_written(web: Web, tmp_path: Path) -> None:
    url = web.put("a.vhdx", good("dynamic-plain").file)
    base = good("dynamic-plain").write(tmp_path / "base.vhdx")
    for write in (
        lambda: vhdx_kaitai.open(url, writable=True),
        lambda: vhdx_kaitai.create(url, MIB),
        lambda: vhdx_kaitai.convert(base, url),
        lambda: vhdx_kaitai.compact(url),
        lambda: vhdx_kaitai.resize(url, GIB),
        lambda: vhdx_kaitai.replay(url),
        lambda: vhdx_kaitai.repair(url, write=True),
    ):
        with pytest.raises(vhdx_kaitai.UnsupportedError, match="read only") as caught:
            write()
        assert caught.value.path == url


def test_a_parent_at_a_url_is_not_named_in_a_child(web: Web, tmp_path: Path) -> None:
    url = web.put("a.vhdx", good("dynamic-plain").file)
    with pytest.raises(VhdxError, match="cannot be named in a child"):
        vhdx_kaitai.create(tmp_path / "child.vhdx", parent=url)
    assert list(tmp_path.iterdir()) == []
