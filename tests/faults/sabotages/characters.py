"""Carelessness about what reaches a terminal, a document or a spreadsheet."""

from __future__ import annotations

from typing import Any

from tests.faults.careless import careless

FAULTS = (
    "tests/faults/test_hostile_corpus.py tests/faults/test_hostile_directory.py "
    "tests/faults/test_hostile_options.py tests/faults/test_streams.py"
)


@careless(
    "charrnn_tui.terminal:harmless",
    "charrnn_tui.terminal:harmless_line",
    says="texts reach a terminal as they are",
    tests=f"{FAULTS} tests/cli/test_terminal.py",
)
def no_sanitiser(original: Any, target: str) -> Any:
    return lambda text: text


@careless(
    "charrnn_tui.terminal:harmless",
    says="invisible characters and those that change the direction of writing reach a terminal",
    tests="tests/cli/test_terminal.py tests/report/test_html.py tests/faults/test_hostile_corpus.py",
)
def controls_alone(original: Any) -> Any:
    def harmless(text: str) -> str:
        return "".join(original(character) if character < "\xa0" else character for character in text)

    return harmless


@careless(
    "charrnn_tui.terminal:_BLANKS",
    says="fillers, which are invisible letters, reach a terminal",
    tests="tests/cli/test_terminal.py tests/report/test_html.py",
)
def fillers_are_letters(original: Any) -> Any:
    return frozenset()


@careless(
    "charrnn_tui.terminal:_NEEDED",
    says="scripts and emoji lose the joiners that they need",
    tests="tests/cli/test_terminal.py",
)
def joiners_are_hidden(original: Any) -> Any:
    return frozenset("\n\t")


@careless(
    "charrnn_tui.export.texts:without_formula",
    says="a spreadsheet runs what a network has written",
    tests="tests/cli/test_export.py",
)
def formulas_as_they_are(original: Any) -> Any:
    return lambda text: text
