"""Put the first table of README.md in its place: one chain of images, and who reads it rightly.

The chain is a base whose log has to be replayed, as a crash leaves it, and a differencing image
on top; both are built by `tests.images`, whose model says what the disk holds.

    python -m tools.one_chain             # prints the table
    python -m tools.one_chain --update    # writes it into the page
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import vhdx_kaitai
from tests.images.chain import Chain, chain
from tests.images.dirty import dirty
from tests.images.image import Block, Image, Layout, partial

PAGE = Path(__file__).parent.parent / "README.md"
TABLE = re.compile(r"(?<=<!-- one chain -->\n).*?(?=<!-- end of one chain -->)", re.DOTALL)
MIB = 1 << 20


class AbsentError(Exception):
    """A program is not installed."""


class RefusedError(Exception):
    """A program does not read the chain; the message is its own."""


class Tool(NamedTuple):
    """A program, or a library.

    Attributes:
        name: What it is called.
        version: Returns its version.
        read: Returns the disk that it sees in a chain, base first.
    """

    name: str
    version: Callable[[], str]
    read: Callable[[list[Path]], bytes]


def by_us(paths: list[Path]) -> bytes:
    """Read it with this package."""
    with vhdx_kaitai.open(paths[-1]) as disk:
        return bytes(disk.pread(disk.size, 0))


def by_qemu(paths: list[Path]) -> bytes:
    """Read it with `qemu-img convert`."""
    output = paths[-1].with_suffix(".raw")
    _run("qemu-img", "convert", "-f", "vhdx", "-O", "raw", paths[-1], output)
    return output.read_bytes()


def by_libvhdi(paths: list[Path]) -> bytes:
    """Read it with libvhdi's binding, which takes the parent from whoever calls it."""
    try:
        import pyvhdi
    except ImportError:
        raise AbsentError from None
    base, child = pyvhdi.file(), pyvhdi.file()
    try:
        base.open(str(paths[0]))
        child.open(str(paths[-1]))
        child.set_parent(base)
        data: bytes = child.read_buffer_at_offset(child.get_media_size(), 0)
    except OSError as error:
        raise RefusedError(str(error)) from None
    return data


def by_dissect(paths: list[Path]) -> bytes:
    """Read it with dissect, which looks for the parent itself."""
    try:
        from dissect.hypervisor.disk.vhdx import VHDX
    except ImportError:
        raise AbsentError from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves files to the collector
        try:
            data: bytes = VHDX(paths[-1]).read(-1)
        except Exception as error:
            raise RefusedError(str(error)) from None
        gc.collect()
    return data


def by_seven_zip(paths: list[Path]) -> bytes:
    """Read it with 7-Zip."""
    return _run("7z", "x", "-so", "-tVHDX", paths[-1])


def by_sleuth_kit(paths: list[Path]) -> bytes:
    """Read it with The Sleuth Kit."""
    return _run("img_cat", "-i", "vhd", paths[-1])


def _run(name: str, *arguments: str | Path) -> bytes:
    program = shutil.which(name)
    if program is None:
        raise AbsentError
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RefusedError(said[-1] if said else f"exit status {done.returncode}")
    return done.stdout


def _said(pattern: str, *words: str) -> Callable[[], str]:
    """Return what finds a version in what a program says of itself."""

    def version() -> str:
        try:
            found = re.search(pattern, _run(*words).decode(errors="replace"))
        except (AbsentError, RefusedError):
            return "absent"
        return found[1] if found else "unknown"

    return version


def _installed(package: str) -> Callable[[], str]:
    """Return what finds the version of a package of Python."""

    def version() -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return "absent"

    return version


TOOLS = (
    Tool("vhdx-kaitai", lambda: vhdx_kaitai.__version__, by_us),
    Tool("qemu-img", _said(r"version ([\d.]+)", "qemu-img", "--version"), by_qemu),
    Tool("libvhdi", _installed("libvhdi-python"), by_libvhdi),
    Tool("dissect.hypervisor", _installed("dissect.hypervisor"), by_dissect),
    Tool("7-Zip", _said(r"7-Zip (?:\[\d+\] |\(\w+\) )?([\d.]+)", "7z", "i"), by_seven_zip),
    Tool("The Sleuth Kit", _said(r"ver ([\d.]+)", "img_cat", "-V"), by_sleuth_kit),
)


def the_chain(folder: Path) -> Chain:
    """Write the chain into a folder: what the base's BAT says of its blocks is in its log alone."""

    def blocks(depth: int, _: Image) -> dict[int, Block]:
        return {5: Block(), 6: partial(0)} if depth else {number: Block() for number in range(4)}

    def cut(depth: int, image: Image) -> Image | Layout:
        return image if depth else dirty(image, junk=False)

    return chain(2, blocks=blocks, change=cut).write(folder)


def verdict(tool: Tool, made: Chain) -> str:
    """Return what a tool makes of the chain.

    Raises:
        AbsentError: It is not installed.
    """
    expected = made.model.read(0, made.model.size)
    try:
        data = tool.read(made.paths)
    except RefusedError as error:
        return f"refuses: `{_without(str(error), made)}`"
    if data == expected:
        return f"**right**: SHA-256 `{hashlib.sha256(data).hexdigest()[:16]}…`"
    wrong = sum(
        data[start : start + MIB] != expected[start : start + MIB]
        for start in range(0, len(expected), MIB)
    )
    return f"**silently wrong** in {wrong} of {len(expected) // MIB} MiB"


def _without(message: str, made: Chain) -> str:
    """Return what a tool said, without the folder that the chain happened to be in."""
    return re.sub(r"\s+", " ", message.replace(f"{made.path.parent}/", "")).replace("|", "/")


def rows(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and verdict of each tool."""
    made = the_chain(folder)
    for tool in TOOLS:
        try:
            yield tool.name, tool.version(), verdict(tool, made)
        except AbsentError:
            yield tool.name, "absent", ""


def table(found: list[tuple[str, str, str]]) -> str:
    """Return the table."""
    lines = [f"| {name} {version} | {said} |\n" for name, version, said in found]
    return "| tool | what it makes of the chain |\n|---|---|\n" + "".join(lines)


def main() -> None:
    """Print the table or write it into the page."""
    parser = argparse.ArgumentParser(description="make the first table of README.md")
    parser.add_argument("--update", action="store_true", help="write it into the page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = list(rows(Path(folder)))
    text = table(found)
    absent = [name for name, version, _ in found if version == "absent"]
    if not arguments.update:
        sys.stdout.write(text)
    elif absent:
        sys.stderr.write(f"{PAGE.name} stays as it is: {', '.join(absent)} (absent)\n")
    else:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(TABLE.sub(lambda _: text, page), encoding="utf-8")


if __name__ == "__main__":
    main()
