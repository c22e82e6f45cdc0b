"""The command lines of nbdkit and nbdfuse, and what is said when these are missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.serving import nbdkit
from vhdx_kaitai.serving.nbdkit import (
    PLUGIN,
    environment,
    mounting,
    refuse_without,
    serving,
    socket_uri,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no nbdkit for it")


def pretend(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the only program there is be one that prints something."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("program", "debian", "fedora"),
    [
        ("nbdkit", "nbdkit nbdkit-plugin-python", "nbdkit nbdkit-python-plugin"),
        ("nbdfuse", "libnbd-bin fuse3", "nbdfuse fuse3"),
    ],
)
def test_a_program_that_is_missing_is_told_with_what_to_install(
    program: str, debian: str, fedora: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError) as caught:
        refuse_without(program)
    assert str(caught.value) == (
        f"{program} is not installed: `apt install {debian}`, or on Fedora `dnf install {fedora}`"
    )


def test_an_nbdkit_without_python_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, "nbdkit", "exit 1", monkeypatch)
    with pytest.raises(UnsupportedError, match="runs no plugins in Python: `apt install nbdkit "):
        refuse_without("nbdkit")


@pytest.mark.parametrize("version", ["3.10.9", "3.9.2", "2.7.18"])
def test_an_nbdkit_with_an_old_python_is_told(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path, "nbdkit", f"echo python_version={version}", monkeypatch)
    with pytest.raises(UnsupportedError, match=r"expected 3\.11 or later"):
        refuse_without("nbdkit")


@pytest.mark.parametrize("version", ["3.11.2", "3.13.0", "4.0.0"])
def test_a_python_that_is_new_enough_will_do(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path, "nbdkit", f"echo python_version={version}", monkeypatch)
    refuse_without("nbdkit")


def test_the_plugin_finds_this_package_and_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = environment()
    folders = [Path(folder) for folder in found["PYTHONPATH"].split(os.pathsep)]
    assert any((folder / "vhdx_kaitai" / "serving" / "plugin.py").exists() for folder in folders)
    assert any((folder / "kaitaistruct.py").exists() for folder in folders)
    assert "PYTHONHOME" not in found
    assert "/elsewhere" not in found["PYTHONPATH"]


def test_options_are_words_and_lists_are_several() -> None:
    options = {"parent": ["a", "b"], "search": [], "replay": "ignore", "resolve_parents": False}
    assert serving("disk.vhdx", options, "--port", "1", partition=2) == [
        *("nbdkit", "--exit-with-parent", "--threads", "2", "--port", "1", "--read-only"),
        *("--filter=partition",),
        *("python", PLUGIN, "file=disk.vhdx", "parent=a", "parent=b", "replay=ignore"),
        *("resolve_parents=false", "partition=2"),
    ]
    assert "--read-only" not in serving("disk.vhdx", {"writable": True})


def test_a_name_that_nbdkit_does_not_take_is_refused() -> None:
    assert "file=dïsk.vhdx" in serving("dïsk.vhdx", {})
    with pytest.raises(UnsupportedError, match="names that are not UTF-8"):
        serving(os.fsdecode(b"d\xffsk.vhdx"), {})


def test_nbdfuse_starts_nbdkit() -> None:
    words = mounting("/folder/disk.img", ["nbdkit", "-s"], "--readonly")
    assert words == ["nbdfuse", "--readonly", "/folder/disk.img", "--command", "nbdkit", "-s"]


def test_the_name_of_a_socket_is_quoted_in_its_uri() -> None:
    assert socket_uri("/a b/c&d?e") == "nbd+unix:///?socket=/a%20b/c%26d%3Fe"
    assert nbdkit.port_uri(1) == "nbd://127.0.0.1:1"
