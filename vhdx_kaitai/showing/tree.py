"""Every field of the grammar with its place, its bytes and what they mean.

This walks the compiled grammar as it is, through a second compilation that
records positions, over the file as it is stored. It judges nothing: a structure
that cannot be parsed is shown as an error and hides nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any
from uuid import UUID

from kaitaistruct import KaitaiStream, KaitaiStruct, KaitaiStructError

from ..errors import VhdxError
from ..format.descent import Descent
from ..format.judge import REFUSE
from ..generated.vhdx_positions import Vhdx
from ..guids import ITEM_NAMES, REGION_NAMES, UNSPECIFIED_ITEM_NAMES
from ..records import NamedTuple
from ..storage.source import Cursor, Source
from ..text import printable
from .document import Document, headed

MAX_ELEMENTS = 64  # of a repeated field, when it is not asked for by its index
MAX_RAW = 16  # bytes shown of a field
MAX_TEXT = 1024  # characters shown of a text; thousands of texts may share their bytes

_KEPT = 4096  # bytes that are read at once, where the grammar asks for some after the other

_GUID_NAMES = {**REGION_NAMES, **ITEM_NAMES, **UNSPECIFIED_ITEM_NAMES}
_STEP = re.compile(r"(\w+)((?:\[\d+\])*)")
# Blocks are up to 256 MiB, and a log up to 4 GiB; slots and entries are read again when they are
# shown. The place of these bytes is of interest, not the bytes.
_BLOCKS = (Vhdx.PayloadBlock, Vhdx.SectorBitmapBlock)


class PathError(VhdxError):
    """The grammar has nothing of that name."""


class Node(NamedTuple):
    """One field, or one element of a repeated field.

    Attributes:
        path: How to ask for it.
        name: Last step of the path.
        offset: File offset in bytes; None for what is computed.
        length: Bytes in the file; None for what is computed.
        value: Struct, list, number, text, bytes or None.
        error: Why it could not be parsed.
    """

    path: str
    name: str
    offset: int | None
    length: int | None
    value: Any
    error: str | None = None


class _Unread:
    """Bytes that were not read, only counted."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length


class _TreeCursor(Cursor):
    """A cursor that keeps the bytes around, and can be told to skip bytes instead of reading them.

    Args:
        source: The file.
        start: Its first bytes, as they were when they were judged.
    """

    skips = False  # the place of the bytes is wanted, not the bytes

    def __init__(self, source: Source, start: bytes) -> None:
        super().__init__(source)
        self._kept_from, self._kept = 0, start

    def read(self, length: int = -1) -> Any:
        if self.skips:
            self.seek(length, 1)
            return _Unread(length)
        begin = self.tell()
        if begin < 0 or not 0 <= length <= _KEPT:
            return super().read(length)
        within = begin - self._kept_from
        if not 0 <= within <= len(self._kept) - length:
            self._kept_from, self._kept, within = begin, super().read(_KEPT), 0
        data = self._kept[within : within + length]
        self.seek(begin + len(data))
        return data


class Tree:
    """The grammar's view of one file.

    Args:
        source: The file as it is stored.

    Raises:
        FormatError: It is no VHDX file, or has no header section.
    """

    def __init__(self, source: Source) -> None:
        identifier = Descent(source, REFUSE).identifier
        assert identifier is not None  # or the judge would have raised
        self._source = source
        self._cursor = _TreeCursor(source, identifier)
        self._bases: dict[int, int] = {}
        vhdx = Vhdx(KaitaiStream(self._cursor))
        self._bases[id(vhdx._io)] = 0
        self._streams = [vhdx._io]  # kept alive, so that their ids stay theirs
        self.root = Node("", "vhdx", 0, source.size, vhdx)

    def find(self, path: str) -> Node:
        """Return the node of a path like `bat.chunks[0].payload_blocks[3].entry`.

        Raises:
            PathError: There is no such field or element.
        """
        node = self.root
        for step in filter(None, path.split(".")):
            match = _STEP.fullmatch(step)
            if match is None:
                raise PathError(f"{step!r} is no step of a path, expected a name or name[index]")
            node = self._child(node, match[1])
            for index in re.findall(r"\d+", match[2]):
                node = self._element(node, int(index))
        return node

    def children(self, node: Node) -> Iterator[Node]:
        """Yield the fields of a struct, or the first elements of a repeated field."""
        if isinstance(node.value, list):
            for index in range(min(len(node.value), MAX_ELEMENTS)):
                yield self._element(node, index)
        elif isinstance(node.value, KaitaiStruct):
            for name in _names(node.value):
                child = self._field(node, name)
                if child.value is not None or child.error is not None:
                    yield child

    def walk(self, node: Node) -> Iterator[Node]:
        """Yield the children of a node, and let go of what was parsed below each."""
        for child in self.children(node):
            yield child
            # Or all blocks of all chunks would be in memory at the end.
            if isinstance(child.value, KaitaiStruct):
                parsed = [name for name in vars(child.value) if name.startswith("_m_")]
                for name in parsed:
                    delattr(child.value, name)
                    child.value._debug.pop(name, None)

    def raw(self, node: Node) -> bytes:
        """Return the first bytes of a node, at most `MAX_RAW` of them."""
        if node.offset is None or node.length is None:
            return b""
        length = min(node.length, MAX_RAW, max(0, self._source.size - node.offset))
        return self._source.read(node.offset, length) if length > 0 else b""

    def _child(self, node: Node, name: str) -> Node:
        if not isinstance(node.value, KaitaiStruct) or name not in _names(node.value):
            what = f"{node.path} has" if node.path else "there is"
            raise PathError(f"{what} no field {name!r}")
        return self._field(node, name)

    def _element(self, node: Node, index: int) -> Node:
        count = len(node.value) if isinstance(node.value, list) else 0
        if index >= count:
            raise PathError(f"{node.path} has {count} elements, so there is no [{index}]")
        parent, field = node.path.rpartition(".")[::2]
        struct = self.find(parent).value
        spans = _spans(struct, field).get("arr", [])
        span = spans[index] if index < len(spans) else {}
        name = f"[{index}]"
        return self._node(struct, node.path + name, name, node.value[index], span)

    def _field(self, node: Node, name: str) -> Node:
        path = f"{node.path}.{name}" if node.path else name
        struct = node.value
        try:
            self._cursor.skips = self._is_place(struct, name)
            value = getattr(struct, name)
        except (KaitaiStructError, UnicodeDecodeError, ArithmeticError, AttributeError) as error:
            return Node(path, name, None, None, None, str(error) or type(error).__name__)
        finally:
            self._cursor.skips = False
        return self._node(struct, path, name, value, _spans(struct, name))

    @staticmethod
    def _is_place(struct: KaitaiStruct, name: str) -> bool:
        """Whether only the place of a field is wanted; what that takes to know is read before."""
        if isinstance(struct, _BLOCKS):
            return name == "data" and struct.has_data
        if isinstance(struct, Vhdx.BatChunk):
            return name == "payload_blocks" and struct.num_payload_blocks > 0
        return isinstance(struct, Vhdx.LogRing) and name == "slots" and struct.num_slots > 0

    def _node(self, struct: Any, path: str, name: str, value: Any, span: dict[str, int]) -> Node:
        base = self._bases[id(struct._io)]
        offset = base + span["start"] if "start" in span else None
        length = span["end"] - span["start"] if "end" in span else None
        if isinstance(value, KaitaiStruct) and id(value._io) not in self._bases:
            # A stream of its own begins where the field does.
            self._bases[id(value._io)] = base if offset is None else offset
            self._streams.append(value._io)
        if isinstance(value, (KaitaiStruct, list)) and not length:
            offset = length = None  # a view, which has no bytes of its own
        return Node(path, name, offset, length, value)


def _names(struct: KaitaiStruct) -> list[str]:
    """Return the fields of a struct: those on disk in their order, then the instances."""
    kind = type(struct)
    instances = [name for name, value in vars(kind).items() if isinstance(value, property)]
    return [*kind.SEQ_FIELDS, *instances]


def _spans(struct: Any, name: str) -> Any:
    debug = struct._debug
    return debug[name] if name in debug else debug.get(f"_m_{name}", {})


def tree_document(path: str, tree: Tree, node: Node, depth: int) -> Document:
    """Return what `tree --json` prints: a node and what is below it.

    Args:
        path: What to call the file.
        tree: The grammar's view of it.
        node: Where to begin.
        depth: Levels below the node.
    """
    return headed(path=path, tree=node_document(tree, node, depth))


def node_document(tree: Tree, node: Node, depth: int) -> Document:
    """Return what a document says of a node and of the levels below it."""
    raw = tree.raw(node)
    below = tree.walk(node) if depth > 0 else ()
    children = [node_document(tree, child, depth - 1) for child in below]
    count = len(node.value) if isinstance(node.value, list) else None
    return {
        "path": node.path,
        "name": node.name,
        "type": type_name(node.value),
        "offset": node.offset,
        "length": node.length,
        "raw": raw.hex() if raw else None,
        "value": plain(node.value, as_text="sequence_number" in node.name),
        "meaning": meaning(node.value),
        "count": count,
        "error": node.error,
        "children": children,
    }


def tree_text(tree: Tree, node: Node, depth: int, indent: int = 0) -> Iterator[str]:
    """Yield the lines of `tree`: offset, length, name, value or bytes, meaning."""
    offset = "" if node.offset is None else f"{node.offset:#x}"
    length = "" if node.length is None else str(node.length)
    name = "  " * indent + (node.name if indent else node.path or node.name)
    yield f"{offset:>14} {length:>9}  {name:<34} {_summary(tree, node)}".rstrip()
    if depth > 0:
        for child in tree.walk(node):
            yield from tree_text(tree, child, depth - 1, indent + 1)
        if isinstance(node.value, list) and len(node.value) > MAX_ELEMENTS:
            rest = f"... {len(node.value) - MAX_ELEMENTS} more, by {node.path}[index]"
            yield f"{'':>14} {'':>9}  {'  ' * (indent + 1)}{rest}"


def _summary(tree: Tree, node: Node) -> str:
    if node.error is not None:
        return f"cannot be parsed: {printable(node.error)}"
    words = meaning(node.value)
    if isinstance(node.value, list):
        return f"{len(node.value)} elements"
    if isinstance(node.value, KaitaiStruct):
        return printable(words) if words is not None else f"<{type_name(node.value)}>"
    if isinstance(node.value, Enum):
        return f"{node.value.value} ({words})"
    if isinstance(node.value, (bytes, _Unread)):
        more = "..." if (node.length or 0) > MAX_RAW else ""
        return tree.raw(node).hex(" ") + more
    if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value > 9:
        return f"{node.value} ({node.value:#x})"
    return printable(_begin(str(node.value)))


def type_name(value: Any) -> str | None:
    """Return the grammar's name of a struct's type, None for anything else."""
    if isinstance(value, KaitaiStruct):
        return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", type(value).__name__).lower()
    return None


def meaning(value: Any) -> str | None:
    """Return what a value means, in few words; None when it speaks for itself."""
    if isinstance(value, Vhdx.Guid):
        guid = UUID(bytes_le=value.raw)
        name = _GUID_NAMES.get(guid)
        return f"{guid} ({name})" if name else str(guid)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Vhdx.Utf16Field):
        data = bytes(value._io.to_byte_array()).decode("utf-16-le", "surrogatepass")
        return data.partition("\0")[0]
    if isinstance(value, Vhdx.LocatorText) and len(value.raw) % 2 == 0:
        return _begin(value.raw.decode("utf-16-le", "surrogatepass"))
    return None


def _begin(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def plain(value: Any, *, as_text: bool = False) -> int | str | bool | None:
    """Return a value as JSON can hold it; None for structs, lists and bytes.

    Args:
        value: The value.
        as_text: Whether a number is to be a string, be it large or not.
    """
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        # Numbers above 2**53 would be rounded by many who read JSON.
        return int(value) if int(value) < 2**53 and not as_text else str(int(value))
    return _begin(value) if isinstance(value, str) else None
