"""Which files of a folder are images: by their names, and the wrong ones by their bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vhdx_kaitai.reading.folders import look_into

SIGNATURE = b"vhdxfile"


def made(folder: Path, **contents: bytes) -> None:
    for name, content in contents.items():
        (folder / name.replace("_", ".")).write_bytes(content)


def names(paths: list[str], folder: Path) -> list[str]:
    return [str(Path(path).relative_to(folder)) for path in paths]


def test_names_say_what_is_an_image(tmp_path: Path) -> None:
    """Whether it is one is found out when it is opened: a damaged one is not passed over."""
    made(tmp_path, b_vhdx=b"", a_AVHDX=b"x", c_vhdx_gz=b"", d_iso=SIGNATURE, e_vmdk=b"")
    (tmp_path / ".vhdx").touch()  # a name without an end
    assert names(look_into(str(tmp_path)).images, tmp_path) == ["a.AVHDX", "b.vhdx"]


def test_a_file_with_the_name_of_another_format_is_an_image_by_its_signature(
    tmp_path: Path,
) -> None:
    made(tmp_path, a_vhd=SIGNATURE, b_VHD=SIGNATURE + bytes(9), c_vhd=b"conectix", d_vhd=b"vhdx")
    assert names(look_into(str(tmp_path)).images, tmp_path) == ["a.vhd", "b.VHD"]


def test_what_cannot_be_looked_at_is_left_to_who_opens_it(tmp_path: Path) -> None:
    """It does not keep anybody waiting, either."""
    os.mkfifo(tmp_path / "a.vhd")
    (tmp_path / "b.vhd").symlink_to("nowhere")
    (tmp_path / "c.vhdx").symlink_to("nowhere")
    assert names(look_into(str(tmp_path)).images, tmp_path) == ["a.vhd", "b.vhd", "c.vhdx"]


def test_folders_are_told_apart_and_links_to_them_are_not_followed(tmp_path: Path) -> None:
    for name in ("z", "a.vhdx", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "b" / "below.vhdx").touch()
    found = look_into(str(tmp_path))
    assert names(found.images, tmp_path) == []
    assert names(found.folders, tmp_path) == ["a.vhdx", "b", "z"]


def test_a_folder_that_cannot_be_read_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        look_into(str(tmp_path / "nowhere"))
