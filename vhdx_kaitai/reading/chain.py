"""Images that are each the parent of the one before: what has to fit, and what may be missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..errors import (
    Assumption,
    Finding,
    FormatError,
    ParentMismatchError,
    ParentNotFoundError,
    ReplayRequiredError,
    Span,
    VhdxError,
    Where,
    mismatch,
    mismatched_text,
    refuse,
)
from ..format.locator import PATH_KEYS, Locator, is_absolute
from ..records import NamedTuple
from ..storage.source import SourceLike
from ..storage.urls import shown
from ..text import quoted
from .image import Image
from .links import Link, Sought, Terms, assumed_of, find_parent
from .parents import Candidate, leads_to

MAX_CHAIN_LENGTH = 256  # ours, and that of others


class Chain(NamedTuple):
    """An image and its parents.

    Attributes:
        images: The image, its parent, and so on.
        links: How each parent was found.
        assumed: What was taken for granted of how they belong together.
        missing: Why the parent of the last image cannot be had, which the caller puts up
            with: what would have been raised; None when nothing is missing.
    """

    images: list[Image]
    links: list[Link]
    assumed: list[Assumption]
    missing: Exception | None


def open_chain(
    source: SourceLike,
    sought: Sought,
    terms: Terms,
    *,
    resolve_parents: bool = True,
    may_lack: bool = False,
) -> Chain:
    """Return an image with all its parents.

    Args:
        source: The image.
        sought: Where parents are looked for.
        terms: How images are opened.
        resolve_parents: Whether parents are looked for.
        may_lack: Whether a parent may be missing.

    The errors are those of `open_disk`.
    """
    images = [Image(source, replay=terms.replay, assumable=terms.assumable)]
    links: list[Link] = []
    assumed: list[Assumption] = []
    missing: Exception | None = None
    try:
        while images[-1].locator is not None and missing is None:
            if not (resolve_parents or may_lack):
                break
            try:
                if not resolve_parents:
                    raise ParentNotFoundError("no parent was looked for, as was asked for")
                parent, link = _next_parent(images, sought, terms)
            except (VhdxError, OSError) as error:
                if not may_lack or _is_of_the_caller(error, sought, len(images) - 1):
                    raise
                missing = error
            else:
                assumed += assumed_of(link, images[-1], parent)
                images.append(parent)
                links.append(link)
    except BaseException:
        for image in images:
            image.close()
        raise
    return Chain(images, links, assumed, missing)


def _next_parent(chain: Sequence[Image], sought: Sought, terms: Terms) -> tuple[Image, Link]:
    """Return the parent of the last image of a chain, which fits, and how it was found."""
    parent, link = find_parent(chain[-1], sought, terms, len(chain) - 1)
    try:
        refuse(check_link([*chain, parent]))
    except BaseException:
        parent.close()
        raise
    return parent, link


def _is_of_the_caller(error: Exception, sought: Sought, depth: int) -> bool:
    """Tell whether an error is about what the caller wants, and not about what is missing."""
    is_mistyped = isinstance(error, OSError) and sought.name_at(depth) is not None
    return is_mistyped or isinstance(error, ReplayRequiredError)


def why_missing(child: Image, error: Exception) -> Finding:
    """Return what is wrong with the parent of an image, given what was raised for it."""
    rule, message = "CHAIN-10", str(error)
    if isinstance(error, ParentMismatchError):
        rule = "CHAIN-01"
    elif isinstance(error, OSError):
        message = f"{error.filename}: {error.strerror}" if error.filename else message
    elif isinstance(error, FormatError) and error.path:
        message = f"{error.path}: {error}"
    return Finding(rule, "error", Span(f"parent of {child.path or 'the image'}"), message)


def check_link(chain: Sequence[Image]) -> Iterator[Finding]:
    """Yield what forbids the last image of a chain as the parent of the one before it."""
    child, parent = chain[-2:]
    place = Span(f"parent {parent.path or 'in memory'}")
    if any(parent.stored.is_same_file(other.stored) for other in chain[:-1]):
        yield Finding("CHAIN-06", "error", place, "is in the chain already, expected no cycle")
    if len(chain) > MAX_CHAIN_LENGTH:
        expected = f"at most {MAX_CHAIN_LENGTH} (our limit)"
        yield mismatch("CHAIN-06", "limit", place, "length of the chain", str(len(chain)), expected)
    own, theirs = child.metadata.logical_sector_size, parent.metadata.logical_sector_size
    if own != theirs:
        expected = f"{own} as in its child"
        yield mismatch("CHAIN-02", "error", place, "LogicalSectorSize", str(theirs), expected)


def check_likeness(chain: Sequence[Image]) -> Iterator[Finding]:
    """Yield what is unusual about the last image of a chain as the parent of the one before it."""
    child, parent = (image.metadata for image in chain[-2:])
    place = Span(f"parent {chain[-1].path or 'in memory'}")
    if child.virtual_disk_size != parent.virtual_disk_size:
        actual = f"{parent.virtual_disk_size} bytes"
        expected = f"{child.virtual_disk_size} as in its child; past its end are zeros"
        yield mismatch("CHAIN-04", "note", place, "VirtualDiskSize", actual, expected)
    if child.virtual_disk_id != parent.virtual_disk_id:
        expected = f"{child.virtual_disk_id} as in its child"
        yield mismatch(
            "CHAIN-05", "note", place, "VirtualDiskId", str(parent.virtual_disk_id), expected
        )


def check_way(
    locator: Locator, folder: str, path: str, tried: Iterable[Candidate], place: Where
) -> Iterator[Finding]:
    """Yield what is wrong with the paths of a locator, given the parent that was found.

    Where absolute paths lead depends on the machine, so only the relative one
    can be called stale. Nothing is looked up in the file system for that.

    Args:
        locator: The locator of the child.
        folder: Folder of the child, or its URL.
        path: Path or URL of the parent in use.
        tried: Candidates that were tried, or passed over, before it was found.
        place: The parent.
    """
    for candidate in tried:
        if candidate.path is None:
            message = f"{candidate.key} {quoted(shown(candidate.text))} was not followed: it "
            reason = candidate.reason or ""
            message += reason if reason.startswith("leads") else f"is {reason}"
            yield Finding("CHAIN-07", "note", place, message)
    relative = locator.entries.get(PATH_KEYS[0])
    if relative is not None and not is_absolute(relative):
        names = re.split(r"[\\/]", relative)
        if not leads_to(folder, names, path):
            expected = "a path to the parent in use"
            name = PATH_KEYS[0]
            yield mismatched_text("LOC-21", "note", place, name, relative, expected)
