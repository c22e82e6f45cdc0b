"""Named tuples that are quick to define, for what is loaded when an image is described.

`typing` takes 3 ms to load and looks into the fields of each record one by one; `collections`
compiles a function for each record. Describing an image takes 30 ms. Here such a function is
compiled for records of which many are made. Type checkers see the `NamedTuple` and the
`TYPE_CHECKING` that they know.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    # What gets the first value of a tuple, the second and so on, is the same in every record.
    _Values = namedtuple("_Values", [f"value_{index}" for index in range(16)])
    _GETTERS = tuple(vars(_Values)[field] for field in _Values._fields)

    _tuple_of = tuple.__new__
    _MANY = 64

    class _Signature:
        """What a record takes, made when somebody asks."""

        def __get__(self, _record, kind):
            from inspect import Parameter, Signature

            defaults = kind._field_defaults
            return Signature(
                Parameter(
                    field,
                    Parameter.POSITIONAL_OR_KEYWORD,
                    default=defaults.get(field, Parameter.empty),
                )
                for field in kind._fields
            )

    class _RecordType(type):
        """Makes a record of a class whose annotations are its fields.

        What is made of a record has the same ones.
        """

        def __new__(mcs, name, bases, namespace):
            if bases[0] is not tuple and not hasattr(bases[0], "_fields"):
                fields = tuple(namespace.get("__annotations__", ()))
                defaults = {field: namespace[field] for field in fields if field in namespace}
                namespace.update(zip(fields, _GETTERS[: len(fields)], strict=True))
                namespace.update(
                    _fields=fields, _field_defaults=defaults, __match_args__=fields, _made=0
                )
            return super().__new__(mcs, name, bases, {"__slots__": (), **namespace})

        def __call__(cls, *values, **named):
            cls._made += 1
            if cls._made >= _MANY:
                _speed_up(cls)
                return cls(*values, **named)
            defaults, rest = cls._field_defaults, cls._fields[len(values) :]
            try:
                filled = [named.pop(field) if field in named else defaults[field] for field in rest]
            except KeyError as missing:
                raise TypeError(f"{cls.__name__} lacks {missing}") from None
            if named or len(values) > len(cls._fields):
                raise TypeError(f"{cls.__name__} takes {cls.__signature__}")
            return _tuple_of(cls, (*values, *filled))

    class _ManyType(type):
        """The type of records of which many are made: they are made as others do that."""

    def _speed_up(record):
        takes = ", ".join(record._fields)
        new = eval(f"lambda _cls, {takes}: _tuple_of(_cls, ({takes},))", {"_tuple_of": _tuple_of})
        new.__defaults__ = tuple(record._field_defaults.values())
        record.__new__ = new
        record.__class__ = _ManyType

    class NamedTuple(tuple, metaclass=_RecordType):
        """What `typing.NamedTuple` is, but for checks of its use."""

        __signature__ = _Signature()

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, **named):
            values = [*map(named.pop, self._fields, self)]
            if named:
                raise ValueError(f"{type(self).__name__} has no {', '.join(named)}")
            return type(self)(*values)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            fields = [f"{field}={value!r}" for field, value in self._asdict().items()]
            return f"{type(self).__name__}({', '.join(fields)})"

        def __reduce__(self):
            return type(self), tuple(self)
