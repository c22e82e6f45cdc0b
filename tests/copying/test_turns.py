"""Two threads take turns at pieces, and one at a time does many small ones."""

from __future__ import annotations

import random
import threading
import time
from contextlib import AbstractContextManager
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.images.structures import KIB, MIB
from vhdx_kaitai.copying.turns import by_two, together

SMALL = 128 * KIB


class Piece(NamedTuple):
    number: int
    length: int


def pieces_of(lengths: list[int]) -> list[Piece]:
    return [Piece(number, length) for number, length in enumerate(lengths)]


@given(st.lists(st.sampled_from([512, 4 * KIB, SMALL - 512, SMALL, MIB]), max_size=200))
def test_small_pieces_that_follow_each_other_are_together(lengths: list[int]) -> None:
    pieces = pieces_of(lengths)
    batches = list(together(pieces))
    assert [piece for batch in batches for piece in batch] == pieces
    for batch in batches:
        assert all(piece.length < SMALL for piece in batch[:-1])
    for batch in batches[:-1]:
        assert batch[-1].length >= SMALL or sum(piece.length for piece in batch) >= 16 * MIB


def test_not_more_are_held_at_once_than_memory_is_for() -> None:
    batches = list(together(pieces_of([1] * 5000)))
    assert [len(batch) for batch in batches] == [1024] * 4 + [904]


def test_what_is_done_in_its_turn_is_in_order_and_small_pieces_come_one_by_one() -> None:
    chance = random.Random(1)
    pieces = pieces_of([*(chance.choice([512, MIB]) for _ in range(299)), MIB])
    batches = together(pieces)
    placed, at_small, most = [], 0, 0
    lock, threads = threading.Lock(), set[int]()
    told, done = list[int](), list[int]()

    def copy(piece: Piece, _buffer: bytearray, turn: AbstractContextManager[None]) -> int:
        nonlocal at_small, most
        threads.add(threading.get_ident())
        is_small = piece.length == 512
        with lock:
            at_small += is_small
            most = max(most, at_small)
        time.sleep(chance.random() * 1e-3)
        with turn:
            placed.append(piece.number)
        with lock:
            at_small -= is_small
        return piece.number + 1

    by_two(lambda _buffer: next(batches, None), copy, told.append, lambda: done.append(len(placed)))
    assert placed == list(range(300))
    assert len(done) >= len(list(together(pieces)))
    assert most == 1
    assert len(threads) == 2
    assert told == sorted(told)
