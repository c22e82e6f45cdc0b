"""Names are of one file in a folder, and links that are made lead nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhdx_kaitai.names import is_name, leads_inside


@pytest.mark.parametrize(
    "name", ["a", "...", ".a", "a b", "C:", "nul", "a\\b", "-rf", "\x1b[2J", "ä"]
)
def test_names_elsewhere_than_on_windows(name: str) -> None:
    assert is_name(name, of_windows=False)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "../a", "a\0", "\0"])
def test_what_is_no_name_anywhere(name: str) -> None:
    assert not is_name(name, of_windows=False)
    assert not is_name(name, of_windows=True)


@pytest.mark.parametrize(
    "name",
    [
        *("C:", "C:x", "a:b", "a\\b", "..\\a", "a*", "a?", 'a"', "a<", "a>", "a|", "a\n", "\x01"),
        *("NUL", "nul.txt", "Con", "con .txt", "COM1", "com¹.x", "LPT9", "aux", "prn", "CONIN$"),
        *("a.", "a ", "a. .", "...", " "),
    ],
)
def test_what_is_something_else_on_windows(name: str) -> None:
    assert not is_name(name, of_windows=True)


@pytest.mark.parametrize(
    "name", ["a", ".a", "a b", "null", "com", "com10", "console", "a.b.c", "ä"]
)
def test_names_on_windows(name: str) -> None:
    assert is_name(name, of_windows=True)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *(("a", "b"), ("a", "b/c"), ("a", "./b"), ("a", "."), ("x/a", "../b"), ("x/a", "..")),
        *(("x/y/a", "../../b/c"), ("x/y/a", ".././../b//c/"), ("a", "..."), ("a", "nothing/there")),
    ],
)
def test_links_that_stay(name: str, target: str) -> None:
    assert leads_inside(name, target)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *(
            ("a", ""),
            ("a", "/"),
            ("a", "/etc/passwd"),
            ("a", ".."),
            ("a", "../b"),
            ("x/a", "../.."),
        ),
        *(("x/a", "../../b"), ("a", "b/../../c"), ("x/y/a", "../b/.."), ("a", "b/..")),
        *(("a", "C:\\Windows"), ("a", "c:"), ("a", "\\\\host\\share"), ("a", "b\0c")),
    ],
)
def test_links_that_may_leave(name: str, target: str) -> None:
    assert not leads_inside(name, target)


STEPS = st.lists(st.sampled_from(["..", ".", "a", "b", "c", ""]), min_size=1, max_size=6)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "d/e/c"]), STEPS, max_size=6)
)
def test_links_that_stay_do_so_together(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, list[str]]
) -> None:
    """Wherever a link leads through others, as the system follows them."""
    top = tmp_path_factory.mktemp("links").resolve() / "top"
    (top / "d" / "e").mkdir(parents=True)
    made = {name: "/".join(steps) for name, steps in links.items()}
    for name, target in made.items():
        if leads_inside(name, target):
            (top / name).symlink_to(target)
    for name in made:
        if (top / name).is_symlink():
            place = followed(top / name)
            assert place is None or inside(top, place)


def followed(link: Path) -> Path | None:
    """Return where a link leads, be there something or not; None when it goes round."""
    try:
        return link.resolve(strict=True)
    except FileNotFoundError:
        return Path(os.path.realpath(link))
    except (OSError, RuntimeError):  # of a circle; without `strict` it might be called anything
        return None


def inside(top: Path, path: Path) -> bool:
    return path == top or top in path.parents
