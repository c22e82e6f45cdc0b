"""A repair by which the disk reads otherwise tells others; where they rely on it, it is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.crash.machine import cuts
from tests.images.chain import child_of
from tests.images.image import Built
from tests.images.structures import MIB
from tests.support import damaged
from tests.writing.repairing import tried
from vhdx_kaitai import RepairOutcome, repair
from vhdx_kaitai.reading.image import Image

# Repairs by which the disk reads otherwise, and what has to be asked for.
OTHERWISE = {"bat-block-over-the-end": "fill_cut", "bat-block-past-the-end": "forget_lost"}


def guid_of(path: Path) -> UUID:
    with Image(path) as image:
        return image.headers.current.data_write_guid


def mended(path: Path, name: str, **more: Any) -> RepairOutcome:
    asked: dict[str, Any] = {OTHERWISE[name]: True, "write": True}
    return repair(path, **asked | more)


@pytest.mark.parametrize("name", OTHERWISE)
def test_the_disk_gets_a_new_guid(name: str, tmp_path: Path) -> None:
    built = damaged(name)
    path = built.write(tmp_path / "disk.vhdx")
    assert [item.rule for item in mended(path, name).items] == ["BAT-10"]
    assert guid_of(path) != built.model.current_header.data_write_guid


def test_the_guid_stays_when_only_what_nobody_needs_is_filled(tmp_path: Path) -> None:
    built = damaged("file-length-odd")
    path = built.write(tmp_path / "disk.vhdx")
    assert repair(path, write=True, fill_cut=True).is_changed
    assert guid_of(path) == built.model.current_header.data_write_guid


@pytest.mark.parametrize("name", OTHERWISE)
@pytest.mark.parametrize("other", ["child", ".rct"])
def test_what_others_rely_on_is_left_unless_it_is_forced(
    name: str, other: str, tmp_path: Path
) -> None:
    built = damaged(name)
    path = built.write(tmp_path / "disk.vhdx")
    if other == "child":
        child_of(built, path.name, virtual_disk_id=UUID(int=1)).build().write(tmp_path / "c.avhdx")
    else:
        path.with_name(path.name + other).touch()
    before = path.read_bytes()
    for write in (False, True):
        left = mended(path, name, write=write)
        assert (left.items, left.is_changed) == ((), False)
        why = next(one.why for one in left.left if one.rule == "BAT-10")
        assert "--force (force=True) changes it all the same" in why
        assert ("1 child of it (c.avhdx)" if other == "child" else "disk.vhdx.rct") in why
    assert path.read_bytes() == before
    assert mended(path, name, force=True).is_changed
    assert guid_of(path) != built.model.current_header.data_write_guid


def reads_otherwise(built: Built, data: memoryview) -> bool:
    """Tell whether a file differs in length or BAT from the one that was built."""
    layout = built.layout
    bat = slice(layout.bat_offset, layout.bat_offset + MIB)
    return len(data) != built.length or data[bat] != built.to_bytes()[bat]


@pytest.mark.parametrize("name", OTHERWISE)
def test_no_cut_leaves_another_disk_under_the_old_guid(name: str) -> None:
    built = damaged(name)
    stored = built.to_bytes()
    file, _ = tried(built)
    seen = 0
    for cut in cuts(stored, file.events, 60, 1):
        if reads_otherwise(built, cut.data):
            seen += 1
            with Image(bytes(cut.data)) as image:
                guid = image.headers.current.data_write_guid
            assert guid != built.model.current_header.data_write_guid, cut.what
    assert seen
