"""What several test modules need: images without files, their findings, and the real images."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from hypothesis import settings
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.images.damage import DAMAGES, Damage
from tests.images.goods import GOODS
from tests.images.image import Built, Layout
from tests.images.sparse import Sparse
from vhdx_kaitai.errors import Finding
from vhdx_kaitai.format.descent import Descent
from vhdx_kaitai.format.headers import Headers
from vhdx_kaitai.format.judge import REFUSE
from vhdx_kaitai.reading.image import Image, Replay
from vhdx_kaitai.storage.source import Source

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
SAMPLES = SHARED / "samples"
RULES = SHARED / "spec" / "rules.yaml"
SCHEMAS = ROOT / "vhdx_kaitai" / "schemas"


def tool(name: str, folder: str = "tools") -> ModuleType:
    """Return a module of a folder at the root, which is not on the path when tests run."""
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # for its records to know where they come from
    spec.loader.exec_module(module)
    return module


def fewer(share: int) -> settings:
    """Draw a share of the examples that the profile says, one in `share`: each takes long."""
    return settings(max_examples=max(5, settings().max_examples // share))


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(_schemas()[name], registry=_registry())


@cache
def _schemas() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_bytes()) for path in SCHEMAS.glob("*.json")}


@cache
def _registry() -> Registry[Any]:
    """Return all schemas by the names by which they refer to each other."""
    resources = ((f"{name}.json", Resource.from_contents(_schemas()[name])) for name in _schemas())
    return Registry[Any]().with_resources(resources)


def assert_valid(document: object, name: str) -> None:
    """Show that a document, as its reader gets it, is what the schema of that name says."""
    errors = list(_validator(name).iter_errors(json.loads(json.dumps(document))))
    assert not errors, "\n".join(f"{error.json_path}: {error.message}" for error in errors)


class SparseSource(Source):
    """A built image that is never written anywhere; counts the bytes that are read from it."""

    def __init__(self, file: Sparse) -> None:
        self.file = file
        self.size = file.length
        self.bytes_read = 0
        self.is_closed = False

    def readinto(self, buffer: memoryview, offset: int) -> None:
        if offset < 0 or offset + len(buffer) > self.size:
            raise self._short(offset, len(buffer), max(0, self.size - offset))
        self.bytes_read += len(buffer)
        buffer[:] = self.file.read(offset, len(buffer))

    def close(self) -> None:
        self.is_closed = True


class Watched(SparseSource):
    """A file that remembers which ranges of it were read."""

    def __init__(self, file: Sparse) -> None:
        super().__init__(file)
        self.ranges: list[tuple[int, int]] = []

    def readinto(self, buffer: memoryview, offset: int) -> None:
        self.ranges.append((offset, offset + len(buffer)))
        super().readinto(buffer, offset)

    def news(self) -> list[tuple[int, int]]:
        """Return what was read since this was asked last."""
        news, self.ranges = self.ranges, []
        return news


@cache
def good(name: str) -> Built:
    """Return a good image, built once for all tests."""
    return GOODS[name].build()


@cache
def damaged(name: str) -> Built:
    """Return a damaged image, built once for all tests."""
    return DAMAGES[name].build()


def opened(image: Built | Layout, replay: Replay = "memory") -> Image:
    """Return an image opened by the package, without a file in between."""
    built = image.build() if isinstance(image, Layout) else image
    return Image(SparseSource(built.file), replay=replay)


def read_headers(source: Source) -> Headers:
    """Return both headers of a file, as opening judges them."""
    way = Descent(source, REFUSE)
    assert way.headers is not None
    assert way.header is not None
    return way.headers


def damages(*groups: str, refusal: str | None = None) -> list[str]:
    """Return the names of the damages to these groups of rules, HDR for example."""
    return [
        name
        for name, case in DAMAGES.items()
        if case.main_rule.partition("-")[0] in groups and case.refusal == refusal
    ]


def refusals(*groups: str) -> list[str]:
    """Return the names of those damages that opening has to refuse."""
    return damages(*groups, refusal="open")


def assert_explains(finding: Finding, case: Damage) -> None:
    """Show that a finding names a rule the damage declares, and says where, what, and what else."""
    assert finding.rule in case.visible
    assert finding.level == "error"
    text = str(finding)
    assert text.startswith(f"{finding.where}: {finding.message} ")
    assert text.endswith(f"[{finding.rule}, MS-VHDX {finding.section}]")
    if finding.expected is not None and finding.actual is not None:
        assert finding.expected in text
        assert finding.actual in text
    assert "\n" not in text


class Sample(NamedTuple):
    """What the README of the real images says of one of them, and what its bytes say."""

    name: str
    virtual_disk_size: int
    block_size: int
    states: dict[str, int]
    virtual_disk_id: str
    data_write_guid: str
    sequence_numbers: tuple[int, int]
    creator: str
    physical_sector_size: int
    file_size: int

    @property
    def current_header(self) -> int:
        """The copy with the greater number, copy 1 where both are the same."""
        return 1 if self.sequence_numbers[0] >= self.sequence_numbers[1] else 2

    @property
    def is_dirty(self) -> bool:
        """Whether its log has to be replayed."""
        return "dirty" in self.name


# Sizes and blocks as their collector noted them; identifiers as vhdiinfo and dissect print them.
REAL_IMAGES = {
    sample.name: sample
    for sample in (
        Sample(
            "test-disk2vhd.vhdx.bz2",
            268435456,
            2 << 20,
            {"fully_present": 128},
            "7a5a2cd2-ee6e-459f-aab5-195a3a5892b9",
            "fd03891c-29e5-4ad6-8ee1-7198d3b1e263",
            (1, 1),
            "d2v",
            512,
            (260 << 20) + 512,
        ),
        Sample(
            "iotest-dynamic-1G.vhdx.bz2",
            1073741824,
            32 << 20,
            {"fully_present": 3, "zero": 29},
            "fc7209f1-f6eb-4616-9b77-e994e3017ddd",
            "d247cbb2-15b6-404b-9133-790733d694c0",
            (14, 15),
            "Microsoft Windows 6.2.9200.16384",
            4096,
            100 << 20,
        ),
        Sample(
            "iotest-dirtylog-10G-4M.vhdx.bz2",
            10737418240,
            1 << 20,
            {"fully_present": 18, "not_present": 10222},
            "9cba4bd2-31ac-6745-a10e-380e9086de9d",
            "5ab1b2ee-2f64-2e40-8a9b-0f0bcfdcd544",
            (932638740, 932638741),
            "QEMU v1.6.50",
            512,
            30 << 20,
        ),
        Sample(
            "swap.vhdx.gz",
            10737418240,
            32 << 20,
            {"fully_present": 1, "zero": 1, "not_present": 318},
            "d2aa69e7-866c-428d-bd27-1c5776845258",
            "e07e1087-f0ff-4f0c-a72d-3feb69c6d4e6",
            (10, 11),
            "Microsoft Windows 10.0.14393.0",
            4096,
            36 << 20,
        ),
        Sample(
            "btrfs.vhdx.gz",
            1073741824,
            32 << 20,
            {"fully_present": 2, "zero": 1, "not_present": 29},
            "d38d4f63-596a-467e-b103-506dab1b3208",
            "f8f17a4f-f9cc-4303-86e8-50f9cf42c339",
            (18, 19),
            "Microsoft Windows 10.0.15063.0",
            4096,
            68 << 20,
        ),
    )
}


def files_in(folder: Path) -> set[str]:
    """Return the names of all that is in a folder."""
    return {path.name for path in folder.iterdir()}


def silent(_done: int) -> None:
    """Hear how far it is, and say nothing."""
