"""What a metadata dump consists of, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator

from ..copying.metadump import TOO_LONG_FOR_WEB_IDE, Manifest
from ..text import human_size, printable
from .document import Document, headed


def dump_document(manifest: Manifest, path: str, output: str) -> Document:
    """Return what `metadump --json` prints.

    Args:
        manifest: What the dump consists of.
        path: Path of the image.
        output: Path of the dump.
    """
    return headed(
        path=path,
        output=output,
        form=manifest.form,
        redacted=manifest.is_redacted,
        file_size=manifest.file_size,
        length=manifest.length,
        ends_with=manifest.ends_with,
        kept_bytes=manifest.kept_bytes,
        written_bytes=manifest.written_bytes,
        kept=[kept._asdict() for kept in manifest.kept],
        blanked=[kept._asdict() for kept in manifest.blanked],
        missing=[missing._asdict() for missing in manifest.missing],
    )


_SIZES = ("file_size", "length", "kept_bytes", "written_bytes")


def dump_text(document: Document) -> Iterator[str]:
    """Yield the lines of `metadump`.

    Args:
        document: What `dump_document` returned.
    """
    sizes = {name: human_size(document[name]) for name in _SIZES}
    yield f"{printable(document['output'])}: {sizes['kept_bytes']} out of {sizes['file_size']} kept"
    yield (
        f"{sizes['length']} long, ends with {document['ends_with']}; "
        f"{sizes['written_bytes']} written, the rest is holes"
    )
    for title in ("kept", "blanked"):
        ranges = document[title]
        if ranges:
            yield title.capitalize()
        for entry in ranges:
            place = f"{entry['offset']:#14x} {entry['length']:#12x}"
            yield f"  {place}  {entry['name']} ({entry['reason']})"
    if document["missing"]:
        yield "Not found"
        for missing in document["missing"]:
            yield f"  {missing['what']}: {printable(missing['why'])}"


def too_long(manifest: Manifest) -> str | None:
    """Return what to say of a dump that has become too long for the Web IDE; None of any other."""
    if manifest.length < TOO_LONG_FOR_WEB_IDE or manifest.form == "sparse":
        return None
    written, length = human_size(manifest.written_bytes), human_size(manifest.length)
    return (
        f"{length} long with {written} in it, because it ends with {manifest.ends_with} and "
        "offsets stay what they are; the Web IDE loads less than 2 GiB. Pass it on packed."
    )
