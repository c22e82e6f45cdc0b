"""Sizes as people write them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed
from tests.conftest import Files, Run
from tests.images.structures import MIB
from vhdx_kaitai.commands.arguments import size


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0", 0), ("1", 1), ("1048576", 1 << 20), ("512B", 512), ("010", 10)),
        *(("0x200", 512), ("0X1b", 27), ("0x1B", 27), ("0x10K", 16384)),
        *(("1K", 1 << 10), ("64k", 1 << 16), ("1KiB", 1 << 10), ("64kib", 1 << 16)),
        *(("1M", 1 << 20), ("1Mi", 1 << 20), ("1MiB", 1 << 20), ("1mIb", 1 << 20)),
        *(("3G", 3 << 30), ("3gi", 3 << 30), ("64TiB", 64 << 40), ("64t", 64 << 40)),
    ],
)
def test_a_size_may_be_written_in_these_ways(text: str, value: int) -> None:
    assert size(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "+1", "ten", "1.5M", "1_000", " 1", "1 M", "1\n", "0x", "0xM", "0b1", "0o7"),
        *("1iB", "1i", "M", "1E", "1MiBi", "1BM", "\u0661", "9" * 5000),
    ],
)
def test_what_is_no_size_is_told_what_one_is(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="1MiB, 1Mi or 1M"):
        size(text)


@pytest.mark.parametrize("text", ["1MB", "64kb", "0x2GB", "1Tb"])
def test_a_unit_that_means_two_things_is_not_guessed(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="thousands or in 1024s") as refusal:
        size(text)
    assert f"{text[:-1]} and {text[:-1]}iB" in str(refusal.value)


def test_a_person_reads_why(files: Files, run: Run) -> None:
    outcome = run("read", files.good("dynamic-plain"), "--length", "1MB")
    assert (outcome.status, outcome.out) == (64, "")
    assert outcome.err.endswith(
        "vhdx-kaitai read: argument --length: '1MB' may count in thousands or in 1024s; "
        "1M and 1MiB are in 1024s\n"
    )


@pytest.mark.parametrize("command", ["read", "map"])
def test_a_range_that_is_longer_than_the_disk_is_told(
    command: str, files: Files, tmp_path: Path, run: Run
) -> None:
    path = files.good("odd-sectors")
    into = ["-o", tmp_path / "out", "--force"] if command == "read" else []
    words = [command, path, *into, "--offset", 3 * MIB, "--length"]  # where 512 bytes are left
    exact, longer = run(*words, 512), run(*words, 513)
    assert (exact.status, exact.err) == (0, "")
    assert (longer.status, longer.out) == (0, exact.out)
    assert longer.err == (
        f"vhdx-kaitai: {path}: --length 513 is more than the disk has: "
        "512 bytes from offset 3145728 to its end\n"
    )
    assert run("-q", *words, 513).err == run(*words, 513, "--quiet").err == ""


@pytest.mark.parametrize("options", [[], ["--length", 1], ["--quiet"]])
@pytest.mark.parametrize("command", ["read", "map"])
def test_an_offset_past_the_end_is_a_failure(
    command: str, options: list[object], files: Files, run: Run
) -> None:
    outcome = run(command, files.good("odd-sectors"), "--offset", 3 * MIB + 513, *options)
    assert_failed(outcome, 1, "offset 3146241 is past the end of the disk at 3146240")
