"""The dashboard's application: one screen for a run, themes, keys, signals, and the end."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakSet

from rich.console import RenderableType
from textual import on
from textual.app import App, SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Input

from charrnn_core.errors import reason_of
from charrnn_tui.ascii import KEYS
from charrnn_tui.dashboard.driver import TerminalDriver
from charrnn_tui.dashboard.keymap import unknown_names
from charrnn_tui.dashboard.preferences import Preferences
from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.screens.leaving import LeavingScreen
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.signals import ENDING, Signals
from charrnn_tui.dashboard.steady import LOOK_SECONDS, Palette, is_whole
from charrnn_tui.dashboard.sweep_look import SweepReader
from charrnn_tui.dashboard.sweep_screen import SweepScreen
from charrnn_tui.dashboard.trainer import OwnedTrainer
from charrnn_tui.terminal import harmless_line


class Dashboard(App[int]):
    """Shows one run: one that this starts, or one that is there; or a sweep, and its runs one at a time.

    Parameters
    ----------
    session : RunSession, optional
        A run that is there.
    trainer : OwnedTrainer, optional
        The process that was started for a new run.
    glyphs : "braille", "block" or "ascii"
        What charts are drawn with.
    preferences : Preferences
    keymap : dict of str to str
        The user's keys, by the name of what they do.
    clock : callable
        Seconds since the epoch, for the ages of files.
    runs : Path
        The directory that holds runs.
    is_served : bool
        It is shown in a browser: what it starts trains on when the page is closed.
    sweep : SweepReader, optional
        A sweep, which is shown in place of a run, and from which its runs are opened.

    Attributes
    ----------
    session : RunSession or None
        The run that is shown; None until the trainer has said where it is.
    failure : str or None
        Why there is nothing to show.
    detached : bool
        The run was left training.
    keys : dict of str to str
        The user's keys.
    stopping : list of OwnedTrainer
        Processes of runs that were stopped for another one, and may still save.
    """

    TITLE = "charrnn"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-tiny"),
        (50, "-narrow"),
        (100, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (32, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        # The default quits at once; leaving has to ask about the run.
        Binding("ctrl+q", "leave", "Leave", show=False, system=True, priority=True, id="leave"),
        Binding("ctrl+c", "interrupt", "Copy, or quit", show=False, system=True, priority=True),
    ]

    def __init__(
        self,
        session: RunSession | None,
        trainer: OwnedTrainer | None,
        *,
        glyphs: GlyphSet = "braille",
        preferences: Preferences | None = None,
        keymap: dict[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        runs: Path = Path("runs"),
        is_served: bool = False,
        sweep: SweepReader | None = None,
    ) -> None:
        super().__init__(driver_class=None if is_served else TerminalDriver)
        self.is_served = is_served
        self.sweep = sweep
        self.session = session
        self.glyphs: GlyphSet = glyphs
        self.clock = clock
        self.runs = runs
        self.stopping: list[OwnedTrainer] = []
        self.starting = trainer
        self.failure: str | None = None
        self.detached = False
        self._preferences = preferences or Preferences()
        self.keys = keymap or {}
        self._signals: Signals | None = None
        self._is_ready = False
        self._is_leaving = False
        self._known_theme = ""
        self._left: WeakSet[Screen[object]] = WeakSet()

    @on(Resize)
    def keep_to_the_terminal(self, event: Resize) -> None:
        """Keep a size that is out of date from the toolkit, and tell it what is true now.

        A signal that comes while another one is handled is told before that one.
        """
        if isinstance(self._driver, TerminalDriver):
            size = self._driver.terminal_size
            if event.size != size:
                event.stop()
                event.prevent_default()
                self.post_message(Resize(size, size))

    def get_default_screen(self) -> Screen[None]:
        """Return the screen of a run, or of a sweep."""
        return RunScreen() if self.sweep is None else SweepScreen(self.sweep)

    def on_load(self) -> None:
        """Obey signals, before the terminal is changed."""
        if self._signals is not None:
            self._signals.tell(self._hear)

    def on_mount(self) -> None:
        """Take theme and keys."""
        theme = self._preferences.theme or self._default_theme()
        if theme in self.available_themes:
            self.theme = theme
        self._known_theme = self.theme
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self.set_keymap(self.keys)
        unknown = unknown_names(self.keys)
        if unknown:
            told = f"No key is called {', '.join(unknown)}; charrnn tui --keys shows the names of all keys."
            self.notify(harmless_line(told), severity="warning", timeout=10, markup=False)

    def _default_theme(self) -> str:
        """Return the theme for who has chosen none here."""
        if "TEXTUAL_THEME" in os.environ:
            return self.theme
        # Of sixteen colours the terminal knows best which they are.
        return "ansi-dark" if self.console.color_system == "standard" else "tokyo-night"

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield what the command palette offers: all that a key does, and what Textual has."""
        for binding in dict.fromkeys(active.binding for active in screen.active_bindings.values()):
            if binding.description and not binding.system and binding.action != "command_palette":
                key = self.get_key_display(binding)
                action = binding.action
                yield SystemCommand(
                    binding.description, f"key {key}", lambda action=action: self._run_for(screen, action)
                )
        yield from super().get_system_commands(screen)

    def get_key_display(self, binding: Binding) -> str:
        """Return how a key is called."""
        return self.key_name(super().get_key_display(binding))

    def key_name(self, shown: str) -> str:
        """Return how a key is called: by a sign, or by its name where the terminal has no signs."""
        if isinstance(self._driver, TerminalDriver) and self._driver.is_ascii:
            for sign, name in KEYS.items():
                shown = shown.replace(sign, name)
        return shown

    def action_command_palette(self) -> None:
        """Show the command palette."""
        if not any(isinstance(screen, Palette) for screen in self.screen_stack):
            self.push_screen(Palette(id="--command-palette"))

    def _run_for(self, screen: Screen[object], action: str) -> None:
        self.call_next(self.run_action, action, screen.focused or screen)

    def _keep_theme(self, theme: object) -> None:
        if self.theme == self._known_theme:  # what this began with is told too
            return
        self._known_theme = self.theme
        self._preferences = self._preferences.with_theme(self.theme)
        try:
            self._preferences.write()
        except OSError as error:
            self.notify(f"The theme cannot be kept: {reason_of(error)}", severity="warning", markup=False)

    def action_leave(self) -> None:
        """Leave from wherever this is."""
        ground = self._ground()
        if ground is not None:
            ground.action_leave()

    def _ground(self) -> RunScreen | SweepScreen | None:
        """Return the screen of the run or the sweep that is shown, without what lies over it."""
        while not isinstance(self.screen, (RunScreen, SweepScreen)) and len(self.screen_stack) > 1:
            self.pop_screen()
        return self.screen if isinstance(self.screen, (RunScreen, SweepScreen)) else None

    def action_interrupt(self) -> None:
        """Copy what is selected; else leave from wherever this is, and at the second time without asking."""
        box = self.focused
        if isinstance(box, Input) and box.selected_text:
            box.action_copy()
        elif self.screen.get_selected_text():
            self.screen.action_copy_text()
        elif isinstance(self.screen, LeavingScreen):
            self.screen.action_leave("stop")
        else:
            ground = self._ground()
            if ground is not None:
                ground.interrupt()

    def push_screen(self, *arguments: Any, **options: Any) -> Any:
        """Show a screen, unless the dashboard exits: the toolkit would fail to set up its parts."""
        return AwaitComplete() if self._is_leaving else super().push_screen(*arguments, **options)

    def pop_screen(self) -> AwaitComplete:
        """Leave a screen."""
        self._left.add(self.screen)
        return super().pop_screen()

    def exit(
        self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Exit, once what is still being made is there: the toolkit fails where it ends in between."""
        self._is_leaving = True
        if all(map(is_whole, (*self.screen_stack, *self._left))):
            super().exit(result, return_code, message)
        else:
            self.set_timer(LOOK_SECONDS, partial(self.exit, result, return_code, message))

    def run_here(self) -> None:
        """Run in the terminal of this process, and leave it as it was."""
        with Signals(self._restore) as self._signals:
            self.run()

    def _hear(self, number: int) -> None:
        driver, signals = self._driver, self._signals
        if number in ENDING:
            if self._is_ready:
                self.exit(return_code=128 + number)
        elif isinstance(driver, TerminalDriver) and signals is not None and signals.ended_by is None:
            if number == signal.SIGTSTP:
                driver.leave()
                signals.stop_process()
            elif number == signal.SIGCONT and driver.is_in_background:
                signals.stop_process()
            elif number == signal.SIGCONT:
                driver.come_back()

    def _restore(self) -> None:
        if isinstance(self._driver, TerminalDriver):
            self._driver.restore()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Paint, unless the terminal is still busy with what was painted before."""
        if not isinstance(self._driver, TerminalDriver) or self._driver.lets_through(self._paint_all):
            super()._display(screen, renderable)

    def _paint_all(self) -> None:
        self.refresh()

    def on_ready(self) -> None:
        """Obey a signal that came before there was a screen to leave."""
        self._is_ready = True
        if self._signals is None:  # not the only one of its process
            return
        # What the toolkit has made by now stays. To look through all of it for what can be thrown away would
        # stop the screen for 30 ms, now and then; what comes from now on is little, and looked through often.
        gc.freeze()
        gc.collect()
        if self._signals.ended_by is not None:
            self.exit(return_code=128 + self._signals.ended_by)

    def start_trainer(self, arguments: Sequence[str]) -> OwnedTrainer:
        """Start a process that trains, with these arguments of the program.

        Raises
        ------
        OSError
        ValueError
            There is a NUL in one of them.
        """
        return OwnedTrainer(arguments, outlives=self.is_served)

    def open_run(self, path: Path, trainer: OwnedTrainer | None = None) -> RunSession:
        """Show the run in a directory in place of the one before.

        Raises
        ------
        RunDirectoryError
            It is no run directory; then the one before stays.
        """
        session = RunSession.of(path, trainer)
        if self.session is not None:
            self.session.close()
        self.session = session
        return self.session

    def close_run(self) -> None:
        """Go back from a run to the sweep."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if self.session is not None:
            self.session.close()
            self.session = None
