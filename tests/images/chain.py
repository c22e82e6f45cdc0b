"""Chains: a base and children in one folder, linked as Windows links them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from .dirty import dirty
from .image import (
    Block,
    Built,
    Image,
    Layout,
    differencing,
    dynamic,
    fixed,
    partial,
    windows_locator,
)
from .model import Model
from .structures import (
    FULLY_PRESENT,
    IS_VIRTUAL_DISK,
    MIB,
    NOT_PRESENT,
    UNMAPPED,
    ZERO,
    Locator,
    MetadataItem,
    braced,
)


@dataclass
class Chain:
    """Built images, base first, and where they lie."""

    images: list[Built]
    names: list[str]
    folder: Path | None = None
    missing: frozenset[str] = frozenset()

    @property
    def model(self) -> Model:
        """The virtual disk the newest child shows."""
        return self.images[-1].model

    @property
    def path(self) -> Path:
        """The newest child's file."""
        return self.paths[-1]

    @property
    def paths(self) -> list[Path]:
        """All files, base first."""
        if self.folder is None:
            raise ValueError("the chain was not written")
        return [self.folder / name for name in self.names]

    def write(self, folder: str | os.PathLike[str]) -> Chain:
        """Write every file that is not `missing` into a folder and return the chain."""
        self.folder = Path(folder)
        for image, name in zip(self.images, self.names, strict=True):
            if name not in self.missing:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                image.write(self.folder / name)
        return self


def write_guid(depth: int) -> UUID:
    """Return the DataWriteGuid a chain gives its image at this depth, the base being 0."""
    return UUID(f"da7a{depth:04x}-2222-4222-8222-0123456789ab")


def child_of(parent: Built | Model, name: str = "parent.vhdx", **fields: Any) -> Image:
    """Return a differencing image linked to `parent`, whose file is `name` beside the child's."""
    model = parent.model if isinstance(parent, Built) else parent
    linkage = model.current_header.data_write_guid
    fields.setdefault("locator", windows_locator(linkage, name.replace("/", "\\")))
    return differencing(parent=parent, **fields)


def default_blocks(depth: int, image: Image) -> dict[int, Block]:
    """Return blocks that show every kind of inheritance, different at every depth."""
    per_block = image.block_size // image.logical_sector_size
    cycle = [
        Block(FULLY_PRESENT),
        Block(NOT_PRESENT),
        partial(0, range(3, 9), per_block - 1),
        Block(ZERO),
        Block(UNMAPPED),
        partial(range(depth, per_block, 2)),
        Block(NOT_PRESENT),
    ]
    if not image.has_parent:
        cycle = [Block(FULLY_PRESENT)] * 5 + [Block(NOT_PRESENT), Block(ZERO)]
    total = image.geometry.payload_blocks
    return {number: cycle[(number + 3 * depth) % len(cycle)] for number in range(total)}


def chain(
    depth: int = 2,
    *,
    base: Image | None = None,
    blocks: Callable[[int, Image], dict[int, Block]] | None = default_blocks,
    change: Callable[[int, Image], Image | Layout] | None = None,
    names: list[str] | None = None,
) -> Chain:
    """Return a chain of `depth` files: a base and `depth - 1` children.

    Args:
        depth: Number of files, at least 1.
        base: The oldest image; by default a dynamic one of 8 MiB.
        blocks: Gives the blocks of the image at a depth; None leaves them as they are.
        change: Last word on the description of the image at a depth, its locator included.
        names: File names, base first; by default base.vhdx, child1.vhdx, ...
    """
    files = names or ["base.vhdx", *(f"child{index}.vhdx" for index in range(1, depth))]
    built: list[Built] = []
    for index in range(depth):
        if index == 0:
            image = base or dynamic(8 * MIB)
        else:
            image = child_of(built[-1], files[index - 1], block_size=built[-1].image.block_size)
        image = image.but(
            tag=index + 1,
            data_write_guid=write_guid(index),
            file_write_guid=UUID(f"f11e{index:04x}-1111-4111-8111-0123456789ab"),
        )
        if blocks is not None and not (index == 0 and image.blocks):
            image = image.but(blocks=blocks(index, image))
        built.append((image if change is None else change(index, image)).build())
    return Chain(built, files)


# -- chains by name -----------------------------------------------------------------------------

Outcome = Literal["mismatch", "not found", "refused", "too much"]


@dataclass(frozen=True)
class ChainCase:
    """A chain, the rules it is about, and what opening its newest child comes to.

    `outcome` is None where the chain must open and read as its model says: then `level` is that of
    the finding expected for the first rule, or None. Otherwise opening the chain must raise:
    "mismatch" and "not found" are the two ways in which no parent is accepted, "refused" is any
    other error.
    """

    name: str
    description: str
    make: Callable[[], Chain]
    rules: tuple[str, ...]
    level: str | None
    outcome: Outcome | None

    def build(self) -> Chain:
        """Return the chain, not yet written."""
        return self.make()


GOOD_CHAINS: dict[str, ChainCase] = {}
CHAIN_DAMAGES: dict[str, ChainCase] = {}

ChainMaker = Callable[[], Chain]


def _case(
    *rules: str, level: str | None = None, outcome: Outcome | None = None
) -> Callable[[ChainMaker], ChainMaker]:
    def enter(make: ChainMaker) -> ChainMaker:
        name = make.__name__.strip("_").replace("_", "-")
        text = (make.__doc__ or "").strip()
        registry = GOOD_CHAINS if outcome is None else CHAIN_DAMAGES
        registry[name] = ChainCase(name, text, make, rules, level, outcome)
        return make

    return enter


def _with(change: Callable[[Locator], object], depth: int = 2) -> Chain:
    """Return a chain whose newest child has its locator changed."""

    def apply(index: int, image: Image) -> Image:
        if index == depth - 1 and image.locator is not None:
            change(image.locator)
        return image

    return chain(depth, change=apply)


@_case()
def _three_levels() -> Chain:
    """A base and two children, every state over every other."""
    return chain(3)


@_case()
def _eight_levels() -> Chain:
    """A base and seven children."""
    return chain(8, base=dynamic(4 * MIB))


@_case("CHAIN-12")
def _fixed_base() -> Chain:
    """The base is fixed."""
    return chain(3, base=fixed(4 * MIB, blocks={0: Block()}))


@_case()
def _sectors_of_4096() -> Chain:
    """Base and child have sectors of 4096 bytes."""
    return chain(2, base=dynamic(8 * MIB, logical_sector_size=4096))


@_case("CHAIN-11")
def _other_block_sizes() -> Chain:
    """Base, child and grandchild have blocks of 4, 1 and 2 MiB."""
    base = dynamic(8 * MIB, block_size=4 * MIB, blocks={0: Block(), 1: Block()})

    def change(depth: int, image: Image) -> Image:
        image = image.but(block_size=(4 * MIB, MIB, 2 * MIB)[depth])
        return image if depth == 0 else image.but(blocks=default_blocks(depth, image))

    return chain(3, base=base, blocks=None, change=change)


@_case("CHAIN-04", level="note")
def _child_larger_than_parent() -> Chain:
    """The child was enlarged; past the parent's end it reads zeros."""
    base = dynamic(3 * MIB + 512, blocks={number: Block() for number in range(4)})

    def change(depth: int, image: Image) -> Image:
        return image.but(virtual_disk_size=6 * MIB, blocks={5: Block()}) if depth else image

    return chain(2, base=base, change=change)


@_case("CHAIN-04", level="note")
def _child_smaller_than_parent() -> Chain:
    """The child was made smaller."""

    def change(depth: int, image: Image) -> Image:
        return image.but(virtual_disk_size=2 * MIB, blocks={1: partial(1)}) if depth else image

    return chain(2, change=change)


@_case("CHAIN-05", level="note")
def _other_disk_id() -> Chain:
    """Child and parent have different Virtual Disk IDs."""

    def change(depth: int, image: Image) -> Image:
        return image.but(virtual_disk_id=UUID(int=depth + 1))

    return chain(2, change=change)


@_case("MET-17", level="note")
def _disk_item_only_in_the_parent() -> Chain:
    """The parent has an item that belongs to the disk, which the child has not."""

    def change(depth: int, image: Image) -> Image:
        item = MetadataItem(UUID(int=7), b"of the disk", IS_VIRTUAL_DISK)
        return image if depth else image.but(items=[item])

    return chain(2, change=change)


@_case("MET-17", level="note")
def _other_physical_sector_size() -> Chain:
    """The child has another PhysicalSectorSize than its parent."""

    def change(depth: int, image: Image) -> Image:
        return image.but(physical_sector_size=512) if depth else image

    return chain(2, change=change)


@_case("LOC-14", "CHAIN-01")
def _linked_by_parent_linkage2() -> Chain:
    """Only parent_linkage2 names the parent's DataWriteGuid."""

    def change(locator: Locator) -> None:
        locator.set("parent_linkage", braced(UUID(int=99)))
        locator.set("parent_linkage2", braced(write_guid(0)))

    return _with(change)


@_case("LOC-15")
def _linkage_in_upper_case() -> Chain:
    """parent_linkage is written in upper case."""
    return _with(lambda locator: locator.set("parent_linkage", braced(write_guid(0)).upper()))


@_case("LOC-21", "LOC-17", level="note")
def _relative_path_stale() -> Chain:
    """relative_path names a file that is gone; the absolute path's last part is beside us."""
    return _with(lambda locator: locator.set("relative_path", ".\\old\\moved.vhdx"))


@_case("CHAIN-07", level="note")
def _paths_lead_out() -> Chain:
    """There are only absolute paths, of which the last part is beside us."""
    return _with(lambda locator: locator.remove("relative_path"))


@_case("LOC-18")
def _parent_in_a_folder_below() -> Chain:
    """The parent lies in a folder below the child's."""
    return chain(2, names=["parents/base.vhdx", "child.vhdx"])


@_case()
def _dirty_parent() -> Chain:
    """The parent's BAT is right only once its log is replayed."""

    def change(depth: int, image: Image) -> Image | Layout:
        return image if depth else dirty(image)

    return chain(2, change=change)


@_case()
def _dirty_child() -> Chain:
    """The child's metadata, locator included, is right only once its log is replayed."""

    def change(depth: int, image: Image) -> Image | Layout:
        return dirty(image, hide=("metadata", "bat")) if depth else image

    return chain(2, change=change)


@_case()
def _headers_of_the_parent_differ() -> Chain:
    """Only the parent's current header carries the DataWriteGuid the child names."""

    def change(depth: int, image: Image) -> Image | Layout:
        if depth:
            return image
        layout = image.layout()
        layout.headers[0].data_write_guid = UUID(int=1)
        return layout

    return chain(2, change=change)


@_case("CHAIN-10", level="error", outcome="not found")
def _parent_missing() -> Chain:
    """The parent's file is not there."""
    made = chain(2)
    made.missing = frozenset({"base.vhdx"})
    return made


@_case("CHAIN-10", level="error", outcome="not found")
def _grandparent_missing() -> Chain:
    """The parent is there, its own parent is not."""
    made = chain(3)
    made.missing = frozenset({"base.vhdx"})
    return made


@_case("CHAIN-01", level="error", outcome="mismatch")
def _linkage_of_another_parent() -> Chain:
    """parent_linkage names a DataWriteGuid the file found does not have."""
    return _with(lambda locator: locator.set("parent_linkage", braced(UUID(int=99))))


@_case("CHAIN-01", "CHAIN-03", level="error", outcome="mismatch")
def _linkage_of_the_old_header() -> Chain:
    """Only the parent's older header carries the DataWriteGuid the child names."""

    def change(depth: int, image: Image) -> Image | Layout:
        if depth:
            locator = image.locator
            assert locator is not None
            locator.set("parent_linkage", braced(UUID(int=1)))
            return image
        layout = image.layout()
        layout.headers[0].data_write_guid = UUID(int=1)
        return layout

    return chain(2, change=change)


@_case("LOC-23", "CHAIN-01", level="error", outcome="mismatch")
def _zero_linkage_and_zero_parent() -> Chain:
    """Parent's DataWriteGuid and child's linkages are all zero, which matches nothing."""

    def change(depth: int, image: Image) -> Image:
        return image if depth else image.but(data_write_guid=UUID(int=0))

    return chain(2, change=change)


@_case("CHAIN-02", level="error", outcome="refused")
def _other_sector_size() -> Chain:
    """The child has sectors of 4096 bytes, the parent of 512."""

    def change(depth: int, image: Image) -> Image:
        return image.but(logical_sector_size=4096, blocks={0: Block()}) if depth else image

    return chain(2, change=change)


@_case("CHAIN-06", level="error", outcome="refused")
def _child_is_its_own_parent() -> Chain:
    """The child's locator leads to the child."""
    locator = windows_locator(write_guid(0), "loop.vhdx")
    image = differencing(4 * MIB, data_write_guid=write_guid(0), locator=locator)
    return Chain([image.build()], ["loop.vhdx"])


@_case("CHAIN-06", level="error", outcome="refused")
def _two_children_of_each_other() -> Chain:
    """Two differencing files name each other as parent."""
    built = []
    for own, other in ((0, 1), (1, 0)):
        locator = windows_locator(write_guid(other), f"loop{other}.vhdx")
        image = differencing(4 * MIB, data_write_guid=write_guid(own), locator=locator)
        built.append(image.build())
    return Chain(built, ["loop0.vhdx", "loop1.vhdx"])


@_case("CHAIN-06", level="limit", outcome="too much")
def _too_deep() -> Chain:
    """A chain of 258 files, each linked to the one before."""
    return chain(258, base=dynamic(MIB), blocks=None)
