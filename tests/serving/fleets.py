"""A fleet of small images of every kind, and what has to be said of each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.images.chain import chain
from tests.support import damaged, good

GOOD = ("dynamic-plain", "fixed-plain", "dynamic-empty", "sectors-of-4096", "dirty-everything")
WARNED = ("header-2-missing",)
DAMAGED = ("version-2", "bat-state-4", "log-checksum-wrong", "block-size-3-mib")


class Expected(NamedTuple):
    """What the maker of an image knows of its record.

    Attributes:
        verdict: None when the image cannot be looked at.
        error_type: Why not.
        data_write_guid: None when nobody can say it.
    """

    verdict: str | None
    error_type: str | None = None
    data_write_guid: str | None = None


Fleet = dict[str, Expected]


def make_fleet(folder: Path, count: int) -> Fleet:
    """Write a fleet of `count` images and return what has to be said of each, by path."""
    fleet: Fleet = {}
    number = 0
    while len(fleet) < count:
        group = folder / f"group-{number:02}"
        group.mkdir(parents=True)
        fleet |= _group(group)
        number += 1
    for path in list(fleet)[count:]:
        del fleet[path]
    return fleet


def _group(folder: Path) -> Fleet:
    """Write one image of each kind, and a chain of three."""
    fleet: Fleet = {}
    for names, verdict in ((GOOD, "clean"), (WARNED, "warnings")):
        for name in names:
            built = good(name)
            path = built.write(folder / f"{name}.vhdx")
            guid = str(built.model.current_header.data_write_guid)
            fleet[str(path)] = Expected(verdict, None, guid)
    for name in DAMAGED:
        path = damaged(name).write(folder / f"{name}.vhdx")
        fleet[str(path)] = Expected("corrupt")
    made = chain(3).write(folder)
    for path, built in zip(made.paths, made.images, strict=True):
        guid = str(built.model.current_header.data_write_guid)
        fleet[str(path)] = Expected("clean", None, guid)
    other = folder / "other.vhdx"
    other.write_bytes(b"conectix" + bytes(4096))
    fleet[str(other)] = Expected("not-vhdx")
    pipe = folder / "pipe.vhdx"
    os.mkfifo(pipe)
    fleet[str(pipe)] = Expected(None, "OSError")
    gone = folder / "gone.vhdx"
    shutil.copyfile(other, gone)
    gone.unlink()  # it was there when the folder was listed
    fleet[str(gone)] = Expected(None, "FileNotFoundError")
    return fleet


def assert_told(records: Iterable[dict[str, Any]], fleet: Fleet) -> None:
    """Show that there is one record for each image of a fleet, and what it has to say."""
    found = {record["path"]: record for record in records}
    assert sorted(found) == sorted(fleet)
    for path, expected in fleet.items():
        record = found[path]
        assert record["verdict"] == expected.verdict, path
        assert record["error_type"] == expected.error_type, path
        assert (record["error_message"] is None) == (expected.error_type is None)
        if expected.data_write_guid is not None:
            assert record["data_write_guid"] == expected.data_write_guid


def timeless(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records without the time that they took, in the order of the paths."""
    plain = [{**record, "seconds": 0} for record in records]
    return sorted(plain, key=lambda record: str(record["path"]))
