"""Run the command line as `python -m vhdx_kaitai`."""

import sys

from .commands.cli import main

sys.exit(main())
