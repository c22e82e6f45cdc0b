"""The quick stream reads what the runtime's own does."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kaitaistruct import KaitaiStream, KaitaiStructError
from vhdx_kaitai.generated.vhdx import Vhdx

from tests.images.structures import KIB
from vhdx_kaitai.format.stream import BytesStream

STRUCTS: dict[str, tuple[type[Any], int]] = {
    "header": (Vhdx.Header, 4096),
    "region table": (Vhdx.RegionTable, 64 * KIB),
    "log entry header": (Vhdx.LogEntryHeader, 64),
    "log entry": (Vhdx.LogEntry, 16 * KIB),
    "metadata table": (Vhdx.MetadataTable, 64 * KIB),
    "file parameters": (Vhdx.FileParametersItem, 8),
    "parent locator": (Vhdx.ParentLocatorItem, 200),
    "payload entry": (Vhdx.PayloadBatEntry, 8),
    "sector bitmap entry": (Vhdx.SectorBitmapBatEntry, 8),
}


def dump(value: Any) -> Any:
    """Return a parsed structure as plain values: its fields, and those of what is in it."""
    if isinstance(value, list):
        return [dump(item) for item in value]
    if hasattr(value, "_io"):
        skipped = ("_io", "_parent", "_root")
        return {k: dump(v) for k, v in vars(value).items() if k not in skipped and "raw_" not in k}
    return value


def outcome(kind: type[Any], stream: KaitaiStream) -> Any:
    """Return what parsing comes to, an error of Kaitai's included."""
    try:
        return dump(kind(stream)), stream.is_eof()
    except KaitaiStructError as error:
        return type(error).__name__.replace("EndOfStreamError", "EOFError")
    except EOFError:
        return "EOFError"


@pytest.mark.parametrize("name", STRUCTS)
@given(st.data())
def test_parsing_from_memory_gives_what_the_runtime_gives(name: str, data: st.DataObject) -> None:
    kind, length = STRUCTS[name]
    start = data.draw(st.sampled_from((b"", b"metadata", b"loge")))
    content = start + data.draw(st.binary(max_size=100))
    content = content.ljust(data.draw(st.sampled_from((0, length // 2, length))), b"\0")[:length]
    quick = outcome(kind, BytesStream(content))
    assert quick == outcome(kind, KaitaiStream(BytesIO(content)))
