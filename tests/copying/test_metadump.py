"""Metadata dumps: they say what the image says, and hold nothing of the disk."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Files, Run
from tests.copying.dumping import DEEPEST, answers, depth_of, dump_of, fields, gzipped, interesting
from tests.images.bases import base_dynamic
from tests.images.chain import GOOD_CHAINS
from tests.images.damage import DAMAGES
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Layout, dynamic
from tests.images.structures import GIB, HEADER_OFFSETS, MIB, TIB
from tests.support import REAL_IMAGES, ROOT, Sample, SparseSource, damaged, files_in, good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.copying.metadump import metadump
from vhdx_kaitai.errors import VhdxError

# Where the tree follows what readers refuse, into places that are no metadata by any rule.
TREE_DIFFERS = {
    "bat-region-empty": "the grammar reads entries after a BAT region that is too short",
    "bat-region-too-small": "the same",
    "metadata-signature-wrong": "no reader takes this for a metadata table, so no BAT is found",
    "bat-bitmap-in-dynamic": "a disk without a parent has no sector bitmaps to keep",
}


# -- the same answers -----------------------------------------------------------------------------


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
    assert len(gzipped(dump)) < 64 * 1024


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


def test_sources_of_every_kind_make_the_same_dump(files: Files, tmp_path: Path) -> None:
    path = files.good("differencing-plain")
    data = path.read_bytes()
    dumps = []
    for source in (path, str(path), data, memoryview(data), io.BytesIO(data)):
        metadump(source, tmp_path / "dump.vhdx")
        dumps.append((tmp_path / "dump.vhdx").read_bytes())
    assert len(set(dumps)) == 1


def test_an_image_is_no_place_for_its_dump_by_whatever_name(files: Files, tmp_path: Path) -> None:
    path, name = tmp_path / "image.vhdx", tmp_path / "name.vhdx"
    shutil.copy(files.good("dynamic-plain"), path)
    before = path.read_bytes()
    with path.open("rb") as file:
        os.link(path, name)
        path.unlink()  # so that the image has not the name any more by which it was opened
        with pytest.raises(OSError, match="itself"):
            metadump(file, name)
    assert name.read_bytes() == before
    assert files_in(tmp_path) == {"name.vhdx"}


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
    assert outcome.status == 0
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


# -- damage ---------------------------------------------------------------------------------------


def test_without_a_header_the_regions_are_still_found(files: Files, tmp_path: Path) -> None:
    for name in ("both-header-signatures-wrong", "both-header-checksums-wrong"):
        _, manifest = dump_of(files.damaged(name), tmp_path)
        assert {"BAT", "metadata table", "Virtual Disk Size"} <= {k.name for k in manifest.kept}
        assert manifest.missing[0].what == "the current header"
        assert "log" in {kept.name for kept in manifest.kept}


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


SMALL = ("dynamic-plain", "differencing-plain", "items-of-all-kinds", "dirty-everything")


@given(st.sampled_from(SMALL), st.randoms(use_true_random=False), st.booleans())
def test_any_bytes_give_a_dump_or_a_vhdx_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, choice: random.Random, redact: bool
) -> None:
    built = good(name)
    changed = built.file.copy()
    for _ in range(choice.randint(1, 12)):
        offset = choice.choice(interesting(built)) + choice.randrange(256)
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


def test_an_item_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    layout = base_dynamic().layout()
    layout.metadata.items[0].length = 0xFFFFFFFF
    layout.file_length = 16 * GIB
    source = SparseSource(layout.build().file)
    metadump(source, tmp_path / "dump.vhdx")
    check(source)
    assert source.bytes_read < 64 * MIB


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
    assert len(gzipped(dump)) == pytest.approx(packed, rel=0.2)
    dump, _ = dump_of(path, tmp_path, redact=True)
    assert len(gzipped(dump)) == pytest.approx(redacted, rel=0.2)
