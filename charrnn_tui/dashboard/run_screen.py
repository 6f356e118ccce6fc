"""The screen of a run: its panes, its keys, and what they ask of the process that trains."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import DescendantFocus
from textual.reactive import Reactive
from textual.widget import Widget
from textual.widgets import Input

from charrnn_core.errors import CharRNNError, UnknownCharacterError
from charrnn_tui.check_rows import have_passed, rows_of
from charrnn_tui.dashboard.asking import AskingScreen
from charrnn_tui.dashboard.box import Box
from charrnn_tui.dashboard.panes.evolution import EvolutionPane
from charrnn_tui.dashboard.panes.foot import Foot, FootKey
from charrnn_tui.dashboard.panes.gradients import GradientPane
from charrnn_tui.dashboard.panes.header import Header
from charrnn_tui.dashboard.panes.loss import LossPane
from charrnn_tui.dashboard.panes.run import RunPane
from charrnn_tui.dashboard.panes.samples import SamplesPane
from charrnn_tui.dashboard.screens.help import HelpScreen
from charrnn_tui.dashboard.screens.reading import EntriesScreen, SampleScreen
from charrnn_tui.dashboard.writer import Writer
from charrnn_tui.formatting import ending_of

if TYPE_CHECKING:
    from charrnn_core.runs.history import EventFields
    from charrnn_tui.dashboard.session import RunSession

LOOKS_A_SECOND = 5
"""How often the run is read and the figures are painted."""

_FOOT_LIVE = (
    ("pause", "Pause", 9), ("sample", "Sample", 8), ("check", "Check", 7), ("checkpoint", "Save", 5),
    ("rate.lower", "", 4), ("rate.higher", "Rate", 4), ("full", "Full", 3), ("find", "Find", 1),
    ("detach", "Detach", 6), ("back", "Sweep", 8), ("quit", "Quit", 9), ("help", "Keys", 10),
)  # fmt: skip
_FOOT_STILL = (
    ("resume", "Resume", 9), ("new", "New", 8), ("open", "Open", 7), ("compare", "Compare", 4),
    ("full", "Full", 3), ("find", "Find", 2), ("back", "Sweep", 8), ("quit", "Quit", 9), ("help", "Keys", 10),
)  # fmt: skip
_FOOT_NONE = (("new", "New", 8), ("open", "Open", 7), ("quit", "Quit", 9), ("help", "Keys", 10))
"""What stands at the foot while the run trains, while it does not, and without one: binding, word, worth."""


class FindBox(Box):
    """Where the text is typed that samples are searched for."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave", show=False)]

    def action_leave(self) -> None:
        """Show all samples again."""
        self.value = ""
        self.display = False
        self.screen.query_one(EvolutionPane).focus()


class RunScreen(AskingScreen):
    """Loss, gradients, samples, evolution and facts of a run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", id="pause", tooltip="Pause training, or let it go on"),
        Binding("s", "sample", "Sample", id="sample", tooltip="Let the network write now"),
        Binding("g", "check", "Check", id="check", tooltip="Check the gradients now"),
        Binding("c", "checkpoint", "Save", id="checkpoint", tooltip="Save a checkpoint now"),
        Binding(
            "left_square_bracket",
            "rate(-1)",
            "Rate −",
            key_display="[",
            id="rate.lower",
            tooltip="Lower the learning rate",
        ),
        Binding(
            "right_square_bracket",
            "rate(1)",
            "Rate +",
            key_display="]",
            id="rate.higher",
            tooltip="Raise the learning rate",
        ),
        Binding("f", "full", "Full", id="full", tooltip="Show the pane in focus alone"),
        Binding("slash", "find", "Find", key_display="/", id="find", tooltip="Find a text in the samples"),
        Binding("d", "detach", "Detach", id="detach", tooltip="Leave it training, and this screen"),
        Binding("r", "resume", "Resume", id="resume", tooltip="Go on with a run that does not train"),
        Binding("n", "new_run", "New", show=False, id="new", tooltip="Start a new run"),
        Binding("o", "open_run", "Open", show=False, id="open", tooltip="Show another run"),
        Binding(
            "m", "compare", "Compare", show=False, id="compare", tooltip="Lay other losses over this one"
        ),
        Binding(
            "b,escape", "back", "Back", show=False, id="back", tooltip="Go back to the sweep of this trial"
        ),
        Binding("q", "leave", "Quit", id="quit", tooltip="Leave; asks whether to stop the run"),
        Binding("question_mark", "help", "Keys", key_display="?", id="help", tooltip="Show all keys"),
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
        self._foot_state: object = None
        self._offers_resume = False  # once the process of the dashboard's own that diverged is gone

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
        yield Foot(id="key-line")

    def on_mount(self) -> None:
        """Begin to look at the run."""
        self.query_one(LossPane).focus()
        if self.session is not None:
            self.call_after_refresh(self._opened)
        elif self.dashboard.starting is None and self.dashboard.sweep is None:
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
        was_live = self.session.live
        events = self.session.poll()
        if was_live and not self.session.live and self.session.history.ended is None:
            self._tell_crash(self.session)
        self.take_state()
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
        if self.stopping and not self.session.live:
            self.dashboard.exit(return_code=0)
        if self._offers_resume and self.is_current and self.session.diverged and not self.session.owned:
            self._offers_resume = False
            self.action_resume()

    def _tell_crash(self, session: RunSession) -> None:
        if session.directory.config_file.exists():
            self.tell(
                "The training process is gone without a word: it was killed, or it crashed. r goes on from "
                "its last checkpoint; trainer.log in the run's directory may say more.",
                "error",
            )
        else:
            self.tell(f"The directory of {session.name} is gone, and with it the run.", "error")

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
        self._foot_state = None
        await self.recompose()
        if self.is_here:  # else the dashboard was left meanwhile, and has no panes
            self.query_one(LossPane).focus()
            self.call_after_refresh(self._opened)

    def _opened(self) -> None:
        session = self.session
        if session is None:  # who opened it has gone back already
            return
        self.query_one(SamplesPane).show_last(session.history.samples)
        self._show_all()
        if session.follower.state in ("interrupted", "crashed"):
            self.tell(f"{session.name} was {session.follower.state}: r goes on with it", "information")
        self._offers_resume = session.diverged and session.trainer is not None
        if session.diverged and not self._offers_resume:
            self.tell(f"{session.name} diverged: r offers to go on from its best state", "error")

    def _show_all(self) -> None:
        session = self.session
        self._show_header()
        if session is not None:
            self.query_one(LossPane).update_from(session)
            self.query_one(GradientPane).update_from(session)
            self.query_one(EvolutionPane).update_from(session)
            self._show_run()

    def _show_header(self) -> None:
        starting = self.dashboard.starting is not None
        self.query_one(Header).update_from(self.session, starting=starting, stopping=self.stopping)
        self._show_foot()

    def _show_foot(self) -> None:
        session = self.session
        live = session.live if session is not None else self.dashboard.starting is not None
        typing = isinstance(self.focused, Box)
        state = session is None, live, self.trains_own, self.pausing, typing
        if state != self._foot_state:
            self._foot_state = state
            self.query_one(Foot).update_from(self._typing_keys() if typing else self._keys(live=live))

    def _typing_keys(self) -> list[FootKey]:
        go = "Show them" if isinstance(self.focused, FindBox) else "Let the network go on"
        return [FootKey("Enter", go, "focused.submit"), FootKey("Esc", "Leave", "focused.leave")]

    def _keys(self, *, live: bool) -> list[FootKey]:
        known: dict[str | None, Binding] = {}
        for active in self.active_bindings.values():  # of several keys of one name the first is shown
            known.setdefault(active.binding.id, active.binding)
        keys = []
        shown = _FOOT_NONE if self.session is None else _FOOT_LIVE if live else _FOOT_STILL
        for name, word, worth in shown:
            if name == "detach" and not self.trains_own:
                continue
            binding = known.get(name)
            if binding is not None:
                told = "Continue" if name == "pause" and self.pausing else word
                keys.append(FootKey(self.app.get_key_display(binding), told, binding.action, worth))
        return keys

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
                passed = have_passed(rows_of(event))
                if passed is None:
                    self.tell("The gradient check could compare nothing: its pane says why.", "warning")
                elif not passed:
                    self.tell("A gradient check failed: Enter in its pane shows the entries.", "error")
            case "ended":
                self._tell_end(event)

    def _tell_end(self, event: EventFields) -> None:
        if self.stopping or self.letting_go:
            return
        if event.get("reason") == "diverged":
            self._offers_resume = self.session is not None and self.session.trainer is not None
            if not (self._offers_resume and self.is_current):
                self.tell("Training diverged: the loss is no longer finite. r offers a way on.", "error")
        else:
            self.tell(
                f"Training ended: {ending_of(event.get('reason'))}. q leaves, r goes on.", "information"
            )

    # -- looking closer --------------------------------------------------------------------------------

    def on_samples_pane_begun(self, message: SamplesPane.Begun) -> None:
        """Let a network of this process go on from a beginning."""
        if self.session is not None:
            self.run_worker(self._begin(self.session, message.prime), group="prime", exclusive=True)

    async def _begin(self, session: RunSession, prime: str) -> None:
        pane = self.query_one(SamplesPane)
        length = int(session.follower.settings.get("sample_length", 200))
        temperature = pane.temperature
        pane.is_reading = True
        try:
            # A large checkpoint takes seconds to be read and verified.
            writer = await asyncio.to_thread(
                Writer, session.directory, prime, temperature=temperature, length=length
            )
        except UnknownCharacterError as error:
            self.tell(f"The network cannot go on from this beginning: it has {error}", "warning")
        except CharRNNError as error:
            self.tell(str(error), "warning")
        else:
            if self.is_here and pane.is_attached:  # and another run is not shown instead
                pane.begin(writer, prime)
        finally:
            pane.is_reading = False

    def on_gradient_pane_opened(self, message: GradientPane.Opened) -> None:
        """Show the entries of a parameter."""
        if message.rows:
            self.app.push_screen(EntriesScreen(message.rows, message.update))

    def on_evolution_pane_opened(self, message: EvolutionPane.Opened) -> None:
        """Show a sample in full, or two."""
        self.app.push_screen(SampleScreen(message.samples, message.place, compare=message.compare))

    def action_go(self, what: str) -> None:
        """Focus a pane, or a part of one."""
        part = self.query_one(what)
        self._put_in_front(part)
        self.set_focus(part)  # at once: the keys behind this one are for it

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Keep the pane in focus in front, where there is room for one only."""
        self._put_in_front(event.widget)
        self._show_foot()

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

    def on_evolution_pane_unsought(self) -> None:
        """Show all samples again."""
        self.query_one(FindBox).action_leave()

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
        from charrnn_tui.dashboard.keymap import GROUPS  # which names this screen's keys

        possible = {
            heading: [each for each in bindings if self._is_possible(each)]
            for heading, bindings in GROUPS.items()
        }
        self.app.push_screen(HelpScreen(possible, self.dashboard.keys))

    def _is_possible(self, binding: BindingType) -> bool:
        return not isinstance(binding, Binding) or self.check_action(binding.action, ()) is not False
