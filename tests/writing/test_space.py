"""Free space is given out once, and only when nobody needs what was there any more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.structures import MIB
from vhdx_kaitai.writing import space as module
from vhdx_kaitai.writing.space import Room, Space


def test_old_space_comes_before_new_and_only_new_reads_as_zeros() -> None:
    space = Space([(4, 6), (8, 9)], 20)
    assert space.take(2) == Room(4, is_new=False)
    assert space.take(2) == Room(20, is_new=True)
    assert space.take(1) == Room(8, is_new=False)
    assert space.take(1) == Room(22, is_new=True)
    assert space.end == 23


def test_what_is_given_back_is_free_when_that_is_on_the_medium() -> None:
    space = Space([], 20)
    space.give_back(4, 2)
    assert space.take(2) == Room(20, is_new=True)
    space.settle()
    assert space.take(2) == Room(4, is_new=False)


def test_what_was_never_referred_to_is_free_at_once_but_not_new_again() -> None:
    space = Space([], 20)
    room = space.take(2)
    space.put_back(room, 2)
    assert space.take(2) == Room(20, is_new=False)


def test_pieces_become_one() -> None:
    space = Space([(4, 6)], 20)
    assert space.take(4).is_new
    space.give_back(6, 2)
    space.settle()
    assert space.take(4) == Room(4, is_new=False)


def test_the_end_goes_back_over_what_was_appended_and_given_back() -> None:
    space = Space([(18, 20)], 20)
    assert space.used_end == 20
    one, two = space.take(3), space.take(3)
    assert space.used_end == 26
    space.give_back(one.offset, 3)
    space.settle()
    assert space.used_end == 26
    space.put_back(two, 3)
    assert space.used_end == 20  # what the file had when it was opened stays


def test_space_that_is_being_read_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = {(1, 1)}
    monkeypatch.setattr(module, "reads_elsewhere", lambda: frozenset(reads))
    space = Space([], 20)
    space.give_back(4, 2)
    space.settle()
    reads |= {(1, 2)}
    assert space.take(2).is_new
    reads -= {(1, 1)}  # those that have begun since then know nothing of it
    assert not space.take(2).is_new


@given(st.lists(st.tuples(st.sampled_from(["take", "put", "give", "settle"]), st.integers(1, 3))))
def test_no_byte_is_ever_given_out_twice(steps: list[tuple[str, int]]) -> None:
    space, length = Space([(2 * MIB, 9 * MIB), (11 * MIB, 12 * MIB)], 14 * MIB), 14
    used = {*range(2), *range(9, 11), *range(12, 14)}
    rooms: list[tuple[Room, int]] = []
    waiting: set[int] = set()
    for step, count in steps:
        if step == "take":
            room = space.take(count * MIB)
            taken = set(range(room.offset // MIB, room.offset // MIB + count))
            assert not taken & (used | waiting)
            assert room.is_new == (min(taken) >= length)
            length = max(length, max(taken) + 1)
            used |= taken
            rooms.append((room, count))
        elif step == "settle":
            space.settle()
            waiting = set()
        elif rooms:
            room, count = rooms.pop(0)
            freed = set(range(room.offset // MIB, room.offset // MIB + count))
            used -= freed
            if step == "put":
                space.put_back(room, count * MIB)
            else:
                space.give_back(room.offset, count * MIB)
                waiting |= freed
    assert space.end == length * MIB


def test_the_end_is_lowered_where_nothing_is_used() -> None:
    space = Space([(4 * MIB, 6 * MIB)], 10 * MIB)
    assert space.used_end == 10 * MIB
    space.lower_end(8 * MIB)
    assert space.used_end == 8 * MIB
    space.lower_end(5 * MIB)
    assert space.used_end == 5 * MIB
    space.lower_end(10 * MIB)
    assert space.used_end == 5 * MIB
