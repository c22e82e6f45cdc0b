"""How images are opened, how parents are found, and what a disk is made of and reads as."""
