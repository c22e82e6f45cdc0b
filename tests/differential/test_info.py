"""`info` against `qemu-img info`, `vhdiinfo`, pyvhdi and dissect, on every image they can read.

Where another program departs from the text, it is listed with the reason, and the test shows that
it still does: when it no longer does, the entry is to be taken out.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Files
from tests.images.goods import GOODS
from tests.images.structures import ZERO_GUID
from tests.support import REAL_IMAGES, good
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.showing.info import info_document

# What qemu-img 7.2 refuses to describe although the text allows it.
QEMU_REFUSES = {
    "log-version-1-while-clean": "it judges LogVersion even where LogGuid is zero",
    "log-length-0": "it refuses LogOffset 0 even where LogLength is 0",
    "region-table-1-damaged": "it never reads the second region table",
    "items-of-all-kinds": "it takes a user item with a known GUID for the known item",
}
DIFFERENCING = "it reads no differencing images"
SECTORS = "it reads sectors of 512 bytes only"
DIRTY = "it replays a log only into a file that it may write"

# What libvhdi refuses to describe although the text allows it.
LIBVHDI_REFUSES = {
    "header-2-missing": "it wants both headers to have their signature",
    "old-header-version-0": "it wants both headers to have a version it knows",
    "region-table-1-damaged": "it wants both region tables to be whole",
    "region-table-2-missing": "it wants both region tables to be whole",
    "items-of-all-kinds": "it refuses items of length 0",
    "user-items-1024": "it refuses items of length 0",
    "differencing-leave-block-allocated": "it refuses both flags together",
}


def info(path: Path) -> dict[str, Any]:
    """Return what we say."""
    with Image(path) as image:
        return info_document(image, str(path))


def tool(name: str) -> str:
    """Return the path of a program, or skip."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def asked(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


# -- qemu-img -----------------------------------------------------------------------------------


def qemu_cannot_read(name: str) -> str | None:
    """Return why qemu-img does not describe a good image, None when it does."""
    model = good(name).model
    if model.image.has_parent:
        return DIFFERENCING
    if model.logical_sector_size != 512:
        return SECTORS
    if name in QEMU_REFUSES:
        return QEMU_REFUSES[name]
    return DIRTY if model.log.state == "dirty" else None


def qemu_info(path: Path) -> subprocess.CompletedProcess[str]:
    return asked(tool("qemu-img"), "info", "--output=json", path)


def assert_qemu_agrees(path: Path) -> None:
    ours = info(path)
    ended = qemu_info(path)
    assert ended.returncode == 0, ended.stderr
    theirs = json.loads(ended.stdout)
    assert theirs["format"] == "vhdx"
    assert theirs["virtual-size"] == ours["virtual_disk_size"]
    assert theirs["cluster-size"] == ours["block_size"]
    assert theirs["dirty-flag"] is False
    assert ours["log"]["state"] == "clean"


@pytest.mark.parametrize("name", [name for name in GOODS if qemu_cannot_read(name) is None])
def test_qemu_img_says_the_same(name: str, files: Files) -> None:
    assert_qemu_agrees(files.good(name))


# Enough of those that it refuses for one reason.
OF_ONE_KIND = ("differencing-plain", "sectors-of-4096", "dirty-bat", "log-empty-entry-only")


@pytest.mark.parametrize("name", [*QEMU_REFUSES, *OF_ONE_KIND])
def test_qemu_img_refuses_what_the_text_allows(name: str, files: Files) -> None:
    """See `qemu_cannot_read` for the reason of each."""
    info(files.good(name))
    assert qemu_info(files.good(name)).returncode != 0


@pytest.mark.parametrize("name", REAL_IMAGES)
def test_qemu_img_says_the_same_of_real_images(name: str, samples: Callable[[str], Path]) -> None:
    path = samples(name)
    if REAL_IMAGES[name].is_dirty:
        assert "log that needs to be replayed" in qemu_info(path).stderr
        assert info(path)["log"]["state"] == "dirty"
    else:
        assert_qemu_agrees(path)


@pytest.mark.parametrize(("subformat", "disk_type"), [("dynamic", "dynamic"), ("fixed", "fixed")])
@pytest.mark.parametrize("options", ["", ",block_size=8M", ",log_size=3M", ",block_state_zero=off"])
def test_images_made_by_qemu_img_are_what_it_says(
    subformat: str, disk_type: str, options: str, tmp_path: Path
) -> None:
    path = tmp_path / "made.vhdx"
    created = asked(
        tool("qemu-img"),
        *("create", "-q", "-f", "vhdx", "-o", f"subformat={subformat}{options}", path, "50M"),
    )
    assert created.returncode == 0, created.stderr
    assert_qemu_agrees(path)
    ours = info(path)
    assert (ours["disk_type"], ours["creator"].split()[0]) == (disk_type, "QEMU")
    assert ours["parent"] is None


# -- libvhdi ------------------------------------------------------------------------------------


def vhdiinfo(path: Path) -> dict[str, str] | None:
    """Return what vhdiinfo prints, by the words that begin its lines; None when it refuses."""
    ended = asked(tool("vhdiinfo"), path)
    if ended.returncode:
        return None
    return dict(re.findall(r"^\t(\w[\w ]*?)\s*: (.*)$", ended.stdout, re.MULTILINE))


def assert_vhdiinfo_agrees(path: Path) -> None:
    ours, theirs = info(path), vhdiinfo(path)
    assert theirs is not None
    size = re.search(r"\((\d+) bytes\)", theirs["Media size"]) or re.search(
        r"^(\d+) bytes", theirs["Media size"]
    )
    assert size is not None
    assert int(size[1]) == ours["virtual_disk_size"]
    assert theirs["Disk type"].lower().startswith(ours["disk_type"][:5])
    assert theirs["Bytes per sector"] == f"{ours['logical_sector_size']} bytes"
    current = ours["headers"][ours["current_header"] - 1]
    assert UUID(theirs["Identifier"]) == UUID(current["data_write_guid"])


def libvhdi_cannot_read(name: str) -> str | None:
    """Return why libvhdi does not describe a good image rightly, None when it does."""
    built = good(name)
    if name in LIBVHDI_REFUSES:
        return LIBVHDI_REFUSES[name]
    if built.model.log.state == "dirty":
        return "it never looks at the log, so what it says depends on what the log hides"
    if not built.layout.headers[0].is_valid or not built.layout.headers[1].is_valid:
        return "it checks no checksum of a header"
    return None


@pytest.mark.parametrize("name", [name for name in GOODS if libvhdi_cannot_read(name) is None])
def test_vhdiinfo_says_the_same(name: str, files: Files) -> None:
    assert_vhdiinfo_agrees(files.good(name))


@pytest.mark.parametrize("name", LIBVHDI_REFUSES)
def test_vhdiinfo_refuses_what_the_text_allows(name: str, files: Files) -> None:
    info(files.good(name))
    assert vhdiinfo(files.good(name)) is None


def test_vhdiinfo_believes_a_header_with_a_wrong_checksum(files: Files) -> None:
    """It takes the damaged copy for the newer one."""
    path = files.good("header-1-damaged")
    assert info(path)["current_header"] == 2
    theirs = vhdiinfo(path)
    assert theirs is not None
    assert theirs["Disk type"] == "Dynamic"


def test_vhdiinfo_opens_a_dirty_image_as_if_it_were_clean(files: Files) -> None:
    """The BAT is junk until the log is replayed."""
    path = files.good("dirty-bat")
    assert info(path)["log"]["state"] == "dirty"
    assert_vhdiinfo_agrees(path)


@pytest.mark.parametrize("name", REAL_IMAGES)
def test_vhdiinfo_says_the_same_of_real_images(name: str, samples: Callable[[str], Path]) -> None:
    assert_vhdiinfo_agrees(samples(name))


@pytest.mark.parametrize("name", [name for name in GOODS if libvhdi_cannot_read(name) is None])
def test_pyvhdi_says_the_same(name: str, files: Files) -> None:
    pyvhdi = pytest.importorskip("pyvhdi")
    ours = info(files.good(name))
    file = pyvhdi.file()
    file.open(str(files.good(name)))
    try:
        assert file.get_media_size() == ours["virtual_disk_size"]
        assert file.get_bytes_per_sector() == ours["logical_sector_size"]
        linkage = file.get_parent_identifier()
        assert (linkage is None) == (ours["parent"] is None)
        if ours["parent"] is not None:
            stated = ours["parent"]["entries"]["parent_linkage"]
            # It reads lower case only, and takes anything else for zero.
            assert UUID(linkage) == (UUID(stated) if stated == stated.lower() else ZERO_GUID)
    finally:
        file.close()


# -- dissect ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL_IMAGES)
def test_dissect_says_the_same_of_real_images(name: str, samples: Callable[[str], Path]) -> None:
    vhdx = pytest.importorskip("dissect.hypervisor.disk.vhdx")
    path = samples(name)
    ours = info(path)
    with path.open("rb") as file:
        theirs = vhdx.VHDX(file)
        assert theirs.size == ours["virtual_disk_size"]
        assert theirs.block_size == ours["block_size"]
        assert theirs.sector_size == ours["logical_sector_size"]
        assert str(theirs.id) == ours["virtual_disk_id"]
        assert bool(theirs.has_parent) is False
        number = theirs.header.sequence_number
    current = ours["headers"][ours["current_header"] - 1]
    assert str(number) == current["sequence_number"]
    assert UUID(ours["virtual_disk_id"]) != ZERO_GUID
