"""A disk that is served to other programs: how long, and what to type next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator


def served_text(path: str, uri: str, *, writable: bool) -> Iterator[str]:
    """Yield what people are told when a disk can be reached.

    Args:
        path: What to call the image.
        uri: Where the disk can be reached.
        writable: Whether it can be written to, too.
    """
    yield f"{path}: served {_how(writable)} until Ctrl-C"
    where = shlex.quote(uri)
    if writable:
        yield f"next: qemu-img convert -n -f qcow2 -O raw disk.qcow2 {where}"
    else:
        yield f"next: qemu-img convert -f raw -O qcow2 {where} disk.qcow2"


def mounted_text(path: str, file: str, *, writable: bool, has_partitions: bool) -> Iterator[str]:
    """Yield what people are told when a disk is there as a file.

    Args:
        path: What to call the image.
        file: The file.
        writable: Whether the disk can be written to, too.
        has_partitions: Whether its file systems are in partitions.
    """
    folder, name = shlex.quote(os.path.dirname(file)), shlex.quote(file)
    yield f"{path}: {file} is the disk, {_how(writable)}, until Ctrl-C or fusermount3 -u {folder}"
    if has_partitions:
        how = "--find --show --partscan" if writable else "--find --show --partscan --read-only"
        yield f"next, as root: losetup {how} {name}"
    else:
        yield f"next, as root: mount -o {'loop' if writable else 'loop,ro'} {name} /mnt"


def _how(writable: bool) -> str:
    return "to be read and written" if writable else "read-only"
