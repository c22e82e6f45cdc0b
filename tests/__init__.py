"""Tests; a package, so that they can import the image builders as `tests.images`."""
