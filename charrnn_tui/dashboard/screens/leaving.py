"""What to do with the run when the dashboard is left."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label

from charrnn_tui.dashboard.steady import Steady

Leaving = Literal["stop", "detach", "stay"]


class LeavingScreen(Steady, ModalScreen[Leaving]):
    """Asks whether to stop the run, to leave it training, or to stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "leave('detach')", "Detach"),
        Binding("s,q", "leave('stop')", "Stop"),
        Binding("escape,n", "leave('stay')", "Stay"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Make the question."""
        with Vertical(classes="dialog"):
            yield Label("Stop training?", classes="question", markup=False)
            yield Label(
                "Stop saves first, and charrnn resume goes on exactly there. Detach leaves it training "
                "without this screen; charrnn tui comes back to it.",
                markup=False,
            )
            with Horizontal(classes="buttons"):
                yield Button("Stop", id="stop", variant="primary")
                yield Button("Detach", id="detach")
                yield Button("Stay", id="stay")

    def on_mount(self) -> None:
        """Let Enter stop."""
        self.query_one("#stop").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        answers: dict[str | None, Leaving] = {"stop": "stop", "detach": "detach"}
        self.dismiss(answers.get(event.button.id, "stay"))

    def action_leave(self, answer: Leaving) -> None:
        """Answer."""
        self.dismiss(answer)
