"""The log: which entries are valid, which runs they make, and which sequence is active.

[MS-VHDX 2.3] is where other implementations differ most. Each of those differences is a
test, here or in `test_replay`, under "where others go wrong".
"""

from __future__ import annotations

import struct
from uuid import UUID

import pytest
from hypothesis import given

from tests.format.log_fixtures import (
    BLOCK,
    MARK,
    cost_of_opening,
    entry_head,
    forged,
    page_at,
    refused_with,
    replayed_numbers,
    ring_of,
    rings,
    small,
    with_checksum,
    with_log,
)
from tests.images.bases import OTHER_GUID
from tests.images.damage import DAMAGES
from tests.images.dirty import log_only
from tests.images.image import LOG_GUID, dynamic
from tests.images.log import Data, Descriptor, Entry, Log, Zero
from tests.images.structures import KIB, MIB, ZERO_GUID, Header
from tests.support import SparseSource, damaged, fewer, good, opened, read_headers, refusals
from vhdx_kaitai.errors import FormatError, LimitError
from vhdx_kaitai.format import grammar, log, structures
from vhdx_kaitai.format.headers import MAX_REPLAYED_LOG_LENGTH
from vhdx_kaitai.format.replay import check_sequence
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.showing.log import log_document, log_text
from vhdx_kaitai.storage.source import BufferSource

# -- damages ------------------------------------------------------------------------------------


# Of these each entry is valid by itself, or none can be found at all.
NOT_OF_ONE_ENTRY = ("LOG-05", "LOG-28", "LOG-29", "LOG-31", "LOG-32", "LOG-36", "LOG-37", "LOG-38")


@pytest.mark.parametrize(
    "name", [n for n in refusals("LOG") if DAMAGES[n].main_rule not in NOT_OF_ONE_ENTRY]
)
def test_an_entry_that_is_not_valid_says_which_rule_it_breaks(name: str) -> None:
    """The refusal says only that no valid sequence is left."""
    broken = [entry.defect for entry in ring_of(damaged(name)).entries() if entry.defect]
    assert len(broken) == 1
    assert broken[0].rule in DAMAGES[name].rules
    assert broken[0].rule != "LOG-31"


@pytest.mark.parametrize(
    "name",
    ["log-file-truncated", "log-descriptor-signature-unknown", "log-checksum-wrong"],
)
def test_a_finding_about_an_entry_names_its_place_in_the_file(name: str) -> None:
    built = damaged(name)
    offset = built.layout.log_offset
    ring = ring_of(built)
    entry = next(ring.entries())
    findings = [entry.defect, *check_sequence(ring, built.length)]
    at_entry = [f for f in findings if f is not None and f.rule != "LOG-31"]
    assert at_entry
    for finding in at_entry:
        assert finding.offset == offset
        assert f"log entry at {offset:#x}" in str(finding)


# -- the text: valid entries, sequences, the active one -------------------------------------------


def test_entries_of_other_sessions_are_not_replayed() -> None:
    old = Entry([Data(BLOCK, MARK)], log_guid=OTHER_GUID, sequence_number=900)
    built = with_log(old, Entry([Data(BLOCK + 4096, MARK)], sequence_number=3, tail=8192))
    assert replayed_numbers(built) == [3]
    assert page_at(built, BLOCK) == bytes(4096)
    assert page_at(built, BLOCK + 4096) == MARK


def test_the_valid_sequence_with_the_greatest_head_is_active() -> None:
    first = Entry([Data(BLOCK, MARK)], at=0, sequence_number=50, tail=0)
    second = Entry([Zero(BLOCK, 4096)], at=64 * KIB, sequence_number=51, tail=64 * KIB)
    third = Entry([Data(BLOCK, b"x")], at=128 * KIB, sequence_number=49, tail=128 * KIB)
    assert replayed_numbers(with_log(first, second, third)) == [51]


def test_of_two_sequences_with_the_same_head_number_the_first_found_is_active() -> None:
    """A later one replaces the candidate only if its number is greater."""
    first = Entry([Data(BLOCK, MARK)], at=0, sequence_number=5, tail=0)
    second = Entry([Zero(BLOCK, 4096)], at=64 * KIB, sequence_number=5, tail=64 * KIB)
    built = with_log(first, second)
    assert page_at(built, BLOCK) == MARK


def test_an_entry_without_descriptors_is_valid() -> None:
    assert replayed_numbers(with_log(Entry(), Entry([Data(BLOCK, MARK)]))) == [1, 2]


@pytest.mark.parametrize("count", [0, 1, 125, 126, 127, 253, 254, 255, 1000])
def test_descriptors_fill_126_places_of_the_first_sector_and_128_of_the_others(count: int) -> None:
    zeros: list[Descriptor] = [Zero(BLOCK + 4096 * index, 4096) for index in range(count)]
    built = with_log(Entry([*zeros, Data(BLOCK - 4096, MARK)]))
    with opened(built) as image:
        assert image.replayed is not None
        assert len(image.replayed.entries[0].descriptors) == count + 1
        assert image.source.read(BLOCK - 4096, 4096) == MARK


def test_an_entry_may_run_over_the_end_of_the_ring() -> None:
    built = with_log(Entry([Data(BLOCK, MARK), Data(BLOCK + 4096, MARK)], at=MIB - 8192))
    assert page_at(built, BLOCK + 4096) == MARK


def test_a_sequence_may_run_over_the_end_of_the_ring() -> None:
    first = Entry([Data(BLOCK, MARK)], at=MIB - 8192, sequence_number=8)
    second = Entry([Data(BLOCK, MARK[::-1])], at=0, tail=MIB - 8192)
    built = with_log(first, second)
    assert replayed_numbers(built) == [8, 9]
    assert page_at(built, BLOCK) == MARK[::-1]


def test_sequence_numbers_may_use_all_64_bits() -> None:
    last = 2**64 - 1
    built = with_log(Entry(sequence_number=last - 1), Entry([Data(BLOCK, MARK)]))
    assert replayed_numbers(built) == [last - 1, last]


def test_numbers_do_not_go_on_from_the_greatest_to_zero() -> None:
    built = with_log(Entry(sequence_number=2**64 - 1, tail=0), Entry(sequence_number=0, tail=0))
    assert replayed_numbers(built) == [2**64 - 1]


def header_of_a_ring() -> structures.Header:
    """Return a header that leads to a log which is all of the file."""
    made = Header(1, LOG_GUID, LOG_GUID, LOG_GUID, log_length=MIB, log_offset=0).pack()
    return grammar.HeaderSection(BufferSource(bytes(64 * KIB) + made.ljust(MIB, b"\0"))).header(1)


@fewer(2)
@given(rings())
def test_the_active_sequence_of_any_ring_is_the_one_of_the_model(entries: list[Entry]) -> None:
    described = Log(LOG_GUID, entries)
    expected = described.active(LOG_GUID)
    ring = log.Log(BufferSource(described.pack().to_bytes()), header_of_a_ring())
    assert [(entry.offset, entry.header.sequence_number) for entry in ring.active_sequence] == [
        (placed.at, placed.sequence_number) for placed in (expected.entries if expected else ())
    ]


# -- where others go wrong -----------------------------------------------------------------------


def test_the_tail_of_the_sequence_may_be_anywhere_in_the_ring() -> None:
    built = with_log(Entry(at=300 * KIB, sequence_number=9), Entry([Data(BLOCK, MARK)]))
    assert replayed_numbers(built) == [9, 10]


def test_the_number_of_the_head_decides_and_not_that_of_the_first_entry() -> None:
    """QEMU lets a lone entry 15 beat a run from 10 to 20."""
    run = [Entry([Data(BLOCK, b"run")], sequence_number=number, tail=0) for number in range(10, 21)]
    lone = Entry([Data(BLOCK, b"lone")], at=512 * KIB, sequence_number=15, tail=512 * KIB)
    built = with_log(*run, lone)
    assert replayed_numbers(built) == list(range(10, 21))
    assert page_at(built, BLOCK).startswith(b"run")


@pytest.mark.parametrize("wrong", [900, 3, 5, 7])
def test_a_second_entry_with_a_wrong_number_does_not_belong_to_the_run(wrong: int) -> None:
    """QEMU accepts any number in the second entry."""
    first = Entry([Data(BLOCK, MARK)], sequence_number=5, tail=0)
    second = Entry([Zero(BLOCK, 4096)], sequence_number=wrong, tail=0)
    built = with_log(first, second)
    assert replayed_numbers(built) == [5]
    assert page_at(built, BLOCK) == MARK


def test_a_head_whose_tail_is_outside_makes_no_sequence() -> None:
    """QEMU does not look at it."""
    built = with_log(Entry([Data(BLOCK, MARK)], sequence_number=5, tail=512 * KIB))
    assert refused_with(built) == "LOG-31"


def test_a_tail_in_the_middle_of_an_entry_is_outside() -> None:
    built = with_log(Entry([Data(BLOCK, MARK)], sequence_number=5, tail=4096))
    assert refused_with(built) == "LOG-31"


def test_a_tail_that_is_no_multiple_of_4_kib_makes_an_entry_invalid() -> None:
    """QEMU, OpenVMM and DiscUtils do not look at it."""
    good_one = Entry([Data(BLOCK, MARK)], sequence_number=5, tail=0)
    odd = Entry([Zero(BLOCK, 4096)], tail=512)
    assert replayed_numbers(with_log(good_one, odd)) == [5]


@pytest.mark.parametrize(
    "bad",
    [
        Data(BLOCK, b"", signature=b"what"),
        Data(BLOCK, b"", sequence_number=77),
        Zero(BLOCK, 4096, sequence_number=77),
        Zero(BLOCK, 4096, signature=b"zorro"[:4]),
    ],
)
def test_a_bad_descriptor_ends_the_run_and_not_the_file(bad: Descriptor) -> None:
    """QEMU refuses the whole file."""
    built = with_log(Entry([Data(BLOCK, MARK)], sequence_number=5, tail=0), Entry([bad], tail=0))
    assert replayed_numbers(built) == [5]
    assert page_at(built, BLOCK) == MARK


@pytest.mark.parametrize("bad", [{"sector_signature": b"date"}, {"sector_low": 9}])
def test_a_bad_data_sector_ends_the_run(bad: dict[str, bytes]) -> None:
    """QEMU does not look at the signature of data sectors."""
    wrong = Data(BLOCK, b"wrong", **bad)  # type: ignore[arg-type]
    built = with_log(Entry([Data(BLOCK, MARK)], sequence_number=5, tail=0), Entry([wrong], tail=0))
    assert replayed_numbers(built) == [5]
    assert page_at(built, BLOCK) == MARK


def test_an_entry_with_sequence_number_0_is_not_valid() -> None:
    """OpenVMM and DiscUtils accept it as the first of a sequence."""
    first = Entry([Data(BLOCK, b"0")], sequence_number=0, tail=0)
    second = Entry([Data(BLOCK, b"1")], sequence_number=1, tail=8192)
    assert replayed_numbers(with_log(first, second)) == [1]


@pytest.mark.parametrize("bad", [Data(BLOCK + 512, b"x"), Zero(BLOCK + 512, 4096), Zero(BLOCK, 6)])
def test_a_descriptor_that_is_not_aligned_ends_the_run(bad: Descriptor) -> None:
    """DiscUtils does not look at it."""
    built = with_log(Entry([Data(BLOCK, MARK)], sequence_number=5, tail=0), Entry([bad], tail=0))
    assert replayed_numbers(built) == [5]


@pytest.mark.parametrize("at", [0, 512 * KIB, MIB - 4096])
def test_one_entry_may_fill_the_whole_ring(at: int) -> None:
    """QEMU and OpenVMM refuse it."""
    updates: list[Descriptor] = [Data(BLOCK + 4096 * index, MARK) for index in range(254)]
    entry = Entry(updates, at=at)
    assert entry.natural_length == MIB
    built = with_log(entry)
    assert replayed_numbers(built) == [1]
    assert page_at(built, BLOCK + 4096 * 253) == MARK


@pytest.mark.parametrize("at", [0, 40 * 4096])
def test_the_search_ends_although_the_sequence_fills_the_ring(at: int) -> None:
    """By the letter it never does: the position comes back to where it was."""
    entries = [Entry([Data(BLOCK + 4096 * index, MARK)]) for index in range(128)]
    entries[0].at = at
    built = with_log(*entries)
    assert replayed_numbers(built) == list(range(1, 129))


def test_a_sequence_that_begins_within_a_broken_run_is_found() -> None:
    """The search goes on by 4 KiB, not to the end of what was not valid."""
    broken = [
        Entry([Data(BLOCK, b"x")], at=0, sequence_number=5, tail=512 * KIB),
        Entry([Data(BLOCK, b"y")], at=8192, sequence_number=6, tail=512 * KIB),
    ]
    late = Entry([Data(BLOCK, MARK)], at=16384, sequence_number=3, tail=16384)
    built = with_log(*broken, late)
    assert replayed_numbers(built) == [3]
    assert page_at(built, BLOCK) == MARK


def test_a_run_found_from_its_middle_is_found_again_from_its_tail() -> None:
    """Position 0 lies within the sequence, whose tail stands near the end of the ring."""
    entries = [Entry([Data(BLOCK + 4096 * index, MARK)]) for index in range(6)]
    entries[0].at = MIB - 3 * 8192
    built = with_log(*entries)
    assert replayed_numbers(built) == [1, 2, 3, 4, 5, 6]


def test_offsets_that_are_no_multiples_of_1_mib_do_not_make_an_entry_invalid() -> None:
    """QEMU writes the raw length of its files."""
    built = with_log(Entry([Data(BLOCK, MARK)], flushed_file_offset=777, last_file_offset=778))
    assert replayed_numbers(built) == [1]


# -- what `log` lists ---------------------------------------------------------------------------


def test_everything_in_the_ring_that_begins_like_an_entry_is_listed() -> None:
    built = good("log-stale-entries-around")
    ring = ring_of(built)
    layout_log = built.layout.log
    assert layout_log is not None
    placed = {item.at: item for item in layout_log.placed()}
    del placed[0]  # overwritten by the one that wraps around the ring
    listed = {entry.offset: entry for entry in ring.entries()}
    assert set(listed) == set(placed)
    for at, entry in listed.items():
        assert entry.header.sequence_number == placed[at].sequence_number
        assert entry.header.log_guid == placed[at].log_guid
        assert entry.is_valid == (placed[at].log_guid == LOG_GUID)
        if not entry.is_valid:
            assert entry.defect is not None
            assert entry.defect.rule == "LOG-14"


def test_the_entries_of_a_clean_log_are_all_stale() -> None:
    """An entry whose own LogGuid is zero does not match a header that has none."""
    layout = log_only(small(), [Entry([Data(BLOCK, MARK)], log_guid=ZERO_GUID)])
    layout.set_headers(log_guid=ZERO_GUID)
    assert [entry.is_valid for entry in ring_of(layout.build()).entries()] == [False]


# -- hostile logs ---------------------------------------------------------------------------------


def rule_of(data: bytes) -> str:
    """Return the rule that refuses these bytes."""
    try:
        Opened(data)
    except (FormatError, LimitError) as error:
        return error.finding.rule
    pytest.fail("it was opened")


def test_entries_that_overlap_by_the_thousand_end_in_bounded_time() -> None:
    """Each sector claims an entry as long as the ring, so all of it would be summed at each."""
    ring = 16 * MIB
    data = forged(ring, {at: entry_head(ring, at // 4096 + 1) for at in range(0, ring, 4096)})
    seconds, peak = cost_of_opening(data)
    assert seconds < 5
    assert peak < 4 * ring
    assert rule_of(data) == "LOG-39"


def test_descriptor_counts_without_descriptors_end_in_bounded_time() -> None:
    entry = entry_head(MIB, 1, count=2**32 - 1).ljust(MIB, b"\0")
    data = forged(MIB, {0: with_checksum(entry)})
    seconds, peak = cost_of_opening(data)
    assert seconds < 2
    assert peak < 16 * MIB
    assert rule_of(data) == "LOG-31"


def of_zero_descriptors(ring: int, length: int) -> bytes:
    """Return a file whose log has one entry, which is nothing but zero descriptors."""
    count = (length - 64) // 32
    zero = struct.pack("<4sIQQQ", b"zero", 0, 4096, BLOCK, 1)
    entry = (entry_head(length, 1, count=count) + zero * count).ljust(length, b"\0")
    return forged(ring, {0: with_checksum(entry)})


def test_descriptors_cost_most_and_their_number_is_bounded() -> None:
    """What 8190 of them cost tells what the most that we take do; the limit is ours."""
    seconds, peak = cost_of_opening(of_zero_descriptors(MIB, 256 * KIB))
    assert seconds * 16 < 30
    assert peak * 16 < 256 * MIB
    too_many = of_zero_descriptors(8 * MIB, 8 * MIB)
    seconds, peak = cost_of_opening(too_many)
    assert seconds < 2
    assert peak < 32 * MIB
    assert rule_of(too_many) == "LOG-39"


def test_long_runs_without_a_tail_end_in_bounded_time() -> None:
    """A run of 1023 empty entries none of which is the tail: each start would walk them all."""
    ring = 4 * MIB
    blank = bytes(4096 - 64)
    entries = {
        4096 * index: with_checksum(entry_head(4096, index + 1, tail=ring - 4096) + blank)
        for index in range(ring // 4096 - 1)
    }
    data = forged(ring, entries)
    seconds, peak = cost_of_opening(data)
    assert seconds < 2
    assert peak < 16 * MIB
    assert rule_of(data) == "LOG-31"


def test_a_log_that_is_too_long_to_be_looked_through_is_refused_when_dirty_only() -> None:
    """That limit is ours; a clean log may be as long as the field allows."""
    length = MAX_REPLAYED_LOG_LENGTH + MIB
    image = dynamic(4 * MIB, log_length=length)
    with opened(image.build()) as clean:
        assert clean.replayed is None
    layout = image.layout()
    layout.set_headers(log_guid=UUID(int=1))
    assert refused_with(layout) == "HDR-18"


def test_opening_a_clean_image_reads_nothing_of_its_log() -> None:
    built = dynamic(4 * MIB, log_length=200 * MIB).build()
    source = SparseSource(built.file)
    Opened(source).close()
    assert source.bytes_read < MIB


def test_the_signature_that_a_log_is_searched_for_is_that_of_the_grammar() -> None:
    data = log.ENTRY_SIGNATURE.ljust(log.SECTOR, b"\0")
    assert grammar.log_entry_header(data).is_signature_valid
    assert not grammar.log_entry_header(data.swapcase()).is_signature_valid


def test_the_length_of_a_descriptor_is_that_of_the_builder() -> None:
    assert len(Zero(0, 0).pack(1)) == log._DESCRIPTOR_LENGTH


class FullOfEntries(SparseSource):
    """A file whose every sector after the header section begins like an entry."""

    def readinto(self, buffer: memoryview, offset: int) -> None:
        super().readinto(buffer, offset)
        if offset >= MIB:
            for start in range(0, len(buffer), log.SECTOR):
                buffer[start : start + 4] = log.ENTRY_SIGNATURE


def test_a_clean_log_of_any_length_is_listed_in_bounded_memory() -> None:
    built = dynamic(8 * MIB, log_length=128 * MIB).build()
    source = FullOfEntries(built.file)
    ring = log.read_log(source, read_headers(source).current)
    assert ring is not None
    document = log_document("x", ring, None, None)
    assert len(document["entries"]) == 16384
    assert document["more_entries"] == 128 * MIB // 4096 - 16384
    assert list(log_text(document))[-3] == "  ... and 16384 more that begin like entries"
