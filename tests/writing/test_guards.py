"""An image that others rely on is not changed unasked."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.chain import Chain, chain
from tests.images.image import dynamic
from tests.images.structures import MIB
from vhdx_kaitai.errors import InUseError, UnsafeError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.guards import _places, lock_parents, refuse_what_others_need


@pytest.fixture
def made(tmp_path: Path) -> Chain:
    """A base, a child and a child of that."""
    return chain(3).write(tmp_path)


def refused(path: Path) -> str:
    with Image(path) as image, pytest.raises(UnsafeError) as raised:
        refuse_what_others_need(image)
    assert raised.value.path == str(path)
    return str(raised.value)


def let_pass(path: Path) -> None:
    with Image(path) as image:
        refuse_what_others_need(image)


def test_a_parent_is_kept_for_its_child(made: Chain) -> None:
    base, child, newest = made.paths
    assert f"1 child of it ({child.name}) would have no parent any more" in refused(base)
    assert f"1 child of it ({newest.name})" in refused(child)
    assert "--force" in refused(base)
    let_pass(newest)


def test_children_are_known_by_what_they_recorded_and_not_by_names(made: Chain) -> None:
    base, child, newest = made.paths
    renamed = base.with_name("another.vhdx")
    base.rename(renamed)
    for number in range(5):
        shutil.copy(child, child.with_name(f"copy{number}.avhdx"))
    message = refused(renamed)
    assert message.startswith("6 children of it (")
    assert message.count("vhdx") == 3
    child.unlink()
    let_pass(newest)


def test_children_elsewhere_and_other_files_are_no_obstacle(made: Chain, tmp_path: Path) -> None:
    base, child, newest = made.paths
    below = tmp_path / "below"
    below.mkdir()
    shutil.move(child, below)
    newest.unlink()
    dynamic(4 * MIB).build().write(tmp_path / "other.vhdx")
    (tmp_path / "broken.vhdx").write_bytes(b"vhdxfile")
    (tmp_path / "empty.avhdx").touch()
    let_pass(base)


@pytest.mark.parametrize("suffix", [".rct", ".mrt"])
def test_what_backups_have_recorded_counts(suffix: str, tmp_path: Path) -> None:
    path = dynamic(4 * MIB).build().write(tmp_path / "disk.vhdx")
    let_pass(path)
    (tmp_path / f"disk.vhdx{suffix}").touch()
    assert f"disk.vhdx{suffix} records changes" in refused(path)


def test_what_is_beside_a_link_counts_too(made: Chain, tmp_path: Path) -> None:
    """A child that was made by way of a link stands there."""
    folder, far = tmp_path / "links", tmp_path / "far"
    folder.mkdir()
    far.mkdir()
    base, child, newest = made.paths
    newest.unlink()
    shutil.move(base, far / "real.vhdx")
    (tmp_path / "middle.vhdx").symlink_to(far / "real.vhdx")
    link = folder / "base.vhdx"
    link.symlink_to(Path("..") / "middle.vhdx")
    assert f"1 child of it ({child.name})" in refused(link)
    let_pass(far / "real.vhdx")
    shutil.move(child, folder)
    assert f"1 child of it ({child.name})" in refused(link)
    (folder / child.name).unlink()
    let_pass(link)
    (folder / "base.vhdx.rct").touch()
    assert "base.vhdx.rct records changes" in refused(link)


def test_a_step_up_from_a_linked_folder_is_the_systems_own(made: Chain, tmp_path: Path) -> None:
    """It leads up from where the link leads, and not from where it stands."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for path in made.paths[:2]:
        shutil.move(path, tmp_path / "deep")
    (tmp_path / "link").symlink_to(Path("deep") / "er")
    assert "1 child" in refused(tmp_path / "link" / ".." / made.paths[0].name)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert len(list(_places(str(tmp_path / "a")))) < 100


def test_a_link_counts_where_it_leads_to(made: Chain, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    link = folder / "base.vhdx"
    link.symlink_to(made.paths[0])
    assert "1 child" in refused(link)


def test_bytes_in_memory_have_no_folder() -> None:
    refuse_what_others_need(Image(dynamic(4 * MIB).build().to_bytes()))


# -- parents that are in use ----------------------------------------------------------------------

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such locks")


def assert_in_use(path: Path, call: Callable[[], object]) -> None:
    with pytest.raises(InUseError, match="in use: another program ") as caught:
        call()
    assert caught.value.path == str(path)


@on_linux
def test_an_image_that_is_written_to_gets_no_child(tmp_path: Path) -> None:
    """What is written in a session is not told from what was written in it before."""
    base, child = tmp_path / "base.vhdx", tmp_path / "child.vhdx"
    vhdx_kaitai.create(base, 8 * MIB, block_size=MIB)
    with vhdx_kaitai.open(base, writable=True) as disk:
        disk.pwrite(b"old", 0)
        disk.flush()
        assert_in_use(base, lambda: vhdx_kaitai.create(child, parent=base))
        assert not child.exists()
        disk.pwrite(b"new", 0)
    vhdx_kaitai.create(child, parent=base)
    with vhdx_kaitai.open(child) as disk:
        assert disk.pread(3, 0) == b"new"


@on_linux
def test_parents_stay_as_they_are_as_long_as_a_child_is_open_to_be_written(made: Chain) -> None:
    base = made.paths[0]
    with vhdx_kaitai.open(made.path, writable=True):
        assert_in_use(base, lambda: vhdx_kaitai.open(base, writable=True))
        assert_in_use(base, lambda: vhdx_kaitai.compact(base))
        other = made.path.with_name("other.avhdx")
        vhdx_kaitai.create(other, parent=base)
        with vhdx_kaitai.open(other, writable=True) as sibling, vhdx_kaitai.open(base) as disk:
            sibling.pwrite(b"x", 0)
            assert disk.size == sibling.size
        with vhdx_kaitai.open(base, writable=True, lock=False):
            pass
    with vhdx_kaitai.open(base, writable=True):
        assert_in_use(base, lambda: vhdx_kaitai.open(made.path, writable=True))
        vhdx_kaitai.open(made.path, writable=True, lock=False).close()
        vhdx_kaitai.open(made.path).close()


@on_linux
def test_a_child_gets_no_parent_that_is_written_to(made: Chain) -> None:
    base = made.paths[-2]
    with vhdx_kaitai.open(base, writable=True):
        for copy in (False, True):
            again = partial(vhdx_kaitai.rebase, made.path, base, copy=copy)
            assert_in_use(base, again)
            assert not again(dry_run=True).is_changed
    vhdx_kaitai.rebase(made.path, base)


def test_a_parent_that_was_written_to_before_it_was_locked_is_told(made: Chain) -> None:
    with vhdx_kaitai.open(made.path) as disk:
        os.utime(made.paths[0], ns=(1, 1))
        with pytest.raises(InUseError, match="has just changed"):
            lock_parents(disk.chain[1:], "auto")
        lock_parents(disk.chain[1:], False)
