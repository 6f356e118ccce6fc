"""How figures look: colours, dashes, sizes of text; the same on every machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib.style

DPI = 200
"""Dots an inch of a PNG."""


@dataclass(frozen=True)
class Look:
    """The colours of a figure, as Matplotlib takes them, and how text is written into an SVG.

    Attributes
    ----------
    ink, muted, grid, paper : str
        Of text; of axes and what is beside the point; of the grid; of the ground, "none" for none.
    lines : tuple of str
        Of the runs, one after the other.
    held_out, envelope, good, bad : str
        Of one run's held-out loss, its minimum and maximum, its best state, its divergence.
    text_as_text : bool
        Whether an SVG holds its text as text, in the font of the page around it, or as outlines.
    """

    ink: str = "#1b1b1b"
    muted: str = "#5f6670"
    grid: str = "#e3e5e8"
    paper: str = "white"
    # Okabe and Ito's, without their yellow: told apart with every kind of colour vision, and on paper by
    # their lightness and the dashes.
    lines: tuple[str, ...] = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
    held_out: str = "#d55e00"
    envelope: str = "#c5dcea"
    good: str = "#007a59"
    bad: str = "#c1121f"
    text_as_text: bool = False


PAPER = Look()
"""The look of a figure by itself: on white."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 1.5, 1, 1.5)), (0, (9, 3)))
"""Of the lines of the runs, one after the other."""


@contextmanager
def styled(look: Look) -> Iterator[None]:
    """Make figures look alike on every machine: not in the user's own style."""
    style = {
        "axes.edgecolor": look.muted,
        "axes.labelcolor": look.ink,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "font.size": 9,
        "legend.fontsize": 8.5,
        "pdf.fonttype": 42,  # publishers refuse the other kind
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
        "savefig.dpi": DPI,
        "svg.fonttype": "none" if look.text_as_text else "path",
        "svg.hashsalt": "charrnn",
        "text.color": look.ink,
        "text.parse_math": False,  # a run may have a dollar sign in its name
        "xtick.color": look.muted,
        "xtick.labelcolor": look.ink,
        "ytick.color": look.muted,
        "ytick.labelcolor": look.ink,
    }
    with matplotlib.style.context(["default", style]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # of a name in another script
        warnings.filterwarnings("ignore", "constrained_layout not applied")  # as small as it was asked for
        yield
