"""An example of a broken rule."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS


class Example(NamedTuple):
    """A rule and an image that breaks it.

    Attributes:
        rule: The rule.
        image: Name of the image.
        level: What it amounts to; a limit is one of our own and no fault of the image.
        message: What a finding says, `{folder}` standing for where a chain lies.
        besides: Other rules that are broken then.
    """

    rule: str
    image: str
    level: Literal["error", "warning", "note", "limit"]
    message: str
    besides: tuple[str, ...] = ()

    @property
    def is_chain(self) -> bool:
        """Whether the image is a chain of several."""
        return self.image in CHAIN_DAMAGES or self.image in GOOD_CHAINS
