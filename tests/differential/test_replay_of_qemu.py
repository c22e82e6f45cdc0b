"""Logs that QEMU left dirty are replayed so that QEMU reads what was read here before."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.differential.test_power_cuts import moments  # noqa: F401 - a fixture
from tests.reading_fixtures import qemu_img

MOST = 12


@pytest.fixture
def dirty_images(request: pytest.FixtureRequest) -> list[bytes]:
    """Some images with a log that QEMU did not come to empty."""
    found = []
    for image in request.getfixturevalue("moments"):
        try:
            with vhdx_kaitai.open(image) as disk:
                if disk.image.replayed is not None:
                    found.append(image)
        except vhdx_kaitai.FormatError:  # no entry is whole yet
            continue
    return found[:: -(-len(found) // MOST)]


def test_qemu_reads_what_was_read_before_a_replay(
    dirty_images: list[bytes], tmp_path: Path
) -> None:
    assert len(dirty_images) > MOST // 2
    path, raw = tmp_path / "disk.vhdx", tmp_path / "disk.raw"
    seen = set()
    for image in dirty_images:
        with vhdx_kaitai.open(image) as disk:
            before, guid = disk.pread(disk.size, 0), disk.image.headers.current.data_write_guid
        path.write_bytes(image)
        assert vhdx_kaitai.replay(path).is_changed
        qemu_img("check", "-f", "vhdx", path)
        qemu_img("convert", "-f", "vhdx", "-O", "raw", path, raw)
        assert raw.read_bytes() == before
        with vhdx_kaitai.open(path, replay="refuse") as disk:
            assert disk.image.headers.current.data_write_guid == guid
        seen.add(before)
    assert len(seen) > 1
