"""What a check of many things tells: findings, some of which stand for others, and sentences."""

from __future__ import annotations

from typing import TypeAlias

from ..errors import Finding
from ..records import NamedTuple


class Several(NamedTuple):
    """A finding that stands for others like it.

    Attributes:
        finding: The finding.
        more: How many others.
    """

    finding: Finding
    more: int


class Skipped(NamedTuple):
    """Something that was not checked.

    Attributes:
        what: What.
        why: Why not.
    """

    what: str
    why: str


class Sentence(NamedTuple):
    """What broken rules mean together.

    Attributes:
        text: The sentence.
        rules: The rules; when none of them counts, nor does the sentence.
    """

    text: str
    rules: tuple[str, ...]


Told: TypeAlias = Finding | Several | Skipped | Sentence
