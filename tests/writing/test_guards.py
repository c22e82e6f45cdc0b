"""An image that others rely on is not changed unasked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.images.chain import Chain, chain
from tests.images.image import dynamic
from tests.images.structures import MIB
from vhdx_kaitai.errors import UnsafeError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.guards import refuse_what_others_need


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


def test_a_link_counts_where_it_leads_to(made: Chain, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    link = folder / "base.vhdx"
    link.symlink_to(made.paths[0])
    assert "1 child" in refused(link)


def test_bytes_in_memory_have_no_folder() -> None:
    refuse_what_others_need(Image(dynamic(4 * MIB).build().to_bytes()))
