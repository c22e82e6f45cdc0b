"""`mount`: the disk as a file, for everything else, through nbdkit and nbdfuse."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
from functools import partial

from ..errors import VhdxError
from ..reading.partitions import partition_table
from ..serving.nbdkit import mounting, refuse_without
from ..showing.served import mounted_text
from .arguments import Parser
from .attending import add_serving, attend, opened, served_by
from .output import complain, note
from .streams import flush, write

_NAME = "disk.img"


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_serving(command)
    command.add_argument(
        "folder", metavar="DIR", help=f"a folder, in which {_NAME} is the disk until the end"
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the disk as a file until somebody asks for the end."""
    refuse_without("nbdfuse")
    folder = os.path.abspath(arguments.folder)
    os.listdir(folder)  # an error says what is wrong with it
    has_partitions = False
    with opened(arguments) as disk, contextlib.suppress(VhdxError):  # what is lost is told later
        has_partitions = arguments.partition is None and partition_table(disk) is not None
    file = os.path.join(folder, _NAME)

    def tell() -> None:
        write(f"{file}\n")
        flush()
        for line in mounted_text(
            arguments.file, file, writable=arguments.writable, has_partitions=has_partitions
        ):
            note(arguments, None, line)

    def end(_server: object) -> None:
        """Unmount it, which ends the server; what is in use stays."""
        words = ["fusermount3", "-u", folder]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            complain(arguments.file, f"not ended: {done.stderr.strip()}")

    how = [] if arguments.writable else ["--readonly"]
    server = mounting(file, served_by(arguments, "--single"), *how)
    clear = partial(_clear, folder)
    try:
        return attend(arguments, server, tell, end, clear)
    finally:
        clear()


def _clear(folder: str) -> None:
    """Unmount what nbdfuse has left when it did not come to its end."""
    try:
        os.listdir(folder)
    except OSError:
        subprocess.run(["fusermount3", "-u", "-z", folder], capture_output=True, check=False)
