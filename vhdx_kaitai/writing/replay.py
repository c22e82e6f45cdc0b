"""Replay on disk: what the log holds gets into its place, and the log is clean.

Every reader replays a dirty log in memory; this writes what they see then. At any
moment the file reads the same to them, since the log stays as it is until all of
it is in place: a replay that was interrupted begins anew [MS-VHDX 2.3.3].

The order of writes:

1. a header with a new FileWriteGuid, flush, the other header;
2. the length of the file, and every update in its place, flush;
3. a header without LogGuid, flush, the other header, flush.
"""

from __future__ import annotations

import os
from contextlib import closing

from ..copying.data import Progress
from ..errors import VhdxError
from ..format.replay import ReplaySummary
from ..reading.image import Image
from ..storage.locks import Lock
from ..storage.overlay import Overlay
from ..storage.target import FileTarget, Target
from .session import Outcome, Session


def replay(
    path: str | os.PathLike[str],
    *,
    dry_run: bool = False,
    lock: Lock = "auto",
    progress: Progress | None = None,
) -> Outcome:
    """Replay the log of an image in its file; what a reader of the disk sees stays the same.

    A clean image is left as it is, to the byte. So is one that a rule refuses: all that
    opening looks at has to be right before the first byte is written, and as it would be
    after the replay. The DataWriteGuid stays, so children keep their parent [MS-VHDX 2.2.2.1].

    When this is interrupted, by whatever, the log is dirty still and can be replayed again.

    Args:
        path: The file.
        dry_run: Whether to say only what would be changed; nothing is written then.
        lock: Whether the file has to be locked, as QEMU does it: `auto` goes on without
            where the file system has no locks, True refuses, False does not ask.
        progress: Told how many bytes are in their places, now and then; when it raises, the
            log is dirty still.

    Returns:
        What was changed, or would be.

    Raises:
        FormatError: A rule refuses the file.
        InUseError: Another program has the file open.
        UnsupportedError: On this system no file is changed in place, or cannot be locked.
        OSError: The file cannot be opened for writing, or writing failed.
    """
    name = os.fsdecode(path)
    if dry_run:
        with Image(name) as image:
            return Outcome(False, False, image.replayed)
    with closing(FileTarget(name, lock)) as file:
        try:
            replayed = replay_target(file, progress)
        except VhdxError as error:
            error.path = name
            raise
        return Outcome(replayed is not None, file.is_locked, replayed)


def replay_target(file: Target, progress: Progress | None = None) -> ReplaySummary | None:
    """Replay the log of a file that is open for writing, and return what that changed.

    Args:
        file: The file.
        progress: Told how many bytes are in their places.

    Raises:
        FormatError: A rule refuses the file; it is as it was.
        OSError: Writing failed; the log is dirty still.
    """
    image = Image(file)
    if image.replayed is None:
        return None
    session = Session(file, image.headers)
    session.begin()
    replay_in(session, image, progress)
    Image(file, replay="refuse")  # as it is now, it opens
    return image.replayed


def replay_in(session: Session, image: Image, progress: Progress | None = None) -> None:
    """Put into its place what the log holds, and let the log be clean.

    Args:
        session: A session of its file that has begun.
        image: The image; its log is dirty.
        progress: Told how many bytes are in their places.
    """
    done = 0
    updated = image.source
    assert isinstance(updated, Overlay)
    if session.file.size < updated.size:
        session.set_length(updated.size)
    for start, end, origin, *_ in updated.updates:
        if origin is None:
            session.zero(start, end - start)
        else:
            session.write(updated.read(start, end - start), start)
        done += end - start
        if progress is not None:
            progress(done)
    session.end()
    updated.settle()
