"""Damage by name: each entry of `DAMAGES` does exactly one wrong thing to a good image.

Checksums are made right again unless the checksum is the thing that is wrong.

Levels. A rule whose breach a reader must refuse is an error. A copy that is bad while the other is
good is a warning. Breaches that are only reported are

* notes, where a known producer does it (Required 0, unaligned log offsets, an odd file length) or
  where the text tells readers to ignore the field or leaves the space undefined (reserved header
  bytes, space after identifier, headers and table entries, offsets in states without a place);
* warnings, where a field must be zero or hold one of few values, nobody is known to write anything
  else and the text does not say "ignore": such a file reads right, yet something has touched it.

Refusal. "open": opening must raise. "read": opening may succeed, because a reader need not walk
the whole BAT, but then reading at `read_at` must raise. "check": only a reader that looks at all
entries together can know what is wrong; opening and reading may succeed, checking must report it.

A damaged log entry just ends a run, so what shows is that no valid sequence is left: such damages
name the rule of the entry first and LOG-31 second. `visible` holds the rules of which at least one
must be reported at `level`.
"""

from __future__ import annotations

from . import bat, file, headers, items, locator, log, metadata, regions
from .case import DAMAGES, Damage
from .unbreachable import NOT_BREACHABLE

__all__ = ["DAMAGES", "NOT_BREACHABLE", "PARTS", "Damage"]

# Importing these has entered what is in them.
PARTS = (file, headers, regions, metadata, items, locator, log, bat)
