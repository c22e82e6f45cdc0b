"""`info`: what an image is, on one screen."""

from __future__ import annotations

import argparse

from ..errors import VhdxError
from ..format.judge import Assumable
from ..reading.image import Image
from ..records import TYPE_CHECKING
from ..showing.document import plain_message
from ..showing.info import add_links, add_parent, info_document, info_text
from .arguments import (
    Parser,
    add_assumptions,
    add_files,
    add_json,
    add_parents,
    assumable,
    first_about_parents,
    parent_options,
)
from .output import print_lines, print_result, tell_assumed, tell_unused
from .running import tell_failure
from .several import each
from .status import CORRUPT, DONE, FAILED, NOT_VHDX

if TYPE_CHECKING:
    from ..showing.document import Document

_WORDS = {
    DONE: "described",
    CORRUPT: "corrupt",
    NOT_VHDX: "not VHDX",
    FAILED: "failed",
}


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_files(command, "+")
    add_json(command)
    command.add_argument(
        "--allocation",
        action="store_true",
        help="count blocks by state, and bytes; reads the whole BAT",
    )
    command.add_argument(
        "--zeros",
        action="store_true",
        help="and bytes of stored blocks that are all zeros; reads the data",
    )
    command.add_argument("--chain", action="store_true", help="the parents, too")
    add_parents(command)
    add_assumptions(command)


def run(arguments: argparse.Namespace) -> int:
    """Describe images one after the other."""
    arguments.shown, arguments.unused = [], []
    status = each(arguments, _describe, _WORDS)
    tell_unused(arguments, arguments.unused)
    return status


def _describe(arguments: argparse.Namespace) -> int:
    """Describe an image, or all of its chain."""
    if arguments.chain:
        return _describe_chain(arguments)
    with Image(arguments.file, assumable=_assumable(arguments)) as image:
        tell_assumed(image.assumed)
        document = _document_of(arguments, image, arguments.file)
        is_wanted = image.locator is not None or first_about_parents(arguments) is not None
        if is_wanted and not arguments.no_parent:
            _describe_parent(arguments, image, document)
    _print(arguments, document)
    return DONE


def _document_of(arguments: argparse.Namespace, image: Image, path: str) -> Document:
    if not arguments.zeros:
        return info_document(image, path, allocation=arguments.allocation)
    from .progress import progress  # to read all data takes longer

    with progress(arguments, image.source.size) as done:
        return info_document(image, path, allocation=True, zeros=done)


def _assumable(arguments: argparse.Namespace) -> Assumable:
    return Assumable(
        identifier=arguments.assume_vhdx,
        headers=arguments.assume_header,
        regions=arguments.assume_regions,
        bat=arguments.assume_bat,
        as_stored=arguments.as_stored,
    )


def _describe_parent(arguments: argparse.Namespace, image: Image, document: Document) -> None:
    """Look for the parent and say in the document what was found; none is no failure."""
    from ..reading.links import Sought, Terms, assumed_of, find_parent  # most have no parent

    linkage = assumable(arguments)["linkage"]
    sought = Sought.of(**parent_options(arguments), linkage=linkage)
    # Only the first parent is looked for here, and others may be there.
    levels = 0 if image.locator is None else max(1, len(sought.named))
    arguments.unused.append([*sought.unused(levels)])
    if image.locator is None:
        return
    try:
        parent, link = find_parent(image, sought, Terms(assumable=_assumable(arguments)))
    except (VhdxError, OSError) as error:
        path = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        document["parent"]["error"] = path + plain_message(error)
    else:
        parent.close()
        assumed = [*parent.assumed, *assumed_of(link, image, parent)]
        tell_assumed(assumed)
        add_parent(document, parent.path, link, assumed)


def _describe_chain(arguments: argparse.Namespace) -> int:
    from .disks import open_disk

    wanted = "refuse" if arguments.no_parent else "lost"
    with open_disk(arguments, arguments.file, missing_parent=wanted) as disk:
        arguments.unused.append(disk.unused)
        documents = [
            _document_of(arguments, image, image.path or arguments.file) for image in disk.chain
        ]
        add_links(documents, disk)
    for document in documents[: 1 if arguments.json else None]:  # which has the others
        _print(arguments, document)
    return DONE if disk.missing is None else tell_failure(arguments, disk.missing.error)


def _print(arguments: argparse.Namespace, document: Document) -> None:
    """Print a document or its text, with an empty line between texts."""
    print_lines([""] if arguments.shown and not arguments.json else [])
    print_result(arguments, document, info_text)
    arguments.shown.append(document["path"])
