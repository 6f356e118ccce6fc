"""The screen of a sweep: its trials, the best first, and the losses of the best laid over each other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import DescendantFocus, Resize, ScreenResume
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from charrnn_core.errors import CharRNNError, reason_of
from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.panes.best import BestPane
from charrnn_tui.dashboard.panes.foot import Foot, FootKey
from charrnn_tui.dashboard.panes.trials import AROUND, TrialsPane, TrialTable
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.screens.help import HelpScreen
from charrnn_tui.dashboard.steady import Steady
from charrnn_tui.dashboard.sweep_chart import colours_of, curves_of, legend_line, marks_of
from charrnn_tui.dashboard.sweep_lines import header_line
from charrnn_tui.dashboard.sweep_look import SweepReader
from charrnn_tui.dashboard.table import Table
from charrnn_tui.terminal import harmless
from charrnn_tui.trial_words import values_in_words

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel

    from charrnn_core.sweeps.following import TrialRow
    from charrnn_tui.dashboard.app import Dashboard

LOOK_SECONDS = 0.5
"""How often the sweep is read."""

_WARNED_SECONDS = 10.0
_FEWEST = 7  # lines of the pane of trials, in a screen that has room for both panes
_FOOT = (
    ("sweep.open", "Open", 9), ("full", "Full", 6), ("loss.whole", "All or recent", 4),
    ("loss.log_x", "Log x", 3), ("loss.log_y", "Log y", 3), ("quit", "Quit", 8), ("help", "Keys", 10),
)  # fmt: skip
"""What stands at the foot: binding, word, worth."""


class SweepScreen(Steady, Screen[None]):
    """The trials of a sweep, and the losses of the best.

    Parameters
    ----------
    reader : SweepReader
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="sweep.open", tooltip="Show the run of the trial"),
        Binding("f", "full", "Full", id="full", tooltip="Show the pane in focus alone"),
        Binding("w", "whole", "All or recent", show=False, id="loss.whole"),
        Binding("x", "log('log_x')", "Logarithmic x", show=False, id="loss.log_x"),
        Binding("y", "log('log_y')", "Logarithmic y", show=False, id="loss.log_y"),
        Binding("q", "leave", "Quit", id="quit", tooltip="Leave"),
        Binding("question_mark", "help", "Keys", key_display="?", id="help", tooltip="Show all keys"),
        Binding("1", "go('TrialTable')", "Trials", show=False, id="sweep.trials"),
        Binding("2", "go('BestPane')", "Smooth loss", show=False, id="sweep.chart"),
    ]

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As Textual has it, without repainting the whole screen: the borders that change paint themselves."""

    def __init__(self, reader: SweepReader) -> None:
        super().__init__()
        self._reader = reader
        self._shown = reader.look()
        self._chosen: str | None = None  # by the user; until then it is the best that is chosen
        self._colours: dict[str, int] = {}
        self._is_placing = False  # the cursor is moved, but not by the user
        self._is_looking = False
        self._is_late = False  # something has changed that the look which goes on may not know
        self._problem = ""
        self._height: int | str = 0  # of the pane of trials

    @property
    def dashboard(self) -> Dashboard:
        """The application."""
        return cast("Dashboard", self.app)

    @property
    def chosen(self) -> TrialRow | None:
        """The trial that the cursor is on."""
        cursor = self.query_one(TrialTable).cursor
        rows = self._shown.rows
        return rows[cursor] if cursor is not None and cursor < len(rows) else None

    def compose(self) -> ComposeResult:
        """Make the panes."""
        header = Lines(id="header")
        header.can_focus = False
        yield header
        yield TrialsPane(id="trials")
        yield BestPane(self.dashboard.glyphs, id="best")
        yield Foot(id="key-line")

    def on_mount(self) -> None:
        """Begin to look at the sweep."""
        table = self.query_one(TrialTable)
        self._put_in_front(table)
        table.focus()
        self.watch(table, "cursor", self._moved, init=False)
        self.set_interval(LOOK_SECONDS, self._look_if_idle)

    def on_resize(self, event: Resize) -> None:
        """Fit the panes to the new size."""
        self.call_after_refresh(self._show_again)

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Read what has happened while a run was shown."""
        self.look()

    # -- looking -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read the sweep, beside all else; not while one of its runs is shown."""
        if self._is_looking:
            self._is_late = True
        elif self.dashboard.session is None:
            self._is_looking = True
            self.run_worker(self._look(), group="look")

    def _look_if_idle(self) -> None:
        if not self._is_looking:
            self.look()

    async def _look(self) -> None:
        table = self.query_one(TrialTable)
        try:
            look = await asyncio.to_thread(
                self._reader.look, self._chosen, table.scroll_offset.y, table.size.height
            )
        finally:
            self._is_looking = False
        if not self.is_here:
            return
        self._shown = look
        self._show_again()
        if look.problem and look.problem != self._problem:
            self.tell(look.problem, "warning")
        self._problem = look.problem
        if self._is_late:
            self._is_late = False
            self.look()

    def _divide(self) -> None:
        """Give the trials the height that they need, but not more than half unless they are alone."""
        is_alone = self.has_class("-flat") or self.has_class("-full")
        half = max(_FEWEST, (self.app.size.height - 2) // 2)
        needed = max(_FEWEST, len(self._shown.rows) + AROUND)
        height = "1fr" if is_alone else min(needed, half)
        if height != self._height:
            self._height = height
            self.query_one(TrialsPane).styles.height = height
            self.call_after_refresh(self._show_again)

    def _show_again(self) -> None:
        """Show what is known."""
        look = self._shown
        self._divide()
        best = [row.trial.name for row in look.best]
        self._colours = colours_of(best, self._colours)
        header = self.query_one("#header", Lines)
        header.show([header_line(look, header.size.width)])
        self._place_cursor()
        self._show_chosen()
        known = {active.binding.id: active.binding for active in self.active_bindings.values()}
        keys = [(known[name], word, worth) for name, word, worth in _FOOT if name in known]
        self.query_one(Foot).update_from(
            [FootKey(self.app.get_key_display(key), word, key.action, worth) for key, word, worth in keys]
        )

    def _place_cursor(self) -> None:
        """Keep the cursor on its trial, wherever that stands now."""
        places = {row.trial.name: place for place, row in enumerate(self._shown.rows)}
        self._is_placing = True
        try:
            place = places.get(self._chosen, 0) if self._chosen is not None else 0
            self.query_one(TrialTable).cursor = place if places else None
        finally:
            self._is_placing = False

    def _show_chosen(self) -> None:
        look, row, glyphs = self._shown, self.chosen, self.dashboard.glyphs
        name = None if row is None else row.trial.name
        marks = marks_of(look, name, self._colours, glyphs)
        problem = "" if row is None or row.error is None else row.error
        self.query_one(TrialsPane).update_from(look, marks, glyphs, problem)
        pane = self.query_one(BestPane)
        is_alone = not self.query_one(TrialsPane).size.height
        legend = legend_line(look.rows, marks, pane.size.width) if is_alone else []
        told = "" if row is None else f"{marks[row.trial.name].text} {values_in_words(row.trial.values)}"
        pane.update_from(curves_of(look, marks), legend, told)

    def _moved(self) -> None:
        """Show the trial that the user has chosen."""
        if not self._is_placing and self.chosen is not None:
            self._chosen = self.chosen.trial.name
            self._show_chosen()
            self.look()

    # -- keys ----------------------------------------------------------------------------------------------

    def tell(self, message: str, severity: str) -> None:
        """Notify the user of something that may quote a file, a run or another program."""
        level = cast("SeverityLevel", severity)
        self.notify(harmless(message), severity=level, timeout=_WARNED_SECONDS, markup=False)

    def on_table_clicked(self, message: Table.Clicked) -> None:
        """Open a trial that is clicked twice."""
        if message.times > 1:
            self.action_open()

    def action_open(self) -> None:
        """Show the run of the trial that the cursor is on."""
        row = self.chosen
        if row is None or self.dashboard.session is not None:
            return
        run = self._reader.run_of(row.trial.name)
        if not run.config_file.exists():
            why = f": {row.error}" if row.error else ""
            self.tell(f"{row.trial.name} has not begun{why}", "warning" if why else "information")
            return
        try:
            self.dashboard.open_run(run.path)
        except CharRNNError as error:
            self.tell(str(error), "error")
        except OSError as error:
            self.tell(f"cannot read {run.path}: {reason_of(error)}", "error")
        else:
            self._chosen = row.trial.name  # which is where this screen is come back to
            self.app.push_screen(RunScreen())

    def action_whole(self) -> None:
        """Draw all, or what is recent."""
        self.query_one(BestPane).turn_span()

    def action_log(self, which: str) -> None:
        """Make an axis of the chart logarithmic, or linear again."""
        self.query_one(BestPane).turn_axis(which)

    def action_go(self, what: str) -> None:
        """Focus a pane."""
        part = self.query_one(what)
        self._put_in_front(part)
        self.set_focus(part)  # at once: the keys behind this one are for it

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Keep the pane in focus in front, where there is room for one only."""
        self._put_in_front(event.widget)

    def _put_in_front(self, part: Widget) -> None:
        panes = [each for each in part.ancestors_with_self if each.has_class("pane")]
        for pane in self.query(".pane") if panes else ():
            pane.set_class(pane is panes[0], "-front")
        self.call_after_refresh(self._show_again)

    def action_full(self) -> None:
        """Show the pane in focus alone, or both again."""
        self.toggle_class("-full")
        self.call_after_refresh(self._show_again)

    def action_leave(self) -> None:
        """Leave: nothing was started here that could go on."""
        self.dashboard.exit(return_code=0)

    def interrupt(self) -> None:
        """Leave."""
        self.action_leave()

    def action_help(self) -> None:
        """Show all keys."""
        from charrnn_tui.dashboard.keymap import SWEEP_GROUPS  # which names this screen's keys

        self.app.push_screen(HelpScreen(SWEEP_GROUPS, self.dashboard.keys))
