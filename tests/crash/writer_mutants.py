"""Writers that break a rule, each of which the machine has to catch; and those that break none.

A mutant has the name of what it does, and the rule that it breaks as `docs/writing.md` has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.images.structures import UNDEFINED, UNMAPPED, ZERO
from vhdx_kaitai.errors import VhdxError

from . import broken_writers as b
from .breaking import Patch
from .disks import DISKS
from .recorder import Event
from .working import Subject, WrongError, complaints


class Trial(NamedTuple):
    """Where a mutant is tried.

    Attributes:
        subject: The image that is written to.
        seed: Chooses what is asked of the disk.
        cuts: How many cuts are made.
        operations: How many operations; as many as there usually are when it is None.
    """

    subject: str
    seed: int = 0
    cuts: int = 100
    operations: int | None = None


class Mutant(NamedTuple):
    """A writer with a fault.

    Attributes:
        rule: The rule that it breaks.
        make: Breaks the writer for as long as the context lasts.
        complaint: What the machine has to say.
        trial: Where it says so.
    """

    rule: str
    make: Callable[[], Patch]
    complaint: str
    trial: Trial

    def complaints(self) -> Iterator[str]:
        """Yield what the machine says of the writer."""
        trial = self.trial
        subject = Subject(DISKS[trial.subject]())
        try:
            with self.make():
                events: list[Event] = subject.events(trial.seed, trial.operations)
        except (WrongError, VhdxError) as error:
            yield f"at once: {error}"
            return
        yield from complaints(subject, trial.cuts, seed=trial.seed, events=events)


MUTANTS = {
    "no flush before the first header": Mutant(
        "current header on the medium",
        b.no_flush_before_the_first_header,
        "neither copy is valid",
        Trial("processes that are killed", seed=1, cuts=150, operations=20),
    ),
    "no flush between the headers of the beginning": Mutant(
        "one header at a time",
        b.no_flush_between("begin"),
        "old FileWriteGuid",
        Trial("dynamic without gaps", cuts=150, operations=5),
    ),
    "no flush between the headers that name the log": Mutant(
        "one header at a time",
        b.no_flush_between("begin_log"),
        "never there",
        Trial("dynamic without gaps", cuts=150, operations=5),
    ),
    "no flush between the headers of the end": Mutant(
        "one header at a time",
        b.no_flush_between("end"),
        "neither copy is valid",
        Trial("dynamic without gaps", seed=2, cuts=100, operations=3),
    ),
    "the header that is current is overwritten": Mutant(
        "the other header",
        b.current_header_overwritten,
        "neither copy is valid",
        Trial("one header lost", seed=1, cuts=150, operations=3),
    ),
    "one header alone is updated": Mutant(
        "both headers",
        b.one_header_alone,
        "the headers have another",
        Trial("dynamic without gaps", cuts=20, operations=5),
    ),
    "the FileWriteGuid stays": Mutant(
        "new GUIDs first",
        b.file_write_guid_stays,
        "old FileWriteGuid",
        Trial("dynamic without gaps", cuts=20, operations=10),
    ),
    "the DataWriteGuid stays": Mutant(
        "new GUIDs first",
        b.data_write_guid_stays,
        "old DataWriteGuid",
        Trial("dynamic without gaps", cuts=20, operations=10),
    ),
    "the DataWriteGuid is new at the end": Mutant(
        "new GUIDs first",
        b.data_write_guid_comes_last,
        "old DataWriteGuid",
        Trial("dynamic without gaps", cuts=20, operations=10),
    ),
    "what the log held is forgotten": Mutant(
        "replay first", b.no_replay, "at once", Trial("dirty child", cuts=20, operations=5)
    ),
    "the log is clean before the replay is on the medium": Mutant(
        "replay first",
        b.no_flush_before_the_log_is_clean("replay_in"),
        "refused",
        Trial("dirty log that extends the file", cuts=100, operations=5),
    ),
    "the file is measured before the replay": Mutant(
        "replay first",
        b.file_measured_before_the_replay,
        "at once",
        Trial("dirty log that extends the file", cuts=20, operations=5),
    ),
    "the LogGuid is that of the session before": Mutant(
        "a LogGuid a session", b.log_guid_is_used_again, "never there", Trial("dynamic", cuts=60)
    ),
    "the header names the log before its first entry": Mutant(
        "entry, then header",
        b.header_before_the_first_entry,
        "no valid sequence",
        Trial("dynamic without gaps", cuts=60, operations=10),
    ),
    "no flush between the first entry and the header": Mutant(
        "entry, then header",
        b.no_flush_before_the_header,
        "no valid sequence",
        Trial("dynamic without gaps", cuts=60, operations=10),
    ),
    "pages are in place before the headers name the log": Mutant(
        "header, then pages",
        b.pages_before_the_headers_name_the_log,
        "refused",
        Trial("child without a bitmap", seed=1, cuts=150, operations=8),
    ),
    "pages are in place before their entry is flushed": Mutant(
        "entry, then pages",
        b.pages_before_their_entries_are_flushed,
        "refused",
        Trial("empty dynamic", cuts=100, operations=8),
    ),
    "pages in place are certain at once": Mutant(
        "certain pages",
        b.pages_are_certain_at_once,
        "never there",
        Trial("child without a bitmap", seed=3, cuts=60),
    ),
    "pages that wait are taken for placed": Mutant(
        "certain pages",
        b.waiting_pages_are_taken_for_placed,
        "never there",
        Trial("many pages", seed=1, cuts=60),
    ),
    "pages that wait are forgotten at the end": Mutant(
        "certain pages",
        b.waiting_pages_are_forgotten_at_the_end,
        "never there",
        Trial("dynamic", cuts=60),
    ),
    "the log is clean before its pages are certain": Mutant(
        "certain pages",
        b.no_flush_before_the_log_is_clean("end"),
        "State NOT_PRESENT",
        Trial("child without a bitmap", seed=2, cuts=150, operations=8),
    ),
    "room is made before pages are certain": Mutant(
        "certain pages",
        b.room_without_flush(0),
        "never there",
        Trial("more pages than the ring holds", seed=11, cuts=60, operations=10),
    ),
    "room is made before the medium knows": Mutant(
        "the tail on the medium",
        b.room_without_flush(1),
        "no valid sequence",
        Trial("more pages than the ring holds", seed=1, cuts=80, operations=10),
    ),
    "the tail is the one in memory": Mutant(
        "the tail on the medium",
        b.tail_from_memory,
        "no valid sequence",
        Trial("more pages than the ring holds", seed=1, cuts=80, operations=10),
    ),
    "a full ring is taken for an empty one": Mutant(
        "the tail on the medium",
        b.full_ring_is_an_empty_one,
        "no valid sequence",
        Trial("more pages than the ring holds", seed=1, cuts=80, operations=10),
    ),
    "each entry of a flush is a sequence": Mutant(
        "one tail a flush", b.each_entry_is_a_sequence, "never there", Trial("many pages", cuts=100)
    ),
    "entries come before bits": Mutant(
        "bits, then entries",
        b.pages_in_order(b.entries_before_bits),
        "never there",
        Trial("child", seed=1, cuts=200, operations=6),
    ),
    "the entry of a sector bitmap comes last": Mutant(
        "bits, then entries",
        b.pages_in_order(b.bitmap_entries_last),
        "State NOT_PRESENT",
        Trial("chunks without bitmaps", cuts=100),
    ),
    "LastFileOffset never grows": Mutant(
        "what is needed",
        b.last_file_offset_never_grows,
        "end of the needed bytes",
        Trial("empty dynamic", seed=1, cuts=100, operations=8),
    ),
    "FlushedFileOffset is that of memory": Mutant(
        "what is certain",
        b.flushed_too_large,
        "file length",
        Trial("empty dynamic", seed=1, cuts=100, operations=8),
    ),
    "no barrier for the first sectors of a block where the parent was seen": Mutant(
        "barrier of a child",
        b.no_barrier("_store_partial"),
        "never there",
        Trial("child", seed=9, cuts=100, operations=6),
    ),
    "no barrier for more sectors of a block where the parent was seen": Mutant(
        "barrier of a child",
        b.no_barrier("write_partial"),
        "never there",
        Trial("child", seed=16, cuts=100, operations=6),
    ),
    "no barrier for a whole block that was the parent's": Mutant(
        "barrier of a child",
        b.no_barrier("_store", only_new=True),
        "never there",
        Trial("child that is overwritten", cuts=100),
    ),
    "the barrier comes after the entry": Mutant(
        "barrier of a child",
        b.barrier_after_the_entry,
        "never there",
        Trial("child without a bitmap", seed=1, cuts=100),
    ),
    "no barrier for old space": Mutant(
        "barrier of old space", b.no_barrier("_store"), "never there", Trial("dynamic", cuts=60)
    ),
    "a flush of payload alone is none": Mutant(
        "a flush flushes", b.flush_of_payload_alone_is_none, "never there", Trial("fixed", cuts=40)
    ),
    "bits from former times stay": Mutant(
        "all bits", b.former_bits_stay, "never there", Trial("child with sectors of 4096", cuts=20)
    ),
    "partially present over ZERO": Mutant(
        "what hides the parent", b.partial_over(ZERO), "at once", Trial("child", cuts=20)
    ),
    "partially present over UNMAPPED": Mutant(
        "what hides the parent", b.partial_over(UNMAPPED), "at once", Trial("child", cuts=20)
    ),
    "partially present over UNDEFINED": Mutant(
        "what hides the parent", b.partial_over(UNDEFINED), "at once", Trial("child", cuts=20)
    ),
    "a discard shows the parent": Mutant(
        "what hides the parent",
        b.discard_shows_the_parent,
        "at once",
        Trial("child", seed=1, cuts=20),
    ),
    "old space is taken for zeros": Mutant(
        "new space", b.old_space_is_zeros, "at once", Trial("dynamic", cuts=20)
    ),
    "a kept place is taken for zeros": Mutant(
        "new space", b.kept_place_is_zeros, "at once", Trial("dynamic", cuts=20)
    ),
    "nothing is zeroed around what is stored": Mutant(
        "new space", b.no_zeros("_store"), "at once", Trial("child", cuts=20)
    ),
    "room whose write failed is new again": Mutant(
        "new space",
        b.failed_room_is_new,
        "at once",
        Trial("medium that is full at times", seed=3, cuts=20),
    ),
    "space is free as soon as it is given back": Mutant(
        "given space", b.given_space_is_free_at_once, "never there", Trial("child", cuts=60)
    ),
    "unknown regions are free space": Mutant(
        "free space",
        b.unknown_regions_are_free_space,
        "unknown region has changed",
        Trial("unknown region at the end", cuts=40),
    ),
    "kept places are free space": Mutant(
        "free space",
        b.anchors_are_free_space,
        "at once",
        Trial("kept places alone", seed=1, cuts=20),
    ),
    "the last block is overlapped where it is cut": Mutant(
        "the whole last block",
        b.cut_block_is_overlapped,
        "at once",
        Trial("dynamic whose last block is cut", cuts=20),
    ),
    "what is appended begins anywhere": Mutant(
        "whole MiB", b.length_is_not_rounded, "at once", Trial("odd length without gaps", cuts=20)
    ),
    "the surplus is cut before the log is clean": Mutant(
        "log, then length",
        b.surplus_cut_first,
        "file length",
        Trial("sessions that leave little", cuts=150),
    ),
    "no flush at the end": Mutant(
        "last flush", b.no_flush_at_the_end, "not all was flushed", Trial("dynamic", cuts=10)
    ),
}

# Writers that leave out what is no rule, each with the reason why nothing can be wrong with them.
HARMLESS = {
    # The bits of a block are all written when it becomes partially present, and no reader looks
    # at those of another. Of other writers nobody knows that they write all bits, too.
    "a sector bitmap in old space is not zeroed": Mutant(
        "", b.no_zeros("sector_bitmap"), "", Trial("child without a bitmap", cuts=200)
    ),
    # The payload of the block that needs the bitmap has a barrier in any case.
    "a sector bitmap in old space has no barrier": Mutant(
        "", b.no_barrier("sector_bitmap"), "", Trial("child without a bitmap", cuts=200)
    ),
    # Readers find all bits set, and all sectors here.
    "a block stays partially present": Mutant(
        "", b.never_fully_present, "", Trial("child", cuts=200)
    ),
    # Nothing takes space while changes are flushed; what fails meanwhile ends the session.
    "space is free before the entry is flushed": Mutant(
        "",
        b.settled_before_the_entry_is_flushed,
        "",
        Trial("space of a child that is used again", cuts=200),
    ),
}
