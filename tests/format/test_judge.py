"""What follows from findings: the judge that refuses, and the one that follows the best left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.images.bases import base_differencing, base_dynamic
from tests.images.damage import DAMAGES
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Built, Layout, dynamic
from tests.images.structures import METADATA_REGION, MIB, TIB, VIRTUAL_DISK_SIZE
from tests.support import SparseSource, damaged, good
from vhdx_kaitai.errors import (
    Finding,
    FormatError,
    Level,
    LimitError,
    Span,
    TruncatedError,
    VhdxError,
)
from vhdx_kaitai.format.descent import Contents, Descent
from vhdx_kaitai.format.judge import REFUSE, Salvage

HEADERS, TABLES = (64 * 1024, 128 * 1024), (192 * 1024, 128 * 1024)


def finding(rule: str, level: Level) -> Finding:
    return Finding(rule, level, Span("somewhere", 0, 1), "something")


# -- refuse ---------------------------------------------------------------------------------------


def test_who_refuses_passes_over_notes_and_warnings() -> None:
    assert REFUSE.take([])
    assert REFUSE.take([finding("HDR-26", "note"), finding("HDR-16", "warning")])


@pytest.mark.parametrize(
    ("rule", "level", "kind"),
    [
        ("HDR-08", "error", FormatError),
        ("REG-13", "error", TruncatedError),
        ("LOG-39", "limit", LimitError),
    ],
)
def test_who_refuses_raises_the_first_error_and_looks_no_further(
    rule: str, level: Level, kind: type[VhdxError]
) -> None:
    def findings() -> Iterator[Finding]:
        yield finding("HDR-16", "warning")
        yield finding(rule, level)
        pytest.fail("nobody asks for more")

    with pytest.raises(VhdxError) as caught:
        REFUSE.take(findings())
    assert type(caught.value) is kind
    assert isinstance(caught.value, FormatError | LimitError)
    assert caught.value.finding == finding(rule, level)


def test_who_refuses_makes_no_check_that_cannot_refuse() -> None:
    def check(*_about: object) -> Iterator[Finding]:
        pytest.fail("it takes time for nothing")

    REFUSE.remark(check, "a structure")


def test_who_refuses_puts_up_with_no_loss() -> None:
    for error in (FormatError(finding("REG-04", "error")), LimitError(finding("LOG-39", "limit"))):
        with pytest.raises(type(error)) as caught:
            REFUSE.lost("a layer", error)
        assert caught.value is error


# -- salvage --------------------------------------------------------------------------------------


class Salvaged:
    """An image gone through by who follows the best that is left, and what was told of that."""

    def __init__(self, image: Built | Layout) -> None:
        built = image.build() if isinstance(image, Layout) else image
        self.told: list[tuple[str, str]] = []
        self.judge = Salvage(lambda *news: self.told.append(news))
        self.way = Descent(SparseSource(built.file), self.judge)

    @property
    def contents(self) -> Contents:
        """The way from the region tables on."""
        contents = self.way.contents()
        assert contents is not None
        return contents

    @property
    def lost(self) -> dict[str, str]:
        """The rule because of which each lost layer is lost."""
        return {layer: error.finding.rule for layer, error in self.judge.errors.items()}

    @property
    def subjects(self) -> list[str]:
        """What something was told about."""
        return [what for what, _ in self.told]


@pytest.mark.parametrize("name", GOODS)
def test_nothing_is_told_of_a_good_image(name: str) -> None:
    salvaged = Salvaged(good(name))
    assert salvaged.contents.layers() is not None
    assert (salvaged.told, salvaged.lost) == ([], {})


@pytest.mark.parametrize("data", [b"", b"some text", bytes(2 * MIB)])
def test_what_is_no_vhdx_file_is_refused(data: bytes) -> None:
    layout = base_dynamic().layout()
    layout.patch(0, bytes(layout.pack().length))
    layout.patch(0, data)
    layout.file_length = len(data)
    salvaged = Salvaged(layout)
    with pytest.raises(FormatError) as caught:
        salvaged.way.contents()
    assert caught.value.finding.rule == "FTI-01"


@pytest.mark.parametrize("newer", [1, 2])
def test_without_a_valid_header_the_newer_one_is_followed_but_no_log_replayed(newer: int) -> None:
    layout = dirty(base_dynamic())
    older = layout.headers[2 - newer]
    older.log_offset = 100 * MIB
    for header in layout.headers:
        header.sequence_number, header.checksum = 7, 1
    older.sequence_number = 6
    salvaged = Salvaged(layout)
    assert salvaged.way.header is not None
    assert salvaged.way.header.log_offset == layout.log_offset
    assert not salvaged.way.is_dirty
    assert salvaged.way.source is salvaged.way.stored
    ((what, why),) = salvaged.told
    assert what == "the current header"
    assert f"header {newer} is followed" in why


def test_without_any_header_the_file_is_gone_through_as_it_is_stored() -> None:
    layout = base_dynamic().layout()
    layout.patch(HEADERS[0], bytes(HEADERS[1]))
    salvaged = Salvaged(layout)
    assert salvaged.way.log is None
    assert salvaged.way.source is salvaged.way.stored
    layers = salvaged.contents.layers()
    assert layers is not None
    assert layers.regions.bat.file_offset == layout.bat_offset
    ((what, why),) = salvaged.told
    assert what == "the current header"
    assert why.endswith("so the log is not known")
    assert salvaged.lost == {"headers": "HDR-05"}


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("log-checksum-wrong", {"replayed": "LOG-31"}),
        ("log-file-truncated", {"replayed": "LOG-32"}),
        ("log-aims-at-itself", {"replayed": "LOG-37"}),
    ],
)
def test_a_dirty_log_that_cannot_be_replayed_leaves_the_file_as_it_is_stored(
    name: str, lost: dict[str, str]
) -> None:
    salvaged = Salvaged(damaged(name))
    assert salvaged.way.source is salvaged.way.stored
    assert salvaged.way.replayed is None
    assert salvaged.contents.regions is not None
    assert salvaged.told == []
    assert salvaged.lost == lost


def spoil(layout: Layout, *copies: int) -> None:
    for copy in copies:
        layout.region_tables[copy - 1].checksum = 1


def test_of_two_region_tables_that_are_damaged_the_first_is_followed() -> None:
    layout = base_dynamic().layout()
    spoil(layout, 1, 2)
    salvaged = Salvaged(layout)
    layers = salvaged.contents.layers()
    assert layers is not None
    assert layers.regions.bat.file_offset == layout.bat_offset
    ((what, why),) = set(salvaged.told)
    assert what == "regions"
    assert "region table 1 is followed" in why


def test_a_region_table_that_makes_no_sense_is_not_followed() -> None:
    layout = base_dynamic().layout()
    layout.file_length = layout.pack().length
    layout.region_tables[0].find(METADATA_REGION).file_offset = TIB
    spoil(layout, 1, 2)
    salvaged = Salvaged(layout)
    layers = salvaged.contents.layers()
    assert layers is not None
    assert layers.metadata.virtual_disk_size == layout.image.virtual_disk_size
    assert "region table 2 is followed" in salvaged.told[0][1]


def test_without_any_region_table_nothing_below_is_found() -> None:
    layout = base_dynamic().layout()
    layout.patch(TABLES[0], bytes(TABLES[1]))
    salvaged = Salvaged(layout)
    contents = salvaged.contents
    assert contents.table is None
    assert contents.metadata_region is None
    assert contents.layers() is None
    assert salvaged.subjects == ["regions"]
    assert salvaged.lost == {"table": "REG-04"}


def test_metadata_is_found_although_something_is_wrong_with_the_regions() -> None:
    layout = base_dynamic().layout()
    DAMAGES["bat-region-missing"].apply(layout)
    salvaged = Salvaged(layout)
    contents = salvaged.contents
    assert contents.regions is None
    assert contents.metadata is not None
    assert contents.metadata.virtual_disk_size == layout.image.virtual_disk_size
    assert contents.bat is None
    assert salvaged.lost == {"regions": "REG-16"}


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("unknown-item-required", True),
        ("physical-sector-size-1024", True),
        ("virtual-disk-id-missing", True),
        ("disk-size-0", False),
        ("block-size-3-mib", False),
        ("logical-sector-size-1024", False),
        ("virtual-disk-size-missing", False),
    ],
)
def test_the_shape_of_the_bat_follows_from_the_items_that_fix_it(name: str, is_known: bool) -> None:
    """And from no others, right or wrong."""
    built = damaged(name)
    salvaged = Salvaged(built)
    contents = salvaged.contents
    assert contents.metadata is None
    assert salvaged.lost == {"metadata": DAMAGES[name].main_rule}
    if is_known:
        assert contents.geometry is not None
        assert contents.geometry.entry_count == built.image.geometry.entry_count
        assert contents.bat is not None
        assert contents.bat.entry(0) == built.layout.entry(0)
        assert salvaged.told == []
    else:
        assert contents.geometry is None
        assert contents.bat is None
        assert salvaged.subjects == ["the shape of the BAT"]


def test_an_item_that_is_missing_is_named() -> None:
    layout = dynamic().layout()
    layout.metadata.items.remove(layout.metadata.find(VIRTUAL_DISK_SIZE))
    salvaged = Salvaged(layout)
    assert salvaged.contents.geometry is None
    assert salvaged.told == [("the shape of the BAT", "no virtual disk size item")]


def test_a_locator_is_lost_alone() -> None:
    layout = base_differencing().layout()
    DAMAGES["locator-type-unknown"].apply(layout)
    salvaged = Salvaged(layout)
    assert salvaged.contents.locator is None
    assert salvaged.contents.bat is not None
    assert salvaged.lost == {"locator": "LOC-02"}


@pytest.mark.parametrize(
    "name", [n for n, c in DAMAGES.items() if c.open_refuses and c.main_rule != "FTI-01"]
)
def test_what_is_lost_is_what_opening_refuses(name: str) -> None:
    with pytest.raises(VhdxError) as caught:
        _all_the_way(Descent(SparseSource(damaged(name).file), REFUSE))
    assert isinstance(caught.value, FormatError | LimitError)
    salvaged = Salvaged(damaged(name))
    _all_the_way(salvaged.way)
    assert salvaged.judge.errors or salvaged.told
    if salvaged.judge.errors:
        first = next(iter(salvaged.judge.errors.values()))
        assert first.finding.rule in DAMAGES[name].visible


def _all_the_way(way: Descent) -> None:
    contents = way.contents()
    if contents is not None:
        contents.layers()


def test_an_error_ends_the_layer_that_it_is_about() -> None:
    judge = Salvage(lambda *_: None)
    assert judge.take([finding("HDR-16", "warning")])
    with pytest.raises(FormatError):
        judge.take([finding("REG-08", "error")])
    judge.lost("regions", FormatError(finding("REG-08", "error")))  # and nothing else
    assert list(judge.errors) == ["regions"]
