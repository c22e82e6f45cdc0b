"""A large fleet, written once for all tests, and what each image of it comes to by itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.serving.fleets import Fleet, assert_told, make_fleet, timeless
from tests.support import assert_valid
from vhdx_kaitai.serving.record import scan_one

COUNT = 500


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return make_fleet(tmp_path_factory.mktemp("fleet"), COUNT)


@pytest.fixture(scope="session")
def expected(fleet: Fleet) -> list[dict[str, Any]]:
    """The records of a fleet, each made by itself, and without the time that it took."""
    records = [scan_one(path) for path in fleet]
    assert_told(records, fleet)
    for record in records:
        assert_valid(record, "scan")
    return timeless(records)
