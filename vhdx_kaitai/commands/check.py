"""`check`: every rule of the format, on every byte that it is about."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from itertools import islice

from ..checking.chain import check
from ..checking.findings import Report
from ..copying.files import refuse_image, refuse_same, refuse_to_replace, write_file
from ..rules import catalogue
from ..showing.document import json_text
from ..showing.findings import check_document, check_text
from ..showing.rules import rule_text, rules_document, rules_text
from .arguments import (
    Parser,
    add_files,
    add_force,
    add_parents,
    first_about_parents,
    parent_options,
)
from .output import complain, print_colored, print_document, print_lines, tell_unused
from .several import each
from .status import CORRUPT, DONE, FAILED, NOT_VHDX, USAGE, WARNINGS, status_of, worst
from .streams import write

_EPILOG = """\
with --quiet: a line for each file whose exit status is not 0, none for others

exit status:
  0 clean   3 usable, with warnings   2 corrupt: a rule refuses
  63 not a VHDX file   1 failed (I/O, permission, unsupported), or a parent
  that was asked for cannot be had
  64 usage   130 interrupted   141 the pipe's reader is gone
  of several files the worst counts, in the order 1, 2, 63, 3, 0
"""
_WORDS = {
    DONE: "clean",
    WARNINGS: "usable, with warnings",
    CORRUPT: "corrupt",
    NOT_VHDX: "not VHDX",
    FAILED: "not read, not checked wholly, or without a parent",
}


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_files(command, "*")
    command.add_argument("--json", action="store_true", help="print a JSON document for each file")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--rules", action="store_true", help="list all rules and their status")
    form.add_argument("--explain", metavar="RULE", help="say what a rule is about")
    command.add_argument("--sarif", metavar="OUT", help="write SARIF 2.1.0, too; - to stdout")
    add_force(command)
    command.add_argument(
        "--ignore", metavar="RULE", action="append", default=[], help="a rule that does not count"
    )
    command.add_argument(
        "--all-findings",
        action="store_true",
        help="list all findings of a rule, up to 131072, and not only the first 20",
    )
    command.add_argument(
        "--chain", action="store_true", help="check the parents, too; any option about them does"
    )
    command.add_argument(
        "--skeleton",
        action="store_true",
        help="blocks may lie past the end, unused bytes do not count: for metadata dumps",
    )
    add_parents(command)
    command.epilog = _EPILOG
    command.set_defaults(indent=None)


def run(arguments: argparse.Namespace) -> int:
    """Check files, or say what the rules are."""
    if arguments.rules:
        return _list_rules(arguments)
    if arguments.explain is not None:
        return _explain(arguments)
    if not arguments.files:
        return _wrong("check: no FILE given")
    if arguments.json and arguments.sarif == "-":
        return _wrong("check: --json and --sarif - both want standard output")
    ignored = [rule.upper() for rule in arguments.ignore]
    for rule, name in zip(ignored, arguments.ignore, strict=True):
        if rule not in catalogue():
            return _wrong(f"no rule {name}; check --rules lists them")
    if arguments.sarif not in (None, "-"):
        refuse_image(arguments.sarif)
        refuse_to_replace(arguments.sarif, arguments.force)
    results: list[Report] = []
    status = each(arguments, lambda one: _check_file(one, ignored, results), _WORDS)
    tell_unused(arguments, [result.unused for result in results])
    if arguments.sarif is not None:
        _write_sarif(arguments, [part for result in results for part in result.reports])
    return status


def _wrong(message: str) -> int:
    complain(None, message)
    return USAGE


def _list_rules(arguments: argparse.Namespace) -> int:
    rules = catalogue().values()
    if arguments.json:
        print_document(rules_document(rules))
    else:
        print_lines(rules_text(rules))
    return DONE


def _explain(arguments: argparse.Namespace) -> int:
    rule = catalogue().get(arguments.explain.upper())
    if rule is None:
        return _wrong(f"no rule {arguments.explain}; check --rules lists them")
    if arguments.json:
        print_document(rules_document([rule]))
    else:
        print_lines(rule_text(rule))
    return DONE


def _check_file(arguments: argparse.Namespace, ignored: list[str], results: list[Report]) -> int:
    """Check one file, print what was found, and return the exit status that stands for it."""
    with_parents = arguments.chain or first_about_parents(arguments) is not None
    result = check(
        arguments.file,
        chain=with_parents and not arguments.no_parent,
        skeleton=arguments.skeleton,
        ignore=ignored,
        all_findings=arguments.all_findings,
        **parent_options(arguments),
    )
    results.append(result)
    for part in result.reports:
        path = part.path or arguments.file
        if arguments.json:
            print_document(check_document(part, path), indent=None)
        elif arguments.sarif != "-":
            lines: Iterable[str] = check_text(part, path)
            if arguments.quiet:  # the line with the verdict comes first
                lines = islice(lines, 1 if _status_of(part) else 0)
            print_colored(arguments, lines)
    return worst(map(_status_of, result.reports))


def _status_of(report: Report) -> int:
    return status_of(report.verdict, is_incomplete=report.is_incomplete)


def _write_sarif(arguments: argparse.Namespace, reports: list[Report]) -> None:
    from ..showing.sarif import sarif_document  # takes time, and few ask for it

    text = json_text(sarif_document(reports), indent=2) + "\n"
    if arguments.sarif == "-":
        write(text)
    else:
        for report in reports:
            if report.path is not None:
                why = "is a file that was checked, and cannot be the report, too"
                refuse_same(report.path, arguments.sarif, why)
        write_file(arguments.sarif, text.encode(), replace=arguments.force)
