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
from tests.reading_fixtures import Row
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


HEAVY = ("numpy", "kaitaistruct", "vhdx_kaitai.generated.vhdx")


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


def row_of(entry: dict[str, Any]) -> Row:
    """Return an entry of `map --json` as the model would say it."""
    kind = "data" if entry["data"] else "zero" if entry["zero"] else "parent"
    place = entry.get("offset")
    return entry["start"], entry["length"], entry["state"], entry["depth"], place, kind


def assert_maps(outcome: Outcome, expected: list[Row]) -> None:
    """Show that a map has these extents, and is what its schema says."""
    assert (outcome.status, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert_valid(document[:300], "map")
    assert [row_of(entry) for entry in document] == expected
    for entry in document:
        assert entry["present"] == (entry["data"] or entry["state"] != "not_present")
        assert ("offset" in entry) == entry["data"]


def assert_failed(outcome: Outcome, status: int, *parts: str) -> None:
    """Show that a command ended with a status and one line that says why."""
    assert outcome.status == status
    assert_one_line(outcome.err)
    for part in parts:
        assert part in outcome.err


def without_losses(outcome: Outcome) -> Outcome:
    """Return an outcome without the first line of several, which says that blocks are lost."""
    first, *rest = outcome.err.splitlines(keepends=True)
    assert first.endswith("(`check` says which)\n")
    return outcome._replace(err="".join(rest))
