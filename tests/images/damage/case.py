"""A damage, and how damages are entered under their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.images.bases import BASES
from tests.images.image import Built, Layout

Level = Literal["error", "warning", "note"]
Refusal = Literal["open", "read", "check"]
Apply = Callable[[Layout], None]


@dataclass(frozen=True)
class Damage:
    """One thing wrong with one image, the rules it breaks and what a reader has to do."""

    name: str
    description: str
    base: str
    apply: Apply
    rules: tuple[str, ...]
    level: Level
    refusal: Refusal | None
    visible: tuple[str, ...]
    read_at: int | None = None

    @property
    def main_rule(self) -> str:
        """The rule it is about."""
        return self.rules[0]

    @property
    def open_refuses(self) -> bool:
        """Whether opening the file must raise."""
        return self.refusal == "open"

    def layout(self) -> Layout:
        """Return the damaged layout, the file as long as the good one."""
        layout = BASES[self.base]()
        if layout.file_length is None:
            layout.file_length = layout.pack().length
        self.apply(layout)
        return layout

    def build(self) -> Built:
        """Return the damaged image; its model holds for warnings and notes only."""
        return self.layout().build()


DAMAGES: dict[str, Damage] = {}


def damage(
    *rules: str,
    level: Level = "error",
    base: str = "dynamic",
    refusal: Refusal = "open",
    visible: tuple[str, ...] | None = None,
    read_at: int | None = None,
    name: str | None = None,
) -> Callable[[Apply], Apply]:
    """Enter a function into `DAMAGES`; its docstring says what is wrong."""

    def enter(apply: Apply) -> Apply:
        title = name or str(getattr(apply, "__name__", "")).replace("_", "-")
        if title in DAMAGES:
            raise ValueError(f"two damages are called {title}")
        shown = visible
        if shown is None:
            shown = ("LOG-31",) if "LOG-31" in rules[1:] else rules[:1]
        DAMAGES[title] = Damage(
            name=title,
            description=(apply.__doc__ or "").strip(),
            base=base,
            apply=apply,
            rules=rules,
            level=level,
            refusal=refusal if level == "error" else None,
            visible=shown,
            read_at=read_at,
        )
        return apply

    return enter


def enter(name: str, description: str, apply: Apply, *rules: str, **fields: object) -> None:
    """Enter one of a family of damages."""

    def named(layout: Layout) -> None:
        apply(layout)

    named.__doc__ = description
    damage(*rules, name=name, **fields)(named)  # type: ignore[arg-type]
