"""One test file for each noun of the specification."""
