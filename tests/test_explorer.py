"""What the explorer's page reads is what `tree` reads, of files of any size and in any state.

The page's own program does the reading, in Node (`tests/explorer/asked.js`); what is expected comes
from the conformance kit and from `tree`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files
from tests.explorer import PAGE, Program, reason_for_absence
from tests.images.damage import DAMAGES
from tests.images.image import differencing
from tests.images.structures import GIB, MIB, TIB, Locator, LocatorEntry
from tests.support import ROOT, good, tool
from vhdx_kaitai.showing.tree import PathError, Tree, node_document
from vhdx_kaitai.storage.source import open_source

pytestmark = pytest.mark.slow

VECTORS = ROOT / "tests" / "conformance" / "vectors"

Shown = dict[str, Any] | None


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    reason = reason_for_absence() or (None if shutil.which("node") else "node is not installed")
    if reason is not None:
        pytest.skip(reason)
    with Program() as running:
        yield running


# --- Values ---


@pytest.mark.parametrize("name", sorted(file.stem for file in VECTORS.glob("*.json")))
def test_values_are_those_of_the_kit_and_of_tree(
    name: str, tmp_path: Path, program: Program
) -> None:
    image = tmp_path / f"{name}.vhdx"
    image.write_bytes(gzip.decompress((VECTORS / f"{name}.vhdx.gz").read_bytes()))
    if image.stat().st_size == 0:
        pytest.skip("no page of an empty file")
    values = json.loads((VECTORS / f"{name}.json").read_bytes())["values"]
    shown = program.nodes(image, [path for path, *_ in values])
    for path, kind, value, _ in values:
        assert agrees_with_kit(shown[path], kind, value), (path, kind, value, shown[path])
    if name == "not-a-vhdx-file" or image.stat().st_size < MIB:
        return  # `tree` refuses what has no identifier or no header section
    with closing(open_source(str(image))) as source:
        tree = Tree(source)
        for path, *_ in values:
            try:
                node = tree.find(path)
            except PathError:
                continue  # a parameter of a type, or below something that is not there
            told = node_document(tree, node, 0)
            assert agrees_with_tree(shown[path], told), (told, shown[path])


def agrees_with_kit(node: Shown, kind: str, value: str) -> bool:
    if kind == "absent":
        return node is None or (node["kind"] == "nothing" and node["error"] is None)
    if kind in ("error", "broken_text"):
        return node is None or node["error"] is not None
    assert node is not None
    if kind == "size":
        return str(node["count"]) == value
    if kind == "bytes":
        parts = re.findall(r"(\w\w)\*(\d+)|(\w\w)", value)
        return bool(node["raw"] == "".join(byte * int(n or 1) or one for byte, n, one in parts))
    if kind in ("bool", "str"):
        return bool(node["value"] == (value == "true" if kind == "bool" else value))
    return value in (node["label"], node["number"]) or node["number"] == rounded(value)


def rounded(value: str) -> str | None:
    """How a number is told that JavaScript has computed, when it may be another one."""
    is_exact = not value.isdecimal() or int(value) < 1 << 53
    return None if is_exact else f"about {int(float(int(value)))}"


def agrees_with_tree(node: Shown, told: dict[str, Any]) -> bool:
    if node is None:  # below something that failed
        return told["error"] is not None or (told["value"], told["type"]) == (None, None)
    if told["error"] is not None or node["error"] is not None:
        return (told["error"] is None) == (node["error"] is None)
    end = None if told["offset"] is None else told["offset"] + told["length"]
    if (node["start"], node["end"], node["type"]) != (told["offset"], end, told["type"]):
        return False
    if node["kind"] == "number":
        number = str(told["value"])
        return node["number"] in (number, rounded(number)) and told["meaning"] in (
            None,
            node["label"],
        )
    if node["kind"] == "bytes":
        return bool(node["raw"][:32] == (told["raw"] or ""))
    if node["kind"] == "array":
        return bool(node["count"] == told["count"])
    if told["type"] == "guid":
        return bool(told["meaning"].startswith(node["text"]))
    return bool(node["kind"] == "object" or node["value"] == told["value"])


@pytest.mark.parametrize(
    "name", ["items-2047", "log-entries-of-every-shape", "differencing-512", "regions-2047"]
)
def test_where_a_page_ends_makes_no_difference(name: str, tmp_path: Path, program: Program) -> None:
    """Small pages interrupt the grammar in the middle of arrays, of numbers and of bits."""
    image = tmp_path / f"{name}.vhdx"
    image.write_bytes(gzip.decompress((VECTORS / f"{name}.vhdx.gz").read_bytes()))
    values = json.loads((VECTORS / f"{name}.json").read_bytes())["values"]
    paths = [path for path, _, value, _ in values if len(value) < 10000]
    with Program(page_size=1021) as another:
        assert another.nodes(image, paths) == program.nodes(image, paths)


def test_one_value_of_the_kit_is_computed_and_too_large_to_be_exact(
    tmp_path: Path, program: Program
) -> None:
    """All others above 2^53 are exact, though JavaScript would round them."""
    image = tmp_path / "image.vhdx"
    image.write_bytes(gzip.decompress((VECTORS / "log-far-away.vhdx.gz").read_bytes()))
    node = program.nodes(image, ["log.end_of_log"])["log.end_of_log"]
    assert node is not None
    assert node["text"].startswith("about 18446744073708503040")


# --- Size ---


def test_a_file_of_100_gib_opens_by_a_few_pages(tmp_path: Path, program: Program) -> None:
    image = tmp_path / "large.vhdx"
    good("dynamic-plain").write(image)
    with image.open("r+b") as file:
        file.truncate(100 * GIB)
    opened = (
        "reading.look(() => reading.fieldsOf('').map((path) => rowFor(reading, path).text))"
        ".then((texts) => [reading.size, reading.pages.loads, texts.length])"
    )
    size, loads, rows = program.call(image, opened)
    assert size == 100 * GIB
    assert loads <= 20
    assert rows == 12


def test_the_last_block_of_64_tib_is_found_by_a_few_pages(files: Files, program: Program) -> None:
    image = files.good("largest-disk")
    assert good("largest-disk").image.virtual_disk_size == 64 * TIB
    path, text, loads = program.call(
        image,
        f"reading.look(() => pathOfVirtual(reading, {64 * TIB - 1}))"
        ".then(async (path) => [path, await reading.look(() => rowFor(reading, path).text),"
        " reading.pages.loads])",
    )
    assert path == "bat.chunks[16383].payload_blocks[4095]"
    assert text.startswith("fully_present, at ")
    assert loads <= 20


def test_a_log_of_64_mib_is_searched_by_few_large_reads(tmp_path: Path, program: Program) -> None:
    """Its slots are made without their bytes, and these are read ahead."""
    image = tmp_path / "log.vhdx"
    built = good("dynamic-plain").write(image)
    header = 0x20000  # the current one
    with built.open("r+b") as file:
        file.truncate(200 * MIB)
        file.seek(header + 68)
        file.write((64 * MIB).to_bytes(4, "little"))
        file.write((100 * MIB).to_bytes(8, "little"))
        file.seek(100 * MIB + 16000 * 4096)
        file.write(b"loge")
    found = program.call(
        image, "pathOfEntry(reading, 3).then((path) => [path, reading.pages.loads])"
    )
    assert found[0] == "log.slots[16000]"
    assert found[1] < 40


def test_pages_that_nobody_looks_at_are_let_go(tmp_path: Path, program: Program) -> None:
    image = good("dynamic-plain").write(tmp_path / "large.vhdx")
    with image.open("r+b") as file:
        file.truncate(GIB)
    kept, loads = program.call(
        image,
        f"""(async () => {{
          for (let at = 0; at < {GIB}; at += {MIB // 4}) {{
            await reading.look(() => reading.pages.bytes(at, 512));
          }}
          return [reading.pages.kept.size, reading.pages.loads];
        }})()""",
    )
    assert loads == 4096
    assert kept <= 2050


# --- Bytes and fields ---


@pytest.mark.parametrize(
    ("name", "offset", "path"),
    [
        ("dynamic-plain", 0, "file_identifier.signature"),
        ("dynamic-plain", 0x20008, "header_2.sequence_number"),
        ("dynamic-plain", 0x30010, "region_table_1.entries[0].guid"),
        ("dynamic-plain", 0x300009, "bat.chunks[0].payload_blocks[1].entry.reserved"),
        ("differencing-plain", 0x210028 + 16, "metadata.items[5].data.reserved"),
        ("dynamic-plain", 0x400010, "bat.chunks[0].payload_blocks[0].data"),
    ],
)
def test_a_byte_leads_to_the_smallest_field_that_has_it(
    name: str, offset: int, path: str, files: Files, program: Program
) -> None:
    found = program.call(files.good(name), f"reading.look(() => pathAt(reading, {offset}))")
    assert found == path


def test_names_lead_to_the_element_where_one_is_or_to_the_first(
    files: Files, program: Program
) -> None:
    image = files.good("dynamic-plain")
    name = "bat.chunks[].payload_blocks[].entry.state"
    assert name in program.call(image, "namesOfFields()")
    paths = program.call(
        image, f"['', 'bat.chunks[0].payload_blocks[7].data'].map((at) => pathFrom('{name}', at))"
    )
    assert paths == [
        "bat.chunks[0].payload_blocks[0].entry.state",
        "bat.chunks[0].payload_blocks[7].entry.state",
    ]


# --- Damage, and strangers ---


# Opens everything, of long arrays the begin and the end; what a row has to say is words.
WALK = """(async () => {
  const odd = [];
  const walk = async (row) => {
    const rows = await reading.look(() => rowsBelow(reading, row));
    for (const [i, child] of rows.entries()) {
      const mistake = /^cannot be read: (Type|Reference|Syntax)|NaN|\\[object/;
      if (mistake.test(child.text)) odd.push([child.path, child.text]);
      if (child.canOpen && (i < 3 || i > rows.length - 3)) await walk(child);
    }
  };
  await walk({ path: '' });
  return odd;
})()"""


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_damage_is_told_in_words(name: str, files: Files, program: Program) -> None:
    """No mistake of the program is among them."""
    assert program.call(files.damaged(name), WALK) == []


def test_an_overwritten_identifier_hides_nothing_else(tmp_path: Path, program: Program) -> None:
    image = good("dynamic-plain").write(tmp_path / "image.vhdx")
    with image.open("r+b") as file:
        file.write(b"overwrit")
    nodes = program.nodes(image, ["file_identifier", "header_2.version", "bat.num_chunks"])
    assert [bool(node and node["error"]) for node in nodes.values()] == [True, False, False]


def test_what_fails_many_times_costs_little_each_time(tmp_path: Path, program: Program) -> None:
    """What was read before an error stays, though nothing of what the error interrupted does."""
    broken = LocatorEntry(b"", b"", 0x7FFFFFFF, 0x7FFFFFFF, 2, 2)
    locator = Locator([broken] * 65535)
    image = differencing(locator=locator).build().write(tmp_path / "image.vhdx")
    read = program.call(
        image,
        """reading.look(() => {
          const items = reading.node('metadata.items').value;
          const path = 'metadata.items[5].data.key_values';
          const rows = elementRows(reading, path, 0, 64);
          return [rows.map((row) => row.text), items === reading.node('metadata.items').value];
        })""",
    )
    assert read == [["(unreadable) = (unreadable)"] * 64, True]


def test_text_of_a_stranger_is_escaped(program: Program, files: Files) -> None:
    said = program.call(
        files.good("dynamic-plain"), r"visible('a\u202eb\u0000c\ud800 \u2028<b>\u{e0041}é漢')"
    )
    assert said == r"a\u202eb\x00c\ud800 \u2028<b>\U000e0041é漢"


# --- The page ---


def test_the_page_names_its_scripts_by_their_hashes() -> None:
    if not PAGE.is_file():
        pytest.skip("the page was not made: run 'make explorer'")
    page = PAGE.read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert len(re.findall(r"<script\b", page)) == len(re.findall(r"<style\b", page)) == 1
    assert not re.search(r"\b(?:innerHTML|insertAdjacentHTML|document\.write|eval\()", page)
    assert "Apache License" in page
    for name in ("style", "script"):
        (content,) = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_what_the_page_knows_of_the_grammar_is_in_it() -> None:
    import yaml

    spec = yaml.safe_load((ROOT / "vhdx.ksy").read_text(encoding="utf-8"))
    known = tool("explorer").grammar(spec)
    assert {of_type["id"] for of_type in known["types"]} == {"vhdx", *spec["types"]}
    fields = {f"{t['id']}.{f['id']}": f for t in known["types"] for f in t["fields"]}
    assert fields["payload_bat_entry.state"]["enum"] == "payload_block_state"
    assert fields["region_table_entry.kind"]["enum"] == "region_kind"
    assert fields["metadata_item.data"]["types"][-1] == "unknown_item"
    assert fields["header.version"]["original"] == "Version"
