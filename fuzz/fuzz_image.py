"""Fuzzing: whatever the bytes of an image, a call returns or raises a `VhdxError`.

The invariant, for opening, reading random ranges, checking, the tree, the log and metadata dumps:

* nothing but a `VhdxError` is raised (there is no file system here that could raise an `OSError`);
* each input is done with within `MAX_SECONDS` of processor time and `MAX_GROWTH` of memory;
* all who go down into an image agree: what opening or the log refuses, the check names as an error;
  what the check finds no error in opens and can be read; and a dump can be made of all that begins
  as an image does;
* whatever is assumed in a rescue, what is not in a lost extent reads as without `lost="zero"`, and
  what is in one cannot be read without it.

An input is not an image but a recipe for one, or a few KiB could not say much about some MiB: the
length of the file and pieces of it at their offsets. Checksums are repaired when the image is put
together, or nothing would get past them.

    python -m fuzz.fuzz_image --seconds 60          # with atheris, or without it at random
    python -m fuzz.fuzz_image build/fuzz/crash-*    # again, one by one
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import random
import struct
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from importlib import import_module
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.images.crc import sealed
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Built
from tests.images.sparse import PAGE, Sparse
from tests.images.structures import HEADER_OFFSETS, KIB, MIB, REGION_TABLE_OFFSETS

try:
    atheris: Any = import_module("atheris")
except ImportError:  # it is for Linux and macOS, and follows new versions of Python late
    atheris = None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="exercise images that nobody thought of")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="inputs to repeat")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    parser.add_argument("--random", action="store_true", help="do without atheris")
    return parser


# Coverage guides atheris, but slows down whoever only imports this module or repeats an input.
_WANTED = _parser().parse_args() if __name__ == "__main__" and atheris else None
_GUIDED = _WANTED is not None and not (_WANTED.files or _WANTED.random)
with atheris.instrument_imports(include=["vhdx_kaitai"]) if _GUIDED else nullcontext():
    from vhdx_kaitai.checking import survey
    from vhdx_kaitai.checking.chain import check
    from vhdx_kaitai.copying.metadump import metadump
    from vhdx_kaitai.errors import FormatError, LimitError, ParentError, VhdxError
    from vhdx_kaitai.format.descent import state_of_log
    from vhdx_kaitai.reading import map as mapping
    from vhdx_kaitai.reading.disk import Disk, open_disk
    from vhdx_kaitai.reading.extents import Extent
    from vhdx_kaitai.reading.image import Image
    from vhdx_kaitai.reading.losses import lost_ranges
    from vhdx_kaitai.showing import sarif
    from vhdx_kaitai.showing.dump import dump_document, dump_text
    from vhdx_kaitai.showing.findings import check_document, check_text
    from vhdx_kaitai.showing.info import info_document, info_text
    from vhdx_kaitai.showing.log import log_document, log_text
    from vhdx_kaitai.showing.tree import Tree, node_document, tree_text
    from vhdx_kaitai.storage.source import BufferSource
    from vhdx_kaitai.writing.replay import replay

MAX_LENGTH = 16 * MIB  # of an image
MAX_INPUT = 128 * KIB
MAX_SECONDS = 10.0
MAX_GROWTH = 256 * MIB
_MAX_EXTENTS = 2000
_LARGE = ("largest-disk", "dirty-payload", "dirty-bitmaps", "disk-size-over-64-tib")
_MAX_PIECES = 40  # of a seed
_MAX_SEALED = 64  # entries of a log whose checksums are repaired
_BUILD = Path("build/fuzz")


class BrokenInvariantError(AssertionError):
    """An input did what none may do."""


# -- recipes --------------------------------------------------------------------------------------


class Recipe(NamedTuple):
    """What an input says.

    Attributes:
        flags: Which checksums stay as they are, and which way of the check is taken.
        seed: For the ranges that are read.
        length: Of the file.
        pieces: Bytes at their offsets; later ones win.
    """

    flags: int
    seed: int
    length: int
    pieces: tuple[tuple[int, bytes], ...]

    def pack(self) -> bytes:
        """Return the input that says this."""
        parts = [struct.pack("<BBI", self.flags, self.seed, self.length)]
        parts += [struct.pack("<IH", offset, len(data)) + data for offset, data in self.pieces]
        return b"".join(parts)

    @classmethod
    def parse(cls, data: bytes) -> Recipe:
        """Return what any bytes say."""
        flags, seed, length = struct.unpack("<BBI", data[:6].ljust(6, b"\0"))
        pieces = []
        at = 6
        while at + 6 <= len(data):
            offset, size = struct.unpack_from("<IH", data, at)
            pieces.append((offset % MAX_LENGTH, data[at + 6 : at + 6 + size]))
            at += 6 + size
        return cls(flags, seed, length % (MAX_LENGTH + 1), tuple(pieces))

    def image(self) -> bytes:
        """Return the image, its checksums repaired unless a flag says otherwise."""
        out = bytearray(self.length)
        for offset, data in self.pieces:
            out[offset : offset + len(data)] = data[: max(0, self.length - offset)]
        for bit, offset in enumerate(REGION_TABLE_OFFSETS):
            if not self.flags >> bit & 1:
                _seal(out, offset, 64 * KIB)
        for bit, offset in enumerate(HEADER_OFFSETS):
            if not self.flags >> 2 + bit & 1:
                _seal(out, offset, 4 * KIB)
            if not self.flags >> 4 & 1 and len(out) >= offset + 4 * KIB:
                size, start = struct.unpack_from("<IQ", out, offset + 68)
                _seal_log(out, start, size)
        return bytes(out)

    @property
    def is_bulky(self) -> bool:
        """Whether the BAT is judged as a large one would be."""
        return bool(self.flags >> 5 & 1)


def _seal(out: bytearray, offset: int, length: int) -> None:
    if len(out) >= offset + length:
        out[offset : offset + length] = sealed(bytes(out[offset : offset + length]))


def _seal_log(out: bytearray, start: int, size: int) -> None:
    """Repair the checksums of what look like entries, going around the end of the ring."""
    if start % 4096 or size % 4096 or start + size > len(out):
        return
    done = 0
    for at in range(start, start + size, 4096):
        if out[at : at + 4] != b"loge" or done == _MAX_SEALED:
            continue
        done += 1
        length = int.from_bytes(out[at + 8 : at + 12], "little")
        if not 8 <= length <= min(size, MIB):
            continue
        first = min(length, start + size - at)
        data = sealed(bytes(out[at : at + first] + out[start : start + length - first]))
        out[at : at + 8] = data[:8]


def recipe_for(built: Built) -> Recipe:
    """Return the recipe for a built image: what has structure, the start of what has much of it."""
    layout = built.layout
    dull = [(start, start + layout.image.block_size) for start in layout.payload.values()]
    dull.append((layout.bat_offset + PAGE, layout.bat_offset + MIB))
    dull.append((layout.metadata_offset + 80 * KIB, layout.metadata_offset + MIB))
    dull += [(offset + PAGE, offset + 64 * KIB) for offset in REGION_TABLE_OFFSETS]
    pieces: list[tuple[int, bytes]] = []
    for page in built.file.pages(Sparse()):
        if page >= MAX_LENGTH or len(pieces) == _MAX_PIECES:
            break
        if not any(start <= page < end for start, end in dull):
            data = built.file.read(page, PAGE).rstrip(b"\0")
            lead = (len(data) - len(data.lstrip(b"\0"))) & ~7
            if data:
                pieces.append((page + lead, data[lead:]))
    return Recipe(0, 0, min(built.length, MAX_LENGTH), tuple(pieces))


def seeds() -> Iterator[tuple[str, bytes]]:
    """Yield names and inputs of the images that the builder makes, the small ones."""
    for cases in (GOODS, DAMAGES):
        for name, case in cases.items():
            if name in _LARGE:
                continue
            built = Built(case.layout())
            data = recipe_for(built).pack()
            if built.length <= 4 * MAX_LENGTH and len(data) <= MAX_INPUT:
                yield name, data


# -- one input ------------------------------------------------------------------------------------


def exercise(data: bytes) -> None:
    """Do everything to the image of an input.

    Raises:
        BrokenInvariantError: Something happened that may not happen.
    """
    recipe = Recipe.parse(data)
    image = recipe.image()
    before, began = _peak(), time.process_time()
    worthwhile = mapping.WORTHWHILE_BLOCKS, survey.WORTHWHILE_ENTRIES
    try:
        if recipe.is_bulky:
            mapping.WORTHWHILE_BLOCKS = survey.WORTHWHILE_ENTRIES = 0
        choice = random.Random(recipe.seed)
        errors = _check(image)
        _open(image, choice, errors)
        _rescue(image, choice)
        _log(image, errors)
        if not recipe.seed % 4:  # they take longer than all the others
            _tree(image)
            _dump(image, choice)
            _replay(image, errors)
    finally:
        mapping.WORTHWHILE_BLOCKS, survey.WORTHWHILE_ENTRIES = worthwhile
    seconds = time.process_time() - began
    if seconds > MAX_SECONDS:
        raise BrokenInvariantError(f"took {seconds:.1f} s")
    if _peak() - before > MAX_GROWTH:
        raise BrokenInvariantError(f"took {_peak() - before} bytes of memory")


def _peak() -> int:
    """Return the most memory that this process had, in bytes; 0 where that is not known."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _check(image: bytes) -> set[str]:
    """Check an image and return the rules that refuse it."""
    found = check(image)
    json.dumps(check_document(found, "x"))
    json.dumps(sarif.sarif_document([found]))
    if not all(line.isprintable() for line in check_text(found, "x")):
        raise BrokenInvariantError("a line of the check cannot be printed")
    return {finding.rule for finding in found.findings if finding.level == "error"}


def _open(image: bytes, choice: random.Random, errors: set[str]) -> None:
    """Open an image, describe it and read ranges of it."""
    try:
        opened = Image(image)
    except FormatError as error:
        _agree(error, errors)
        return
    except LimitError:  # the file may be fine
        return
    with opened:
        document = info_document(opened, "x", allocation=_is_small(opened))
        json.dumps(document)
        if not all(line.isprintable() for line in info_text(document)):
            raise BrokenInvariantError("a line of the description cannot be printed")
        disk = Disk([opened])
        try:
            _read(disk, choice, errors)
        except FormatError as error:
            if not errors:
                raise BrokenInvariantError(f"{error} in what the check is content with") from None


def _is_small(image: Image) -> bool:
    """Whether what looks at each block is quick; millions of them may well take seconds."""
    return image.geometry.entry_count < 1 << 18


def _read(disk: Disk, choice: random.Random, errors: set[str]) -> None:
    """Read ranges of a disk, and what its extents call data."""
    for _ in range(4):
        offset = choice.choice((0, disk.size // 2, choice.randrange(disk.size), disk.size - 512))
        length = choice.choice((1, 512, 4096, 3 * MIB))
        try:
            data = disk.pread(length, offset)
        except FormatError:
            if not errors:
                raise
        except VhdxError:  # it belongs to the parent
            continue
        else:
            if len(data) != min(length, disk.size - offset):
                raise BrokenInvariantError(f"{len(data)} bytes came of {length} at {offset}")
    if not _is_small(disk.image):
        return
    at = 0
    for count, extent in enumerate(disk.extents()):
        if extent.offset != at or extent.length <= 0:
            raise BrokenInvariantError(f"an extent at {extent.offset}, expected one at {at}")
        at += extent.length
        if extent.kind == "data" and count < 100:
            disk.pread(512, extent.offset)
            disk.pread(512, at - 512)
        if count == _MAX_EXTENTS:
            return
    if at != disk.size:
        raise BrokenInvariantError(f"extents end at {at}, the disk at {disk.size}")


_RESCUES: tuple[dict[str, Any], ...] = (
    {},
    {"replay": "ignore"},
    {"header": "assume"},
    {"regions": "assume"},
    {"identifier": "assume", "header": "assume", "regions": "assume", "bat": "assume"},
)


def _rescue(image: bytes, choice: random.Random) -> None:
    """Read what is left of a disk, whatever has to be assumed for that."""
    try:
        disk = open_disk(image, resolve_parents=False, lost="zero", **choice.choice(_RESCUES))
    except FormatError as error:
        str(error)
        return
    except LimitError:
        return
    with disk:
        strict = Disk(disk.chain)
        if not _is_small(disk.image):
            return
        at = 0
        for extent in islice(disk.extents(), _MAX_EXTENTS):
            if extent.offset != at or extent.length <= 0:
                raise BrokenInvariantError(f"an extent at {extent.offset}, expected one at {at}")
            at += extent.length
            _compare(disk, strict, extent)
        lost = [(e.offset, e.offset + e.length, e.finding and e.finding.rule) for e in disk.lost()]
        if _merged(lost) != _merged(lost_ranges(disk, 0, disk.size)):
            raise BrokenInvariantError("the disk and its map differ in what is lost")


def _merged(ranges: Iterable[tuple[int, int, str | None]]) -> list[tuple[int, int, str | None]]:
    """Return ranges, neighbours with the same rule as one."""
    merged: list[tuple[int, int, str | None]] = []
    for start, end, rule in ranges:
        if merged and merged[-1][1:] == (start, rule):
            start = merged.pop()[0]
        merged.append((start, end, rule))
    return merged


def _compare(disk: Disk, strict: Disk, extent: Extent) -> None:
    """Read the ends of an extent: as without the option, or zeros where it is lost."""
    length = min(extent.length, 4096)
    for offset in (extent.offset, extent.offset + extent.length - length):
        try:
            data = disk.pread(length, offset)
        except FormatError as error:
            raise BrokenInvariantError(f"{error}, although what is lost is zeros") from None
        except ParentError:
            if extent.kind != "parent":
                raise
            continue
        try:
            expected = strict.pread(length, offset)
        except FormatError as error:
            if extent.kind != "lost":
                raise BrokenInvariantError(f"{error} in an extent of {extent.kind}") from None
            expected = bytes(length)
        else:
            if extent.kind == "lost":
                raise BrokenInvariantError(f"what is lost at {offset} can be read")
        if data != expected:
            raise BrokenInvariantError(f"other bytes at {offset} with lost='zero'")


def _tree(image: bytes) -> None:
    """Walk the tree of an image."""
    try:
        tree = Tree(BufferSource(image))
    except FormatError as error:
        str(error)
        return
    node = tree.find("")
    json.dumps(node_document(tree, node, 2))
    for line in tree_text(tree, node, 4):
        if not line.isprintable():
            raise BrokenInvariantError(f"a line of the tree cannot be printed: {line!r}")


def _log(image: bytes, errors: set[str]) -> None:
    """List the log of an image, and show that the check has the same to say of its replay."""
    try:
        state = state_of_log(BufferSource(image))
    except LimitError:
        return
    except FormatError as error:
        _agree(error, errors)
        return
    if state.error is not None:
        _agree(state.error, errors)
    document = log_document("x", *state)
    json.dumps(document)
    for line in log_text(document):
        if not line.isprintable():
            raise BrokenInvariantError(f"a line of the log cannot be printed: {line!r}")


def _agree(error: FormatError, errors: set[str]) -> None:
    """Show that the check names what somebody else is refused by."""
    str(error)
    if error.finding.rule not in errors:
        raise BrokenInvariantError(f"{error} refuses the image, the check is content")


def _replay(image: bytes, errors: set[str]) -> None:
    """Replay the log of an image on disk: it reads the same after it, or keeps every byte."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "disk.vhdx")
        path.write_bytes(image)
        is_changed = False
        try:
            is_changed = replay(path).is_changed
        except LimitError:
            pass
        except FormatError as error:
            if error.finding.rule != "HDR-28":  # which is about writers alone
                _agree(error, errors)
        except OSError as error:
            if error.errno != errno.EFBIG:  # no file system has room for every file
                raise
            return
        if not is_changed:
            if path.read_bytes() != image:
                raise BrokenInvariantError("an image that is not replayed is written to")
            return
        with Image(path, replay="refuse") as after:
            if _seen(after) != _seen(Image(image)):
                raise BrokenInvariantError("an image reads otherwise after its replay")


def _seen(image: Image) -> tuple[int, bytes]:
    """Return what replay must not change: the length of a file, and what is not header or log."""
    size = image.source.size
    data = bytearray(image.source.read(0, min(size, 2 * MAX_LENGTH)))
    header = image.headers.current
    log = header.log_offset, header.log_offset + header.log_length
    for start, end in ((HEADER_OFFSETS[0], REGION_TABLE_OFFSETS[0]), log):
        data[start:end] = bytes(len(data[start:end]))
    return size, bytes(data)


_FORMS: tuple[dict[str, Any], ...] = ({}, {"form": "sparse"}, {"redact": True}, {"slack": True})


def _dump(image: bytes, choice: random.Random) -> None:
    """Write a metadata dump, which can be made of anything that has an identifier."""
    with TemporaryDirectory() as folder:
        path = f"{folder}/dump.vhdx"
        try:
            manifest = metadump(image, path, **choice.choice(_FORMS))
        except FormatError as error:
            if error.finding.rule != "FTI-01":
                raise BrokenInvariantError(f"{error} keeps an image from being dumped") from None
            return
        check(path, skeleton=True)
    document = dump_document(manifest, "x", "y")
    json.dumps(document)
    for line in dump_text(document):
        if not line.isprintable():
            raise BrokenInvariantError(f"a line about a dump cannot be printed: {line!r}")


# -- other inputs ---------------------------------------------------------------------------------

_NEAR = [0, 1, 2, 3, 5, 6, 7, 8, 511, 512, 1000, 4095, 4096, 65535, 65536, MIB - 1, MIB, 2 * MIB]
_NEAR += [3 * MIB, 3 * MIB + 6, 4 * MIB, 8 * MIB, 256 * MIB, 1 << 31, (1 << 32) - 1, 1 << 32]
_NEAR += [1 << 46, (1 << 63) - 1, (1 << 64) - MIB, (1 << 64) - 1]


def mutated(data: bytes, choice: random.Random) -> bytes:
    """Return another input, with some fields of structures changed."""
    recipe = Recipe.parse(data)
    pieces = list(recipe.pieces)
    length, flags = recipe.length, recipe.flags
    for _ in range(choice.choice((1, 1, 2, 3, 6))):
        kind = choice.randrange(20)
        if kind == 0:
            length = choice.choice((length - 512, length // 2, length + MIB, *_NEAR[-18:]))
        elif kind == 1:
            flags ^= 1 << choice.randrange(6)
        elif kind == 2 and len(pieces) > 1:
            pieces.pop(choice.randrange(len(pieces)))
        elif kind == 3 and pieces:
            offset, piece = choice.choice(pieces)
            pieces.append((offset + choice.choice((-4096, 4096, 64 * KIB, MIB)), piece))
        elif kind == 4:
            entry = choice.choice((0, 1, 2, 3, 6, 6, 7)) | choice.randrange(20) * MIB
            place = choice.choice((3, 5)) * MIB + 8 * choice.choice((*range(8), 16, 4096))
            pieces.append((place, entry.to_bytes(8, "little")))
        elif kind == 5:
            start = choice.choice((0, 1, 2, 3, 4, 16, 16, 32, 33, 48, 48)) * 64 * KIB
            filler = choice.choice((b"\0", b"\0", b"\xff", b"text"))
            size = choice.choice((8, 64, 512, 4096, (1 << 16) - 1))
            pieces.append((start, (filler * size)[:size]))
        elif pieces:
            at = choice.randrange(len(pieces))
            offset, piece = pieces[at]
            pieces[at] = offset, _with_a_field_changed(piece, choice)
    pieces = [(offset % MAX_LENGTH, piece[: (1 << 16) - 1]) for offset, piece in pieces]
    made = Recipe(flags, choice.randrange(256), length % (MAX_LENGTH + 1), tuple(pieces))
    return made.pack()[:MAX_INPUT]


def _with_a_field_changed(piece: bytes, choice: random.Random) -> bytes:
    width = choice.choice((1, 2, 4, 4, 8, 8))
    at = choice.randrange(0, max(1, len(piece)), min(width, 4))
    old = int.from_bytes(piece[at : at + width], "little")
    value = choice.choice(
        (
            choice.choice(_NEAR),
            old ^ 1 << choice.randrange(8 * width),
            old + choice.choice((-4096, -1, 1, 512, 4096, MIB)),
            choice.randrange(1 << 8 * width),
        )
    )
    field = (value % (1 << 8 * width)).to_bytes(width, "little")
    return piece[:at] + field + piece[at + width :]


# -- running --------------------------------------------------------------------------------------


def _keep(data: bytes) -> Path:
    """Write an input that broke the invariant to where it can be found."""
    _BUILD.mkdir(parents=True, exist_ok=True)
    path = _BUILD / f"crash-{hashlib.sha1(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def run_at_random(seconds: float, seed: int) -> int:
    """Exercise inputs made at random for some time; return how many broke the invariant."""
    choice = random.Random(seed)
    known = [data for _, data in seeds()]
    end = time.monotonic() + seconds
    done = 0
    messages: dict[str, Path] = {}
    while time.monotonic() < end:
        data = known[done] if done < len(known) else mutated(choice.choice(known), choice)
        done += 1
        try:
            exercise(data)
        except Exception as error:  # anything at all
            place = traceback.extract_tb(error.__traceback__)[-1]
            key = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            if key not in messages:
                messages[key] = _keep(data)
                traceback.print_exc()
        if done > len(known) and choice.randrange(50) == 0:
            known.append(data)  # so that changes add up
    sys.stdout.write(
        f"{done} inputs from seed {seed}, {len(messages)} kinds of findings, "
        f"{_peak() // MIB} MiB of memory at most\n"
    )
    for key, path in messages.items():
        sys.stdout.write(f"  {key}: {path}\n")
    return len(messages)


def run_guided(seconds: float, seed: int) -> None:
    """Exercise inputs that atheris makes, guided by coverage; does not return."""
    corpus = _BUILD / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds():
        (corpus / name).write_bytes(data)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        choice = random.Random(seed)
        if choice.randrange(3):
            return mutated(data, choice)[:max_size]
        changed: bytes = atheris.Mutate(data, len(data))
        return changed

    options = [
        f"-max_total_time={int(seconds)}",
        f"-max_len={MAX_INPUT}",
        f"-seed={seed}",
        f"-artifact_prefix={_BUILD}/",
        f"-timeout={int(10 * MAX_SECONDS)}",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], exercise, custom_mutator=mutate)
    atheris.Fuzz()


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz for a while, or exercise the given inputs again."""
    arguments = _parser().parse_args(argv)
    for path in arguments.files:
        sys.stdout.write(f"{path}\n")
        exercise(path.read_bytes())
    if arguments.files:
        return 0
    if _GUIDED:
        run_guided(arguments.seconds, arguments.seed)
    return min(1, run_at_random(arguments.seconds, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
