"""Run the command line as `python -m vhdx_kaitai`."""

import sys

from .commands.main import main

sys.exit(main())
