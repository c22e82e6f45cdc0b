"""Hashes of a disk and of its files, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import Assumption
from ..reading.losses import Losses
from ..text import printable
from .document import Document, assumed_document, headed
from .losses import losses_document


def hash_document(
    path: str,
    offset: int,
    length: int,
    hashes: dict[str, str],
    layers: list[tuple[str, int, dict[str, str]]],
    *,
    lost: Losses | None = None,
    assumed: Iterable[Assumption] = (),
) -> Document:
    """Return what `hash --json` prints.

    Args:
        path: Path of the image.
        offset: Virtual offset of the range in bytes.
        length: Bytes.
        hashes: Hashes of the range of the virtual disk, by algorithm.
        layers: Path, length in bytes and hashes of each file of the chain, child first.
        lost: What of the range is lost and was hashed as zeros; None when nothing may be.
        assumed: What was taken for granted of the images.
    """
    return headed(
        path=path,
        offset=offset,
        length=length,
        hashes=hashes,
        layers=[{"path": name, "file_size": size, "hashes": found} for name, size, found in layers],
        lost=lost and losses_document(lost),
        assumed=assumed_document(assumed),
    )


def hash_text(document: Document) -> Iterator[str]:
    """Yield the lines of `hash`, in the forms of `sha256sum` and, for several algorithms, `--tag`.

    So the lines about files can be checked by `sha256sum -c`.
    """
    path, layers = document["path"], document["layers"]
    yield from _lines(document["hashes"], f"virtual disk of {path}" if layers else path)
    for layer in layers:
        yield from _lines(layer["hashes"], layer["path"])


def _lines(hashes: dict[str, str], name: str) -> Iterator[str]:
    for algorithm, value in hashes.items():
        if len(hashes) == 1:
            yield f"{value}  {printable(name)}"
        else:
            yield f"{algorithm.upper().replace('_', '-')} ({printable(name)}) = {value}"
