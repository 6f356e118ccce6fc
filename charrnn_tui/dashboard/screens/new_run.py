"""The start screen: a text, a preset, settings, and the beginning of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Button, Footer, Input, Label, Select

from charrnn_core.errors import UsageError, reason_of
from charrnn_core.training.settings import PRESETS, Settings
from charrnn_tui.dashboard.screens.corpus_choice import CorpusChoice
from charrnn_tui.dashboard.screens.leaving import Leaving, LeavingScreen
from charrnn_tui.dashboard.screens.settings_form import Choice, SettingRow, SettingsForm
from charrnn_tui.dashboard.steady import Steady
from charrnn_tui.dashboard.trainer import OwnedTrainer, train_arguments, until_stopped
from charrnn_tui.terminal import harmless_line

_LOOK_SECONDS = 0.05
_PRESET_HELP = "settings of the course until 2024, or of 2025 and 2026"


@dataclass(frozen=True)
class Begun:
    """A run that has begun.

    Attributes
    ----------
    path : Path
        Its directory.
    trainer : OwnedTrainer
    leaving : "stop", "detach" or None
        What becomes of the dashboard's own run that trained before.
    """

    path: Path
    trainer: OwnedTrainer
    leaving: Leaving | None


class Form(VerticalScroll, can_focus=False, inherit_bindings=False):
    """What scrolls; the arrows go from one setting to the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
    ]


class NewRunScreen(Steady, Screen[Begun | Literal["open"]]):
    """Starts a run, and gives it once it has begun; what goes wrong before that is said here.

    Gives "open" where a run that is there shall be chosen instead.

    Parameters
    ----------
    runs : Path
        The directory that holds runs.
    trains_own : callable
        Whether a run of the dashboard's own trains now, so that there is something to ask first.
    start_trainer : callable
        Starts a process that trains, with these arguments.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f5", "start", "Start"),
        Binding("ctrl+o", "browse", "Browse files"),
        Binding("ctrl+r", "open_run", "Open a run"),
        Binding("escape", "back", "Back"),
    ]

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-tiny"),
        (72, "-narrow"),
        (100, "-wide"),
    ]

    def __init__(
        self,
        runs: Path,
        trains_own: Callable[[], bool],
        start_trainer: Callable[[Sequence[str]], OwnedTrainer],
    ) -> None:
        super().__init__()
        self._runs = runs
        self._trains_own = trains_own
        self._start_trainer = start_trainer
        self._trainer: OwnedTrainer | None = None
        self._leaving: Leaving | None = None
        self._looking: Timer | None = None

    def compose(self) -> ComposeResult:
        """Make the form."""
        with Form(id="form", classes="pane"):
            yield Label("Corpus", classes="group -first", markup=False)
            yield CorpusChoice()
            yield Label("Run", classes="group", markup=False)
            with Container(classes="row"):
                yield Label("--preset", classes="name", markup=False)
                yield Choice(tuple(PRESETS), id="preset", blank=False)
                yield Label(_PRESET_HELP, classes="help", markup=False)
            with Container(classes="row"):
                yield Label("--name", classes="name", markup=False)
                yield Input(id="name", placeholder="date-time-text", compact=True)
                yield Label("name of the run", classes="help", markup=False)
            yield SettingsForm()
        with Horizontal(id="foot"):
            yield Label("", id="problem", markup=False)
            yield Button("Start", id="start", variant="primary", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show the defaults."""
        self.query_one("#form").border_title = "New run"
        self.query_one("#texts").focus()
        # The focus would scroll the heading away.
        self.call_after_refresh(self.query_one("#form").scroll_home, animate=False)
        self._checked()

    @property
    def arguments(self) -> list[str]:
        """The arguments of the program for what is chosen.

        Raises
        ------
        UsageError
            The first thing that is not possible.
        """
        corpus = self.query_one(CorpusChoice).corpus
        given = self.query_one(SettingsForm).given
        preset = self._preset
        Settings.of(preset, **until_stopped(given)).check_memory()
        name = self.query_one("#name", Input).value.strip() or None
        return train_arguments(corpus, given, runs=self._runs, preset=preset, name=name)

    # -- what is typed -------------------------------------------------------------------------------------

    def on_setting_row_changed(self, message: SettingRow.Changed) -> None:
        """Check the whole."""
        self._checked()

    def on_settings_form_filled(self, message: SettingsForm.Filled) -> None:
        """Show the defaults of what is there now."""
        self.query_one(SettingsForm).show_defaults(self._preset)

    def on_corpus_choice_changed(self, message: CorpusChoice.Changed) -> None:
        """Check the whole."""
        self._checked()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Take another preset."""
        self._checked()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Take another name."""
        self._checked()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Start."""
        self.action_start()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Start."""
        self.action_start()

    @property
    def _preset(self) -> str:
        return self.query_one("#preset", Choice).chosen or next(iter(PRESETS))

    def _checked(self) -> str:
        """Show what is wrong with the whole, and return it."""
        self.query_one(SettingsForm).show_defaults(self._preset)
        problem = ""
        try:
            self.arguments  # noqa: B018
        except UsageError as error:
            problem = str(error)
        self._say(problem, wrong=True)
        return problem

    def _say(self, text: str, *, wrong: bool) -> None:
        label = self.query_one("#problem", Label)
        label.set_class(wrong, "-wrong")
        label.update(Content(harmless_line(f"✗ {text}" if wrong and text else text)))

    # -- starting ------------------------------------------------------------------------------------------

    def action_browse(self) -> None:
        """Look for a file."""
        self.query_one(CorpusChoice).pick()

    def action_open_run(self) -> None:
        """Choose a run that is there instead."""
        self.dismiss("open")

    def action_back(self) -> None:
        """Leave."""
        self.dismiss(None)

    def on_unmount(self) -> None:
        """Let go of a run that is about to begin: it does not."""
        if self._trainer is not None:
            self._trainer.release()

    def action_start(self) -> None:
        """Start the run, unless something is wrong; ask first what becomes of one that trains."""
        if self._trainer is not None:
            return
        if self._checked():
            self.app.bell()
        elif self._trains_own():
            self.app.push_screen(LeavingScreen(), self._answered)
        else:
            self._start(None)

    def _answered(self, answer: Leaving | None) -> None:
        if answer in ("stop", "detach"):
            self._start(answer)

    def _start(self, leaving: Leaving | None) -> None:
        # The run before goes on until this one has begun: if it cannot, nothing is lost.
        self._leaving = leaving
        try:
            self._trainer = self._start_trainer(self.arguments)
        except (OSError, ValueError) as error:  # ValueError: a NUL in a name
            self._say(f"cannot start: {reason_of(error)}", wrong=True)
            return
        self._say("starting ...", wrong=False)
        self._looking = self.set_interval(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Look whether the run has begun."""
        trainer = self._trainer
        if trainer is None or self._looking is None:
            return
        code = trainer.code  # asked before what it has said is read: a process that has ended says no more
        path = trainer.run_path()
        if path is None and code is None:
            return
        self._looking.stop()
        self._trainer = None
        if path is not None:
            self.dismiss(Begun(path, trainer, self._leaving))
        else:
            self._say(trainer.error() or "training ended before it began", wrong=True)
            trainer.release()
