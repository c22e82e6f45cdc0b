"""What a library reads is bounded, and what went wrong below it is not forgotten."""

from __future__ import annotations

import signal
import threading

import pytest

from tests.commands.test_salvage import damaged
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.reading_fixtures import opened
from vhdx_kaitai.errors import FormatError, UnsupportedError
from vhdx_kaitai.reading.volumes import Volume
from vhdx_kaitai.serving import window
from vhdx_kaitai.serving.window import Window, impatience

SIZE = 4 * MIB


def busy() -> None:
    while True:
        pass


def test_a_step_that_reads_nothing_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_MOST_SECONDS", 0.1)
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(UnsupportedError, match="leads in circles"), impatience():
        busy()
    assert signal.getsignal(signal.SIGVTALRM) == before
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


def test_in_other_threads_nothing_is_cut_short() -> None:
    done: list[bool] = []

    def work() -> None:
        with impatience():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_it_is_a_file_over_a_volume() -> None:
    built = dynamic(SIZE, blocks={1: Block(), 2: Block()}).build()
    with opened(built) as disk:
        file = Window(disk, Volume(MIB + 512, 2 * MIB + 512))
        expected = built.model.read(MIB + 512, MIB)
        assert file.size == MIB
        assert (file.read(10), file.tell()) == (expected[:10], 10)
        assert file.seek(-5, 2) == MIB - 5
        assert file.read() == expected[-5:]
        assert file.read(7) == b""
        assert file.seek(3) == 3
        assert file.seek(4, 1) == 7
        assert file.read(None) == expected[7:]
        with pytest.raises(ValueError, match="position would be -1"):
            file.seek(-1)


def test_it_ends_where_the_disk_does() -> None:
    with opened(dynamic(SIZE).build()) as disk:
        assert Window(disk, Volume(MIB, 9 * MIB)).size == 3 * MIB


@pytest.mark.parametrize(("name", "most"), [("_MOST_READS", 5), ("_MOST_BYTES", 5 * 512)])
def test_what_a_step_reads_is_bounded(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, name, most)
    with opened(dynamic(SIZE).build()) as disk:
        file = Window(disk, Volume(0, SIZE))
        for _ in range(2):
            file.begin()
            for _ in range(5):
                file.read(512)
            with pytest.raises(UnsupportedError, match="leads in circles, or is too large"):
                file.read(512)


def test_the_first_error_of_a_step_is_kept() -> None:
    with opened(damaged()) as disk:
        file = Window(disk, Volume(0, disk.size))
        file.seek(2 * MIB)
        with pytest.raises(FormatError) as caught:
            file.read(512)
        file.seek(0)
        assert file.read(512)
        kept = file.error
        file.begin()
        assert (kept, file.error, file.met_lost) == (caught.value, None, False)


def test_what_is_lost_and_read_as_zeros_is_noticed() -> None:
    with opened(damaged(), lost="zero") as disk:
        file = Window(disk, Volume(MIB, disk.size))
        met = []
        for length in (MIB, 1):
            assert file.read(length)
            met.append(file.met_lost)
        assert met == [False, True]
