"""Metadata dumps of images, and what commands say of a dump and of its image."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

from tests.conftest import Run
from tests.images.image import Built
from tests.images.structures import GIB
from vhdx_kaitai.copying.metadump import Manifest, metadump
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.showing import tree
from vhdx_kaitai.storage.source import open_source

Document = dict[str, Any]

# Their messages and places speak of the file's length, which is another one in the cut form.
ABOUT_LENGTH = ("GEN-07", "GEN-08", "HDR-13", "REG-13", "LOG-32")

CUT = re.compile(r"The file is cut short: it ends at .* are missing\.")

# Large disks take long to walk and have nothing new at a greater depth.
DEEPEST, SHALLOW = 8, 4


def document(run: Run, *arguments: object) -> tuple[int, Document]:
    """Return exit status and document of a command, without what a dump need not share."""
    outcome = run(*arguments, "--json")
    found = json.loads(outcome.out)
    for name in ("path", "file_size", "losses"):
        found.pop(name, None)
    found.get("bat", {}).pop("bytes", None)
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


def gzipped(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


def interesting(built: Built) -> list[int]:
    layout = built.layout
    fixed = [0, 0x10000, 0x20000, 0x30000, 0x40000]
    log = [layout.log_offset, layout.log_offset + 4096]
    items = [layout.metadata_offset, layout.metadata_offset + 0x10000]
    return [*fixed, *log, *items, layout.bat_offset]
