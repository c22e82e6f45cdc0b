"""Files that commands write: whole or not at all, and never over what is being read."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Files
from tests.support import files_in
from vhdx_kaitai.copying.files import (
    growing_file,
    refuse_image,
    refuse_source,
    refuse_to_replace,
    write_file,
)
from vhdx_kaitai.errors import InUseError
from vhdx_kaitai.storage.source import open_source

# Ways to give one file another name, or to reach it by another one.
OTHER_NAMES: dict[str, Callable[[Path, Path], object]] = {
    "hard link": lambda path, other: os.link(path, other),
    "symbolic link": lambda path, other: other.symlink_to(path),
    "new name": lambda path, other: path.rename(other),
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.vhdx"
    path.write_bytes(b"vhdxfile")
    return path


@pytest.mark.parametrize("kind", OTHER_NAMES)
@pytest.mark.parametrize("is_object", [False, True])
def test_a_file_that_is_read_is_known_by_any_name(
    is_object: bool, kind: str, image: Path, tmp_path: Path
) -> None:
    """The open file is compared, not the name by which it was opened."""
    other = tmp_path / "other"
    with image.open("rb") as file:
        source = open_source(file if is_object else image)
        OTHER_NAMES[kind](image, other)
        with pytest.raises(OSError, match="is an image of the disk itself") as caught:
            refuse_source([open_source(b"vhdxfile"), source], other.stat(), str(other))
        assert caught.value.filename == str(other)
        source.close()


def test_a_file_that_only_says_the_same_may_be_written(image: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    twin.write_bytes(image.read_bytes())
    sources = [open_source(image), open_source(image.read_bytes()), open_source(io.BytesIO(b"."))]
    refuse_source(sources, twin.stat(), str(twin))
    for source in sources:
        source.close()


def test_what_is_there_is_replaced_only_when_that_is_allowed(image: Path, tmp_path: Path) -> None:
    refuse_to_replace(str(tmp_path / "nothing"), force=False)
    refuse_to_replace(str(image), force=True)
    with pytest.raises(FileExistsError, match="--force"):
        refuse_to_replace(str(image), force=False)


def test_a_link_to_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(FileExistsError, match="--force"):
        refuse_to_replace(str(tmp_path / "link"), force=False)


def test_a_report_does_not_take_the_place_of_an_image(files: Files, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="is a VHDX file"):
        refuse_image(str(files.good("dynamic-plain")))
    (tmp_path / "report").write_bytes(b"{}")
    for name in ("report", "nothing", "."):
        refuse_image(str(tmp_path / name))


def test_a_document_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "document"
    write_file(str(path), b"one", replace=False)
    with pytest.raises(OSError, match="exists already"):
        write_file(str(path), b"another", replace=False)
    assert path.read_bytes() == b"one"
    write_file(str(path), b"another", replace=True)
    assert path.read_bytes() == b"another"
    assert files_in(tmp_path) == {"document"}


def test_a_file_that_grows_has_each_line_at_once_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with suppress(LookupError), growing_file(str(path), ["one"], replace=False) as add:
        assert path.read_text() == "one\n"
        for number, line in enumerate(("two", "dr\u0117", ""), 2):
            add(line)
            assert path.read_text(encoding="utf-8").count("\n") == number
        raise LookupError
    assert path.read_text(encoding="utf-8") == "one\ntwo\ndr\u0117\n\n"
    with pytest.raises(OSError, match="exists already"), growing_file(str(path), [], replace=False):
        raise AssertionError
    with growing_file(str(path), [], replace=True):
        assert path.read_text() == ""
    assert files_in(tmp_path) == {"lines"}


def test_one_process_at_a_time_adds_to_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "lines")
    with growing_file(path, ["one"], replace=False) as add:
        with pytest.raises(InUseError), growing_file(path, [], replace=True):
            raise AssertionError
        add("two")
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"
