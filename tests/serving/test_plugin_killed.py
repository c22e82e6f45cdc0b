"""nbdkit is killed while a client writes: the image opens, and what was flushed is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.crash.model import Shape
from tests.serving.clients import PYTHON, descendants, needs_libnbd, on_linux, serving
from tests.writing.test_disk_killed import Sectors, image

pytestmark = [needs_libnbd, on_linux]

# Tells each operation before it begins, and each flush after it was answered.
_CLIENT = """
import random, sys
import nbd
h = nbd.NBD()
h.connect_uri(sys.argv[1])
chance, size = random.Random(int(sys.argv[2])), h.get_size()
for number in range(1, 1 << 30):
    verb = chance.choices(("write", "zero", "discard", "flush"), (8, 1, 1, 4))[0]
    if verb == "flush":
        h.flush()
        print("flushed", flush=True)
        continue
    start = chance.randrange(size // 512) * 512
    length = min(chance.choice((512, 4096, 1 << 14, 1 << 20)), size - start)
    print(verb, start, length, number % 251 + 1, flush=True)
    if verb == "write":
        h.pwrite(bytes([number % 251 + 1]) * length, start)
    elif verb == "zero":
        h.zero(length, start)
    else:
        h.trim(length, start)
"""


def killed(path: Path, seed: int, after: float) -> list[str]:
    """Let a client write, kill nbdkit after some seconds, and return what the client told."""
    socket = path.with_suffix(".sock")
    with serving("serve", path, "--writable", "--force", "--socket", socket) as server:
        [pid] = [pid for pid, name in descendants(server.pid) if name == "nbdkit"]
        uri = f"nbd+unix:///?socket={socket}"
        with subprocess.Popen(
            [PYTHON, "-c", _CLIENT, uri, str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as client:
            assert client.stdout is not None
            lines = [client.stdout.readline()]
            timer = threading.Timer(after, os.kill, (pid, signal.SIGKILL))
            timer.start()
            lines += client.stdout.read().split("\n")
            timer.join()
        _, err = server.communicate()
        assert server.returncode == 1
        assert "nbdkit was ended by signal 9" in err
    assert not socket.exists()
    return lines[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dynamic", "child"])
def test_what_was_flushed_is_there_after_nbdkit_was_killed(kind: str, tmp_path: Path) -> None:
    path, contents = image(kind, tmp_path)
    with vhdx_kaitai.open(path) as disk:
        shape = Shape(disk.size, disk.block_size, disk.logical_sector_size, False)
    sectors = Sectors(shape, contents)
    sectors.last = {}
    chance, flushes = random.Random(kind), 0
    for seed in range(2):
        for line in killed(path, seed, chance.uniform(0.1, 0.5)):
            verb, *numbers = line.split()
            if verb == "flushed":
                sectors.promise()
                flushes += 1
            elif len(numbers) == 3:
                sectors.begin(verb, *map(int, numbers))
        with vhdx_kaitai.open(path) as disk:
            sectors.see(bytes(disk.pread(disk.size, 0)))
        report = vhdx_kaitai.check(path)
        assert [str(f) for f in report.findings if f.level == "error"] == []
    assert flushes > 0
