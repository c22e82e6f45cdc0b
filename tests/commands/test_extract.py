"""`extract` copies files out of a disk, equal to what was put there, and nothing past OUT."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed, launch
from tests.conftest import Outcome, Run
from tests.images.structures import KIB, MIB
from tests.reading.ntfs_fixtures import make_ntfs, mounted_ntfs
from tests.serving.making import (
    Model,
    image_of,
    make_ext,
    model_of,
    patch,
    tool,
    with_times,
)
from tests.support import files_in

pytest.importorskip("dissect.extfs")

PLAIN = make_ext("ext4", "-O", "^metadata_csum,^has_journal", "-b", "1024", size=8 * MIB)


def assert_extracted(out: Path, tree: Path) -> None:
    """Show that a folder has what another one has, with its modes and times."""
    found, expected = model_of(out), model_of(tree)
    found.pop("lost+found", None)
    assert found == expected
    for path, model in expected.items():
        if model.kind != "link":
            one, other = (out / path).stat(), (tree / path).stat()
            assert (one.st_mode, one.st_mtime_ns) == (other.st_mode, other.st_mtime_ns), path


@pytest.mark.slow
def test_ten_thousand_files_of_a_wsl_disk_are_what_was_put_there(tmp_path: Path, run: Run) -> None:
    """An ext4 over all of the disk, as mke2fs makes it and WSL has it."""
    chance, tree = random.Random(4), tmp_path / "tree"
    for number in range(10_000):
        folder = tree / f"d{number % 97}" / f"é {number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        size = chance.choice((0, 1, 100, 4096, 5000))
        (folder / f"file {number}").write_bytes(chance.randbytes(size))
    (tree / "large").write_bytes(chance.randbytes(9 * MIB + 1))
    (tree / "d1" / "link").symlink_to("../large")
    with_times(tree)
    raw = make_ext("ext4", "-b", "4096", "-N", "16384", size=128 * MIB)(tmp_path / "disk.raw", tree)
    image = image_of(raw)
    listed = run("ls", "-R", image)
    assert listed.status == 0
    paths = {line.rstrip("/") for line in listed.out.splitlines()}
    assert paths - {"lost+found"} == model_of(tree).keys()
    outcome = run("extract", image, "/", tmp_path / "out")
    assert (outcome.status, outcome.out) == (0, "")
    assert "10001 files, " in outcome.err
    assert_extracted(tmp_path / "out", tree)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "folder" / "below").mkdir(parents=True)
    (tree / "folder" / "below" / "file").write_bytes(b"deep")
    (tree / "folder" / "up").symlink_to("../name-one")
    (tree / "name-one").write_bytes(b"one")
    (tree / "name-two").write_bytes(b"two")
    os.link(tree / "name-one", tree / "folder" / "same")
    return with_times(tree)


def test_a_tree_with_links_is_what_it_was(tree: Path, tmp_path: Path, run: Run) -> None:
    image = image_of(PLAIN(tmp_path / "disk.raw", tree))
    outcome = run("extract", image, "/", tmp_path / "out")
    assert (outcome.status, outcome.err) == (
        *(0, f"vhdx-kaitai: {tmp_path / 'out'}: 4 files, 3 folders, 1 link, 10 bytes\n"),
    )
    assert_extracted(tmp_path / "out", tree)
    assert (tmp_path / "out/name-one").samefile(tmp_path / "out/folder/same")


def test_a_folder_and_a_file_in_it_are_extracted(tree: Path, tmp_path: Path, run: Run) -> None:
    image = image_of(PLAIN(tmp_path / "disk.raw", tree))
    assert run("extract", image, "folder/below", tmp_path / "one").status == 0
    assert files_in(tmp_path / "one") == {"file"}
    assert run("extract", image, "folder/up", tmp_path / "two").status == 0
    assert (tmp_path / "two").read_bytes() == b"one"
    outcome = run("extract", image, "folder", tmp_path / "three")
    assert outcome.status == 3
    assert f"{image}: /folder/up: it leads to '../name-one', out of the folder" in outcome.err


def test_what_is_there_stays(tree: Path, tmp_path: Path, run: Run) -> None:
    image, out = image_of(PLAIN(tmp_path / "disk.raw", tree)), tmp_path / "out"
    out.write_bytes(b"mine")
    assert_failed(run("extract", image, "name-one", out), 1, "--force would replace it")
    assert_failed(run("extract", image, "/", out, "--force"), 1, "is no empty folder")
    assert out.read_bytes() == b"mine"
    assert run("extract", image, "name-one", out, "--force").status == 0
    assert out.read_bytes() == b"one"


# -- hostile file systems -------------------------------------------------------------------------


def debugfs(raw: Path, *commands: str) -> None:
    for command in commands:
        tool("debugfs", "-w", "-R", command, raw)


def extracted(raw: Path, tmp_path: Path, run: Run, *options: str) -> tuple[dict[str, Model], str]:
    """Extract a hostile disk, show that nothing is anywhere else, and return what there is."""
    image, cage = image_of(raw), tmp_path / "cage"
    cage.mkdir()
    (cage / "etc").mkdir()
    (cage / "etc" / "passwd").write_bytes(b"mine")
    outcome = run("extract", image, "/", cage / "out", *options)
    assert outcome.status == 3
    assert "Traceback" not in outcome.err
    assert files_in(cage) == {"etc", "out"}
    assert model_of(cage / "etc") == {"passwd": Model("file", b"mine")}
    return model_of(cage / "out"), outcome.err


@pytest.mark.parametrize("name", [b"../passwd", b"../etc/pw", b"/tmp/ownd", b"..", b"."])
def test_names_that_lead_elsewhere_are_left_out(
    name: bytes, tree: Path, tmp_path: Path, run: Run
) -> None:
    (tree / "replaced!").write_bytes(b"evil")
    raw = PLAIN(tmp_path / "disk.raw", tree)
    if len(name) < 9:  # an entry with a shorter name
        data = raw.read_bytes()
        at = data.index(b"replaced!")
        raw.write_bytes(
            data[: at - 2] + bytes([len(name)]) + data[at - 1 : at] + name + data[at + len(name) :]
        )
    else:
        patch(raw, b"replaced!", name)
    image = image_of(raw)
    outcome = run("extract", image, "/", tmp_path / "out")
    assert outcome.status == (3 if len(name) == 9 else 0)
    assert "replaced!" not in model_of(tmp_path / "out")
    assert b"evil" not in {model.data for model in model_of(tmp_path / "out").values()}
    assert not Path("/tmp/ownd").exists()


def test_two_files_of_one_name_are_one_and_told(tree: Path, tmp_path: Path, run: Run) -> None:
    """As they are where case counts for nothing."""
    raw = PLAIN(tmp_path / "disk.raw", tree)
    patch(raw, b"name-two", b"name-one")
    found, told = extracted(raw, tmp_path, run)
    assert found["name-one"].data in (b"one", b"two")
    assert "/name-one: this system takes its name for one that is there" in told


def test_names_are_one_where_case_counts_for_nothing(tmp_path: Path, run: Run) -> None:
    """On NTFS, as Windows has it; the first by name is kept, whole folders are left out."""
    tree = tmp_path / "tree"
    for folder in ("DIR", "dir"):
        (tree / folder).mkdir(parents=True)
        (tree / folder / f"in {folder}").touch()
    (tree / "NAME").write_bytes(b"upper")
    (tree / "name").write_bytes(b"lower")
    (tree / "LINK").symlink_to("name")
    (tree / "link").symlink_to("DIR")
    image = image_of(PLAIN(tmp_path / "disk.raw", tree))
    with mounted_ntfs(make_ntfs(tmp_path / "ntfs"), "ignore_case", by="lowntfs-3g") as place:
        outcome = run("extract", image, "/", place / "out")
        found = {path.casefold(): model for path, model in model_of(place / "out").items()}
    assert outcome.status == 3
    assert found.keys() == {"dir", "dir/in dir", "name", "link", "lost+found"}
    assert (found["name"].data, found["link"].target) == (b"upper", "name")
    assert outcome.err.count("takes its name for one that is there") == 3
    assert "/dir/in dir: its folder was not made" in outcome.err


def test_a_link_under_the_name_of_a_folder_takes_nothing(
    tree: Path, tmp_path: Path, run: Run
) -> None:
    """What is in the folder would be written through it, if it came first."""
    (tree / "fold-l").symlink_to("../etc")
    (tree / "fold-r").mkdir()
    (tree / "fold-r" / "passwd").write_bytes(b"evil")
    (tree / "name-l").symlink_to("../etc/passwd")
    (tree / "name-r").write_bytes(b"evil")
    raw = PLAIN(tmp_path / "disk.raw", tree)
    patch(raw, b"fold-l", b"fold-r")
    patch(raw, b"name-l", b"name-r")
    found, _ = extracted(raw, tmp_path, run, "--all-links")
    assert found["fold-r"].kind == "folder"
    assert found["name-r"].data == b"evil"


@pytest.mark.parametrize("options", [(), ("--all-links",)])
def test_links_out_of_the_folder(
    options: tuple[str, ...], tree: Path, tmp_path: Path, run: Run
) -> None:
    targets = ["/etc/passwd", "../etc/passwd", "folder/../../etc", "C:\\Windows"]
    for number, target in enumerate(targets):
        (tree / f"link{number}").symlink_to(target)
    os.mkfifo(tree / "pipe")
    raw = PLAIN(tmp_path / "disk.raw", tree)
    image = image_of(raw)
    outcome = run("extract", image, "/", tmp_path / "out", *options)
    found = model_of(tmp_path / "out")
    if options:
        assert outcome.status == 0
        assert [found[f"link{number}"].target for number in range(4)] == targets
    else:
        assert outcome.status == 3
        assert not any(path.startswith("link") for path in found)
        assert outcome.err.count("out of the folder") == 4
    assert "pipe" not in found
    assert "/pipe: is a pipe, which is left out" in outcome.err


def test_a_folder_in_itself_is_extracted_once(tree: Path, tmp_path: Path, run: Run) -> None:
    raw = PLAIN(tmp_path / "disk.raw", tree)
    debugfs(raw, "link <2> folder/below/again", "link folder folder/again")
    found, told = extracted(raw, tmp_path, run)
    assert told.count("somewhere else, too") == 2
    assert found["folder/again"] == Model("folder")
    assert not any(path.startswith("folder/again/") for path in found)


def test_devices_are_not_made(tree: Path, tmp_path: Path, run: Run) -> None:
    raw = PLAIN(tmp_path / "disk.raw", tree)
    debugfs(raw, "mknod null c 1 3", "mknod disk b 8 0", "mknod pipe p")
    outcome = run("extract", image_of(raw), "/", tmp_path / "out")
    assert outcome.status == 0
    assert files_in(tmp_path / "out") == {"folder", "lost+found", "name-one", "name-two"}
    assert outcome.err.count("is a device, which is left out") == 2


def test_set_user_id_is_not_kept(tree: Path, tmp_path: Path, run: Run) -> None:
    raw = PLAIN(tmp_path / "disk.raw", tree)
    debugfs(raw, "sif name-two mode 0106755")
    assert run("extract", image_of(raw), "/", tmp_path / "out").status == 0
    assert (tmp_path / "out" / "name-two").stat().st_mode & 0o7000 == 0


# -- damaged images -------------------------------------------------------------------------------


@pytest.fixture
def cut(tree: Path, tmp_path: Path) -> tuple[Path, bytes]:
    """An image that ends in the middle of a large file, and the contents of that."""
    data = random.Random(3).randbytes(3 * MIB)
    (tree / "zz-large").write_bytes(data)
    raw = PLAIN(tmp_path / "disk.raw", tree)
    told = tool("debugfs", "-R", "ex zz-large", raw)
    last = max(int(number) for number in re.findall(r"- +(\d+) +\d+ *$", told, re.MULTILINE))
    image = image_of(raw)
    lost = last * KIB // MIB  # in blocks of the image; this one is stored last
    assert lost == max(n for n in range(8) if any(raw.read_bytes()[n * MIB : (n + 1) * MIB]))
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size - MIB)
    return image, data


def launched(*words: object) -> Outcome:
    """Run a command whose output is no text."""
    ended = launch(*words)
    return Outcome(ended.returncode, "", ended.stderr.decode())


def test_a_lost_block_is_an_error_that_names_the_file(
    cut: tuple[Path, bytes], tmp_path: Path, run: Run
) -> None:
    image, _ = cut
    for outcome in (
        run("extract", image, "/", tmp_path / "out"),
        launched("cat", image, "zz-large"),
    ):
        assert outcome.status == 2
        last = outcome.err.splitlines()[-1]
        assert "which /zz-large needs" in last
        assert "--salvage goes on past what is lost" in last
    assert not (tmp_path / "out" / "zz-large").exists()
    assert (tmp_path / "out" / "name-one").read_bytes() == b"one"


def test_what_can_be_saved_is_and_the_file_told(
    cut: tuple[Path, bytes], tmp_path: Path, run: Run
) -> None:
    image, data = cut
    outcome = run("extract", image, "/", tmp_path / "out", "--salvage")
    assert outcome.status == 3
    told = [line for line in outcome.err.splitlines() if "is lost and read as zeros" in line]
    assert [line.startswith(f"vhdx-kaitai: {image}: /zz-large: some of it") for line in told] == [
        True
    ]
    found = (tmp_path / "out" / "zz-large").read_bytes()
    assert len(found) == len(data)
    kept = next(n for n in range(len(data)) if found[n] != data[n])
    assert kept > MIB
    assert not any(found[kept:])
    assert (tmp_path / "out" / "folder/below/file").read_bytes() == b"deep"
