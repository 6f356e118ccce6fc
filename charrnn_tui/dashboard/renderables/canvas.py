"""A grid of characters with roles, and dots that become characters: braille, quarter blocks or ASCII."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charrnn_tui.dashboard.spans import Span

BoolArray = NDArray[np.bool_]
CodeArray = NDArray[np.uint32]


Line = list[Span]


class Canvas:
    """A grid of characters, each with a role; blank at first.

    Parameters
    ----------
    width, height : int
        In cells; 0 or less is none.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = max(width, 0), max(height, 0)
        self._codes = np.full((self.height, self.width), ord(" "), dtype="<u4")
        self._roles = np.zeros((self.height, self.width), dtype=np.uint8)
        self._names = ["text"]

    def put(self, row: int, column: int, text: str, role: str) -> None:
        """Write a text to the right of a cell; what is outside is cut off."""
        text = narrow(text)[max(-column, 0) :]
        column = max(column, 0)
        text = text[: max(self.width - column, 0)]
        if text and 0 <= row < self.height:
            where = slice(column, column + len(text))
            self._codes[row, where] = [ord(character) for character in text]
            self._roles[row, where] = self._number(role)

    def stamp(self, row: int, column: int, codes: CodeArray, where: BoolArray, role: str) -> None:
        """Write a block of code points, (rows, columns), in those of its cells that `where` names."""
        cells = slice(row, row + codes.shape[0]), slice(column, column + codes.shape[1])
        self._codes[cells][where] = codes[where]
        self._roles[cells][where] = self._number(role)

    def holds(self, row: int, column: int, character: str) -> bool:
        """Return whether a cell inside has this character."""
        return bool(self._codes[row, column] == ord(character))

    def is_blank(self, row: int, column: int, length: int, but: str = "") -> bool:
        """Return whether cells of a row are inside and blank, or hold nothing but one role."""
        if not (0 <= row < self.height and 0 <= column <= self.width - length):
            return False
        where = slice(column, column + length)
        blank = self._codes[row, where] == ord(" ")
        return bool((blank | (self._roles[row, where] == self._number(but))).all() if but else blank.all())

    def lines(self) -> list[Line]:
        """Return the rows from the top, each as spans that together are as wide as the canvas."""
        text = self._codes.tobytes().decode("utf-32-le")
        changes = self._roles[:, 1:] != self._roles[:, :-1]
        lines = []
        for row, roles in enumerate(self._roles):
            cuts = [0, *(np.flatnonzero(changes[row]) + 1).tolist(), self.width] if self.width else []
            start = row * self.width
            lines.append(
                [
                    Span(text[start + left : start + right], self._names[roles[left]])
                    for left, right in pairwise(cuts)
                ]
            )
        return lines

    def _number(self, role: str) -> int:
        if role not in self._names:
            self._names.append(role)
        return self._names.index(role)


def narrow(text: str) -> str:
    """Return a text in which what is not exactly one column wide has become a question mark.

    Examples
    --------
    >>> narrow("rate → 0.05 日本")
    'rate → 0.05 ??'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_narrow(character) else "?" for character in text)


def _is_narrow(character: str) -> bool:
    return (
        character.isprintable()
        and unicodedata.east_asian_width(character) not in "WF"
        and unicodedata.category(character) not in ("Mn", "Me")
    )


GlyphSet = Literal["braille", "block", "ascii"]
"""What a terminal can show: braille patterns, blocks but no braille, or nothing but ASCII."""


@dataclass(frozen=True)
class Glyphs:
    """How a set of glyphs draws dots, axes and marks.

    Attributes
    ----------
    across, down : int
        Dots of a cell.
    cells : str
        The characters of all patterns of dots; the bits of a character's place are its dots, row by row from
        the top left, the lowest bit first.
    shade : str
        What fills a cell of the envelope; empty where dots do it.
    vertical, tick_left, corner, horizontal, tick_down, epoch, tick_epoch : str
        Parts of the axes.
    rule, crosshair : str
        Vertical lines.
    marks : mapping of str to str
        Marks by role.
    """

    across: int
    down: int
    cells: str
    shade: str
    vertical: str = "│"
    tick_left: str = "┤"
    corner: str = "└"
    horizontal: str = "─"
    tick_down: str = "┬"
    epoch: str = "┴"
    tick_epoch: str = "┼"
    rule: str = "┊"
    crosshair: str = "│"
    marks: Mapping[str, str] = field(
        default_factory=lambda: {"best": "◆", "checkpoint": "▴", "diverged": "×", "value": "●"}
    )

    def characters(self, dots: BoolArray) -> tuple[CodeArray, BoolArray]:
        """Turn dots into characters.

        Parameters
        ----------
        dots : bool array, (rows * down, columns * across)

        Returns
        -------
        codes : uint32 array, (rows, columns)
            Code points.
        where : bool array, (rows, columns)
            The cells that have a dot.
        """
        rows, columns = dots.shape[0] // self.down, dots.shape[1] // self.across
        patterns = dots.reshape(rows, self.down, columns, self.across).swapaxes(1, 2)
        bits = np.packbits(
            patterns.reshape(rows, columns, self.down * self.across), axis=-1, bitorder="little"
        )[:, :, 0]
        table = np.array([ord(character) for character in self.cells], dtype=np.uint32)
        return table[bits], bits != 0


# The dots of a braille character are numbered down its columns, the fourth row last.
_BRAILLE_BITS = (0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80)
_BRAILLE = "".join(
    chr(0x2800 + sum(bit for place, bit in enumerate(_BRAILLE_BITS) if pattern >> place & 1))
    for pattern in range(256)
)

GLYPHS: Mapping[GlyphSet, Glyphs] = {
    "braille": Glyphs(2, 4, _BRAILLE, shade=""),
    "block": Glyphs(2, 2, " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█", shade="░"),
    "ascii": Glyphs(
        1, 3, " '-|_|||", shade=":", vertical="|", tick_left="+", corner="+", horizontal="-", tick_down="+",
        epoch="'", tick_epoch="+", rule="|", crosshair="|",
        marks={"best": "*", "checkpoint": "^", "diverged": "x", "value": "o"},
    ),
}  # fmt: skip
