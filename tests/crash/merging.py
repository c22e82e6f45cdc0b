"""Children that are merged while the power is cut, and what has to be true then.

Several files are written, one after the other, and the power goes for all of them at one
moment: of one file the machine chooses what is left, of the others there is what was flushed
by then, and any part of what was not. The child finds its parents by what the files say, and
reads as before; a merge that is begun again comes to its end.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.images.chain import Chain, chain
from tests.images.dirty import dirty
from tests.images.image import Block, Image, Layout, dynamic, fixed, partial
from tests.images.structures import IS_VIRTUAL_DISK, MIB, NOT_PRESENT, UNMAPPED, ZERO, MetadataItem
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.format.locator import matching_key
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.writing.merge import Work, planned

from .machine import cuts
from .recorder import Event, Flush, Recorder, applied, apply

Run = Callable[[Work], None]


class Member(Recorder):
    """One of several files, which know together in which order all was done to them.

    Args:
        before: What is in it.
        number: Which of them it is.
        story: The numbers of the files, in the order of what is done to them.
        path: What it is called.
    """

    def __init__(self, before: bytes, number: int, story: list[int], path: str | None) -> None:
        super().__init__(before)
        self._number, self._story, self.path = number, story, path

    def _do(self, event: Event) -> None:
        super()._do(event)
        self._story.append(self._number)


@dataclass
class Moment:
    """What is left of all files, and how it came to that."""

    what: str
    files: list[bytes]


class Story:
    """What was done to several files.

    Args:
        members: The files.
        before: What was in them.
        order: The numbers of the files, in the order of what was done to them.
    """

    def __init__(self, members: Sequence[Member], before: list[bytes], order: list[int]) -> None:
        self.events = [member.events for member in members]
        self._before = before
        self._times: list[list[int]] = [[] for _ in members]
        for time, number in enumerate(order):
            self._times[number].append(time)
        self._end = len(order)
        self._kept: dict[tuple[int, int], bytes] = {}

    def moments(self, count: int, seed: int) -> Iterator[Moment]:
        """Yield what cuts leave, `count` times, more or less."""
        chance = random.Random(seed)
        weights = [len(events) + 1 for events in self.events]
        for number, events in enumerate(self.events):
            share = count * weights[number] // sum(weights) + 1
            for cut in cuts(self._before[number], events, share, seed) if events else ():
                times = self._times[number]
                first = times[cut.reached - 1] + 1 if cut.reached else 0
                last = times[cut.end] if cut.end < len(times) else self._end
                time = chance.randint(first, max(first, last))
                files = [
                    bytes(cut.data) if other == number else self._left(other, time, chance)
                    for other in range(len(self.events))
                ]
                yield Moment(f"file {number}, {cut.what}, time {time}", files)

    def _left(self, number: int, time: int, chance: random.Random) -> bytes:
        """Return what is left of a file that is cut at a time at which another one is, too."""
        events = self.events[number]
        done = bisect_left(self._times[number], time)
        flushes = [at for at in range(done) if isinstance(events[at], Flush)]
        flushed = flushes[-1] + 1 if flushes else 0
        key = number, flushed
        if key not in self._kept:
            self._kept[key] = bytes(applied(self._before[number], events[:flushed]))
        how = chance.choice((0.0, 0.5, 1.0))
        kept = [event for event in events[flushed:done] if chance.random() < how]
        if not kept:
            return self._kept[key]
        data = bytearray(self._kept[key])
        for event in kept:
            apply(data, event)
        return bytes(data)


class Merged:
    """A chain of which a child is merged.

    Args:
        made: The chain, base first.
        into: The target, counted from the base.
    """

    def __init__(self, made: Chain, into: int) -> None:
        built = made.images[::-1]
        self.names = made.names[::-1]
        self.depth = len(built) - 1 - into  # of the target in the chain
        self.before = [image.to_bytes() for image in built[: self.depth + 1]]
        self._above = [image.to_bytes() for image in built[self.depth + 1 :]]
        self.child = built[0].model
        self.held = self.child.read(0, self.child.size)
        target = built[self.depth].model
        self._first = target.read(0, target.size)
        self._guid = target.current_header.data_write_guid

    def above(self) -> list[Opened]:
        """Return the parents of the target."""
        return [Opened(data) for data in self._above]

    def merge(self, files: Sequence[Member], run: Run) -> None:
        """Merge the first of some files into the last."""
        images = [Opened(file) for file in files]
        run(Work(files, self.above(), planned(images, delete=False)))

    def story(self, run: Run) -> Story:
        """Return what a merge does to the files."""
        order: list[int] = []
        members = [
            Member(data, number, order, f"/disks/{name}")
            for number, (data, name) in enumerate(zip(self.before, self.names, strict=False))
        ]
        self.merge(members, run)
        return Story(members, self.before, order)

    def chain_of(self, files: Sequence[bytes]) -> list[int]:
        """Return which files a reader finds, from the child to the target.

        Raises:
            LookupError: An image has lost its parent.
        """
        found = [0]
        while found[-1] != self.depth:
            locator = Opened(files[found[-1]]).locator
            assert locator is not None
            name = locator.entries["relative_path"].rpartition("\\")[2]
            parent = self.names.index(name)
            guid = Opened(files[parent]).headers.current.data_write_guid
            if matching_key(locator, guid) is None:
                raise LookupError(f"{self.names[found[-1]]} has lost its parent")
            found.append(parent)
        return found

    def wrong_with(self, files: Sequence[bytes], *, thoroughly: bool = False) -> str | None:
        """Return what is wrong with what a cut has left; None when nothing is."""
        try:
            used = self.chain_of(files)
            disk = Disk([*(Opened(files[number]) for number in used), *self.above()])
            if disk.pread(disk.size, 0) != self.held:
                return "another disk"
            target = Disk([Opened(files[self.depth]), *self.above()])
            is_changed = target.pread(target.size, 0) != self._first
        except LookupError as error:
            return str(error)
        except VhdxError as error:
            return f"refused: {error}"
        if is_changed and target.image.headers.current.data_write_guid == self._guid:
            return "the target has changed under its old DataWriteGuid"
        for data in files if thoroughly else ():
            errors = [str(f) for f in check(data).findings if f.level == "error"]
            if errors:
                return f"check: {errors[:2]}"
        return None

    def wrong_at_the_end(self, files: Sequence[bytes]) -> str | None:
        """Return what is wrong with the files when all is done."""
        target = Disk([Opened(files[self.depth], replay="refuse"), *self.above()])
        wrong = self.wrong_with(files, thoroughly=True)
        if wrong:
            return wrong
        if target.pread(target.size, 0) != self.held:
            return "the target holds another disk"
        metadata = target.image.metadata
        if metadata.virtual_disk_id != self.child.image.virtual_disk_id:
            return "the target has another identity"
        if metadata.physical_sector_size != self.child.image.physical_sector_size:
            return "the target has other physical sectors"
        if _items_of(target.image) != _items_of(Opened(files[0])):
            return "the target has other items"
        child = Opened(files[0], replay="refuse")
        assert child.locator is not None
        if self.chain_of(files) != [0, self.depth] or child.locator.linkage_2 is not None:
            return "the child has another parent"
        return None

    def complaints(self, run: Run, count: int, *, seed: int = 1, often: int = 25) -> Iterator[str]:
        """Yield what is wrong with the files that cuts leave.

        Args:
            run: Does the merge.
            count: How many cuts to make, more or less.
            seed: Chooses the cuts.
            often: Each how manieth cut is looked at thoroughly, and merged again.
        """
        story = self.story(run)
        for number, moment in enumerate(story.moments(count, seed)):
            is_chosen = number % often == 0
            wrong = self.wrong_with(moment.files, thoroughly=is_chosen)
            if wrong is None and is_chosen:
                wrong = self._wrong_when_done_again(moment.files)
            if wrong:
                yield f"{moment.what}: {wrong}"
        end = [
            bytes(applied(data, events))
            for data, events in zip(self.before, story.events, strict=True)
        ]
        if any(events and not isinstance(events[-1], Flush) for events in story.events):
            yield "at the end: not all was flushed"
        wrong = self.wrong_at_the_end(end)
        if wrong:
            yield f"at the end: {wrong}"

    def _wrong_when_done_again(self, files: list[bytes]) -> str | None:
        after = list(files)
        used = self.chain_of(files)
        order: list[int] = []
        members = [Member(files[n], n, order, f"/disks/{self.names[n]}") for n in used]
        self.merge(members, merging)
        for number, member in zip(used, members, strict=True):
            after[number] = bytes(member.data)
        wrong = self.wrong_at_the_end(after)
        return f"done again: {wrong}" if wrong else None


def merging(work: Work) -> None:
    """Do what the product does."""
    work.run(lambda _done: None, keeps_child=True)


def _items_of(image: Opened) -> list[tuple[Any, ...]]:
    start = image.regions.metadata.file_offset
    return sorted(
        (entry.item_id, entry.is_user, image.source.read(start + entry.offset, entry.length))
        for entry in image.metadata.entries
        if entry.is_virtual_disk and entry.kind == "other"
    )


# -- chains ---------------------------------------------------------------------------------------


def _items(depth: int, image: Image) -> Image:
    """Give each image an identity, physical sectors and items of its own."""
    items = [MetadataItem(UUID(int=7), b"of the disk %d" % depth, IS_VIRTUAL_DISK)]
    items += [MetadataItem(UUID(int=20 + depth), bytes(9000), IS_VIRTUAL_DISK)]
    items += [MetadataItem(UUID(int=9), b"of the file %d" % depth, 0)]
    sizes = (512, 4096) if image.logical_sector_size == 512 else (4096, 4096)
    return image.but(
        virtual_disk_id=UUID(int=depth + 1), physical_sector_size=sizes[depth % 2], items=items
    )


def _blocks(depth: int, image: Image) -> dict[int, Block]:
    """Return blocks of all states, few sectors of which lie alone."""
    last = image.block_size // image.logical_sector_size - 1
    cycle = [
        Block(),
        Block(NOT_PRESENT),
        partial(0, range(3, 9), last),
        Block(ZERO),
        Block(UNMAPPED),
        partial(range(depth, 40, 7)),
        partial(),
    ]
    if not image.has_parent:
        cycle = [Block()] * 5 + [Block(NOT_PRESENT), Block(ZERO)]
    total = image.geometry.payload_blocks
    return {number: cycle[(number + 3 * depth) % len(cycle)] for number in range(total)}


def _chain(depth: int, size: int, **options: Any) -> Chain:
    return chain(depth, base=dynamic(size), blocks=_blocks, **options)


def _two() -> Merged:
    """A dynamic parent and its child, with blocks of all states."""
    return Merged(_chain(2, 7 * MIB, change=_items), 0)


def _three() -> Merged:
    """A child, the image between, and the base, into which both go."""
    return Merged(_chain(3, 7 * MIB, change=_items), 0)


def _upper() -> Merged:
    """The target is a child itself."""
    return Merged(_chain(3, 7 * MIB, change=_items), 1)


def _fixed_target() -> Merged:
    """A fixed disk of which blocks are replaced, with sectors of 4096 bytes."""
    base = fixed(4 * MIB, logical_sector_size=4096, blocks={n: Block() for n in range(4)})
    return Merged(chain(2, base=base, blocks=_blocks), 0)


def _larger() -> Merged:
    """The child is larger than the target, and ends inside a block of it."""

    def change(depth: int, image: Image) -> Image:
        blocks = {1: partial(range(9, 99)), 4: Block(), 5: Block(ZERO), 6: partial(3)}
        size = 7 * MIB - 4096
        return image.but(virtual_disk_size=size, blocks=blocks) if depth else image

    blocks = {number: Block() for number in range(4)}
    return Merged(chain(2, base=dynamic(3 * MIB + 512, blocks=blocks), change=change), 0)


def _dirty() -> Merged:
    """The logs of both are dirty."""

    def change(_depth: int, image: Image) -> Image | Layout:
        return dirty(image)

    return Merged(_chain(2, 7 * MIB, change=change), 0)


def _other_blocks() -> Merged:
    """The child has blocks of another size, some of which are unmapped."""
    base = dynamic(8 * MIB, block_size=4 * MIB, blocks={0: Block(), 1: Block()})

    blocks = {0: Block(UNMAPPED), 1: partial(5), 3: Block()}

    def made(depth: int, image: Image) -> Image:
        return image.but(block_size=2 * MIB, blocks=blocks) if depth else image

    return Merged(chain(2, base=base, blocks=None, change=made), 0)


CHAINS: dict[str, Callable[[], Merged]] = {
    "two": _two,
    "three": _three,
    "upper": _upper,
    "fixed target": _fixed_target,
    "larger": _larger,
    "dirty": _dirty,
    "other blocks": _other_blocks,
}
