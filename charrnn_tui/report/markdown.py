"""A document as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from charrnn_tui.report.document import (
    Block,
    Column,
    Commands,
    Document,
    Facts,
    LossFigure,
    Paragraph,
    Table,
    Written,
    in_line,
    in_lines,
)


def markdown(document: Document, figure: str) -> str:
    """Return a document as Markdown.

    What a user or a network has written is in code, where Markdown means nothing, or escaped.

    Parameters
    ----------
    document : Document
    figure : str
        The address of the figure of the loss, from where the document is; empty for none.
    """
    lines = [f"# {_escaped(document.title)}", "", _escaped(document.subtitle)]
    for section in document.sections:
        lines += ["", f"## {_escaped(section.title)}"]
        for block in section.blocks:
            lines += ["", *_block(block, figure)]
    return "\n".join(lines) + "\n"


def _block(block: Block, figure: str) -> Iterator[str]:
    match block:
        case Paragraph(text, tone):
            quote = "" if tone == "plain" else "> "
            yield quote + ("**" + _escaped(text) + "**" if tone == "warning" else _escaped(text))
        case Table(columns, rows, caption):
            if caption:
                yield from (f"{_escaped(caption)}:", "")
            yield _row(_escaped(column.title) for column in columns)
            yield _row("---:" if column.kind == "number" else "---" for column in columns)
            for row in rows:
                yield _row(_cell(text, column) for text, column in zip(row, columns, strict=True))
        case Facts(pairs):
            yield from ("| | |", "| --- | --- |")
            for name, text in pairs:
                yield _row((_escaped(name), _escaped(text)))
        case Written(text):
            text = in_lines(text)
            fence = "`" * max(3, _longest_run("`", text) + 1)
            yield from (f"{fence}text", *text.split("\n"), fence)
        case Commands(commands):
            yield from ("```sh", *map(in_line, commands), "```")
        case LossFigure(description, caption):
            if figure:
                yield from (f"![{_escaped(description)}]({figure})", "")
            yield f"*{_escaped(caption)}*"


def _row(cells: Iterator[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str, column: Column) -> str:
    if column.kind != "sample":
        return _escaped(text)
    return "<br>".join(_code(line) for line in text.split("\n"))


def _code(line: str) -> str:
    """Return a line of text as code in a cell of a table."""
    line = in_line(line)
    if not line:
        return ""
    fence = "`" * (_longest_run("`", line) + 1)
    # One space on each side is taken away again, where both are there.
    space = " " if "`" in (line[0], line[-1]) or (line[0] == line[-1] == " " and line.strip()) else ""
    return f"{fence}{space}{line}{space}{fence}".replace("|", "\\|")


def _longest_run(character: str, text: str) -> int:
    return max(map(len, re.findall(f"{re.escape(character)}+", text)), default=0)


# Whatever could begin something in Markdown, HTML inside it, or a formula.
_MEANINGFUL = re.compile(r"[\\`*_\[\]<>#|~$&!@]|^(?:[-+=]|\d+[.)])(?=\s|$)")


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return _MEANINGFUL.sub(lambda found: _backslashed(found[0]), in_line(text))


def _backslashed(found: str) -> str:
    return f"{found[:-1]}\\{found[-1]}"
