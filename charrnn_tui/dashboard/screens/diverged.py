"""What to do with a run that diverged: go on from its best state, more slowly."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from charrnn_core.errors import SettingsError
from charrnn_core.training.settings import FIELDS
from charrnn_tui.dashboard.box import Box
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.steady import Steady
from charrnn_tui.formatting import count_of
from charrnn_tui.terminal import harmless_line

_SLOWER = 0.5


class DivergedScreen(Steady, ModalScreen[list[str]]):
    """Explains what happened, and gives the options of `charrnn resume` with which the run goes on.

    Parameters
    ----------
    session : RunSession
        Of a run that diverged.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "dismiss", "Not now"),
        Binding("q", "app.leave", "Quit"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, session: RunSession) -> None:
        super().__init__()
        self._at = session.history.ended["update"] if session.history.ended is not None else session.update
        self._rate = float(session.follower.settings["learning_rate"])
        self._has_best = session.directory.checkpoint_file("best").exists()
        self._best = session.best if self._has_best else None

    def compose(self) -> ComposeResult:
        """Make the explanation, the rate, and the answers."""
        with Vertical(classes="dialog"):
            yield Label(
                f"Training diverged at update {count_of(self._at)}.", classes="question", markup=False
            )
            yield Label(
                "The loss is no longer finite: the steps were too large, or a gradient was. "
                f"{self._offer()} A smaller learning rate helps, and so does clipping, in a new run.",
                markup=False,
            )
            with Horizontal(classes="asked"):
                yield Label("learning rate", classes="name", markup=False)
                yield Box(f"{self._rate * _SLOWER:.3g}", id="rate", compact=True)
                yield Label(f"it was {self._rate:g}", classes="help", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Resume", id="resume", variant="primary")
                yield Button("Not now", id="stay")

    def on_mount(self) -> None:
        """Let Enter resume."""
        self.query_one("#resume").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is wrong with the rate."""
        problem = self._problem()
        label = self.query_one(".help", Label)
        label.set_class(bool(problem), "problem")
        label.update(Content(harmless_line(f"✗ {problem}" if problem else f"it was {self._rate:g}")))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Resume."""
        self._resume()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Resume, or not."""
        if event.button.id == "resume":
            self._resume()
        else:
            self.dismiss(None)

    def _offer(self) -> str:
        if self._best is not None:
            best = f"update {self._best.at}, loss {self._best.told}"
            return f"Resume goes back to the best state ({best}) and goes on from there."
        state = "best state" if self._has_best else "last state that was finite"
        return f"Resume goes back to the {state} and goes on from there."

    def _problem(self) -> str:
        try:
            FIELDS["learning_rate"].parse("learning_rate", self.query_one("#rate", Box).value.strip())
        except SettingsError as error:
            return str(error)
        return ""

    def _resume(self) -> None:
        if self._problem():
            self.app.bell()
            self.query_one("#rate").focus()
            return
        rate = self.query_one("#rate", Box).value.strip()
        self.dismiss([*["--from-best"] * self._has_best, "--learning-rate", rate])
