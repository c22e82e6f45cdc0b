"""Builders of VHDX files that share nothing with the reader: `struct` in, bytes and a model out."""
