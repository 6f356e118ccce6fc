"""How another run comes onto the screen: a new one, one that is there, or several to compare with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.timer import Timer

from charrnn_core.errors import CharRNNError, CommandError
from charrnn_tui.dashboard.comparison import Comparison, follow
from charrnn_tui.dashboard.panes.loss import LossPane
from charrnn_tui.dashboard.screens.compare import CompareScreen
from charrnn_tui.dashboard.screens.leaving import Leaving, LeavingScreen
from charrnn_tui.dashboard.screens.new_run import Begun, NewRunScreen
from charrnn_tui.dashboard.screens.open_run import OpenRunScreen
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.steady import Steady
from charrnn_tui.dashboard.trainer import OwnedTrainer
from charrnn_tui.terminal import harmless

if TYPE_CHECKING:
    from charrnn_core.runs.history import EventFields
    from charrnn_tui.dashboard.app import Dashboard

OTHERS_SECONDS = 3.0
"""How often the runs that are compared with are read again."""

_ANSWER_SECONDS = 0.05
_SAID_SECONDS, _WARNED_SECONDS = 3.0, 10.0  # how long a notification stays


class ChangingScreen(Steady, Screen[None]):
    """A screen of one run, from which another can be started, opened, or compared with."""

    def __init__(self) -> None:
        super().__init__()
        self._comparison = Comparison()
        self._lookers: list[Timer] = []
        self.letting_go = False
        """The run that is shown is about to make room for another."""

    @property
    def dashboard(self) -> Dashboard:
        """The application."""
        return cast("Dashboard", self.app)

    @property
    def session(self) -> RunSession | None:
        """The run that is shown."""
        return self.dashboard.session

    @property
    def trains_own(self) -> bool:
        """Whether a process of the dashboard's own trains the run that is shown."""
        return self.session is not None and self.session.owned and self.session.live

    async def show_run_anew(self) -> None:
        """Show the dashboard's run from the beginning."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Begin to look at the runs that are compared with."""
        self.look_every(OTHERS_SECONDS, self._look_at_others)

    def look_every(self, seconds: float, look: Callable[[], None]) -> None:
        """Call something again and again, but not while one run's panes are replaced by another's."""
        self._lookers.append(self.set_interval(seconds, look))

    def tell(self, message: str, severity: str) -> None:
        """Notify the user of something that may quote a file, a run or another program."""
        seconds = _SAID_SECONDS if severity == "information" else _WARNED_SECONDS
        level = cast("SeverityLevel", severity)
        self.notify(harmless(message), severity=level, timeout=seconds, markup=False)

    # -- another run ---------------------------------------------------------------------------------------

    def action_new_run(self) -> None:
        """Choose a text and settings, and train."""
        dashboard = self.dashboard
        screen = NewRunScreen(dashboard.runs, lambda: self.trains_own, dashboard.start_trainer)
        self.app.push_screen(screen, self._begun)

    def _begun(self, begun: Begun | Literal["open"] | None) -> None:
        if begun == "open":
            self.action_open_run()
        elif begun is not None:
            self._change(begun.path, begun.trainer, begun.leaving)

    def action_open_run(self) -> None:
        """Choose a run that is there, and show it."""
        self.app.push_screen(OpenRunScreen(self.dashboard.runs, self._path), self._chosen)

    def _chosen(self, path: Path | None) -> None:
        if path is None or path == self._path:
            return
        if self.trains_own:
            self.app.push_screen(LeavingScreen(), lambda answer: self._change(path, None, answer or "stay"))
        else:
            self._change(path, None, None)

    @property
    def _path(self) -> Path | None:
        return None if self.session is None else self.session.directory.path

    def _change(self, path: Path, trainer: OwnedTrainer | None, leaving: Leaving | None) -> None:
        if leaving != "stay":
            self.run_worker(self._change_to(path, trainer, leaving), group="change")

    async def _change_to(self, path: Path, trainer: OwnedTrainer | None, leaving: Leaving | None) -> None:
        """Let go of the run that is shown, and show another."""
        dashboard, before = self.dashboard, self.session
        self.letting_go = leaving is not None
        try:
            if before is not None and leaving is not None:
                await let_go(before, leaving)
                if leaving == "stop" and before.trainer is not None:
                    dashboard.stopping.append(before.trainer)
            dashboard.open_run(path, trainer)
        except CharRNNError as error:
            if trainer is not None:
                trainer.release()
            self.tell(str(error), "error")
            return
        finally:
            self.letting_go = False
        if dashboard.starting is not None:  # one that the command line asked for, and that comes too late
            dashboard.starting.release()
            dashboard.stopping.append(dashboard.starting)
            dashboard.starting = None
        if before is not None and leaving is not None:
            left = "goes on training; o comes back to it" if leaving == "detach" else "is stopped"
            self.tell(f"{before.name} {left}", "information")
        # Within the screen's own queue of messages, so that no key comes between old panes and new ones.
        self.call_next(self._show_anew)

    async def _show_anew(self) -> None:
        for timer in self._lookers:
            timer.pause()
        await self.show_run_anew()
        self._lay_over()
        for timer in self._lookers:
            timer.resume()

    # -- the sweep of a trial ------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether something can be done: to go back, where this was opened from a sweep."""
        return action != "back" or self.dashboard.sweep is not None

    def action_back(self) -> None:
        """Go back to the sweep; ask first where a process of this dashboard's own trains."""
        if self.trains_own:
            self.app.push_screen(LeavingScreen(), self._go_back_after)
        elif not self.letting_go:
            self._go_back()

    def _go_back_after(self, answer: Leaving | None) -> None:
        if answer in ("stop", "detach"):
            self.run_worker(self._let_go_and_go_back(answer), group="change")

    async def _let_go_and_go_back(self, leaving: Leaving) -> None:
        before = self.session
        self.letting_go = True
        try:
            if before is not None:
                await let_go(before, leaving)
                if leaving == "stop" and before.trainer is not None:
                    self.dashboard.stopping.append(before.trainer)
        except CharRNNError as error:
            self.tell(str(error), "error")
        else:
            self._go_back()
        finally:
            self.letting_go = False

    def _go_back(self) -> None:
        for timer in self._lookers:  # what they look at is not this screen's any more
            timer.stop()
        self._comparison.choose({})
        self.dashboard.close_run()

    # -- comparing -----------------------------------------------------------------------------------------

    def action_compare(self) -> None:
        """Choose the runs whose losses lie over this one's."""
        if self.session is not None:
            screen = CompareScreen(self.dashboard.runs, self._path, self._comparison.paths)
            self.app.push_screen(screen, self._compare)

    def _compare(self, paths: list[Path] | None) -> None:
        if paths is not None:
            self.run_worker(self._compare_with(paths), group="compare", exclusive=True)

    async def _compare_with(self, paths: list[Path]) -> None:
        followers, problems = await asyncio.to_thread(follow, paths)
        for problem in problems:
            self.tell(problem, "warning")
        self._comparison.choose(followers)
        if self.is_here:
            self._lay_over()

    def _look_at_others(self) -> None:
        if self._comparison.followers:
            self._comparison.poll()
            self._lay_over()

    def _lay_over(self) -> None:
        pane = self.query_one(LossPane)
        pane.overlays = self._comparison.histories(but=self._path)
        if self.session is not None:
            pane.update_from(self.session)


async def let_go(session: RunSession, leaving: Leaving) -> None:
    """Have a run of the dashboard's own stop, or train on alone; whoever shows it reads the answer meanwhile.

    Parameters
    ----------
    session : RunSession
    leaving : "stop" or "detach"

    Raises
    ------
    CommandError
        The trainer refused.
    """
    answers: list[EventFields] = []
    try:
        session.ask("detach" if leaving == "detach" else "stop", answers.append)
    except CommandError:
        return  # it has ended by itself
    while not answers and session.live:
        await asyncio.sleep(_ANSWER_SECONDS)
    if answers and answers[0]["type"] == "refused":
        raise CommandError(f"{session.name} refused to {leaving}: {answers[0].get('reason')}")
