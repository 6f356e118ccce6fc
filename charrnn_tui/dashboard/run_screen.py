"""The screen of a run: its panes, its keys, and what they ask of the process that trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import DescendantFocus
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Input

from charrnn_core.errors import CharRNNError
from charrnn_core.training.settings import FIELDS
from charrnn_tui.dashboard.box import Box
from charrnn_tui.dashboard.changing import ChangingScreen
from charrnn_tui.dashboard.panes.evolution import EvolutionPane
from charrnn_tui.dashboard.panes.gradients import GradientPane, rows_of
from charrnn_tui.dashboard.panes.header import Header
from charrnn_tui.dashboard.panes.loss import LossPane
from charrnn_tui.dashboard.panes.run import RunPane
from charrnn_tui.dashboard.panes.samples import SamplesPane
from charrnn_tui.dashboard.screens.help import HelpScreen
from charrnn_tui.dashboard.screens.leaving import Leaving, LeavingScreen
from charrnn_tui.dashboard.screens.reading import EntriesScreen, SampleScreen
from charrnn_tui.dashboard.trainer import OwnedTrainer
from charrnn_tui.dashboard.writer import Writer

if TYPE_CHECKING:
    from charrnn_core.runs.commands import CommandName
    from charrnn_core.runs.history import EventFields

LOOKS_A_SECOND = 5
"""How often the run is read and the figures are painted."""

SURELY_SECONDS = 2.0
"""A second Ctrl+C within this time stops without asking."""

_RATE_FACTOR = 2**0.5


class FindBox(Box):
    """Where the text is typed that samples are searched for."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave", show=False)]

    def action_leave(self) -> None:
        """Show all samples again."""
        self.value = ""
        self.display = False
        self.screen.query_one(EvolutionPane).focus()


class Foot(Footer):
    """The keys at the foot of the screen, made again only when others are to be shown.

    The stock footer makes all its widgets again whenever the focus moves.
    """

    _keys: tuple[object, ...] = ()

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Take other keys."""
        keys = tuple(
            (active.binding, active.enabled)
            for active in screen.active_bindings.values()
            if active.binding.show
        )
        if keys != self._keys and screen is self.screen and self.app.app_focus:
            self._keys = keys
            super().bindings_changed(screen)


class RunScreen(ChangingScreen):
    """Loss, gradients, samples, evolution and facts of a run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", id="pause", tooltip="Pause training, or let it go on"),
        Binding("s", "sample", "Sample", id="sample", tooltip="Let the network write now"),
        Binding("g", "check", "Check", id="check", tooltip="Check the gradients now"),
        Binding("c", "checkpoint", "Save", id="checkpoint", tooltip="Save a checkpoint now"),
        Binding("left_square_bracket", "rate(-1)", "Rate −", key_display="[", id="rate.lower"),
        Binding("right_square_bracket", "rate(1)", "Rate +", key_display="]", id="rate.higher"),
        Binding("f", "full", "Full", id="full", tooltip="Show the pane in focus alone"),
        Binding("slash", "find", "Find", key_display="/", id="find", tooltip="Find a text in the samples"),
        Binding("d", "detach", "Detach", id="detach", tooltip="Leave it training, and this screen"),
        Binding("r", "resume", "Resume", id="resume", tooltip="Go on with a run that does not train"),
        Binding("n", "new_run", "New", show=False, id="new", tooltip="Start a new run"),
        Binding("o", "open_run", "Open", show=False, id="open", tooltip="Show another run"),
        Binding(
            "m", "compare", "Compare", show=False, id="compare", tooltip="Lay other losses over this one"
        ),
        Binding("q", "leave", "Quit", id="quit", tooltip="Leave; asks whether to stop the run"),
        Binding("question_mark", "help", "Help", key_display="?", id="help"),
        Binding("ctrl+c", "interrupt", "Copy, or quit", show=False, system=True),
        Binding("t", "temperature(-0.1)", "Cooler samples", show=False, id="temperature.lower"),
        Binding("T", "temperature(0.1)", "Hotter samples", show=False, id="temperature.higher"),
        Binding("p", "go('PrimeBox')", "Type a beginning", show=False, id="prime"),
        Binding("1", "go('LossPane')", "Loss", show=False, id="focus.loss"),
        Binding("2", "go('GradientPane')", "Gradients", show=False, id="focus.gradients"),
        Binding("3", "go('SampleText')", "Samples", show=False, id="focus.samples"),
        Binding("4", "go('RunPane')", "Run", show=False, id="focus.run"),
        Binding("5", "go('EvolutionPane')", "Evolution", show=False, id="focus.evolution"),
        Binding("6", "go('PrimeBox')", "Beginning", show=False, id="focus.prime"),
    ]

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As Textual has it, without repainting the whole screen: the borders that change paint themselves."""

    def __init__(self) -> None:
        super().__init__()
        self._stopping = False
        self._interrupted_at = -SURELY_SECONDS
        self._pausing: bool | None = None  # what was asked for, until it is so
        self._rate: float | None = None

    def compose(self) -> ComposeResult:
        """Make the panes."""
        yield Header(id="header")
        yield LossPane(self.dashboard.glyphs, id="loss")
        yield GradientPane(id="gradients")
        yield SamplesPane(id="samples")
        yield RunPane(self.dashboard.clock, id="run")
        yield EvolutionPane(id="evolution")
        find = FindBox(placeholder="find in samples", id="find", compact=True)
        find.display = False
        yield find
        yield Foot(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look at the run."""
        self.query_one(LossPane).focus()
        if self.session is not None:
            self.call_after_refresh(self._opened)
        elif self.dashboard.starting is None:
            self.call_after_refresh(self.action_new_run)
        self.look_every(1 / LOOKS_A_SECOND, self._look)
        self.look_every(1.0, self._show_run)

    def on_resize(self) -> None:
        """Fit the panes to the new size."""
        self.call_after_refresh(self._show_all)

    # -- looking -------------------------------------------------------------------------------------------

    def _look(self) -> None:
        if self.session is None:
            self._wait_for_trainer()
            self._show_header()
            return
        events = self.session.poll()
        if self._pausing == (self.session.follower.state == "paused") or not self.session.live:
            self._pausing = None
        self._tell_failure()
        for event in events:
            self._take(event)
        kinds = {event["type"] for event in events}
        if kinds & {"gradients_checked", "resumed"}:
            self.query_one(GradientPane).update_from(self.session)
        if kinds & {"sample", "resumed"}:
            self.query_one(EvolutionPane).update_from(self.session)
        if kinds - {"progress", "epoch"}:
            self._show_run()
        self._show_header()
        self.query_one(LossPane).update_from(self.session)
        if self._stopping and not self.session.live:
            self.dashboard.exit(return_code=0)

    def _tell_failure(self) -> None:
        """Say why a trainer that was to go on with the run did not begin."""
        session = self.session
        if session is not None and session.trainer is not None and session.trainer.code:
            error = session.trainer.error()
            if error and session.trainer.run_path() is None:
                self.tell(error, "error")
                session.trainer = None

    def _wait_for_trainer(self) -> None:
        trainer = self.dashboard.starting
        if trainer is None:
            return
        path = trainer.run_path()
        if path is not None:
            self.dashboard.starting = None
            self.dashboard.open_run(path, trainer)
            self._opened()
        elif trainer.code is not None:
            self.dashboard.failure = trainer.error() or "training ended before it began"
            self.dashboard.exit(return_code=trainer.code or 1)

    async def show_run_anew(self) -> None:
        """Show a run from the beginning, in panes that know of no other."""
        await self.recompose()
        self.query_one(LossPane).focus()
        self.call_after_refresh(self._opened)

    def _opened(self) -> None:
        session = self.session
        assert session is not None
        self.query_one(SamplesPane).open(session.history.samples)
        self._show_all()
        if session.follower.state in ("interrupted", "crashed"):
            self.tell(f"{session.name} was {session.follower.state}: r goes on with it", "information")
        ended = session.history.ended
        if ended is not None and ended.get("reason") == "diverged":
            self._tell_end(ended)

    def _show_all(self) -> None:
        session = self.session
        self._show_header()
        if session is not None:
            self.query_one(LossPane).update_from(session)
            self.query_one(GradientPane).update_from(session)
            self.query_one(EvolutionPane).update_from(session)
            self._show_run()

    def _show_header(self) -> None:
        self.query_one(Header).update_from(self.session, starting=self.dashboard.starting is not None)

    def _show_run(self) -> None:
        if self.session is not None:
            self.query_one(RunPane).update_from(self.session)

    def _take(self, event: EventFields) -> None:
        """Show one new event where it belongs."""
        match event["type"]:
            case "sample":
                self.query_one(SamplesPane).add(event)
            case "warning":
                self.tell(str(event.get("message")), "warning")
            case "gradients_checked":
                if not all(row["passed"] for row in rows_of(event)):
                    self.tell("A gradient check failed: Enter in its pane shows the entries.", "error")
            case "ended":
                self._tell_end(event)

    def _tell_end(self, event: EventFields) -> None:
        reason = str(event.get("reason"))
        if reason == "diverged":
            self.tell(
                "Training diverged: the loss is no longer finite. The last finite checkpoint is kept; "
                "try a smaller learning rate, or clipping.",
                "error",
            )
        elif not (self._stopping or self.letting_go):
            self.tell(f"Training ended: {reason}. q leaves, r goes on.", "information")

    # -- asking --------------------------------------------------------------------------------------------

    def _ask(
        self, name: CommandName, done: str = "", then: Callable[[], None] | None = None, **arguments: Any
    ) -> bool:
        """Ask for something; once it is done, say so and do what comes then. Return whether it is asked."""
        if self.session is None:
            return False

        def answered(event: EventFields) -> None:
            if event["type"] == "refused":
                self.tell(f"{name}: refused, {event.get('reason')}", "warning")
                return
            if done:
                self.tell(done.format(update=f"{event['update']:,}"), "information")
            if then is not None:
                then()

        try:
            self.session.ask(name, answered, **arguments)
        except CharRNNError as error:
            self.tell(str(error), "warning")
            return False
        return True

    def action_pause(self) -> None:
        """Pause, or go on."""
        if self.session is not None:
            paused = self.session.follower.state == "paused" if self._pausing is None else self._pausing
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

    def on_samples_pane_begun(self, message: SamplesPane.Begun) -> None:
        """Let a network of this process go on from a beginning."""
        session = self.session
        if session is None:
            return
        pane = self.query_one(SamplesPane)
        length = int(session.follower.settings.get("sample_length", 200))
        try:
            writer = Writer(session.directory, message.prime, temperature=pane.temperature, length=length)
        except CharRNNError as error:
            self.tell(str(error), "warning")
            return
        pane.begin(writer, message.prime, length)

    # -- looking closer ------------------------------------------------------------------------------------

    def on_gradient_pane_opened(self, message: GradientPane.Opened) -> None:
        """Show the entries of a parameter."""
        if message.rows:
            self.app.push_screen(EntriesScreen(message.rows, message.update))

    def on_evolution_pane_opened(self, message: EvolutionPane.Opened) -> None:
        """Show a sample in full, or two."""
        compare = len(message.samples) == 2 and message.samples[0]["update"] <= message.samples[1]["update"]
        self.app.push_screen(SampleScreen(message.samples, message.place, compare=compare))

    def action_go(self, what: str) -> None:
        """Focus a pane, or a part of one."""
        part = self.query_one(what)
        self._put_in_front(part)
        self.set_focus(part)  # at once: the keys behind this one are for it

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Keep the pane in focus in front, where there is room for one only."""
        self._put_in_front(event.widget)

    def _put_in_front(self, part: Widget) -> None:
        panes = [each for each in part.ancestors_with_self if each.has_class("pane")]
        if panes:
            for pane in self.query(".pane"):
                pane.set_class(pane is panes[0], "-front")

    def action_full(self) -> None:
        """Show the pane in focus alone, or all again."""
        self.toggle_class("-full")
        self.call_after_refresh(self._show_all)

    def action_find(self) -> None:
        """Search the samples."""
        box = self.query_one(FindBox)
        box.display = True
        box.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the samples that hold the text."""
        if isinstance(event.input, FindBox) and self.session is not None:
            pane = self.query_one(EvolutionPane)
            pane.sought = event.value
            pane.update_from(self.session)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to what was found."""
        if isinstance(event.input, FindBox):
            self.query_one(EvolutionPane).focus()

    def action_help(self) -> None:
        """Show all keys."""
        groups = {
            "Everywhere": self.BINDINGS,
            "Loss": LossPane.BINDINGS,
            "Gradients": GradientPane.BINDINGS,
            "Evolution": EvolutionPane.BINDINGS,
        }
        self.app.push_screen(HelpScreen(groups, self.dashboard.keys))

    # -- leaving -------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Leave; ask first where a process of this dashboard's own trains."""
        if self.session is None or not (self.session.owned and self.session.live):
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
        if self._stopping or not self._ask("stop"):
            self.dashboard.exit(return_code=0)
        self._stopping = True

    def action_detach(self) -> None:
        """Leave the run training."""
        if self.session is None or not self.session.owned or not self.session.live:
            self.dashboard.exit(return_code=0)
            return

        def leave() -> None:
            self.dashboard.detached = True
            self.dashboard.exit(return_code=0)

        self._ask("detach", then=leave)

    def action_interrupt(self) -> None:
        """Copy what is selected; else leave, and at the second time stop without asking."""
        if self.get_selected_text():
            self.action_copy_text()
            return
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
        if session is None or session.live or session.owned:
            return
        ended = session.history.ended
        finished = (
            session.follower.state == "ended" and ended is not None and ended.get("reason") != "diverged"
        )
        # A run that is finished goes on until it is stopped.
        more = ["--updates", "none"] if finished else []
        trainer = OwnedTrainer(["resume", str(session.directory.path), *more])
        session.trainer = trainer
        self.tell(f"going on with {session.name}", "information")
