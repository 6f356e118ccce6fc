"""A document as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from charrnn_core import __version__
from charrnn_tui.report.document import (
    Block,
    Column,
    Commands,
    Document,
    Facts,
    LossFigure,
    Paragraph,
    Section,
    Table,
    Written,
    in_line,
    in_lines,
)

_STYLE = Path(__file__).with_name("report.css")

_MOST_COLUMNS = 6  # that a phone shows side by side

# No script, no address: whatever a text says, a browser does nothing but show it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def html(document: Document, wide: str, narrow: str) -> str:
    """Return a document as HTML, with everything that it needs inside.

    Parameters
    ----------
    document : Document
    wide, narrow : str
        The figure of the loss as SVG, for paper and large screens and for small ones; its text and colours
        come from the page.
    """
    body = "\n".join(line for section in document.sections for line in _section(section, wide, narrow))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="charrnn {__version__}">
<link rel="icon" href="data:,">
<title>{_line(document.title)}</title>
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
<header>
<h1>{_line(document.title)}</h1>
<p class="subtitle">{_line(document.subtitle)}</p>
</header>
{body}
</main>
</body>
</html>
"""


def _section(section: Section, wide: str, narrow: str) -> Iterator[str]:
    yield "<section>"
    yield f"<h2>{_line(section.title)}</h2>"
    for block in section.blocks:
        yield from _block(block, wide, narrow)
    yield "</section>"


def _block(block: Block, wide: str, narrow: str) -> Iterator[str]:
    match block:
        case Paragraph(text, tone):
            yield f'<p class="{tone}">{_line(text)}</p>' if tone != "plain" else f"<p>{_line(text)}</p>"
        case Table():
            yield from _table(block)
        case Facts(pairs):
            yield '<dl class="facts">'
            yield from (f"<dt>{_line(name)}</dt><dd>{_line(text)}</dd>" for name, text in pairs)
            yield "</dl>"
        case Written(text):
            yield f'<blockquote class="written" dir="auto">{_text(text)}</blockquote>'
        case Commands(lines):
            yield "<pre><code>" + "\n".join(map(_line, lines)) + "</code></pre>"
        case LossFigure(description, caption):
            yield "<figure>"
            yield f'<div class="wide" role="img" aria-label="{_line(description)}">{wide}</div>'
            yield f'<div class="narrow" role="img" aria-label="{_line(description)}">{narrow}</div>'
            yield f"<figcaption>{_line(caption)}</figcaption>"
            yield "</figure>"


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield f'<p class="caption">{_line(table.caption)}</p>'
    has_text = any(column.kind in ("description", "sample") for column in table.columns)
    is_long = has_text or len(table.columns) > _MOST_COLUMNS
    yield f'<div class="table"><table{" class=long" * is_long}>'
    heads = "".join(
        f'<th scope="col" class="{column.kind}">{_line(column.title)}</th>' for column in table.columns
    )
    yield f"<thead><tr>{heads}</tr></thead>"
    yield "<tbody>"
    for row in table.rows:
        cells = (_cell(text, column) for text, column in zip(row, table.columns, strict=True))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def _cell(text: str, column: Column) -> str:
    if column.kind == "sample":
        return f'<td class="sample"><div class="written" dir="auto">{_text(text)}</div></td>'
    # On a narrow screen a row is a block of its own, and each figure needs its name beside it.
    return f'<td class="{column.kind}" data-title="{_line(column.title)}">{_line(text)}</td>'


def _line(text: str) -> str:
    return escape(in_line(text))


def _text(text: str) -> str:
    """Return text in several lines, without what HTML or a terminal would obey; a tab as its picture."""
    return escape(in_lines(text))
