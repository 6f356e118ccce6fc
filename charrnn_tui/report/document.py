"""A report as values: sections of paragraphs, tables and texts, whatever they are written in.

What a network or a user has written stands here as it is; whoever writes the document down makes it harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from charrnn_tui.terminal import harmless

ReportFormat = Literal["html", "md"]
Kind = Literal["text", "number", "description", "sample"]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of prose.

    Attributes
    ----------
    text : str
    tone : "plain", "note" or "warning"
    """

    text: str
    tone: Literal["plain", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title : str
    kind : "text", "number", "description" or "sample"
        Numbers stand on the right; a description can be long; a sample is text that a network has written, in
        as many lines as it has.
    """

    title: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    columns : sequence of Column
    rows : sequence of sequence of str
    caption : str
        Above it; empty for none.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Facts:
    """Names with what there is to say of each.

    Attributes
    ----------
    pairs : sequence of (str, str)
    """

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Written:
    """A text that a network has written.

    Attributes
    ----------
    text : str
    """

    text: str


@dataclass(frozen=True)
class Commands:
    """Lines for a shell.

    Attributes
    ----------
    lines : sequence of str
    """

    lines: Sequence[str]


@dataclass(frozen=True)
class LossFigure:
    """The place of the report's figure, which is one of the loss.

    Attributes
    ----------
    description : str
        For who cannot see it.
    caption : str
    """

    description: str
    caption: str


Block = Paragraph | Table | Facts | Written | Commands | LossFigure


@dataclass(frozen=True)
class Section:
    """A part of a document under a heading.

    Attributes
    ----------
    title : str
    blocks : sequence of Block
    """

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes
    ----------
    title : str
    subtitle : str
    sections : sequence of Section
    """

    title: str
    subtitle: str
    sections: Sequence[Section]


def in_line(text: str) -> str:
    """Return text that is harmless in a document, in one line."""
    return in_lines(text).replace("\n", "\u240a")


def in_lines(text: str) -> str:
    """Return text that is harmless in a document, in the lines that it has; a tab as its picture."""
    return harmless(text).replace("\t", "\u2409")
