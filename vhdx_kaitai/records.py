"""Named tuples without the cost of `typing`, for what is loaded when an image is described.

That module takes 3 ms to load, and as much again for the records of the format, whose fields it
looks into one by one; describing an image takes 30. Type checkers see the `NamedTuple` and the
`TYPE_CHECKING` that they know.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _RecordType(type):
        """Makes a named tuple of a class whose annotations are its fields."""

        def __new__(mcs, name, bases, namespace):
            if not bases:
                return super().__new__(mcs, name, bases, namespace)
            fields = namespace.get("__annotations__", {})
            defaults = [namespace[field] for field in fields if field in namespace]
            module = namespace["__module__"]
            record = namedtuple(name, fields, defaults=defaults, module=module)
            for key, value in namespace.items():
                if key not in record._fields and key not in ("__module__", "__orig_bases__"):
                    setattr(record, key, value)
            return record

    class NamedTuple(metaclass=_RecordType):
        """What `typing.NamedTuple` is, but for checks of its use."""
