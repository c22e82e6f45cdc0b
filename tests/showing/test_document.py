"""What documents have in common, and the one for a refusal."""

from __future__ import annotations

import errno
import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import vhdx_kaitai
from tests.conftest import Files, Run
from tests.images.damage import DAMAGES
from tests.support import SCHEMAS, assert_valid, damaged, opened
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.showing.document import error_document, json_text


@pytest.mark.parametrize(
    "name", [path.stem for path in SCHEMAS.glob("*.json") if path.stem != "map"]
)
def test_a_schema_is_itself_valid_and_lists_every_field(name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["schema_version"] == {"const": 1}
    assert set(schema["required"]) == set(schema["properties"])
    assert list(schema["required"][:2]) == ["schema_version", "tool"]


def test_a_document_says_which_version_of_what_made_it(files: Files, run: Run) -> None:
    path = files.good("dynamic-plain")
    for command in ("info", "check", "log", "chain", "tree"):
        document = json.loads(run(command, "--json", path).out)
        assert document["tool"] == {"name": "vhdx-kaitai", "version": vhdx_kaitai.__version__}


@pytest.mark.parametrize("name", [name for name, case in DAMAGES.items() if case.open_refuses])
def test_the_document_of_a_refusal_is_what_the_schema_says(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        opened(damaged(name))
    finding = caught.value.finding
    document = error_document("image.vhdx", caught.value)
    assert_valid(document, "error")
    error = document["error"]
    assert error["type"] == type(caught.value).__name__
    assert error["rule"] in DAMAGES[name].visible
    assert error["message"] == finding.message
    assert (error["section"], error["where"]) == (finding.section, finding.where)
    assert error["offset"] == finding.offset


def test_an_error_without_a_finding_has_a_message_and_no_rule() -> None:
    document = error_document("x", FileNotFoundError(errno.ENOENT, "No such file", "x"))
    assert_valid(document, "error")
    assert document["error"] == {
        "type": "FileNotFoundError",
        "rule": None,
        "section": None,
        "where": None,
        "offset": None,
        "message": "No such file",
    }


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text('a\\"\n\xe9\U0001f4be\ud800\udc00\udcff'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("a\ud800"), inner),
    )
)
def test_json_is_such_that_every_parser_takes_it(document: Any) -> None:
    """No number of a surrogate stands without its partner, which jq and others refuse."""
    text = json_text(document)
    assert text.isascii()
    said = json.loads(text)
    json.dumps(said, ensure_ascii=False).encode("utf-8")  # fails for a lone surrogate
    assert said == unescaped(document)


def unescaped(value: Any) -> Any:
    """Return what is expected of a document: numbers of lone surrogates are text."""
    if isinstance(value, str):
        return "".join(
            f"\\u{ord(char):04x}" if unicodedata.category(char) == "Cs" else char for char in value
        )
    if isinstance(value, list):
        return [unescaped(item) for item in value]
    if isinstance(value, dict):
        return {unescaped(key): unescaped(item) for key, item in value.items()}
    return value
