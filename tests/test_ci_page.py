"""The workflow of docs/ci.md is YAML, and what it runs works on a repository with images."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.images.chain import chain
from tests.showing.test_sarif import validator
from tests.support import ROOT, damaged, good
from tests.test_documents import blocks

(TEXT,) = blocks("yaml", (ROOT / "docs" / "ci.md").read_text(encoding="utf-8"))
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["check"]["steps"]
COMMANDS = [step["run"] for step in STEPS if "run" in step]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    chain(2).write(tmp_path)
    (tmp_path / "data").mkdir()
    good("dirty-everything").write(tmp_path / "data" / "dirty.vhdx")
    good("header-2-missing").write(tmp_path / "data" / "warned.vhdx")
    return tmp_path


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a step as a runner does, which ends with the first command that fails."""
    scripts = str(Path(sys.executable).parent)
    env = dict(os.environ, PATH=f"{scripts}{os.pathsep}{os.environ['PATH']}")
    argv = ["bash", "-e", "-o", "pipefail", "-c", command]
    return subprocess.run(
        argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_it_runs_for_pull_requests_that_change_images_and_may_upload() -> None:
    on = WORKFLOW[True]  # which is what YAML 1.1 makes of `on`
    assert on["pull_request"]["paths"] == ["**.vhdx", "**.avhdx"]
    assert WORKFLOW["permissions"]["security-events"] == "write"
    uses = [step["uses"].partition("@")[0] for step in STEPS if "uses" in step]
    assert uses == ["actions/checkout", "actions/setup-python", "github/codeql-action/upload-sarif"]
    upload = STEPS[-1]
    assert upload["if"] == "${{ !cancelled() }}"
    assert COMMANDS[-1].split()[-1] == upload["with"]["sarif_file"]


def test_it_installs_the_package_and_runs_two_commands() -> None:
    assert [command.split()[0] for command in COMMANDS] == ["pip", "vhdx-kaitai", "jq"]
    assert COMMANDS[0] == "pip install vhdx-kaitai"


def test_images_that_are_in_order_pass(repository: Path) -> None:
    done = run(COMMANDS[1], repository)
    assert done.returncode == 0
    assert re.fullmatch(r"vhdx-kaitai: \S+/warned.vhdx: usable, with warnings: .*\n", done.stderr)
    assert done.stdout.startswith("4 images: 3 clean, 1 usable, with warnings\n")


@pytest.mark.parametrize("what", ["corrupt", "parent"])
def test_what_is_wrong_fails_the_check_and_is_an_alert(what: str, repository: Path) -> None:
    if what == "corrupt":
        damaged("bat-state-4").write(repository / "data" / "new.vhdx")
        expected = {("data/new.vhdx", "BAT-03"), ("data/warned.vhdx", "HDR-02")}
    else:
        (repository / "base.vhdx").unlink()
        expected = {("child1.vhdx", "CHAIN-10"), ("data/warned.vhdx", "HDR-02")}
    done = run(COMMANDS[1], repository)
    assert done.returncode == {"corrupt": 2, "parent": 1}[what]
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    assert run(COMMANDS[2], repository).returncode == 0
    document = json.loads((repository / "github.sarif").read_text())
    assert not list(validator().iter_errors(document))
    places = {
        (place["artifactLocation"]["uri"], result["ruleId"])
        for result in document["runs"][0]["results"]
        if result["level"] != "note"
        for place in [result["locations"][0]["physicalLocation"]]
        if place["region"] == {"startLine": 1}
    }
    assert places == expected
