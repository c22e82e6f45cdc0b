"""`serve`: the disk, for programs that speak NBD, through nbdkit."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess

from ..copying.files import remove
from ..serving.nbdkit import LOOPBACK, environment, port_uri, socket_uri
from ..showing.served import served_text
from .arguments import Parser, number
from .attending import add_serving, attend, ended, opened, served_by
from .interrupts import hearing
from .output import note
from .streams import flush, write

_PORT = 10809  # that of NBD


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_serving(command)
    to_whom = command.add_mutually_exclusive_group()
    to_whom.add_argument(
        "--socket", metavar="PATH", help="at a Unix socket, which nobody else may use"
    )
    to_whom.add_argument(
        "--port",
        type=port,
        metavar="N",
        default=_PORT,
        help=f"at a TCP port of this machine, {_PORT} by default, for all of its users",
    )
    to_whom.add_argument(
        "--run",
        dest="shell",
        metavar="CMD",
        help='to a command of the shell alone, which finds it at "$uri", until that ends',
    )


def port(text: str) -> int:
    """Return the number of a port; argparse calls it by the name of this function."""
    value = number(text)
    if value not in range(1, 1 << 16):
        raise ValueError
    return value


def run(arguments: argparse.Namespace) -> int:
    """Serve the disk until somebody asks for the end."""
    socket = arguments.socket and os.path.abspath(arguments.socket)
    if socket is not None and os.path.lexists(socket):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), socket)
    with opened(arguments):
        pass
    if arguments.shell is not None:
        return _accompany(arguments)
    if socket is None:
        how = "--ipaddr", LOOPBACK, "--port", str(arguments.port)
        return _serve(arguments, port_uri(arguments.port), *how)
    try:
        return _serve(arguments, socket_uri(socket), "--unix", socket)
    finally:
        remove(socket)  # nbdkit leaves it


def _accompany(arguments: argparse.Namespace) -> int:
    """Serve the disk to a command, which has the terminal and so hears of Ctrl-C itself."""
    server = served_by(arguments, "--unix", "-", "--run", arguments.shell)
    with hearing(lambda _number, _frame: None, but=("SIGTERM", "SIGHUP")):
        done = subprocess.run(server, env=environment(), check=False)
    return ended(arguments, server[0], done.returncode)


def _serve(arguments: argparse.Namespace, uri: str, *how: str) -> int:
    """Serve the disk at some place, and tell when it can be reached there."""

    def tell() -> None:
        write(f"{uri}\n")
        flush()
        for line in served_text(arguments.file, uri, writable=arguments.writable):
            note(arguments, None, line)

    return attend(arguments, served_by(arguments, *how), tell, subprocess.Popen.terminate)
