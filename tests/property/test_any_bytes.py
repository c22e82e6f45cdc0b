"""Any bytes give a result or a `VhdxError`, from every way to look at an image.

And in bounded memory and time. Files in memory have no `OSError` to raise.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.structures import MIB
from tests.property.hostile import any_bytes, mended, mutations, scraps, wild
from tests.support import assert_valid, fewer, good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import FormatError, LimitError
from vhdx_kaitai.format.descent import state_of_log
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.showing.document import error_document
from vhdx_kaitai.showing.info import info_document, info_text
from vhdx_kaitai.showing.log import log_document, log_text
from vhdx_kaitai.showing.tree import Tree, node_document, tree_text
from vhdx_kaitai.storage.source import BufferSource

HOSTILE = {
    "mutations": mutations(),
    "wild files": wild(),
    "scraps": scraps(),
    "bytes": any_bytes(),
}

# Of one look at a file of some MiB; a hundred times what it takes.
SECONDS = 20


def describe(data: bytes) -> bool:
    """Open an image and describe it; tell whether it could be opened."""
    try:
        image = Image(data)
    except (FormatError, LimitError) as error:
        document = error_document("x", error)
        assert_valid(document, "error")
        assert str(error).isprintable()  # noqa: PT017 - not all raise
        return False
    with image:
        document = info_document(image, "x", allocation=True)
        assert_valid(document, "info")
        assert all(line.isprintable() for line in info_text(document))
    return True


def show_tree(data: bytes) -> None:
    """Walk the tree of a file, as text and as a document."""
    try:
        tree = Tree(BufferSource(data))
    except FormatError as error:
        assert error.finding.rule in ("FTI-01", "GEN-07")  # noqa: PT017 - not all raise
        return
    assert all(line.isprintable() for line in tree_text(tree, tree.root, 7))
    json.dumps(node_document(tree, tree.root, 2))


def list_log(data: bytes) -> None:
    """List the entries of the log and what its replay changes."""
    source = BufferSource(data)
    try:
        document = log_document("x", *state_of_log(source))
    except (FormatError, LimitError):
        return
    assert_valid(document, "log")
    assert all(line.isprintable() for line in log_text(document))


def judge(data: bytes) -> None:
    """Check a file, and show that opening it comes to the same."""
    found = check(data)
    rules = {finding.rule for finding in found.findings if finding.level == "error"}
    assert (found.verdict in ("corrupt", "not-vhdx")) == bool(rules)
    refused = None
    for kind in (bytes, memoryview, BytesIO):
        try:
            Image(kind(data)).close()
        except FormatError as error:
            assert error.finding.rule in rules  # noqa: PT017 - not all raise
            assert refused in (None, str(error))  # noqa: PT017
            refused = str(error)
        except LimitError:  # the file may be fine
            assert found.is_incomplete
        else:
            assert refused is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
@given(st.data())
def test_any_bytes_give_a_result_or_an_error_of_ours(kind: str, data: st.DataObject) -> None:
    content = data.draw(HOSTILE[kind]).data
    for look in (describe, show_tree, list_log, judge):
        start = time.process_time()
        look(content)
        assert time.process_time() - start < SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mutations", "wild files"])
@fewer(10)
@given(st.data())
def test_hostile_files_take_bounded_memory(kind: str, data: st.DataObject) -> None:
    """Some MiB for a page of this and a piece of that, whatever the file claims to be.

    The tree takes most: a chunk may have 32768 blocks.
    """
    content = data.draw(HOSTILE[kind]).data
    tracemalloc.start()
    try:
        for look in (describe, show_tree, list_log):
            look(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * MIB


def test_a_mended_good_image_is_itself() -> None:
    """Or the mutations would show nothing but damaged checksums."""
    for name in ("dynamic-plain", "dirty-everything", "log-sequence-wraps", "dirty-bitmaps"):
        data = good(name).to_bytes()
        assert mended(data) == data


def test_mending_gets_changes_past_the_checksums() -> None:
    data = bytearray(good("dynamic-plain").to_bytes())
    data[0x20000 + 66] = 2
    with pytest.raises(FormatError) as caught:
        Image(mended(bytes(data)))
    assert caught.value.finding.rule == "HDR-08"
