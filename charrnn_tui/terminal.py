"""What may reach a terminal, and what kind of terminal there is.

Texts, samples, file names and messages made from them are not trusted: a terminal obeys escape sequences in
whatever is written to it. All of it goes through `harmless` first.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO


def _table() -> dict[int, str]:
    pictures = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    pictures[0x7F] = "\u2421"
    hidden = [
        *range(0x80, 0xA0),  # C1 controls
        0xAD,  # soft hyphen
        0x61C,  # Arabic letter mark
        *range(0x200B, 0x2010),  # zero-width, and marks of direction
        *range(0x2028, 0x202F),  # line and paragraph separators, embeddings and overrides of direction
        *range(0x2060, 0x2070),  # invisible operators, isolates
        0xFEFF,  # byte order mark
        *range(0xFFF9, 0xFFFC),  # interlinear annotation
        *range(0xD800, 0xE000),  # surrogates
        *range(0xE0000, 0xE0080),  # tags
    ]
    return {**pictures, **dict.fromkeys(hidden, "\ufffd")}


_TABLE = _table()


def harmless(text: str) -> str:
    r"""Return a text that a terminal shows and does not obey.

    Control characters but newline and tab become their pictures; what is invisible or changes the direction
    of writing becomes U+FFFD.

    Examples
    --------
    >>> harmless("red: \x1b[31m")
    'red: ␛[31m'
    """
    return text.translate(_TABLE)


_JOINERS = {0x200C, 0x200D}
_DOCUMENT_TABLE = {code: shown for code, shown in _TABLE.items() if code not in _JOINERS}


def harmless_in_document(text: str) -> str:
    r"""Return a text as `harmless` does, for a document: the joiners of scripts and of emoji stay.

    Examples
    --------
    >>> harmless_in_document("\x1b\u202e") == "␛\ufffd"
    True
    """
    return text.translate(_DOCUMENT_TABLE)


def harmless_line(text: str) -> str:
    r"""Return a text as `harmless` does, and in one line.

    Examples
    --------
    >>> harmless_line("two\nlines")
    'two␊lines'
    """
    return harmless(text).replace("\n", "\u240a").replace("\t", "\u2409")


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
