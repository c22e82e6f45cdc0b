"""A LogGuid without an entry: told from a log of which something is missing."""

from __future__ import annotations

import pytest

from tests.checking.reports import report_on, rules_of
from tests.format.log_fixtures import BLOCK, MARK, with_log
from tests.images.bases import OTHER_GUID
from tests.images.image import Built
from tests.images.log import Data, Entry, Zero
from tests.images.sparse import Sparse, Zeros
from tests.images.structures import KIB, MIB
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.reading.image import Image

NOTHING = "`--as-stored` reads the disk, and nothing is missing"
STALE = Entry([Data(BLOCK, MARK)], log_guid=OTHER_GUID)


def said_of(built: Built) -> str:
    """Return what opening says after that there is no valid sequence."""
    with pytest.raises(FormatError) as caught:
        Image(built.to_bytes())
    assert caught.value.finding.rule == "LOG-31"
    return caught.value.finding.message.partition("; ")[2]


def explained(built: Built) -> bool:
    """Tell whether `check` begins with the same in a sentence."""
    report = report_on(built)
    assert report.verdict == "corrupt"
    assert rules_of(report, "error") == {"LOG-31"}
    assert [s for s in report.diagnosis if NOTHING in s] == list(report.diagnosis)
    return bool(report.diagnosis)


def torn(entry: Entry, sector: int, length: int = 4 * KIB) -> Built:
    """Return an image whose log has an entry, some bytes of which were never written."""
    built = with_log(entry)
    place = built.layout.log_offset + (entry.at or 0) + sector * 4 * KIB
    layout = built.layout
    layout.patch(place, Sparse(length, {0: Zeros(length)}))
    return layout.build()


@pytest.mark.parametrize("count", [1, 3])
def test_entries_of_former_sessions_alone_mean_that_nothing_is_missing(count: int) -> None:
    """A writer, QEMU for one, names a new LogGuid in the header before the first entry."""
    entries = [Entry([Data(BLOCK, MARK)], log_guid=OTHER_GUID) for _ in range(count)]
    built = with_log(*entries)
    assert said_of(built) == f"no entry was ever written under this LogGuid; {NOTHING}"
    assert explained(built)


def test_a_log_that_was_never_used_cannot_be_told_from_one_that_was_wiped() -> None:
    said = said_of(with_log())
    assert "no entry was ever written under this LogGuid, or the log was wiped" in said
    assert said.endswith(f"{NOTHING} unless it was wiped")
    assert explained(with_log())


def test_a_log_of_other_bytes_was_overwritten() -> None:
    built = with_log()
    built.layout.patch(built.layout.log_offset + 8 * KIB, Sparse(512, {0: b"x" * 512}))
    built = built.layout.build()
    assert said_of(built) == "there is no entry in the log"
    assert not explained(built)


@pytest.mark.parametrize("sector", [1, 2])
@pytest.mark.parametrize("at", [0, 64 * KIB])
def test_a_torn_entry_that_names_itself_as_tail_has_changed_nothing_yet(
    sector: int, at: int
) -> None:
    entry = Entry([Data(BLOCK, MARK), Data(BLOCK + 4096, MARK)], at=at, tail=at, sequence_number=7)
    built = torn(entry, sector)
    assert said_of(built) == (
        f"log entry at {MIB + at:#x}: the only one under this LogGuid, which names itself as tail, "
        f"is torn, so nothing of it was done yet; {NOTHING}"
    )
    assert explained(built)


def test_a_torn_entry_with_another_tail_may_have_had_others_before_it() -> None:
    entry = Entry([Data(BLOCK, MARK)], at=64 * KIB, tail=0, sequence_number=7)
    assert NOTHING not in said_of(torn(entry, 1))
    assert not explained(torn(entry, 1))


def test_a_torn_entry_beside_another_one_says_nothing() -> None:
    first = Entry([Data(BLOCK, MARK)], at=0, tail=512 * KIB, sequence_number=7)
    second = Entry([Data(BLOCK, MARK)], at=64 * KIB, tail=64 * KIB, sequence_number=9)
    built = with_log(first, second)
    place = built.layout.log_offset + 68 * KIB
    built.layout.patch(place, Sparse(4 * KIB, {0: Zeros(4 * KIB)}))
    assert NOTHING not in said_of(built.layout.build())


def test_an_entry_all_of_whose_sectors_bear_its_number_may_have_been_replayed_in_part() -> None:
    """It was written to its end and damaged later, or is torn and lies on an older one."""
    entry = Entry([Data(BLOCK, MARK), Zero(BLOCK + MIB, 4096)], at=0, tail=0, sequence_number=7)
    entry.checksum = 1
    assert said_of(with_log(entry)).endswith(
        f"is torn or was damaged later; {NOTHING} unless it was damaged later"
    )
    assert explained(with_log(entry))
