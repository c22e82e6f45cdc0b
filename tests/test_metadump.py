"""Metadata dumps: they say what the image says, hold nothing of the disk, and can be redacted."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Files, Run
from tests.images.bases import base_dynamic
from tests.images.chain import GOOD_CHAINS
from tests.images.damage import DAMAGES
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Layout, differencing, dynamic, partial
from tests.images.log import Data, Entry
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    HEADER_OFFSETS,
    IS_USER,
    MIB,
    TIB,
    ZERO_GUID,
    Locator,
    MetadataItem,
)
from tests.support import REAL_IMAGES, ROOT, Sample, SparseSource, assert_valid, damaged, good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.copying.metadump import Manifest, metadump
from vhdx_kaitai.copying.redact import redacted_locator
from vhdx_kaitai.errors import FormatError, VhdxError
from vhdx_kaitai.format import grammar
from vhdx_kaitai.format.place import Place
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.showing import tree
from vhdx_kaitai.storage.source import open_source

DONE, FAILED, CORRUPT, NOT_VHDX, USAGE = 0, 1, 2, 63, 64

Document = dict[str, Any]

# Their messages and places speak of the file's length, which is another one in the cut form.
ABOUT_LENGTH = ("GEN-07", "GEN-08", "HDR-13", "REG-13", "LOG-32")
CUT = re.compile(r"The file is cut short: it ends at .* are missing\.")
# Large disks take long to walk and have nothing new at a greater depth.
DEEPEST, SHALLOW = 8, 4

# Where the tree follows what readers refuse, into places that are no metadata by any rule.
TREE_DIFFERS = {
    "bat-region-empty": "the grammar reads entries after a BAT region that is too short",
    "bat-region-too-small": "the same",
    "bat-bitmap-in-dynamic": "a disk without a parent has no sector bitmaps to keep",
}


# -- the same answers -----------------------------------------------------------------------------


def document(run: Run, *arguments: object) -> tuple[int, Document]:
    """Return exit status and document of a command, without what a dump need not share."""
    outcome = run(*arguments, "--json")
    found = json.loads(outcome.out)
    for name in ("path", "file_size"):
        found.pop(name, None)
    error = found.get("error")
    if error:
        _forget_length(error)
    for finding in found.get("findings", ()):
        _forget_length(finding)
    if "diagnosis" in found:
        sentences = found["diagnosis"]
        found["diagnosis"] = [CUT.sub("The file is cut short:", text) for text in sentences]
    return outcome.status, found


def _forget_length(finding: Document) -> None:
    if finding["rule"] in ABOUT_LENGTH:
        for name in ("message", "expected", "actual", "offset"):
            finding.pop(name, None)


def answers(run: Run, path: Path) -> dict[str, tuple[int, Document]]:
    """Return what info, check and log say about a file."""
    return {
        "info": document(run, "info", path, "--allocation", "--no-parent"),
        "check": document(run, "check", path, "--skeleton"),
        "log": document(run, "log", path),
    }


def fields(path: Path, depth: int) -> Document | str:
    """Return what the grammar shows of a file, or why it shows nothing; payload aside."""
    source = open_source(str(path))
    try:
        view = tree.Tree(source)
        return _without_payload(tree.node_document(view, view.root, depth))
    except FormatError as error:
        return error.finding.rule
    finally:
        source.close()


def _without_payload(node: Document) -> Document:
    if not node["path"]:
        node.update(length=None)  # that of the file
    is_block = ".payload_blocks[" in node["path"]
    node["children"] = [
        _without_payload(child)
        for child in node["children"]
        if not (is_block and child["name"] in ("data", "has_data"))
    ]
    return node


def depth_of(built: Built) -> int:
    return SHALLOW if built.image.virtual_disk_size > 100 * GIB else DEEPEST


def dump_of(path: Path, folder: Path, **options: Any) -> tuple[Path, Manifest]:
    """Return a dump of an image and its manifest."""
    output = folder / f"{path.stem}.dump.vhdx"
    return output, metadump(path, output, **options)


@pytest.mark.parametrize("name", GOODS)
def test_the_dump_of_a_good_image_says_what_the_image_says(
    name: str, files: Files, tmp_path: Path, run: Run
) -> None:
    path = files.good(name)
    dump, manifest = dump_of(path, tmp_path)
    assert manifest.missing == ()
    assert answers(run, dump) == answers(run, path)
    depth = depth_of(good(name))
    assert fields(dump, depth) == fields(path, depth)


@pytest.mark.parametrize("name", [name for name in DAMAGES if "FTI-01" not in DAMAGES[name].rules])
def test_the_dump_of_a_damaged_image_says_what_the_image_says(
    name: str, files: Files, tmp_path: Path, run: Run
) -> None:
    path = files.damaged(name)
    dump, _ = dump_of(path, tmp_path)
    assert answers(run, dump) == answers(run, path)
    depth = depth_of(damaged(name))
    same = fields(dump, depth) == fields(path, depth)
    assert same is (name not in TREE_DIFFERS)


def test_the_dump_of_a_real_image_says_what_the_image_says(
    sample: tuple[Sample, Path], tmp_path: Path, run: Run
) -> None:
    _, path = sample
    for form in ("cut", "sparse"):
        dump, manifest = dump_of(path, tmp_path, form=form)
        assert manifest.missing == ()
        assert answers(run, dump) == answers(run, path)
        assert fields(dump, DEEPEST) == fields(path, DEEPEST)
    assert run("map", dump, "--json") == run("map", path, "--json")


def test_the_dump_of_a_real_image_is_small(sample: tuple[Sample, Path], tmp_path: Path) -> None:
    known, path = sample
    dump, manifest = dump_of(path, tmp_path)
    if not known.is_dirty:
        assert dump.stat().st_size <= 5 * MIB
    assert manifest.written_bytes < 128 * 1024
    assert len(_gzipped(dump)) < 64 * 1024


def _gzipped(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


@pytest.mark.parametrize(
    "name", ["dynamic-plain", "fixed-plain", "blocks-in-disorder", "dirty-everything"]
)
def test_a_sparse_dump_is_as_long_as_the_image_and_has_its_map(
    name: str, files: Files, tmp_path: Path, run: Run
) -> None:
    path = files.good(name)
    dump, manifest = dump_of(path, tmp_path, form="sparse")
    assert dump.stat().st_size == path.stat().st_size == manifest.length
    assert answers(run, dump) == answers(run, path)
    assert run("map", dump, "--json") == run("map", path, "--json")
    assert fields(dump, DEEPEST) == fields(path, DEEPEST)


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_sparse_dumps_of_a_chain_are_a_chain_with_its_map(
    name: str, tmp_path: Path, run: Run
) -> None:
    chain = GOOD_CHAINS[name].build().write(tmp_path / "images")
    for path in chain.paths:
        dump = tmp_path / "dumps" / path.relative_to(tmp_path / "images")
        dump.parent.mkdir(parents=True, exist_ok=True)
        metadump(path, dump, form="sparse")
    dump = tmp_path / "dumps" / chain.path.relative_to(tmp_path / "images")
    assert run("map", dump, "--json") == run("map", chain.path, "--json")
    reports = [check(path, chain=True).reports for path in (dump, chain.path)]
    verdicts = [[(part.verdict, len(part.findings)) for part in found] for found in reports]
    assert verdicts[0] == verdicts[1]


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
@pytest.mark.parametrize("name", ["dynamic-plain", "fixed-plain", "blocks-in-disorder"])
def test_qemu_maps_a_sparse_dump_as_it_maps_the_image(
    name: str, files: Files, tmp_path: Path
) -> None:
    dump, _ = dump_of(files.good(name), tmp_path, form="sparse")
    maps = [
        subprocess.run(
            ["qemu-img", "map", "--output=json", "-f", "vhdx", str(path)],
            capture_output=True,
            check=True,
        ).stdout
        for path in (files.good(name), dump)
    ]
    # QEMU looks for holes below, and the dump has one for each block.
    images = [[(e["start"], e["length"]) for e in json.loads(text)] for text in maps]
    assert images[0][-1] == images[1][-1]
    places = [[e.get("offset") for e in json.loads(text) if e["present"]] for text in maps]
    assert places[1][:1] == places[0][:1]


# -- what is in it --------------------------------------------------------------------------------


def kept_by_the_builder(built: Built) -> Iterator[tuple[int, int]]:
    """Yield ranges that a dump has to hold, as the builder placed them."""
    layout = built.layout
    yield 0, 64 * 1024
    yield from ((offset, 4096) for offset in HEADER_OFFSETS)
    yield from layout.ranges("region_tables", "bitmaps")
    yield layout.log_offset, layout.image.log_length
    yield layout.bat_offset, layout.image.geometry.entry_count * 8
    for offset, data in layout.metadata.pack():
        yield layout.metadata_offset + offset, len(data)


def outside(ranges: list[tuple[int, int]], end: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges between some (offset, length) ranges, up to an end."""
    position = 0
    for offset, length in sorted(ranges):
        if offset > position:
            yield position, offset
        position = max(position, offset + length)
    if position < end:
        yield position, end


PLAIN = ("dynamic-plain", "fixed-plain", "differencing-plain", "items-of-all-kinds")


@pytest.mark.parametrize("form", ["cut", "sparse"])
@pytest.mark.parametrize("name", PLAIN)
def test_structures_are_there_byte_by_byte_and_nothing_else_is(
    name: str, form: Any, files: Files, tmp_path: Path
) -> None:
    image = files.good(name).read_bytes()
    dump, _ = dump_of(files.good(name), tmp_path, form=form)
    data = dump.read_bytes()
    ranges = list(kept_by_the_builder(good(name)))
    for offset, length in ranges:
        assert data[offset : offset + length] == image[offset : offset + length]
    for start, end in outside(ranges, len(data)):
        assert data.count(0, start, end) == end - start
    assert len(data) == (
        len(image) if form == "sparse" else len(data.rstrip(b"\0")) // MIB * MIB + MIB
    )


def test_the_manifest_is_what_is_in_the_dump(files: Files, tmp_path: Path) -> None:
    for name in PLAIN:
        dump, manifest = dump_of(files.good(name), tmp_path)
        data, image = dump.read_bytes(), files.good(name).read_bytes()
        ranges = [(kept.offset, kept.length) for kept in manifest.kept]
        for offset, length in ranges:
            assert data[offset : offset + length] == image[offset : offset + length]
        for start, end in outside(ranges, len(data)):
            assert not data[start:end].strip(b"\0")
        gaps = sum(end - start for start, end in outside(ranges, len(data)))
        assert manifest.kept_bytes == len(data) - gaps
        assert manifest.length == len(data)
        assert manifest.file_size == len(image)


def stale_everywhere() -> Layout:
    """Bytes that mean nothing, in every place that has room for them, and between the regions."""
    layout = base_dynamic().layout()
    for offset in stale_places(layout).values():
        layout.patch(offset, b"STALE")
    return layout


def stale_places(layout: Layout) -> dict[str, int]:
    table = layout.region_tables[0]
    ends = {offset + length for offset, length in layout.ranges("bat", "metadata")}
    assert table.entries
    return {
        "identifier": 1024,
        "after header 1": 0x18000,
        "header section": 0x60000,
        "metadata table": layout.metadata_offset + 0x8000,
        "metadata region": layout.metadata_offset + 0x90000,
        "BAT region": layout.bat_offset + 0x80000,
        "free space": max(ends),
    }


def test_only_what_the_grammar_has_a_name_for_is_kept_of_stale_bytes(tmp_path: Path) -> None:
    layout = stale_everywhere()
    places = stale_places(layout)
    path = layout.build().write(tmp_path / "image.vhdx")
    found = {}
    for slack in (False, True):
        dump, _ = dump_of(path, tmp_path, form="sparse", slack=slack)
        data = dump.read_bytes()
        found[slack] = {name for name, at in places.items() if data[at : at + 5] == b"STALE"}
    assert found[False] == {"identifier", "metadata table"}
    assert found[True] == set(places) - {"free space"}


def test_check_says_the_same_about_a_skeleton_whose_stale_bytes_are_gone(
    tmp_path: Path, run: Run
) -> None:
    path = stale_everywhere().build().write(tmp_path / "image.vhdx")
    dump, _ = dump_of(path, tmp_path)
    rules = {finding.rule for finding in check(path).findings}
    assert {"HDR-17", "BAT-15", "FTI-05"} <= rules
    assert answers(run, dump) == answers(run, path)
    assert "FTI-05" in {finding.rule for finding in check(dump, skeleton=True).findings}


def test_blocks_that_overlap_past_the_end_of_the_dump_are_still_found(
    tmp_path: Path, run: Run
) -> None:
    """Also in a BAT so large that it is looked at with numpy."""
    for size in (8 * MIB, TIB):
        layout = dynamic(size, blocks={0: Block(), 1: Block(), 2: Block()}).layout()
        layout.bat[2] = layout.bat[1]
        path = layout.build().write(tmp_path / "image.vhdx")
        dump, manifest = dump_of(path, tmp_path)
        assert manifest.length < min(layout.payload.values()) + MIB
        assert "BAT-08" in {finding.rule for finding in check(dump, skeleton=True).findings}
        assert answers(run, dump) == answers(run, path)


def test_unknown_regions_are_not_kept_but_the_dump_reaches_as_far(
    files: Files, tmp_path: Path
) -> None:
    path = files.good("unknown-region-optional")
    _, manifest = dump_of(path, tmp_path)
    _, with_slack = dump_of(path, tmp_path, slack=True)
    names = {kept.name for kept in with_slack.kept} - {kept.name for kept in manifest.kept}
    regions = good("unknown-region-optional").image.regions
    assert regions
    assert {f"{region.guid} region" for region in regions} <= names
    table = good("unknown-region-optional").layout.region_tables[0]
    assert manifest.length >= max(entry.file_offset + entry.length for entry in table.entries)


# -- length and holes -----------------------------------------------------------------------------


def test_the_cut_form_of_an_image_with_metadata_at_its_end_is_long_and_sparse(
    tmp_path: Path, run: Run
) -> None:
    image = dynamic(8 * MIB, bat_offset=3 * GIB, blocks={0: Block()})
    path = image.build().write(tmp_path / "image.vhdx")
    outcome = run("metadump", path, tmp_path / "dump.vhdx")
    assert outcome.status == DONE
    assert "it ends with BAT region" in outcome.err
    assert "2 GiB" in outcome.err
    done = (tmp_path / "dump.vhdx").stat()
    assert done.st_size == 3 * GIB + MIB
    assert done.st_blocks * 512 < MIB
    assert run("metadump", path, tmp_path / "other.vhdx", "--sparse").err == ""


def test_the_holes_of_a_large_bat_stay_holes(tmp_path: Path, files: Files) -> None:
    path = files.good("largest-disk")
    dump, manifest = dump_of(path, tmp_path)
    assert manifest.kept_bytes > 500 * MIB
    assert manifest.written_bytes < MIB
    assert dump.stat().st_blocks * 512 < 2 * MIB


def test_a_dump_ends_as_far_after_a_mib_as_its_image(files: Files, tmp_path: Path) -> None:
    path = files.good("file-length-odd")
    dump, _ = dump_of(path, tmp_path)
    assert dump.stat().st_size < path.stat().st_size
    assert dump.stat().st_size % MIB == path.stat().st_size % MIB != 0


def test_a_dirty_log_keeps_the_dump_as_long_as_it_wants_the_file_to_be(tmp_path: Path) -> None:
    layout = dirty(dynamic(64 * MIB, others=Block()))
    built = layout.build()
    path = built.write(tmp_path / "image.vhdx")
    _, manifest = dump_of(path, tmp_path)
    assert manifest.length == built.length
    assert manifest.ends_with == "the length that the log demands"


# -- redaction ------------------------------------------------------------------------------------

SECRET = "secret-of-acme"
CREATOR = f"{SECRET} backup 1.0"


def is_secret_in(data: bytes) -> bool:
    return any(SECRET.encode(code) in data for code in ("ascii", "utf-16-le", "utf-16-be"))


def secret_locator(depth: str = "new") -> Locator:
    return Locator.of(
        {
            "parent_linkage": "{0f5c3e2a-1111-4111-8111-100000000000}",
            "absolute_win32_path": f"C:\\{SECRET}\\{depth}\\parent.vhdx",
            "relative_path": f".\\{SECRET}-{depth}.vhdx",
            "volume_path": f"\\\\?\\Volume{{0f5c3e2a-0000-0000-0000-1000000000ab}}\\{SECRET}.vhdx",
            "parent_linkage2": f"{{{ZERO_GUID}}}",
            "note": f"{SECRET}, a key that nobody knows",
        }
    )


def secret_image(sectors: int = 16) -> Layout:
    """A differencing image that is full of what nobody else should know."""
    blocks = {0: Block(), 1: partial(range(sectors)), 2: Block()}
    item = MetadataItem(UUID(int=5), SECRET.encode().ljust(64, b"."), IS_USER)
    image = differencing(
        8 * MIB, blocks=blocks, creator=CREATOR, locator=secret_locator(), items=[item]
    )
    return image.layout()


def secret_dirty_image() -> Layout:
    """The same, known from the log alone, and with older states in it, stored and logged."""
    before = secret_image(sectors=8)
    before.set_locator(secret_locator("old"))
    layout = dirty(secret_image(), before=before, split=1)
    assert layout.log is not None
    page = SECRET.encode("utf-16-le").ljust(4096, b"#")
    stale = Entry([Data(2 * MIB + 64 * 1024, page)], log_guid=UUID(int=77), at=512 * 1024)
    torn = Entry([Data(2 * MIB + 64 * 1024, page)], at=768 * 1024, checksum=1, sequence_number=900)
    layout.log.entries += [stale, torn]
    layout.patch(layout.log_offset + MIB - 4096, page)  # a slot without a signature
    layout.patch(layout.metadata_offset + 0x9000, page)
    layout.patch(layout.metadata_offset + 0x90000, page)
    layout.patch(2048, page)
    return layout


@pytest.mark.parametrize("make", [secret_image, secret_dirty_image])
@pytest.mark.parametrize("form", ["cut", "sparse"])
def test_a_redacted_dump_tells_no_secrets_and_is_judged_alike(
    make: Callable[[], Layout], form: Any, tmp_path: Path
) -> None:
    built = make().build()
    path = built.write(tmp_path / "image.vhdx")
    assert is_secret_in(path.read_bytes())
    dump, manifest = dump_of(path, tmp_path, form=form, redact=True)
    assert not is_secret_in(dump.read_bytes())
    assert manifest.missing == ()

    before, after = check(path, skeleton=True), check(dump, skeleton=True)
    assert after.verdict == before.verdict
    errors = [
        [(f.rule, f.where) for f in report.findings if f.level != "note"]
        for report in (before, after)
    ]
    assert errors[0] == errors[1]

    with Image(path) as image, Image(dump) as redacted:
        assert redacted.creator is None
        assert redacted.metadata == image.metadata._replace(
            parent_locator=redacted.metadata.parent_locator
        )
        assert redacted.regions == image.regions
        assert image.locator is not None
        assert redacted.locator is not None
        entries = redacted.locator.entries
        assert entries["parent_linkage"] == image.locator.entries["parent_linkage"]
        assert {k: len(v) for k, v in entries.items()} == {
            k: len(v) for k, v in image.locator.entries.items()
        }
        assert entries["relative_path"] == ".\\" + "a" * 6 + "-" + "aa-aaaa-aaa.aaaa"
        assert image.bat.numbers(0, 9) == redacted.bat.numbers(0, 9)
    names = {kept.name for kept in manifest.blanked}
    assert {"creator", "paths in Parent Locator", f"user item {UUID(int=5)}"} <= names


def test_a_redacted_log_is_replayed_to_the_same_structures(tmp_path: Path, run: Run) -> None:
    path = secret_dirty_image().build().write(tmp_path / "image.vhdx")
    dump, _ = dump_of(path, tmp_path, redact=True)
    logs = [document(run, "log", name)[1] for name in (path, dump)]
    for found in logs:
        for entry in found["entries"]:
            if entry["rule"] == "LOG-06":  # its bytes are gone, so another checksum is computed
                entry.pop("reason")
    assert logs[0] == logs[1]
    assert sum(entry["active"] for entry in logs[0]["entries"]) > 1


@given(st.booleans(), st.randoms(use_true_random=False))
def test_a_redacted_dump_of_damage_tells_no_secrets(
    tmp_path_factory: pytest.TempPathFactory, is_dirty: bool, choice: random.Random
) -> None:
    """Not even when tables point at what they should not."""
    built = (secret_dirty_image() if is_dirty else secret_image()).build()
    changed = built.file.copy()
    numbers = (0, 1, 40, 0x28, 0x1000, 0x10000, 0x10028, 0x100000, 0xFFFFFFFF)
    for _ in range(choice.randint(1, 6)):
        offset = choice.choice(_interesting(built)) + 4 * choice.randrange(64)
        changed.put(offset, choice.choice(numbers).to_bytes(4, "little"))
    if choice.random() < 0.3:  # a sector bitmap where the metadata is
        index = built.image.geometry.bitmap_index(0)
        entry = built.layout.metadata_offset | FULLY_PRESENT
        changed.put(built.layout.bat_offset + 8 * index, entry.to_bytes(8, "little"))
    path = tmp_path_factory.getbasetemp() / "secret.vhdx"
    changed.write(path)
    with contextlib.suppress(VhdxError):
        metadump(path, path.with_suffix(".dump"), redact=True)
        assert not is_secret_in(path.with_suffix(".dump").read_bytes())


@pytest.mark.parametrize(
    "name", [name for name in DAMAGES if DAMAGES[name].base in ("differencing", "dirty")]
)
def test_redaction_leaves_the_verdict_on_a_damaged_image_alone(
    name: str, files: Files, tmp_path: Path
) -> None:
    path = files.damaged(name)
    dump, _ = dump_of(path, tmp_path, redact=True)
    assert check(dump, skeleton=True).verdict == check(path, skeleton=True).verdict


@pytest.mark.parametrize("name", GOODS)
def test_redaction_leaves_the_verdict_on_a_good_image_alone(
    name: str, files: Files, tmp_path: Path
) -> None:
    path = files.good(name)
    dump, _ = dump_of(path, tmp_path, redact=True)
    assert check(dump, skeleton=True).verdict == GOODS[name].verdict


def test_a_locator_whose_table_is_impossible_gives_nothing_away() -> None:
    layout = secret_image()
    raw = bytearray(layout.locator_item().data)
    for count in (0xFFFF, 300, 0):
        raw[18:20] = count.to_bytes(2, "little")
        place = Place("Parent Locator", "parent_locator_item", 0)
        data = redacted_locator(grammar.parent_locator(bytes(raw), place))
        assert len(data) == len(raw)
        assert not is_secret_in(data)
        assert data[:20] == raw[:20]


def test_slack_cannot_be_redacted(files: Files, tmp_path: Path, run: Run) -> None:
    path = files.good("dynamic-plain")
    with pytest.raises(ValueError, match="redacted"):
        metadump(path, tmp_path / "dump.vhdx", redact=True, slack=True)
    assert run("metadump", path, tmp_path / "dump.vhdx", "--redact", "--all").status == USAGE
    assert list(tmp_path.iterdir()) == []


# -- damage ---------------------------------------------------------------------------------------


def test_without_a_header_the_regions_are_still_found(files: Files, tmp_path: Path) -> None:
    for name in ("both-header-signatures-wrong", "both-header-checksums-wrong"):
        _, manifest = dump_of(files.damaged(name), tmp_path)
        assert {"BAT", "metadata table", "Virtual Disk Size"} <= {k.name for k in manifest.kept}
        assert manifest.missing[0].what == "the current header"
        is_followed = "checksums" in name
        assert ("log" in {kept.name for kept in manifest.kept}) is is_followed


def test_without_region_tables_the_header_section_and_the_log_are_kept(tmp_path: Path) -> None:
    layout = base_dynamic().layout()
    layout.patch(192 * 1024, bytes(128 * 1024))
    path = layout.build().write(tmp_path / "image.vhdx")
    dump, manifest = dump_of(path, tmp_path)
    assert [missing.what for missing in manifest.missing] == ["regions"]
    assert {kept.name for kept in manifest.kept} >= {"log", "header 1", "region table 2"}
    assert dump.stat().st_size == 2 * MIB


def test_a_file_cut_inside_its_header_section_is_dumped_as_far_as_it_goes(
    files: Files, tmp_path: Path
) -> None:
    path = files.damaged("file-shorter-than-the-header-section")
    dump, manifest = dump_of(path, tmp_path)
    assert dump.stat().st_size == path.stat().st_size
    assert "everything after the header section" in {m.what for m in manifest.missing}
    assert dump.read_bytes() == path.read_bytes()


def test_something_else_is_refused(tmp_path: Path, run: Run) -> None:
    for name, data in (("empty", b""), ("text", b"some text"), ("zeros", bytes(2 * MIB))):
        path = tmp_path / name
        path.write_bytes(data)
        outcome = run("metadump", path, tmp_path / "dump.vhdx", "--json")
        assert outcome.status == NOT_VHDX
        assert_valid(json.loads(outcome.out), "error")
        assert not (tmp_path / "dump.vhdx").exists()


SMALL = ("dynamic-plain", "differencing-plain", "items-of-all-kinds", "dirty-everything")


@given(st.sampled_from(SMALL), st.randoms(use_true_random=False), st.booleans())
def test_any_bytes_give_a_dump_or_a_vhdx_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, choice: random.Random, redact: bool
) -> None:
    built = good(name)
    changed = built.file.copy()
    for _ in range(choice.randint(1, 12)):
        offset = choice.choice(_interesting(built)) + choice.randrange(256)
        changed.put(offset, choice.choice((b"\xff" * 8, b"\0" * 8, choice.randbytes(4))))
    path = tmp_path_factory.getbasetemp() / "mutant.vhdx"
    output = path.with_suffix(".dump")
    changed.write(path)
    before = hashlib.sha256(path.read_bytes()).digest()
    try:
        manifest = metadump(path, output, redact=redact)
    except VhdxError:
        return
    finally:
        assert hashlib.sha256(path.read_bytes()).digest() == before
    assert manifest.written_bytes <= path.stat().st_size * 3
    assert output.stat().st_size <= path.stat().st_size
    if not redact:
        verdicts = [check(source, skeleton=True).verdict for source in (path, output)]
        assert verdicts[0] == verdicts[1]


def _interesting(built: Built) -> list[int]:
    layout = built.layout
    fixed = [0, 0x10000, 0x20000, 0x30000, 0x40000]
    log = [layout.log_offset, layout.log_offset + 4096]
    items = [layout.metadata_offset, layout.metadata_offset + 0x10000]
    return [*fixed, *log, *items, layout.bat_offset]


def test_an_item_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    layout = base_dynamic().layout()
    layout.metadata.items[0].length = 0xFFFFFFFF
    layout.file_length = 16 * GIB
    source = SparseSource(layout.build().file)
    metadump(source, tmp_path / "dump.vhdx")
    check(source)
    assert source.bytes_read < 64 * MIB


# -- files ----------------------------------------------------------------------------------------


def test_sources_of_every_kind_make_the_same_dump(files: Files, tmp_path: Path) -> None:
    path = files.good("differencing-plain")
    data = path.read_bytes()
    dumps = []
    for source in (path, str(path), data, memoryview(data), io.BytesIO(data)):
        metadump(source, tmp_path / "dump.vhdx")
        dumps.append((tmp_path / "dump.vhdx").read_bytes())
    assert len(set(dumps)) == 1


def test_the_image_is_neither_written_nor_replaced(files: Files, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "image.vhdx"
    shutil.copy(files.good("dynamic-plain"), path)
    before = path.read_bytes()
    link = tmp_path / "link.vhdx"
    link.symlink_to(path)
    hard = tmp_path / "hard.vhdx"
    os.link(path, hard)
    for output in (path, link, hard):
        outcome = run("metadump", path, output, "--force")
        assert outcome.status == FAILED
        assert "is the image itself" in outcome.err
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "hard.vhdx",
        "image.vhdx",
        "link.vhdx",
    ]


def test_a_file_that_is_there_is_replaced_only_by_force(
    files: Files, tmp_path: Path, run: Run
) -> None:
    path, output = files.good("dynamic-plain"), tmp_path / "dump.vhdx"
    output.write_text("precious")
    outcome = run("metadump", path, output)
    assert outcome.status == FAILED
    assert "--force" in outcome.err
    assert output.read_text() == "precious"
    assert run("metadump", path, output, "--force").status == DONE
    assert output.read_bytes()[:8] == b"vhdxfile"


def test_half_a_dump_never_has_its_name(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    calls = []

    write = os.pwrite

    def full(fd: int, view: memoryview, offset: int) -> int:
        calls.append(offset)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, view, offset)

    monkeypatch.setattr(os, "pwrite", full)
    outcome = run("metadump", files.good("dynamic-plain"), tmp_path / "dump.vhdx")
    assert outcome.status == FAILED
    assert "No space" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_directory_or_a_pipe_is_no_place_for_a_dump(
    files: Files, tmp_path: Path, run: Run
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "nowhere/dump.vhdx"):
        outcome = run("metadump", files.good("dynamic-plain"), tmp_path / name, "--force")
        assert outcome.status == FAILED, name
        assert outcome.out == ""


# -- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--sparse"], ["--redact"], ["--all"]])
@pytest.mark.parametrize("name", ["differencing-plain", "dirty-everything"])
def test_the_manifest_follows_its_schema(
    name: str, options: list[str], files: Files, tmp_path: Path, run: Run
) -> None:
    path, output = files.good(name), tmp_path / "dump.vhdx"
    outcome = run("metadump", path, output, "--json", *options)
    found = json.loads(outcome.out)
    assert_valid(found, "metadump")
    assert (found["path"], found["output"]) == (str(path), str(output))
    assert found["length"] == output.stat().st_size
    assert found["form"] == ("sparse" if "--sparse" in options else "cut")
    assert found["redacted"] is bool(found["blanked"]) is ("--redact" in options)


def test_the_text_lists_what_is_kept_and_what_was_not_found(
    files: Files, tmp_path: Path, run: Run
) -> None:
    output = tmp_path / "dump.vhdx"
    text = run("metadump", files.good("differencing-plain"), output, "--redact").out
    assert text.startswith(f"{output}: ")
    for words in ("Kept", "sector bitmap 0 (BAT)", "Blanked", "paths in Parent Locator"):
        assert words in text
    assert "Not found" not in text
    damaged = files.damaged("both-header-signatures-wrong")
    assert "Not found" in run("metadump", damaged, output, "--force").out


def test_a_dump_is_not_written_to_standard_output(
    files: Files, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("metadump", files.good("dynamic-plain"), "-")
    assert (outcome.status, outcome.out) == (64, "")
    assert "standard output" in outcome.err
    assert not list(tmp_path.iterdir())


def test_dumping_imports_neither_numpy_nor_rich(files: Files, tmp_path: Path) -> None:
    code = (
        "import sys; from vhdx_kaitai.commands.main import main; status = main(sys.argv[1:]);"
        "assert not {'numpy', 'rich'} & set(sys.modules); sys.exit(status)"
    )
    arguments = ["metadump", str(files.good("dynamic-plain")), str(tmp_path / "dump.vhdx")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


# -- the page about it ----------------------------------------------------------------------------


def listed_sizes() -> dict[str, list[int]]:
    """Return the rows of the table in docs/metadump.md, by the name of the image."""
    text = (ROOT / "docs" / "metadump.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S+\.vhdx) \|(.*)\|$", text, re.MULTILINE)
    return {name: [int(cell.replace(",", "")) for cell in cells.split("|")] for name, cells in rows}


def test_every_real_image_is_in_the_table_of_the_page() -> None:
    assert listed_sizes().keys() == {Path(name).stem for name in REAL_IMAGES}


def test_the_page_lists_the_sizes_of_the_dumps(sample: tuple[Sample, Path], tmp_path: Path) -> None:
    known, path = sample
    file_size, length, written, packed, redacted = listed_sizes()[path.name]
    dump, manifest = dump_of(path, tmp_path)
    assert file_size == known.file_size
    assert (length, written) == (dump.stat().st_size, manifest.written_bytes)
    # Not every zlib packs alike.
    assert len(_gzipped(dump)) == pytest.approx(packed, rel=0.2)
    dump, _ = dump_of(path, tmp_path, redact=True)
    assert len(_gzipped(dump)) == pytest.approx(redacted, rel=0.2)
