"""The characters of a text and their codes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from charrnn_core.errors import UnknownCharacterError

Codes = NDArray[np.unsignedinteger]
"""Codes of characters, each below K, in the smallest unsigned type that holds K - 1."""


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the Unicode code points of a text, lone surrogates included, uint32 of shape (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


@dataclass(frozen=True)
class Vocabulary:
    r"""The K distinct characters of a text, sorted by code point; a character's code is its place among them.

    Sorted, so that the codes depend on the text alone and never on hash order. A character is one Unicode
    code point.

    Attributes
    ----------
    characters : str
        The K characters in the order of their code points.

    Examples
    --------
    >>> vocabulary = Vocabulary.of("banana bread")
    >>> vocabulary.characters
    ' abdenr'
    >>> vocabulary.encode("bad").tolist()
    [2, 1, 3]
    >>> vocabulary.decode([2, 1, 3])
    'bad'
    >>> vocabulary.unknown("bread & jam")
    '&jm'
    """

    characters: str
    _points: NDArray[np.uint32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.characters:
            raise ValueError("a vocabulary has at least one character")
        points = code_points(self.characters)
        if np.any(points[1:] <= points[:-1]):
            raise ValueError("the characters of a vocabulary are distinct and sorted by code point")
        object.__setattr__(self, "_points", points)

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """Return the vocabulary of a text."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        """K, the number of characters."""
        return len(self.characters)

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned type that holds every code."""
        return np.min_scalar_type(len(self) - 1)

    def unknown(self, text: str) -> str:
        """Return the characters of a text that the vocabulary does not have, each once, sorted."""
        return "".join(sorted(set(text).difference(self.characters)))

    def encode(self, text: str) -> Codes:
        """Return the codes of a text, shape (len(text),).

        Raises
        ------
        UnknownCharacterError
            The text holds characters that the vocabulary does not have; the error names them.
        """
        points = code_points(text)
        codes = np.minimum(np.searchsorted(self._points, points), len(self) - 1)
        if not np.array_equal(self._points[codes], points):
            raise UnknownCharacterError(self.unknown(text))
        return codes.astype(self.dtype)

    def decode(self, codes: Codes | list[int]) -> str:
        """Return the text that has these codes; an IndexError for a code that is not below K."""
        points = self._points[np.asarray(codes, dtype=np.intp)]
        return points.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")
