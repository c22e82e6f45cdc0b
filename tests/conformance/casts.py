"""Which casts of the grammar do nothing: each is left out, and the kit asked what comes of it.

    python -m tests.conformance.casts [--languages go,java,rust] [--below TYPE]

A cast is needed when a parser does not compile without it, or says something else. What is left
out for Go fails at once, so it comes first; a cast that all languages can do without is idle.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from . import kit

# Those in which computed numbers have a width. Others have no use for a cast.
LANGUAGES = ("go", "java", "rust", "cpp", "csharp")

# Needed where no image of the kit is large enough to show it: log entries of more than 2 GiB.
UNSEEN = ("? header.num_descriptors.as<s8>",)

_CAST = re.compile(r"\.as<s[48]>")


class Cast(NamedTuple):
    """A cast.

    Attributes:
        start: Where it begins in the text of the grammar.
        end: Where it ends.
        line: The line that it stands in, from 1.
        what: What is cast, and the cast.
    """

    start: int
    end: int
    line: int
    what: str


def casts(text: str) -> Iterator[Cast]:
    """Yield the casts of a grammar that the kit can judge, in order; those in words are none."""
    for found in _CAST.finditer(text):
        number = text.count("\n", 0, found.start()) + 1
        first = text.rindex("\n", 0, found.start()) + 1
        what = text[first : found.end()].strip()
        if "`" not in what and not what.endswith(UNSEEN):
            yield Cast(*found.span(), number, what)


def without(text: str, cast: Cast) -> str:
    """Return a grammar without a cast."""
    return text[: cast.start] + text[cast.end :]


def needed_by(text: str, languages: Sequence[str], folder: Path) -> str | None:
    """Return the first language in which a grammar does not do what it has to; None if all do.

    Args:
        text: The grammar.
        languages: Languages whose tools are here.
        folder: Where it is compiled.
    """
    ksy = folder / "vhdx.ksy"
    ksy.write_text(text, encoding="utf-8")
    for language in languages:
        runner = kit.Runner(language, ksy, folder)
        try:
            runner.prepare()
        except kit.KitError:
            return language
        if any(kit.judge(runner.check(kit.vectors()), kit.deviations(language), kit.vectors())):
            return language
    return None


def main() -> int:
    """Say of each cast what needs it; 1 when one is idle."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--languages", default=",".join(LANGUAGES), help="asked in this order")
    parser.add_argument("--below", default="", help="only casts whose line has this text")
    options = parser.parse_args()
    wanted = options.languages.split(",")
    languages = [name for name in wanted if not kit.Runner(name).missing]
    print(f"asked: {', '.join(languages) or 'no language'}", flush=True)
    text, idle = kit.KSY.read_text(encoding="utf-8"), 0
    with tempfile.TemporaryDirectory() as name:
        if languages and needed_by(text, languages, Path(name)) is not None:
            print("the kit is red already")
            return 2
        for cast in casts(text):
            if options.below in cast.what and languages:
                reason = needed_by(without(text, cast), languages, Path(name))
                idle += reason is None
                print(f"{cast.line}: {cast.what}: {reason or 'IDLE'}", flush=True)
    print(f"{idle} idle")
    return min(idle, 1)


if __name__ == "__main__":
    sys.exit(main())
