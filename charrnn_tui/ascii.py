"""Text for terminals that have nothing but ASCII: as wide as it was, and as readable as it can be."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len

_SIGNS = {
    # What the dashboard itself says by one sign. The dot between two facts is a bar: beside figures, a hyphen
    # would be read as a minus.
    "·•": "|", "✓✔": "v", "✗✘×✕": "x", "●◆★▪◉": "*", "○◯◌": "o", "◇": "<", "■█▉▊▓": "#", "□": "o", "‖": "=",
    "±": "+", "−–—‐‑‒―": "-", "→▸►▶›»⟶": ">", "←◂◄◀‹«": "<", "↑▴▲△": "^", "↓▾▼▽": "v", "⏎↵": "<", "⌫": "<",
    "…≈": "~", "‘’‚‛′": "'", "“”„‟″": '"', "≤": "<", "≥": ">", "␊": "/", "␉ ": " ",
    # Blocks: bars by their height, shades, edges, quarters.
    "▁": "_", "▂": ".", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "%", "▔▀": "'", "░": ":", "▒": "%",
    "▋▌▍▎▏▐▕": "|", "▖▗": ".", "▘▝": "'", "▙▚▛▜▞▟": "#", "╱": "/", "╲": "\\", "╳": "X",
}  # fmt: skip
KEYS = {"↑": "up", "↓": "down", "←": "left", "→": "right", "⏎": "enter", "⌫": "backspace"}
"""Names of keys, for what the toolkit calls them by a sign."""

_WIDENED = re.compile("(.)\ufe0f")


class _Table(dict[int, str]):
    """What stands for each character; found out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = found = chr(code) if code < 0x80 else _substitute(chr(code))
        return found


def _substitute(character: str) -> str:
    width = cell_len(character)
    # Accents fall away from their letters, and figures come down from their places below or above the line.
    plain = unicodedata.normalize("NFKD", character).translate(_ACCENTS)
    if len(plain) == width and plain.isascii() and plain.isprintable():
        return plain
    if width != 1:
        return "?" * width
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        upright, level = (
            any(word in name for word in words)
            for words in (("VERTICAL", "UP", "DOWN"), ("HORIZONTAL", "LEFT", "RIGHT"))
        )
        return "+" if upright and level else "|" if upright else "-"
    if name.startswith("BRAILLE PATTERN"):
        dots = ord(character) - 0x2800
        return " " if not dots else "'" if not dots & 0b11110110 else "." if not dots & 0b00011011 else ":"
    return "?"


_ACCENTS = dict.fromkeys((code for code in range(0x300, 0x370)), "")
_TABLE = _Table({ord(character): sign for characters, sign in _SIGNS.items() for character in characters})
_TABLE[ord("🔎")] = "> "  # what the toolkit puts before the box for a search


def to_ascii(text: str) -> str:
    """Return a text in ASCII that takes as many columns of a terminal.

    Signs become similar ones, letters lose their accents, and what nothing is similar to becomes a question
    mark for each of its columns. Escape sequences stay as they are.

    Examples
    --------
    >>> to_ascii("╭─ Loss ─╮ ✓ h₀ → 0.5 · café 日本")
    '+- Loss -+ v h0 > 0.5 | cafe ????'
    """
    if text.isascii():
        return text
    if "\ufe0f" in text:  # which makes some characters wider
        text = _WIDENED.sub(lambda pair: pair[1] + "\ufffd" * (cell_len(pair[0]) - cell_len(pair[1])), text)
    return text.translate(_TABLE)
