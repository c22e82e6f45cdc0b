"""What a call refuses when it is made, a type checker refuses before."""

from __future__ import annotations

import io
import mmap
import sys
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.image import dynamic
from tests.images.structures import MIB

# Each line with an exception is refused by mypy, and raises that.
CALLS = """
vhdx_kaitai.open(path)
vhdx_kaitai.open(str(path), parent=None, search=[path.parent], replay="ignore", lost="zero")
vhdx_kaitai.open(path.read_bytes())
vhdx_kaitai.open(memoryview(path.read_bytes()))
vhdx_kaitai.open(file)
vhdx_kaitai.open(io.BytesIO(path.read_bytes()))
vhdx_kaitai.open(mapped)
vhdx_kaitai.open(path, writable=True, lock="auto")
vhdx_kaitai.check(path.read_bytes(), chain=True)
vhdx_kaitai.open(42)  # TypeError
vhdx_kaitai.open(None)  # TypeError
vhdx_kaitai.open([path])  # TypeError
vhdx_kaitai.open(path, path)  # TypeError
vhdx_kaitai.open(path, lost="zeros")  # ValueError
vhdx_kaitai.open(path, replay="memory", bat="ignore")  # ValueError
vhdx_kaitai.open(path, missing_parent="ignore")  # ValueError
vhdx_kaitai.open(path, parents=[path])  # TypeError
vhdx_kaitai.open(path, lock=True)  # TypeError
vhdx_kaitai.open(path, writable=True, lost="zero")  # TypeError
vhdx_kaitai.open(path, writable=True, replay="ignore")  # TypeError
vhdx_kaitai.open(path.read_bytes(), writable=True)  # TypeError
vhdx_kaitai.open(path, writable=True, lock="no")  # ValueError
vhdx_kaitai.check(42)  # TypeError
""".strip().splitlines()

HEAD = """\
import io, mmap, pathlib, vhdx_kaitai
path, file, mapped = pathlib.Path(), io.BytesIO(), mmap.mmap(-1, 1)
"""


def refused(line: str) -> str:
    """Return what a line raises; nothing when it is right."""
    return line.partition("  # ")[2]


@pytest.mark.parametrize("line", CALLS)
def test_a_call_is_refused_or_not(line: str, tmp_path: Path) -> None:
    path = dynamic(4 * MIB).build().write(tmp_path / "disk.vhdx")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        names = {"vhdx_kaitai": vhdx_kaitai, "io": io, "path": path, "file": file, "mapped": mapped}
        if refused(line):
            with pytest.raises((TypeError, ValueError)) as caught:
                eval(line, names)
            assert type(caught.value).__name__ == refused(line)
        else:
            opened = eval(line, names)
            getattr(opened, "close", bool)()


@pytest.mark.slow
def test_a_type_checker_refuses_the_same(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    script = tmp_path / "calls.py"
    script.write_text(HEAD + "\n".join(CALLS) + "\n")
    options = ["--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache")]
    out, err, _ = api.run([*options, "--python-executable", sys.executable, str(script)])
    assert err == ""
    said = {int(line.split(":")[1]) for line in out.splitlines() if ": error:" in line}
    first = HEAD.count("\n") + 1
    assert said == {number for number, line in enumerate(CALLS, first) if refused(line)}, out
