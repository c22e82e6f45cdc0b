"""Out of an image into a new file, and one disk beside another."""
