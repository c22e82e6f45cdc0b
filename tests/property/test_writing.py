"""Disks of any shape are written, zeroed, given back, closed, killed and cut, step by step."""

from __future__ import annotations

import random
import warnings
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.crash.disks import Written, garbage, littered
from tests.crash.machine import cuts
from tests.crash.model import Operation
from tests.crash.recorder import Recorder
from tests.crash.working import Subject
from tests.images.chain import child_of, default_blocks, write_guid
from tests.images.image import Block, Built, Image, Region, dynamic, fixed
from tests.images.structures import IS_USER, IS_VIRTUAL_DISK, KIB, MIB, MetadataItem
from tests.support import fewer
from tests.writing.trying import CLOSE, FLUSH, Trial

EDGE = 96 * KIB  # what is looked at on both sides of where a block ends

sizes = st.tuples(st.integers(1, 4), st.sampled_from((0, -4096, 4096, 81920, 512 * KIB)))
shares = st.sampled_from((0.0, 0.1, 0.5, 0.9)) | st.floats(0, 1, width=16)


def size_of(drawn: tuple[int, int], block_size: int) -> int:
    """Return a size of some blocks, and a little more or less."""
    return drawn[0] * block_size + drawn[1]


def windows_of(size: int, block_size: int) -> tuple[tuple[int, int], ...]:
    """Return what is looked at of a disk: all, or what is near the ends of its blocks."""
    if size <= 5 * MIB:
        return ((0, size),)
    found: list[tuple[int, int]] = []
    for middle in (*range(0, size, block_size), size):
        start, end = max(0, middle - EDGE), min(size, middle + EDGE)
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], end
        elif start < end:
            found.append((start, end))
    return tuple(found)


def parents_of(draw: st.DataObject, sector: int, block_size: int) -> list[Built]:
    """Return a parent and its parent, nearest first, of sizes of their own."""
    found: list[Built] = []
    for depth in range(2):
        own = draw.draw(st.sampled_from((MIB, 2 * MIB)), "block size of a parent")
        size = size_of(draw.draw(sizes, "size of a parent"), max(own, min(block_size, 4 * MIB)))
        fields: dict[str, Any] = {
            "block_size": own,
            "data_write_guid": write_guid(depth),
            "tag": depth + 1,
        }
        if depth == 0:
            image = dynamic(size, logical_sector_size=sector, **fields)
        else:
            image = child_of(found[0], **fields).but(virtual_disk_size=size)
        found.insert(0, image.but(blocks=default_blocks(depth, image)).build())
    return found


def any_image(draw: st.DataObject) -> Written:
    """Draw an image of any kind."""
    kind = draw.draw(st.sampled_from(("dynamic", "fixed", "child", "child")), "kind")
    sector = draw.draw(st.sampled_from((512, 512, 4096)), "sector size")
    block_size = draw.draw(st.sampled_from((MIB, 2 * MIB, 32 * MIB)), "block size")
    blocks = draw.draw(st.integers(1, 4 if block_size < 32 * MIB else 2), "blocks")
    odd = draw.draw(st.sampled_from((0, -4096, 4096, 81920, 512 * KIB)), "odd")
    size = blocks * block_size + odd
    fields: dict[str, Any] = {"block_size": block_size, "logical_sector_size": sector}
    if kind == "child":
        parents = parents_of(draw, sector, block_size)
        image = child_of(parents[0], block_size=block_size, data_write_guid=write_guid(2), tag=3)
        image = image.but(virtual_disk_size=size)
        image = image.but(blocks=default_blocks(2, image))
        return Written(littered(image.but(gap=MIB)), parents, windows_of(size, block_size))
    if kind == "fixed":
        return Written(littered(fixed(size, **fields)), [], windows_of(size, block_size))
    image = dynamic(size, blocks={0: Block()}, **fields)
    if draw.draw(st.booleans(), "whether there is something that nobody knows"):
        image = with_unknowns(image)
    return Written(littered(image), [], windows_of(size, block_size))


def with_unknowns(image: Image) -> Image:
    """Return an image with a region and items that nobody knows, the former past the blocks."""
    place = image.layout().final_length() + 2 * MIB
    region = Region(UUID(int=81), MIB, place, data=garbage(MIB, 3))
    items = [
        MetadataItem(UUID(int=71), b"of the disk", IS_VIRTUAL_DISK),
        MetadataItem(UUID(int=72), b"of a user" * 40, IS_USER),
    ]
    return image.but(regions=[region], items=items, file_length=place + 3 * MIB)


class Writing(RuleBasedStateMachine):
    """A disk that is written to, and what it has to hold."""

    @initialize(data=st.data())
    def make(self, data: st.DataObject) -> None:
        self.subject = Subject(any_image(data))
        self.trial = Trial(self.subject, Recorder(self.subject.before))
        self.size = self.subject.shape.size
        self.is_changed = False

    def change(self, operation: Operation) -> None:
        assert self.trial.do(operation) is None
        self.is_changed = self.is_changed or self.subject.shape.change(operation).length > 0

    def range_of(self, window: float, where: float, length: int) -> tuple[int, int]:
        """Return a range that is looked at."""
        windows = self.subject.view.windows
        start, end = windows[min(len(windows) - 1, int(window * len(windows)))]
        at = min(end - 1, start + int((end - start) * where))
        return at, min(length, end - at)

    lengths = st.sampled_from((1, 512, 700, 4096, 100_000, 2 * MIB))

    @rule(window=shares, where=shares, length=lengths, is_aligned=st.booleans(), seed=st.integers())
    def write(self, window: float, where: float, length: int, is_aligned: bool, seed: int) -> None:
        at, length = self.range_of(window, where, length)
        if is_aligned:
            at -= at % self.subject.shape.sector_size
            at, length = max(at, self.subject.view.windows[0][0]), length
        data = random.Random(seed).randbytes(length)
        self.change(Operation("write", at, length, data))

    @rule(window=shares, where=shares, length=lengths, verb=st.sampled_from(("zero", "discard")))
    def drop(self, window: float, where: float, length: int, verb: str) -> None:
        self.change(Operation(verb, *self.range_of(window, where, length)))

    @rule(first=shares, count=st.integers(1, 5), verb=st.sampled_from(("zero", "discard")))
    def drop_blocks(self, first: float, count: int, verb: str) -> None:
        block_size = self.subject.shape.block_size
        start = int(first * self.size) // block_size * block_size
        start = min(start, (self.size - 1) // block_size * block_size)
        self.change(Operation(verb, start, min(self.size - start, count * block_size)))

    @rule()
    def flush(self) -> None:
        assert self.trial.do(FLUSH) is None

    @rule()
    def reopen(self) -> None:
        before = bytes(self.trial.file.data)
        assert self.trial.do(CLOSE) is None
        if self.is_changed:
            assert self.trial.wrong_at_the_end() is None
        else:
            assert self.trial.file.data == before
        self.go_on(self.trial.file.data)

    @rule()
    def kill(self) -> None:
        assert self.trial.wrong_after_a_kill() is None
        self.go_on(self.trial.file.data)

    @precondition(lambda self: self.is_changed)
    @rule(seed=st.integers(0, 1 << 20))
    def crash(self, seed: int) -> None:
        trial = self.trial
        left = bytes(trial.file.data)
        for cut in cuts(trial.before, trial.file.events, 12, seed):
            if cut.end == len(trial.file.events):
                wrong = self.subject.wrong_with(
                    cut.data, trial.held, cut.reached, thoroughly=seed % 4 == 0
                )
                assert wrong is None, f"{cut.what}: {wrong}"
                left = bytes(cut.data)
        self.go_on(left)

    def go_on(self, data: bytes | bytearray) -> None:
        """Let the next process open the file."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.trial = Trial(self.subject, Recorder(data))
        self.is_changed = False

    @invariant()
    def parents_are_as_they_were(self) -> None:
        assert not any(parent.events for parent in self.subject.parents)

    def teardown(self) -> None:
        if hasattr(self, "trial"):
            self.reopen()


def test_a_disk_holds_what_it_has_to_whatever_becomes_of_it() -> None:
    run_state_machine_as_test(Writing, settings=settings(fewer(8), stateful_step_count=20))
