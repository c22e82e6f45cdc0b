"""What may be assumed of a file is assumed when it is asked for, told, and never otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Image, dynamic
from tests.images.sparse import Sparse, Zeros
from tests.images.structures import HEADER_OFFSETS, KIB, MIB, REGION_TABLE_OFFSETS
from tests.reading_fixtures import assert_reads_throughout
from tests.support import SparseSource, good
from vhdx_kaitai.errors import FormatError, OverwrittenError

_ALL: dict[str, Any] = {"identifier": "assume", "header": "assume", "regions": "assume"}
_SMALL = [name for name in GOODS if good(name).model.size <= 64 * MIB]
CLEAN = [name for name in _SMALL if good(name).model.info()["log"]["state"] == "clean"]


def damaged(built: Built, *pieces: tuple[int, bytes | int]) -> Sparse:
    """Return the file of an image with bytes replaced; a number stands for that many zeros."""
    file = built.file.copy()
    for offset, piece in pieces:
        file.put(offset, Zeros(piece) if isinstance(piece, int) else piece)
    return file


def opened(file: Sparse, **options: Any) -> vhdx_kaitai.Disk:
    return vhdx_kaitai.open(SparseSource(file), resolve_parents=False, **options)


def assert_rescued(built: Built, file: Sparse, option: str, what: str, **more: Any) -> str:
    """Show that a file is refused, and reads as its model when one thing may be assumed.

    Returns:
        What was told of that.
    """
    others = {name: "assume" for name in _ALL if name != option}
    with pytest.raises(FormatError):
        opened(file, **others, **more)
    with opened(file, **{option: "assume"}, **more) as disk:
        assert [assumption.what for assumption in disk.assumed] == [what]
        assert_reads_throughout(disk, built.model)
        return disk.assumed[0].message


@pytest.mark.parametrize("name", _SMALL)
def test_nothing_is_assumed_of_a_good_image_whatever_may_be(name: str) -> None:
    with opened(good(name).file, **_ALL) as disk:
        assert disk.assumed == ()
        assert_reads_throughout(disk, good(name).model)


@pytest.mark.parametrize("length", [8, 64 * KIB])
@pytest.mark.parametrize("name", _SMALL)
def test_an_overwritten_identifier(name: str, length: int) -> None:
    file = damaged(good(name), (0, b"conectix" * (length // 8)))
    with pytest.raises(OverwrittenError, match="it was overwritten"):
        opened(file)
    assert_rescued(good(name), file, "identifier", "identifier")


@pytest.mark.parametrize("kept", ["header 1", "header 2", "table 1", "table 2", "nothing"])
def test_an_identifier_is_overwritten_only_where_something_else_is_whole(kept: str) -> None:
    built = good("dynamic-plain")
    names = ["header 1", "header 2", "table 1", "table 2"]
    offsets = dict(zip(names, [*HEADER_OFFSETS, *REGION_TABLE_OFFSETS], strict=True))
    pieces = [(offset, 4 * KIB) for name, offset in offsets.items() if name != kept]
    with pytest.raises(FormatError) as caught:
        opened(damaged(built, (0, 512), *pieces))
    assert caught.value.finding.rule == "FTI-01"
    assert isinstance(caught.value, OverwrittenError) == (kept != "nothing")
    if kept != "nothing":
        with opened(damaged(built, (0, 512), *pieces), **_ALL) as disk:
            assert_reads_throughout(disk, built.model)
            assert disk.image.creator is None


@pytest.mark.parametrize("name", _SMALL)
def test_headers_with_a_byte_changed_in_each(name: str) -> None:
    """The newer one that makes sense is followed, and so is its log."""
    pieces = [(offset + 4000, b"\x55") for offset in HEADER_OFFSETS]
    built = good(name)
    if not all(header.is_valid for header in built.layout.headers):
        pytest.skip("it has one header only")
    message = assert_rescued(built, damaged(built, *pieces), "header", "headers")
    assert f"header {built.model.current_copy} is followed" in message


@pytest.mark.parametrize("name", CLEAN)
def test_headers_of_which_nothing_is_left(name: str) -> None:
    file = damaged(good(name), *[(offset, 4 * KIB) for offset in HEADER_OFFSETS])
    message = assert_rescued(good(name), file, "header", "headers")
    assert "taken as empty" in message


def test_a_log_under_lost_headers_is_not_replayed() -> None:
    """What it would have changed is as it is stored; that is told."""
    before = dynamic(4 * MIB, blocks={0: Block()})
    layout = dirty(dynamic(4 * MIB, blocks={0: Block(), 1: Block()}), before=before)
    built = layout.build()
    file = damaged(built, *[(offset, 4 * KIB) for offset in HEADER_OFFSETS])
    with opened(file, header="assume") as disk:
        assert_reads_throughout(disk, before.build().model)
        assert "the log" in disk.assumed[0].message


@pytest.mark.parametrize("name", CLEAN)
def test_tables_with_a_wrong_checksum_each(name: str) -> None:
    file = damaged(good(name), *[(at + 4, b"\x55\x55") for at in REGION_TABLE_OFFSETS])
    message = assert_rescued(good(name), file, "regions", "region table")
    assert "is followed, although: " in message


# -- as it is stored ------------------------------------------------------------------------------


def before_and_after() -> tuple[Image, Built]:
    before = dynamic(4 * MIB, blocks={0: Block()})
    after = dynamic(4 * MIB, blocks={0: Block(), 1: Block()})
    return before, dirty(after, before=before).build()


def test_a_dirty_image_is_read_as_it_is_stored() -> None:
    before, built = before_and_after()
    with opened(built.file) as disk:
        assert_reads_throughout(disk, built.model)
    with opened(built.file, replay="ignore") as disk:
        assert [assumption.what for assumption in disk.assumed] == ["log"]
        assert disk.image.log_state == "ignored"
        assert_reads_throughout(disk, before.build().model)


@pytest.mark.parametrize("damage", ["wiped", "torn", "past the end", "too long"])
def test_a_log_that_cannot_be_replayed_does_not_keep_the_file_from_being_read(damage: str) -> None:
    before, built = before_and_after()
    layout = built.layout
    header = built.model.current_header
    file = built.file.copy()
    if damage == "wiped":
        file.put(header.log_offset, Zeros(header.log_length))
    elif damage == "torn":
        file.put(header.log_offset + 4, b"torn")
    else:
        length = 2**32 - MIB if damage == "past the end" else 1025 * MIB
        layout.set_headers(log_length=length)
        file = layout.build().file.copy()
    with pytest.raises(vhdx_kaitai.VhdxError):
        opened(file)
    with opened(file, replay="ignore") as disk:
        assert_reads_throughout(disk, before.build().model)


# -- a file that was cut while its log was dirty ---------------------------------------------------


@pytest.mark.parametrize("hide", [("bat",), ("bat", "metadata"), ("region_tables", "bat")])
@pytest.mark.parametrize("cut", [1, 512, MIB, 2 * MIB, 3 * MIB - 512])
def test_the_log_of_a_file_that_was_cut_is_replayed_when_what_is_lost_may_be_zeros(
    cut: int, hide: tuple[str, ...]
) -> None:
    image = dynamic(8 * MIB, blocks={n: Block() for n in (0, 2, 3, 7)})
    built = dirty(image, hide=hide).build()
    file = built.file.copy()
    file.length -= cut
    with pytest.raises(FormatError) as caught:
        opened(file)
    assert caught.value.finding.rule == "LOG-32"
    with opened(file, lost="zero") as disk:
        assert [assumption.what for assumption in disk.assumed] == ["log"]
        lost = {
            number for row in disk.lost() for number in range(row.offset, row.offset + row.length)
        }
        places = built.layout.payload
        assert lost == {
            number * MIB + at
            for number, place in places.items()
            for at in range(max(0, file.length - place), MIB)
        }
        whole = disk.pread(disk.size, 0)
        expected = bytearray(built.model.read(0, disk.size))
        for at in lost:
            expected[at] = 0
        assert whole == expected


# -- nothing left of the header section ------------------------------------------------------------


@pytest.mark.parametrize("left", [(), ("regions",), ("header",), ("identifier",)])
def test_of_a_file_without_its_first_mib_all_has_to_be_assumed(left: tuple[str, ...]) -> None:
    built = good("dynamic-plain")
    file = damaged(built, (0, MIB))
    options = {name: value for name, value in _ALL.items() if name not in left}
    if left:
        with pytest.raises(FormatError, match="FTI-01"):
            opened(file, **options)
        return
    with opened(file, **options) as disk:
        assert_reads_throughout(disk, built.model)
        told = [assumption.what for assumption in disk.assumed]
        assert told == ["identifier", "headers", "region table"]


def test_what_is_no_vhdx_file_at_all_stays_refused_whatever_may_be_assumed() -> None:
    with pytest.raises(FormatError):
        vhdx_kaitai.open(b"text" * MIB, **_ALL)


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_log_is_nothing_to_be_told(name: str) -> None:
    with opened(good(name).file, replay="ignore") as disk:
        assert disk.assumed == ()


Option = Callable[[], Any]


@pytest.mark.parametrize("name", ["lost", *_ALL])
def test_an_unknown_choice_is_a_mistake_of_the_caller(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 'yes', expected 'refuse' or"):
        opened(good("dynamic-plain").file, **{name: "yes"})
