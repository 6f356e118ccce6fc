"""What may reach a terminal, and what kind of terminal there is.

Texts, samples, file names and messages made from them are not trusted: a terminal obeys escape sequences in
whatever is written to it. All of it goes through `harmless` first.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import TextIO

# What a terminal may get is decided by the category of a character, with these exceptions.
_NEEDED = frozenset("\n\t\u00ad\u200c\u200d")
"""Line feed and tab; soft hyphen, and the joiners of Persian, Indic scripts and emoji."""

_VISIBLE = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""Format characters that are seen: signs that stand around or below the figures that follow them."""

_BLANKS = frozenset("\u115f\u1160\u17b4\u17b5\u3164\uffa0\U00016fe4\U0001d159")
"""Letters, marks and a symbol that are not seen: fillers of Hangul and Khitan, vowels of Khmer, a note."""

_REPLACED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Controls, format characters, surrogates, private use, unassigned and noncharacters, separators of lines."""


class _Shown(dict[int, int]):
    """Code points by those that stand for them on a terminal; decided when one is first met."""

    def __missing__(self, code: int) -> int:
        self[code] = shown = _shown(code)
        return shown


def _shown(code: int) -> int:
    character = chr(code)
    if character in _NEEDED or character in _VISIBLE:
        return code
    if code < 0x20:
        return 0x2400 + code  # the control pictures
    if code == 0x7F:
        return 0x2421
    if character in _BLANKS or unicodedata.category(character) in _REPLACED:
        return 0xFFFD
    return code


_TABLE = _Shown()


def _is_printable(text: str) -> bool:
    """Return whether a text surely has nothing to replace; five times as fast as replacing."""
    printable = text.replace("\n", "").replace("\t", "").isprintable()
    return printable and not any(blank in text for blank in _BLANKS)


def harmless(text: str) -> str:
    r"""Return a text that a terminal shows and does not obey, and a person sees all of.

    Control characters other than newline and tab become their pictures. Invisible characters, those that
    change the direction of writing, and those without a meaning of their own become U+FFFD; joiners, the soft
    hyphen and variation selectors stay, because scripts and emoji need them. SECURITY.md has the table.

    Examples
    --------
    >>> harmless("red: \x1b[31m")
    'red: ␛[31m'
    >>> harmless("\u202e\U000e0041") == "\ufffd\ufffd"
    True
    """
    if not text.isascii() and _is_printable(text):
        return text
    return text.translate(_TABLE)


def harmless_line(text: str) -> str:
    r"""Return a text as `harmless` does, and in one line, cut off where it is very long.

    Examples
    --------
    >>> harmless_line("two\nlines")
    'two␊lines'
    """
    shown = text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"
    return harmless(shown).replace("\n", "\u240a").replace("\t", "\u2409")


_LONGEST_LINE = 20_000  # characters: enough for a sample, or a sentence with some paths in it
_PLAIN = ("", "dumb", "unknown")


def has_utf8(stream: TextIO | None) -> bool:
    """Return whether a stream takes all characters."""
    return stream is not None and (stream.encoding or "").lower().replace("-", "") == "utf8"


class OutputError(Exception):
    """Standard output cannot be written.

    Attributes
    ----------
    error : OSError
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def put(text: str, *, raw: bool = False) -> None:
    """Write data to stdout at once: as it is into a pipe or a file, in UTF-8, and harmless onto a terminal.

    Nothing is written where stdout is closed. With `raw` a terminal gets the text as it is too.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    stream = sys.stdout
    if stream is None:
        return
    if stream.isatty():
        data = (text if raw else harmless(text)).encode(stream.encoding or "utf-8", "replace")
    else:
        data = text.encode("utf-8", "surrogateescape")
    try:
        stream.flush()
        rest = memoryview(data)
        while rest:  # with PYTHONUNBUFFERED a write may take only a part, and the next one says why
            rest = rest[stream.buffer.write(rest) :]
        stream.buffer.flush()
    except OSError as error:
        raise OutputError(error) from None


def is_rich(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal that can move its cursor."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "") not in _PLAIN


def say(text: str, stream: TextIO | None) -> bool:
    """Write text for people to a stream, and return whether it could be written.

    Where it lacks characters it gets similar ones. A stream that is closed or broken is no reason to stop
    what the text is about.
    """
    if stream is None:
        return False
    shown = harmless(text)
    if not (shown.isascii() or has_utf8(stream)):
        from charrnn_tui.ascii import to_ascii

        shown = to_ascii(shown)
    try:
        stream.write(shown)
        stream.flush()
    except (OSError, ValueError):  # ValueError: closed
        return False
    return True
