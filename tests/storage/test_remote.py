"""Files on a web server: read by few ranges, and never bytes that are not theirs."""

from __future__ import annotations

import errno
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from fsspec.config import conf

from tests.images.sparse import Pattern, Sparse, pattern
from tests.images.structures import KIB, MIB
from tests.web import Answer, Request, Web, serving
from vhdx_kaitai.errors import ReplacedError, TruncatedError, UnsupportedError
from vhdx_kaitai.storage import remote
from vhdx_kaitai.storage.overlay import Overlay, Update
from vhdx_kaitai.storage.source import RemoteSource, open_source

SIZE = 5 * MIB + 1000
FIRST = 320 * KIB
FILE = Sparse(SIZE, {0: Pattern(1, 0, SIZE)})


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


def matches(source: object, offset: int, length: int, tag: int = 1) -> bool:
    assert isinstance(source, RemoteSource)
    return source.read(offset, length) == pattern(tag, offset, length)


# -- what is asked for ----------------------------------------------------------------------------


def test_one_request_opens_a_file_and_has_its_first_bytes(web: Web) -> None:
    source = open_source(web.put("a.vhdx", FILE))
    assert source.size == SIZE
    assert matches(source, 0, FIRST)
    assert [request.method for request in web.requests] == ["GET"]
    assert web.ranges() == [(0, FIRST)]


def test_further_bytes_take_a_request_for_their_pages(web: Web) -> None:
    source = open_source(web.put("a.vhdx", FILE))
    web.ranges()
    assert matches(source, MIB + 10, 20)
    assert matches(source, SIZE - 1, 1)
    assert web.ranges() == [(MIB, MIB + 64 * KIB), (5 * MIB, SIZE)]


def test_a_range_that_is_announced_is_fetched_at_once_unless_it_is_long(web: Web) -> None:
    source = open_source(web.put("a.vhdx", FILE))
    web.ranges()
    Overlay(source, [Update(0, 512)], SIZE + MIB).prefetch(5 * MIB, 6 * MIB)
    source.prefetch(0, SIZE)  # more than 4 MiB
    source.prefetch(9 * MIB, 10 * MIB)
    source.prefetch(MIB, MIB)
    assert web.ranges() == [(5 * MIB, SIZE)]


def test_every_request_demands_the_file_that_was_opened(web: Web) -> None:
    source = open_source(web.put("a.vhdx", FILE))
    source.read(MIB, 1)
    first, second = web.requests
    assert "if-match" not in first.headers
    assert second.headers["if-match"].startswith('"')
    assert second.headers["accept-encoding"] == "identity"


def test_headers_that_fsspec_is_told_are_sent_too(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(conf, "http", {"headers": {"Authorization": "Bearer x"}})
    source = open_source(web.put("a.vhdx", FILE))
    assert matches(source, MIB, 1)
    assert [request.headers["authorization"] for request in web.requests] == ["Bearer x"] * 2


def test_without_a_strong_tag_the_time_is_demanded(web: Web) -> None:
    def weaken(_request: Request, answer: Answer) -> None:
        answer.headers["ETag"] = 'W/"1"'

    web.twist = weaken
    source = open_source(web.put("a.vhdx", FILE))
    assert matches(source, MIB, 1)
    last = web.requests[-1]
    assert "if-match" not in last.headers
    assert last.headers["if-unmodified-since"].endswith("GMT")


@pytest.mark.parametrize("size", [0, 1, FIRST - 1, FIRST, FIRST + 1])
def test_files_of_any_length_are_read(web: Web, size: int) -> None:
    source = open_source(web.put("a.vhdx", pattern(1, 0, size)))
    assert source.size == size
    assert source.read(0, size) == pattern(1, 0, size)
    with pytest.raises(TruncatedError):
        source.read(0, size + 1)


def test_many_threads_read_a_file_at_once(web: Web) -> None:
    source = open_source(web.put("a.vhdx", FILE))

    def reads(seed: int) -> bool:
        random = Random(seed)
        offsets = [random.randrange(SIZE) for _ in range(20)]
        return all(matches(source, at, min(100_000, SIZE - at)) for at in offsets)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(reads, range(8)))


def test_a_name_with_any_characters_is_found(web: Web) -> None:
    web.put("d e/a%20+ü.vhdx", FILE)
    source = open_source(f"{web.url}/d%20e/a%2520%2B%C3%BC.vhdx")
    assert matches(source, 0, 10)
    assert web.requests[0].path == "/d%20e/a%2520%2B%C3%BC.vhdx"  # to the letter
    assert matches(open_source(f"{web.url}/d e/a%20+ü.vhdx".replace("%20", "%2520")), 0, 10)


def test_a_query_is_passed_on_to_the_letter(web: Web) -> None:
    url = f"{web.put('a.vhdx', FILE)}?X-Signature=a%2Fb%2B%3D&x=1"
    source = open_source(url)
    assert web.requests[0].path == "/a.vhdx?X-Signature=a%2Fb%2B%3D&x=1"
    assert source.path == f"{web.url}/a.vhdx?..."
    assert source.location == source.address() == url


def test_a_closed_file_is_not_read(web: Web) -> None:
    source = open_source(web.put("a.vhdx", FILE))
    source.close()
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.read(0, 1)


# -- another file in its place --------------------------------------------------------------------

OTHER = Sparse(SIZE, {0: Pattern(2, 0, SIZE)})
LARGER = Sparse(SIZE + 512, {0: Pattern(2, 0, SIZE + 512)})
SMALLER = Sparse(2 * MIB, {0: Pattern(2, 0, 2 * MIB)})


def ignores_conditions(web: Web) -> None:
    """Let a server send whatever it has, as many do."""
    honest = web._honest

    def forget(request: Request) -> Answer:
        kept = {k: v for k, v in request.headers.items() if not k.startswith("if-")}
        return honest(Request(request.method, request.path, kept))

    web._honest = forget  # type: ignore[method-assign]


@pytest.mark.parametrize("other", [OTHER, LARGER, SMALLER], ids=["other", "larger", "smaller"])
@pytest.mark.parametrize("knows", [True, False], ids=["refuses", "sends it all the same"])
def test_a_file_that_is_replaced_while_it_is_read_fails(
    web: Web, other: Sparse, knows: bool
) -> None:
    url = web.put("a.vhdx", FILE)
    if not knows:
        ignores_conditions(web)
    source = open_source(url)
    assert matches(source, MIB, 10)
    web.put("a.vhdx", other)
    for offset in (3 * MIB, MIB + 64 * KIB):
        with pytest.raises(ReplacedError, match="replaced or changed") as caught:
            source.read(offset, 100)
        assert caught.value.path == url
    assert matches(source, MIB, 10)  # what was read before is of one file


def test_a_file_without_tags_is_told_by_its_length(web: Web) -> None:
    web.has_tags = False
    url = web.put("a.vhdx", FILE)
    source = open_source(url)
    web.put("a.vhdx", LARGER)
    with pytest.raises(ReplacedError):
        source.read(3 * MIB, 100)


def test_a_file_that_is_removed_is_not_found(web: Web) -> None:
    source = open_source(web.put("a.vhdx", FILE))
    web.remove("a.vhdx")
    with pytest.raises(FileNotFoundError) as caught:
        source.read(MIB, 1)
    assert caught.value.filename == f"{web.url}/a.vhdx"


# -- servers that lie -----------------------------------------------------------------------------


def ignore_range(_web: Web) -> Callable[[Request, Answer], Answer]:
    return lambda _request, _answer: Answer(200, {}, pattern(1, 0, 2 * MIB))


def without_end(_web: Web) -> Callable[[Request, Answer], Answer]:
    """A file of 4 EiB that begins to arrive."""
    return lambda _request, _answer: Answer(
        200, {"Content-Length": str(1 << 62)}, bytes(MIB), cut=MIB
    )


def header(
    name: str, value: Callable[[str], str]
) -> Callable[[Web], Callable[[Request, Answer], None]]:
    def twist(_request: Request, answer: Answer) -> None:
        answer.headers[name] = value(answer.headers.get(name, ""))

    return lambda _web: twist


def body(change: Callable[[bytes], bytes]) -> Callable[[Web], Callable[[Request, Answer], None]]:
    def twist(_request: Request, answer: Answer) -> None:
        answer.body = change(answer.body)

    return lambda _web: twist


def cut(_web: Web) -> Callable[[Request, Answer], None]:
    def twist(_request: Request, answer: Answer) -> None:
        answer.cut = len(answer.body) // 2

    return twist


def status(number: int) -> Callable[[Web], Callable[[Request, Answer], Answer]]:
    return lambda _web: lambda _request, _answer: Answer(number)


def elsewhere(web: Web) -> Callable[[Request, Answer], Answer]:
    return lambda request, _answer: Answer(302, {"Location": f"{web.url}{request.path}"})


def garbage(_web: Web) -> Callable[[Request, Answer], None]:
    def twist(_request: Request, answer: Answer) -> None:
        answer.headers["Content-Length"] = "many"

    return twist


def moved(text: str) -> str:
    return re.sub(r"\d+-\d+", lambda match: match[0].replace(match[0][0], "7", 1), text)


RANGE = "Content-Range"
NOT_TOLD, OTHER_RANGE = "which range", "another range"

LIES = {
    "it knows no ranges": (ignore_range, errno.EIO, "does not know ranges"),
    "it knows no ranges, and has no end": (without_end, errno.EIO, "does not know ranges"),
    "the range is not told": (header(RANGE, lambda _: ""), errno.EIO, NOT_TOLD),
    "the range is nonsense": (header(RANGE, lambda _: "bytes 1-2/x"), errno.EIO, NOT_TOLD),
    "the length is not told": (header(RANGE, lambda text: f"{text[:9]}/*"), errno.EIO, NOT_TOLD),
    "the length is beyond all": (header(RANGE, lambda text: text + "0" * 20), errno.EIO, NOT_TOLD),
    "another range": (header(RANGE, moved), errno.EIO, OTHER_RANGE),
    "too short": (body(lambda data: data[:-1]), errno.EIO, OTHER_RANGE),
    "too long": (body(lambda data: data + b"x"), errno.EIO, OTHER_RANGE),
    "compressed": (header("Content-Encoding", lambda _: "gzip"), errno.EIO, OTHER_RANGE),
    "no length": (header("Content-Length", lambda _: ""), errno.EIO, OTHER_RANGE),
    "nonsense for a length": (garbage, errno.EIO, "400"),
    "the end is missing": (cut, errno.EIO, "not completed"),
    "round in circles": (elsewhere, errno.EIO, "TooManyRedirects"),
    "not found": (status(404), errno.ENOENT, "No such file"),
    "gone": (status(410), errno.ENOENT, "No such file"),
    "not allowed": (status(403), errno.EACCES, "403"),
    "who are you": (status(401), errno.EACCES, "401"),
    "out of order": (status(503), errno.EIO, "503"),
    "no content": (status(204), errno.EIO, "204"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_at_once_is_not_believed(web: Web, lie: str) -> None:
    make, number, message = LIES[lie]
    url = web.put("a.vhdx", FILE)
    web.twist = make(web)
    with pytest.raises(OSError, match=message) as caught:
        open_source(f"{url}?sig=hidden")
    assert (caught.value.errno, caught.value.filename) == (number, f"{url}?...")
    assert len(web.requests) < 20


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_later_is_not_believed(web: Web, lie: str) -> None:
    make, number, _ = LIES[lie]
    source = open_source(web.put("a.vhdx", FILE))
    web.twist = make(web)
    with pytest.raises((OSError, ReplacedError)) as caught:
        source.read(MIB, 200 * KIB)
    assert isinstance(caught.value, ReplacedError) or getattr(caught.value, "errno", 0) == number
    web.twist = None
    assert matches(source, MIB, 200 * KIB)


def test_nothing_of_an_answer_without_end_is_kept(web: Web) -> None:
    """It is refused by its head: not even the MiB that begins to arrive is waited for."""
    url = web.put("a.vhdx", FILE)

    def endless(_request: Request, _answer: Answer) -> Answer:
        return Answer(
            206,
            {"Content-Range": f"bytes 0-{(1 << 62) - 1}/{1 << 62}", "Content-Length": str(1 << 62)},
            pause=30,
        )

    web.twist = endless
    with pytest.raises(OSError, match="another range"):
        open_source(url)


def test_a_server_that_says_nothing_is_not_waited_for(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = web.put("a.vhdx", FILE)
    source = open_source(url)
    monkeypatch.setattr(remote, "_SECONDS", 0.2)
    web.latency = 1
    with pytest.raises(TimeoutError) as caught:
        source.read(MIB, 1)
    assert caught.value.filename == url


def test_a_redirection_is_followed_and_the_file_held_there(web: Web) -> None:
    url = web.put("a.vhdx", FILE)

    def redirect(request: Request, _answer: Answer) -> Answer | None:
        is_old = request.path == "/old"
        return Answer(307, {"Location": f"{url}?sig=hidden"}) if is_old else None

    web.twist = redirect
    source = open_source(f"{web.url}/old")
    assert matches(source, MIB, 10)
    web.put("a.vhdx", OTHER)
    with pytest.raises(ReplacedError):
        source.read(2 * MIB, 10)


def test_a_server_that_is_not_there_is_an_error_of_the_system() -> None:
    with serving() as web:
        url = web.put("a.vhdx", FILE)
    with pytest.raises(OSError, match=r".") as caught:
        open_source(url)
    assert caught.value.filename == url


# -- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", LIES)
def test_no_error_tells_a_secret(web: Web, lie: str) -> None:
    web.put("a.vhdx", FILE)
    web.twist = LIES[lie][0](web)
    url = f"{web.url}/a.vhdx?X-Signature=hidden%2Btoken".replace("://", "://me:pass%40word@")
    with pytest.raises(OSError, match=r".") as caught:
        open_source(url)
    told = "".join(traceback.format_exception(caught.value))
    for secret in ("hidden", "pass%40word", "pass@word"):
        assert secret not in told
    assert web.requests[0].headers["authorization"].startswith("Basic ")


# -- what is not installed ------------------------------------------------------------------------


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UnsupportedError, match=re.escape("pip install 'vhdx-kaitai[remote]'")):
        open_source("https://host/a.vhdx")


def test_what_a_scheme_takes_is_named() -> None:
    with pytest.raises(UnsupportedError, match="nothing://"):
        open_source("nothing://host/a.vhdx")
