"""URLs as text: which paths are some, what of one may be told, what lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.storage import urls

URLS = ["https://host/a.vhdx", "s3://bucket/a.vhdx", "HTTP://host/a", "zip://a::https://host/b.zip"]
PATHS = [
    "a.vhdx",
    "/images/a.vhdx",
    "C:\\images\\a.vhdx",
    "c://images/a.vhdx",
    "images/https://host/a.vhdx",
    "./https://host/a.vhdx",
    "https:/host/a.vhdx",
    "1http://host/a",
    "://host/a",
    "",
    "\0",
]


@pytest.mark.parametrize("url", URLS)
def test_a_path_with_a_scheme_is_a_url(url: str) -> None:
    assert urls.is_url(url)


@pytest.mark.parametrize("path", PATHS)
def test_other_paths_stay_what_they_are(path: str) -> None:
    assert not urls.is_url(path)
    assert urls.shown(path) == path


def test_a_local_file_whose_name_is_a_url_stays_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "https:" / "user:word@host").mkdir(parents=True)
    name = "https://user:word@host/a.vhdx"
    assert urls.is_url(name)
    (tmp_path / "https:" / "user:word@host" / "a.vhdx").touch()
    assert not urls.is_url(name)
    assert urls.shown(name) == name


SHOWN = [
    ("https://host/a.vhdx", "https://host/a.vhdx"),
    ("https://host:8080/a%20b.vhdx", "https://host:8080/a%20b.vhdx"),
    ("https://me:secret@host/a.vhdx", "https://...@host/a.vhdx"),
    ("https://token@host/a.vhdx", "https://...@host/a.vhdx"),
    ("https://me:sec@ret@host/a.vhdx", "https://...@host/a.vhdx"),
    ("https://host/a.vhdx?X-Amz-Signature=secret", "https://host/a.vhdx?..."),
    ("https://host/a.vhdx?sig='secret' &x=\"secret\"", "https://host/a.vhdx?..."),
    ("https://host/a.vhdx?sig=a::secret", "https://host/a.vhdx?..."),
    ("https://host/a.vhdx#secret", "https://host/a.vhdx#..."),
    ("s3://bucket/me@home/a.vhdx", "s3://bucket/me@home/a.vhdx"),
    ("abfs://container@account.dfs/a.vhdx", "abfs://container@account.dfs/a.vhdx"),
    ("abfs://me:secret@account.dfs/a.vhdx", "abfs://...@account.dfs/a.vhdx"),
    (
        "zip://a.vhdx::https://me:secret@host/a.zip?secret",
        "zip://a.vhdx::https://...@host/a.zip?...",
    ),
]


@pytest.mark.parametrize(("url", "shown"), SHOWN)
def test_neither_credentials_nor_queries_are_told(url: str, shown: str) -> None:
    assert urls.shown(url) == shown
    assert "secret" not in urls.shown(url)


def test_texts_tell_no_secret_of_a_url_in_them() -> None:
    url = "https://me:secret@host/a.vhdx?sig=hidden"
    text = f"404, url='{url}', try <{url}> or /a.vhdx?sig=hidden as me:secret"
    cleaned = urls.without(text, url)
    assert "secret" not in cleaned
    assert "hidden" not in cleaned
    assert "https://...@host/a.vhdx?..." in cleaned
    assert urls.told("no URL: a://b/c?") == "no URL: a://b/c?"


BESIDE = [
    ("https://host/a.vhdx", "https://host/", "a.vhdx", "https://host/b%20c.vhdx"),
    ("https://host/d%20e/a.vhdx?s=1", "https://host/d%20e/?s=1", "a.vhdx", "https://host/d%20e/b%20c.vhdx?s=1"),
    ("s3://bucket/d/a?b.vhdx", "s3://bucket/d/", "a?b.vhdx", "s3://bucket/d/b c.vhdx"),
    ("memory://a.vhdx", "memory://", "a.vhdx", "memory://b c.vhdx"),
    ("zip://d/a.vhdx::https://h/z.zip?s", "zip://d/::https://h/z.zip?s", "a.vhdx", "zip://d/b c.vhdx::https://h/z.zip?s"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "folder", "name", "sibling"), BESIDE)
def test_what_is_beside_a_file_is_in_its_folder(
    url: str, folder: str, name: str, sibling: str
) -> None:
    assert urls.split(url) == (folder, name)
    assert urls.below(folder, ["b c.vhdx"]) == sibling
    assert urls.below(folder, ["d", "e"]).partition("?")[0].partition("::")[0].endswith("d/e")


def test_what_a_name_has_of_a_url_is_quoted() -> None:
    url = urls.below("https://host/d/", ["a?b#c", "d%20e"])
    assert url == "https://host/d/a%3Fb%23c/d%2520e"
    assert urls.names_on_the_way(url) == ["host", "d", "a?b#c", "d%20e"]


@pytest.mark.parametrize(
    ("steps", "folder"), [(1, "s3://bucket/a/"), (2, "s3://bucket/"), (9, "s3://bucket/")]
)
def test_above_a_folder_is_the_same_bucket(steps: int, folder: str) -> None:
    assert urls.above("s3://bucket/a/b/", steps) == folder


def test_nothing_is_written_to_a_url() -> None:
    urls.refuse_url("a.vhdx")
    with pytest.raises(UnsupportedError, match="read only") as caught:
        urls.refuse_url("https://me:secret@host/a.vhdx")
    assert caught.value.path == "https://...@host/a.vhdx"
