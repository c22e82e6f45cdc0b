"""The vectors: which images the kit has, and how they are written.

    python -m tests.conformance.make

Every image is described by the tests' builder and stored as `vectors/NAME.vhdx.gz`, cut after its
last structure where its payload does not matter; `vectors/NAME.json` is what `expect` says of it.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.conformance.expect import expected
from tests.conformance.expect.roles import role
from tests.conformance.makers import MAKERS

VECTORS = Path(__file__).parent / "vectors"
LICENSE = "CC0-1.0"


def image_bytes(name: str) -> bytes:
    """Return the image of a vector."""
    return MAKERS[name][1]().pack().to_bytes()


def document(name: str) -> str:
    """Return the expected values of a vector as JSON, one value a line."""
    description, make = MAKERS[name]
    layout = make()
    file = layout.pack()
    values = [f"    {json.dumps([*value, role(value[0])])}" for value in expected(layout, file)]
    head = {"description": description, "license": LICENSE, "size": file.length}
    fields = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    fields.append('  "values": [\n' + ",\n".join(values) + "\n  ]")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def write() -> None:
    """Write every vector that is not there or not as it should be; remove all others."""
    VECTORS.mkdir(exist_ok=True)
    for path in VECTORS.iterdir():
        if path.name.partition(".")[0] not in MAKERS:
            path.unlink()
    for name in MAKERS:
        path, data = VECTORS / f"{name}.vhdx.gz", image_bytes(name)
        # Other versions of zlib compress the same bytes otherwise: leave alone what says the same.
        if not path.exists() or gzip.decompress(path.read_bytes()) != data:
            path.write_bytes(gzip.compress(data, 9, mtime=0))
        (VECTORS / f"{name}.json").write_text(document(name), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write()
