"""What the keys of a run's screen ask of the process that trains, and what becomes of it in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from charrnn_core.errors import CharRNNError
from charrnn_core.training.settings import FIELDS, STOPS, option_name
from charrnn_tui.dashboard.changing import ChangingScreen
from charrnn_tui.dashboard.panes.samples import SamplesPane
from charrnn_tui.dashboard.screens.diverged import DivergedScreen
from charrnn_tui.dashboard.screens.leaving import Leaving, LeavingScreen

if TYPE_CHECKING:
    from charrnn_core.runs.commands import CommandName
    from charrnn_core.runs.history import EventFields

SURELY_SECONDS = 2.0
"""A second Ctrl+C within this time stops without asking."""

_RATE_FACTOR = 2**0.5
_STOPPING_SECONDS = 2.0  # until a stop that takes long is explained


class AskingScreen(ChangingScreen):
    """A screen of one run, whose keys command the run and leave it."""

    def __init__(self) -> None:
        super().__init__()
        self.stopping = False
        """The run was asked to stop, and this screen leaves when it has."""

        self._interrupted_at = -SURELY_SECONDS
        self._pausing: bool | None = None  # what was asked for, until it is so
        self._rate: float | None = None

    @property
    def pausing(self) -> bool:
        """Whether the run is paused, or was asked to."""
        session = self.session
        if session is None:
            return False
        return session.follower.state == "paused" if self._pausing is None else self._pausing

    def take_state(self) -> None:
        """Forget what was asked for and is so by now."""
        session = self.session
        if session is not None and (
            self._pausing == (session.follower.state == "paused") or not session.live
        ):
            self._pausing = None

    # -- asking --------------------------------------------------------------------------------------------

    def _ask(
        self, name: CommandName, done: str = "", then: Callable[[], None] | None = None, **arguments: Any
    ) -> bool:
        """Ask for something; once it is done, say so and do what comes then. Return whether it is asked."""
        session = self.session
        if session is None:
            return False

        def answered(event: EventFields) -> None:
            if event["type"] == "refused":
                self.tell(f"{name}: refused, {event.get('reason')}", "warning")
                return
            # Of several answers of one kind that come together, one is said: the last.
            if done and not session.waits(name):
                self.tell(done.format(update=f"{event['update']:,}"), "information")
            if then is not None:
                then()

        try:
            session.ask(name, answered, **arguments)
        except CharRNNError as error:
            self.tell(str(error), "warning")
            return False
        return True

    def action_pause(self) -> None:
        """Pause, or go on."""
        if self.session is not None:
            paused = self.pausing
            self._pausing = not paused
            self._ask("continue" if paused else "pause")

    def action_sample(self) -> None:
        """Let the network write."""
        self._ask("sample", temperature=self.query_one(SamplesPane).temperature)

    def action_check(self) -> None:
        """Check the gradients."""
        self._ask("check", "Gradients checked at update {update}.")

    def action_checkpoint(self) -> None:
        """Save."""
        self._ask("checkpoint", "Checkpoint saved at update {update}.")

    def action_rate(self, direction: int) -> None:
        """Change the learning rate by a factor of the square root of two."""
        if self.session is None:
            return
        now = self.session.follower.settings["learning_rate"]
        # From what was asked for last, which the log may not have yet, and which is not rounded.
        waits = self.session.waits("set-learning-rate")
        if self._rate is None or (not waits and float(f"{self._rate:.3g}") != now):
            self._rate = now
        self._rate = min(FIELDS["learning_rate"].maximum, self._rate * _RATE_FACTOR**direction)
        rate = float(f"{self._rate:.3g}")
        self._ask(
            "set-learning-rate", f"Learning rate {rate:g} from update {{update}} on.", learning_rate=rate
        )

    def action_temperature(self, by: float) -> None:
        """Change the temperature of samples that are asked for."""
        pane = self.query_one(SamplesPane)
        pane.temperature = round(min(2.0, max(0.0, pane.temperature + by)), 1)

    # -- leaving -------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Leave; ask first where a process of this dashboard's own trains."""
        if self.stopping or self.session is None or not (self.session.owned and self.session.live):
            self.dashboard.exit(return_code=0)
        else:
            self.app.push_screen(LeavingScreen(), self._leave)

    def _leave(self, answer: Leaving | None) -> None:
        if answer == "stop":
            self.stop()
        elif answer == "detach":
            self.action_detach()

    def stop(self) -> None:
        """Stop the run, and leave when it is saved; asked twice, leave at once: the trainer saves alone."""
        if self.stopping or not self._ask("stop"):
            self.dashboard.exit(return_code=0)
        self.stopping = True
        self.set_timer(_STOPPING_SECONDS, self._tell_stopping)

    def _tell_stopping(self) -> None:
        if self.trains_own:
            self.tell("Waiting for the training process to save. q leaves now; it saves alone.", "warning")

    def action_detach(self) -> None:
        """Leave the run training."""
        if self.session is None or not self.session.owned or not self.session.live:
            self.dashboard.exit(return_code=0)
            return

        def leave() -> None:
            self.dashboard.detached = True
            self.dashboard.exit(return_code=0)

        self._ask("detach", then=leave)

    def interrupt(self) -> None:
        """Leave, and at the second time within a moment stop without asking."""
        now = time.monotonic()
        if now - self._interrupted_at < SURELY_SECONDS:
            if self.session is not None and self.session.owned:
                self.stop()
            else:
                self.dashboard.exit(return_code=0)
            return
        self._interrupted_at = now
        self.action_leave()

    def action_resume(self) -> None:
        """Go on with a run that does not train."""
        session = self.session
        if session is None or session.live:
            return
        if session.owned:
            self.tell(f"the process that trained {session.name} has not ended yet", "warning")
        elif session.diverged:
            self.app.push_screen(DivergedScreen(session), self._resume_with)
        else:
            # A run that is finished goes on until it is stopped.
            finished = session.follower.state == "ended"
            self._resume_with([word for stop in STOPS for word in (option_name(stop), "none")] * finished)

    def _resume_with(self, options: Sequence[str] | None) -> None:
        session = self.session
        if session is None or session.live or session.owned or options is None:
            return
        arguments = ["resume", str(session.directory.path), *options]
        session.resumed_by(self.dashboard.start_trainer(arguments))
        self.tell(f"going on with {session.name}", "information")
