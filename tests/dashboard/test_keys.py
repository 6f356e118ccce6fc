"""Every key of the dashboard: what it asks of the run, shows, copies, or gives the keys to."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.widgets import Input

import charrnn_tui.dashboard
from charrnn_tui.dashboard import app as app_module
from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.panes.best import BestPane
from charrnn_tui.dashboard.panes.evolution import EvolutionPane
from charrnn_tui.dashboard.panes.gradients import GradientPane
from charrnn_tui.dashboard.panes.loss import LossPane
from charrnn_tui.dashboard.panes.samples import PrimeBox
from charrnn_tui.dashboard.panes.trials import TrialTable
from charrnn_tui.dashboard.run_screen import FindBox, RunScreen
from charrnn_tui.dashboard.screens import settings_form
from charrnn_tui.dashboard.screens.compare import CompareScreen
from charrnn_tui.dashboard.screens.diverged import DivergedScreen
from charrnn_tui.dashboard.screens.help import HelpScreen
from charrnn_tui.dashboard.screens.leaving import LeavingScreen
from charrnn_tui.dashboard.screens.new_run import Form, NewRunScreen
from charrnn_tui.dashboard.screens.open_run import OpenRunScreen
from charrnn_tui.dashboard.screens.pick_file import PickFileScreen, TextTree
from charrnn_tui.dashboard.screens.reading import EntriesScreen, SampleScreen
from charrnn_tui.dashboard.screens.run_list import RunTable
from charrnn_tui.dashboard.screens.settings_form import Choice, SettingRow
from charrnn_tui.dashboard.sweep_screen import SweepScreen
from charrnn_tui.dashboard.table import Table

# A stage is tests/dashboard/conftest.py's, whose classes cannot be imported.
Check = Callable[[Any, str], Awaitable[None]]

KEYS: dict[tuple[str, str], tuple[Check, dict[str, Any]]] = {}
"""By class and key: what tests it, and what is to be on the screen for that."""


def key(owner: type, *keys: str, **shown: Any) -> Callable[[Check], Check]:
    """Let a function test keys of a class, on a stage with this on the screen."""

    def enter(check: Check) -> Check:
        for each in keys:
            assert (owner.__name__, each) not in KEYS, f"{owner.__name__} has two tests of {each}"
            KEYS[owner.__name__, each] = check, shown
        return check

    return enter


def bindings() -> Iterator[tuple[str, str]]:
    """Yield class and key of every binding in the code of the dashboard."""
    package = charrnn_tui.dashboard
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for _, owner in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if owner.__module__ == module.name:
                for binding in vars(owner).get("BINDINGS", []):
                    keys = binding.key if isinstance(binding, Binding) else binding[0]
                    yield from ((owner.__name__, each.strip()) for each in keys.split(","))


def test_every_key_has_a_test_and_every_test_a_key() -> None:
    assert not set(bindings()) - set(KEYS), "these keys have no test"
    assert not set(KEYS) - set(bindings()), "there are no such keys"


class Trainer:
    """A trainer of the dashboard's own that never says where its run is."""

    made: list[list[str]]
    code = None

    def __init__(self, arguments: list[str], **more: object) -> None:
        self.made.append(arguments)

    def run_path(self) -> None:
        return None

    def error(self) -> str:
        return ""

    def release(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _trainers(monkeypatch: pytest.MonkeyPatch) -> None:
    Trainer.made = []
    monkeypatch.setattr(app_module, "OwnedTrainer", Trainer)
    # A whole form takes half a second to make, again and again.
    monkeypatch.setattr(settings_form, "_GROUPS", ["Network", "Learning"])


# -- the run -----------------------------------------------------------------------------------------------


@key(RunScreen, "space", live=True)
async def _pauses_and_goes_on(at: Any, key: str) -> None:
    await at.press(key)
    assert at.commands == [{"command": "pause"}]
    await at.look()
    assert "Continue" in at.shown("#key-line")
    await at.obey()
    assert "paused" in at.shown("#header")
    await at.press(key)
    assert at.commands[1:] == [{"command": "continue"}]
    await at.obey()
    assert "training" in at.shown("#header")
    assert "Pause" in at.shown("#key-line")


@key(RunScreen, "s", live=True)
async def _asks_for_a_sample(at: Any, key: str) -> None:
    await at.press(key)
    assert at.commands == [{"command": "sample", "temperature": 1.0}]
    await at.obey()
    assert at.shown("#evolution").splitlines()[0].endswith("mm")


@key(RunScreen, "g", live=True)
async def _asks_for_a_check(at: Any, key: str) -> None:
    await at.press(key)
    assert at.commands == [{"command": "check"}]
    await at.obey()
    assert at.told == ["Gradients checked at update 200."]


@key(RunScreen, "c", live=True)
async def _asks_for_a_checkpoint(at: Any, key: str) -> None:
    await at.press(key)
    assert at.commands == [{"command": "checkpoint"}]
    await at.refuse("the disk is full")
    assert at.told == ["checkpoint: refused, the disk is full"]


@key(RunScreen, "left_square_bracket", "right_square_bracket", live=True)
async def _changes_the_learning_rate(at: Any, key: str) -> None:
    await at.press(key, key)
    rates = [0.0707, 0.05] if key.startswith("left") else [0.141, 0.2]
    assert at.commands == [{"command": "set-learning-rate", "learning_rate": rate} for rate in rates]
    await at.obey()
    assert at.told == [f"Learning rate {rates[-1]:g} from update 200 on."]
    assert f"adagrad {rates[-1]:g}" in at.shown("#run")


@key(RunScreen, "t", "T", live=True)
async def _changes_the_temperature_of_samples(at: Any, key: str) -> None:
    await at.press(key)
    temperature = {"t": 0.9, "T": 1.1}[key]
    assert at.foot_of("#samples") == f"temperature {temperature}"
    await at.press("s")
    assert at.commands == [{"command": "sample", "temperature": temperature}]


@key(RunScreen, "f")
async def _shows_the_pane_in_focus_alone(at: Any, key: str) -> None:
    def panes() -> list[str]:
        return [pane.id for pane in at.screen.query(".pane") if pane.display]

    assert panes() == ["loss", "gradients", "samples", "run", "evolution"]
    await at.press("4", key)
    assert panes() == ["run"]
    await at.press("2")
    assert panes() == ["gradients"]
    await at.press(key)
    assert len(panes()) == 5


@key(RunScreen, "slash")
async def _finds_a_text_in_the_samples(at: Any, key: str) -> None:
    await at.press(key)
    assert at.focus == "FindBox"
    await at.press("c", "A", "t", " ", "left_square_bracket")
    assert at.foot_of("#evolution") == "1 of 3 samples · Esc shows all"
    assert "the cat [sat]" in at.shown("#evolution")
    assert at.commands == []
    await at.press("enter")
    assert at.focus == "EvolutionPane"


@key(FindBox, "escape")
async def _shows_all_samples_again(at: Any, key: str) -> None:
    await at.press("slash", "f", "o", "x", key)
    assert at.foot_of("#evolution") == "3 samples"
    assert not at.screen.query_one("#find").display
    assert at.focus == "EvolutionPane"


@key(EvolutionPane, "escape")
async def _takes_back_what_was_searched_for(at: Any, key: str) -> None:
    await at.press("slash", "n", "o", "w", "h", "e", "r", "e", "enter")
    assert "no sample holds nowhere" in at.shown("#evolution")
    await at.press(key)
    assert at.foot_of("#evolution") == "3 samples"
    assert at.focus == "EvolutionPane"


@key(RunScreen, "p", "6")
async def _gives_keys_to_the_box_for_a_beginning(at: Any, key: str) -> None:
    await at.press(key, "s", "q", "6", "space")
    assert at.focus == "PrimeBox"
    assert at.screen.query_one(PrimeBox).value == "sq6 "
    assert "Let the network go on" in at.shown("#key-line")


@key(PrimeBox, "escape", live=True)
async def _takes_keys_from_the_box(at: Any, key: str) -> None:
    await at.press("p", key, "c")
    assert at.focus == "SampleText"
    assert at.commands == [{"command": "checkpoint"}]


@key(RunScreen, "1", "2", "3", "4", "5")
async def _gives_a_pane_the_focus(at: Any, key: str) -> None:
    await at.press("5" if key == "1" else "1", key)
    order = ["LossPane", "GradientPane", "SampleText", "RunPane", "EvolutionPane"]
    assert at.focus == order[int(key) - 1]


@key(RunScreen, "n")
async def _offers_a_new_run(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, NewRunScreen)


@key(RunScreen, "o")
async def _offers_other_runs(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, OpenRunScreen)


@key(RunScreen, "m")
async def _offers_runs_to_compare_with(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, CompareScreen)


@key(RunScreen, "question_mark")
async def _shows_all_keys(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, HelpScreen)
    told = at.shown("#keys")
    for pane in (RunScreen, LossPane, GradientPane, EvolutionPane):
        for binding in pane.BINDINGS:
            assert binding.tooltip or binding.description in told


@key(HelpScreen, "escape", "q", "enter", "question_mark")
async def _closes_the_keys(at: Any, key: str) -> None:
    await at.press("question_mark", key)
    assert isinstance(at.screen, RunScreen)
    assert at.app.return_code is None


# -- leaving -----------------------------------------------------------------------------------------------


@key(RunScreen, "q", live=True, owned=True)
@key(Dashboard, "ctrl+q", live=True, owned=True)
async def _asks_before_it_leaves_a_run_of_its_own(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, LeavingScreen)
    assert at.screen.focused.id == "stop"
    await at.press("enter")
    assert at.commands == [{"command": "stop"}]
    assert at.app.return_code is None  # it is still saving
    await at.end("stopped")
    assert at.app.return_code == 0


@key(Dashboard, "ctrl+c", live=True, owned=True)
async def _asks_and_does_not_ask_twice(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, LeavingScreen)
    await at.press("escape", key)
    assert isinstance(at.screen, RunScreen)
    assert at.commands == [{"command": "stop"}]


@key(RunScreen, "d", live=True, owned=True)
async def _leaves_the_run_training(at: Any, key: str) -> None:
    await at.press(key)
    assert at.commands == [{"command": "detach"}]
    assert at.app.return_code is None
    await at.obey()
    assert at.app.return_code == 0
    assert at.app.detached


@key(LeavingScreen, "s", "q", live=True, owned=True)
async def _answers_stop(at: Any, key: str) -> None:
    await at.press("q", key)
    assert isinstance(at.screen, RunScreen)
    assert at.commands == [{"command": "stop"}]


@key(LeavingScreen, "d", live=True, owned=True)
async def _answers_detach(at: Any, key: str) -> None:
    await at.press("q", key)
    assert at.commands == [{"command": "detach"}]


@key(LeavingScreen, "escape", "n", live=True, owned=True)
async def _answers_stay(at: Any, key: str) -> None:
    await at.press("q", key)
    assert isinstance(at.screen, RunScreen)
    assert at.commands == []
    assert at.app.return_code is None


@key(LeavingScreen, "left", "right", live=True, owned=True)
async def _goes_from_answer_to_answer(at: Any, key: str) -> None:
    await at.press("q", key)
    assert at.screen.focused.id == {"left": "stay", "right": "detach"}[key]
    await at.press("enter")
    assert at.commands == [{"command": "detach"}] * (key == "right")


# -- going on ----------------------------------------------------------------------------------------------


@key(RunScreen, "r", reason="stopped")
async def _goes_on(at: Any, key: str) -> None:
    await at.press(key)
    assert Trainer.made == [["resume", str(at.run.path)]]
    assert at.told[-1] == "going on with shown"
    await at.press(key)
    assert len(Trainer.made) == 1


@key(DivergedScreen, "escape", "n", reason="diverged", best=True)
async def _does_not_go_on(at: Any, key: str) -> None:
    await at.press("r")
    assert isinstance(at.screen, DivergedScreen)
    await at.press(key)
    assert isinstance(at.screen, RunScreen)
    assert Trainer.made == []


@key(DivergedScreen, "q", reason="diverged", best=True)
async def _leaves_what_diverged(at: Any, key: str) -> None:
    await at.press("r", key)
    assert at.app.return_code == 0
    assert Trainer.made == []


@key(DivergedScreen, "left", "right", reason="diverged", best=True)
async def _goes_from_offer_to_offer(at: Any, key: str) -> None:
    await at.press("r")
    assert at.screen.focused.id == "resume"
    await at.press(key)
    assert at.screen.focused.id == {"left": "rate", "right": "stay"}[key]
    await at.press("enter")
    resumed = [["resume", str(at.run.path), "--from-best", "--learning-rate", "0.05"]]
    assert Trainer.made == (resumed if key == "left" else [])


# -- loss --------------------------------------------------------------------------------------------------


def view(at: Any) -> Any:
    return at.screen.query_one(LossPane).view


def x_ticks(at: Any) -> list[str]:
    """The numbers below the chart of the loss."""
    return str(at.screen.query_one(LossPane).shown[-2]).split()


@key(LossPane, "w")
async def _shows_the_recent_part_or_all(at: Any, key: str) -> None:
    assert at.foot_of("#loss") == "smooth over min–max · linear · all"
    await at.press(key)
    assert at.foot_of("#loss").endswith("follow")
    assert (view(at).span, view(at).end) == (40.0, None)
    assert "0" not in x_ticks(at)
    await at.press(key)
    assert at.foot_of("#loss").endswith("all")


@key(LossPane, "plus", "equals_sign", "minus")
async def _zooms(at: Any, key: str) -> None:
    inwards, out = ("plus", key) if key == "minus" else (key, "minus")
    await at.press(inwards, inwards)
    assert at.foot_of("#loss").endswith("follow")
    assert view(at).span == pytest.approx(200 / 1.5**2)
    assert "0" not in x_ticks(at)
    await at.press(out)
    assert view(at).span == pytest.approx(200 / 1.5)
    await at.press(out)
    assert at.foot_of("#loss").endswith("all")
    assert "0" in x_ticks(at)


@key(LossPane, "shift+left", "shift+right")
async def _shows_what_was_earlier_or_later(at: Any, key: str) -> None:
    await at.press("w", "shift+left", "shift+left")
    assert (view(at).span, view(at).end) == (40.0, 180.0)
    assert at.foot_of("#loss").endswith("zoomed")
    await at.press(key)
    assert view(at).end == {"shift+left": 170.0, "shift+right": 190.0}[key]
    await at.press("shift+right", "shift+right", "shift+right")
    assert at.foot_of("#loss").endswith("follow")


@key(LossPane, "left", "right")
async def _moves_the_crosshair(at: Any, key: str) -> None:
    await at.press(key)
    assert view(at).crosshair == 200.0
    assert "│" in at.shown("#loss")
    await at.press("left", "left", "left")
    before = view(at).crosshair
    await at.press(key)
    assert (view(at).crosshair < before) == (key == "left")
    assert view(at).crosshair != before


@key(LossPane, "escape")
async def _takes_the_crosshair_away(at: Any, key: str) -> None:
    before = at.shown("#loss")
    await at.press("left")
    assert at.shown("#loss") != before
    await at.press(key)
    assert at.shown("#loss") == before


@key(LossPane, "x", "y")
async def _makes_an_axis_logarithmic(at: Any, key: str) -> None:
    before = at.shown("#loss")
    await at.press(key)
    assert f"log {key}" in at.foot_of("#loss")
    assert at.shown("#loss") != before
    await at.press(key)
    assert "linear" in at.foot_of("#loss")
    assert at.shown("#loss") == before


@key(LossPane, "u")
async def _changes_the_unit(at: Any, key: str) -> None:
    chart = "\n".join(at.screen.query_one(LossPane).shown[:-1])
    assert "bits" in chart
    await at.press(key)
    chart = "\n".join(at.screen.query_one(LossPane).shown[:-1])
    assert "nats" in chart
    assert "bits" not in chart
    await at.press(key)
    chart = "\n".join(at.screen.query_one(LossPane).shown[:-1])
    assert "nats" not in chart


@key(LossPane, "a")
async def _draws_over_epochs_or_time(at: Any, key: str) -> None:
    await at.press(key)
    assert "by epoch" in at.foot_of("#loss")
    await at.press(key)
    assert "by time" in at.foot_of("#loss")
    await at.press(key)
    assert "by" not in at.foot_of("#loss")


@key(LossPane, "e")
async def _hides_the_smallest_and_largest_losses(at: Any, key: str) -> None:
    await at.press(key)
    assert at.foot_of("#loss").startswith("smooth ·")
    await at.press(key)
    assert at.foot_of("#loss").startswith("smooth over min–max ·")


@key(LossPane, "z")
async def _draws_another_average(at: Any, key: str) -> None:
    told = []
    for _ in range(4):
        await at.press(key)
        told.append(at.foot_of("#loss").split(" over ")[0])
    assert told == ["half-life 200", "half-life 1,000", "half-life 5,000", "smooth"]


# -- gradients ---------------------------------------------------------------------------------------------


def row(at: Any, pane: str) -> str:
    """The line that the cursor is on."""
    shown = at.screen.query_one(pane)
    return str(shown.shown[shown.cursor])


@key(GradientPane, "up", "k", "down", "j")
async def _chooses_a_parameter(at: Any, key: str) -> None:
    await at.press("2", "down")
    assert "W" in row(at, "#gradients")
    await at.press(key)
    assert ("U" if key in ("up", "k") else "V") in row(at, "#gradients")
    await at.press(key)  # there the table ends
    assert ("U" if key in ("up", "k") else "V") in row(at, "#gradients")


@key(GradientPane, "enter")
async def _opens_the_entries(at: Any, key: str) -> None:
    await at.press("2", "down", key)
    assert isinstance(at.screen, EntriesScreen)
    assert str(at.screen.query_one("#entries").border_title) == "W, 7 × 5, at update 100"
    assert "2.5" in at.shown("#entries")


@key(GradientPane, "left", "right")
async def _shows_an_earlier_or_later_check(at: Any, key: str) -> None:
    await at.press("2")
    assert "2 of 6 checks failed" in at.shown("#gradients")
    await at.press("left")
    assert "all 6 checks passed" in at.shown("#gradients")
    await at.press(key)
    assert ("all 6 checks passed" if key == "left" else "2 of 6 checks failed") in at.shown("#gradients")


@key(EntriesScreen, "escape", "q", "enter")
async def _closes_the_entries(at: Any, key: str) -> None:
    await at.press("2", "enter", key)
    assert isinstance(at.screen, RunScreen)
    assert at.focus == "GradientPane"
    assert at.app.return_code is None


# -- samples -----------------------------------------------------------------------------------------------


@key(EvolutionPane, "up", "k", "down", "j", "home", "end")
async def _chooses_a_sample(at: Any, key: str) -> None:
    await at.press("5", "down")
    assert "cat" in row(at, "#evolution")
    await at.press(key)
    assert ("dog" if key in ("up", "k", "home") else "fox") in row(at, "#evolution")


@key(EvolutionPane, "enter")
async def _opens_the_sample(at: Any, key: str) -> None:
    await at.press("5", "down", "down", key)
    assert isinstance(at.screen, SampleScreen)
    assert at.shown("#column-0").splitlines() == ["the fox", "ran"]
    assert at.screen.query_one("#column-0").border_title == "update 0"


@key(EvolutionPane, "x")
async def _marks_a_sample_to_open_another_beside_it(at: Any, key: str) -> None:
    await at.press("5", key)
    assert row(at, "#evolution").startswith("▸")
    await at.press("down", "enter")
    titles = [at.screen.query_one(f"#column-{number}").border_title for number in (0, 1)]
    assert titles == ["update 100", "update 200"]
    await at.press("escape", "up", key)
    assert "▸" not in at.shown("#evolution")


@key(EvolutionPane, "y")
async def _copies_the_sample(at: Any, key: str) -> None:
    await at.press("5", "down", "down", key)
    assert at.app.clipboard == "the fox\nran"
    assert at.told == ["The sample is copied."]


@key(SampleScreen, "left", "up", "right", "down")
async def _shows_the_next_sample(at: Any, key: str) -> None:
    await at.press("5", "down", "enter", key)
    update = 200 if key in ("left", "up") else 0
    assert at.screen.query_one("#column-0").border_title == f"update {update}"
    assert ("dog" if update else "fox") in at.shown("#column-0")


@key(SampleScreen, "y")
async def _copies_the_sample_that_is_shown(at: Any, key: str) -> None:
    await at.press("5", "enter", "right", key)
    assert at.app.clipboard == "the cat [sat]"
    assert at.told == ["The sample is copied."]


@key(SampleScreen, "escape", "q", "enter")
async def _closes_the_sample(at: Any, key: str) -> None:
    await at.press("5", "enter", key)
    assert isinstance(at.screen, RunScreen)
    assert at.focus == "EvolutionPane"
    assert at.app.return_code is None


# -- lists of runs -----------------------------------------------------------------------------------------

MANY = [f"run-{number:02}" for number in range(40)]


@key(Table, "up", "down", "pageup", "pagedown", "home", "end", others=MANY)
async def _chooses_a_run(at: Any, key: str) -> None:
    await at.press("o")
    table = at.screen.query_one(RunTable)
    names = [line.split()[1] for line in table.shown]
    assert names == MANY[::-1]
    middle = 20
    table.cursor = middle
    await at.press(key)
    page = table.size.height - 1
    assert 5 < page < 20
    steps = {"up": -1, "down": 1, "pageup": -page, "pagedown": page, "home": -middle, "end": 39 - middle}
    assert table.cursor == middle + steps[key]
    assert table.scroll_offset.y <= table.cursor < table.scroll_offset.y + table.size.height
    await at.press("enter")
    assert at.app.session.name == names[middle + steps[key]]


@key(OpenRunScreen, "enter", others=["one", "two"])
async def _opens_the_run(at: Any, key: str) -> None:
    await at.press("o", "down", key)
    assert isinstance(at.screen, RunScreen)
    assert "one" in at.shown("#header")


@key(OpenRunScreen, "slash", others=["one", "two"])
async def _filters_without_the_slash(at: Any, key: str) -> None:
    await at.press("o", key, "n", "e")
    assert [line.split()[1] for line in at.screen.query_one(RunTable).shown] == ["one"]


async def _filters_no_longer_and_then_closes(at: Any, opening: str, key: str) -> None:
    await at.press(opening, "w", "o")
    assert [line.split()[1] for line in at.screen.query_one(RunTable).shown] == ["two"]
    await at.press(key)
    assert len(at.screen.query_one(RunTable).shown) == 2
    await at.press(key)
    assert isinstance(at.screen, RunScreen)
    assert "shown" in at.shown("#header")


@key(OpenRunScreen, "escape", others=["one", "two"])
async def _closes_the_runs_to_open(at: Any, key: str) -> None:
    await _filters_no_longer_and_then_closes(at, "o", key)


@key(CompareScreen, "escape", others=["one", "two"])
async def _closes_the_runs_to_compare_with(at: Any, key: str) -> None:
    await _filters_no_longer_and_then_closes(at, "m", key)
    assert at.shown("#loss").count("━") == 0


@key(CompareScreen, "space", others=["one", "two"])
async def _marks_a_run(at: Any, key: str) -> None:
    await at.press("m", key)
    assert [line[0] for line in at.screen.query_one(RunTable).shown] == ["▪", " "]
    await at.press(key)
    assert [line[0] for line in at.screen.query_one(RunTable).shown] == [" ", " "]


@key(CompareScreen, "enter", others=["one", "two"])
async def _lays_the_marked_runs_over_the_chart(at: Any, key: str) -> None:
    await at.press("m", "space", "down", "space", key)
    assert isinstance(at.screen, RunScreen)
    assert at.shown("#loss").splitlines()[0].split()[1::3] == ["shown", "two", "one"]


@key(CompareScreen, "delete", others=["one", "two"])
async def _takes_all_marks_away(at: Any, key: str) -> None:
    await at.press("m", "space", "down", "space", key)
    assert [line[0] for line in at.screen.query_one(RunTable).shown] == [" ", " "]


# -- a new run ---------------------------------------------------------------------------------------------


@key(NewRunScreen, "ctrl+s", "f5", shown=False)
async def _starts(at: Any, key: str) -> None:
    at.screen.query_one("#set-hidden").focus()
    await at.press("2", "0", key)
    runs = str(Path("runs").absolute())
    preset = ["--preset", "dd2424-2019", "--hidden", "20", "--updates", "none"]
    assert Trainer.made == [["train", "tales", "--runs", runs, *preset]]
    assert str(at.screen.query_one("#problem").content) == "starting ..."


@key(NewRunScreen, "ctrl+o", shown=False)
async def _browses(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, PickFileScreen)


@key(NewRunScreen, "ctrl+r", shown=False)
async def _opens_a_run_instead(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, OpenRunScreen)


@key(NewRunScreen, "escape", shown=False)
async def _starts_nothing(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, RunScreen)
    await at.look()
    assert "no run: n starts one" in at.shown("#header")
    assert Trainer.made == []


@key(Form, "up", "down", shown=False)
async def _goes_from_setting_to_setting(at: Any, key: str) -> None:
    at.screen.query_one("#name").focus()
    await at.press(key)
    first = at.screen.query(SettingRow).first().setting
    assert at.screen.focused.id == {"up": "preset", "down": f"set-{first}"}[key]


@key(Form, "pageup", "pagedown", shown=False)
async def _scrolls_the_form(at: Any, key: str) -> None:
    form = at.screen.query_one(Form)
    at.screen.query_one("#name").focus()
    form.scroll_home(animate=False)
    await at.press("pagedown")
    await at.until(lambda: form.scroll_offset.y > 5)
    if key == "pageup":
        await at.press(key)
        await at.until(lambda: form.scroll_offset.y == 0)


@key(Choice, "enter", "space", shown=False)
async def _opens_a_choice(at: Any, key: str) -> None:
    choice = at.screen.query_one("#set-optimizer", Choice)
    choice.focus()
    await at.press(key)
    assert choice.expanded
    await at.press("end", "enter")
    assert choice.chosen == "rmsprop"
    assert at.screen.query_one("#set-learning_rate", Input).placeholder == "0.001"


async def picking(at: Any, picked: list[Path | None]) -> TextTree:
    """Open the picker of files in a directory with another one in it, and a text in that."""
    Path("texts", "old").mkdir(parents=True)
    Path("texts", "old", "book.txt").write_text("the cat")
    at.app.push_screen(PickFileScreen(Path("texts")), picked.append)
    await at.settle()
    tree = at.screen.query_one(TextTree)
    assert tree.path == Path("texts").absolute()
    await at.until(lambda: tree.root.children)
    return tree


@key(PickFileScreen, "backspace", "left")
async def _shows_the_directory_above(at: Any, key: str) -> None:
    tree = await picking(at, [])
    await at.press(key)
    assert str(tree.border_title) == str(Path().absolute())


@key(PickFileScreen, "right")
async def _shows_the_directory_under_the_cursor(at: Any, key: str) -> None:
    picked: list[Path | None] = []
    tree = await picking(at, picked)
    await at.press("down", key)
    assert str(tree.border_title) == str(Path("texts/old").absolute())
    await at.until(lambda: tree.root.children)
    assert [str(node.label) for node in tree.root.children] == ["book.txt"]
    await at.press("down", "enter")
    assert picked == [Path("texts/old/book.txt").absolute()]


@key(PickFileScreen, "escape")
async def _picks_nothing(at: Any, key: str) -> None:
    picked: list[Path | None] = []
    await picking(at, picked)
    await at.press(key)
    assert picked == [None]


# -- a sweep ------------------------------------------------------------------------------------------------


@key(SweepScreen, "enter", sweep=True)
async def _opens_a_trial(at: Any, key: str) -> None:
    await at.press("down", key)
    assert isinstance(at.screen, RunScreen)
    assert at.app.session.name == "hidden-20_learning-rate-0.1"
    assert "Sweep" in at.shown("#key-line")


@key(RunScreen, "b", "escape", sweep=True)
async def _goes_back_to_the_sweep(at: Any, key: str) -> None:
    await at.press("down", "enter")
    await at.press("left")
    if key == "escape":  # first it takes the crosshair away
        await at.press(key)
        assert isinstance(at.screen, RunScreen)
    await at.press(key)
    assert isinstance(at.screen, SweepScreen)
    assert at.app.session is None
    assert at.screen.query_one(TrialTable).cursor == 1


@key(SweepScreen, "f", "1", "2", sweep=True)
async def _shows_one_pane_of_a_sweep(at: Any, key: str) -> None:
    trials, chart = at.screen.query_one("#trials"), at.screen.query_one("#best")
    assert trials.size.height and chart.size.height
    await at.press("2")
    assert at.focus == "BestPane"
    if key != "2":
        await at.press("f")
        assert not trials.size.height
        assert "1 20 0.03  2 20 0.1  3 50 0.03" in at.shown("#best")
        await at.press(key)
        assert trials.size.height and bool(chart.size.height) == (key == "f")
        assert at.focus == {"f": "BestPane", "1": "TrialTable"}[key]


@key(SweepScreen, "w", "x", "y", sweep=True)
async def _changes_the_axes_of_a_sweep(at: Any, key: str) -> None:
    before = at.shown("#best")
    await at.press(key)
    view = at.screen.query_one("#best").view
    assert {"w": view.span == 40, "x": view.log_x, "y": view.log_y}[key]
    assert at.shown("#best") != before
    await at.press(key)
    assert at.shown("#best") == before


@key(SweepScreen, "q", sweep=True)
async def _leaves_a_sweep_at_once(at: Any, key: str) -> None:
    await at.press(key)
    assert at.app.return_code == 0


@key(SweepScreen, "question_mark", sweep=True)
async def _shows_the_keys_of_a_sweep(at: Any, key: str) -> None:
    await at.press(key)
    assert isinstance(at.screen, HelpScreen)
    assert "Show the run of the trial" in at.shown("#keys")
    assert "Pause" not in at.shown("#keys")


@key(BestPane, "up", "down", sweep=True)
async def _chooses_a_trial_from_the_chart(at: Any, key: str) -> None:
    await at.press("down", "2", key)
    assert at.screen.query_one(TrialTable).cursor == {"up": 0, "down": 2}[key]
    assert at.foot_of("#best").startswith({"up": "1 hidden 20", "down": "3 hidden 50"}[key])


# -- all of them -------------------------------------------------------------------------------------------


@pytest.mark.slow(sparing=20)
@pytest.mark.parametrize(("owner", "key"), KEYS, ids=lambda part: part)
def test_key(play: Any, owner: str, key: str) -> None:
    check, shown = KEYS[owner, key]
    play(lambda at: check(at, key), **shown)
