"""Whatever a BAT holds: what is lost and shared is told, and bytes are no more than there are."""

from __future__ import annotations

from hypothesis import given

from tests.checking.judging import in_bulk
from tests.images import strategies
from tests.images.image import Built
from tests.support import SparseSource
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.findings import Report
from vhdx_kaitai.checking.quick import quick
from vhdx_kaitai.checking.usage import Usage, about_losses, usage
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.reading.image import Image


@given(strategies.wild_files() | strategies.wild_files(types=("differencing",)))
def test_what_is_told_in_a_line_is_what_a_check_calls_an_error(built: Built) -> None:
    try:
        image = Image(SparseSource(built.file))
    except VhdxError:
        return
    told = quick(image)
    assert told == about_losses(image)
    with in_bulk():
        assert about_losses(image) == told
    report = check(SparseSource(built.file))
    if told is None:
        assert not _errors_of_blocks(report)
    else:
        assert "error" in {finding.level for finding in report.findings}
    assert_adds_up(usage(image), image)


def _errors_of_blocks(report: Report) -> set[str]:
    errors = (finding for finding in report.findings if finding.level == "error")
    return {found.rule for found in errors if found.where.startswith("BAT entry of block")}


def assert_adds_up(found: Usage, image: Image) -> None:
    assert 0 <= found.lost <= found.stored <= image.geometry.virtual_disk_size
    assert found.kept >= 0
    assert found.unreferenced is None or 0 <= found.unreferenced <= image.source.size
