"""The one way down: each layer after those above it, when it is asked for, and once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations

import pytest

from tests.images.bases import OTHER_GUID, UNKNOWN_REGION, base_differencing, base_dynamic
from tests.images.damage import DAMAGES
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Image, Layout, differencing, dynamic
from tests.images.structures import BAT_REGION, GIB, MIB, ZERO, RegionEntry
from tests.support import Watched, damaged, good
from vhdx_kaitai.errors import Finding, FormatError, LimitError, VhdxError
from vhdx_kaitai.format.descent import Contents, Descent, state_of_log
from vhdx_kaitai.format.judge import REFUSE, Judge

START = ("identifier", "headers", "header", "log", "sequence", "replayed", "source")
PLACES = ("table", "regions", "metadata_region")
CONTENTS = (*PLACES, "items", "metadata", "geometry", "bat", "locator")


class Listener(Judge):
    """A judge that puts up with everything and remembers what it was told, in order."""

    def __init__(self) -> None:
        self.errors: list[Finding] = []
        self.losses: list[str] = []

    def take(self, findings: Iterable[Finding]) -> bool:
        try:
            wrong = [finding for finding in findings if finding.level in ("error", "limit")]
        except FormatError as error:  # what it is about cannot be parsed
            wrong = [error.finding]
        self.errors += wrong
        return not wrong

    def lost(self, layer: str, error: FormatError | LimitError) -> None:
        self.losses.append(layer)
        self.errors.append(error.finding)


def watched(image: Built | Layout) -> Watched:
    return Watched(image.build().file if isinstance(image, Layout) else image.file)


def contents_of(way: Descent) -> Contents:
    contents = way.contents()
    assert contents is not None
    return contents


def found_by(part: Descent | Contents, layers: Iterable[str]) -> list[object]:
    return [getattr(part, layer) for layer in layers]


def lie_in(ranges: list[tuple[int, int]], start: int, length: int) -> bool:
    """Tell whether ranges lie in one that has an offset and a length; there are some."""
    return bool(ranges) and all(start <= begin and end <= start + length for begin, end in ranges)


# -- nothing is read that nobody asks for ---------------------------------------------------------


def test_nothing_is_read_before_a_layer_is_asked_for() -> None:
    source = watched(good("dirty-everything"))
    Descent(source, REFUSE)
    Contents(source, (MIB, MIB), REFUSE)
    assert source.news() == []


def test_each_layer_of_a_clean_image_reads_its_own_structure_alone() -> None:
    layout = base_differencing().layout()
    (metadata,), (bat,) = layout.ranges("metadata"), layout.ranges("bat")
    source = watched(layout)
    way = Descent(source, REFUSE)
    assert way.header is not None
    assert lie_in(source.news(), 0, 192 * 1024)  # before the region tables
    contents = contents_of(way)
    assert source.news() == []  # nothing of a log that is clean
    assert contents.regions is not None
    assert lie_in(source.news(), 192 * 1024, 128 * 1024)
    assert contents.metadata is not None
    assert lie_in(source.news(), *metadata)
    table = contents.bat
    assert table is not None
    assert source.news() == []  # its entries are read one by one
    assert contents.locator is not None
    assert all(lie_in([part], *metadata) for part in source.news())
    table.entry(0)
    assert lie_in(source.news(), *bat)


def test_a_log_is_looked_at_when_it_is_dirty_or_asked_for() -> None:
    built = good("clean-with-old-entries")
    source = watched(built)
    way = Descent(source, REFUSE)
    assert contents_of(way).layers() is not None
    place = (built.layout.log_offset, built.image.log_length)
    assert not any(lie_in([part], *place) for part in source.news())
    assert way.log is not None
    assert [entry.header.log_guid for entry in way.log.entries()]
    assert lie_in(source.news(), *place)
    assert way.sequence is None
    assert source.news() == []


def test_the_locator_of_a_disk_without_parent_is_none() -> None:
    for name in ("dynamic-plain", "fixed-plain"):
        layers = contents_of(Descent(watched(good(name)), REFUSE)).layers()
        assert layers is not None
        assert layers.locator is None


# -- each once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["differencing-plain", "dirty-everything", "log-of-windows"])
def test_a_layer_is_found_once(name: str) -> None:
    source = watched(good(name))
    way = Descent(source, REFUSE)
    contents = contents_of(way)
    found = found_by(way, START) + found_by(contents, CONTENTS)
    assert source.news()
    again = found_by(way, START) + found_by(contents, CONTENTS)
    assert list(map(id, again)) == list(map(id, found))
    assert source.news() == []


def test_a_layer_that_is_lost_is_lost_once() -> None:
    layout = base_dynamic().layout()
    layout.patch(layout.metadata_offset, bytes(64 * 1024))
    source = watched(layout)
    judge = Listener()
    contents = contents_of(Descent(source, judge))
    assert found_by(contents, ("items", "metadata", "bat")) == [None] * 3
    assert contents.layers() is None
    source.news()
    assert found_by(contents, ("items", "metadata", "bat")) == [None] * 3
    assert contents.layers() is None
    assert source.news() == []
    assert judge.losses == ["items"]
    assert [finding.rule for finding in judge.errors] == ["MET-01"]


def test_what_was_refused_is_refused_again() -> None:
    way = Descent(watched(damaged("version-2")), REFUSE)
    for _ in range(2):
        with pytest.raises(FormatError) as caught:
            way.contents()
        assert caught.value.finding.rule == "HDR-08"
    assert way.headers is not None  # what is above is there


# -- in order -------------------------------------------------------------------------------------


def wide() -> Layout:
    """A differencing disk whose BAT takes more than 1 MiB."""
    return differencing(200 * GIB, blocks={0: Block(), 1: Block(ZERO)}).layout()


def shrink_bat(layout: Layout) -> None:
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "length", MIB))


def demand_region(layout: Layout) -> None:
    """Demand that readers know a region that nobody knows."""
    entry = RegionEntry(UNKNOWN_REGION, layout.final_length(), MIB, required=1)
    layout.file_length = entry.file_offset + entry.length
    layout.set_tables(lambda table: table.entries.append(entry))


# What breaks one layer, from the first to the last: the rule, and how.
BREACHES: dict[str, Callable[[Layout], object]] = {
    "HDR-08": DAMAGES["version-2"].apply,
    "LOG-31": lambda layout: layout.set_headers(log_guid=OTHER_GUID),
    "REG-14": demand_region,
    "MET-13": DAMAGES["unknown-item-required"].apply,
    "ITEM-16": DAMAGES["physical-sector-size-1024"].apply,
    "BAT-01": shrink_bat,
    "LOC-02": DAMAGES["locator-type-unknown"].apply,
}


def test_what_is_broken_below_was_good() -> None:
    assert contents_of(Descent(watched(wide()), REFUSE)).layers() is not None


@pytest.mark.parametrize(("upper", "lower"), [*combinations(BREACHES, 2)])
def test_the_first_of_two_broken_layers_refuses_the_file(upper: str, lower: str) -> None:
    layout = wide()
    for rule in (lower, upper):
        BREACHES[rule](layout)
    source = watched(layout)
    with pytest.raises(FormatError) as caught:
        contents_of(Descent(source, REFUSE)).layers()
    assert caught.value.finding.rule == upper


def test_all_layers_are_judged_in_order_by_who_goes_on() -> None:
    layout = wide()
    rules = [rule for rule in BREACHES if rule not in ("HDR-08", "LOG-31")]
    for rule in reversed(rules):
        BREACHES[rule](layout)
    judge = Listener()
    contents = contents_of(Descent(watched(layout), judge))
    assert contents.layers() is None
    # How large the BAT has to be is known from metadata that may be believed.
    assert [finding.rule for finding in judge.errors] == [r for r in rules if r != "BAT-01"]


def test_a_layer_that_is_asked_for_first_comes_after_those_above_it_all_the_same() -> None:
    layout = wide()
    for rule in ("LOC-02", "ITEM-16", "REG-14"):
        BREACHES[rule](layout)
    judge = Listener()
    assert contents_of(Descent(watched(layout), judge)).locator is None
    # Whatever else the metadata says, the locator is where its entry says.
    assert [finding.rule for finding in judge.errors] == ["REG-14", "LOC-02"]


@pytest.mark.parametrize("name", [name for name, case in DAMAGES.items() if case.open_refuses])
def test_who_refuses_and_who_goes_on_meet_the_same_error_first(name: str) -> None:
    with pytest.raises(VhdxError) as caught:
        contents_of(Descent(watched(damaged(name)), REFUSE)).layers()
    assert isinstance(caught.value, FormatError | LimitError)
    refusal: Finding = caught.value.finding
    judge = Listener()
    contents = Descent(watched(damaged(name)), judge).contents()
    assert contents is None or contents.layers() is None
    first = judge.errors[0]
    assert (str(first), first.level) == (str(refusal), refusal.level)


@pytest.mark.parametrize("name", [*GOODS, *(n for n, c in DAMAGES.items() if not c.open_refuses)])
def test_who_goes_on_comes_as_far_as_who_refuses(name: str) -> None:
    built = good(name) if name in GOODS else damaged(name)
    judge = Listener()
    layers = contents_of(Descent(watched(built), judge)).layers()
    assert layers is not None
    assert (judge.errors, judge.losses) == ([], [])
    model = built.model
    assert layers.metadata.virtual_disk_size == model.virtual_disk_size
    assert layers.metadata.block_size == model.block_size
    assert layers.bat.geometry.entry_count == model.geometry.entry_count
    assert (layers.locator is not None) == built.image.has_parent


# -- what a dirty log changes below ---------------------------------------------------------------


def disks() -> tuple[Image, Image]:
    """Two states of one image, of which nothing is in the same place."""
    before = dynamic(4 * MIB, blocks={0: Block(ZERO)})
    return before, dynamic(8 * MIB, blocks={1: Block()}, order=("log", "bat", "metadata", "blocks"))


def test_below_a_dirty_log_the_file_is_what_its_replay_makes_it() -> None:
    before, after = disks()
    layout = dirty(after, before=before)
    built = layout.build()
    way = Descent(watched(built), REFUSE)
    replayed = built.replayed()
    assert way.is_dirty
    assert way.source is not way.stored
    assert way.source is not None
    assert way.source.size == replayed.length
    assert way.source.read(0, replayed.length) == replayed.to_bytes()
    contents = contents_of(way)
    layers = contents.layers()
    assert layers is not None
    assert contents.metadata_region is not None
    assert contents.metadata_region.file_offset == layout.metadata_offset
    assert layers.regions.bat.file_offset == layout.bat_offset
    assert layers.metadata.virtual_disk_size == 8 * MIB
    assert layers.bat.entry(1) == layout.entry(1) != 0


def test_the_file_as_it_is_stored_can_be_gone_through_beside_it() -> None:
    before, after = disks()
    older = before.layout()
    way = Descent(watched(dirty(after, before=before)), REFUSE)
    layers = way.contents_of(way.stored, REFUSE).layers()
    assert layers is not None
    assert layers.regions.bat.file_offset == older.bat_offset
    assert layers.metadata.virtual_disk_size == 4 * MIB
    assert layers.bat.entry(0) == older.entry(0) != 0
    again = contents_of(way).layers()
    assert again is not None
    assert again.metadata.virtual_disk_size == 8 * MIB


def test_the_sequence_is_what_the_description_says() -> None:
    built = good("log-run-longer-than-the-sequence")
    log = built.layout.log
    assert log is not None
    active = log.active(built.model.current_header.log_guid)
    assert active is not None
    way = Descent(watched(built), REFUSE)
    assert way.sequence is not None
    assert [entry.header.sequence_number for entry in way.sequence] == [
        entry.sequence_number for entry in active.entries
    ]
    assert way.log is not None
    assert len(list(way.log.entries())) > len(way.sequence)


@pytest.mark.parametrize("name", [name for name in GOODS if good(name).model.log.state == "clean"])
def test_below_a_clean_log_the_file_is_what_is_stored(name: str) -> None:
    way = Descent(watched(good(name)), REFUSE)
    assert not way.is_dirty
    assert way.source is way.stored
    assert found_by(way, ("sequence", "replayed")) == [None, None]


def test_where_replay_must_not_be_made_nothing_below_is_believed() -> None:
    judge = Listener()
    way = Descent(watched(damaged("log-file-truncated")), judge)
    assert way.sequence
    assert found_by(way, ("replayed", "source")) == [None, None]
    assert way.contents() is None
    assert [finding.rule for finding in judge.errors] == ["LOG-32"]


# -- the log by itself ----------------------------------------------------------------------------


def test_the_state_of_a_log_is_had_although_it_must_not_be_replayed() -> None:
    state = state_of_log(watched(damaged("log-file-truncated")))
    assert state.log is not None
    assert state.replayed is None
    assert state.error is not None
    assert state.error.finding.rule == "LOG-32"


def test_the_state_of_a_log_says_what_its_replay_changes() -> None:
    model = good("dirty-everything").model
    state = state_of_log(watched(good("dirty-everything")))
    assert state.error is None
    assert state.replayed is not None
    assert state.replayed.changed_bytes == model.log.target_bytes
    clean = state_of_log(watched(good("clean-with-old-entries")))
    assert (clean.replayed, clean.error) == (None, None)
    assert state_of_log(watched(good("log-length-0"))).log is None


@pytest.mark.parametrize("name", ["version-2", "both-header-checksums-wrong", "log-over-the-end"])
def test_there_is_no_state_of_a_log_that_no_header_places(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        state_of_log(watched(damaged(name)))
    assert caught.value.finding.rule in DAMAGES[name].visible


def test_what_is_wrong_below_the_log_is_no_matter_of_its_state() -> None:
    state = state_of_log(watched(damaged("both-region-table-checksums-wrong")))
    assert state.log is not None
    assert state.error is None
