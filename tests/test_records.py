"""Records are what named tuples of `typing` are; nobody sees a difference but in time."""

from __future__ import annotations

import pickle
import typing

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


def test_a_record_is_pickled_by_its_name() -> None:
    entry = RegionEntry(BAT_REGION, 3 << 20, 1 << 20, 1)
    again = pickle.loads(pickle.dumps(entry))
    assert (type(again), again) == (RegionEntry, entry)
