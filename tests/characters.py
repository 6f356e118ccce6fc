"""Which characters may reach a terminal, stated by hand and not by the program.

The ranges are those of the Unicode charts; `tests/cli/test_terminal.py` compares them with what the program
decides from categories.
"""

from __future__ import annotations

import re

Ranges = list[tuple[int, int]]

PLANES = range(0, 0x110000, 0x10000)

CONTROLS: dict[str, Ranges] = {
    "C0 controls but newline and tab": [(0x00, 0x08), (0x0B, 0x1F)],
    "delete": [(0x7F, 0x7F)],
}
"""Shown as their pictures."""

HIDDEN: dict[str, Ranges] = {
    "C1 controls": [(0x80, 0x9F)],
    "bidirectional controls": [(0x61C, 0x61C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069)],
    "line and paragraph separators": [(0x2028, 0x2029)],
    "zero-width space and word joiner": [(0x200B, 0x200B), (0x2060, 0x2060)],
    "byte order mark": [(0xFEFF, 0xFEFF)],
    "invisible operators": [(0x2061, 0x2064)],
    "deprecated format controls": [(0x206A, 0x206F)],
    "interlinear annotation": [(0xFFF9, 0xFFFB)],
    "tag characters": [(0xE0001, 0xE0001), (0xE0020, 0xE007F)],
    "fillers of Hangul": [(0x115F, 0x1160), (0x3164, 0x3164), (0xFFA0, 0xFFA0)],
    "filler of Khitan": [(0x16FE4, 0x16FE4)],
    "invisible vowels of Khmer": [(0x17B4, 0x17B5)],
    "vowel separator of Mongolian": [(0x180E, 0x180E)],
    "format controls of shorthand, music and hieroglyphs": [
        (0x1BCA0, 0x1BCA3), (0x1D159, 0x1D159), (0x1D173, 0x1D17A), (0x13430, 0x13438),
    ],
    "surrogates": [(0xD800, 0xDFFF)],
    "private use": [(0xE000, 0xF8FF), (0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)],
    "noncharacters": [(0xFDD0, 0xFDEF), *((plane + 0xFFFE, plane + 0xFFFF) for plane in PLANES)],
    "unassigned, among them reserved invisible ones": [
        (0x378, 0x379), (0x2065, 0x2065), (0xFFF0, 0xFFF8), (0x50000, 0x5FFFD), (0xE0080, 0xE00FF),
        (0xE01F0, 0xE0FFF),
    ],
}  # fmt: skip
"""Shown as U+FFFD."""

NEEDED: dict[str, Ranges] = {
    "newline and tab": [(0x09, 0x0A)],
    "ASCII": [(0x20, 0x7E)],
    "no-break and wide spaces": [(0xA0, 0xA0), (0x2000, 0x200A), (0x202F, 0x202F), (0x3000, 0x3000)],
    "soft hyphen": [(0xAD, 0xAD)],
    "zero-width joiner and non-joiner": [(0x200C, 0x200D)],
    "variation selectors": [(0xFE00, 0xFE0F), (0xE0100, 0xE01EF), (0x180B, 0x180D)],
    "combining marks and their joiner": [(0x300, 0x36F), (0x20D0, 0x20F0), (0x93E, 0x94D)],
    "visible signs of Arabic, Syriac and Kaithi": [
        (0x600, 0x605), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x8E2, 0x8E2), (0x110BD, 0x110BD),
    ],
    "letters": [(0xC0, 0x17F), (0x391, 0x3A1), (0x5D0, 0x5EA), (0x627, 0x63A), (0x4E00, 0x9FFC)],
    "pictures of controls": [(0x2400, 0x2421)],
    "box drawing, blocks and braille with its blank": [(0x2500, 0x259F), (0x2800, 0x28FF)],
    "emoji with their modifiers and flags": [(0x1F600, 0x1F64F), (0x1F3FB, 0x1F3FF), (0x1F1E6, 0x1F1FF)],
    "replacement character": [(0xFFFD, 0xFFFD)],
}  # fmt: skip
"""Shown as they are."""


def each(table: dict[str, Ranges]) -> set[str]:
    """Return the characters of a table."""
    return {chr(code) for ranges in table.values() for low, high in ranges for code in range(low, high + 1)}


def _class_of(*tables: dict[str, Ranges]) -> str:
    pairs = (pair for table in tables for ranges in table.values() for pair in ranges)
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in pairs)


FORBIDDEN = re.compile(f"[{_class_of(CONTROLS, HIDDEN)}]")
"""What no terminal may get from a text, a name or a message."""
