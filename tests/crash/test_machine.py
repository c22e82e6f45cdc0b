"""The machine that cuts the power leaves what a medium may leave, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from .machine import WAYS, cuts, epochs
from .recorder import (
    Began,
    Event,
    Faulty,
    Flush,
    Length,
    Promised,
    Recorder,
    Write,
    Zero,
    applied,
    without_marks,
)

BEFORE = b"." * 8


def left_by(events: Sequence[Event], count: int = 600, before: bytes = BEFORE) -> set[bytes]:
    """Every file that is left in many cuts."""
    return {bytes(cut.data) for cut in cuts(before, events, count, 0)}


def test_what_was_flushed_is_there_and_of_the_rest_there_may_be_anything() -> None:
    events: list[Event] = [Write(0, b"a"), Flush(), Write(2, b"b"), Write(4, b"c"), Flush()]
    assert left_by(events) == {
        *(b"........", b"a......."),
        *(b"a.b.....", b"a...c...", b"a.b.c..."),
    }


def test_what_was_never_flushed_may_be_lost() -> None:
    assert left_by([Write(0, b"a"), Write(0, b"b")]) == {BEFORE, b"a.......", b"b......."}


def test_a_write_may_be_torn_at_either_end() -> None:
    found = left_by([Write(1, b"abc")])
    assert {b".a......", b".ab.....", b"..bc....", b"...c...."} <= found
    assert all(set(data[:1] + data[4:]) == {ord(".")} for data in found)


def test_a_length_may_be_lost_by_itself_and_so_may_what_is_written_past_it() -> None:
    found = left_by([Length(12), Write(10, b"a")])
    assert found == {BEFORE, BEFORE + bytes(4), BEFORE + b"\0\0a\0"}
    assert left_by([Write(10, b"a")]) == {BEFORE, BEFORE + bytes(3), BEFORE + b"\0\0a"}
    assert left_by([Length(4), Write(0, b"a")]) == {
        *(BEFORE, b"a.......", b"....", b"a..."),
    }


def test_what_is_cut_off_a_file_does_not_come_back_when_it_becomes_longer() -> None:
    events = [Length(4), Length(6)]
    assert left_by(events) == {BEFORE, b"....", b"....\0\0"}
    assert left_by([*events, Flush(), Length(8), Write(5, b"a")]) == {
        *(BEFORE, b"....", b"....\0\0", b"....\0a", b"....\0\0\0\0", b"....\0a\0\0"),
    }


def test_zeros_are_lost_like_anything_else_that_is_written() -> None:
    assert left_by([Zero(2, 2)]) == {BEFORE, b"..\0.....", b"...\0....", b"..\0\0...."}


def test_sectors_of_a_write_are_lost_one_by_one() -> None:
    data = b"a" * 512 + b"b" * 512 + b"c" * 512
    found = {data[512:] for data in left_by([Write(512, data)], 2000, bytes(2048))}
    assert {data.replace(b"b", b"\0"), data.replace(b"a", b"\0").replace(b"c", b"\0")} <= found


def test_every_way_of_cutting_is_gone_and_a_seed_repeats_them() -> None:
    events = [Write(0, b"ab"), Write(4, b"c")]
    one, two = (
        [(cut.what, bytes(cut.data)) for cut in cuts(BEFORE, events, 300, 5)] for _ in range(2)
    )
    assert one == two
    assert all(any(f" {way.__name__}," in what for what, _ in one) for way in WAYS)
    assert abs(len(one) - 300) <= 1


@pytest.mark.parametrize("count", [40, 200, 2000])
def test_every_epoch_is_cut_and_the_cuts_come_in_its_order(count: int) -> None:
    events: list[Event] = []
    for number in range(12):
        events += [Write(number % 8, b"ab"), Write(0, b"c"), Flush()]
    found = [cut.end for cut in cuts(BEFORE, events, count, 1)]
    assert abs(len(found) - count) <= 12
    assert sorted(found) == found
    assert set(found) == {epoch.end for epoch in epochs(len(BEFORE), events) if epoch.events}


def test_a_cut_says_how_much_had_been_done_before_it() -> None:
    """At least as much as is there, and at most all before the next flush."""
    events: list[Event] = [
        *(Began(0, 1, b"a"), Write(0, b"a"), Flush(), Promised()),
        *(Began(2, 1, b"b"), Write(2, b"b"), Began(4, 1, None), Zero(4, 1)),
    ]
    assert {(bytes(cut.data), cut.reached, cut.end) for cut in cuts(BEFORE, events, 200, 0)} == {
        (BEFORE, 0, 2),
        (b"a.......", 2, 2),
        (b"a.......", 3, 8),
        (b"a.b.....", 6, 8),
        (b"a...\0...", 8, 8),
        (b"a.b.\0...", 8, 8),
    }


# -- files in memory ------------------------------------------------------------------------------


def test_a_recorder_is_a_file_that_remembers() -> None:
    file = Recorder(BEFORE)
    file.write(b"ab", 7)
    file.zero(0, 2)
    file.flush()
    file.mark(Promised())
    file.set_length(4)
    assert file.read(0, 4) == b"\0\0.."
    assert file.size == 4
    done = [Write(7, b"ab"), Zero(0, 2), Flush(), Length(4)]
    assert without_marks(file.events) == done
    assert file.events[3] == Promised()
    assert file.pending == [Length(4)]
    assert applied(BEFORE, file.events) == file.data


def test_a_call_fails_once_or_from_then_on_and_other_calls_do_not() -> None:
    for is_for_ever in (False, True):
        error = OSError(28, "full")
        file = Faulty(
            *(BEFORE, 1, error, 0.5),
            counts=lambda event: isinstance(event, Write),
            for_ever=is_for_ever,
        )
        file.flush()
        file.write(b"a", 0)
        with pytest.raises(OSError, match="full") as caught:
            file.write(b"bc", 1)
        assert caught.value is error
        assert file.failed == Write(1, b"bc")
        file.flush()
        if is_for_ever:
            with pytest.raises(OSError, match="full"):
                file.write(b"d", 3)
        else:
            file.write(b"d", 3)
        assert bytes(file.data) == (b"ab......" if is_for_ever else b"ab.d....")
        assert file.calls_after == 2
