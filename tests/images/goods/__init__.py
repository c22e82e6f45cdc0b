"""Good images by name: each entry of `GOODS` must be accepted and read as its model says.

They are the neighbours of the damages: everything the format, or the habit of a known producer,
allows although it looks odd. `findings` are the rules a checker should mention for the image, with
their level; nothing worse may appear. Differencing images come without a parent: open them with
resolve_parents=False, or read only what `model.read` gives.
"""

from __future__ import annotations

from . import blocks, header_section, large, log, metadata, ordinary
from .case import GOODS, Good

__all__ = ["GOODS", "PARTS", "Good"]

# Importing these has entered what is in them.
PARTS = (ordinary, header_section, metadata, log, blocks, large)
