"""A hash of a disk is that of the raw image it would be, in one pass, without what is zero."""

from __future__ import annotations

import hashlib
import os
import random
import re
import threading
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import GOOD_CHAINS, chain
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Block, dynamic, fixed
from tests.images.model import Model
from tests.images.sparse import Sparse
from tests.images.structures import MIB
from tests.reading_fixtures import (
    CountingSource,
    contents,
    good_chain,
    is_complete,
    measured_memory,
    mixed_chain,
    opened,
    opened_chain,
    source_of,
)
from tests.support import good
from vhdx_kaitai.copying import data
from vhdx_kaitai.copying.data import DataRange, adjoined
from vhdx_kaitai.copying.digest import ALGORITHMS, algorithm, digest
from vhdx_kaitai.errors import FormatError, ParentNotFoundError, TruncatedError
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image

SMALL = [
    name for name in GOODS if is_complete(good(name).model) and good(name).model.size <= 64 * MIB
]
CHAINS = [name for name in GOOD_CHAINS if good_chain(name).model.size <= 64 * MIB]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def of_model(model: Model) -> str:
    return sha256(contents(model))


# -- what is hashed -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_a_disk_has_the_hash_of_its_contents(name: str) -> None:
    built = good(name)
    with opened(built) as disk:
        assert digest(disk) == ({"sha256": of_model(built.model)}, ())


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_has_the_hash_of_what_it_makes_up(name: str) -> None:
    made = good_chain(name)
    with opened_chain(made) as disk:
        assert digest(disk).disk == {"sha256": of_model(made.model)}


@pytest.mark.parametrize("most", [0, 3])
def test_extents_in_bulk_are_hashed_alike(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "_MANY_EXTENTS", most)
    made = mixed_chain()
    with opened_chain(made) as disk:
        assert digest(disk).disk == {"sha256": of_model(made.model)}


def test_every_range_has_a_hash_of_its_own() -> None:
    made = mixed_chain()
    whole = contents(made.model)
    choice = random.Random(1)
    with opened_chain(made) as disk:
        for _ in range(40):
            offset, end = sorted(choice.randrange(disk.size + 1) for _ in range(2))
            found = digest(disk, offset=offset, length=end - offset)
            assert found.disk == {"sha256": sha256(whole[offset:end])}, (offset, end)
        assert digest(disk, offset=5000).disk == {"sha256": sha256(whole[5000:])}
        assert digest(disk, offset=disk.size).disk == {"sha256": sha256(b"")}


def test_all_algorithms_are_had_in_one_pass() -> None:
    built = good("dynamic-plain")
    content = contents(built.model)
    reads: list[int] = []
    with opened(built) as disk:
        read = disk.readinto_at

        def noted(buffer: memoryview, offset: int) -> int:
            reads.append(offset)
            return read(buffer, offset)

        disk.readinto_at = noted  # type: ignore[method-assign]
        found = digest(disk, ALGORITHMS)
    assert found.disk == {name: hashlib.new(name, content).hexdigest() for name in ALGORITHMS}
    assert reads == sorted(set(reads))


def test_layers_are_the_files_as_they_are_stored(tmp_path: Path) -> None:
    """Dirty ones and those that are longer than their disks included, child first."""
    made = mixed_chain().write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        paths = [Path(image.path or "") for image in disk.chain]
        found = digest(disk, ("md5", "sha256"), layers=True)
        alone = digest(disk, ("md5", "sha256"))
    assert len(paths) == 3
    assert found.disk == alone.disk
    assert alone.layers == ()
    assert [layer["sha256"] for layer in found.layers] == [sha256(p.read_bytes()) for p in paths]
    expected = [hashlib.md5(path.read_bytes()).hexdigest() for path in paths]
    assert [layer["md5"] for layer in found.layers] == expected


def test_layers_may_be_no_files() -> None:
    built = good("dynamic-plain")
    with vhdx_kaitai.open(built.to_bytes()) as disk:
        assert digest(disk, layers=True).layers == ({"sha256": sha256(built.to_bytes())},)


# -- what is not read -----------------------------------------------------------------------------


def test_what_is_not_stored_is_not_read() -> None:
    """A disk of 8 GiB with two blocks; nor are zeros asked of the disk."""
    built = dynamic(8 << 30, blocks={3: Block(), 8000: Block()}).build()
    asked = 0
    source = source_of(built)
    with Disk([Image(source)]) as disk:
        read = disk.readinto_at

        def counted(buffer: memoryview, offset: int) -> int:
            nonlocal asked
            asked += len(buffer)
            return read(buffer, offset)

        disk.readinto_at = counted  # type: ignore[method-assign]
        start = disk.size - 300 * MIB
        found = digest(disk, offset=start)
        assert asked == MIB
    expected = hashlib.sha256()
    for at in range(start, built.model.size, MIB):
        expected.update(built.model.read(at, MIB))
    assert found.disk == {"sha256": expected.hexdigest()}


def test_holes_of_a_file_are_not_read(tmp_path: Path) -> None:
    hole = Block(data=Sparse(MIB))
    layout = fixed(64 * MIB, block_size=MIB, blocks={9: Block()}, others=hole)
    built = layout.build()
    path = built.write(tmp_path / "fixed.vhdx")
    if path.stat().st_blocks * 512 > 16 * MIB:
        pytest.skip("this file system has no holes")
    source = CountingSource(str(path))
    with Disk([Image(source)]) as disk:
        before = source.bytes_read
        digests = digest(disk, layers=True)
    source.close()
    assert digests.disk == {"sha256": of_model(built.model)}
    assert digests.layers == ({"sha256": sha256(path.read_bytes())},)
    assert source.bytes_read - before < 6 * MIB


# -- what cannot be hashed ------------------------------------------------------------------------

UNREADABLE = [name for name, case in DAMAGES.items() if case.refusal == "read"]


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_disk_of_which_something_is_lost_has_no_hash(name: str, files: Files) -> None:
    with (
        vhdx_kaitai.open(files.damaged(name), resolve_parents=False) as disk,
        pytest.raises((FormatError, ParentNotFoundError)),
    ):
        digest(disk)


def test_what_belongs_to_a_parent_that_was_not_opened_has_none() -> None:
    with (
        vhdx_kaitai.open(chain(2).images[-1].to_bytes(), resolve_parents=False) as disk,
        pytest.raises(ParentNotFoundError),
    ):
        digest(disk)


@pytest.mark.parametrize("kept", [1, 5, 6, 11.5, 12, 40, 63.5])
@pytest.mark.parametrize("layers", [False, True])
def test_nor_has_what_is_cut_after_it_was_opened(kept: float, layers: bool, tmp_path: Path) -> None:
    """In data or in a hole: what was cut off is neither zero nor the end."""
    hole = Block(data=Sparse(MIB))
    blocks = {number: hole for number in range(64) if number % 4}
    layout = fixed(64 * MIB, block_size=MIB, blocks=blocks, others=Block()).layout()
    path = layout.build().write(tmp_path / "image.vhdx")
    with vhdx_kaitai.open(path) as disk:
        os.truncate(path, layout.payload[0] + int(kept * MIB))
        with pytest.raises(TruncatedError):
            digest(disk, length=0 if layers else None, layers=layers)


@pytest.mark.parametrize("name", ["", "foo", "shake_128", "sha-257", "SHAKE256"])
def test_there_is_no_other_algorithm(name: str) -> None:
    listed = re.escape(", ".join(ALGORITHMS))
    with opened(good("dynamic-plain")) as disk, pytest.raises(ValueError, match=listed):
        digest(disk, [name])


@pytest.mark.parametrize(
    ("text", "name"),
    [("SHA256", "sha256"), ("sha-256", "sha256"), ("SHA3-256", "sha3_256"), ("MD5", "md5")],
)
def test_an_algorithm_is_known_however_it_is_spelt(text: str, name: str) -> None:
    assert algorithm(text) == name
    assert algorithm(name) == name


def test_some_algorithm_is_needed() -> None:
    with opened(good("dynamic-plain")) as disk, pytest.raises(ValueError, match="at least one"):
        digest(disk, [])


def test_an_algorithm_is_taken_once() -> None:
    with opened(good("dynamic-plain")) as disk:
        assert list(digest(disk, ["sha1", "md5", "SHA-1"]).disk) == ["sha1", "md5"]


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 2**40), (2**40, None), (1, -1)])
def test_a_range_is_inside_the_disk(offset: int, length: int | None) -> None:
    with opened(good("dynamic-plain")) as disk, pytest.raises(ValueError, match="not inside"):
        digest(disk, offset=offset, length=length)


def test_a_closed_disk_is_not_hashed() -> None:
    disk = opened(good("dynamic-plain"))
    disk.close()
    with pytest.raises(ValueError, match="closed"):
        digest(disk)


# -- how it goes on -------------------------------------------------------------------------------


def test_progress_grows_to_all_that_is_hashed(tmp_path: Path) -> None:
    made = mixed_chain().write(tmp_path)
    told: list[int] = []
    callers = set()

    def note(done: int) -> None:
        told.append(done)
        callers.add(threading.current_thread())

    with vhdx_kaitai.open(made.path) as disk:
        digest(disk, layers=True, progress=note)
        total = disk.size + sum(image.file_size for image in disk.chain)
    assert told == sorted(told)
    assert told[-1] == total
    assert callers == {threading.current_thread()}


def test_an_interrupted_run_leaves_no_thread() -> None:
    def interrupt(_done: int) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with opened(dynamic(1 << 30).build()) as disk:
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            digest(disk, ("sha256", "sha1"), progress=interrupt)
        assert time.monotonic() - start < 30
    assert threading.active_count() == before


def test_memory_does_not_grow_with_the_disk(tmp_path: Path) -> None:
    path = fixed(64 * MIB, others=Block()).build().write(tmp_path / "fixed.vhdx")
    with vhdx_kaitai.open(path) as disk, measured_memory() as peak:
        digest(disk, layers=True)
    assert peak.bytes < 12 * MIB


# -- ranges that are adjoined ---------------------------------------------------------------------


def bytes_of(ranges: Iterable[DataRange]) -> set[int]:
    return {at for start, end, *_ in ranges for at in range(start, end)}


@pytest.mark.parametrize("hole", [0, 1, 3])
def test_small_holes_become_part_of_what_is_around_them(
    hole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "MIB", 8)  # from where on a range is handed out before its end
    choice = random.Random(hole)
    for _ in range(300):
        ranges, position = [], choice.randrange(4)
        for _ in range(choice.randrange(12)):
            end = position + choice.choice([1, 2, 9])
            ranges.append(DataRange(position, end))
            position = end + choice.randrange(6)
        found = list(adjoined(ranges, hole))
        assert all(start < end for start, end, *_ in found)
        assert all(one.end <= two.start for one, two in pairwise(found))
        assert bytes_of(found) >= bytes_of(ranges)
        between = [(one.end, two.start) for one, two in pairwise(ranges)]
        small = [DataRange(*place) for place in between if place[1] - place[0] <= hole]
        assert bytes_of(found) <= bytes_of(ranges) | bytes_of(small)
        if all(end - start < 8 for start, end, *_ in found):  # none was handed out early
            assert bytes_of(found) == bytes_of(ranges) | bytes_of(small)
