"""What Windows writes unlike the text goes without saying; texts are given as they stand."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.checking.reports import report_on, rules_of
from tests.images.bases import base_by_the_letter, by_the_letter
from tests.images.damage import DAMAGES
from tests.images.image import PARENT_GUID
from tests.images.structures import braced
from tests.support import damaged
from vhdx_kaitai.checking.findings import Report
from vhdx_kaitai.showing.findings import check_document

ZERO = braced(UUID(int=0))
OF_HYPER_V = r"C:\Users\Public\Documents\Hyper-V\Virtual hard disks\Disk.vhdx"
BY_THE_LETTER = "\\\\?\\" + OF_HYPER_V


def report_with(linkage_2: str | None, path: str | None) -> Report:
    """Return the report on an image whose locator has such a second linkage and absolute path."""
    locator = by_the_letter()
    locator.set("relative_path", r".\Disk.vhdx")
    if linkage_2 is not None:
        locator.set("parent_linkage2", linkage_2)
    if path is None:
        locator.remove("absolute_win32_path")
    else:
        locator.set("absolute_win32_path", path)
    return report_on(base_by_the_letter().but(locator=locator))


@pytest.mark.parametrize("path", [OF_HYPER_V, None])
def test_a_locator_as_windows_writes_it_is_not_remarked_on(path: str | None) -> None:
    assert rules_of(report_with(ZERO, path)) == set()


@pytest.mark.parametrize(
    ("linkage_2", "path", "rules"),
    [
        (None, BY_THE_LETTER, set()),
        (None, OF_HYPER_V, {"LOC-20"}),
        (ZERO, BY_THE_LETTER, {"LOC-14"}),
        (ZERO, "disk.vhdx", {"LOC-14", "LOC-20"}),
        (braced(PARENT_GUID), OF_HYPER_V, {"LOC-14", "LOC-20"}),
        ("none", OF_HYPER_V, {"LOC-14", "LOC-15", "LOC-20"}),
    ],
)
def test_a_locator_that_nobody_is_known_to_write_is(
    linkage_2: str | None, path: str, rules: set[str]
) -> None:
    assert rules_of(report_with(linkage_2, path)) == rules


TEXTS = {
    "locator-linkage-no-guid": ("LOC-15", "{parent}"),
    "locator-relative-path-absolute": ("LOC-18", r"C:\images\parent.vhdx"),
    "locator-volume-path-other-form": ("LOC-19", r"D:\images\parent.vhdx"),
    "locator-absolute-path-without-prefix": ("LOC-20", r"C:\images\parent.vhdx"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_document_has_texts_as_they_stand(name: str) -> None:
    rule, text = TEXTS[name]
    document = check_document(report_on(damaged(name)), name)
    assert [f["actual"] for f in document["findings"] if f["rule"] == rule] == [text]


def test_no_value_of_a_document_is_in_quotes() -> None:
    """But for choices such as 'zero' or 'desc', which are sentences."""
    for name in DAMAGES:
        for finding in report_on(damaged(name)).findings:
            for value in (finding.actual, finding.expected):
                assert value is None or value[:1] not in "'\"" or " or " in value, str(finding)


def test_a_signature_is_given_as_text_or_as_bytes() -> None:
    found = {
        name: next(f for f in report_on(damaged(name)).findings if f.rule in ("HDR-02", "REG-02"))
        for name in ("header-2-missing", "region-table-2-signature-wrong")
    }
    assert [(f.actual, f.expected) for f in found.values()] == [
        ("00 00 00 00", "head"),
        ("regj", "regi"),
    ]
    assert "signature 00 00 00 00, expected 'head'" in found["header-2-missing"].message
