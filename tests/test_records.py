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


class Many(records.NamedTuple):
    """A record."""

    first: int
    second: str = "b"

    @property
    def both(self) -> str:
        return f"{self.first}{self.second}"


for _ in range(1000):
    Many(1)


class Theirs(typing.NamedTuple):
    """A record."""

    first: int
    second: str = "b"

    @property
    def both(self) -> str:
        return f"{self.first}{self.second}"


@pytest.fixture(params=[Ours, Many])
def kind(request: pytest.FixtureRequest) -> Any:
    """A record of which few were made, and one of which many were."""
    return request.param


def test_a_record_is_what_typing_makes_of_it(kind: Any) -> None:
    ours, theirs = kind(1), Theirs(1)
    assert tuple(ours) == tuple(theirs)
    assert (ours.both, ours._asdict()) == (theirs.both, theirs._asdict())
    assert repr(ours) == repr(theirs).replace("Theirs", kind.__name__)
    for name in ("__doc__", "__module__", "_fields", "_field_defaults"):
        assert getattr(kind, name) == getattr(Theirs, name)
    assert ours._replace(second="c") == (1, "c")
    assert isinstance(ours, tuple)


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
def test_a_record_takes_what_typing_takes(made: Callable[[Any], object], kind: Any) -> None:
    assert made(kind) == made(Theirs)


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
def test_a_record_refuses_what_typing_refuses(made: Callable[[Any], object], kind: Any) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)) as theirs:
        made(Theirs)
    # For a field that is not there Python raises a TypeError from 3.13 on, a ValueError before.
    with pytest.raises(
        AttributeError if theirs.type is AttributeError else (TypeError, ValueError)
    ):
        made(kind)


class Below(Ours):
    """What has the fields of a record, and more to say of them."""

    @property
    def twice(self) -> str:
        return 2 * self.both


def test_what_is_made_of_a_record_has_its_fields() -> None:
    for number in range(100):  # of which the first are few, and the last many
        below = Below(number, second="c")
        assert (below, below.twice) == ((number, "c"), f"{number}c{number}c")
        assert type(pickle.loads(pickle.dumps(below))) is Below
    assert repr(Below(1)) == "Below(first=1, second='b')"


def test_what_is_made_of_a_record_of_which_there_are_many_has_its_fields_too() -> None:
    class Latest(Many):
        """Made when the other one had its own function already."""

    for number in range(100):
        assert Latest(number, second="c") == (number, "c")
    with pytest.raises(TypeError):
        Latest()  # type: ignore[call-arg]


def test_a_record_is_pickled_by_its_name() -> None:
    entry = RegionEntry(BAT_REGION, 3 << 20, 1 << 20, 1)
    for _ in range(100):  # of which the first are few, and the last many
        again = pickle.loads(pickle.dumps(entry))
        assert (type(again), again) == (RegionEntry, entry)


def test_a_record_has_as_many_fields_as_it_says() -> None:
    make: Any = type(Ours)
    fields: dict[str, object] = {f"field_{number}": int for number in range(17)}
    with pytest.raises(ValueError, match="zip"):
        make("Long", (records.NamedTuple,), {"__annotations__": fields})
