"""The Kaitai Struct compiler, as `make` fetches it, for tests that compile the grammar."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT


def run(
    *command: str | Path, cwd: Path = ROOT, umask: int = -1
) -> subprocess.CompletedProcess[str]:
    """Run a command; MAKEFLAGS would tie it to the `make` that runs the tests.

    Python looks into the folder it starts in, as it does for users.
    """
    environment = {
        key: value
        for key, value in os.environ.items()
        if "MAKE" not in key and key != "PYTHONSAFEPATH"
    }
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        check=False,
        umask=umask,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def fetched_compiler() -> Path:
    """Have `make` fetch the compiler, or skip; on a CI machine it has to be there."""
    missing = [tool for tool in ("make", "java", "mvn") if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"compiling the grammar takes {' and '.join(missing)}")
    fetched = run("make", "compiler")
    if fetched.returncode and not os.environ.get("CI"):
        pytest.skip(f"the compiler cannot be fetched: {fetched.stdout.strip().splitlines()[-1]}")
    assert fetched.returncode == 0, fetched.stdout
    return ROOT / "build" / "compiler"


def compile_grammar(compiler: Path, folder: Path, *options: str) -> None:
    """Compile vhdx.ksy into a folder."""
    java = ("env", "-u", "JAVA_TOOL_OPTIONS", "java", "-cp", f"{compiler}/*")
    compiled = run(*java, "io.kaitai.struct.JavaMain", *options, "--outdir", folder, "vhdx.ksy")
    assert compiled.returncode == 0, compiled.stdout
