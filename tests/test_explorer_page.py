"""The explorer in Chromium: what people see, click, press and hear, and that it keeps to itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests import browser as a_browser
from tests.browser import chromium
from tests.conftest import Files
from tests.explorer import PAGE, Explorer, reason_for_absence
from tests.images.demo import demo
from tests.images.image import differencing
from tests.images.structures import GIB, TIB, Locator
from tests.support import good
from tests.web import Answer, OnDisk, Request, Web, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    reason = reason_for_absence() or a_browser.reason_for_absence()
    if reason is not None:
        pytest.skip(reason)
    with chromium() as running:
        yield running


@pytest.fixture
def image(files: Files) -> Path:
    return files.good("dynamic-plain")


@pytest.fixture
def explorer(browser: Browser, image: Path) -> Iterator[Explorer]:
    """The page with a file, and without an error at the end."""
    with Explorer(browser, image) as opened:
        yield opened
        assert opened.told == []


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's image, whose log has to be replayed."""
    path = tmp_path_factory.mktemp("dirty") / "demo.vhdx"
    demo(path)
    return path


# --- What is seen ---


def test_a_file_is_opened_and_nothing_else_is_asked_for(explorer: Explorer) -> None:
    rows = explorer.rows()
    assert explorer.page.title() == "dynamic-plain.vhdx, VHDX explorer"
    assert rows[0] == 'file_identifier: created by "vhdx test images"'
    assert rows[-1] == "bat: 8 payload blocks in 1 chunks at 0x300000"
    assert explorer.asked == [PAGE.as_uri()]


def test_a_sample_opens(sample: tuple[Any, Path], browser: Browser) -> None:
    _, path = sample
    with Explorer(browser, path) as explorer:
        rows = explorer.rows()
        assert len(rows) == 12
        assert not any("cannot be read" in row for row in rows)
        assert explorer.told == []


def test_a_file_may_be_dropped(browser: Browser, image: Path) -> None:
    with Explorer(browser) as explorer:
        page = explorer.page
        page.evaluate(
            """() => document.getElementById('file').addEventListener(
              'change', (event) => event.stopImmediatePropagation(), { capture: true })"""
        )
        page.set_input_files("#file", image)
        page.evaluate(
            """() => {
              const dataTransfer = new DataTransfer();
              dataTransfer.items.add(document.getElementById('file').files[0]);
              document.dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true }));
            }"""
        )
        explorer.done()
        assert page.title().startswith("dynamic-plain.vhdx")


def test_a_dirty_log_is_told(browser: Browser, explorer: Explorer, dirty: Path) -> None:
    assert explorer.page.locator("#dirty").is_hidden()
    with Explorer(browser, dirty) as another:
        assert another.page.locator("#dirty").is_visible()


def test_an_error_stands_where_it_is(browser: Browser, files: Files) -> None:
    with Explorer(browser, files.damaged("locator-value-past-the-item")) as explorer:
        explorer.go("field", "metadata.items[5].data.key_values[2].ofs_value")
        rows = explorer.rows()
    assert "value: cannot be read: EOFError: requested 26 bytes, but only 0 bytes available" in rows
    assert "key: relative_path" in rows
    assert any(row.startswith("bat: ") and "cannot" not in row for row in rows)


def test_a_file_that_changes_is_told(browser: Browser, tmp_path: Path) -> None:
    path = good("dynamic-plain").write(tmp_path / "changing.vhdx")
    with Explorer(browser, path) as explorer:
        with path.open("r+b") as file:
            file.truncate(1 << 20)
        explorer.go("offset", "0x4fffff")
        assert explorer.status().startswith("changing.vhdx cannot be read, or has changed")


# --- From one to the other ---


def test_a_click_on_a_field_marks_its_bytes(explorer: Explorer) -> None:
    explorer.click("[role=treeitem]:has-text('header_2')")
    marked = explorer.marked()
    assert marked == list(range(0x20000, 0x20000 + len(marked)))  # as far as the window goes
    assert explorer.detail("Place") == "0x20000 to 0x20fff, 4096 bytes"
    assert explorer.detail("About").startswith("Second copy of the header.")


def test_a_click_on_a_byte_selects_its_field(explorer: Explorer) -> None:
    explorer.go("offset", "0x20048")
    explorer.click(f"[data-at='{0x2004A}']")
    assert explorer.detail("Path") == "header_2.log_offset"  # [MS-VHDX] 2.2.2: 8 bytes at 72
    assert explorer.marked() == list(range(0x20048, 0x20050))
    assert explorer.here() == 0x2004A


def test_a_computed_field_marks_nothing(explorer: Explorer) -> None:
    explorer.go("field", "header_1.version")
    assert explorer.marked() != []
    explorer.go("field", "header_1.is_signature_valid")
    assert explorer.marked() == []
    assert explorer.detail("Place") == "none: found or computed by the grammar"


# --- Jumps ---


@pytest.mark.parametrize(
    ("kind", "where", "path"),
    [
        ("virtual", "3MiB", "bat.chunks[0].payload_blocks[3]"),
        ("virtual", "0x7fffff", "bat.chunks[0].payload_blocks[7]"),
        ("block", "2", "bat.chunks[0].payload_blocks[2]"),
        ("field", "header_2.checksum", "header_2.checksum"),
        ("field", "log_offset", "header_1.log_offset"),
        ("field", "metadata.items[4].data", "metadata.items[4].data"),
    ],
)
def test_a_jump_opens_what_leads_there(
    kind: str, where: str, path: str, explorer: Explorer
) -> None:
    explorer.go(kind, where)
    assert explorer.detail("Path") == path


@pytest.mark.parametrize(
    ("kind", "where", "said"),
    [
        ("virtual", "8MiB", "the disk has 8 payload blocks, from 0 on"),
        ("offset", "1TiB", "the file ends at 0x"),
        ("block", "many", "a number is wanted"),
        ("offset", "1MB", "a number is wanted"),
        ("field", "no_such_field", "the grammar has no field no_such_field"),
        ("field", "metadata.items[99]", "this file has no metadata.items[99]"),
        ("entry", "0", "no log entry begins in slot 0 or after it"),
    ],
)
def test_a_jump_to_nowhere_says_so(kind: str, where: str, said: str, explorer: Explorer) -> None:
    explorer.go(kind, where)
    assert explorer.status().startswith(said)


def test_places_are_a_click_away(browser: Browser, dirty: Path) -> None:
    found = []
    with Explorer(browser, dirty) as explorer:
        for name in ("Header 1", "Header 2", "Regions", "Items", "Log", "BAT"):
            explorer.click(f"nav button:text-is('{name}')")
            found.append(explorer.detail("Path"))
        explorer.go("entry", "0")
        assert explorer.detail("Path") == "log.slots[0]"
    headers = ["header_1", "header_2"]
    assert found == [*headers, "region_table_1.entries", "metadata.items", "log", "bat.chunks"]


def test_a_search_goes_on_to_the_next_name(explorer: Explorer) -> None:
    for path in ("header_1.checksum", "header_2.checksum", "region_table_1.checksum"):
        explorer.go("field", "checksum")
        assert explorer.detail("Path") == path


# --- Size ---


def test_a_file_of_100_gib_opens(browser: Browser, tmp_path: Path) -> None:
    path = good("dynamic-plain").write(tmp_path / "large.vhdx")
    with path.open("r+b") as file:
        file.truncate(100 * GIB)
    with Explorer(browser, path) as explorer:
        assert explorer.page.locator("#name").inner_text() == "large.vhdx, 100 GiB"
        assert explorer.page.evaluate("page.reading.pages.loads") <= 20
        explorer.page.focus("[data-at='0']")
        explorer.press("Control+End")
        assert explorer.here() == 100 * GIB - 1


def test_the_last_block_of_64_tib_is_shown_in_groups(browser: Browser, files: Files) -> None:
    """Of 16384 chunks with 4096 blocks each there are some hundred rows."""
    with Explorer(browser, files.good("largest-disk")) as explorer:
        explorer.go("virtual", str(64 * TIB - 1))
        assert explorer.detail("Path") == "bat.chunks[16383].payload_blocks[4095]"
        assert explorer.detail("Value").startswith("fully_present, at ")
        rows = explorer.rows()
    assert len(rows) < 600
    assert "[16256 … 16383]: " in rows


# --- Strangers ---


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe\x1b[31m"


def test_text_of_an_image_runs_nothing_and_turns_nothing(browser: Browser, tmp_path: Path) -> None:
    locator = Locator.of({"parent_linkage": HOSTILE, HOSTILE[:40]: "x"})
    built = differencing(creator=HOSTILE, locator=locator).build()
    path = built.write(tmp_path / "\u202e<img src=x onerror=alert(3)>.vhdx")
    shown = HOSTILE.replace("\u202e", r"\u202e").replace("\x1b", r"\x1b")
    with Explorer(browser, path) as explorer:
        explorer.go("field", "metadata.items[5].data.key_values[0].key")
        rows = explorer.rows()
        assert rows[0] == f'file_identifier: created by "{shown}"'
        assert f"[0]: parent_linkage = {shown}" in rows
        assert explorer.page.locator("#name").inner_text().startswith(r"\u202e<img")
        assert explorer.page.locator("main img, main script").count() == 0
        assert explorer.told == []
        assert explorer.asked == [PAGE.as_uri()]


@pytest.mark.parametrize("query", ["", "?url=http%3A%2F%2F127.0.0.1%3A1%2Fx"])
def test_the_network_is_shut_but_for_the_server_that_the_address_names(
    query: str, browser: Browser
) -> None:
    with serving() as web, Explorer(browser, query=query) as explorer:
        asks = "(url) => fetch(url, { mode: 'no-cors' }).then(() => 'asked', () => 'refused')"
        assert explorer.page.evaluate(asks, web.put("bait", b"bait")) == "refused"
        assert web.requests == []


# --- URLs ---


def allowing(_request: Request, answer: Answer) -> Answer:
    """Let pages of other servers ask, as a server does that wants to be asked by them."""
    return replace(answer, headers={**answer.headers, "Access-Control-Allow-Origin": "*"})


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as running:
        running.twist = allowing
        yield running


@pytest.fixture
def url(web: Web, image: Path) -> str:
    return web.put("image.vhdx", OnDisk(image))


@pytest.mark.parametrize("shown", ["", "Content-Range"])
def test_a_url_is_read_by_ranges(shown: str, browser: Browser, web: Web, url: str) -> None:
    """Where the server shows no Content-Range to other pages, it is asked how long the file is."""

    def showing(request: Request, answer: Answer) -> Answer:
        headers = {**answer.headers, "Access-Control-Expose-Headers": shown}
        return allowing(request, replace(answer, headers=headers))

    web.twist = showing
    with Explorer(browser, query=f"?{urlencode({'url': url})}") as explorer:
        assert len(explorer.rows()) == 12
        assert explorer.page.locator("#name").inner_text() == "image.vhdx, 5 MiB"
        assert explorer.told == []
    ranges = [request.range for request in web.requests if request.method == "GET"]
    assert 1 < len(ranges) <= 20
    assert None not in ranges
    assert len(web.requests) - len(ranges) == (0 if shown else 1)


def test_a_url_that_is_replaced_is_told(browser: Browser, web: Web, url: str) -> None:
    def later(request: Request, answer: Answer) -> Answer:
        headers = {**answer.headers, "Last-Modified": "Thu, 01 Jan 2099 00:00:00 GMT"}
        return allowing(request, replace(answer, headers=headers))

    with Explorer(browser, query=f"?{urlencode({'url': url})}") as explorer:
        web.twist = later
        explorer.go("offset", "0x4fffff")
        assert explorer.status() == "image.vhdx was replaced meanwhile"


def test_a_server_that_is_not_there_is_told(browser: Browser) -> None:
    """Nothing is told of a query, which may be a secret."""
    query = urlencode({"url": "http://127.0.0.1:1/image.vhdx?secret"})
    with Explorer(browser, query=f"?{query}") as explorer:
        said = "http://127.0.0.1:1/image.vhdx cannot be asked, or does not let this page ask (CORS)"
        assert explorer.status() == said


def test_a_server_without_ranges_is_told(browser: Browser, web: Web, url: str) -> None:
    web.twist = lambda request, answer: allowing(request, replace(answer, status=200))
    with Explorer(browser, query=f"?{urlencode({'url': url})}") as explorer:
        said = "the server hands out no ranges of image.vhdx (status 200)"
        assert explorer.status() == said


def test_a_url_is_typed(browser: Browser, url: str) -> None:
    with Explorer(browser) as explorer:
        explorer.page.fill("#url", url)
        with explorer.page.expect_navigation():
            explorer.page.keyboard.press("Enter")
        explorer.done()
        assert explorer.page.locator("#name").inner_text() == "image.vhdx, 5 MiB"


# --- Keyboard, screens, screen readers ---


def test_the_tree_goes_by_keys(explorer: Explorer) -> None:
    explorer.page.focus("[role=treeitem]")
    steps = {
        "ArrowDown ArrowRight": "header_1",  # opened
        "ArrowRight": "header_1.signature",
        "End": "bat",
        "Home": "file_identifier",
        "ArrowDown ArrowLeft": "header_1",  # closed
        "ArrowDown": "header_2",
    }
    for keys, path in steps.items():
        explorer.press(*keys.split())
        assert explorer.detail("Path") == path


def test_the_bytes_go_by_keys(explorer: Explorer) -> None:
    explorer.go("offset", "0x20000")
    explorer.press("ArrowDown", "ArrowRight", "End", "ArrowUp", "Home", "ArrowRight")
    focused = explorer.page.evaluate("document.activeElement.dataset.at")
    assert int(focused) == explorer.here() == 0x20001
    explorer.press("Enter")
    assert explorer.detail("Path") == "header_2.signature"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1400])
def test_nothing_is_in_the_way_of_people(
    scheme: str, width: int, browser: Browser, dirty: Path
) -> None:
    with Explorer(browser, width=width, scheme=scheme) as explorer:
        assert explorer.violations() == []
    with Explorer(browser, dirty, width=width, scheme=scheme) as explorer:
        explorer.go("field", "log.slots[0].entry.descriptors[0]")
        assert explorer.violations() == []
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert explorer.page.evaluate(too_wide) == 0
