"""Any bytes give a report, and checking agrees with opening."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.checking.reports import rules_of, skipped_of
from tests.images import strategies
from tests.images.image import Built
from tests.images.structures import MIB
from tests.support import SparseSource
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import FormatError, LimitError, OverwrittenError
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image as OpenedImage

# Broken only when blocks are looked at together, or where nobody reads.
_OF_BLOCKS = re.compile("BAT-|OVL-0[5-9]|BLK-")


@given(strategies.wild_files() | strategies.wild_files(types=("differencing",)))
def test_checking_and_opening_agree_on_any_file(built: Built) -> None:
    report = check(SparseSource(built.file))
    errors = rules_of(report, "error")
    assert (report.verdict in ("corrupt", "not-vhdx")) == bool(errors)
    opened = opened_or_refused(built)
    if isinstance(opened, LimitError):
        assert report.is_incomplete
        return
    if isinstance(opened, FormatError):
        assert opened.finding.rule in errors
        # Only an identifier that was overwritten keeps nobody from checking the rest.
        assert report.skipped or isinstance(opened, OverwrittenError)
        return
    assert skipped_of(report) == []
    assert not [rule for rule in errors if not _OF_BLOCKS.match(rule)]
    if not errors:
        assert_every_extent_can_be_read(opened)


def opened_or_refused(built: Built) -> OpenedImage | FormatError | LimitError:
    try:
        return OpenedImage(SparseSource(built.file))
    except (FormatError, LimitError) as refusal:
        return refusal


def assert_every_extent_can_be_read(image: OpenedImage) -> None:
    disk = Disk([image])
    at = 0
    for extent in disk.extents():
        assert extent.offset == at
        at += extent.length
        if extent.kind == "data":
            for part in (extent.offset, extent.offset + extent.length - 512):
                assert len(disk.pread(512, part)) == 512
    assert at == disk.size


@given(
    st.binary(max_size=2000),
    st.sampled_from([b"", b"vhdxfile"]),
    st.sampled_from([0, MIB, 4 * MIB]),
)
def test_no_bytes_make_a_check_raise(data: bytes, head: bytes, room: int) -> None:
    report = check(head + data + bytes(room))
    is_vhdx = (head + data).startswith(b"vhdxfile")
    assert report.verdict == ("corrupt" if is_vhdx else "not-vhdx")
    assert report.findings
    assert report.path is None
