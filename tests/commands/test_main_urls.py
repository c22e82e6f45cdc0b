"""Commands that read take URLs, say what they say of files, and tell no secret of a URL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed, assert_one_line, imported
from tests.conftest import Files, Outcome, Run
from tests.images.chain import chain
from tests.support import good
from tests.web import Answer, Web, serving

IMAGE = "dynamic-plain"
SECRET = "?X-Signature=hidden"


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


def secret_of(url: str) -> tuple[str, str]:
    """Return a URL with secrets, and what may be told of it."""
    with_user = url.replace("://", "://me:pass-word@") + SECRET
    return with_user, url.replace("://", "://...@") + "?..."


def assert_tells_nothing(outcome: Outcome) -> None:
    for text in (outcome.out, outcome.err):
        assert "hidden" not in text
        assert "pass-word" not in text


READING = [
    ["info"],
    ["info", "--json", "--allocation"],
    ["check"],
    ["check", "--json"],
    ["check", "--sarif", "-"],
    ["map"],
    ["map", "--json"],
    ["hash"],
    ["hash", "--json", "--layers"],
    ["files"],
    ["files", "--json"],
    ["log"],
    ["log", "--json"],
    ["chain"],
    ["chain", "--json"],
    ["tree", "--depth", "1"],
    ["tree", "--json", "--depth", "1"],
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_command_says_the_same_of_a_url(
    words: list[str], run: Run, files: Files, web: Web
) -> None:
    path = files.good(IMAGE)
    url, shown = secret_of(web.put("a.vhdx", good(IMAGE).file))
    here = run(words[0], path, *words[1:])
    there = run(words[0], url, *words[1:])
    assert there.status == here.status
    if "--sarif" in words:
        place = json.loads(there.out)["runs"][0]["artifacts"][0]["location"]["uri"]
        assert place == shown
    else:
        assert there.out == here.out.replace(str(path), shown)
        assert there.err == here.err.replace(str(path), shown)
    assert_tells_nothing(there)


def test_so_does_a_report_but_for_its_time(run: Run, files: Files, web: Web) -> None:
    path = files.good(IMAGE)
    url, shown = secret_of(web.put("a.vhdx", good(IMAGE).file))
    there = run("report", url, "--json", "--hash")
    here = json.loads(run("report", path, "--json", "--hash").out.replace(str(path), shown))
    assert json.loads(there.out) | {"created": ""} == here | {"created": ""}
    assert_tells_nothing(there)


def test_the_disk_at_a_url_is_copied(run: Run, files: Files, web: Web, tmp_path: Path) -> None:
    path = files.good(IMAGE)
    url, _ = secret_of(web.put("a.vhdx", good(IMAGE).file))
    model = good(IMAGE).model
    wanted = model.read(0, model.size)
    outcome = run("read", url, "-o", tmp_path / "read.img")
    assert (outcome.status, outcome.err) == (0, "")
    assert (tmp_path / "read.img").read_bytes() == wanted
    assert run("convert", url, tmp_path / "raw.img").status == 0
    assert (tmp_path / "raw.img").read_bytes() == wanted
    assert run("convert", url, tmp_path / "new.vhdx").status == 0
    assert run("compare", url, tmp_path / "new.vhdx").out == "same\n"
    assert run("hash", url).out.split()[0] == hashlib.sha256(wanted).hexdigest()
    assert run("metadump", path, tmp_path / "here.vhdx").status == 0
    there = run("metadump", url, tmp_path / "there.vhdx")
    assert there.status == 0
    assert_tells_nothing(there)
    assert (tmp_path / "there.vhdx").read_bytes() == (tmp_path / "here.vhdx").read_bytes()


def test_a_raw_image_at_a_url_becomes_a_new_one(run: Run, web: Web, tmp_path: Path) -> None:
    data = bytes(range(256)) * 8192
    url, shown = secret_of(web.put("a.img", data))
    outcome = run("convert", url, tmp_path / "new.vhdx", "--raw")
    assert outcome.status == 0
    assert shown in outcome.err
    assert_tells_nothing(outcome)
    assert run("hash", tmp_path / "new.vhdx").out.split()[0] == hashlib.sha256(data).hexdigest()


def test_several_files_may_be_anywhere(run: Run, files: Files, web: Web) -> None:
    url = web.put("a.vhdx", good(IMAGE).file)
    outcome = run("check", url, files.good(IMAGE), f"{web.url}/b.vhdx?sig=hidden")
    assert outcome.status == 1
    assert f"{url}: clean" in outcome.out
    assert f"{web.url}/b.vhdx?...: No such file" in outcome.err
    assert_tells_nothing(outcome)


def test_parents_are_beside_a_child_at_a_url(run: Run, web: Web) -> None:
    made = chain(3)
    for built, name in zip(made.images, made.names, strict=True):
        url = web.put(f"d/{name}", built.file)
    outcome = run("chain", url, "--json")
    paths = [image["path"] for image in json.loads(outcome.out)["chain"]]
    assert paths == [f"{web.url}/d/{name}" for name in reversed(made.names)]


FAILURES = [
    (Answer(404), "No such file"),
    (Answer(403), "403"),
    (Answer(200, {}, b"x" * 100), "does not know ranges"),
    (Answer(302, {"Location": "http://127.0.0.1:9/x?sig=hidden"}), ""),
]


@pytest.mark.parametrize(("answer", "why"), FAILURES)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_a_failure_is_a_line_without_secrets(
    answer: Answer, why: str, form: list[str], run: Run, web: Web
) -> None:
    web.twist = lambda *_: answer
    url, shown = secret_of(f"{web.url}/a.vhdx")
    outcome = run("info", url, *form)
    assert_failed(outcome, 1, shown, why)
    assert_tells_nothing(outcome)


def test_a_mistake_in_words_tells_no_secret(run: Run, web: Web) -> None:
    url, _ = secret_of(f"{web.url}/a.vhdx")
    for words in (["map", "a.vhdx", url], [url], ["info", f"--json={url}", "x"]):
        outcome = run(*words)
        assert outcome.status == 64
        assert_tells_nothing(outcome)


WRITING = [
    ["write", "URL", "--zero", "--offset", "0", "--length", "512"],
    ["compact", "URL"],
    ["merge", "URL"],
    ["set", "URL", "--disk-id", "11111111-2222-3333-4444-555555555555"],
    ["resize", "URL", "1G"],
    ["repair", "URL", "--write"],
    ["replay", "URL"],
    ["create", "URL", "--size", "1M"],
    ["convert", "FILE", "URL"],
    ["read", "FILE", "-o", "URL"],
    ["metadump", "FILE", "URL"],
    ["check", "FILE", "--sarif", "URL"],
    ["rebase", "URL", "FILE"],
]


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_nothing_is_written_to_a_url(words: list[str], run: Run, files: Files, web: Web) -> None:
    url, shown = secret_of(web.put("a.vhdx", good("dirty-everything").file))
    path = files.good(IMAGE)
    outcome = run(*({"URL": url, "FILE": path}.get(word, word) for word in words))
    assert outcome.status == 1
    assert_one_line(outcome.err)
    assert "read only" in outcome.err
    assert shown in outcome.err
    assert_tells_nothing(outcome)


def test_what_reads_urls_is_loaded_for_urls_alone(files: Files, web: Web, tmp_path: Path) -> None:
    modules = ["fsspec", "aiohttp", "vhdx_kaitai.storage.remote"]
    for words in (["info", files.good(IMAGE)], ["map", files.good(IMAGE)]):
        assert imported(*words, cwd=tmp_path, modules=modules) == set()
    url = web.put("a.vhdx", good(IMAGE).file)
    assert imported("map", url, cwd=tmp_path, modules=modules) == set(modules)
