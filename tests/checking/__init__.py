"""Every rule, on every byte that it is about."""
