"""Every rule has an image that breaks it, and a good neighbour that does not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.checking.reports import (
    assert_no_complaint,
    base_report,
    damage_report,
    good_report,
    limits_of,
    messages_of,
    report_on,
    rules_of,
)
from tests.images.bases import OTHER_GUID
from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS
from tests.images.damage import DAMAGES
from tests.images.dirty import log_only
from tests.images.examples import EXAMPLES, OWN_LIMITS, Example, layout_of
from tests.images.goods import GOODS
from tests.images.image import dynamic
from tests.images.log import Entry, Zero
from tests.images.structures import BAT_REGION, GIB, KIB, METADATA_REGION, MIB
from tests.support import SparseSource, good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.findings import Report
from vhdx_kaitai.errors import LimitError
from vhdx_kaitai.format.headers import MAX_REPLAYED_LOG_LENGTH
from vhdx_kaitai.reading.image import Image as OpenedImage
from vhdx_kaitai.rules import catalogue

SLOW = {"entries-over-each-other"}


def examples(*, chains: bool) -> list[object]:
    return [
        pytest.param(e, marks=pytest.mark.slow if e.image in SLOW else (), id=e.rule)
        for e in EXAMPLES
        if e.is_chain == chains
    ]


@cache
def example_report(name: str) -> Report:
    if name in DAMAGES:
        return damage_report(name)
    return good_report(name) if name in GOODS else report_on(layout_of(name))


def neighbour_report(name: str) -> Report:
    """Return the report on a good image that is like that of an example."""
    if name in DAMAGES:
        return base_report(DAMAGES[name].base)
    return good_report(f"{layout_of(name).image.disk_type}-plain")


# Rules that need more than a file that is checked.
SHOWN_OTHERWISE = {"GEN-09": "test_a_file_that_becomes_shorter_is_told_like_a_damage"}


def test_every_rule_that_is_checked_has_an_example() -> None:
    rules = [e.rule for e in EXAMPLES]
    checked = [rule.id for rule in catalogue().values() if rule.status == "checked"]
    assert rules == [rule for rule in checked if rule not in SHOWN_OTHERWISE]
    assert all(name in globals() for name in SHOWN_OTHERWISE.values())


@pytest.mark.parametrize("example", examples(chains=False))
def test_an_image_breaks_one_rule_and_its_good_neighbour_does_not(example: Example) -> None:
    report, neighbour = example_report(example.image), neighbour_report(example.image)
    assert (example.rule, example.level, example.message) in messages_of(report)
    assert_no_complaint(neighbour)
    broken = {rule for rule, *_ in messages_of(report)} - rules_of(neighbour)
    assert broken == {example.rule, *example.besides}


@pytest.mark.parametrize("example", examples(chains=True))
def test_a_chain_breaks_one_rule_and_a_good_one_does_not(example: Example, tmp_path: Path) -> None:
    case = (GOOD_CHAINS | CHAIN_DAMAGES)[example.image]
    report = check(case.build().write(tmp_path / "bad").path, chain=True)
    neighbour = check(GOOD_CHAINS["three-levels"].build().write(tmp_path / "good").path, chain=True)
    message = example.message.replace("{folder}", str(tmp_path / "bad"))
    assert (example.rule, example.level, message) in messages_of(report)
    for part in neighbour.reports:
        assert_no_complaint(part)
    assert rules_of(report) - rules_of(neighbour) == {example.rule, *example.besides}


class _Shrinking(SparseSource):
    """A file that somebody cuts while it is read, so that its size is no longer true."""

    def readinto(self, buffer: memoryview, offset: int) -> None:
        if offset + len(buffer) > 2 * MIB:
            raise self._short(offset, len(buffer), max(0, 2 * MIB - offset))
        super().readinto(buffer, offset)


def test_a_file_that_becomes_shorter_is_told_like_a_damage() -> None:
    report = check(_Shrinking(good("dynamic-plain").file))
    assert rules_of(report, "error") == {"GEN-09"}
    assert report.verdict == "corrupt"


@pytest.mark.parametrize("rule", [rule.id for rule in catalogue().values() if rule.by])
def test_an_image_that_breaks_a_covered_rule_is_found_under_another_id(rule: str) -> None:
    covering = set(catalogue()[rule].by)
    for name, case in DAMAGES.items():
        if rule in case.rules and not set(case.rules) - {rule} & rules_of(damage_report(name)):
            assert covering & rules_of(damage_report(name)), name


def test_no_finding_carries_an_id_that_is_not_in_the_catalogue() -> None:
    reports = [*map(damage_report, DAMAGES), *map(good_report, GOODS)]
    for rule in set().union(*map(rules_of, reports)):
        assert catalogue()[rule].status == "checked", rule


# -- our own limits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in OWN_LIMITS]
)
def test_what_passes_our_own_limits_is_refused_without_much_work(name: str) -> None:
    built = OWN_LIMITS[name]().build()
    source = SparseSource(built.file)
    report = check(source)
    assert source.bytes_read < GIB
    assert (report.verdict, report.is_incomplete) == ("clean", True)
    with pytest.raises(LimitError) as caught:
        OpenedImage(SparseSource(built.file))
    assert {caught.value.finding.rule} == {rule for rule, *_ in limits_of(report)}


@pytest.mark.parametrize("ignore", [(), ("HDR-18",)])
def test_what_we_do_not_look_at_is_not_taken_for_good(ignore: tuple[str, ...]) -> None:
    report = report_on(OWN_LIMITS["log-of-3-gib"](), ignore=ignore)
    assert report.is_incomplete
    assert limits_of(report)


@pytest.mark.slow
@pytest.mark.parametrize(("more", "rules"), [(0, {"LOG-31"}), (MIB, set())])
def test_a_log_as_long_as_our_limit_is_looked_at(more: int, rules: set[str]) -> None:
    """It holds nothing, which is wrong for another reason."""
    layout = dynamic(4 * MIB, log_length=MAX_REPLAYED_LOG_LENGTH + more).layout()
    layout.set_headers(log_guid=OTHER_GUID)
    report = report_on(layout)
    assert rules_of(report, "error") == rules
    assert {rule for rule, *_ in limits_of(report)} == (set() if rules else {"HDR-18"})


def test_a_last_file_offset_that_no_system_has_is_no_fault_of_the_image() -> None:
    image = dynamic(4 * MIB)
    built = log_only(image, [Entry([Zero(70 * MIB, 4 * KIB)], last_file_offset=1 << 50)])
    report = report_on(built)
    assert (report.verdict, report.is_incomplete) == ("clean", True)
    assert {rule for rule, *_ in limits_of(report)} == {"LOG-38"}


def test_what_keeps_our_own_limits_to_the_byte_is_good() -> None:
    entry = Entry([Zero(70 * MIB, 4 * KIB)])
    built = log_only(dynamic(4 * MIB, log_length=64 * MIB), [entry])
    assert rules_of(report_on(built)) == {"LOG-01"}
    layout = dynamic(4 * MIB).layout()
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "length", 3 * GIB))
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "file_offset", 4 * GIB))
    layout.file_length = 5 * GIB
    report = report_on(layout)
    assert (report.verdict, report.is_incomplete) == ("clean", False)
