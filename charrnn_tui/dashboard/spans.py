"""Styled text as plain values: what renderables make and widgets show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """A piece of a line in one style.

    Attributes
    ----------
    text : str
    role : str
        What the piece is; the style sheet says how that looks.
    """

    text: str
    role: str = "text"


Line = Sequence[Span]
"""A line is its spans from left to right."""


def plain(line: Line) -> str:
    """Return a line without its styles."""
    return "".join(span.text for span in line)
