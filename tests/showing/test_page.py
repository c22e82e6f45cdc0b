"""The page is one file: its data cannot end the data, and its policy names all that may run."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.browser.images import hostile
from tests.images.image import dynamic
from tests.support import ROOT
from vhdx_kaitai.showing.page import report_page

PARTS = sorted((ROOT / "vhdx_kaitai" / "page").iterdir())
MOST = 34 * 1024  # bytes of the template


class Elements(HTMLParser):
    """All elements of a page with their attributes and their text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and data.strip():
            self.texts.append((self.found[-1][0], data))

    def text(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    return vhdx_kaitai.report(hostile(tmp_path).path)


def test_data_of_the_page_is_the_document(document: dict[str, Any]) -> None:
    page = Elements(report_page(document))
    data, _ = page.text("script")
    assert json.loads(data) == document
    assert "<" not in data
    assert data.isascii()


def test_elements_are_those_of_the_template_whatever_an_image_says(
    document: dict[str, Any],
) -> None:
    plain = vhdx_kaitai.report(dynamic().build().to_bytes())
    tags = [[tag for tag, _ in Elements(report_page(one)).found] for one in (document, plain)]
    assert tags[0] == tags[1]
    assert tags[0].count("script") == 2
    title = Elements(report_page(document)).text("title")[0]
    assert title.isprintable()


def test_the_policy_allows_the_style_and_the_script_of_the_page_alone(
    document: dict[str, Any],
) -> None:
    page = Elements(report_page(document))
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in page.found
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    hashes = {
        kind: f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
        for kind, text in (("style", page.text("style")[0]), ("script", page.text("script")[1]))
    }
    assert rules == {
        "default-src": "'none'",
        "style-src": hashes["style"],
        "script-src": hashes["script"],
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_names_nothing_elsewhere_and_makes_no_markup_of_text() -> None:
    text = "".join(part.read_text(encoding="utf-8") for part in PARTS)
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(", text
    )
    assert sum(part.stat().st_size for part in PARTS) <= MOST


def test_numbers_that_javascript_would_round_are_text() -> None:
    document = vhdx_kaitai.report(dynamic().build().to_bytes())
    numbers = [1 << 53, (1 << 53) + 1, (1 << 64) - 1, True]
    page = Elements(report_page(document | {"file_size": numbers}))
    data, _ = page.text("script")
    assert json.loads(data)["file_size"] == [1 << 53, str((1 << 53) + 1), str((1 << 64) - 1), True]
