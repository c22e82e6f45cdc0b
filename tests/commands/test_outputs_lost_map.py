"""The map of what is lost is a file like others: through a link, and over another with --force."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed
from tests.conftest import Files, Run
from tests.support import files_in

WAYS = {
    "map": ["map", "IMAGE"],
    "read": ["read", "IMAGE", "-o", "RAW"],
    "convert": ["convert", "IMAGE", "RAW"],
    "hash": ["hash", "IMAGE"],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_link_stays_and_what_it_leads_to_is_written(
    way: str, files: Files, tmp_path: Path, run: Run
) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"before")
    real.chmod(0o604)
    link.symlink_to("real")
    names = {"IMAGE": files.good("odd-sectors"), "RAW": tmp_path / "raw"}
    words = [names.get(word, word) for word in WAYS[way]]
    outcome = run(*words, "--lost-map", link)
    assert outcome.out == ""
    assert_failed(outcome, 1, f"{link}: ", "--force")
    assert real.read_bytes() == b"before"
    assert run(*words, "--lost-map", link, "--force").status == 0
    assert os.readlink(link) == "real"
    assert real.stat().st_mode & 0o777 == 0o604
    assert real.read_bytes().startswith(b"# Mapfile ")
    assert files_in(tmp_path) - {"raw"} == {"real", "link"}


@pytest.mark.parametrize("way", ["read", "convert"])
def test_the_map_is_not_written_over_the_disk(
    way: str, files: Files, tmp_path: Path, run: Run
) -> None:
    """Which would be lost with that, whatever its name is."""
    raw, link = tmp_path / "raw", tmp_path / "link"
    link.symlink_to("raw")
    names = {"IMAGE": files.good("odd-sectors"), "RAW": raw}
    words = [names.get(word, word) for word in WAYS[way]]
    for name in (raw, link):
        outcome = run(*words, "--lost-map", name, "--force")
        assert_failed(outcome, 1, f"{raw}: is the output, and cannot be the map, too")
    assert files_in(tmp_path) == {"link"}
