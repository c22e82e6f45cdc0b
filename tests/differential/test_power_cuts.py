"""What QEMU leaves when its power goes is either in order, or said to lack nothing.

All that it writes is logged by its own driver for that, `blklogwrites`, and done again up to each
moment, also with a part of the last write alone.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator

import pytest

import vhdx_kaitai
from tests.checking.reports import rules_of
from tests.images.structures import MIB
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.reading.image import Replay

SECTOR = 512
WRITTEN = {0: 1, 5 * MIB: 2, 7 * MIB: 3}  # what, by virtual offset
DISCARD = 4  # flag of an entry that carries no data


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The image after each write, and after parts of it, while QEMU stores three blocks."""
    if shutil.which("qemu-io") is None or shutil.which("qemu-img") is None:
        pytest.skip("qemu-io is not installed")
    folder = tmp_path_factory.mktemp("cuts")
    path, log = folder / "disk.vhdx", folder / "writes"
    create = ["qemu-img", "create", "-q", "-f", "vhdx", "-o", "block_size=1M", str(path), "64M"]
    subprocess.run(create, check=True)
    before = path.read_bytes()
    log.touch()
    options = (
        f"driver=vhdx,file.driver=blklogwrites,file.file.driver=file,file.file.filename={path},"
        f"file.log.driver=file,file.log.filename={log}"
    )
    commands = [f"write -P {value} {offset} 4k" for offset, value in WRITTEN.items()]
    commands[1:1] = ["flush"]
    words = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(
        ["qemu-io", "--image-opts", options, *words], capture_output=True, check=False
    )
    if done.returncode or b"wrote" not in done.stdout:
        pytest.skip("this qemu-io cannot log what it writes")
    return list(_moments(before.ljust(path.stat().st_size, b"\0"), log.read_bytes()))


def _moments(image: bytes, log: bytes) -> Iterator[bytes]:
    now = bytearray(image)
    for offset, data in _writes(log):
        for length in sorted({SECTOR, len(data) // 2 // SECTOR * SECTOR, len(data)} - {0}):
            now[offset : offset + length] = data[:length]
            yield bytes(now)


def _writes(log: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield offset and data of each write, as the device mapper's log-writes has them."""
    _magic, _version, count = struct.unpack_from("<QQQ", log)
    at = SECTOR
    for _ in range(count):
        sector, sectors, flags, _ = struct.unpack_from("<QQQQ", log, at)
        at += SECTOR
        if sectors and not flags & DISCARD:
            yield sector * SECTOR, log[at : at + sectors * SECTOR]
            at += sectors * SECTOR


def test_a_power_cut_leaves_nothing_that_is_not_explained(moments: list[bytes]) -> None:
    without_entry = 0
    for image in moments:
        report = check(image)
        if report.verdict != "clean":
            assert rules_of(report, "warning", "error") == {"LOG-31"}
            (sentence,) = report.diagnosis
            assert "`--as-stored` reads the disk, and nothing is missing" in sentence
            without_entry += 1
    assert len(moments) // 8 < without_entry < len(moments) * 2 // 3


def test_what_was_written_before_the_cut_is_there_as_stored(moments: list[bytes]) -> None:
    """From one moment to the next nothing that could be read is lost."""
    written: set[int] = set()
    for image in moments:
        replay: Replay = "memory" if check(image).verdict == "clean" else "ignore"
        with vhdx_kaitai.open(image, replay=replay) as disk:
            found = {disk.pread(4096, at) for at in WRITTEN}
            assert found <= {bytes(4096), *(bytes([value]) * 4096 for value in WRITTEN.values())}
            now = {at for at, value in WRITTEN.items() if disk.pread(4096, at)[0] == value}
        assert written <= now
        written = now
    assert written == WRITTEN.keys()
