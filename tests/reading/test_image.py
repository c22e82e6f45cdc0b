"""One file, opened and judged, compared with the model that built it."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.structures import MIB, ZERO_GUID
from tests.info_fixtures import expected_info, without_our_words
from tests.support import Sample, SparseSource, assert_explains, damaged, good, opened
from vhdx_kaitai.errors import FormatError, ReplayRequiredError, TruncatedError, UnsupportedError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.showing.info import info_document

ERRORS = [name for name, case in DAMAGES.items() if case.level == "error"]

TOLERATED = [name for name, case in DAMAGES.items() if case.level != "error"]

READABLE = [name for name, case in DAMAGES.items() if not case.open_refuses]

DIRTY = [name for name in GOODS if good(name).model.log.state == "dirty"]


# -- good images ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOODS)
def test_a_good_image_opens_and_says_what_its_model_says(name: str) -> None:
    built = good(name)
    with opened(built) as image:
        document = info_document(image, "x", allocation=name != "largest-disk")
    expected = expected_info(built, allocation=name != "largest-disk")
    assert without_our_words(document) == expected


@pytest.mark.parametrize("name", TOLERATED)
def test_what_is_tolerated_opens_and_says_what_its_model_says(name: str) -> None:
    built = damaged(name)
    with opened(built) as image:
        document = info_document(image, "x", allocation=True)
    assert without_our_words(document) == expected_info(built, allocation=True)


@pytest.mark.parametrize("name", DIRTY)
def test_a_dirty_image_reads_as_after_its_replay(name: str) -> None:
    built = good(name)
    with opened(built) as image:
        assert image.replayed is not None
        after = built.replayed()
        assert image.source.size == after.length
        assert image.file_size == built.length
        for at in range(0, after.length, MIB):
            size = min(MIB, after.length - at)
            assert image.source.read(at, size) == after.read(at, size)


@pytest.mark.parametrize("name", DIRTY)
def test_a_dirty_image_says_how_many_bytes_the_replay_changes(name: str) -> None:
    with opened(good(name)) as image:
        assert image.replayed is not None
        assert image.replayed.changed_bytes == good(name).model.log.target_bytes


def test_only_the_current_header_is_believed() -> None:
    """The older header of a clean image may name any log, and no replay follows."""
    layout = good("headers-of-two-states").layout
    assert layout.headers[0].log_guid != ZERO_GUID
    with opened(good("headers-of-two-states")) as image:
        assert image.replayed is None


def test_a_real_image_is_what_is_known_about_it(sample: tuple[Sample, Path]) -> None:
    known, path = sample
    with Image(path) as image:
        assert image.path == str(path)
        assert image.file_size == image.source.size == known.file_size
        assert image.metadata.disk_type == "dynamic"
        assert image.metadata.virtual_disk_size == known.virtual_disk_size
        assert image.metadata.block_size == known.block_size
        assert image.metadata.logical_sector_size == 512
        assert image.metadata.physical_sector_size == known.physical_sector_size
        assert str(image.metadata.virtual_disk_id) == known.virtual_disk_id
        assert str(image.headers.current.data_write_guid) == known.data_write_guid
        assert image.creator == known.creator
        assert image.headers.current_copy == known.current_header
        numbers = tuple(copy.header.sequence_number for copy in image.headers.copies)
        assert numbers == known.sequence_numbers
        assert (image.replayed is not None) == known.is_dirty
        assert image.locator is None


def test_an_image_shows_itself_by_path_and_type(files: Files) -> None:
    with Image(files.good("fixed-plain")) as image:
        assert "fixed-plain.vhdx" in repr(image)
        assert "fixed" in repr(image).rpartition("fixed-plain.vhdx")[2]
    with opened(good("dynamic-plain")) as image:
        assert "dynamic" in repr(image)


# -- damaged images -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ERRORS if DAMAGES[name].open_refuses])
def test_a_damaged_image_is_refused_by_a_rule_it_declares(name: str) -> None:
    source = SparseSource(damaged(name).file)
    with pytest.raises(FormatError) as caught:
        Image(source)
    assert_explains(caught.value.finding, DAMAGES[name])
    assert str(caught.value) == str(caught.value.finding)


@pytest.mark.parametrize("name", READABLE)
def test_damage_that_concerns_only_reading_does_not_keep_an_image_closed(name: str) -> None:
    built = damaged(name)
    with opened(built) as image:
        assert image.metadata.virtual_disk_size == built.model.size


@pytest.mark.parametrize("name", ["file-shorter-than-the-header-section", "log-file-truncated"])
def test_bytes_that_are_not_there_are_a_truncation(name: str) -> None:
    with pytest.raises(TruncatedError):
        opened(damaged(name))


@pytest.mark.parametrize("name", ["version-2", "metadata-signature-wrong", "log-checksum-wrong"])
def test_a_wrong_value_is_no_truncation(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        opened(damaged(name))
    assert not isinstance(caught.value, TruncatedError)


@pytest.mark.parametrize(
    ("length", "rule"),
    [(0, "FTI-01"), (7, "FTI-01"), (8, "GEN-07"), (MIB - 1, "GEN-07"), (MIB, "HDR-13")],
)
def test_a_file_cut_short_says_what_is_missing(length: int, rule: str) -> None:
    data = good("dynamic-plain").to_bytes()[:length]
    with pytest.raises(FormatError) as caught:
        Image(data)
    assert caught.value.finding.rule == rule
    assert isinstance(caught.value, TruncatedError) == (rule != "FTI-01")


def test_nothing_but_a_header_section_is_refused_in_any_length() -> None:
    data = b"vhdxfile" + bytes(2 * MIB)
    with pytest.raises(FormatError) as caught:
        Image(data)
    assert caught.value.finding.rule == "HDR-05"


# -- what may be opened ---------------------------------------------------------------------------


def kinds_of_source(path: Path) -> dict[str, Callable[[], Any]]:
    """Return ways to hand over one file."""
    return {
        "str": lambda: str(path),
        "path": lambda: path,
        "bytes": path.read_bytes,
        "bytearray": lambda: bytearray(path.read_bytes()),
        "memoryview": lambda: memoryview(path.read_bytes()),
        "wider memoryview": lambda: memoryview(path.read_bytes()).cast("Q"),
        "file object in memory": lambda: BytesIO(path.read_bytes()),
    }


@pytest.mark.parametrize("kind", list(kinds_of_source(Path())))
@pytest.mark.parametrize("name", ["dynamic-plain", "dirty-everything"])
def test_an_image_opens_from_every_kind_of_source(name: str, kind: str, files: Files) -> None:
    path = files.good(name)
    with Image(kinds_of_source(path)[kind]()) as image:
        document = info_document(image, "x", allocation=True)
    assert without_our_words(document) == good(name).model.info(allocation=True)


def test_a_path_like_object_is_a_path(files: Files) -> None:
    class Somewhere:
        def __fspath__(self) -> str:
            return str(files.good("dynamic-plain"))

    with Image(Somewhere()) as image:
        assert image.path == str(files.good("dynamic-plain"))


def test_an_mmap_can_be_closed_after_its_image(files: Files) -> None:
    with files.good("dirty-bat").open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with Image(view) as image:
        assert image.path is None
        assert image.bat.entry(0)
    view.close()


def test_an_mmap_can_be_closed_after_a_refusal(files: Files) -> None:
    with files.damaged("version-2").open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with pytest.raises(FormatError):
        Image(view)
    view.close()


def test_a_file_object_stays_open_and_gives_its_name(files: Files) -> None:
    path = files.good("dynamic-plain")
    with path.open("rb") as file:
        with Image(file) as image:
            assert image.path == str(path)
        assert not file.closed
        file.seek(0)
        assert file.read(8) == b"vhdxfile"


def test_a_source_of_the_caller_stays_open() -> None:
    source = SparseSource(good("dynamic-plain").file)
    Image(source).close()
    assert not source.is_closed


@pytest.mark.parametrize("thing", [42, None, 1.5, object(), ["vhdxfile"]])
def test_what_holds_no_bytes_is_a_type_error(thing: object) -> None:
    with pytest.raises(TypeError):
        Image(thing)  # type: ignore[arg-type]


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Image(tmp_path / "none.vhdx")


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are listed in /proc")
@pytest.mark.parametrize(
    "name", ["identifier-signature-wrong", "version-2", "log-checksum-wrong", "bat-region-missing"]
)
def test_a_refused_file_is_closed(name: str, files: Files) -> None:
    path = files.damaged(name)
    before = open_descriptors()
    with pytest.raises(FormatError) as caught:
        Image(path)
    assert open_descriptors() == before
    assert caught.value.path == str(path)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are listed in /proc")
def test_a_file_is_closed_with_its_image(files: Files) -> None:
    before = open_descriptors()
    with Image(files.good("dirty-bat")) as image:
        assert open_descriptors() > before
    assert open_descriptors() == before
    image.close()  # once more, harmless


def test_opening_changes_no_byte_of_the_file(files: Files) -> None:
    path = files.good("dirty-everything")
    before, time = path.read_bytes(), path.stat().st_mtime_ns
    with Image(path) as image:
        image.bat.count_states()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, time)


def test_a_file_nobody_may_write_can_be_read(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "readonly.vhdx"
    path.write_bytes(files.good("dirty-bat").read_bytes())
    path.chmod(0o400)
    with Image(path) as image:
        assert image.replayed is not None


# -- replay refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dirty-bat", "log-of-windows", "log-empty-entry-only"])
def test_a_dirty_log_is_not_replayed_against_the_callers_will(name: str) -> None:
    model = good(name).model
    with pytest.raises(ReplayRequiredError) as caught:
        opened(good(name), replay="refuse")
    assert isinstance(caught.value, UnsupportedError)
    assert not isinstance(caught.value, FormatError)
    summary = caught.value.summary
    assert len(summary.entries) == model.log.entries
    assert summary.entries[-1].header.sequence_number == model.log.last_sequence_number
    assert summary.changed_bytes == model.log.target_bytes
    assert summary.size == good(name).replayed().length


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are listed in /proc")
def test_a_file_whose_replay_is_refused_is_closed(files: Files) -> None:
    before = open_descriptors()
    with pytest.raises(ReplayRequiredError):
        Image(files.good("dirty-bat"), replay="refuse")
    assert open_descriptors() == before


@pytest.mark.parametrize("name", ["dynamic-plain", "clean-with-old-entries", "log-length-0"])
def test_a_clean_log_asks_for_no_replay(name: str) -> None:
    with opened(good(name), replay="refuse") as image:
        assert image.replayed is None
        assert image.source is image.stored


def test_a_broken_log_is_corrupt_even_where_replay_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        opened(damaged("log-checksum-wrong"), replay="refuse")
    assert caught.value.finding.rule == "LOG-31"


def test_an_unknown_way_of_replay_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="'memory', 'refuse' or 'ignore'"):
        opened(good("dynamic-plain"), replay="write")  # type: ignore[arg-type]
