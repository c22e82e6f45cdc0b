"""Tests of the floor `writing`."""
