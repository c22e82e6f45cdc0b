"""A good image, and how good images are entered under their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.images.damage.case import Level
from tests.images.image import Block, Built, Image, Layout, dynamic
from tests.images.structures import MIB, UNMAPPED, ZERO

Make = Callable[[], Image | Layout]

LAST = (1 << 64) - 1
JUNK = b"\xa5" * 4096


@dataclass(frozen=True)
class Good:
    """One image that must be accepted; `findings` must be mentioned at this level."""

    name: str
    description: str
    make: Make
    findings: dict[str, Level]

    @property
    def verdict(self) -> str:
        """What `check` has to conclude: clean or warnings."""
        return "warnings" if "warning" in self.findings.values() else "clean"

    def layout(self) -> Layout:
        """Return its layout."""
        made = self.make()
        return made.layout() if isinstance(made, Image) else made

    def build(self) -> Built:
        """Return the image with its model."""
        return self.layout().build()


GOODS: dict[str, Good] = {}


def good(**findings: Level) -> Callable[[Make], Make]:
    """Enter a function into `GOODS`; keywords are rules with _ for -, as in HDR_06='note'."""

    def enter(make: Make) -> Make:
        name = str(getattr(make, "__name__", "")).replace("_", "-")
        if name in GOODS:
            raise ValueError(f"two good images are called {name}")
        rules = {rule.replace("_", "-"): level for rule, level in findings.items()}
        GOODS[name] = Good(name, (make.__doc__ or "").strip(), make, rules)
        return make

    return enter


def small(**fields: object) -> Image:
    values: dict[str, object] = {
        "blocks": {0: Block(), 1: Block(ZERO), 2: Block(), 6: Block(UNMAPPED)}
    }
    return dynamic(8 * MIB, **(values | fields))
