"""Metadata items get other contents, in their place or in another one."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.crash.recorder import Recorder
from tests.images.chain import chain
from tests.images.image import Image as Described
from tests.images.structures import IS_VIRTUAL_DISK, KIB, MIB, MetadataItem
from tests.support import good
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.editor import Editor, begin_editing
from vhdx_kaitai.writing.items import put_item
from vhdx_kaitai.writing.session import Session


def edited(data: bytes) -> tuple[Recorder, Editor]:
    file = Recorder(data)
    image = Image(file)
    return file, begin_editing(Session(file, image.headers), image, for_data=True)


def items_of(data: bytes | bytearray) -> dict[tuple[UUID, bool], bytes]:
    """Every item of an image with its bytes."""
    image = Image(bytes(data))
    start = image.regions.metadata.file_offset
    return {
        (entry.item_id, entry.is_user): image.source.read(start + entry.offset, entry.length)
        for entry in image.metadata.entries
    }


def test_an_item_of_the_same_length_stays_where_it_is() -> None:
    data = good("items-of-all-kinds").to_bytes()
    file, editor = edited(data)
    before = {e.item_id: e.offset for e in Image(data).metadata.entries}
    put_item(editor, "virtual_disk_id", bytes(range(16)))
    editor.judge()
    editor.end()
    entries = Image(bytes(file.data)).metadata.entries
    assert {e.item_id: e.offset for e in entries} == before
    was, now = items_of(data), items_of(file.data)
    changed = {key for key in was if was[key] != now[key]}
    assert [now[key] for key in changed] == [bytes(range(16))]


@pytest.mark.parametrize("more", [10, 5 * KIB, 300 * KIB])
def test_a_locator_of_another_length_finds_a_place(more: int) -> None:
    """Others stay as they are, and where they are."""
    others = [MetadataItem(UUID(int=n), bytes([n]) * 999, IS_VIRTUAL_DISK) for n in range(1, 4)]

    def change(_depth: int, image: Described) -> Described:
        return image.but(items=others)

    built = chain(2, change=change).images[-1]
    data = built.to_bytes()
    old = built.layout.locator_item().data
    new = old + bytes(more)
    file, editor = edited(data)
    put_item(editor, "parent_locator", new)
    editor.commit()
    editor.end()
    was, now = items_of(data), items_of(file.data)
    assert was.keys() == now.keys()
    assert {key: now[key] for key in was if was[key] != now[key]} == {
        key: new for key in was if was[key] == old
    }


def test_an_item_for_which_there_is_no_room_is_refused() -> None:
    built = chain(2).images[-1]
    file, editor = edited(built.to_bytes())
    with pytest.raises(UnsupportedError, match="no room for an item of 1048576 bytes"):
        put_item(editor, "parent_locator", bytes(MIB))
    assert editor.changed_pages == 0
    editor.end()
    assert items_of(file.data) == items_of(built.to_bytes())
