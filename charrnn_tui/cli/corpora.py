"""`charrnn corpora`: the texts that ship with the program."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from charrnn_tui.terminal import harmless_line, put

SHORT_HELP = "List the texts that ship with the program."
HELP = (
    "Example: charrnn corpora\n\n"
    "List the texts that ship with the program; any of their names can be given where a command takes a text."
)


def command(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a text.")] = False,
) -> None:
    """List the bundled texts on stdout."""
    from charrnn_core.text.corpus import read_corpus
    from charrnn_core.text.source import bundled_sources

    corpora = [read_corpus(source) for source in bundled_sources().values()]
    lines = [] if json else [f"{'name':8} {'characters':>10} {'K':>5}  begins"]
    for corpus in corpora:
        facts = {
            "name": corpus.name,
            "characters": len(corpus),
            "vocabulary_size": len(corpus.vocabulary),
            "sha256": corpus.sha256,
        }
        beginning = harmless_line(next(corpus.text_blocks())[:400].strip().partition("\n")[0])[:50]
        row = f"{corpus.name:8} {len(corpus):10,} {len(corpus.vocabulary):5,}  {beginning}"
        lines.append(json_module.dumps(facts) if json else row)
    put("\n".join(lines) + "\n")
