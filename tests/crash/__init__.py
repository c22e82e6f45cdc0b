"""A machine that cuts the power: whatever a cut may leave of a file is opened and judged."""
