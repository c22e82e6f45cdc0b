"""For every rule that is checked, one image that breaks it, and what a check has to say then.

The images are damages, good images that show a habit of some producer, and chains, all of them by
name, and a few that are too large to be damages. A finding has to carry the rule, the level and the
message word for word; numbers in messages are those that the builder put into the image, or left
there. `besides` holds what cannot but break along with it.
"""

from __future__ import annotations

from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Layout

from . import blocks, chain, header_section, locator, log, metadata
from .case import Example
from .limits import OWN_LIMITS

__all__ = ["EXAMPLES", "OWN_LIMITS", "Example", "layout_of"]

EXAMPLES = [
    *header_section.EXAMPLES,
    *metadata.EXAMPLES,
    *locator.EXAMPLES,
    *log.EXAMPLES,
    *blocks.EXAMPLES,
    *chain.EXAMPLES,
]


def layout_of(name: str) -> Layout:
    """Return the image of an example that is no chain."""
    case = DAMAGES.get(name) or GOODS.get(name)
    return case.layout() if case else OWN_LIMITS[name]()
