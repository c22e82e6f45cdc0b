"""What the images of the vectors are, described by the tests' builder, a structure a module."""

from __future__ import annotations

from . import bat, cut, header_section, locator, log, metadata, whole
from .registry import MAKERS

__all__ = ["MAKERS", "PARTS"]

# Importing these has entered what is in them.
PARTS = (whole, header_section, metadata, locator, log, bat, cut)
