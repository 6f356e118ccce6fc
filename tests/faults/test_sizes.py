"""Terminals of any size, and sizes that change."""

from __future__ import annotations

import termios
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ledger import injected
from tests.program import ENDLESS, assert_saved, cursor_is_shown, on_terminal, run_path
from tests.terminals import SMALL as SMALL_RUN

pytestmark = pytest.mark.fault("size")


@pytest.mark.parametrize("size", [(1, 1), (0, 0)], ids=str)
def test_a_terminal_of_any_size(here: Path, size: tuple[int, int]) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        termios.tcsetwinsize(terminal.master, size)
        terminal.read_until(r"\x1b\[2K", since=len(terminal.seen))
        terminal.type(b"\x03")
        assert terminal.finish() == 130
    assert "Traceback" not in terminal.text
    assert cursor_is_shown(terminal.text)
    assert_saved(run)


@pytest.mark.slow
def test_the_size_is_the_terminals_own(dashboard: Any, until: Any) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN, size=(24, 80), COLUMNS="120", LINES="40")
    terminal.shows("● training")
    until(lambda: terminal.text.split("\n")[1].endswith("╮"))
    assert terminal.stops() == 0


@pytest.mark.slow
def test_300_resizes(book: Any, until: Any, thorough: bool) -> None:
    terminal, run = book
    sizes = [(1, 1), (3, 5), (60, 200), (24, 80), (2, 120), (40, 1), (20, 60), (0, 0), (16, 50), (5, 3)]
    for number in range(300 if thorough else 40):
        lines, columns = sizes[number % len(sizes)]
        seen = len(terminal.seen)
        terminal.resize(lines + number // 100 * (lines > 0), columns + number % 7 * (columns > 0))
        # Until it has painted, most of the time; a change that comes at once is one of the ways too.
        if number % 4:
            until(lambda: len(terminal.seen) > seen)  # noqa: B023
        injected()
    terminal.resize(24, 80)
    terminal.shows("● training", "Loss")
    run.goes_on()
    assert terminal.stops() == 0
    assert terminal.restored
    assert run.ended["reason"] == "stopped"
    assert not terminal.screen.strangers


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_it_starts_in_a_tiny_terminal(dashboard: Any, size: tuple[int, int]) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN, size=size)
    run = terminal.run()
    run.goes_on()
    terminal.resize(24, 80)
    terminal.shows("● training")
    assert terminal.stops() == 0
    assert run.ended["reason"] == "stopped"


@pytest.mark.slow
def test_a_terminal_that_does_not_know_its_size_gets_80_columns(dashboard: Any) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN, size=(0, 0))
    terminal.shows("● training", f"╭─ Loss {'─' * 30}")
    terminal.resize(40, 120)  # now it does
    terminal.shows("● training", f"╭─ Loss {'─' * 50}")
    assert terminal.stops() == 0
