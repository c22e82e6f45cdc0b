"""The record of an image at a URL: what tells the file from its successor, and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.images.chain import chain
from tests.support import assert_valid, good
from tests.web import Answer, Web, serving
from vhdx_kaitai.serving.record import is_current, scan_one


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


def test_a_record_is_current_until_the_file_is_replaced(web: Web) -> None:
    url = web.put("a.vhdx", good("dynamic-plain").file)
    record = scan_one(url)
    assert_valid(record, "scan")
    assert (record["path"], record["verdict"], record["modified"]) == (url, "clean", None)
    assert record["file_size"] == good("dynamic-plain").length
    assert record["etag"]
    assert is_current(record, url)
    web.put("a.vhdx", good("dynamic-plain").file)  # the same bytes again
    assert not is_current(record, url)


def test_a_record_tells_no_secret_of_a_url(web: Web) -> None:
    web.put("a.vhdx", good("dynamic-plain").file)
    url = f"{web.url}/a.vhdx?sig=hidden"
    records = [scan_one(url), scan_one(url.replace("a.vhdx", "b.vhdx"))]
    web.twist = lambda *_: Answer(503)
    records.append(scan_one(url))
    assert [record["error_type"] for record in records] == [None, "FileNotFoundError", "OSError"]
    for record in records:
        assert_valid(record, "scan")
        assert "hidden" not in json.dumps(record)


def test_a_scan_of_urls_goes_on_and_puts_chains_together(
    run: Run, web: Web, tmp_path: Path
) -> None:
    made = chain(3)
    urls = [
        web.put(f"d/{name}", built.file)
        for built, name in zip(made.images, made.names, strict=True)
    ]
    out = tmp_path / "out.jsonl"
    assert run("scan", *urls, "-o", out).status == 0
    before = out.read_text()
    assert {json.loads(line)["path"] for line in before.splitlines()} == set(urls)
    web.ranges()
    assert run("scan", *urls, "-o", out, "--resume").status == 0
    assert web.ranges() == [(0, 320 * 1024)] * 3  # what each of them is, and no more
    assert sorted(out.read_text().splitlines()) == sorted(before.splitlines())
