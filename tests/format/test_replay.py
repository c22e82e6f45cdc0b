"""A file with a dirty log reads as after its replay, or says what forbids that."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Files
from tests.format.log_fixtures import (
    BLOCK,
    END,
    MARK,
    assert_reads_as_replayed,
    cost_of_opening,
    descriptors,
    page_at,
    refused_with,
    replayed_numbers,
    ring_of,
    rings,
    small,
    with_log,
)
from tests.images import strategies as drawn
from tests.images.bases import OTHER_GUID
from tests.images.dirty import dirty, log_only
from tests.images.image import LOG_GUID, Block, Built
from tests.images.log import Data, Descriptor, Entry, Log, Zero
from tests.images.sparse import pattern
from tests.images.structures import KIB, MIB, ZERO_GUID
from tests.support import fewer, good, opened
from vhdx_kaitai.errors import FormatError, TruncatedError
from vhdx_kaitai.format.replay import check_sequence
from vhdx_kaitai.reading.image import Image as Opened


def test_a_zero_log_guid_means_that_nothing_is_replayed() -> None:
    layout = log_only(small(), [Entry([Data(BLOCK, MARK)])])
    layout.set_headers(log_guid=ZERO_GUID)
    with opened(layout) as image:
        assert image.replayed is None
        assert image.source.read(BLOCK, 4096) == bytes(4096)


def test_an_update_is_put_together_from_descriptor_and_sector() -> None:
    """Bytes 0 to 7 and 4092 to 4095 come from the descriptor, the others from the sector."""
    update = Data(BLOCK, MARK, leading=b"LEADING.", trailing=b"TAIL")
    expected = b"LEADING." + MARK[8:4092] + b"TAIL"
    assert page_at(with_log(Entry([update])), BLOCK) == expected


@pytest.mark.parametrize("length", [1, 2, 8, 12, 4095, 4096, 4097, 12288])
@pytest.mark.parametrize("start", [0, 3, 8, 4090, 4092, 4096, 8191])
def test_part_of_an_update_reads_like_the_whole(start: int, length: int) -> None:
    entry = Entry([Data(BLOCK, MARK), Zero(BLOCK + 4096, 4096), Data(BLOCK + 8192, MARK[::-1])])
    expected = (MARK + bytes(4096) + MARK[::-1] + bytes(20000))[start : start + length]
    with opened(with_log(entry)) as image:
        assert image.source.read(BLOCK + start, length) == expected


def test_the_last_of_several_updates_of_one_place_counts() -> None:
    """Within an entry the later descriptor, among entries the later entry."""
    built = with_log(
        Entry([Data(BLOCK, b"1"), Data(BLOCK, b"2"), Data(BLOCK + 4096, b"3")]),
        Entry([Zero(BLOCK + 4096, 8192), Data(BLOCK + 8192, b"4")]),
    )
    with opened(built) as image:
        assert image.source.read(BLOCK, 1) == b"2"
        assert image.source.read(BLOCK + 4096, 4097) == bytes(4096) + b"4"
        assert image.replayed is not None
        assert image.replayed.changed_bytes == 3 * 4096


def test_replay_leaves_the_file_alone(files: Files) -> None:
    path = files.good("dirty-everything")
    before = hashlib.sha256(path.read_bytes()).digest()
    with Opened(path) as image:
        assert image.replayed is not None
        image.bat.count_states()
        image.source.read(0, MIB)
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_a_target_past_the_end_extends_the_file() -> None:
    layout = log_only(small(), [Entry([Data(40 * MIB, MARK)])])
    with opened(layout) as image:
        assert image.file_size == END
        assert image.source.size == 40 * MIB + 4096
        assert image.source.read(40 * MIB, 4096) == MARK
        assert image.source.read(END, MIB) == bytes(MIB)


def test_zeros_past_the_end_extend_the_file() -> None:
    layout = log_only(small(), [Entry([Zero(20 * MIB, 1 << 40)])])
    with opened(layout) as image:
        assert image.source.size == 20 * MIB + (1 << 40)
        assert image.source.read((1 << 40) + 5, 100) == bytes(100)


def test_bounds_are_judged_by_the_length_after_replay() -> None:
    """The BAT lies past the end of the stored file, and inside the replayed one."""
    with opened(good("log-extends-the-file-by-a-bat")) as image:
        assert image.regions.bat.file_offset >= image.file_size
        assert image.regions.bat.file_offset < image.source.size


def test_tables_metadata_and_bat_are_read_after_replay() -> None:
    built = good("dirty-region-tables-moved")
    with opened(built) as image:
        assert image.metadata.virtual_disk_size == built.model.size == 8 * MIB
        assert image.regions.bat.file_offset == built.layout.bat_offset


@fewer(2)
@given(drawn.images())
def test_any_drawn_image_reads_as_after_its_replay(built: Built) -> None:
    if built.model.log.state == "clean":
        with opened(built) as image:
            assert image.replayed is None
        return
    assert_reads_as_replayed(built)
    first, last = built.model.log.first_sequence_number, built.model.log.last_sequence_number
    assert first is not None
    assert last is not None
    assert replayed_numbers(built) == list(range(first, last + 1))


@fewer(2)
@given(st.lists(st.lists(descriptors(), max_size=8), min_size=1, max_size=6))
def test_overlapping_updates_read_as_if_written_in_order(parts: list[list[Descriptor]]) -> None:
    built = with_log(*map(Entry, parts))
    assert_reads_as_replayed(built)
    with opened(built) as image:
        assert image.replayed is not None
        assert image.replayed.changed_bytes == built.model.log.target_bytes


@fewer(4)
@given(rings())
def test_an_image_with_any_ring_reads_as_after_replay_or_is_refused(entries: list[Entry]) -> None:
    built = with_log(*entries)
    assert built.layout.log is not None
    if built.layout.log.active(LOG_GUID) is None:
        assert refused_with(built) == "LOG-31"
    else:
        assert_reads_as_replayed(built)


def reason_of(built: Built) -> str:
    """Return what a refusal says after that there is no valid sequence."""
    with pytest.raises(FormatError) as caught:
        opened(built)
    assert caught.value.finding.rule == "LOG-31"
    return caught.value.finding.message.partition("; ")[2]


OUTSIDE = Entry([Data(BLOCK, MARK)], at=64 * KIB, sequence_number=5, tail=512 * KIB)

STRAY = Entry(at=768 * KIB, sequence_number=0, tail=0)

STALE = Entry(at=16 * KIB, sequence_number=50, log_guid=OTHER_GUID)

BROKEN = Entry(at=256 * KIB, sequence_number=9, tail=0, checksum=1)


@pytest.mark.parametrize(
    ("entries", "place", "reason"),
    [
        ([OUTSIDE], OUTSIDE.at, "Tail 0x80000 of a run's last entry, expected one of the run's"),
        ([OUTSIDE, STRAY], OUTSIDE.at, "Tail 0x80000 of a run's last entry"),
        ([STALE, OUTSIDE, BROKEN, STRAY], OUTSIDE.at, "Tail 0x80000 of a run's last entry"),
        ([replace(STALE, at=60 * KIB), OUTSIDE], OUTSIDE.at, "Tail 0x80000"),
        ([replace(BROKEN, at=60 * KIB), OUTSIDE], 60 * KIB, "checksum 0x00000001 stored"),
        ([STALE, BROKEN], BROKEN.at, "checksum 0x00000001 stored"),
        ([STALE, STRAY], STRAY.at, "SequenceNumber 0, expected more than 0"),
    ],
)
def test_the_reason_for_no_sequence_is_the_nearest_one(
    entries: list[Entry], place: int, reason: str
) -> None:
    """The end of a run that lacks its tail, or what broke the run before it; then the rest."""
    built = with_log(*(replace(entry) for entry in entries))
    said = reason_of(built)
    assert said.startswith(f"log entry at {built.layout.log_offset + place:#x}: {reason}")


def test_only_the_head_tells_how_long_the_file_has_to_be() -> None:
    """QEMU judges FlushedFileOffset of every entry, OpenVMM of none."""
    earlier = Entry([Data(BLOCK, MARK)], flushed_file_offset=1 << 40, last_file_offset=1 << 40)
    built = with_log(earlier, Entry())
    assert replayed_numbers(built) == [1, 2]
    with opened(built) as image:
        assert image.source.size == END


def test_a_file_shorter_than_the_head_flushed_is_truncated() -> None:
    built = with_log(Entry(), Entry([Data(BLOCK, MARK)], flushed_file_offset=END + MIB))
    with pytest.raises(TruncatedError) as caught:
        opened(built)
    assert caught.value.finding.rule == "LOG-32"


@pytest.mark.parametrize("last", [END + MIB, END + 512, 64 * MIB])
def test_the_file_is_as_long_as_the_head_says_even_by_whole_mib(last: int) -> None:
    """QEMU extends the file only to lengths that are no multiples of 1 MiB."""
    built = with_log(Entry(), Entry([Data(BLOCK, MARK)], last_file_offset=last))
    with opened(built) as image:
        assert image.source.size == last
        assert image.source.read(last - 512, 512) == bytes(512)


def test_a_file_longer_than_the_head_says_keeps_its_length() -> None:
    built = with_log(Entry([Data(BLOCK, MARK)], last_file_offset=7 * MIB))
    with opened(built) as image:
        assert image.source.size == END


def test_a_log_guid_without_a_valid_sequence_is_corrupt() -> None:
    """QEMU opens the file as if it were clean."""
    assert refused_with(with_log()) == "LOG-31"
    assert refused_with(with_log(Entry(log_guid=OTHER_GUID))) == "LOG-31"


def test_replay_begins_at_the_tail_of_the_head() -> None:
    """QEMU and DiscUtils replay the whole run, and destroy what older entries aimed at."""
    old = [Entry([Data(BLOCK, b"old")], sequence_number=5), Entry([Zero(BLOCK, 4096)])]
    new = Entry([Data(BLOCK + 8192, MARK)], tail=12288)
    built = with_log(*old, new)
    assert replayed_numbers(built) == [7]
    assert page_at(built, BLOCK) == bytes(4096)
    image = small().but(blocks={0: Block(file_offset=BLOCK)})
    kept = with_log(*old, new, image=image)
    assert page_at(kept, BLOCK) == pattern(1, 0, 4096)


@pytest.mark.parametrize("offset", [0, 64 * KIB, 128 * KIB, 188 * KIB])
def test_identifier_and_headers_are_never_logged(offset: int) -> None:
    """QEMU overwrites them."""
    assert refused_with(with_log(Entry([Data(offset, b"x")]))) == "LOG-36"
    assert refused_with(with_log(Entry([Zero(offset, 4096)]))) == "LOG-36"


def test_the_region_tables_may_be_logged() -> None:
    layout = small().layout()
    table = layout.region_tables[0].pack()
    entry = Entry([Data(192 * KIB, table[:4096])])
    assert replayed_numbers(with_log(entry)) == [1]


def test_zeros_that_begin_before_the_tables_are_refused() -> None:
    assert refused_with(with_log(Entry([Zero(188 * KIB, 8192)]))) == "LOG-36"


@pytest.mark.parametrize(
    "target",
    [
        Data(MIB, b"x"),
        Data(2 * MIB - 4096, b"x"),
        Zero(MIB + 4096, 4096),
        Zero(MIB - 4096, 8192),
        Zero(2 * MIB - 4096, 8192),
        Zero(512 * KIB, 2 * MIB),
    ],
)
def test_the_log_does_not_overwrite_itself(target: Descriptor) -> None:
    """QEMU lets it."""
    layout = log_only(small(), [Entry([target])])
    assert layout.log_offset == MIB
    assert refused_with(layout) == "LOG-37"


@pytest.mark.parametrize("target", [Zero(MIB - 4096, 4096), Zero(2 * MIB, 4096)])
def test_the_log_may_change_its_neighbours(target: Descriptor) -> None:
    built = with_log(Entry([target]), image=small().but(log_offset=MIB, metadata_offset=7 * MIB))
    assert replayed_numbers(built) == [1]


def test_zeros_of_no_length_aim_at_nothing() -> None:
    built = with_log(Entry([Zero(MIB, 0), Zero(0, 0), Data(BLOCK, MARK)]))
    assert replayed_numbers(built) == [1]
    assert page_at(built, BLOCK) == MARK


@pytest.mark.parametrize(
    ("target", "rules"),
    [
        (Zero(2**64 - 4096, 8192), {"LOG-37", "LOG-38"}),
        (Zero(BLOCK, 2**64 - 4096), {"LOG-37", "LOG-38"}),
        (Data(2**64 - 4096, b"x"), {"LOG-38"}),
        (Zero(BLOCK, 1 << 62), {"LOG-38"}),
        (Data(1 << 60, b"x"), {"LOG-38"}),
    ],
)
def test_a_target_that_wraps_or_grows_the_file_absurdly_is_refused(
    target: Descriptor, rules: set[str]
) -> None:
    assert refused_with(with_log(Entry([target]))) in rules


def test_a_last_file_offset_beyond_reason_is_refused() -> None:
    built = with_log(Entry([Data(BLOCK, MARK)], last_file_offset=2**64 - MIB))
    assert refused_with(built) == "LOG-38"


def test_every_entry_is_judged_before_any_is_replayed() -> None:
    """QEMU judges data sectors while it replays."""
    first = Entry([Data(BLOCK, MARK)], sequence_number=5, tail=512 * KIB)
    second = Entry([Data(BLOCK, b"x", sector_signature=b"date")], tail=0)
    assert refused_with(with_log(first, second)) == "LOG-31"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"reserved": 1}, "LOG-13"),
        ({"flushed_file_offset": 5 * MIB + 1}, "LOG-15"),
        ({"last_file_offset": 5 * MIB + 1}, "LOG-16"),
        ({"descriptors": [Zero(BLOCK, 4096, reserved=1)]}, "LOG-18"),
    ],
)
def test_what_is_only_unusual_is_told_and_replayed(fields: dict[str, object], rule: str) -> None:
    built = with_log(Entry(**fields))  # type: ignore[arg-type]
    ring = ring_of(built)
    found = list(check_sequence(ring, built.length))
    assert [finding.rule for finding in found] == [rule]
    assert found[0].level != "error"
    assert replayed_numbers(built) == [1]


def test_zeros_over_terabytes_take_no_memory() -> None:
    layout = log_only(small(), [Entry([Zero(20 * MIB, 1 << 46), Data(1 << 45, MARK)])])
    seconds, peak = cost_of_opening(layout.build().to_bytes())
    assert seconds < 1
    assert peak < 4 * MIB
    with opened(layout) as image:
        assert image.source.read(1 << 45, 4096) == MARK
        assert image.source.read((1 << 45) - 100, 100) == bytes(100)


def test_dirty_images_of_all_layouts_are_replayed_from_the_log_alone() -> None:
    """Nothing of what replay hides shows through, whatever lies there."""
    for junk in (True, False):
        built = dirty(small(), hide=("bat", "metadata"), junk=junk).build()
        assert_reads_as_replayed(built)
    assert isinstance(built.layout.log, Log)


def test_a_target_that_wraps_is_told_from_one_over_the_log() -> None:
    with pytest.raises(FormatError) as caught:
        opened(log_only(small(), [Entry([Zero(2**64 - 4096, 8192)])]).build())
    assert caught.value.finding.rule == "LOG-37"
    assert "to 0x10000000000001000, expected an end of at most 2^64" in str(caught.value)
