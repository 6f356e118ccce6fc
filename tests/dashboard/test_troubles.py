"""What the dashboard says and does on a bad day: a trainer that hangs, crashes, or is done; a lost cursor."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs import starting
from charrnn_core.runs.history import History
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings
from charrnn_tui.dashboard import app as app_module
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.screens.diverged import DivergedScreen
from charrnn_tui.dashboard.screens.run_list import RunTable, readable


class Trainer:
    """A process that does nothing."""

    made: list[list[str]]
    code: int | None = None

    def __init__(self, arguments: list[str], **more: object) -> None:
        self.made.append(arguments)

    def run_path(self) -> None:
        return None

    def error(self) -> str:
        return ""

    def release(self) -> None:
        pass


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of the processes that were started to go on with a run."""
    Trainer.made = []
    monkeypatch.setattr(app_module, "OwnedTrainer", Trainer)
    return Trainer.made


# -- going on after any end --------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [{"updates": 40}, {"epochs": 0.3}, {"stop_below": 1e9}])
def test_a_run_that_is_finished_goes_on_with_what_r_asks_for(
    play: Any, resumed: list[list[str]], tmp_path: Path, stop: dict[str, Any]
) -> None:
    async def steps(at: Any) -> None:
        await at.press("r")

    play(steps, reason="updates")
    (_, _, *options) = resumed[0]
    told = dict(zip(options[::2], options[1::2], strict=True))
    changes = {
        name.removeprefix("--").replace("-", "_"): None for name, value in told.items() if value == "none"
    }
    assert len(changes) == len(told)
    settings = Settings.of(hidden=5, seq_length=4, sample_every=None, **{"updates": None, **stop})
    process = starting.start(settings, corpus_of("the tide rises.\n" * 30, "tide"), runs=tmp_path / "own")
    process.run(lambda item: None)
    again = starting.resume(process.directory, changes)
    assert again.trainer.reached is None
    again.close()


# -- a trainer that hangs or is gone -----------------------------------------------------------------------


def test_a_stop_is_seen_at_once_and_q_does_not_ask_again(play: Any) -> None:
    async def steps(at: Any) -> None:
        await at.press("q", "enter")
        await at.look()
        assert "■ stopping" in at.shown("#header")
        assert at.commands == [{"command": "stop"}]
        at.screen._tell_stopping()
        await at.settle()
        assert "Waiting for the training process" in at.told[-1]
        await at.press("q")
        assert at.app.return_code == 0
        assert at.commands == [{"command": "stop"}]

    play(steps, live=True, owned=True)


def test_silence_is_told_while_it_lasts(play: Any) -> None:
    async def steps(at: Any) -> None:
        session = at.app.session
        session.now = lambda: 0.0
        at._update = 300
        at.status()
        await at.look()
        assert "no news" not in at.shown("#header")
        session.now = lambda: 12.0
        await at.look()
        assert "no news for 0:12" in at.shown("#header")
        at._update = 301
        at.status()
        await at.look()
        assert "no news" not in at.shown("#header")

    play(steps, live=True, size=(120, 40))


def test_a_trainer_without_a_status_is_starting(play: Any) -> None:
    async def steps(at: Any) -> None:
        at.run.status_file.path.unlink()
        await at.look()
        assert "○ starting" in at.shown("#header")

    play(steps, live=True)


def test_a_crash_is_explained_once(play: Any) -> None:
    async def steps(at: Any) -> None:
        at.release()
        await at.look()
        await at.look()
        assert "✗ crashed" in at.shown("#header")
        (told,) = (message for message in at.told if "gone without a word" in message)
        assert "r goes on" in told

    play(steps, live=True)


def test_a_directory_that_is_gone_is_told_as_that(play: Any) -> None:
    async def steps(at: Any) -> None:
        shutil.rmtree(at.run.path)
        at.release()
        await at.look()
        assert at.told[-1] == "The directory of shown is gone, and with it the run."

    play(steps, live=True)


def test_r_says_that_the_process_before_has_not_ended(play: Any, resumed: list[list[str]]) -> None:
    async def steps(at: Any) -> None:
        at.release()
        await at.look()
        await at.press("r")
        assert at.told[-1] == "the process that trained shown has not ended yet"
        assert resumed == []

    play(steps, live=True, owned=True)


def test_divergence_is_marked_and_a_way_on_is_offered(play: Any) -> None:
    async def steps(at: Any) -> None:
        assert "×" not in at.shown("#loss")
        at.say("ended", reason="diverged")
        at.release()
        at.app.session.trainer.code = 1
        await at.look()
        assert isinstance(at.screen, DivergedScreen)
        await at.press("escape")
        assert "×" in at.shown("#loss")

    play(steps, live=True, owned=True)


# -- samples -----------------------------------------------------------------------------------------------


def test_the_chosen_sample_stays_chosen_when_a_search_is_over(play: Any) -> None:
    async def steps(at: Any) -> None:
        pane = at.screen.query_one("#evolution")
        await at.press("5", "end")
        chosen = pane.chosen
        await at.press("slash", *str(chosen["text"]).split()[0], "enter")
        assert pane.chosen is chosen
        await at.press("escape")
        assert pane.chosen is chosen
        assert pane.cursor == len(at.app.session.history.samples) - 1

    play(steps)


def test_the_chosen_sample_stays_chosen_when_others_come(play: Any) -> None:
    async def steps(at: Any) -> None:
        pane = at.screen.query_one("#evolution")
        await at.press("5", "down")
        chosen = pane.chosen
        at.say("sample", text="new", prime="", smooth_loss=1.0, temperature=1.0)
        await at.look()
        assert pane.chosen is chosen
        await at.press("home")
        at.say("sample", text="newer", prime="", smooth_loss=1.0, temperature=1.0)
        await at.look()
        assert pane.chosen["text"] == "newer"

    play(steps, live=True)


# -- keys and boxes ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("opens", ["n", "o", "m", "question_mark"])
def test_ctrl_c_asks_from_every_screen_and_twice_stops(play: Any, opens: str) -> None:
    async def steps(at: Any) -> None:
        await at.press(opens)
        assert not isinstance(at.screen, RunScreen)
        await at.press("ctrl+c")
        assert at.screen.query("#detach")
        await at.press("ctrl+c")
        assert at.commands == [{"command": "stop"}]

    play(steps, live=True, owned=True)


def test_ctrl_c_copies_what_is_selected_in_a_box(play: Any) -> None:
    async def steps(at: Any) -> None:
        await at.press("p", "a", "b", "shift+left", "ctrl+c")
        assert at.app.clipboard == "b"
        assert isinstance(at.screen, RunScreen)

    play(steps, live=True, owned=True)


def test_a_beginning_that_cannot_be_read_is_refused_in_words(play: Any) -> None:
    async def steps(at: Any) -> None:
        await at.press("p", "a", "enter")
        assert "checkpoint" in at.told[-1]
        assert "reading" not in at.foot_of("#samples")

    play(steps)


# -- the chart ---------------------------------------------------------------------------------------------


def test_what_is_beyond_the_own_run_can_be_looked_at(play: Any) -> None:
    async def steps(at: Any) -> None:
        longer = History()
        for number in range(1, 101):
            update = number * 100
            figures = dict.fromkeys(("loss_mean", "loss_min", "loss_max", "smooth_loss"), 50.0)
            event = {"type": "progress", "first_update": update - 99, "update": update, "time": 1.0}
            longer.add(number, event | figures | {"epoch": 1.0})
        pane = at.screen.query_one("#loss")
        pane.overlays = {"longer": longer}
        pane.action_zoom(1, 9_000.0)
        low, high = pane.view.x_range(pane._last)
        assert low < 9_000 <= high <= 10_000
        for _ in range(20):
            pane.action_pan(1)
        assert pane.view.x_range(pane._last)[1] == 10_000
        for _ in range(10):
            pane.action_zoom(-1)
        assert pane.view.span is None

    play(steps)


# -- lists of runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("opens", ["o", "m"])
def test_a_list_that_is_closed_while_it_is_read_asks_for_nothing_more(
    play: Any, monkeypatch: pytest.MonkeyPatch, opens: str
) -> None:
    """Textual removes a screen's children before it cancels the worker that reads for it."""
    goes_on = asyncio.Event()
    read = []

    async def to_thread(function: Any, *arguments: Any) -> Any:
        if function is readable:
            await goes_on.wait()
            read.append(arguments)
        return function(*arguments)

    async def steps(at: Any) -> None:
        await at.press(opens)
        screen = at.screen
        monkeypatch.setattr("charrnn_tui.dashboard.screens.run_list.asyncio.to_thread", to_thread)
        reading = asyncio.ensure_future(screen._read())  # without a worker, which would end with the screen
        screen.dismiss(None)
        while screen.query(RunTable):
            await asyncio.sleep(0.01)
        goes_on.set()
        await reading
        screen.refresh_list()
        assert read and at.screen is not screen

    play(steps, others=["one", "two"])
