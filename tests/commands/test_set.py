"""`vhdx-kaitai set`: says what it changes, and changes that."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed, document_of
from tests.conftest import Run
from tests.images.chain import chain
from tests.images.image import DISK_ID
from tests.support import damaged, good

NEW_ID = "12345678-9abc-4def-8123-456789abcdef"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return good("dynamic-plain").write(tmp_path / "disk.vhdx")


def id_of(path: Path) -> UUID:
    with vhdx_kaitai.open(path) as disk:
        return disk.virtual_disk_id


def test_it_says_what_it_has_changed(path: Path, run: Run) -> None:
    outcome = run("set", path, "--disk-id", NEW_ID, "--physical-sector-size", "512")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"{path}: changed",
        f"  identity of the disk: {DISK_ID} -> {NEW_ID}",
        "  physical sectors: 4096 bytes -> 512 bytes",
    ]
    assert id_of(path) == UUID(NEW_ID)
    again = run("set", path, "--disk-id", NEW_ID)
    assert again.out == f"{path}: it is so already, and nothing was changed\n"


def test_a_dry_run_changes_nothing_and_documents_say_so(path: Path, run: Run) -> None:
    before = path.read_bytes()
    outcome = run("set", path, "--disk-id", "new", "--dry-run")
    assert outcome.out.startswith(f"{path}: nothing was changed (--dry-run); this would be\n")
    told = document_of(run("set", path, "--disk-id", NEW_ID, "--dry-run", "--json"), "changed")
    assert path.read_bytes() == before
    done = document_of(run("set", path, "--disk-id", NEW_ID, "--json"), "changed")
    assert told["changes"] == done["changes"]
    assert (told["dry_run"], told["changed"], told["verdict"]) == (True, False, None)
    assert (done["dry_run"], done["changed"], done["verdict"]) == (False, True, "clean")
    assert done["locked"]


def test_new_identities_are_different(path: Path, run: Run) -> None:
    seen = {id_of(path)}
    for _ in range(3):
        assert run("set", path, "--disk-id", "new").status == 0
        seen.add(id_of(path))
    assert len(seen) == 4


def test_what_is_refused_stays_as_it_is(tmp_path: Path, run: Run) -> None:
    made = chain(2).write(tmp_path)
    outcome = run("set", made.paths[0], "--disk-id", "new")
    assert_failed(outcome, 1, f"{made.paths[0]}: 1 child of it", "--force")
    assert run("set", made.paths[0], "--disk-id", "new", "--force").status == 0
    broken = damaged("bat-reserved-bit-low").write(tmp_path / "broken.vhdx")
    before = broken.read_bytes()
    assert_failed(run("set", broken, "--disk-id", "new"), 2, "BAT-02")
    assert broken.read_bytes() == before


def test_something_has_to_be_set(path: Path, run: Run) -> None:
    assert run("set", path).status == 64
    assert run("set", path, "--disk-id", "x").status == 64
    assert run("set", path, "--physical-sector-size", "1024").status == 64
