"""Whatever a public object hands out has a type with a public name."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinMethodType, FunctionType, MethodType
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import chain
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.reading.image import Image

METHODS = (MethodType, FunctionType, BuiltinMethodType)
PLAIN = (bool, int, str, bytes, UUID, type(None))
COLLECTIONS = (tuple, list, set, frozenset, dict)
FACE = {name: getattr(vhdx_kaitai, name) for name in vhdx_kaitai.__all__}
PUBLIC = tuple(value for value in FACE.values() if isinstance(value, type))

MOST = 8  # objects of one kind that are looked at, attribute by attribute


def handed_out(value: object) -> Iterator[tuple[str, object]]:
    """Yield what an object has under public names, or holds if it is a collection."""
    if type(value) in COLLECTIONS:
        assert isinstance(value, COLLECTIONS)
        yield from (("[]", item) for item in value)
        if isinstance(value, dict):
            yield from (("[]", item) for item in value.values())
        return
    for name in dir(value):
        if not name.startswith("_") and not isinstance(getattr(type(value), name, None), METHODS):
            yield f".{name}", getattr(value, name)


def nameless(value: object, way: str) -> set[str]:
    """Return the ways from an object to others whose type has no public name."""
    found = set()
    looked_at: Counter[type] = Counter()
    waiting = deque([(value, way)])
    while waiting:
        value, way = waiting.popleft()
        kind = type(value)
        if isinstance(value, (*PLAIN, *METHODS)):
            continue
        if kind not in COLLECTIONS:
            if not isinstance(value, PUBLIC):
                found.add(f"{way} is a {kind.__module__}.{kind.__name__}")
                continue
            looked_at[kind] += 1
            if looked_at[kind] > MOST:
                continue
        waiting.extend((item, way + step) for step, item in handed_out(value))
    return found


GOOD = (
    "dynamic-plain",
    "fixed-plain",
    "dirty-everything",
    "log-of-windows",
    "items-of-all-kinds",
    "header-2-missing",
    "region-table-1-damaged",
)


@pytest.mark.parametrize("name", GOOD)
def test_what_a_disk_hands_out_has_a_public_type(name: str, files: Files) -> None:
    with vhdx_kaitai.open(files.good(name)) as disk, disk.open() as file:
        assert nameless([disk, file, *disk.extents()], "disk") == set()


def test_what_a_chain_hands_out_has_a_public_type(tmp_path: Path) -> None:
    with vhdx_kaitai.open(chain(3).write(tmp_path).path) as disk:
        assert nameless(disk, "disk") == set()


def test_what_a_chain_without_its_base_hands_out_has_a_public_type(tmp_path: Path) -> None:
    made = chain(3).write(tmp_path)
    made.paths[0].unlink()
    for missing in ("zero", "lost"):
        with vhdx_kaitai.open(made.path, missing_parent=missing) as disk:
            assert nameless(disk, "disk") == set()


@pytest.mark.parametrize("name", ["bat-state-4", "version-2", "log-checksum-wrong"])
def test_what_a_report_hands_out_has_a_public_type(name: str, files: Files) -> None:
    assert nameless(vhdx_kaitai.check(files.damaged(name)), "report") == set()


@pytest.mark.parametrize("name", ["version-2", "identifier-signature-wrong", "log-file-truncated"])
def test_what_an_error_hands_out_has_a_public_type(name: str, files: Files) -> None:
    with pytest.raises(vhdx_kaitai.VhdxError) as caught:
        vhdx_kaitai.open(files.damaged(name))
    assert nameless(caught.value, "error") == set()


def test_what_stands_in_the_way_of_opening_has_a_public_type(files: Files) -> None:
    with pytest.raises(vhdx_kaitai.ReplayRequiredError) as caught:
        vhdx_kaitai.open(files.good("dirty-everything"), replay="refuse")
    assert nameless(caught.value, "error") == set()


def test_rules_have_a_public_type() -> None:
    assert nameless(vhdx_kaitai.catalogue(), "catalogue") == set()


@pytest.mark.parametrize("name", vhdx_kaitai.__all__)
def test_a_public_name_is_that_of_the_thing(name: str) -> None:
    value = FACE[name]
    if isinstance(value, type):
        assert value.__name__ == name
        assert value.__doc__


def test_names_are_sorted_and_told() -> None:
    assert vhdx_kaitai.__all__ == sorted(vhdx_kaitai.__all__)
    assert dir(vhdx_kaitai) == vhdx_kaitai.__all__


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = vhdx_kaitai.nothing


def test_every_public_name_can_be_had_and_is_listed() -> None:
    for name in vhdx_kaitai.__all__:
        assert getattr(vhdx_kaitai, name) is not None
    assert set(vhdx_kaitai.__all__) <= set(dir(vhdx_kaitai))
    assert vhdx_kaitai.Image is Image
    assert issubclass(vhdx_kaitai.FormatError, vhdx_kaitai.VhdxError)
    assert vhdx_kaitai.VhdxError is VhdxError


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'write'"):
        vhdx_kaitai.write  # noqa: B018 - asking is the test
