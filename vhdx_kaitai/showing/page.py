"""A report as a page: one file, which asks nobody for anything.

What an image says is data in it, and gets there as JSON in which no tag can begin. The page's own
script puts it on the screen as text. A policy keeps the browser from running, or loading, all else.
"""

from __future__ import annotations

import html
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import Any

from ..text import printable
from .document import Document, json_text

_SCRIPTS = ("page.js", "pictures.js", "report.js")

_MOST_EXACT = 1 << 53  # no number up to this one is rounded in JavaScript


def report_page(document: Document) -> str:
    """Return a report as a page of HTML.

    Args:
        document: What `vhdx_kaitai.report` returned.
    """
    style, script = _part("report.css"), "".join(map(_part, _SCRIPTS))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(_part("report.html")).substitute(
        policy=policy,
        title=html.escape(f"{printable(document['path'])}: report"),
        style=style,
        script=script,
        data=json_text(_exact(document)).replace("<", "\\u003c"),
    )


def _part(name: str) -> str:
    return (files("vhdx_kaitai") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _exact(value: Any) -> Any:
    """Return a document with numbers as text that JavaScript would round."""
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) > _MOST_EXACT else value
