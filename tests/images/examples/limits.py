"""Images that break limits of our own, too large for what all damages go through."""

from __future__ import annotations

from tests.images.dirty import log_only
from tests.images.image import Layout, dynamic
from tests.images.log import Entry, Zero
from tests.images.structures import GIB, KIB, MIB


def log_of_3_gib() -> Layout:
    """A log that has to be replayed and is longer than anybody's."""
    entry = Entry([Zero(3 * GIB + 2 * MIB, 4 * KIB)])
    return log_only(dynamic(4 * MIB, log_length=3 * GIB), [entry])


def entries_over_each_other() -> Layout:
    """The first sectors of a large log each begin an entry that is as long as the log."""
    image = dynamic(4 * MIB, log_length=32 * MIB)
    layout = log_only(image, [Entry([Zero(40 * MIB, 4 * KIB)])])
    assert layout.log is not None
    head = bytearray(layout.log.pack().read(0, 64))
    head[8:12] = (32 * MIB).to_bytes(4, "little")
    for sector in range(30):
        layout.patch(layout.log_offset + sector * 4 * KIB, bytes(head))
    return layout


OWN_LIMITS = {
    "log-of-3-gib": log_of_3_gib,
    "entries-over-each-other": entries_over_each_other,
}
