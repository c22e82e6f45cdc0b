"""Records as JSON Lines and as Parquet: read back, and made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from ..errors import UnsupportedError, VhdxError
from ..showing.document import Document

_ROWS = 1024  # that are packed together
_START = b'{"schema_version": '  # of each line


def is_parquet(path: str) -> bool:
    """Tell whether a file of records is Parquet, by its name; all others are JSON Lines."""
    return path.lower().endswith(".parquet")


def read_records(path: str) -> Iterator[Document]:
    """Yield the records of a file that a scan has written, perhaps not to its end.

    Args:
        path: Path of the file.

    Raises:
        VhdxError: There is something else in it.
        UnsupportedError: It is Parquet, and pyarrow is not installed.
        OSError: It cannot be read.
    """
    if is_parquet(path):
        yield from _read_parquet(path)
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            record = _record(line)
            if record is not None:
                yield record
            elif not _may_be_cut(line) or file.read(1):
                raise VhdxError(f"{path}: line {number} is no record of a scan")


def _record(line: bytes) -> Document | None:
    """Return the record that a line holds; None if it holds none."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and value.keys() == _fields().keys() else None


def _may_be_cut(line: bytes) -> bool:
    """Tell whether the last line may be the beginning of a record, or zeros of a power cut."""
    return line.startswith(_START) or _START.startswith(line) or not line.strip(b"\0")


@cache
def _form() -> Document:
    """Return the JSON schema of a record, which is that of Parquet, too."""
    text = (files("vhdx_kaitai") / "schemas" / "scan.json").read_bytes()
    document: Document = json.loads(text)
    return document


def _fields() -> Document:
    fields: Document = _form()["properties"]
    return fields


class Table:
    """A Parquet file of records, in memory until it is whole.

    Raises:
        UnsupportedError: pyarrow is not installed.
    """

    def __init__(self) -> None:
        pa = _pyarrow()
        self._columns = pa.schema([(name, _arrow_type(one)) for name, one in _fields().items()])
        self._output = pa.BufferOutputStream()
        self._writer = pa.parquet.ParquetWriter(self._output, self._columns, compression="zstd")
        self._rows: list[Document] = []

    def add(self, line: str) -> None:
        """Take a record, as JSON."""
        record = json.loads(line)
        self._rows.append(record | {"more": list(record["more"].items())})
        if len(self._rows) == _ROWS:
            self._pack()

    def _pack(self) -> None:
        batch = _pyarrow().RecordBatch.from_pylist(self._rows, self._columns)
        self._writer.write_batch(batch)
        self._rows.clear()

    def data(self) -> bytes:
        """Return the file; nothing can be added any more."""
        if self._rows:
            self._pack()
        self._writer.close()
        return bytes(self._output.getvalue())


def _read_parquet(path: str) -> Iterator[Document]:
    pa = _pyarrow()
    try:
        with pa.parquet.ParquetFile(path) as file:
            if file.schema_arrow.names != list(_fields()):
                raise VhdxError(f"{path}: its columns are not those of a scan")
            for batch in file.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    yield row | {"more": dict(row["more"])}
    except pa.ArrowInvalid as error:
        raise VhdxError(f"{path}: no records of a scan: {error}") from error


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet  # few want tables
    except ImportError as error:
        message = "Parquet takes pyarrow: pip install 'vhdx-kaitai[scan]'"
        raise UnsupportedError(message) from error
    return pyarrow


def _arrow_type(form: Document) -> Any:
    """Return the Arrow type of what the schema of a record describes."""
    pa = _pyarrow()
    if "$ref" in form:
        form = _form()["$defs"][form["$ref"].rpartition("/")[2]]
    words = form.get("type", "integer")  # there is none where it is a constant number
    kind = words if isinstance(words, str) else words[0]
    if kind == "array":
        return pa.list_(_arrow_type(form["items"]))
    if kind == "object" and "properties" in form:
        return pa.struct([(name, _arrow_type(one)) for name, one in form["properties"].items()])
    if kind == "object":
        return pa.map_(pa.string(), pa.uint64())
    plain = {"integer": "uint64", "number": "float64", "boolean": "bool_", "string": "string"}
    return getattr(pa, plain[kind])()
