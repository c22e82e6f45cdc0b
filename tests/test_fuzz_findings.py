"""The fuzzer's invariant: what once broke it, built by code, and that it is really asked for."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from crc32c import crc32c

from tests.images.damage import DAMAGES
from tests.images.dirty import log_only
from tests.images.goods import GOODS
from tests.images.image import Block, Layout, differencing, dynamic, partial
from tests.images.log import Entry
from tests.images.structures import HEADER_OFFSETS, MIB
from tests.support import ROOT, SparseSource, good, tool
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import Finding, FormatError, Span
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image

FUZZ: Any = tool("fuzz_image", "fuzz")
SMALL = ("dynamic-plain", "differencing-plain", "items-of-all-kinds", "dirty-everything")


def recipe(name: str) -> Any:
    return FUZZ.recipe_for(good(name))


# -- what it found --------------------------------------------------------------------------------


def bitmap_in_the_last_mib() -> Layout:
    """Nothing is wrong: the last MiB of the file is a sector bitmap."""
    image = differencing(4 * MIB, blocks={0: partial(3)}, bitmap_offsets={0: 20 * MIB})
    layout = image.layout()
    assert layout.final_length() == 21 * MIB
    return layout


def test_a_sector_bitmap_may_be_the_last_mib_of_the_file() -> None:
    built = bitmap_in_the_last_mib().build()
    assert check(SparseSource(built.file)).verdict == "clean"
    disk = Disk([Image(SparseSource(built.file))])
    assert disk.pread(512, 3 * 512) == built.model.read(3 * 512, 512)
    assert sum(extent.length for extent in disk.extents()) == disk.size


def log_of_descriptors(megabytes: int) -> bytes:
    """Return an image whose log is one entry, which zeroes the same page over and over."""
    image = dynamic(4 * MIB, log_length=megabytes * MIB)
    layout = log_only(image, [Entry([])])
    data = bytearray(layout.build().to_bytes())
    start, size = layout.log_offset, megabytes * MIB
    count = (size - 64) // 32
    target = layout.bat_offset + MIB - 4096
    entry = bytearray(size)
    entry[:64] = data[start : start + 64]
    entry[64 : 64 + 32 * count] = struct.pack("<4sIQQQ", b"zero", 0, 4096, target, 1) * count
    struct.pack_into("<I", entry, 8, size)
    struct.pack_into("<I", entry, 24, count)
    struct.pack_into("<I", entry, 4, 0)
    struct.pack_into("<I", entry, 4, crc32c(bytes(entry)))
    data[start : start + size] = entry
    return bytes(data)


_LOOK = """
    import json, resource, sys, time
    from vhdx_kaitai.{module} import {name}
    from vhdx_kaitai.errors import FormatError, LimitError

    def usage():
        found = resource.getrusage(resource.RUSAGE_SELF)
        return found.ru_utime + found.ru_stime, found.ru_maxrss * 1024

    before = usage()
    try:
        {name}(sys.argv[1])
    except (FormatError, LimitError) as error:
        assert error.finding.rule.startswith("LOG-")  # to refuse it is fine
    print(json.dumps([now - then for now, then in zip(usage(), before)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [4, 32])
@pytest.mark.parametrize(
    ("module", "name"), [("checking.chain", "check"), ("reading.image", "Image")]
)
def test_a_log_full_of_descriptors_has_bounded_costs(
    module: str, name: str, megabytes: int, tmp_path: Path
) -> None:
    """4 MiB hold 131070 of them, and a log that has to be replayed may have 256 MiB."""
    path = tmp_path / "log.vhdx"
    path.write_bytes(log_of_descriptors(megabytes))
    code = textwrap.dedent(_LOOK).format(module=module, name=name)
    argv = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    seconds, growth = json.loads(done.stdout)
    assert seconds < 15
    assert growth < 2 * megabytes * MIB + 100 * MIB


# -- the harness ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_for_an_image_is_small_and_makes_an_image_that_opens(name: str) -> None:
    made = recipe(name)
    assert len(made.pack()) < FUZZ.MAX_INPUT
    assert FUZZ.Recipe.parse(made.pack()) == made
    with Image(made.image()) as image:
        assert image.metadata.virtual_disk_size == good(name).model.virtual_disk_size


def test_any_bytes_are_a_recipe() -> None:
    choice = random.Random(1)
    for length in (0, 1, 5, 6, 11, 12, 13, 500):
        data = choice.randbytes(length)
        made = FUZZ.Recipe.parse(data)
        assert len(made.image()) == made.length <= FUZZ.MAX_LENGTH


def test_checksums_are_repaired_unless_the_recipe_says_otherwise() -> None:
    made = recipe("dynamic-plain")
    pieces = (*made.pieces, (HEADER_OFFSETS[1] + 80, b"\x01"))  # reserved, but checksummed
    changed = made._replace(pieces=pieces)
    assert {f.rule for f in check(changed.image()).findings} == {"HDR-16", "HDR-27"}
    torn = changed._replace(flags=1 << 3)
    assert {f.rule for f in check(torn.image()).findings} == {"HDR-03"}


def test_checksums_of_log_entries_are_repaired() -> None:
    built = good("log-of-windows")
    made = FUZZ.recipe_for(built)
    offset = built.layout.log_offset + 28  # Reserved of the first entry
    changed = made._replace(pieces=(*made.pieces, (offset, b"\x01")))
    rules = {f.rule for f in check(changed.image()).findings}
    assert "LOG-13" in rules
    assert "LOG-06" not in rules


@pytest.mark.parametrize("name", ["dynamic-plain", "dirty-bat", "bat-state-4", "log-tail-odd"])
def test_images_are_small_enough_to_start_from(name: str) -> None:
    cases = GOODS if name in GOODS else DAMAGES
    assert len(FUZZ.recipe_for(cases[name].build()).pack()) <= FUZZ.MAX_INPUT


@pytest.mark.parametrize("name", [*SMALL, "header-1-damaged", "fixed-last-block-cut"])
def test_good_images_keep_the_invariant(name: str) -> None:
    FUZZ.exercise(recipe(name).pack())


@pytest.mark.parametrize("seed", range(10))
def test_inputs_made_at_random_keep_the_invariant(seed: int) -> None:
    choice = random.Random(seed)
    data = recipe(choice.choice(SMALL)).pack()
    for _ in range(4):
        data = FUZZ.mutated(data, choice)
        assert len(data) <= FUZZ.MAX_INPUT
        FUZZ.exercise(data)


@pytest.mark.parametrize("error", [ValueError, AssertionError, MemoryError, RecursionError])
def test_any_other_error_breaks_the_invariant(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(FUZZ, "check", fail)
    with pytest.raises(error):
        FUZZ.exercise(recipe("dynamic-plain").pack())


def test_a_check_that_is_content_with_what_opening_refuses_breaks_the_invariant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = check(SparseSource(good("dynamic-plain").file))
    monkeypatch.setattr(FUZZ, "check", lambda _: report)
    built = dynamic(8 * MIB, blocks={0: Block()}).layout()
    built.set_headers(version=2)
    with pytest.raises(FUZZ.BrokenInvariantError, match="HDR-08"):
        FUZZ.exercise(FUZZ.recipe_for(built.build()).pack())


@pytest.mark.parametrize("name", ["state_of_log", "metadump"])
def test_whoever_else_refuses_what_the_check_is_content_with_breaks_the_invariant(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FormatError(Finding("LOG-31", "error", Span("log"), "no valid sequence"))

    monkeypatch.setattr(FUZZ, name, refuse)
    with pytest.raises(FUZZ.BrokenInvariantError, match="LOG-31"):
        FUZZ.exercise(recipe("dynamic-plain").pack())


def test_a_replay_that_changes_what_is_read_breaks_the_invariant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = FUZZ.replay

    def wrong(path: Path) -> Any:
        outcome = system(path)
        with path.open("r+b") as file:
            file.seek(3 * MIB)  # where the BAT is
            file.write(b"wrong")
        return outcome

    monkeypatch.setattr(FUZZ, "replay", wrong)
    with pytest.raises(FUZZ.BrokenInvariantError, match="reads otherwise"):
        FUZZ.exercise(recipe("dirty-bat").pack())
    with pytest.raises(FUZZ.BrokenInvariantError, match="is written to"):
        FUZZ.exercise(recipe("dynamic-plain").pack())


def test_an_input_that_takes_too_long_breaks_the_invariant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FUZZ, "MAX_SECONDS", 0)
    with pytest.raises(FUZZ.BrokenInvariantError, match="took"):
        FUZZ.exercise(recipe("dynamic-plain").pack())


def test_inputs_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(recipe("dynamic-plain").pack())
    code = """
        import runpy, sys
        sys.path.append(sys.argv.pop(1))
        runpy.run_module("fuzz.fuzz_image", run_name="__main__", alter_sys=True)
    """
    argv = [sys.executable, "-c", textwrap.dedent(code), str(ROOT), str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}\n", "")
