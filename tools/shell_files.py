"""Man pages, and completion for shells, from the parser of the command line.

The build backend runs this with the package that goes into a wheel.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap

import shtab

from vhdx_kaitai import __version__
from vhdx_kaitai.commands.main import COMMANDS, CommandParser, build_parser
from vhdx_kaitai.copying.digest import ALGORITHMS
from vhdx_kaitai.rules import catalogue

# What stands for the names of files and folders, in options and without.
_FILES = {"file", "files", "from_file", "other", "output", "parent", "sarif", "lost_map", "socket"}
_FOLDERS = {"search", "folder"}


def shell_files() -> dict[str, str]:
    """Return all texts, by their names below the folder `share`."""
    name, parser, _ = loaded_parser()
    files = {
        f"bash-completion/completions/{name}": _completion(parser, "bash"),
        f"zsh/site-functions/_{name}": _completion(parser, "zsh"),
    }
    name, parser, commands = loaded_parser()  # whose options are as they were
    pages = [f"{name}-{command}" for command in commands]
    files[f"man/man1/{name}.1"] = man_page(parser, name, parser.description or "", pages)
    for page, (command, parser_of_one) in zip(pages, commands.items(), strict=True):
        files[f"man/man1/{page}.1"] = man_page(parser_of_one, page, COMMANDS[command], [name])
    return dict(sorted(files.items()))


def loaded_parser() -> tuple[str, argparse.ArgumentParser, dict[str, CommandParser]]:
    """Return the name of the program, its parser, and those of its commands, with all options."""
    parser = build_parser()
    commands = {
        name: command
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, command in action.choices.items()
    }
    for command in commands.values():
        command.load()
    return parser.prog, parser, commands


# --- Completion ---


def _completion(parser: argparse.ArgumentParser, shell: str) -> str:
    for action in _actions(parser):
        if action.dest in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.dest in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.dest in _known_words():
            action.choices = _known_words()[action.dest]
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield what a parser and those of its commands take."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action


def _known_words() -> dict[str, list[str]]:
    rules = [*catalogue()]
    return {"explain": rules, "ignore": rules, "topic": [*COMMANDS], "algorithm": [*ALGORITHMS]}


# --- Man pages ---


def man_page(parser: argparse.ArgumentParser, name: str, about: str, others: Sequence[str]) -> str:
    """Return the page of the program or of a command.

    It has no date: the same tree makes the same page on every day.

    Args:
        parser: Its parser.
        name: Name of the page.
        about: What it does, in a line.
        others: Pages to see, too.
    """
    text, _, statuses = (parser.epilog or "").partition("exit status:\n")
    lines = [f'.TH {_escaped(name.upper())} 1 "" "vhdx\\-kaitai {__version__}"']
    lines += [".SH NAME", *_wrapped(f"{name} - {about}")]
    lines += [".SH SYNOPSIS", *_wrapped(" ".join(parser.format_usage().split()[1:]))]
    for group in parser._action_groups:
        if group._group_actions:
            lines.append(f".SH {_escaped((group.title or '').upper())}")
            lines += [line for action in group._group_actions for line in _about(action)]
    for title, paragraph in (("NOTES", text), ("EXIT STATUS", statuses)):
        if paragraph.strip():
            rows = (_escaped(line.strip()) for line in paragraph.strip().splitlines())
            lines += [f".SH {title}", ".nf", *rows, ".fi"]
    lines += [".SH SEE ALSO", *(f".BR {_escaped(other)} (1)," for other in others)]
    return "\n".join(lines).removesuffix(",") + "\n"


def _about(action: argparse.Action) -> Iterator[str]:
    """Yield the lines about an argument, or about each command."""
    if isinstance(action, argparse._SubParsersAction):
        for name, help_text in COMMANDS.items():
            yield from (".TP", f"\\fB{name}\\fR", *_wrapped(help_text))
        return
    value = _value_of(action)
    names = [f"\\fB{_escaped(name)}\\fR{value}" for name in action.option_strings]
    yield from (".TP", ", ".join(names) or value.strip(), *_wrapped(_help_of(action)))


def _value_of(action: argparse.Action) -> str:
    """Return what stands for the value of an argument, after a space."""
    if action.nargs == 0:
        return ""
    value = action.metavar or "|".join(map(str, action.choices or ()))
    return f" \\fI{_escaped(str(value))}\\fR"


def _help_of(action: argparse.Action) -> str:
    return (action.help or "").replace("%(prog)s", "vhdx-kaitai").replace("%%", "%")


def _wrapped(text: str) -> list[str]:
    """Return text as lines of which none is taken for a request."""
    lines = wrap(_escaped(text), 76, break_long_words=False, break_on_hyphens=False)
    return [f"\\&{line}" if line[0] in ".'" else line for line in lines]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


def main(folder: str) -> None:
    """Write all files below a folder."""
    for name, text in shell_files().items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
