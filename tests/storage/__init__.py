"""Bytes of one file: read exactly, and written whole or not at all."""
