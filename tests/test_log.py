"""The log: which entries are replayed, and that the file reads as after their replay.

MS-VHDX 2.3 is where other implementations differ most; `format.md` 5.4 lists how. Each of those
differences is a test here, under "where others go wrong".
"""

from __future__ import annotations

import hashlib
import struct
import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Files
from tests.images import strategies as drawn
from tests.images.damage import DAMAGES, OTHER_GUID
from tests.images.dirty import dirty, log_only
from tests.images.image import LOG_GUID, Block, Built, Image, Layout, dynamic
from tests.images.log import Data, Descriptor, Entry, Log, Zero
from tests.images.sparse import pattern
from tests.images.structures import KIB, MIB, ZERO_GUID, Header
from tests.support import SparseSource, damaged, fewer, good, opened, read_headers, refusals
from vhdx_kaitai.errors import FormatError, LimitError, TruncatedError
from vhdx_kaitai.format import grammar, log
from vhdx_kaitai.format.headers import MAX_REPLAYED_LOG_LENGTH
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.showing.report import log_document, log_text
from vhdx_kaitai.storage.source import BufferSource

BLOCK = 6 * MIB  # a place behind everything that the small image needs
END = 8 * MIB  # its length
MARK = pattern(7, 0, 4096)


def small() -> Image:
    """Return an image with room for the targets of log entries."""
    return dynamic(8 * MIB, blocks={0: Block()}, file_length=END)


def with_log(*entries: Entry, image: Image | None = None) -> Built:
    """Return an image with a dirty log of exactly these entries."""
    return log_only(image or small(), entries).build()


def ring_of(built: Built) -> log.Log:
    """Return the log of an image as the package sees it, without replaying anything."""
    source = BufferSource(built.to_bytes())
    header = read_headers(source).current
    return log.Log(source, header)


def replayed_numbers(built: Built) -> list[int]:
    """Return the sequence numbers of what is replayed when the image is opened."""
    with opened(built) as image:
        assert image.replayed is not None
        return [entry.header.sequence_number for entry in image.replayed.entries]


def refused_with(built: Built | Layout) -> str:
    """Return the rule that keeps an image from being opened."""
    try:
        opened(built)
    except (FormatError, LimitError) as error:
        return error.finding.rule
    pytest.fail("it was opened")


def assert_reads_as_replayed(built: Built) -> None:
    """Show that the opened image reads as the builder's own replay of it does, all of it."""
    after = built.replayed()
    with Opened(built.to_bytes()) as image:
        assert image.source.size == after.length
        for at in range(0, after.length, MIB):
            size = min(MIB, after.length - at)
            assert image.source.read(at, size) == after.read(at, size)


def page_at(built: Built, offset: int) -> bytes:
    """Return 4096 bytes of the opened image, as after replay."""
    with opened(built) as image:
        return image.source.read(offset, 4096)


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
    findings = [entry.defect, *log.check_sequence(ring.active_sequence(), ring, built.length)]
    at_entry = [f for f in findings if f is not None and f.rule != "LOG-31"]
    assert at_entry
    for finding in at_entry:
        assert finding.offset == offset
        assert f"log entry at {offset:#x}" in str(finding)


# -- the text: valid entries, sequences, the active one -------------------------------------------


def test_a_zero_log_guid_means_that_nothing_is_replayed() -> None:
    layout = log_only(small(), [Entry([Data(BLOCK, MARK)])])
    layout.set_headers(log_guid=ZERO_GUID)
    with opened(layout) as image:
        assert image.replayed is None
        assert image.source.read(BLOCK, 4096) == bytes(4096)


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


# -- the text: replay ---------------------------------------------------------------------------


def test_replay_leaves_the_file_alone(files: Files) -> None:
    path = files.good("dirty-everything")
    before = hashlib.sha256(path.read_bytes()).digest()
    with Opened(path) as image:
        assert image.replayed is not None
        image.bat.count_states()
        image.source.read(0, MIB)
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_a_target_behind_the_end_extends_the_file() -> None:
    layout = log_only(small(), [Entry([Data(40 * MIB, MARK)])])
    with opened(layout) as image:
        assert image.file_size == END
        assert image.source.size == 40 * MIB + 4096
        assert image.source.read(40 * MIB, 4096) == MARK
        assert image.source.read(END, MIB) == bytes(MIB)


def test_zeros_behind_the_end_extend_the_file() -> None:
    layout = log_only(small(), [Entry([Zero(20 * MIB, 1 << 40)])])
    with opened(layout) as image:
        assert image.source.size == 20 * MIB + (1 << 40)
        assert image.source.read((1 << 40) + 5, 100) == bytes(100)


def test_bounds_are_judged_by_the_length_after_replay() -> None:
    """The BAT lies behind the end of the stored file, and inside the replayed one."""
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


def pages() -> st.SearchStrategy[int]:
    return st.integers(0, 24).map(lambda number: BLOCK + 4096 * number)


def descriptors() -> st.SearchStrategy[Descriptor]:
    lengths = st.integers(0, 12).map(lambda number: 4096 * number)
    contents = st.integers(1, 9).map(lambda tag: bytes([tag]) * 16 + bytes(4071) + bytes([tag]) * 9)
    return st.builds(Zero, pages(), lengths) | st.builds(Data, pages(), contents)


@fewer(2)
@given(st.lists(st.lists(descriptors(), max_size=8), min_size=1, max_size=6))
def test_overlapping_updates_read_as_if_written_in_order(parts: list[list[Descriptor]]) -> None:
    built = with_log(*map(Entry, parts))
    assert_reads_as_replayed(built)
    with opened(built) as image:
        assert image.replayed is not None
        assert image.replayed.changed_bytes == built.model.log.target_bytes


@st.composite
def rings(draw: st.DrawFn) -> list[Entry]:
    """Draw entries anywhere in the ring that overwrite each other, many of them consecutive."""
    entries = []
    number = draw(st.integers(1, 100))
    at = 0
    for _ in range(draw(st.integers(1, 14))):
        if draw(st.integers(0, 3)) == 0:
            at = 4096 * draw(st.integers(0, 255))
        if draw(st.integers(0, 4)) == 0:
            number = max(1, number + draw(st.integers(-4, 3)))
        entry = Entry(
            draw(st.lists(descriptors(), max_size=3)),
            at=at,
            sequence_number=number,
            tail=4096 * draw(st.integers(0, 255)) if draw(st.integers(0, 3)) == 0 else None,
            log_guid=draw(st.sampled_from((LOG_GUID, LOG_GUID, LOG_GUID, OTHER_GUID))),
        )
        if draw(st.integers(0, 1)):
            entry.tail = at
        if draw(st.integers(0, 9)) == 0:
            entry.checksum = 1
        entries.append(entry)
        number += 1
        at = (at + entry.natural_length) % MIB
    return entries


def header_of_a_ring() -> grammar.Header:
    """Return a header that leads to a log which is all of the file."""
    made = Header(1, LOG_GUID, LOG_GUID, LOG_GUID, log_length=MIB, log_offset=0).pack()
    return grammar.Root(BufferSource(bytes(64 * KIB) + made.ljust(MIB, b"\0"))).header(1)


@fewer(2)
@given(rings())
def test_the_active_sequence_of_any_ring_is_the_one_of_the_model(entries: list[Entry]) -> None:
    described = Log(LOG_GUID, entries)
    expected = described.active(LOG_GUID)
    ring = log.Log(BufferSource(described.pack().to_bytes()), header_of_a_ring())
    assert [(entry.offset, entry.header.sequence_number) for entry in ring.active_sequence()] == [
        (placed.at, placed.sequence_number) for placed in (expected.entries if expected else ())
    ]


@fewer(4)
@given(rings())
def test_an_image_with_any_ring_reads_as_after_replay_or_is_refused(entries: list[Entry]) -> None:
    built = with_log(*entries)
    assert built.layout.log is not None
    if built.layout.log.active(LOG_GUID) is None:
        assert refused_with(built) == "LOG-31"
    else:
        assert_reads_as_replayed(built)


# -- where others go wrong (format.md 5.2 to 5.4) -----------------------------------------------


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


def reason_of(built: Built) -> str:
    """Return what a refusal says behind that there is no valid sequence."""
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
        ([STALE], STALE.at, f"LogGuid {OTHER_GUID}, expected"),
    ],
)
def test_the_reason_for_no_sequence_is_the_nearest_one(
    entries: list[Entry], place: int, reason: str
) -> None:
    """The end of a run that lacks its tail, or what broke the run in front of it; then the rest."""
    built = with_log(*(replace(entry) for entry in entries))
    said = reason_of(built)
    assert said.startswith(f"log entry at {built.layout.log_offset + place:#x}: {reason}")


def test_a_log_without_an_entry_says_so() -> None:
    assert reason_of(with_log()) == "there is no entry in the log"


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


def test_zeros_that_begin_in_front_of_the_tables_are_refused() -> None:
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


def test_every_entry_is_judged_before_any_is_replayed() -> None:
    """QEMU judges data sectors while it replays."""
    first = Entry([Data(BLOCK, MARK)], sequence_number=5, tail=512 * KIB)
    second = Entry([Data(BLOCK, b"x", sector_signature=b"date")], tail=0)
    assert refused_with(with_log(first, second)) == "LOG-31"


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
    found = list(log.check_sequence(ring.active_sequence(), ring, built.length))
    assert [finding.rule for finding in found] == [rule]
    assert found[0].level != "error"
    assert replayed_numbers(built) == [1]


# -- hostile logs -------------------------------------------------------------------------------


def forged(ring_length: int, entries: dict[int, bytes]) -> bytes:
    """Return a file whose ring holds these bytes at these places; the builder's CRC is too slow."""
    layout = small().but(log_length=ring_length, file_length=None).layout()
    layout.set_headers(log_guid=LOG_GUID)
    data = bytearray(layout.build().to_bytes())
    for at, entry in entries.items():
        start = layout.log_offset + at
        data[start : start + len(entry)] = entry
    return bytes(data)


def entry_head(length: int, number: int, *, tail: int = 0, count: int = 0) -> bytes:
    """Return the first 64 bytes of an entry, the checksum zero."""
    return struct.pack(
        "<4sIIIQII16sQQ", b"loge", 0, length, tail, number, count, 0, LOG_GUID.bytes_le, 0, 0
    )


def with_checksum(entry: bytes) -> bytes:
    """Return an entry whose checksum field was zero with the checksum in it."""
    return entry[:4] + crc32c(entry).to_bytes(4, "little") + entry[8:]


def cost_of_opening(data: bytes) -> tuple[float, int]:
    """Return seconds of work and the greatest number of bytes in use while opening or refusing."""

    def attempt() -> None:
        with suppress(FormatError, LimitError):
            Opened(data).close()

    start = time.process_time()
    attempt()
    seconds = time.process_time() - start
    tracemalloc.start()
    attempt()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak


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


def test_the_signature_that_a_log_is_searched_for_is_that_of_the_grammar() -> None:
    data = log.ENTRY_SIGNATURE.ljust(log.SECTOR, b"\0")
    assert grammar.log_entry_header(data).is_signature_valid
    assert not grammar.log_entry_header(data.swapcase()).is_signature_valid


def test_the_length_of_a_descriptor_is_that_of_the_builder() -> None:
    assert len(Zero(0, 0).pack(1)) == log._DESCRIPTOR_LENGTH


def test_a_target_that_wraps_is_told_from_one_over_the_log() -> None:
    with pytest.raises(FormatError) as caught:
        opened(log_only(small(), [Entry([Zero(2**64 - 4096, 8192)])]).build())
    assert caught.value.finding.rule == "LOG-37"
    assert "to 0x10000000000001000, expected an end of at most 2^64" in str(caught.value)


class FullOfEntries(SparseSource):
    """A file whose every sector behind the header section begins like an entry."""

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
