"""Say which casts of vhdx.ksy do nothing: without one of these, no target gets other code.

    python -m tools.casts java -cp 'build/compiler/*' io.kaitai.struct.JavaMain

The arguments are the command of the compiler. Each `.as<...>` is taken out by itself and the
grammar compiled for every target, dozens of grammars at once, which takes minutes. A cast without
which the grammar does not compile is needed, as is one that changes the code; whether the code
would still be right without it is for the conformance kit to say.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

KSY = Path(__file__).parent.parent / "vhdx.ksy"
CAST = re.compile(r"\.as<\w+>")
AT_ONCE = 40  # grammars that one run of the compiler gets


def variants(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield a name, a grammar of this name and the line of the cast that it lacks.

    The first one lacks none; its line is 0.
    """
    places: list[re.Match[str] | None] = [None, *CAST.finditer(text)]
    for number, cast in enumerate(places):
        name = f"vhdxzz{number}zz"
        without = text if cast is None else text[: cast.start()] + text[cast.end() :]
        line = 0 if cast is None else text.count("\n", 0, cast.start()) + 1
        yield name, without.replace("  id: vhdx\n", f"  id: {name}\n", 1), line


def compiled(compiler: list[str], names: list[str], folder: Path) -> dict[str, dict[str, str]]:
    """Return what grammars compile to, by target and file, with the same name for each."""
    sources = [str(folder / f"{name}.ksy") for name in names]
    target = folder / "out"
    command = [*compiler, "-t", "all", "--outdir", str(target), *sources]
    subprocess.run(command, check=False, capture_output=True)
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for path in sorted(target.rglob("*")):
        mark = re.search(r"zz(\d+)zz", str(path))
        if path.is_file() and mark is not None and (name := f"vhdx{mark[0]}") in found:
            text = path.read_text(encoding="utf-8", errors="replace")
            place = str(path.relative_to(target)).lower().replace(mark[0], "")
            found[name][place] = re.sub(mark[0], "", text, flags=re.IGNORECASE)
    return found


def idle(text: str, compiler: list[str]) -> Iterator[int]:
    """Yield the lines of casts without which every target gets the same code."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lines = {}
        for name, grammar, line in variants(text):
            (folder / f"{name}.ksy").write_text(grammar, encoding="utf-8")
            lines[name] = line
        names = list(lines)
        whole = compiled(compiler, names[:1], folder)[names[0]]
        for start in range(1, len(names), AT_ONCE):
            some = compiled(compiler, names[start : start + AT_ONCE], folder)
            yield from (lines[name] for name, code in some.items() if code == whole)


def main() -> int:
    """Print the idle casts; 1 when there are any."""
    text = KSY.read_text(encoding="utf-8")
    count = 0
    for line in idle(text, sys.argv[1:]):
        code = text.splitlines()[line - 1].strip()
        sys.stdout.write(f"vhdx.ksy:{line}: a cast that changes nothing: {code}\n")
        count += 1
    sys.stdout.write(f"{count} of {len(CAST.findall(text))} casts change nothing\n")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
