"""The list of runs that some screens choose from, read piece by piece, and filtered by typing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Footer

from charrnn_core.errors import CharRNNError
from charrnn_core.runs.directory import RunDirectory, list_runs
from charrnn_core.runs.listing import RunSummary, summarize
from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.run_lines import Columns, matches, newest_first, run_line, title_line
from charrnn_tui.dashboard.spans import LinesOf, Span
from charrnn_tui.dashboard.steady import Steady
from charrnn_tui.dashboard.table import Table
from charrnn_tui.terminal import harmless_line

_FIRST, _MOST = 25, 100  # runs that are read before the list is shown again

Chosen = TypeVar("Chosen")


class RunTable(Table):
    """A line for each run, one of them chosen; what is typed is searched for."""

    class Typed(Message):
        """The text that runs are searched for has changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        self.sought = ""

    def on_key(self, event: events.Key) -> None:
        """Take what is typed as the text to search for; a slash says no more than that, a space can mark."""
        if event.key == "backspace":
            self._seek(self.sought[:-1])
        elif event.character is not None and event.is_printable and event.character not in " /":
            self._seek(self.sought + event.character)
        else:
            return
        event.stop()
        event.prevent_default()

    def _seek(self, text: str) -> None:
        self.sought = text
        self.post_message(self.Typed(text))


class RunListScreen(Steady, ModalScreen[Chosen], Generic[Chosen]):
    """Runs to choose from, the newest first.

    Parameters
    ----------
    runs : Path
        The directory that holds them.
    but : Path, optional
        A run that is left out.
    """

    TITLE_TEXT: ClassVar[str] = "Runs"

    def __init__(self, runs: Path, but: Path | None = None) -> None:
        super().__init__()
        self._runs = runs
        self._but = but
        self._all: list[RunSummary] = []
        self._found: list[RunSummary] = []
        self._unreadable = 0
        self._reading = True

    def compose(self) -> ComposeResult:
        """Make title and list."""
        with Vertical(classes="list pane"):
            yield Lines(id="heads")
            yield RunTable()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to read."""
        self.query_one("#heads").can_focus = False
        self.query_one(".list").border_title = self.TITLE_TEXT
        self.query_one(RunTable).focus()
        self.run_worker(self._read(), exclusive=True)

    def on_resize(self) -> None:
        """Fit the columns to the new width."""
        self.call_after_refresh(self.refresh_list)

    def mark_of(self, run: RunSummary) -> Span | None:
        """Return what stands before a run."""
        return None

    @property
    def chosen(self) -> RunSummary | None:
        """The run that the cursor is on."""
        cursor = self.query_one(RunTable).cursor
        return self._found[cursor] if cursor is not None and cursor < len(self._found) else None

    def refresh_list(self) -> None:
        """Show what is known by now; the chosen run stays chosen."""
        if not self.is_here:
            return
        table = self.query_one(RunTable)
        before = self.chosen
        self._found = [run for run in self._all if matches(run, table.sought)]
        columns = Columns.of(table.size.width, [run.name for run in self._all])
        self.query_one("#heads", Lines).show([title_line(columns)])
        nothing = self._nothing(table.sought)
        table.show(LinesOf(self._found, lambda run: run_line(run, self.mark_of(run), columns), nothing))
        same = before is not None and next(
            (place for place, run in enumerate(self._found) if run.path == before.path), 0
        )
        table.cursor = int(same or 0) if self._found else None
        self.query_one(".list").border_subtitle = self._told(table.sought)

    def on_run_table_typed(self) -> None:
        """Show the runs that have the text."""
        self.refresh_list()

    def action_back(self) -> None:
        """Search for nothing any more, or leave."""
        table = self.query_one(RunTable)
        if table.sought:
            table.sought = ""
            self.refresh_list()
        else:
            self.dismiss(None)

    async def _read(self) -> None:
        directories = await asyncio.to_thread(_directories, self._runs)
        # By name, the newest usually come last; they are what is looked for.
        directories.reverse()
        size, shown = _FIRST, 0
        while directories:
            some, directories = directories[:size], directories[size:]
            size = min(2 * size, _MOST)
            summaries = await asyncio.to_thread(readable, some)
            self._unreadable += len(some) - len(summaries)
            others = [run for run in summaries if self._but is None or run.path != str(self._but)]
            self._all = newest_first([*self._all, *others])
            if len(self._all) >= shown:  # a refresh is slow with thousands of runs
                shown = len(self._all) + len(self._all) // 10 + 1
                self.refresh_list()
        self._reading = False
        self.refresh_list()

    def _nothing(self, sought: str) -> str:
        if self._reading:
            return "reading ..."
        return f"nothing has {sought}" if sought else f"no other runs under {self._runs}"

    def _told(self, sought: str) -> Content:
        count = f"{len(self._all):,} run{'s' * (len(self._all) != 1)}"
        words = [f"/{sought}", f"{len(self._found):,} of {count}"] if sought else [count]
        if self._reading:
            words.append("reading")
        if self._unreadable:
            words.append(f"{self._unreadable} cannot be read")
        return Content(harmless_line(" · ".join(words)))


def _directories(runs: Path) -> list[RunDirectory]:
    try:
        return list_runs(runs)
    except OSError:
        return []  # no directory, or one that may not be read: then there are no runs


def readable(directories: Sequence[RunDirectory]) -> list[RunSummary]:
    """Return what can be said of some runs; a run that cannot be read is left out."""
    summaries = []
    for directory in directories:
        try:
            summaries.append(summarize(directory))
        except (CharRNNError, OSError, ValueError, TypeError, OverflowError):
            continue  # the list says how many there are
    return summaries
