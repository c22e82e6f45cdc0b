"""A report follows its schema whatever is wrong with a file, and has what other commands say."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.browser.images import dirty_over_damaged
from tests.images.chain import chain
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.support import SparseSource, assert_valid, damaged, good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.showing import report as showing

MOST_OF_A_PAGE = 2 * MIB


def reported(source: Any, **options: Any) -> dict[str, Any]:
    document = vhdx_kaitai.report(source, **options)
    assert_valid(document, "report")
    return document


@pytest.mark.parametrize("name", [*GOODS, *DAMAGES])
def test_every_image_has_a_report(name: str) -> None:
    built = good(name) if name in GOODS else damaged(name)
    document = reported(SparseSource(built.file))
    assert document["checks"][0]["verdict"] == check(SparseSource(built.file), chain=True).verdict
    opens = document["error"] is None
    assert opens == (document["info"] is not None) == (document["allocation"] is not None)
    assert len(vhdx_kaitai.report_page(document)) < MOST_OF_A_PAGE


@pytest.mark.parametrize("data", [b"", b"MZ", b"vhdxfile", b"conectix" + bytes(504), bytes(MIB)])
def test_every_file_has_one(data: bytes) -> None:
    document = reported(data)
    assert document["checks"][0]["verdict"] in ("not-vhdx", "corrupt")
    assert document["error"]["type"] in ("FormatError", "TruncatedError")
    assert document["path"] == "(in memory)"


def test_a_report_says_what_made_it_when_and_of_what(tmp_path: Path) -> None:
    path = dynamic(blocks={0: Block()}).build().write(tmp_path / "a.vhdx")
    document = reported(path)
    assert document["tool"]["version"] == vhdx_kaitai.__version__
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["created"])
    assert (document["path"], document["file_size"]) == (str(path), path.stat().st_size)
    assert document["hashes"] is None


def test_hashes_are_those_of_files_and_disk_when_they_are_asked_for(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    told: list[int] = []
    hashes = reported(made.path, hashes=True, progress=told.append)["hashes"]
    sha = [hashlib.sha256(path.read_bytes()).hexdigest() for path in reversed(made.paths)]
    assert [one["hashes"]["sha256"] for one in hashes["files"]] == sha
    disk = made.model.read(0, made.model.size)
    assert hashes["disk"]["sha256"] == hashlib.sha256(disk).hexdigest()
    assert told == sorted(told)
    assert told[-1] == sum(path.stat().st_size for path in made.paths) + made.model.size


def test_what_cannot_be_hashed_is_told_and_the_file_is_hashed() -> None:
    layout = dynamic(2 * MIB, blocks={0: Block(), 1: Block()}).layout()
    layout.set_entry(1, 6, 1 << 40)
    hashes = reported(layout.build().to_bytes(), hashes=True)["hashes"]
    assert hashes["error"]["rule"] == "BAT-10"
    assert hashes["disk"] is None
    data = damaged("both-header-checksums-wrong").to_bytes()
    hashes = reported(data, hashes=True)["hashes"]
    assert hashes["files"][0]["hashes"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert (hashes["disk"], hashes["error"]) == (None, None)


def test_a_chain_is_told_level_by_level(tmp_path: Path) -> None:
    made = dirty_over_damaged(tmp_path)
    document = reported(made.path)
    assert [one["verdict"] for one in document["checks"]] == ["clean", "corrupt"]
    assert [one["path"] for one in document["checks"]] == [str(p) for p in reversed(made.paths)]
    assert {one["depth"] for one in document["evidence"]} == {0, 1}
    kinds = [{k["kind"] for k in one["kinds"] if k["bytes"]} for one in document["layouts"]]
    assert "several" not in kinds[0]
    assert {"several", "nothing"} <= kinds[1]
    assert document["log"]["state"] == "dirty"
    lost = {kind["rule"] for kind in document["allocation"]["kinds"]} - {None}
    assert lost == {"BAT-10", "OVL-05"}


def test_a_missing_parent_is_told_and_the_rest_is_there(tmp_path: Path) -> None:
    made = chain(2)
    made.missing = frozenset({"base.vhdx"})
    document = reported(made.write(tmp_path).path)
    assert document["error"] is None
    assert document["chain"]["missing"]["depth"] == 1
    assert any(kind["rule"] == "CHAIN-10" for kind in document["allocation"]["kinds"])
    alone = reported(made.path, resolve_parents=False)
    assert len(alone["checks"]) == 1
    assert alone["chain"]["missing"] is None
    assert any(kind["kind"] == "parent" for kind in alone["allocation"]["kinds"])


def test_what_is_assumed_is_told() -> None:
    data = damaged("both-header-checksums-wrong").to_bytes()
    document = reported(data, header="assume")
    assert [one["what"] for one in document["assumed"]] == ["headers"]
    assert document["info"] is not None


def test_a_long_log_is_cut_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "MOST_ENTRIES", 2)
    monkeypatch.setattr(showing, "MOST_CHANGES", 3)
    whole = vhdx_kaitai.report(SparseSource(good("log-many-entries-fill-the-ring").file))
    assert len(whole["log"]["entries"]) == 2
    assert len(whole["log"]["replay"]["changes"]) == 3
    assert whole["log"]["more_entries"] > 0
    told = [one["what"] for one in whole["left_out"]]
    assert any("entries of the log" in what for what in told)
    assert any("changes" in what for what in told)
