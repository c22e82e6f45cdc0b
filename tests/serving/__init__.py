"""A disk for other programs: over NBD, as a file, and for many images."""
