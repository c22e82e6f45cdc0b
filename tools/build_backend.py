"""Build sdists and wheels that depend on nothing but the files of the tree and the tools.

Setuptools makes them, and takes more from the machine: modes from the umask, owners from the user,
times from the clock, and files from what an earlier build left. All of that is set right here.
Every time is that of SOURCE_DATE_EPOCH, or else one date for ever: the tree of an sdist does not
know its last commit. pyproject.toml names this module as the build backend of PEP 517.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import time
import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = dict[str, str | list[str] | None] | None

_SOME_DATE = 1577836800  # 2020-01-01; a zip file knows no date before 1980


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Build an sdist and return its name."""
    _forget_earlier_builds()
    name: str = build_meta.build_sdist(sdist_directory, config_settings)
    normalize_sdist(Path(sdist_directory, name))
    return name


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel and return its name."""
    _forget_earlier_builds()
    name: str = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    normalize_wheel(Path(wheel_directory, name))
    return name


def normalize_sdist(path: Path) -> None:
    """Rewrite a packed tar file with modes, owners and times that are the same everywhere."""
    rewritten = path.with_name(f"{path.name}.new")
    with (
        tarfile.open(path, "r:gz") as old,
        rewritten.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=_epoch()) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old, key=lambda member: member.name):
            entry = tarfile.TarInfo(member.name)  # knows of no owner
            entry.type, entry.size, entry.mtime = member.type, member.size, _epoch()
            entry.mode = _mode(member.mode, is_folder=member.isdir())
            new.addfile(entry, old.extractfile(member) if member.isfile() else None)
    rewritten.replace(path)


def normalize_wheel(path: Path) -> None:
    """Rewrite a zip file with modes and times that are the same everywhere."""
    rewritten = path.with_name(f"{path.name}.new")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(rewritten, "w") as new:
        for member in old.infolist():
            entry = zipfile.ZipInfo(member.filename, time.gmtime(_epoch())[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix: the modes are its
            mode = _mode(member.external_attr >> 16, is_folder=member.is_dir())
            entry.external_attr = (stat.S_IFREG | mode) << 16
            new.writestr(entry, old.read(member))
    rewritten.replace(path)


def _epoch() -> int:
    return int(os.environ.get("SOURCE_DATE_EPOCH", _SOME_DATE))


def _mode(mode: int, *, is_folder: bool) -> int:
    return 0o755 if is_folder or mode & stat.S_IXUSR else 0o644


def _forget_earlier_builds() -> None:
    """Remove what setuptools would take files and names from: its own folders in the tree."""
    for pattern in ("build/lib", "build/bdist.*", "*.egg-info"):
        for path in Path().glob(pattern):
            shutil.rmtree(path)
