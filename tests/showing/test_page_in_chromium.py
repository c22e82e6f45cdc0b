"""The page of a report, as a person with Chromium sees it: clicked, searched, printed and read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

import vhdx_kaitai
from tests.browser import Visit, chromium, reason_for_absence
from tests.browser.images import ATTACKS, dirty_over_damaged, hostile
from tests.images.demo import demo
from tests.images.image import Block, dynamic
from tests.images.structures import MIB, TIB
from tests.support import SparseSource, damaged

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_ABSENT = reason_for_absence()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_ABSENT is not None, reason=str(_ABSENT)),
    # What drives the browser leaves its loop to the collector of garbage.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open the page of a report on an image."""
    visits: list[Visit] = []

    def open_page(source: Any, options: dict[str, Any] | None = None, **window: Any) -> Visit:
        path = tmp_path / f"{len(visits)}.html"
        document = vhdx_kaitai.report(source, **options or {})
        path.write_text(vhdx_kaitai.report_page(document), encoding="utf-8")
        visits.append(Visit(browser, quote(str(path)), **window))
        return visits[-1]

    yield open_page
    for one in visits:
        one.__exit__()


@pytest.fixture
def dirty_chain(tmp_path: Path) -> Path:
    return dirty_over_damaged(tmp_path).path


@pytest.fixture
def the_demo(tmp_path: Path) -> Path:
    path = tmp_path / "demo.vhdx"
    demo(path)
    return path


def assert_quiet(one: Visit) -> None:
    """Show that a page had no error, and loaded nothing but itself."""
    assert one.told == []
    assert one.asked == [one.url]


def rows(one: Visit, caption: str) -> list[list[str]]:
    """The rows of a table that are to be seen."""
    table = one.page.locator("table", has=one.page.locator("caption", has_text=caption)).first
    cells = table.locator("tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in cells if row.is_visible()]


def test_a_person_reads_what_the_builder_put_into_the_image(visit: Open, the_demo: Path) -> None:
    one = visit(the_demo)
    assert one.page.locator("h1").inner_text() == str(the_demo)
    summary = one.page.locator("#summary").inner_text()
    assert summary.startswith("Clean once its dirty log is replayed. The log is dirty")
    facts = dict(rows(one, "The file and its disk"))
    assert facts["virtual disk"] == "64 MiB (67108864 bytes)"
    assert facts["created by"] == "vhdx-kaitai demo"
    assert facts["identifier of the disk"] == "d15c0001-3333-4333-8333-0123456789ab"
    assert rows(one, "Runs of the disk, in order") == [
        ["0x0", "0x100000", "1 MiB", "fully present: data"],
        ["0x100000", "0x200000", "1 MiB", "zero: zeros"],
        ["0x200000", "0x300000", "1 MiB", "fully present: data"],
        ["0x300000", "0x700000", "4 MiB", "not present: zeros"],
        ["0x700000", "0x800000", "1 MiB", "unmapped: zeros"],
        ["0x800000", "0x4000000", "56 MiB", "not present: zeros"],
    ]
    assert rows(one, "What replay changes") == [
        ["0x300000", "0x301000", "data", "1", "BAT"],
        ["0x301000", "0x400000", "zeros", "1", "BAT"],
    ]
    assert_quiet(one)


def test_findings_mark_the_bytes_that_they_are_about(visit: Open) -> None:
    one = visit(SparseSource(damaged("header-2-checksum-wrong").file))
    article = one.page.locator("article", has_text="HDR-03")
    assert "checksum 0x12345678 stored" in article.inner_text()
    assert article.locator("mark").all_inner_texts() == ["78", "56", "34", "12"]
    assert "field checksum of header" in article.inner_text()
    assert "0000020000  68 65 61 64 78 56 34 12" in article.locator("pre").inner_text()


def test_a_search_leaves_what_has_the_words(visit: Open, dirty_chain: Path) -> None:
    one = visit(dirty_chain)
    one.page.get_by_label("Show only rows with").fill("OVL-05")
    found = one.page.locator("#found").inner_text()
    shown = one.page.locator("article >> visible=true").locator("h3").all_inner_texts()
    assert shown == ["error OVL-05: BAT entry of block 2 at 0x300010"]
    assert rows(one, "What the disk is made of") == [
        ["fully present", "1", "lost [OVL-05]", "512 KiB (524288 bytes)", "2.1 %"]
    ]
    assert found == "2 rows"
    one.page.get_by_label("Show only rows with").fill("")
    assert one.page.locator("article").count() > 3
    assert (
        one.page.locator("article >> visible=true").count() == one.page.locator("article").count()
    )


def test_pictures_tell_what_is_where_when_they_are_clicked(visit: Open, the_demo: Path) -> None:
    one = visit(the_demo)
    layout = one.page.get_by_role("slider", name="Layout of the file")
    box = layout.bounding_box()
    assert box is not None
    layout.click(position={"x": box["width"] - 5, "y": 20})
    told = one.page.locator("#layout output")
    assert told.inner_text() == "payload blocks: 0x400000 to 0x600000, 2 MiB"
    canvas = one.page.locator("#allocation canvas")
    canvas.click(position={"x": 3, "y": 3})
    told = one.page.locator("#allocation output")
    assert told.inner_text() == "0x0 to 0x100000, 1 MiB: fully present: data 1 MiB"


def test_pictures_are_walked_through_with_the_keyboard_and_say_where_it_is(
    visit: Open, the_demo: Path
) -> None:
    one = visit(the_demo)
    disk = one.page.get_by_role("slider", name="Allocation of the disk")
    for key, start in (("Home", 0), ("ArrowRight", 1), ("End", 63), ("ArrowLeft", 62)):
        disk.press(key)
        assert disk.get_attribute("aria-valuenow") == str(start)
        text = disk.get_attribute("aria-valuetext") or ""
        assert text.startswith(f"{start * MIB:#x} to {(start + 1) * MIB:#x}, 1 MiB: ")


def test_the_ring_has_a_tail_a_head_and_each_entry(visit: Open, dirty_chain: Path) -> None:
    one = visit(dirty_chain)
    ring = one.page.get_by_role("slider", name="The log as a ring")
    assert ring.locator("text").all_text_contents() == ["tail", "head"]
    ring.press("End")
    told = one.page.locator("#log output").inner_text()
    assert told.startswith("sequence number 3, stale: 0x80000 to 0x81000")
    ring.press("Home")
    told = one.page.locator("#log output").inner_text()
    assert told.startswith("sequence number 1, active: 0x40000 to ")


def test_a_page_on_paper_has_everything_but_what_is_clicked(visit: Open, dirty_chain: Path) -> None:
    one = visit(dirty_chain, scheme="dark")
    one.page.emulate_media(media="print", color_scheme="dark")
    assert not one.page.locator("nav").is_visible()
    assert not one.page.get_by_label("Show only rows with").is_visible()
    assert one.page.locator("article").first.is_visible()
    color = "getComputedStyle(document.body).backgroundColor"
    assert one.page.evaluate(color) == "rgb(255, 255, 255)"
    assert one.page.pdf().startswith(b"%PDF-")


@pytest.mark.parametrize("width", [360, 1100])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_the_page(
    width: int, scheme: str, visit: Open, dirty_chain: Path
) -> None:
    one = visit(dirty_chain, width=width, scheme=scheme)
    assert one.violations() == []
    wide = one.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    assert_quiet(one)


def test_what_not_everybody_can_use_is_found(visit: Open, the_demo: Path) -> None:
    one = visit(the_demo)
    one.page.evaluate("document.querySelector('label').remove()")
    assert [found.partition(":")[0] for found in one.violations()] == ["label"]


@pytest.mark.parametrize("data", [b"", b"conectix" * 64, "both-header-checksums-wrong"])
def test_so_can_everybody_use_that_of_a_file_that_does_not_open(
    data: bytes | str, visit: Open
) -> None:
    source = SparseSource(damaged(data).file) if isinstance(data, str) else data
    one = visit(source)
    assert one.violations() == []
    assert "It does not open: " in one.page.locator("#file").inner_text()
    assert_quiet(one)


def test_texts_of_an_image_run_nothing_and_are_shown_as_they_are(
    visit: Open, tmp_path: Path
) -> None:
    made = hostile(tmp_path)
    one = visit(made.path, {"parent": made.paths[0]})
    text = one.page.locator("body").inner_text()
    assert one.page.evaluate("window.attacked") is None
    assert one.page.locator("img, iframe, object, embed").count() == 0
    assert one.page.locator("script").count() == 2
    for attack in ATTACKS[:3]:
        assert attack in text
    assert r"\u202egnp.exe\u2066" in text
    assert r"\x1b[2J\x07" in text
    assert re.search("[\u202a-\u202e\u2066-\u2069\x1b\x07]", one.page.content()) is None
    assert one.page.title().isprintable()
    assert one.violations() == []
    assert_quiet(one)


def test_long_tables_show_their_first_rows_and_all_when_asked(visit: Open) -> None:
    blocks = {number: Block(data=b"") for number in range(0, 1000, 2)}
    one = visit(dynamic(1000 * MIB, blocks=blocks).build().to_bytes())
    runs = one.page.get_by_role("region", name="Runs of the disk, in order")
    assert runs.locator("tbody tr").count() == 200
    runs.get_by_role("button").click()
    assert runs.locator("tbody tr").count() == 1000
    assert not runs.get_by_role("button").is_visible()
    one.page.get_by_label("Show only rows with").fill("0x3e700000")
    assert runs.locator("tbody tr").count() == 2


def test_the_largest_disk_is_a_picture_of_few_cells(visit: Open) -> None:
    layout = dynamic(64 * TIB, block_size=MIB, blocks={7: Block(), 67108863: Block()}).layout()
    one = visit(SparseSource(layout.build().file))
    disk = one.page.get_by_role("slider", name="Allocation of the disk")
    assert disk.get_attribute("aria-valuemax") == "4095"
    disk.press("End")
    text = disk.get_attribute("aria-valuetext") or ""
    assert text.startswith(f"{64 * TIB - 16 * 1024 * MIB:#x} to {64 * TIB:#x}, 16 GiB: ")
    assert "fully present: data 1 MiB" in text
    assert one.violations() == []
    assert_quiet(one)
