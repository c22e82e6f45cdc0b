"""What the plugin needs works in the Python of the distribution, with nothing compiled."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.goods import GOODS
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.reading_fixtures import good_chain
from tests.serving.clients import PYTHON
from tests.support import good

# Reads disks as the plugin does; then writes to one, and tells what it has imported.
_READER = """
import hashlib, json, sys
for name in ("numpy", "crc32c"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
from vhdx_kaitai.format import checksum
from vhdx_kaitai.writing import opening
assert checksum.crc32c.__module__ == "vhdx_kaitai.format.crc"
found = {}
for path in sys.argv[2:]:
    with opening.open(path) as disk:
        buffer = bytearray(disk.size)
        disk.readinto_at(memoryview(buffer), 0)
        zeros = sum(e.length for e in disk.extents() if e.kind == "zero")
        found[path] = [hashlib.sha256(buffer).hexdigest(), zeros]
print(json.dumps(found))
"""

_WRITER = """
import sys
for name in ("numpy", "crc32c"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
from vhdx_kaitai.writing import opening
with opening.open(sys.argv[2], writable=True) as disk:
    disk.pwrite(b"x" * 4096, disk.size - 4096)
    disk.zero(0, 2 << 20)
    disk.flush()
"""


def run(script: str, *arguments: object) -> str:
    """Run a script without any packages but those that it is told of."""
    words = [PYTHON, "-I", "-S", "-c", script, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def origin(module: str) -> Path:
    """Return the file of a module."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this package, as a wheel has it, and the runtime of Kaitai."""
    asked = "import sys; print(sys.version_info >= (3, 11))"
    if not Path(PYTHON).exists() or run(asked) != "True\n":
        pytest.skip(f"{PYTHON} is not there, or too old")
    folder = tmp_path_factory.mktemp("packages")
    ignored = shutil.ignore_patterns("__pycache__", "generated")
    shutil.copytree(Path(vhdx_kaitai.__file__).parent, folder / "vhdx_kaitai", ignore=ignored)
    shutil.copytree(origin("vhdx_kaitai.generated").parent, folder / "vhdx_kaitai" / "generated")
    shutil.copy(origin("kaitaistruct"), folder)
    return folder


SMALL = [name for name in GOODS if good(name).model.size <= 64 * MIB]


def expected(model: Any) -> list[object]:
    zeros = sum(extent.length for extent in model.extents() if extent.kind == "zero")
    return [hashlib.sha256(model.read(0, model.size)).hexdigest(), zeros]


@pytest.mark.slow
def test_good_images_and_chains_are_read_rightly(packages: Path, tmp_path: Path) -> None:
    models = {}
    for name in SMALL:
        if not good(name).image.has_parent:
            path = good(name).write(tmp_path / f"{name}.vhdx")
            models[str(path)] = good(name).model
    for name in ("three-levels", "sectors-of-4096", "other-block-sizes", "fixed-base"):
        (tmp_path / name).mkdir()
        made = good_chain(name).write(tmp_path / name)
        models[str(made.path)] = made.model
    found = json.loads(run(_READER, packages, *models))
    assert found == {path: expected(model) for path, model in models.items()}


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [64, 100_000])
def test_disks_are_written_to(packages: Path, tmp_path: Path, blocks: int) -> None:
    """Large ones as well, whose table is looked at with numpy elsewhere."""
    built = dynamic(blocks * MIB, blocks={n: Block() for n in range(4)}).build()
    path = built.write(tmp_path / "disk.vhdx")
    run(_WRITER, packages, path)
    report = vhdx_kaitai.check(path)
    assert report.verdict == "clean"
    with vhdx_kaitai.open(path) as disk:
        assert disk.pread(2 * MIB, 0) == bytes(2 * MIB)
        assert disk.pread(2 * MIB, 2 * MIB) == built.model.read(2 * MIB, 2 * MIB)
        assert disk.pread(4096, disk.size - 4096) == b"x" * 4096
