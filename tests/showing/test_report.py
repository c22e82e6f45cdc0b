"""A long log is cut where nobody reads on, and what is replayed is cut last."""

from __future__ import annotations

from typing import Any

from vhdx_kaitai.showing.report import MOST_CHANGES, MOST_ENTRIES, shorten_log


def log(entries: int, active: int, changes: int) -> dict[str, Any]:
    return {
        "entries": [{"offset": n, "active": n >= entries - active} for n in range(entries)],
        "more_entries": 5,
        "replay": {"changes": list(range(changes))} if active else None,
    }


def test_a_short_log_stays_as_it_is() -> None:
    document = log(MOST_ENTRIES, 3, MOST_CHANGES)
    assert list(shorten_log(document)) == []
    assert document == log(MOST_ENTRIES, 3, MOST_CHANGES)


def test_entries_that_are_not_replayed_are_left_out_first() -> None:
    document = log(MOST_ENTRIES + 10, 3, 1)
    assert list(shorten_log(document)) == [("10 entries of the log", f"{MOST_ENTRIES} are listed")]
    assert document["more_entries"] == 15
    offsets = [entry["offset"] for entry in document["entries"]]
    assert offsets == [*range(MOST_ENTRIES - 3), *range(MOST_ENTRIES + 7, MOST_ENTRIES + 10)]


def test_changes_are_left_out_from_the_end() -> None:
    document = log(1, 1, MOST_CHANGES + 2)
    (told,) = shorten_log(document)
    assert told[0] == "2 of the changes that the replay makes"
    assert document["replay"]["changes"] == list(range(MOST_CHANGES))
