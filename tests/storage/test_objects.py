"""Files in S3, on this machine: with s3fs, and with obstore where s3fs is not installed."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.sparse import pattern
from tests.images.structures import KIB, MIB
from tests.parents_fixtures import child, parent, tag_of
from tests.support import good
from vhdx_kaitai.errors import ReplacedError, UnsupportedError
from vhdx_kaitai.storage import objects
from vhdx_kaitai.storage.remote import names_in
from vhdx_kaitai.storage.source import open_source

pytestmark = pytest.mark.slow

SIZE = 3 * MIB + 1000

# What both of them take from the environment.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "hidden",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


class Bucket:
    """A bucket, and what its server is asked."""

    def __init__(self, url: str) -> None:
        self._client: Any = import_module("boto3").client("s3", endpoint_url=url)
        self._client.create_bucket(Bucket="bucket")
        self.requests: list[str] = []
        self.heads = 5  # to open an image: one, and one after each range

    def put(self, path: str, data: bytes) -> str:
        self._client.put_object(Bucket="bucket", Key=path, Body=data)
        self.requests.clear()
        return f"s3://bucket/{path}"

    def asked(self) -> list[str]:
        """Return the methods of what was asked since this was asked last."""
        asked = list(self.requests)
        self.requests.clear()
        return asked

    def empty(self) -> None:
        for entry in self._client.list_objects(Bucket="bucket").get("Contents", ()):
            self._client.delete_object(Bucket="bucket", Key=entry["Key"])
        self._client.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = pytest.importorskip("moto.server", reason="no moto").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    import_module("s3fs").S3FileSystem.clear_instance_cache()  # others have another server
    server.stop()


@pytest.fixture(params=["s3fs", "obstore"])
def bucket(
    request: pytest.FixtureRequest, server: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        monkeypatch.setenv(name, server)
    made = Bucket(server)

    class Counter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found = re.search(r"(GET|HEAD) /bucket/", record.getMessage())
            if found:
                made.requests.append(found[1])

    log = logging.getLogger("werkzeug")
    log.addHandler(Counter())
    log.setLevel(logging.INFO)
    if request.param == "obstore":
        pytest.importorskip("obstore", reason="no obstore")
        without_s3fs(monkeypatch)
        made.heads = 1
    else:
        pytest.importorskip("s3fs", reason="no s3fs")
    yield made
    log.handlers.clear()
    made.empty()


def without_s3fs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fsspec not find what it would take for S3."""
    missing = {"class": "no_such_package.S3", "err": "Install s3fs to access S3"}
    registry = import_module("fsspec.registry")
    monkeypatch.setitem(registry.known_implementations, "s3", missing)
    monkeypatch.delitem(registry._registry, "s3", raising=False)


def test_a_file_is_read(bucket: Bucket) -> None:
    source = open_source(bucket.put("d/a b.vhdx", pattern(1, 0, SIZE)))
    assert source.size == SIZE
    for offset, length in ((0, 10), (MIB + 5, 300 * KIB), (SIZE - 1, 1), (0, SIZE)):
        assert source.read(offset, length) == pattern(1, offset, length)


def test_an_image_opens_by_few_requests(bucket: Bucket) -> None:
    built = good("dirty-everything")
    with vhdx_kaitai.open(bucket.put("a.vhdx", built.to_bytes())) as disk:
        asked = bucket.asked()
        assert asked.count("GET") == 4
        assert asked.count("HEAD") == bucket.heads
        assert disk.pread(512, 0) == built.model.read(0, 512)


@pytest.mark.parametrize("size", [SIZE, SIZE + 512, 2 * MIB])
def test_an_object_that_is_replaced_fails(bucket: Bucket, size: int) -> None:
    url = bucket.put("a.vhdx", pattern(1, 0, SIZE))
    source = open_source(url)
    assert source.read(MIB, 10) == pattern(1, MIB, 10)
    bucket.put("a.vhdx", pattern(2, 0, size))
    with pytest.raises(ReplacedError) as caught:
        source.read(0, 10)
    assert caught.value.path == url
    assert source.read(MIB, 10) == pattern(1, MIB, 10)


def test_what_is_not_there_is_not_found(bucket: Bucket) -> None:
    bucket.put("a.vhdx", b"")
    with pytest.raises(FileNotFoundError) as caught:
        open_source("s3://bucket/b.vhdx")
    assert caught.value.filename == "s3://bucket/b.vhdx"
    assert caught.value.strerror == "No such file or directory"
    source = open_source("s3://bucket/a.vhdx")
    assert (source.size, source.read(0, 0)) == (0, b"")


def test_parents_are_found_in_any_case(bucket: Bucket) -> None:
    bucket.put("d/e/Parent.vhdx", parent(4).to_bytes())
    assert names_in("s3://bucket/d/") == ["e"]
    url = bucket.put("d/child.vhdx", child(relative_path="E\\parent.VHDX").to_bytes())
    with vhdx_kaitai.open(url) as disk:
        assert tag_of(disk) == 4
        assert disk.chain[1].path == "s3://bucket/d/e/Parent.vhdx"
    with vhdx_kaitai.open(
        bucket.put("child.vhdx", child(relative_path="gone").to_bytes()), search="s3://bucket/d/e"
    ) as disk:
        assert disk.links[0].key == "data_write_guid"


def test_without_either_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without_s3fs(monkeypatch)
    monkeypatch.setattr(objects, "find_spec", lambda _name: None)
    with pytest.raises(UnsupportedError, match="Install s3fs"):
        open_source("s3://bucket/a.vhdx")
