"""What a release is made by: links that lead to the repository, and a workflow that can be run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support import ROOT, tool
from vhdx_kaitai import __version__

LINKS = tool("release_links")
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
ADDRESS = "https://example.org/owner/name"


def test_links_of_a_released_readme_lead_to_its_tag() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    released = LINKS.absolute(page, f"{ADDRESS}/blob/v1")
    links = re.findall(r"\]\(([^)]+)\)", released)
    assert all(link.startswith("https://") for link in links)
    ours = [link for link in links if link.startswith(ADDRESS)]
    assert len(ours) > 20
    for link in ours:
        path = link.removeprefix(f"{ADDRESS}/blob/v1/").partition("#")[0]
        assert (ROOT / path).is_file(), link


def test_metadata_of_a_release_name_the_repository() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    urls = tomllib.loads(LINKS.with_urls(project, ADDRESS, "v1"))["project"]["urls"]
    assert urls["Homepage"] == ADDRESS
    assert urls["Changelog"] == f"{ADDRESS}/blob/v1/CHANGELOG.md"
    assert urls.keys() > tomllib.loads(project)["project"]["urls"].keys()
    with pytest.raises(ValueError, match="no table"):
        LINKS.with_urls("[project]\n", ADDRESS, "v1")


def test_the_workflow_is_one_and_runs_what_there_is() -> None:
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["needs"] == "build"
    runs = [step["run"] for step in jobs["build"]["steps"] if "run" in step]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake (\w+)", " ".join(runs)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for module in re.findall(r"-m (tools\.\w+)", " ".join(runs)):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    assert "bash .ci/run" in runs


def test_the_version_has_its_heading_in_the_changelog() -> None:
    headings = re.findall(r"^## (.*)$", Path(ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0].split(" ")[0] == __version__
