"""Redacted dumps tell nothing about people and places, and are judged as their images are."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Files, Run
from tests.copying.dumping import document, dump_of, interesting
from tests.images.damage import DAMAGES
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Block, Layout, differencing, partial
from tests.images.log import Data, Entry
from tests.images.structures import FULLY_PRESENT, IS_USER, MIB, ZERO_GUID, Locator, MetadataItem
from tests.support import SparseSource
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.copying.metadump import metadump
from vhdx_kaitai.copying.redact import LogRedactor, redacted_locator
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.format import grammar
from vhdx_kaitai.format.descent import Descent
from vhdx_kaitai.format.judge import REFUSE
from vhdx_kaitai.format.place import Place
from vhdx_kaitai.ranges import Ranges
from vhdx_kaitai.reading.image import Image

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


def test_an_entry_that_is_not_any_more_what_was_judged_is_left_out() -> None:
    """Somebody writes the image while it is dumped; what stands there now may be anything."""
    file = secret_dirty_image().build().file
    ring = Descent(SparseSource(file), REFUSE).log
    assert ring is not None
    entries = [entry for entry in ring.entries() if entry.is_valid]
    redactor = LogRedactor(ring, SparseSource(file), Ranges(), Ranges(), ())
    assert all(len(redactor.entry(entry)) == entry.header.entry_length for entry in entries)
    for entry in entries:
        file.put(ring.file_offset(entry.offset), SECRET.encode() * 4)
        assert redactor.entry(entry) == b""


@given(st.booleans(), st.randoms(use_true_random=False))
def test_a_redacted_dump_of_damage_tells_no_secrets(
    tmp_path_factory: pytest.TempPathFactory, is_dirty: bool, choice: random.Random
) -> None:
    """Not even when tables point at what they should not."""
    built = (secret_dirty_image() if is_dirty else secret_image()).build()
    changed = built.file.copy()
    numbers = (0, 1, 40, 0x28, 0x1000, 0x10000, 0x10028, 0x100000, 0xFFFFFFFF)
    for _ in range(choice.randint(1, 6)):
        offset = choice.choice(interesting(built)) + 4 * choice.randrange(64)
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
    assert run("metadump", path, tmp_path / "dump.vhdx", "--redact", "--all").status == 64
    assert list(tmp_path.iterdir()) == []
