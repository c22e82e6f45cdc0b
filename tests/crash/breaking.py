"""Tools that break the product on purpose: a flush left out, something done before or after."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeAlias
from unittest.mock import patch

from vhdx_kaitai.writing.session import Session

Patch: TypeAlias = AbstractContextManager[Any]


def around(owner: Any, name: str, new: Callable[..., Any]) -> Patch:
    """Call something else in the place of a function, which is told the old one first."""
    old = getattr(owner, name)

    def function(*arguments: Any, **named: Any) -> Any:
        return new(old, *arguments, **named)

    return patch.object(owner, name, function)


def instead(owner: Any, name: str, new: Any) -> Patch:
    """Have something else in the place of a name."""
    return patch.object(owner, name, new)


def together(*patches: Patch) -> Patch:
    """Break several things at once."""
    stack = ExitStack()
    for each in patches:
        stack.enter_context(each)
    return stack


def callers() -> list[str]:
    """Return the names of the functions that called one that has an `around`, innermost first."""
    names: list[str] = []
    frame = sys._getframe(3)
    while frame.f_back is not None and len(names) < 12:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names


def without_flush(*names: str, when: Callable[[Any], bool] = lambda _: True) -> Patch:
    """Leave out the flush that functions ask for, which believe that it was done.

    Args:
        names: The function that asks for it, the one that called that, and so on.
        when: Tells of the function's `self` whether the flush is left out now.
    """

    def flush(old: Callable[[Session], None], session: Session) -> None:
        frame = sys._getframe(2)
        if callers()[: len(names)] == list(names) and when(frame.f_locals["self"]):
            with patch.object(session.file, "flush", lambda: None):
                old(session)
        else:
            old(session)

    return around(Session, "flush", flush)
