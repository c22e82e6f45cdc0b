"""Make docs/damage.md: common kinds of damage, and who finds them.

Each kind is built by `tests.images` and shown to our checker, `qemu-img check` and 7-Zip:

    python -m tools.damage_table                      # prints the page
    python -m tools.damage_table -o docs/damage.md    # writes it
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.images.bases import BASES
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Layout, dynamic
from tests.images.structures import MIB, PHYSICAL_SECTOR_SIZE
from vhdx_kaitai import __version__, check
from vhdx_kaitai.checking.findings import Report

FOUND, NOT_FOUND, REFUSES, ABSENT = "found", "not found", "refuses to open", "absent"


class Kind(NamedTuple):
    """A kind of damage.

    Attributes:
        name: What it is.
        rule: The rule that it breaks.
        make: Builds an image with nothing else wrong.
    """

    name: str
    rule: str
    make: Callable[[], Layout]


def _half_a_block_cut() -> Layout:
    layout = dynamic(16 * MIB, block_size=2 * MIB, blocks={0: Block(), 1: Block()}).layout()
    layout.file_length = layout.pack().length - MIB
    return layout


def _physical_sector_size_1000() -> Layout:
    layout = BASES["dynamic"]()
    layout.metadata.find(PHYSICAL_SECTOR_SIZE).data = (1000).to_bytes(4, "little")
    return layout


def _damage(name: str) -> Callable[[], Layout]:
    return lambda: DAMAGES[name].layout()


KINDS = (
    Kind("stale header: wrong CRC", "HDR-03", _damage("header-1-checksum-wrong")),
    Kind("current header: wrong CRC", "HDR-03", _damage("header-2-checksum-wrong")),
    Kind("header wiped", "HDR-02", _damage("header-2-missing")),
    Kind("region table 1: wrong CRC", "REG-03", _damage("region-table-1-checksum-wrong")),
    Kind("region table 2 wiped", "REG-02", lambda: GOODS["region-table-2-missing"].layout()),
    Kind("unknown required region", "REG-14", _damage("unknown-region-required")),
    Kind("unknown required metadata", "MET-13", _damage("unknown-item-required")),
    Kind("BAT entry on a region", "OVL-05", _damage("bat-block-over-the-metadata")),
    Kind("BAT entry past the end of the file", "BAT-10", _damage("bat-block-past-the-end")),
    Kind("half a block cut", "BAT-10", _half_a_block_cut),
    Kind("two BAT entries with one offset", "BAT-08", _damage("bat-two-blocks-in-one-place")),
    Kind("partly overlapping blocks", "OVL-06", _damage("bat-blocks-overlap-partly")),
    Kind("reserved BAT bits", "BAT-02", _damage("bat-reserved-bit-low")),
    Kind("reserved block states", "BAT-03", _damage("bat-state-4")),
    Kind("PARTIALLY_PRESENT without parent", "BAT-05", _damage("bat-partial-in-dynamic")),
    Kind("region overlap", "OVL-01", _damage("metadata-region-reaches-into-the-bat")),
    Kind("region inside the header section", "REG-10", _damage("bat-region-in-the-header-section")),
    Kind("misaligned region", "REG-09", _damage("bat-region-unaligned")),
    Kind("bad block size", "ITEM-06", _damage("block-size-3-mib")),
    Kind("virtual size not a multiple of the sector size", "ITEM-11", _damage("disk-size-odd")),
    Kind("physical sector size 1000", "ITEM-16", _physical_sector_size_1000),
    Kind("metadata item below 64 KiB", "MET-06", _damage("item-inside-the-table")),
    Kind("log GUID without entries", "LOG-31", _damage("log-empty-although-dirty")),
)


# -- who looks ------------------------------------------------------------------------------------


def ours(path: Path) -> Report:
    """Return what our checker says."""
    return check(path)


def verdict_of(report: Report, rule: str) -> str:
    """Return whether a report names a rule, as an error or a warning."""
    named = any(f.rule == rule and f.level != "note" for f in report.findings)
    return FOUND if named else NOT_FOUND


def qemu(path: Path) -> str:
    """Return what `qemu-img check` makes of an image."""
    done = _run("qemu-img", "check", "-f", "vhdx", str(path))
    if done is None:
        return ABSENT
    if "Could not open" in done.stderr:
        return REFUSES
    return FOUND if done.returncode else NOT_FOUND


def seven_zip(path: Path) -> str:
    """Return what `7z l` and `7z t` make of an image."""
    runs = [_run("7z", command, "-tVHDX", str(path)) for command in ("l", "t")]
    if any(done is None for done in runs):
        return ABSENT
    if any("Cannot open the file as" in done.stdout + done.stderr for done in runs if done):
        return REFUSES
    return FOUND if any(done.returncode for done in runs if done) else NOT_FOUND


def _run(name: str, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    program = shutil.which(name)
    if program is None:
        return None
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def versions() -> Iterator[str]:
    """Yield who was asked."""
    yield f"vhdx-kaitai {__version__}"
    for name, option, pattern in (
        ("qemu-img", "--version", r"qemu-img version ([\d.]+)"),
        ("7-Zip", "i", r"7-Zip (?:\[\d+\] |\(\w+\) )?([\d.]+)"),
    ):
        done = _run("7z" if name == "7-Zip" else name, option)
        match = re.search(pattern, done.stdout if done else "")
        yield f"{name} {match[1]}" if match else f"{name} ({ABSENT})"


# -- the page -------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A kind of damage and what each program made of it."""

    kind: Kind
    report: Report
    ours: str
    qemu: str
    seven_zip: str


def rows(folder: Path) -> Iterator[Row]:
    """Yield a row for each kind, building its image in a folder."""
    for kind in KINDS:
        path = Built(kind.make()).write(folder / "image.vhdx")
        report = ours(path)
        yield Row(kind, report, verdict_of(report, kind.rule), qemu(path), seven_zip(path))


_PAGE = """\
# Who finds what damage

{count} kinds of damage, each in an image with nothing else wrong, and what programs say to them.
*Found*: the program says that something is wrong; *refuses to open*: it does not open the image,
and seldom says why; *not found*: it is content. All of them accept the undamaged images.

{table}

Found or refused: {totals}.

A header or region table that is damaged while its copy is good is a warning to us, since the disk
reads rightly; refusing such an image keeps its owner from the data. What each rule is about is in
[rules.md](rules.md).

Made with {versions} by `make docs`.
"""


def page(folder: Path) -> str:
    """Return docs/damage.md, made with the programs of this machine."""
    _accept_the_undamaged(folder)
    found = list(rows(folder))
    lines = [
        "| kind of damage | rule | `vhdx-kaitai check` | `qemu-img check` | 7-Zip |",
        "|---|---|---|---|---|",
    ]
    for row in found:
        said = f"{row.ours} ({'error' if row.report.verdict == 'corrupt' else 'warning'})"
        lines.append(
            f"| {row.kind.name} | {row.kind.rule} | {said} | {row.qemu} | {row.seven_zip} |"
        )
    totals = [
        f"{name} {sum(said in (FOUND, REFUSES) for said in column)}"
        for name, column in (
            ("vhdx-kaitai", [row.ours for row in found]),
            ("qemu-img", [row.qemu for row in found]),
            ("7-Zip", [row.seven_zip for row in found]),
        )
    ]
    return _PAGE.format(
        count=len(KINDS),
        table="\n".join(lines),
        totals=", ".join(totals),
        versions=", ".join(versions()),
    )


def _accept_the_undamaged(folder: Path) -> None:
    """Make sure that what is found is the damage."""
    for name in ("dynamic", "two-mib"):
        path = BASES[name]().build().write(folder / "image.vhdx")
        assert ours(path).verdict == "clean"
        assert qemu(path) in (NOT_FOUND, ABSENT)
        assert seven_zip(path) in (NOT_FOUND, ABSENT)


def main() -> None:
    """Print or write the page."""
    parser = argparse.ArgumentParser(description="make docs/damage.md")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="where to write it")
    output: Path | None = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        text = page(Path(folder))
    absent = [name for name in versions() if name.endswith(f"({ABSENT})")]
    if output is None:
        sys.stdout.write(text)
    elif absent:
        sys.stderr.write(f"{output} stays as it is: {', '.join(absent)}\n")
    else:
        output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
