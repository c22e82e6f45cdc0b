"""Other programs read the same images; where they come to something else, it says why."""
