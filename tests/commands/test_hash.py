"""`hash` prints what tells a disk from others, as programs for files do, or nothing at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed, document_of, without_losses
from tests.conftest import Files, Run
from tests.images.chain import Chain, chain
from tests.images.damage import DAMAGES
from tests.reading_fixtures import contents, program, run_program
from tests.support import good
from vhdx_kaitai.copying.digest import ALGORITHMS

CONTENT = contents(good("dynamic-plain").model)


@pytest.fixture
def path(files: Files) -> Path:
    return files.good("dynamic-plain")


@pytest.fixture
def made(tmp_path: Path) -> Chain:
    return chain(3).write(tmp_path)


def test_a_disk_has_the_line_that_its_raw_image_would_have(path: Path, run: Run) -> None:
    assert run("hash", path) == (0, f"{hashlib.sha256(CONTENT).hexdigest()}  {path}\n", "")


def test_the_raw_image_that_convert_writes_has_the_same_hash(
    made: Chain, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out.raw"
    assert run("convert", made.path, out).status == 0
    printed = run_program("sha256sum", out).decode()
    assert run("hash", made.path).out.split() == [printed.split()[0], str(made.path)]


def test_several_algorithms_are_told_apart(path: Path, run: Run) -> None:
    outcome = run("hash", path, "--algorithm", "sha1", "--algorithm", "SHA3-256")
    expected = [
        f"SHA1 ({path}) = {hashlib.sha1(CONTENT).hexdigest()}",
        f"SHA3-256 ({path}) = {hashlib.sha3_256(CONTENT).hexdigest()}",
    ]
    assert (outcome.status, outcome.out.splitlines(), outcome.err) == (0, expected, "")


@pytest.mark.parametrize("algorithms", [[], ["sha256", "sha1"]])
def test_lines_about_files_can_be_checked(algorithms: list[str], made: Chain, run: Run) -> None:
    options = [word for name in algorithms for word in ("--algorithm", name)]
    outcome = run("hash", made.path, "--layers", *options)
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert len(lines) == 4 * max(1, len(algorithms))
    mine = [line for line in lines if f"virtual disk of {made.path}" in line]
    assert lines[: len(mine)] == mine
    assert len(mine) == max(1, len(algorithms))
    program("sha256sum")
    done = run_program(
        "sha256sum", "-c", "--ignore-missing", "-", input="".join(f"{x}\n" for x in lines).encode()
    )
    assert done.decode().count(": OK\n") == 3


def test_the_document_has_all_hashes(made: Chain, run: Run) -> None:
    options = [word for name in ("sha256", "blake2b") for word in ("--algorithm", name)]
    outcome = run("hash", made.path, "--json", "--layers", *options)
    assert (outcome.status, outcome.err) == (0, "")

    def both(data: bytes) -> dict[str, str]:
        return {name: hashlib.new(name, data).hexdigest() for name in ("sha256", "blake2b")}

    with vhdx_kaitai.open(made.path) as disk:
        files = [Path(image.path or "") for image in disk.chain]
    content = contents(made.model)
    assert document_of(outcome, "hash") == {
        "schema_version": 1,
        "tool": {"name": "vhdx-kaitai", "version": vhdx_kaitai.__version__},
        "path": str(made.path),
        "offset": 0,
        "length": len(content),
        "hashes": both(content),
        "layers": [
            {"path": str(p), "file_size": p.stat().st_size, "hashes": both(p.read_bytes())}
            for p in files
        ],
        "lost": None,
        "assumed": [],
    }


@pytest.mark.parametrize(
    ("options", "offset", "end"),
    [
        (["--offset", "1M"], 1 << 20, None),
        (["--length", "4K"], 0, 4096),
        (["--offset", "100", "--length", "1000000"], 100, 1000100),
    ],
)
def test_a_range_may_be_hashed(
    options: list[str], offset: int, end: int | None, path: Path, run: Run
) -> None:
    part = CONTENT[offset:end]
    document = document_of(run("hash", path, "--json", *options), "hash")
    assert document["hashes"] == {"sha256": hashlib.sha256(part).hexdigest()}
    assert (document["offset"], document["length"]) == (offset, len(part))
    assert document["layers"] == []


def test_an_algorithm_that_there_is_not_is_a_usage_error_which_lists_those_that_there_are(
    path: Path, run: Run
) -> None:
    outcome = run("hash", path, "--algorithm", "sha257")
    assert (outcome.status, outcome.out) == (64, "")
    assert f"no algorithm 'sha257', expected one of {', '.join(ALGORITHMS)}" in outcome.err


LOST = sorted(
    name
    for name, case in DAMAGES.items()
    if case.refusal == "read" and case.base != "differencing" and case.main_rule.startswith("BAT")
)


@pytest.mark.parametrize("name", LOST)
def test_a_disk_of_which_something_is_lost_has_no_hash(name: str, files: Files, run: Run) -> None:
    path = files.damaged(name)
    for options in ([], ["--layers"]):
        outcome = run("hash", path, *options)
        assert outcome.out == ""
        assert_failed(without_losses(outcome), 2, str(path), DAMAGES[name].main_rule)
    outcome = run("hash", path, "--json")
    assert outcome.status == 2
    assert document_of(outcome, "error")["error"]["rule"] in DAMAGES[name].visible


def test_nor_has_one_whose_parent_was_left_out(made: Chain, run: Run) -> None:
    outcome = run("hash", made.path, "--no-parent")
    assert outcome.out == ""
    assert_failed(outcome, 1)


def test_nothing_is_coloured(path: Path, run: Run) -> None:
    assert run("hash", path, "--color", "always") == run("hash", path)
