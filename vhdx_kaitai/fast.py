"""Whether numpy is here, which makes quicker what is done in bulk, and changes nothing else."""

from __future__ import annotations

INSTALL = "pip install 'vhdx-kaitai[fast]'"

_is_missed = False


def has_numpy() -> bool:
    """Tell whether numpy can be used, for work that it makes quicker."""
    global _is_missed
    try:
        import numpy  # noqa: F401
    except ImportError:
        _is_missed = True
    return not _is_missed


def is_missed() -> bool:
    """Tell whether there was work for numpy, and no numpy."""
    return _is_missed
