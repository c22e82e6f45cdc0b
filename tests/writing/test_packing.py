"""Blocks go from the end of a file into its holes, and nowhere else."""

from __future__ import annotations

import random

import pytest

from vhdx_kaitai.writing.packing import Piece, packing

HEAD = [(0, 4)]


def pieces_at(*places: int, length: int = 1) -> list[Piece]:
    return [Piece(place, length, number, False) for number, place in enumerate(places)]


def test_the_last_block_goes_into_the_first_hole() -> None:
    found = packing(pieces_at(5, 8, 10), HEAD)
    assert found.end == 11
    assert [(move.piece.place, move.to, move.end) for move in found.moves] == [
        *((10, 4, 9), (8, 6, 7)),
    ]
    assert (found.last_end, found.free) == (7, [])


def test_what_is_packed_stays() -> None:
    found = packing(pieces_at(6, 4, 5), HEAD)
    assert (found.moves, found.end, found.last_end, found.free) == ([], 7, 7, [])


def test_a_file_without_blocks_ends_after_what_is_fixed() -> None:
    found = packing([], [(0, 4), (9, 12)])
    assert (found.moves, found.end, found.free) == ([], 12, [(4, 9)])


def test_nothing_moves_when_what_is_last_is_fixed() -> None:
    found = packing(pieces_at(6, 8), [(0, 4), (9, 12)])
    assert (found.moves, found.last_end) == ([], 12)
    assert found.free == [(4, 6), (7, 8)]


def test_sector_bitmaps_fill_what_is_too_small_for_payload() -> None:
    blocks = [Piece(6, 4, 0, False), Piece(15, 4, 1, False)]
    bitmap = Piece(19, 1, 0, True)
    found = packing([*blocks, bitmap], HEAD)
    assert [(move.piece, move.to) for move in found.moves] == [(bitmap, 4), (blocks[1], 10)]
    assert (found.last_end, found.free) == (14, [(5, 6)])


@pytest.mark.parametrize("seed", range(60))
def test_nothing_overlaps_at_any_moment_and_the_last_block_fits_nowhere(seed: int) -> None:
    chance = random.Random(seed)
    length = chance.choice((1, 2, 3, 8))
    at, fixed, pieces = 4, [*HEAD], []
    for number in range(chance.randrange(1, 40)):
        at += chance.choice((0, 0, 1, 2, length, 3 * length))
        kind = chance.randrange(6)
        size = 1 if kind < 2 else length
        if kind == 0:
            fixed.append((at, at + size))
        else:
            pieces.append(Piece(at, size, number, kind == 1))
        at += size
    found = packing(pieces, fixed)
    taken = {unit: None for start, end in fixed for unit in range(start, end)}
    taken |= {unit: None for piece in pieces for unit in range(piece.place, piece.end)}
    ever = dict(taken)
    for piece, to, end in found.moves:
        assert to + piece.length <= piece.place
        assert not set(range(to, to + piece.length)) & ever.keys()  # nor what a move has freed
        for unit in range(piece.length):
            del taken[piece.place + unit]
            taken[to + unit] = ever[to + unit] = None
        assert max(taken) + 1 == end
    assert found.last_end == max(taken) + 1
    free = {unit for start, end in found.free for unit in range(start, end)}
    assert free == set(range(found.last_end)) - taken.keys()
    moved = {piece.number: to for piece, to, _ in found.moves}
    last = max(pieces, key=lambda p: moved.get(p.number, p.place), default=None)
    if last and last.number not in moved and last.end == found.last_end:
        assert all(end - start < last.length for start, end in found.free)


def test_very_many_blocks_take_no_time() -> None:
    count = 200_000
    found = packing(pieces_at(*range(4, 4 + 2 * count, 2)), HEAD)
    assert len(found.moves) == count // 2 - 1 or len(found.moves) == count // 2
    assert found.last_end == 4 + count
