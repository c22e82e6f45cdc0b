"""`vhdx-kaitai read`, and `convert` to standard output."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import launch
from tests.conftest import Files


@pytest.mark.parametrize("words", [("read", "-o", "-"), ("convert", "-")])
def test_a_disk_is_written_to_standard_output(
    words: tuple[str, ...], files: Files, tmp_path: Path
) -> None:
    path = files.good("dirty-everything")
    command, *options = words
    if command == "convert":
        ended = launch(command, path, *options, cwd=tmp_path)
    else:
        ended = launch(command, *options, path, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    with vhdx_kaitai.open(path) as disk:
        assert ended.stdout == disk.pread(disk.size, 0)
    assert list(tmp_path.iterdir()) == []
