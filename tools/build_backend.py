"""Build sdists and wheels that depend on nothing but the files of the tree and the tools.

Setuptools makes them, and takes more from the machine: modes from the umask, owners from the user,
times from the clock, and files from what an earlier build left. All of that is set right here.
Every time is that of SOURCE_DATE_EPOCH, or else one date for ever: the tree of an sdist does not
know its last commit. A wheel gets what `shell_files` makes of the package in it: man pages, and
completion for shells. pyproject.toml names this module as the build backend of PEP 517.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
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

_FOR_WHEELS = ("kaitaistruct", "crc32c")  # what the package imports that is run then
_SOME_DATE = 1577836800  # 2020-01-01; a zip file knows no date before 1980


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what a wheel takes, and an editable install does not."""
    project = tomllib.loads(Path(__file__).parent.with_name("pyproject.toml").read_text())
    imported = [name for name in project["project"]["dependencies"] if name.startswith(_FOR_WHEELS)]
    return [*build_meta.get_requires_for_build_wheel(config_settings), "shtab>=1.7", *imported]


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
    path = Path(wheel_directory, name)
    normalize_wheel(path, shell_files(path))
    return name


def shell_files(wheel: Path) -> dict[str, bytes]:
    """Return man pages and completion as they are installed, made by the package in a wheel."""
    tool = Path(__file__).with_name("shell_files.py")
    with tempfile.TemporaryDirectory() as folder:
        package, made = Path(folder, "package"), Path(folder, "share")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(package)
        # By PYTHONPATH pip leads to what it has put beside this process for the build.
        search = filter(None, [str(package), os.environ.get("PYTHONPATH")])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(search), "COLUMNS": "80"}
        subprocess.run([sys.executable, tool, made], check=True, env=environment)
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(made.rglob("*"))
            if path.is_file()
        }


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


def normalize_wheel(path: Path, more: dict[str, bytes]) -> None:
    """Rewrite a zip file with modes and times that are the same everywhere.

    Args:
        path: The wheel.
        more: Files to add, by where they go to below what Python is installed in.
    """
    rewritten = path.with_name(f"{path.name}.new")
    name = "-".join(path.name.split("-")[:2])  # with the version
    record = f"{name}.dist-info/RECORD"
    added = {f"{name}.data/data/{place}": data for place, data in more.items()}
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(rewritten, "w") as new:
        for member in old.infolist():
            data = old.read(member)
            if member.filename == record:  # the last, which lists all others
                for place, content in added.items():
                    new.writestr(_entry(place, 0o644), content)
                    data += _record_line(place, content)
            mode = _mode(member.external_attr >> 16, is_folder=member.is_dir())
            new.writestr(_entry(member.filename, mode), data)
    rewritten.replace(path)


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.gmtime(_epoch())[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix: the modes are its
    entry.external_attr = (stat.S_IFREG | mode) << 16
    return entry


def _record_line(name: str, content: bytes) -> bytes:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n".encode()


def _epoch() -> int:
    return int(os.environ.get("SOURCE_DATE_EPOCH", _SOME_DATE))


def _mode(mode: int, *, is_folder: bool) -> int:
    return 0o755 if is_folder or mode & stat.S_IXUSR else 0o644


def _forget_earlier_builds() -> None:
    """Remove what setuptools would take files and names from: its own folders in the tree."""
    for pattern in ("build/lib", "build/bdist.*", "*.egg-info"):
        for path in Path().glob(pattern):
            shutil.rmtree(path)
