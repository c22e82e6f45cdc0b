"""Structures of the format: what bytes say, where they stand, what is right about them."""
