"""The explorer in Chromium: what people see, click, press and hear, and that it keeps to itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files
from tests.explorer import PAGE, Browser, reason_for_absence
from tests.images.demo import demo
from tests.images.image import differencing
from tests.images.structures import GIB, TIB, Locator
from tests.support import good
from tests.web import Answer, OnDisk, Request, Web, serving

pytestmark = pytest.mark.slow

# What a page says: rows by their name and text, and what is marked.
ROWS = """const rows = () => page.$$eval('[role=treeitem]', (all) => all.map((row) =>
  ['.name', '.text'].map((part) => row.querySelector(part).textContent).join(': ')));"""
MARKED = """const marked = () => page.$$eval('[data-at][aria-selected=true]', (all) =>
  all.map((cell) => Number(cell.dataset.at)));"""
STATUS = "const status = () => page.$eval('#status', (element) => element.textContent);"
DETAIL = """const detail = (term) => page.$$eval('#details dt', (all, term) =>
  all.find((dt) => dt.textContent === term)?.nextElementSibling.textContent, term);"""
GO = """const go = async (kind, where) => {
  await page.select('#kind', kind);
  await page.$eval('#where', (input, where) => { input.value = where; }, where);
  await page.click('#go button');
  await done();
};"""
KIT = ROWS + MARKED + STATUS + DETAIL + GO


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    reason = reason_for_absence("chromium")
    if reason is not None:
        pytest.skip(reason)
    with Browser() as running:
        yield running


@pytest.fixture
def image(files: Files) -> str:
    return str(files.good("dynamic-plain"))


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's image, whose log has to be replayed."""
    path = tmp_path_factory.mktemp("dirty") / "demo.vhdx"
    demo(path)
    return str(path)


# --- What is seen ---


def test_a_file_is_opened_and_nothing_else_is_asked_for(browser: Browser, image: str) -> None:
    rows, title, asked, errors = browser.do(
        KIT
        + "await open(image); return [await rows(), await page.title(), page.asked, page.errors]",
        image=image,
    )
    assert title == "dynamic-plain.vhdx, VHDX explorer"
    assert rows[0] == 'file_identifier: created by "vhdx test images"'
    assert rows[-1] == "bat: 8 payload blocks in 1 chunks at 0x300000"
    assert asked == [PAGE.as_uri()]
    assert errors == []


def test_a_sample_opens(sample: tuple[Any, Path], browser: Browser) -> None:
    _, path = sample
    rows, errors = browser.do(
        KIT + "await open(image); return [await rows(), page.errors]", image=str(path)
    )
    assert len(rows) == 12
    assert not any("cannot be read" in row for row in rows)
    assert errors == []


def test_a_file_may_be_dropped(browser: Browser, image: str) -> None:
    title = browser.do(
        """await open();
        const data = await page.evaluateHandle(() => new DataTransfer());
        const input = await page.$('#file');
        await page.evaluate(() => document.getElementById('file').addEventListener(
          'change', (event) => event.stopImmediatePropagation(), { capture: true, once: true }));
        await input.uploadFile(image);
        await page.evaluate((data) => {
          data.items.add(document.getElementById('file').files[0]);
          document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, cancelable: true }));
        }, data);
        await done();
        return page.title();""",
        image=image,
    )
    assert title.startswith("dynamic-plain.vhdx")


def test_a_dirty_log_is_told(browser: Browser, image: str, dirty: str) -> None:
    told = browser.do(
        """const hidden = [];
        for (const image of images) {
          await open(image);
          hidden.push(await page.$eval('#dirty', (element) => element.hidden));
        }
        return hidden;""",
        images=[image, dirty],
    )
    assert told == [True, False]


def test_an_error_stands_where_it_is(browser: Browser, files: Files) -> None:
    rows = browser.do(
        KIT + "await open(image); await go('field', path); return rows();",
        image=str(files.damaged("locator-value-past-the-item")),
        path="metadata.items[5].data.key_values[2].ofs_value",
    )
    assert "value: cannot be read: EOFError: requested 26 bytes, but only 0 bytes available" in rows
    assert "key: relative_path" in rows
    assert any(row.startswith("bat: ") and "cannot" not in row for row in rows)


def test_a_file_that_changes_is_told(browser: Browser, tmp_path: Path) -> None:
    path = good("dynamic-plain").write(tmp_path / "changing.vhdx")
    browser.do("await open(image);", image=str(path))
    with path.open("r+b") as file:
        file.truncate(1 << 20)
    status = browser.do(KIT + "await go('offset', '0x4fffff'); return status()")
    assert status.startswith("changing.vhdx cannot be read, or has changed")


# --- From one to the other ---


def test_a_click_on_a_field_marks_its_bytes(browser: Browser, image: str) -> None:
    marked, place, meaning = browser.do(
        KIT
        + """await open(image);
        await page.click('[role=treeitem]:nth-child(3)'); // header_2
        await done();
        const all = await marked();
        return [[all[0], all.length], await detail('Place'), await detail('About')];""",
        image=image,
    )
    assert marked[0] == 0x20000
    assert place == "0x20000 to 0x20fff, 4096 bytes"
    assert meaning.startswith("Second copy of the header.")


def test_a_click_on_a_byte_selects_its_field(browser: Browser, image: str) -> None:
    path, marked, here = browser.do(
        KIT
        + """await open(image);
        await go('offset', '0x20048');
        await page.click('[data-at="131146"]');
        await done();
        const here = await page.$eval('.here', (cell) => cell.dataset.at);
        return [await detail('Path'), await marked(), here];""",
        image=image,
    )
    assert path == "header_2.log_offset"  # [MS-VHDX] 2.2.2: 8 bytes at 72
    assert marked == list(range(0x20048, 0x20050))
    assert here == str(0x2004A)


def test_a_computed_field_marks_nothing(browser: Browser, image: str) -> None:
    marked, place = browser.do(
        KIT
        + """await open(image);
        await go('field', 'header_1.version');
        await go('field', 'header_1.is_signature_valid');
        return [await marked(), await detail('Place')]""",
        image=image,
    )
    assert marked == []
    assert place == "none: found or computed by the grammar"


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
    kind: str, where: str, path: str, browser: Browser, image: str
) -> None:
    found = browser.do(
        KIT + "await open(image); await go(kind, where); return detail('Path')",
        image=image,
        kind=kind,
        where=where,
    )
    assert found == path


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
def test_a_jump_to_nowhere_says_so(
    kind: str, where: str, said: str, browser: Browser, image: str
) -> None:
    status, errors = browser.do(
        KIT + "await open(image); await go(kind, where); return [await status(), page.errors]",
        image=image,
        kind=kind,
        where=where,
    )
    assert status.startswith(said)
    assert errors == []


def test_places_are_a_click_away(browser: Browser, dirty: str) -> None:
    found = browser.do(
        KIT
        + """await open(image);
        const paths = [];
        for (const name of ['Header 1', 'Header 2', 'Regions', 'Items', 'Log', 'BAT']) {
          await page.click(`nav ::-p-text(${name})`);
          await done();
          paths.push(await detail('Path'));
        }
        await go('entry', '0');
        return [...paths, await detail('Path')];""",
        image=dirty,
    )
    assert found == [
        *("header_1", "header_2", "region_table_1.entries", "metadata.items", "log", "bat.chunks"),
        "log.slots[0]",
    ]


def test_a_search_goes_on_to_the_next_name(browser: Browser, image: str) -> None:
    found = browser.do(
        KIT
        + """await open(image);
        const paths = [];
        for (let i = 0; i < 3; i++) {
          await go('field', 'checksum');
          paths.push(await detail('Path'));
        }
        return paths;""",
        image=image,
    )
    assert found == ["header_1.checksum", "header_2.checksum", "region_table_1.checksum"]


# --- Size ---


def test_a_file_of_100_gib_opens(browser: Browser, tmp_path: Path) -> None:
    path = good("dynamic-plain").write(tmp_path / "large.vhdx")
    with path.open("r+b") as file:
        file.truncate(100 * GIB)
    name, loads, last = browser.do(
        KIT
        + """await open(image);
        const loads = await page.evaluate(() => globalThis.page.reading.pages.loads);
        await page.focus('[data-at="0"]');
        await page.keyboard.down('Control');
        await page.keyboard.press('End');
        await page.keyboard.up('Control');
        await done();
        return [await page.$eval('#name', (element) => element.textContent), loads,
          await page.$eval('.here', (cell) => Number(cell.dataset.at))];""",
        image=str(path),
    )
    assert name == "large.vhdx, 100 GiB"
    assert loads <= 20
    assert last == 100 * GIB - 1


def test_the_last_block_of_64_tib_is_shown_in_groups(browser: Browser, files: Files) -> None:
    """Of 16384 chunks with 4096 blocks each there are some hundred rows."""
    rows, path, value = browser.do(
        KIT
        + """await open(image); await go('virtual', where);
        return [await rows(), await detail('Path'), await detail('Value')];""",
        image=str(files.good("largest-disk")),
        where=str(64 * TIB - 1),
    )
    assert path == "bat.chunks[16383].payload_blocks[4095]"
    assert value.startswith("fully_present, at ")
    assert len(rows) < 600
    assert "[16256 … 16383]: " in rows


# --- Strangers ---


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe\x1b[31m"


def test_text_of_an_image_runs_nothing_and_turns_nothing(browser: Browser, tmp_path: Path) -> None:
    locator = Locator.of({"parent_linkage": HOSTILE, HOSTILE[:40]: "x"})
    built = differencing(creator=HOSTILE, locator=locator).build()
    path = built.write(tmp_path / "\u202e<img src=x onerror=alert(3)>.vhdx")
    rows, name, asked, errors, markup = browser.do(
        KIT
        + """await open(image);
        await go('field', 'metadata.items[5].data.key_values[0].key');
        return [await rows(), await page.$eval('#name', (e) => e.textContent), page.asked,
          page.errors, await page.$$eval('main img, main script', (all) => all.length)];""",
        image=str(path),
    )
    shown = HOSTILE.replace("\u202e", r"\u202e").replace("\x1b", r"\x1b")
    assert rows[0] == f'file_identifier: created by "{shown}"'
    assert f"[0]: parent_linkage = {shown}" in rows
    assert name.startswith(r"\u202e<img")
    assert errors == []
    assert asked == [PAGE.as_uri()]
    assert markup == 0


def test_the_network_is_shut_unless_the_address_names_a_server(
    browser: Browser, image: str
) -> None:
    with serving() as web:
        url = web.put("bait", b"bait")
        asks = "globalThis.fetch(url).then(() => 'asked', () => 'refused')"
        said = browser.do(
            f"await open(image); return page.evaluate((url) => {asks}, url);", image=image, url=url
        )
        assert said == "refused"
        said = browser.do(
            f"""await open(null, {{ query: '?url=http%3A%2F%2F127.0.0.1%3A1%2Fx' }});
            return page.evaluate((url) => {asks}, url);""",
            url=url,
        )
        assert said == "refused"
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


def test_a_url_is_read_by_ranges(browser: Browser, web: Web, image: str) -> None:
    url = web.put("image.vhdx", OnDisk(Path(image)))
    rows, name, errors = browser.do(
        KIT
        + """await open(null, { query: `?url=${encodeURIComponent(url)}` });
        return [await rows(), await page.$eval('#name', (e) => e.textContent), page.errors]""",
        url=url,
    )
    assert len(rows) == 12
    assert name == "image.vhdx, 5 MiB"
    assert errors == []
    head, *ranges = web.requests
    assert head.method == "HEAD"
    assert len(ranges) <= 20
    assert all(request.range is not None for request in ranges)


def test_a_url_that_is_replaced_is_told(browser: Browser, web: Web, image: str) -> None:
    url = web.put("image.vhdx", OnDisk(Path(image)))
    browser.do("await open(null, { query: `?url=${encodeURIComponent(url)}` });", url=url)

    def later(request: Request, answer: Answer) -> Answer:
        headers = {**answer.headers, "Last-Modified": "Thu, 01 Jan 2099 00:00:00 GMT"}
        return allowing(request, replace(answer, headers=headers))

    web.twist = later
    status = browser.do(KIT + "await go('offset', '0x4fffff'); return status()")
    assert status == "image.vhdx was replaced meanwhile"


def test_a_server_without_ranges_is_told(browser: Browser, web: Web, image: str) -> None:
    url = web.put("image.vhdx", OnDisk(Path(image)))
    web.twist = lambda request, answer: allowing(request, replace(answer, status=200))
    status = browser.do(
        KIT + "await open(null, { query: `?url=${encodeURIComponent(url)}` }); return status()",
        url=url,
    )
    assert status == "the server hands out no ranges of image.vhdx (status 200)"


def test_a_url_is_typed(browser: Browser, web: Web, image: str) -> None:
    url = web.put("image.vhdx", OnDisk(Path(image)))
    name = browser.do(
        """await open();
        await page.type('#url', url);
        await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
        await done();
        return page.$eval('#name', (element) => element.textContent);""",
        url=url,
    )
    assert name == "image.vhdx, 5 MiB"


# --- Keyboard, screens, screen readers ---


def test_the_tree_goes_by_keys(browser: Browser, image: str) -> None:
    paths = browser.do(
        KIT
        + """await open(image);
        await page.focus('[role=treeitem]');
        const paths = [];
        for (const key of ['ArrowDown', 'ArrowRight', 'ArrowRight', 'End', 'Home', 'ArrowDown',
          'ArrowLeft', 'ArrowDown']) {
          await page.keyboard.press(key);
          await done();
          paths.push(await page.evaluate(() => globalThis.page.path));
        }
        return paths;""",
        image=image,
    )
    header = ["header_1", "header_1", "header_1.signature"]
    assert paths == [*header, "bat", "file_identifier", "header_1", "header_1", "header_2"]


def test_the_bytes_go_by_keys(browser: Browser, image: str) -> None:
    at, path = browser.do(
        KIT
        + """await open(image);
        await go('offset', '0x20000');
        for (const key of ['ArrowDown', 'ArrowRight', 'End', 'ArrowUp', 'Home', 'ArrowRight']) {
          await page.keyboard.press(key);
          await done();
        }
        const at = await page.evaluate(() => document.activeElement.dataset.at);
        await page.keyboard.press('Enter');
        await done();
        return [Number(at), await detail('Path')];""",
        image=image,
    )
    assert at == 0x20001
    assert path == "header_2.signature"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1400])
def test_nothing_is_in_the_way_of_people(
    scheme: str, width: int, browser: Browser, dirty: str
) -> None:
    before, after, overflow = browser.do(
        KIT
        + """await open(null, { width, scheme });
        const before = await axe();
        await open(image, { width, scheme });
        await go('field', 'log.slots[0].entry.descriptors[0]');
        const overflow = await page.evaluate(() =>
          document.scrollingElement.scrollWidth - document.documentElement.clientWidth);
        return [before, await axe(), overflow];""",
        image=dirty,
        scheme=scheme,
        width=width,
    )
    assert before == []
    assert after == []
    assert overflow == 0
