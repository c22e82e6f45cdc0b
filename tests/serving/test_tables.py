"""Records come back from JSON Lines, wherever they were cut, and from Parquet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files
from tests.images.chain import chain
from tests.images.damage import DAMAGES
from tests.serving.fleets import make_fleet
from vhdx_kaitai.errors import UnsupportedError, VhdxError
from vhdx_kaitai.serving.record import scan_one
from vhdx_kaitai.serving.tables import Table, is_parquet, read_records
from vhdx_kaitai.showing.document import json_text


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    return [scan_one(path) for path in make_fleet(tmp_path / "fleet", 16)]


def test_lines_come_back(records: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("".join(f"{json_text(record)}\n" for record in records))
    assert list(read_records(str(path))) == records


def test_a_cut_last_line_is_passed_over(records: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first, last = (f"{json_text(record)}\n".encode() for record in records[:2])
    for end in range(0, len(last) - 1, 11):
        path.write_bytes(first + last[:end])
        assert list(read_records(str(path))) == records[:1]
    path.write_bytes(first + last[:-1])  # but for the end of the line it is whole
    assert list(read_records(str(path))) == records[:2]
    path.write_bytes(first + bytes(4096))  # as a cut of the power leaves it
    assert list(read_records(str(path))) == records[:1]


@pytest.mark.parametrize("text", ["{}\n{}\n", "notes\nnotes\n", "notes", "[1]", '{"path": "a"}'])
def test_what_is_something_else_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(VhdxError, match="line 1 is no record of a scan"):
        list(read_records(str(path)))


# -- Parquet --------------------------------------------------------------------------------------


def packed(records: list[dict[str, Any]], path: Path) -> Path:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
    table = Table()
    for record in records:
        table.add(json_text(record))
    path.write_bytes(table.data())
    return path


def test_a_table_holds_the_same(records: list[dict[str, Any]], tmp_path: Path) -> None:
    path = packed(records * 100, tmp_path / "out.parquet")  # more than are packed together
    assert list(read_records(str(path))) == records * 100


def test_a_table_of_nothing_has_its_columns(tmp_path: Path) -> None:
    assert list(read_records(str(packed([], tmp_path / "out.parquet")))) == []


@pytest.mark.slow
def test_a_table_holds_whatever_an_image_has(files: Files, tmp_path: Path) -> None:
    found = [scan_one(str(files.damaged(name))) for name in DAMAGES]
    found += [scan_one(str(path)) for path in chain(2).write(tmp_path).paths]
    found.append(scan_one(str(tmp_path / "\udcff.vhdx")))
    path = packed(found, tmp_path / "out.parquet")
    assert list(read_records(str(path))) == [json.loads(json_text(record)) for record in found]


def test_others_read_it(records: list[dict[str, Any]], tmp_path: Path) -> None:
    path = packed(records, tmp_path / "out.parquet")
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    assert table.num_rows == 16
    clean = table.filter(pc.field("verdict") == "clean")
    assert clean.num_rows == sum(record["verdict"] == "clean" for record in records)
    assert str(table.schema.field("file_size").type) == "uint64"
    assert [field.name for field in table.schema.field("tool").type] == ["name", "version"]


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "out.parquet"
    path.write_bytes(b"notes")
    with pytest.raises(VhdxError, match="no records of a scan"):
        list(read_records(str(path)))
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(VhdxError, match="its columns are not those of a scan"):
        list(read_records(str(path)))


def test_without_pyarrow_people_are_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'vhdx-kaitai\[scan\]'"):
        Table()


def test_the_name_says_what_it_is() -> None:
    assert is_parquet("a.PARQUET")
    assert not is_parquet("a.jsonl")
