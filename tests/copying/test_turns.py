"""Two threads take turns at pieces, of which small ones are copied together."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.structures import KIB, MIB
from vhdx_kaitai.copying.turns import by_two, together


class Piece(NamedTuple):
    number: int
    length: int


def pieces_of(lengths: list[int]) -> list[Piece]:
    return [Piece(number, length) for number, length in enumerate(lengths)]


@given(st.lists(st.sampled_from([512, 4 * KIB, 500 * KIB, MIB, 64 * MIB]), max_size=100))
def test_as_many_are_together_as_fit_into_a_buffer(lengths: list[int]) -> None:
    pieces = pieces_of(lengths)
    batches = list(together(pieces))
    assert [piece for batch in batches for piece in batch] == pieces
    for batch, following in pairwise([*batches, pieces_of([64 * MIB])]):
        length = sum(piece.length for piece in batch)
        assert length <= MIB or len(batch) == 1
        assert len(batch) <= 16
        assert length + following[0].length > MIB or len(batch) == 16


def test_what_came_before_an_error_is_copied() -> None:
    def pieces() -> Iterator[Piece]:
        yield from pieces_of([512, 512])
        raise ValueError("no more")

    batches = together(pieces())
    assert next(batches) == pieces_of([512, 512])
    with pytest.raises(ValueError, match="no more"):
        next(batches)


def test_what_is_done_in_its_turn_is_in_order() -> None:
    chance = random.Random(1)
    batches = together(pieces_of([chance.choice([512, MIB]) for _ in range(300)]))
    placed, told = list[int](), list[int]()

    def copy(batch: list[Piece], _buffer: memoryview, turn: AbstractContextManager[None]) -> int:
        time.sleep(chance.random() * 1e-3)
        with turn:
            placed.extend(piece.number for piece in batch)
        return batch[-1].number + 1

    by_two(lambda _buffer: next(batches, None), copy, told.append)
    assert placed == list(range(300))
    assert told == sorted(told)
