"""The machine that cuts the power leaves what a medium may leave, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from .machine import WAYS, cuts, epochs, every_cut
from .recorder import Event, Flush, Length, Recorder, Write, applied

BEFORE = b"." * 8


def left_by(events: Sequence[Event], count: int = 600) -> set[bytes]:
    """Every file that is left in many cuts at random, and in all of small epochs."""
    parts = epochs(BEFORE, events)
    found = {bytes(cut.data) for part in parts for cut in every_cut(part)}
    return found | {bytes(cut.data) for cut in islice(cuts(parts, 0), count)}


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


def test_sectors_of_a_write_are_lost_one_by_one() -> None:
    data = b"a" * 512 + b"b" * 512 + b"c" * 512
    parts = epochs(bytes(2048), [Write(512, data)])
    found = {bytes(cut.data[512:]) for cut in islice(cuts(parts, 0), 2000)}
    assert {data.replace(b"b", b"\0"), data.replace(b"a", b"\0").replace(b"c", b"\0")} <= found


def test_every_way_of_cutting_is_gone_and_a_seed_repeats_them() -> None:
    parts = epochs(BEFORE, [Write(0, b"ab"), Write(4, b"c")])
    one, two = (
        [(cut.what, bytes(cut.data)) for cut in islice(cuts(parts, 5), 300)] for _ in range(2)
    )
    assert one == two
    assert all(any(f" {way.__name__}," in what for what, _ in one) for way in WAYS)


def test_a_recorder_is_a_file_that_remembers() -> None:
    file = Recorder(BEFORE)
    file.write(b"ab", 7)
    file.zero(0, 2)
    file.flush()
    file.set_length(4)
    assert file.read(0, 4) == b"\0\0.."
    assert file.size == 4
    assert file.events == [Write(7, b"ab"), Write(0, b"\0\0"), Flush(), Length(4)]
    assert file.pending == [Length(4)]
    assert applied(BEFORE, file.events) == file.data
