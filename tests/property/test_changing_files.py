"""A file that changes or ends under whoever reads it: a result, or an error of ours.

That is what a failing disk, a shared folder or another program may do. The change comes at every
read there is, one after the other, for that read alone or for all from there on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.support import good
from vhdx_kaitai.checking import survey
from vhdx_kaitai.copying.metadump import metadump
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.format.descent import state_of_log
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.showing.findings import check_document
from vhdx_kaitai.showing.info import info_document
from vhdx_kaitai.showing.log import log_document
from vhdx_kaitai.showing.tree import Tree, node_document
from vhdx_kaitai.storage.source import Source

OTHER = bytes(number ^ 0x15 for number in range(256))
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "zeros": lambda data: bytes(len(data)),
    "ones": lambda data: b"\xff" * len(data),
    "other bytes": lambda data: data.translate(OTHER),
    "shifted": lambda data: data[8:] + data[:8],
}


class Changing(Source):
    """Bytes that are what they are for some reads, and then others, or not there.

    Args:
        data: What they are at first.
        change: What becomes of it; None when the file ends there.
        reads: Numbers of the reads that give the others.
    """

    def __init__(self, data: bytes, change: Callable[[bytes], bytes] | None, reads: range) -> None:
        self._data = data
        self._change = change
        self._reads = reads
        self.size = len(data)
        self.count = 0

    def _fill(self, buffer: memoryview, offset: int) -> None:
        number, self.count = self.count, self.count + 1
        data = self._data[offset : offset + len(buffer)]
        if number in self._reads:
            if self._change is None:
                raise self._short(offset, len(buffer), 0)
            data = self._change(data)
        buffer[:] = data


def describe(source: Source, _folder: Path) -> None:
    """Open an image and use what is parsed late."""
    with Image(source) as image:
        json.dumps(info_document(image, "x", allocation=True))
        disk = Disk([image])
        list(disk.extents())
        disk.pread(4096, 0)


def list_log(source: Source, _folder: Path) -> None:
    json.dumps(log_document("x", *state_of_log(source)))


def show_tree(source: Source, _folder: Path) -> None:
    tree = Tree(source)
    json.dumps(node_document(tree, tree.root, 3))


def dump(source: Source, folder: Path) -> None:
    metadump(source, folder / "dump.vhdx")


def dump_redacted(source: Source, folder: Path) -> None:
    metadump(source, folder / "dump.vhdx", redact=True)


LOOKS = [
    describe,
    list_log,
    *(pytest.param(look, marks=pytest.mark.slow) for look in (show_tree, dump, dump_redacted)),
]
IMAGES = [
    "dynamic-plain",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("dirty-everything", "differencing-plain", "fixed-last-block-cut")
    ),
]


def changed(data: bytes, count: int) -> Iterator[tuple[Changing, str | None]]:
    """Yield a source for each way to change a file at each of many reads, and what it does."""
    step = max(1, count // 40)  # of thousands, when a tree is walked
    for number in (*range(min(count, 40)), *range(40, count, step)):
        for reads in (range(number, number + 1), range(number, 1 << 62)):
            yield Changing(data, None, reads), None
            for name, change in CHANGES.items():
                yield Changing(data, change, reads), name


def number_of_reads(look: Callable[[Source, Path], object], data: bytes, folder: Path) -> int:
    source = Changing(data, None, range(0))
    look(source, folder)
    assert source.count
    return source.count


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("look", LOOKS)
def test_whatever_a_file_becomes_there_is_a_result_or_an_error_of_ours(
    look: Callable[[Source, Path], None], name: str, tmp_path: Path
) -> None:
    data = good(name).to_bytes()
    for source, _ in changed(data, number_of_reads(look, data, tmp_path)):
        try:
            look(source, tmp_path)
        except (VhdxError, OSError) as error:
            assert str(error).isprintable()  # noqa: PT017 - not all raise


@pytest.mark.parametrize("is_bulky", [False, True])
@pytest.mark.parametrize("name", IMAGES)
def test_a_check_ends_with_a_report_whatever_the_file_becomes(
    name: str, is_bulky: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_bulky:
        monkeypatch.setattr(survey, "WORTHWHILE_ENTRIES", 0)
    data = good(name).to_bytes()
    count = number_of_reads(lambda source, _: vhdx_kaitai.check(source), data, tmp_path)
    for source, change in changed(data, count):
        report = vhdx_kaitai.check(source)
        json.dumps(check_document(report, "x"))
        if change is None:
            assert report.verdict == "corrupt"
            assert "GEN-09" in {finding.rule for finding in report.findings}


def test_what_an_open_image_says_of_its_maker_stays_what_it_was(tmp_path: Path) -> None:
    path = good("dynamic-plain").write(tmp_path / "image.vhdx")
    with vhdx_kaitai.open(path) as disk:
        with path.open("r+b") as file:
            file.write(bytes(512))
        assert disk.image.creator == good("dynamic-plain").model.creator
        with path.open("r+b") as file:
            file.truncate(4)
        assert disk.image.creator == good("dynamic-plain").model.creator
