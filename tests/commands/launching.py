"""What tests of commands share: processes of their own, documents, what people are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.conftest import Outcome
from tests.support import assert_valid

VHDX_KAITAI = [sys.executable, "-m", "vhdx_kaitai"]


def launch(
    *arguments: object, stdout: Any = subprocess.PIPE, **fields: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [*VHDX_KAITAI, *map(str, arguments)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=fields.pop("cwd", "/"),
        env=os.environ | fields.pop("env", {}),
        timeout=60,
        **fields,
    )


def document_of(outcome: Outcome, schema: str) -> Any:
    """Return the document that a command printed, after its schema was asked."""
    document = json.loads(outcome.out)
    assert_valid(document, schema)
    return document


def assert_one_line(err: str) -> None:
    """Show that a person gets one line, and no traceback."""
    assert err.startswith("vhdx-kaitai: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert err[:-1].isprintable()


HEAVY = ("numpy", "rich", "kaitaistruct", "vhdx_kaitai.generated.vhdx")


def imported(*arguments: object, cwd: Path, modules: Iterable[str] = HEAVY) -> set[str]:
    """Return which of some modules a command has imported."""
    script = (
        "import sys, vhdx_kaitai.commands.main\n"
        "try: status = vhdx_kaitai.commands.main.main(sys.argv[1:])\n"
        "except SystemExit as end: status = end.code or 0\n"
        f"sys.stderr.write(repr([name for name in {[*modules]!r} if name in sys.modules]))\n"
        "sys.exit(status)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
    )
    assert ended.stdout
    names: set[str] = set(eval(ended.stderr))
    return names


GRAMMAR = {"kaitaistruct", "vhdx_kaitai.generated.vhdx"}
