"""What clients of NBD get of a disk, and what they may do to it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import launch
from tests.images.chain import Chain, chain
from tests.images.dirty import dirty
from tests.images.image import Block, Image, Layout, dynamic, fixed
from tests.images.structures import MIB, ZERO
from tests.reading_fixtures import assert_same, mixed_chain
from tests.serving.clients import (
    merged,
    nbd_map,
    needs_libnbd,
    needs_nbdkit,
    script,
    served_to,
)

pytestmark = needs_nbdkit


def dirty_base() -> Chain:
    """A child and its child, over an image whose BAT and metadata are right in its log alone."""

    def change(depth: int, image: Image) -> Image | Layout:
        return image if depth else dirty(image, hide=("bat", "metadata"))

    return chain(3, base=dynamic(12 * MIB + 512), change=change)


CHAINS: dict[str, Callable[[], Chain]] = {
    "dirty base": dirty_base,
    "dirty in the middle": mixed_chain,
    "fixed base": lambda: chain(2, base=fixed(4 * MIB)),
    "sectors of 4096": lambda: chain(2, base=dynamic(8 * MIB, logical_sector_size=4096)),
}


@pytest.fixture(params=CHAINS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Chain:
    """Each chain, written."""
    return CHAINS[request.param]().write(tmp_path)


# -- reading --------------------------------------------------------------------------------------


def test_nbdcopy_gets_what_the_model_says(made: Chain) -> None:
    copied = served_to(made.path, 'nbdcopy "$uri" -').stdout
    assert_same(copied, made.model.read(0, made.model.size))


def test_the_map_of_nbd_is_that_of_the_model_and_of_map(made: Chain) -> None:
    found = merged(nbd_map(made.path))
    extents = made.model.extents()
    assert found == merged([(e.offset, e.length, e.kind == "zero") for e in extents])
    rows = json.loads(launch("map", made.path, "--json").stdout)
    assert found == merged([(row["start"], row["length"], not row["data"]) for row in rows])


@needs_libnbd
def test_any_part_is_read_over_many_connections(tmp_path: Path) -> None:
    made = mixed_chain().write(tmp_path)
    assert served_to(made.path, 'nbdinfo --can multi-conn "$uri"').returncode == 0
    read = """
import threading
places = [tuple(map(int, word.split("+"))) for word in sys.argv[2:]]
found = {}
def work(part):
    mine = nbd.NBD()
    mine.connect_uri(sys.argv[1])
    for length, offset in part:
        found[offset, length] = mine.pread(length, offset)
threads = [threading.Thread(target=work, args=(places[n::4],)) for n in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.stdout.buffer.write(b"".join(found[offset, length] for length, offset in places))
"""
    chance, places = random.Random(1), []
    for _ in range(80):
        length = chance.choice((1, 511, 4096, 65_537, MIB))
        places.append((length, chance.randrange(made.model.size - length)))
    words = [f"{length}+{offset}" for length, offset in dict.fromkeys(places)]
    expected = b"".join(made.model.read(offset, length) for length, offset in dict.fromkeys(places))
    assert_same(served_to(made.path, script(read, *words)).stdout, expected)


def test_a_large_disk_that_is_empty_is_told_at_once(tmp_path: Path) -> None:
    path = dynamic(1 << 40, block_size=32 * MIB).build().write(tmp_path / "large.vhdx")
    assert merged(nbd_map(path)) == [(0, 1 << 40, True)]


def test_what_is_lost_is_data_that_cannot_be_read(tmp_path: Path) -> None:
    """Unless zeros are asked for, and told."""
    path = lost_image(tmp_path)
    assert merged(nbd_map(path)) == [(0, 3 * MIB, False), (3 * MIB, MIB, True)]
    done = served_to(path, 'nbdcopy "$uri" null:', check=False)
    assert done.returncode != 0
    assert b"BAT-" in done.stderr
    saved = served_to(path, 'nbdcopy "$uri" -', "--salvage")
    assert saved.stdout[MIB : 2 * MIB] == bytes(MIB)
    assert b"there are zeros in their place" in saved.stderr


def lost_image(folder: Path) -> Path:
    """Return an image whose second block is past the end of its file."""
    layout = dynamic(4 * MIB, blocks={0: Block(), 1: Block(), 2: Block()}).layout()
    layout.set_entry(1, 6, 4096 * MIB)
    return layout.build().write(folder / "lost.vhdx")


# -- writing --------------------------------------------------------------------------------------

_WRITE = """
NO_HOLE, FUA = nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FUA
for line in open(sys.argv[2]):
    verb, offset, length, fill = line.split()
    offset, length, flags = int(offset), int(length), 0
    if verb == "write":
        h.pwrite(bytes([int(fill)]) * length, offset, FUA if int(fill) % 5 == 0 else 0)
    elif verb == "zero":
        h.zero(length, offset, NO_HOLE if int(fill) % 2 else 0)
    elif verb == "trim":
        h.trim(length, offset)
    else:
        h.flush()
sys.stdout.buffer.write(b"".join(h.pread(min(1 << 20, h.get_size() - at), at)
                                 for at in range(0, h.get_size(), 1 << 20)))
"""


@needs_libnbd
@pytest.mark.parametrize("kind", ["dynamic", "child", "fixed"])
def test_what_is_written_is_read_and_is_there_afterwards(kind: str, tmp_path: Path) -> None:
    made = {
        "dynamic": lambda: chain(1, base=dynamic(8 * MIB + 512, blocks={0: Block()})),
        "child": lambda: chain(2, base=dynamic(8 * MIB + 512)),
        "fixed": lambda: chain(1, base=fixed(4 * MIB)),
    }[kind]().write(tmp_path)
    size = made.model.size
    held = bytearray(made.model.read(0, size))
    chance, lines = random.Random(kind), []
    for number in range(120):
        verb = chance.choices(("write", "zero", "trim", "flush"), (6, 3, 2, 1))[0]
        offset = chance.randrange(size // 512) * 512
        length = min(chance.choice((512, 4096, 70_000 // 512 * 512, 2 * MIB)), size - offset)
        fill = number % 250 + 1
        lines.append(f"{verb} {offset} {length} {fill}")
        end = offset + length
        if verb == "trim":  # whole blocks become zeros, and those of a fixed disk stay
            offset = -(-offset // MIB) * MIB
            end = (end if end == size else end // MIB * MIB) if kind != "fixed" else 0
        if verb != "flush":
            held[offset:end] = bytes([fill if verb == "write" else 0]) * max(0, end - offset)
    (tmp_path / "script").write_text("\n".join(lines))
    command = script(_WRITE, tmp_path / "script")
    done = served_to(made.path, command, "--writable", "--force")
    assert_same(done.stdout, bytes(held))
    with vhdx_kaitai.open(made.path) as disk:
        assert disk.image.log_state == "clean"
        assert_same(disk.pread(size, 0), bytes(held))
    report = vhdx_kaitai.check(made.path)
    assert [str(f) for f in report.findings if f.level == "error"] == []


def states_after(path: Path, command: str) -> list[str]:
    """Return the states of the first blocks of a disk after a script of libnbd."""
    served_to(path, script(command), "--writable")
    with vhdx_kaitai.open(path) as disk:
        states = [next(disk.extents(n * MIB, MIB)) for n in range(4)]
        return [extent.state for extent in states]


@needs_libnbd
def test_space_is_given_back_where_a_client_allows_that(tmp_path: Path) -> None:
    path = dynamic(4 * MIB, blocks={n: Block() for n in range(4)}).build().write(tmp_path / "a")
    command = """
h.zero(1 << 20, 0)
h.zero(1 << 20, 1 << 20, nbd.CMD_FLAG_NO_HOLE)
h.trim(1 << 20, 2 << 20)
h.trim(1000 << 10, 3 << 20)
"""
    expected = ["zero", "fully_present", "unmapped", "fully_present"]
    assert states_after(path, command) == expected
    with vhdx_kaitai.open(path) as disk:
        assert disk.pread(3 * MIB, 0) == bytes(3 * MIB)


@needs_libnbd
def test_a_disk_that_is_read_only_is_not_written_to(tmp_path: Path) -> None:
    path = dynamic(4 * MIB).build().write(tmp_path / "disk.vhdx")
    before = path.read_bytes()
    done = served_to(path, script('assert h.is_read_only()\nh.pwrite(b"x" * 512, 0)'), check=False)
    assert done.returncode != 0
    assert b"AssertionError" not in done.stderr
    assert path.read_bytes() == before


@needs_libnbd
@pytest.mark.slow
def test_the_first_write_to_a_large_disk_takes_no_numpy(tmp_path: Path) -> None:
    """The Python of the distribution has none, unless somebody has installed it."""
    blocks = {n: Block() if n % 2 else Block(ZERO) for n in range(8)}
    path = dynamic(100_000 * MIB, blocks=blocks).build().write(tmp_path / "large.vhdx")
    served_to(path, script('h.pwrite(b"x" * 512, 99_999 << 20)\nh.flush()'), "--writable")
    with vhdx_kaitai.open(path) as disk:
        assert disk.pread(512, 99_999 * MIB) == b"x" * 512
