"""Records are what named tuples of `typing` are; nobody sees a difference but in time."""

from __future__ import annotations

import copy
import inspect
import pickle
import typing
from collections.abc import Callable
from typing import Any

import pytest

from vhdx_kaitai import records
from vhdx_kaitai.format.structures import RegionEntry
from vhdx_kaitai.guids import BAT_REGION


class Ours(records.NamedTuple):
    """A record."""

    first: int
    second: str = "b"

    @property
    def both(self) -> str:
        return f"{self.first}{self.second}"


class Theirs(typing.NamedTuple):
    """A record."""

    first: int
    second: str = "b"

    @property
    def both(self) -> str:
        return f"{self.first}{self.second}"


def test_a_record_is_what_typing_makes_of_it() -> None:
    ours, theirs = Ours(1), Theirs(1)
    assert tuple(ours) == tuple(theirs)
    assert (ours.both, ours._asdict()) == (theirs.both, theirs._asdict())
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    for name in ("__doc__", "__module__", "_fields", "_field_defaults"):
        assert getattr(Ours, name) == getattr(Theirs, name)
    assert isinstance(ours, tuple)
    assert ours._replace(second="c") == (1, "c")


@pytest.mark.parametrize(
    "made",
    [
        lambda kind: kind(1, "c"),
        lambda kind: kind(1, second="c"),
        lambda kind: kind(second="c", first=1),
        lambda kind: kind(first=1),
        lambda kind: kind._make([1, "c"]),
        lambda kind: kind(1)._replace(first=2, second="d"),
        lambda kind: copy.copy(kind(1)),
        lambda kind: kind(1).__match_args__,
        lambda kind: [str(one) for one in inspect.signature(kind).parameters],
        lambda kind: [one.default for one in inspect.signature(kind).parameters.values()],
    ],
)
def test_a_record_takes_what_typing_takes(made: Callable[[Any], object]) -> None:
    assert made(Ours) == made(Theirs)


@pytest.mark.parametrize(
    "made",
    [
        lambda kind: kind(),
        lambda kind: kind(second="c"),
        lambda kind: kind(1, "c", 3),
        lambda kind: kind(1, first=1),
        lambda kind: kind(1, third=3),
        lambda kind: kind(1, "c", second="c"),
        lambda kind: kind._make([1, "c", 3]),
        lambda kind: kind(1)._replace(third=3),
        lambda kind: setattr(kind(1), "first", 2),
        lambda kind: setattr(kind(1), "third", 2),
    ],
)
def test_a_record_refuses_what_typing_refuses(made: Callable[[Any], object]) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)) as theirs:
        made(Theirs)
    with pytest.raises(theirs.type):
        made(Ours)


def test_a_record_is_pickled_by_its_name() -> None:
    entry = RegionEntry(BAT_REGION, 3 << 20, 1 << 20, 1)
    again = pickle.loads(pickle.dumps(entry))
    assert (type(again), again) == (RegionEntry, entry)
