"""What is printed of sizes, of counts, and of text that a stranger wrote."""

from __future__ import annotations

import re

_LONGEST_QUOTE = 120
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def printable(text: str) -> str:
    """Return text with everything escaped that a terminal might act on.

    That is control characters, marks that change the direction of writing, and
    surrogates without a partner.
    """
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(text: str) -> str:
    """Return text from an image in quotes, cut when it is long."""
    return repr(text) if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]!r}..."


def signature_text(raw: bytes) -> str:
    """Return a signature in quotes when it is text, as the numbers of its bytes otherwise."""
    text = plain_signature(raw)
    return f"'{text}'" if text.encode() == raw and raw else text or "no bytes"


def plain_signature(raw: bytes) -> str:
    """Return a signature as it stands when it is text, as the numbers of its bytes otherwise."""
    is_text = raw.isascii() and raw.decode("ascii").isprintable()
    return raw.decode("ascii") if is_text else raw.hex(" ")


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with the noun it counts: `1 entry`, `2 entries`.

    Args:
        count: The number.
        one: The noun in the singular.
        many: In the plural; the singular with an s when it is left out.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def human_size(size: int) -> str:
    """Return a number of bytes in the largest binary unit that keeps it readable.

    What is rounded says so: `9 MiB` is exact, `about 9 MiB` is not.
    """
    power = min(max(0, size.bit_length() - 1) // 10, len(_UNITS))
    if power == 0:
        return counted(size, "byte")
    unit = 1 << 10 * power
    text = f"{size / unit:.4g}"
    whole, _, part = text.partition(".")
    is_exact = int(whole + part) * unit == size * 10 ** len(part)
    return f"{'' if is_exact else 'about '}{text} {_UNITS[power - 1]}"


def full_size(size: int) -> str:
    """Return a number of bytes as people read it, and to the byte."""
    return f"{human_size(size)} ({size} bytes)" if size >= 1024 else human_size(size)


def as_markdown(text: str) -> str:
    """Return text as Markdown that shows it as it stands, in a table too."""
    return re.sub(r"([\\`*<\[|]|\b_|_\b)", r"\\\1", text)
