"""Give a package that is about to be released the address of its repository.

The tree does not know where it is kept. Before a release, links of README.md lead to that place, at
the tag that is released, and the metadata name it:

python -m tools.release_links https://HOST/OWNER/NAME v1.0.0
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
_RELATIVE = re.compile(r"\]\((?!https?://|#)([^)\s]+)\)")


def absolute(page: str, base: str) -> str:
    """Return a page whose links lead to files below an address."""
    return _RELATIVE.sub(lambda link: f"]({base}/{link[1]})", page)


def with_urls(project: str, address: str, tag: str) -> str:
    """Return the text of pyproject.toml with the places that PyPI shows beside a package."""
    blob = f"{address}/blob/{tag}"
    urls = {
        "Homepage": address,
        "Documentation": f"{blob}/docs/getting-started.md",
        "Changelog": f"{blob}/CHANGELOG.md",
        "Issues": f"{address}/issues",
    }
    lines = "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    head = re.compile(r"^\[project\.urls\].*\n", re.MULTILINE)
    if len(head.findall(project)) != 1:
        raise ValueError("pyproject.toml has no table for URLs")
    return head.sub(lambda found: found[0] + lines, project)


def main() -> None:
    """Change README.md and pyproject.toml in their place."""
    parser = argparse.ArgumentParser(description="put links to the repository into a release")
    parser.add_argument("address", help="of the repository, without a slash at its end")
    parser.add_argument("tag", help="which is released")
    arguments = parser.parse_args()
    readme, project = ROOT / "README.md", ROOT / "pyproject.toml"
    base = f"{arguments.address}/blob/{arguments.tag}"
    readme.write_text(absolute(readme.read_text(encoding="utf-8"), base), encoding="utf-8")
    text = with_urls(project.read_text(encoding="utf-8"), arguments.address, arguments.tag)
    project.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
