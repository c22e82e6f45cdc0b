"""Dirty images: the stored file is out of date and the log holds what makes it right.

`dirty(after)` keeps the model of `after`. What the stored file shows instead is either another
image (`before`) or, in the structures named by `hide`, junk that no reader could take for the
truth. Replay must give exactly the bytes of `after`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from .image import LOG_GUID, Image, Layout
from .log import Descriptor, Entry, Log, descriptors
from .sparse import Pattern, Sparse, Zeros

JUNK_TAG = 0x6A756E6B
STRUCTURES = ("region_tables", "metadata", "bat", "bitmaps")


def dirty(
    after: Image | Layout,
    *,
    before: Image | Layout | None = None,
    hide: Iterable[str] | None = None,
    junk: bool = True,
    split: int | None = None,
    at: int = 0,
    first_sequence_number: int = 1,
    guid: UUID = LOG_GUID,
    empty_first: bool = False,
    prelude: Sequence[Entry] = (),
    extra: Sequence[Descriptor] = (),
    stale: Sequence[Entry] = (),
    file_length: int | None = None,
) -> Layout:
    """Return a layout with a non-empty log whose replay gives exactly the image `after`.

    Args:
        after: What the image means once its log is replayed.
        before: What the stored file shows instead; placed wherever it has its own structures.
        hide: Structures that are wrong in the stored file and right in the log. Names as in
            `Layout.ranges`; by default the BAT, or every structure when `before` is given.
        junk: Fill hidden structures with junk when there is no `before`; else with zeros.
        split: Descriptors per entry; None puts all into as few entries as fit.
        at: Position in the ring of the first entry, a multiple of 4096.
        first_sequence_number: That of the first entry, `prelude` included.
        guid: The LogGuid of both headers and of the entries.
        empty_first: Begin with an entry without descriptors, as Windows does.
        prelude: Valid entries directly before the tail of the sequence; not to be replayed.
        extra: Further descriptors for the last entry.
        stale: Entries of earlier sessions; give them their own GUID and position.
        file_length: Length of the stored file; what it lacks comes from replay.
    """
    layout = after.layout() if isinstance(after, Image) else after
    names = tuple(hide) if hide is not None else STRUCTURES if before is not None else ("bat",)
    target = layout.pack()
    final_length = target.length
    changed = layout.ranges(*names)
    _hide(layout, changed, before, names, junk)
    layout.set_headers(log_guid=guid)
    layout.file_length = final_length if file_length is None else file_length
    stored = layout.pack()
    if layout.file_length < final_length:
        changed.append((layout.file_length, final_length - layout.file_length))
    updates = [*descriptors(stored, target, changed), *extra]
    log = Log(
        guid,
        [*stale, *prelude],
        length=layout.image.log_length,
        file_length=layout.file_length,
        last_length=final_length,
    )
    fresh = [Entry(part) for part in _split(updates, split, log.length)]
    if empty_first or not fresh:
        fresh.insert(0, Entry())
    current = [*prelude, *fresh]
    if current[0].at is None:
        current[0].at = at
    if current[0].sequence_number is None:
        current[0].sequence_number = first_sequence_number
    log.entries += fresh
    placed = log.placed()
    tail = placed[-len(fresh)].at
    for entry in fresh:
        entry.tail = tail
    if sum(item.length for item in placed[len(stale) :]) > log.length:
        raise ValueError("the entries do not fit into the log; make log_length larger")
    layout.log = log
    return layout


def _hide(
    layout: Layout,
    changed: list[tuple[int, int]],
    before: Image | Layout | None,
    names: tuple[str, ...],
    junk: bool,
) -> None:
    """Patch over the structures that only the log has right."""
    if before is None:
        for offset, length in changed:
            cover = Pattern(JUNK_TAG, offset, length) if junk else Zeros(length)
            layout.patch(offset, Sparse(0, {0: cover}))
        return
    earlier = before.layout() if isinstance(before, Image) else before
    body = earlier.pack_body()
    everything = layout.ranges(*STRUCTURES, "payload")
    ranges = list(changed)
    for offset, length in earlier.ranges(*names):
        if not any(start < offset + length and offset < start + size for start, size in everything):
            ranges.append((offset, length))
    for offset, length in ranges:
        cover_all = Sparse(length, {0: Zeros(length)})
        cover_all.put_all(0, body.slice(offset, length))
        layout.patch(offset, cover_all)


def _split(updates: list[Descriptor], size: int | None, log_length: int) -> list[list[Descriptor]]:
    """Return the updates in groups that fit into an entry each."""
    if size is None:
        # One descriptor sector holds 126, each further one 128; half the ring is room enough.
        size = max(1, min(len(updates), log_length // 4096 // 2))
    return [updates[start : start + size] for start in range(0, len(updates), size)]


def log_only(image: Image, entries: Sequence[Entry], guid: UUID = LOG_GUID) -> Layout:
    """Return a dirty layout with exactly these entries, which the caller answers for."""
    layout = image.layout()
    layout.set_headers(log_guid=guid)
    length = layout.final_length(layout.pack_body().length)
    layout.log = Log(guid, list(entries), length=image.log_length, file_length=length)
    return layout
