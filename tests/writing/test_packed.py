"""A packed copy is the same disk, in a file that holds nothing but what it has to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.crash.compacting import IMAGES
from tests.crash.disks import Written
from tests.images.chain import chain
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.reading_fixtures import allocated, qemu_img
from tests.support import good
from tests.writing.making import assert_clean, assert_others_open
from vhdx_kaitai import compact
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.reading.image import Image

REFUSED = ("fixed", "unknown region", "shuffled")


def written_to(folder: Path, written: Written) -> tuple[Path, dict[str, Any]]:
    """Write an image and its parents, and return how they are opened."""
    path = written.image.build().write(folder / "a.vhdx")
    parents = [
        parent.write(folder / f"parent-{number}.vhdx")
        for number, parent in enumerate(written.parents)
    ]
    return path, {"parent": parents} if parents else {}


@pytest.mark.parametrize("name", IMAGES)
def test_it_reads_the_same_and_is_as_long_as_it_has_to_be(name: str, tmp_path: Path) -> None:
    written = IMAGES[name]()
    path, options = written_to(tmp_path, written)
    before, new = path.read_bytes(), tmp_path / "new.vhdx"
    model = written.image.build().model
    if any(word in name for word in REFUSED):
        with pytest.raises(UnsupportedError):
            compact(path, to=new)
        assert not new.exists()
        return
    compact(path, to=new)
    assert path.read_bytes() == before
    with vhdx_kaitai.open(new, **options) as disk:
        assert disk.image.replayed is None
        assert disk.size == model.size
        for start, end in written.windows or ((0, model.size),):
            assert disk.pread(end - start, start) == model.read(start, end - start)
    report = vhdx_kaitai.check(new)
    assert [f for f in report.findings if f.level in ("error", "warning")] == []
    assert not {"BLK-13", "BLK-07"} & {finding.rule for finding in report.findings}
    assert all(change.what != "last blocks" for change in compact(new, dry_run=True).changes)


@pytest.mark.parametrize("name", ["dynamic-plain", "dirty-everything", "items-of-all-kinds"])
def test_all_that_is_said_of_the_disk_stays(name: str, tmp_path: Path) -> None:
    path, new = good(name).write(tmp_path / "a.vhdx"), tmp_path / "new.vhdx"
    told = compact(path, to=new, dry_run=True)
    assert not new.exists()
    assert compact(path, to=new).changes == told.changes
    with Image(path) as one, Image(new, replay="refuse") as two:
        assert one.headers.current.data_write_guid == two.headers.current.data_write_guid
        assert one.headers.current.file_write_guid != two.headers.current.file_write_guid
        for field in ("virtual_disk_id", "block_size", "physical_sector_size"):
            assert getattr(one.metadata, field) == getattr(two.metadata, field)
        assert items_of(one) == items_of(two)
        assert told.changes[-1].after == f"{two.source.size} bytes"


def items_of(image: Image) -> dict[tuple[Any, bool], bytes]:
    """All items but the order in which they stand."""
    start = image.regions.metadata.file_offset
    return {
        (entry.item_id, entry.is_user): image.source.read(start + entry.offset, entry.length)
        for entry in image.metadata.entries
        if entry.length
    }


def test_parents_and_children_take_it_for_the_one_it_was_made_of(tmp_path: Path) -> None:
    made = chain(3).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        held = disk.pread(disk.size, 0)
    for level in made.paths:
        new = tmp_path / "new.vhdx"
        compact(level, to=new)
        new.replace(level)
        with vhdx_kaitai.open(made.path) as disk:
            assert disk.pread(disk.size, 0) == held


def test_a_child_is_copied_beside_it_alone(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UnsupportedError, match="folder"):
        compact(made.path, to=tmp_path / "elsewhere" / "new.vhdx")
    compact(made.paths[0], to=tmp_path / "elsewhere" / "new.vhdx")


def test_nothing_is_replaced_and_who_stops_it_leaves_nothing(tmp_path: Path) -> None:
    path = good("dynamic-plain").write(tmp_path / "a.vhdx")
    with pytest.raises(FileExistsError):
        compact(path, to=path)
    calls: list[int] = []
    compact(path, to=tmp_path / "new.vhdx", progress=calls.append)
    (tmp_path / "new.vhdx").unlink()
    assert calls == sorted(calls)

    def stop(done: int) -> None:
        if done == calls[-1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compact(path, to=tmp_path / "new.vhdx", progress=stop)
    assert [found.name for found in tmp_path.iterdir()] == ["a.vhdx"]


def test_blocks_stand_in_the_order_of_the_disk_with_holes_for_zeros(tmp_path: Path) -> None:
    size = 4 * MIB
    blocks = {n: Block(data=bytes(MIB) + b"data") for n in (5, 0, 3)}
    image = dynamic(24 * MIB, block_size=size, blocks=blocks, block_order=(5, 0, 3))
    path, new = tmp_path / "a.vhdx", tmp_path / "new.vhdx"
    path.write_bytes(image.build().to_bytes())
    compact(path, to=new)
    with vhdx_kaitai.open(new) as disk:
        places = [e.file_offset for e in disk.extents() if e.file_offset is not None]
    assert places == sorted(places)
    assert len(places) == 3
    assert allocated(new) < 2 * MIB
    assert_clean(new)


@pytest.mark.slow
def test_others_open_it(tmp_path: Path) -> None:
    blocks = {0: Block(), 1: Block(data=b""), 5: Block()}
    path = dynamic(8 * MIB, blocks=blocks, block_order=(5, 1, 0)).build().write(tmp_path / "a.vhdx")
    new = tmp_path / "new.vhdx"
    compact(path, to=new)
    assert_others_open(new, 8 * MIB)
    qemu_img("compare", "-f", "vhdx", "-F", "vhdx", path, new)
