"""`serve`: who gets the disk, how it ends, and what is refused before nbdkit starts."""

from __future__ import annotations

import signal
import socket as sockets
import subprocess
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import VHDX_KAITAI, assert_one_line
from tests.conftest import Files, Run
from tests.images.chain import chain
from tests.images.image import Block, dynamic
from tests.images.partitioned import LINUX, mbr
from tests.images.structures import MIB
from tests.serving.clients import needs_nbdkit, served_to, serving
from vhdx_kaitai.showing.served import mounted_text, served_text

pytestmark = needs_nbdkit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A disk with something on it."""
    return dynamic(4 * MIB, blocks={0: Block(), 2: Block()}).build().write(tmp_path / "disk.vhdx")


def size_at(uri: str) -> int:
    done = subprocess.run(["nbdinfo", "--size", uri], capture_output=True, text=True, check=True)
    return int(done.stdout)


def free_port() -> int:
    with sockets.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


# -- to whom --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_socket_is_there_until_somebody_asks_for_the_end(
    number: signal.Signals, path: Path, tmp_path: Path
) -> None:
    place = tmp_path / "disk.sock"
    uri = f"nbd+unix:///?socket={place}"
    with serving("serve", path, "--socket", place) as server:
        assert size_at(uri) == 4 * MIB
        assert place.stat().st_mode & 0o022 == 0  # who cannot write cannot connect
        server.send_signal(number)
        _, err = server.communicate(timeout=60)
    assert server.returncode == 0
    assert not place.exists()
    assert err.splitlines() == [
        f"vhdx-kaitai: {line}" for line in served_text(str(path), uri, writable=False)
    ]


def test_a_port_is_one_of_this_machine(path: Path) -> None:
    port = free_port()
    with serving("serve", path, "--port", port) as server:
        assert size_at(f"nbd://127.0.0.1:{port}") == 4 * MIB
        listening = subprocess.run(
            ["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True, check=False
        ).stdout
        places = {word for line in listening.splitlines() for word in line.split()[1:2]}
        mine = {place.partition(":")[0] for place in places if place.endswith(f":{port:04X}")}
        assert mine <= {"0100007F"}
        server.terminate()
        assert server.wait(timeout=60) == 0


def test_a_command_finds_the_disk_and_its_status_is_the_status(path: Path) -> None:
    done = served_to(path, 'nbdinfo --size "$uri"; exit 7', check=False)
    assert (done.returncode, done.stdout) == (7, f"{4 * MIB}\n".encode())


def test_what_a_command_wrote_is_whole_when_it_has_ended(path: Path) -> None:
    served_to(path, "qemu-io -f raw -c 'write -P 7 1M 64k' \"$uri\"", "--writable")
    with vhdx_kaitai.open(path) as disk:
        assert disk.image.log_state == "clean"
        assert disk.pread(64 << 10, MIB) == b"\7" * (64 << 10)


def test_one_partition_is_all_that_is_seen(tmp_path: Path) -> None:
    table = mbr((LINUX, 2048, 2048), (LINUX, 4096, 1024))
    path = tmp_path / "disk.vhdx"
    dynamic(4 * MIB).build().write(path)
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(table, 0)
        disk.pwrite(b"second", 4096 * 512)
    done = served_to(path, 'nbdcopy "$uri" -', "--partition", 2)
    assert done.stdout == b"second".ljust(1024 * 512, b"\0")


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["identifier-signature-wrong", "bat-region-empty"])
def test_an_image_is_refused_as_everywhere(
    damage: str, files: Files, run: Run, tmp_path: Path
) -> None:
    path = files.damaged(damage)
    read = run("read", path, "--length", 1)
    done = run("serve", path, "--run", f"touch {tmp_path}/started")
    assert (done.status, done.out, done.err) == (2, "", read.err)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_vhdx_file_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no disk")
    done = run("serve", tmp_path / "text", "--run", f"touch {tmp_path}/started")
    assert done.status == 63
    assert_one_line(done.err)
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_an_image_at_a_url_is_refused(run: Run) -> None:
    done = run("serve", "https://user:secret@example.com/disk.vhdx", "--run", "true")
    assert done.status == 1
    assert_one_line(done.err)
    assert "only local files are served" in done.err
    assert "secret" not in done.err


def test_a_parent_that_is_missing_is_refused_and_may_be_put_up_with(
    tmp_path: Path, run: Run
) -> None:
    made = chain(2).write(tmp_path)
    made.paths[0].rename(tmp_path / "elsewhere.vhdx.bak")
    done = run("serve", made.path, "--run", "true")
    assert done.status == 1
    assert_one_line(done.err)
    assert "--missing-parent" in done.err
    found = served_to(made.path, 'nbdcopy "$uri" -', "--parent", tmp_path / "elsewhere.vhdx.bak")
    assert found.stdout == made.model.read(0, made.model.size)


def test_who_has_children_is_only_written_to_by_force(tmp_path: Path, run: Run) -> None:
    made = chain(2).write(tmp_path)
    done = run("serve", made.paths[0], "--writable", "--run", "true")
    assert done.status == 1
    assert "child1.vhdx" in done.err
    assert "--force" in done.err


@pytest.mark.parametrize(
    "options", [["--salvage"], ["--as-stored"], ["--no-parent"], ["--missing-parent", "zero"]]
)
def test_what_is_damaged_is_not_written_to(options: list[str], path: Path, run: Run) -> None:
    before = path.read_bytes()
    done = run("serve", path, "--writable", *options, "--run", "true")
    assert done.status == 1
    assert "--writable takes no disk of which something is missing, lost or assumed" in done.err
    assert path.read_bytes() == before


def test_a_disk_that_another_program_writes_to_is_refused(path: Path, run: Run) -> None:
    with vhdx_kaitai.open(path, writable=True):
        done = run("serve", path, "--writable", "--run", "true")
        unasked = served_to(path, "true", "--writable", "--no-lock")
    assert done.status == 1
    assert "in use" in done.err
    assert unasked.stderr == b""


def test_a_file_in_the_place_of_the_socket_stays(path: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "disk.sock").write_text("mine")
    done = run("serve", path, "--socket", tmp_path / "disk.sock")
    assert done.status == 1
    assert (tmp_path / "disk.sock").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "message"),
    [(1, "no partition 1: there is no partition table"), (0, "no partition 0: ")],
)
def test_a_partition_that_cannot_be_is_refused(
    number: int, message: str, path: Path, run: Run
) -> None:
    done = run("serve", path, "--partition", number, "--run", "true")
    assert done.status == 1
    assert message in done.err


def test_a_partition_that_is_not_there_is_refused_before_anything_is_served(
    tmp_path: Path, run: Run
) -> None:
    path = dynamic(4 * MIB).build().write(tmp_path / "disk.vhdx")
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(mbr((LINUX, 64, 64), (LINUX, 128, 64)), 0)
    for number in (0, 3, 5):
        done = run("serve", path, "--partition", number, "--run", "true")
        assert done.status == 1
        assert f"no partition {number}: there are: 1, 2" in done.err


def test_partitions_in_sectors_of_4096_are_refused(tmp_path: Path, run: Run) -> None:
    path = dynamic(8 * MIB, logical_sector_size=4096).build().write(tmp_path / "disk.vhdx")
    done = run("serve", path, "--partition", 1, "--run", "true")
    assert done.status == 1
    assert "nbdkit finds no partitions in sectors of 4096 bytes" in done.err


def test_a_server_that_cannot_start_is_a_failure(path: Path, tmp_path: Path) -> None:
    """nbdkit says why."""
    done = subprocess.run(
        [*VHDX_KAITAI, "serve", path, "--socket", tmp_path / ("n" * 200)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "nbdkit: " in done.stderr


# -- what people are told -------------------------------------------------------------------------


def test_names_are_quoted_for_the_shell() -> None:
    _, following = served_text("a", "nbd+unix:///?socket=/a", writable=True)
    assert following.endswith("'nbd+unix:///?socket=/a'")
    told = list(mounted_text("a", "/a b/disk.img", writable=True, has_partitions=False))
    assert "fusermount3 -u '/a b'" in told[0]
    assert told[1] == "next, as root: mount -o loop '/a b/disk.img' /mnt"


def test_a_disk_with_partitions_is_not_mounted_at_once() -> None:
    told = list(mounted_text("a", "/a/disk.img", writable=False, has_partitions=True))
    assert "--partscan --read-only /a/disk.img" in told[1]
