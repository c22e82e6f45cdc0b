"""One test file for each subject that is shown."""
