"""`python -m tests.conformance [LANGUAGE ...]`: ask the parsers and print the table."""

import sys

from .kit import main

sys.exit(main(sys.argv[1:]))
