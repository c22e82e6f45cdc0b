"""How images are called, which texts are names of files, and which links stay in their folder."""

from __future__ import annotations

import os
import re

OF_IMAGES = (".vhdx", ".avhdx")  # how their names end; the latter are checkpoints

_NO_NAMES = ("", ".", "..")
_OF_WINDOWS = re.compile(r'[\x00-\x1f"*:<>?\\|]|[ .]$')
_DEVICES = re.compile(r"(?i:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?: *\.| *$)")
_DRIVE = re.compile("[A-Za-z]:")


def is_name(name: str, *, of_windows: bool = os.name == "nt") -> bool:
    """Tell whether a system takes a text for the name of one file in a folder, no more.

    Args:
        name: The text.
        of_windows: Whether it is Windows, where `C:`, `NUL`, `a:b` and `a.` mean other things.
    """
    if name in _NO_NAMES or "/" in name or "\0" in name:
        return False
    return not (of_windows and (_OF_WINDOWS.search(name) or _DEVICES.match(name)))


def leads_inside(name: str, target: str) -> bool:
    """Tell whether a link stays in a tree, wherever other such links in it lead.

    It does when it goes up no further than the tree reaches, and then only down: what comes
    after the first name is a place inside, and a `..` there might leave a place to which another
    link leads.

    Args:
        name: The name of the link in the tree, which goes through no link itself.
        target: Where it leads, as it says itself.
    """
    if not target or target[0] in "/\\" or _DRIVE.match(target):
        return False
    steps = [step for step in target.split("/") if step not in ("", ".")]
    up = 0
    while up < len(steps) and steps[up] == "..":
        up += 1
    return up <= name.count("/") and all(map(is_name, steps[up:]))
