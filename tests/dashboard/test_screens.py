"""Starting a run, opening another, comparing with others: keys, refusals, and hostile names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Label, Static

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.training.settings import Settings
from charrnn_tui.dashboard import app as app_module
from charrnn_tui.dashboard import changing
from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.loss_chart import overlay_curves
from charrnn_tui.dashboard.panes.legend import legend_line
from charrnn_tui.dashboard.panes.loss import LossPane
from charrnn_tui.dashboard.renderables.curves import Curve
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.screens.compare import CompareScreen
from charrnn_tui.dashboard.screens.corpus_choice import CorpusChoice, existing_file
from charrnn_tui.dashboard.screens.leaving import LeavingScreen
from charrnn_tui.dashboard.screens.new_run import NewRunScreen
from charrnn_tui.dashboard.screens.open_run import OpenRunScreen
from charrnn_tui.dashboard.screens.pick_file import PickFileScreen, TextTree, is_text
from charrnn_tui.dashboard.screens.run_list import RunTable
from charrnn_tui.dashboard.screens.settings_form import Choice, SettingsForm
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.spans import plain

HOSTILE = "\x1b]52;c;aGk=\x07[@click=app.exit]x[/"
SIZES = [(120, 40), (80, 24), (60, 20)]

Play = Callable[[Dashboard, Pilot[int]], Awaitable[None]]


def make_run(runs: Path, name: str, created: str = "2026-01-01T00:00:00Z", **given: Any) -> Path:
    """Write a run directory that has ended after a few updates, as another program might."""
    settings = Settings.of(**given)
    directory = RunDirectory(runs / name)
    directory.checkpoints.path.mkdir(parents=True)
    corpus = {"name": HOSTILE, "characters": 900, "vocabulary_size": 40, "sha256": "0", "kind": "bundled"}
    directory.write_config({"created": created, "settings": settings.to_json(), "corpus": corpus})
    lines: list[dict[str, Any]] = [
        {"type": "started", "update": 0, "time": 0.0, "settings": settings.to_json(), "corpus": corpus}
    ]
    for update in range(1, 11):
        loss = (5.0 - 0.1 * update) * settings.characters_of_loss
        same = dict.fromkeys(("loss_mean", "loss_min", "loss_max", "smooth_loss"), loss)
        epoch = update / 10
        lines.append(
            {
                "type": "progress",
                "first_update": update,
                "update": update,
                "time": 1.0,
                "epoch": epoch,
                **same,
            }
        )
    lines.append({"type": "ended", "update": 10, "time": 1.0, "reason": "updates", "best_loss": None})
    directory.events_file.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory.path


class FakeTrainer:
    """A trainer that a test plays."""

    made: list[FakeTrainer]
    path: Path | None = None
    message = ""

    def __init__(self, arguments: list[str], **more: object) -> None:
        self.arguments = arguments
        self.code: int | None = 2 if self.message else None
        self.released = False
        self.made.append(self)

    def run_path(self) -> Path | None:
        return self.path

    def error(self) -> str:
        return self.message

    def release(self) -> None:
        self.released = True


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeTrainer]]:
    """The class whose trainers are started."""

    class Trainer(FakeTrainer):
        made: list[FakeTrainer] = []  # noqa: RUF012

    monkeypatch.setattr(app_module, "OwnedTrainer", Trainer)
    yield Trainer


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of four runs, one of them broken; the working directory is its parent."""
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    make_run(runs, "shown", "2026-01-01T00:00:00Z", hidden=7)
    make_run(runs, "mean", "2026-01-02T00:00:00Z", loss="mean")
    make_run(runs, "longer", "2026-01-03T00:00:00Z", seq_length=50)
    (runs / "broken").mkdir()
    (runs / "broken" / "config.json").write_text("[")
    return runs


def play(
    runs: Path, steps: Play, shown: str | None = "shown", size: tuple[int, int] = (120, 40)
) -> Dashboard:
    """Play a dashboard that shows a run, or none."""
    app = Dashboard(RunSession.of(runs / shown) if shown else None, None, runs=runs)

    async def playing() -> None:
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            await steps(app, pilot)

    asyncio.run(playing())
    return app


async def settled(pilot: Pilot[int]) -> None:
    """Wait for what has been started to end: reading, and messages between widgets."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete(
        [worker for worker in pilot.app.workers if worker.group in ("default", "change", "compare")]
    )
    await pilot.pause()


async def until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    while not condition():
        await pilot.pause(0.02)


async def type_into(app: Dashboard, pilot: Pilot[int], box: str, text: str) -> None:
    """Type a value in place of what is there."""
    app.screen.query_one(box, Input).value = text
    await pilot.pause()


def said(app: Dashboard, label: str) -> str:
    return str(app.screen.query_one(label, Label).content)


# -- the start screen --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_start_screen_opens_by_key_and_closes(runs: Path, size: tuple[int, int]) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n")
        await settled(pilot)
        assert isinstance(app.screen, NewRunScreen)
        assert app.screen.query_one("#form").scroll_offset.y == 0
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)

    play(runs, steps, size=size)


@pytest.mark.slow
def test_without_a_run_it_opens_by_itself_and_leaves_a_hint(runs: Path) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        assert isinstance(app.screen, NewRunScreen)
        await pilot.press("escape")
        await until(pilot, lambda: "n starts one" in app.screen.query_one("#header").shown[0])  # type: ignore[attr-defined]

    assert play(runs, steps, shown=None).return_code in (None, 0)


def test_settings_become_arguments(runs: Path, trainer: type[FakeTrainer]) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        trainer.path = runs / "mean"
        await pilot.press("n", "down", "enter")
        await settled(pilot)
        await type_into(app, pilot, "#set-hidden", "200")
        await type_into(app, pilot, "#set-clip", "none")
        await type_into(app, pilot, "#name", "-odd")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await settled(pilot)
        assert app.session is not None
        assert app.session.name == "mean"

    play(runs, steps)
    assert trainer.made[0].arguments == [
        *("train", "play", "--runs", str(runs), "--name=-odd", "--preset", "dd2424-2019"),
        *("--hidden", "200", "--clip", "none", "--updates", "none"),
    ]


@pytest.mark.slow
def test_a_stop_takes_the_place_of_training_until_stopped(runs: Path, trainer: type[FakeTrainer]) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n")
        await settled(pilot)
        assert app.screen.query_one("#set-updates", Input).placeholder == "none"
        await type_into(app, pilot, "#set-epochs", "2")
        await pilot.press("ctrl+s")
        assert said(app, "#problem") == "starting ..."

    play(runs, steps)
    assert trainer.made[0].arguments[-2:] == ["--epochs", "2.0"]
    assert trainer.made[0].released


def test_a_value_is_checked_as_it_is_typed_and_start_refused(runs: Path, trainer: type[FakeTrainer]) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n")
        await settled(pilot)
        app.screen.query_one("#set-hidden").focus()
        await pilot.press("5", "x")
        row = app.screen.query_one("#set-hidden").parent
        assert row is not None and row.has_class("-wrong")
        sentence = "✗ --hidden 5x is not possible; allowed is a whole number from 1 to 1,000,000"
        assert str(row.query_one(".help", Label).content) == sentence
        assert said(app, "#problem") == sentence
        await pilot.press("ctrl+s", "enter")
        assert isinstance(app.screen, NewRunScreen)
        assert not trainer.made
        await pilot.press("backspace")
        assert not row.has_class("-wrong")
        assert said(app, "#problem") == ""

    play(runs, steps)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("box", "typed", "problem"),
    [
        ("#set-hidden", "1000000", "of memory"),
        ("#path", "", ""),
        ("#path", "nowhere.txt", "nowhere.txt: no such file"),
        ("#path", "runs", "runs is not a file with a text"),
        ("#path", "~nobody-at-all/x", "✗ ~nobody-at-all/x"),
        ("#path", HOSTILE, "␛]52;c;aGk=␇[@click=app.exit]x[/: no such file"),
    ],
)
def test_what_settings_and_text_say_together(runs: Path, box: str, typed: str, problem: str) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n")
        await settled(pilot)
        if box != "#path":
            await type_into(app, pilot, "#set-seq_length", "100000")
        await type_into(app, pilot, box, typed)
        await until(pilot, lambda: bool(problem) == bool(said(app, "#problem")))
        assert problem in said(app, "#problem")

    play(runs, steps)


@pytest.mark.slow
def test_settings_that_do_not_go_together(runs: Path, trainer: type[FakeTrainer]) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n")
        await settled(pilot)
        app.screen.query_one("#set-chunks").focus()
        await pilot.press("enter", "end", "enter")
        await type_into(app, pilot, "#set-chunk_length", "3")
        assert "--chunk-length 3 is shorter than a window" in said(app, "#problem")
        await pilot.press("ctrl+s")

    play(runs, steps)
    assert not trainer.made


@pytest.mark.slow
def test_placeholders_follow_preset_and_optimizer(runs: Path) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n")
        await settled(pilot)
        rate = app.screen.query_one("#set-learning_rate", Input)
        assert rate.placeholder == "0.1"
        app.screen.query_one("#set-optimizer").focus()
        await pilot.press("enter", "end", "enter")
        await pilot.pause()
        assert rate.placeholder == "0.001"
        app.screen.query_one("#preset").focus()
        await pilot.press("enter", "end", "enter")
        await pilot.pause()
        assert app.screen.query_one("#set-clip", Input).placeholder == "none"

    play(runs, steps)


@pytest.mark.slow
def test_a_choice_shows_its_default_from_the_beginning(runs: Path) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n")
        await settled(pilot)
        shown = {
            str(choice.id): str(choice.query_one("#label", Static).content)
            for choice in app.screen.query_one(SettingsForm).query(Choice)
        }
        assert "adagrad" in shown["set-optimizer"]
        assert all(shown.values())

    play(runs, steps)


@pytest.mark.slow
def test_the_trainers_error_comes_back_to_the_form(runs: Path, trainer: type[FakeTrainer]) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        trainer.message = f"{HOSTILE} is not UTF-8"
        await pilot.press("n", "ctrl+s")
        await until(pilot, lambda: "UTF-8" in said(app, "#problem"))
        assert said(app, "#problem") == "✗ ␛]52;c;aGk=␇[@click=app.exit]x[/ is not UTF-8"
        await pilot.press("ctrl+s")
        assert len(trainer.made) == 2
        assert isinstance(app.screen, NewRunScreen)

    play(runs, steps)
    assert all(each.released for each in trainer.made)


@pytest.mark.slow
def test_a_bundled_name_that_means_a_file_here_is_refused(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "play").mkdir()

    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n", "down", "enter")
        await settled(pilot)
        assert "called play" in said(app, "#problem")

    play(runs, steps)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["n", "o", "m"])
def test_the_dashboard_can_be_left_from_every_screen(runs: Path, key: str) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press(key)
        await settled(pilot)
        await pilot.press("ctrl+q")

    assert play(runs, steps).return_code == 0


# -- files -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_file_is_picked_with_keys(runs: Path, tmp_path: Path, trainer: type[FakeTrainer]) -> None:
    (tmp_path / "a[b]\x1b.txt").write_text("hello")
    (tmp_path / "picture").write_bytes(b"\x00\x01")
    (tmp_path / ".hidden").write_text("hidden")

    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n", "ctrl+o")
        assert isinstance(app.screen, PickFileScreen)
        tree = app.screen.query_one(TextTree)
        await until(pilot, lambda: len(tree.root.children) > 0)
        assert [str(node.label) for node in tree.root.children] == ["runs", "a[b]␛.txt"]
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen))
        assert app.screen.query_one(CorpusChoice).corpus == str(tmp_path / "a[b]\x1b.txt")
        await pilot.press("ctrl+s")

    play(runs, steps)
    assert trainer.made[0].arguments[1] == str(tmp_path / "a[b]\x1b.txt")


@pytest.mark.slow
def test_picking_goes_up_and_back(runs: Path, tmp_path: Path) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n", "ctrl+o", "left")
        assert app.screen.query_one(TextTree).path == tmp_path.parent
        await pilot.press("escape")
        assert isinstance(app.screen, NewRunScreen)

    play(runs, steps)


def test_what_is_a_text(tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(b"a" * 4095 + "é".encode())  # the last character lies across the end of what is read
    latin = tmp_path / "latin"
    latin.write_bytes(b"caf\xe9 ol")
    assert is_text(cut)
    assert not is_text(latin)
    assert not is_text(tmp_path)
    assert not is_text(Path("/dev/zero"))
    assert existing_file(str(cut)) == cut


# -- another run -------------------------------------------------------------------------------------------


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("size", SIZES)
def test_runs_are_listed_newest_first_and_opened(runs: Path, size: tuple[int, int]) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("o")
        await settled(pilot)
        assert isinstance(app.screen, OpenRunScreen)
        lines = app.screen.query_one(RunTable).shown
        assert [line.split()[1] for line in lines] == ["longer", "mean"]
        assert "1 cannot be read" in str(app.screen.query_one(".list").border_subtitle)
        assert all("\x1b" not in line for line in lines)
        await pilot.press("down", "enter")
        await settled(pilot)
        assert isinstance(app.screen, RunScreen)
        assert app.session is not None
        assert app.session.name == "mean"

    play(runs, steps, size=size)


def test_typing_filters_and_escape_takes_it_back(runs: Path) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("o")
        await settled(pilot)
        table = app.screen.query_one(RunTable)
        await pilot.press("slash", "m", "e")
        await pilot.pause()
        assert [line.split()[1] for line in table.shown] == ["mean"]
        await pilot.press("[")
        await pilot.pause()
        assert table.shown == ["nothing has me["]
        await pilot.press("enter")  # there is nothing to open
        await pilot.press("escape")
        assert len(table.shown) == 2
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)

    play(runs, steps)


def test_a_run_that_breaks_after_it_was_listed_is_told(runs: Path) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("o")
        await settled(pilot)
        (runs / "longer" / "config.json").write_text("{")
        await pilot.press("enter")
        await settled(pilot)
        assert app.session is not None
        assert app.session.name == "shown"

    play(runs, steps)


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    ("key", "asked", "opened"),
    [("d", "detach", "longer"), ("s", "stop", "longer"), ("escape", None, "shown")],
)
def test_a_run_of_its_own_that_trains_is_asked_about(
    runs: Path, monkeypatch: pytest.MonkeyPatch, key: str, asked: str | None, opened: str
) -> None:
    told = []

    async def let_go(session: RunSession, leaving: str) -> None:
        told.append((session.name, leaving))

    monkeypatch.setattr(changing, "let_go", let_go)
    monkeypatch.setattr(RunScreen, "trains_own", True)

    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("o")
        await settled(pilot)
        await pilot.press("enter")
        assert isinstance(app.screen, LeavingScreen)
        await pilot.press(key)
        await settled(pilot)
        assert app.session is not None
        assert app.session.name == opened

    play(runs, steps)
    assert told == ([("shown", asked)] if asked else [])


@pytest.mark.slow
def test_a_new_run_leaves_the_old_one_alone_until_it_has_begun(
    runs: Path, monkeypatch: pytest.MonkeyPatch, trainer: type[FakeTrainer]
) -> None:
    monkeypatch.setattr(RunScreen, "trains_own", True)
    trainer.message = "no space left"

    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("n", "ctrl+s")
        assert isinstance(app.screen, LeavingScreen)
        await pilot.press("escape")
        assert not trainer.made
        await pilot.press("ctrl+s", "s")
        await until(pilot, lambda: "no space left" in said(app, "#problem"))
        assert app.session is not None
        assert app.session.name == "shown"
        assert not app.session.history.interventions

    play(runs, steps)


# -- comparing ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_marked_runs_lie_over_the_chart_in_its_unit_and_are_taken_away(runs: Path) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("m")
        await settled(pilot)
        await pilot.press("space", "down", "space", "enter")
        await settled(pilot)
        pane = app.screen.query_one(LossPane)
        assert list(pane.overlays) == ["longer", "mean"]
        # All three have 4 nats a character at the end: 100 nats in a window of 25.
        assert pane.shown[0].split() == "━ shown 100.00 1 longer 100.00 2 mean 100.00".split()
        for curve in overlay_curves(pane.overlays, pane.view, 25):
            assert curve.y[-1] == pytest.approx(100.0)
        await pilot.press("m")
        await settled(pilot)
        marked = [line for line in app.screen.query_one(RunTable).shown if line.startswith("▪")]
        assert len(marked) == 2
        await pilot.press("delete", "enter")
        await settled(pilot)
        assert not pane.overlays
        assert "longer" not in pane.shown[0]

    play(runs, steps)


def test_no_more_than_five_are_marked(runs: Path) -> None:
    for number in range(6):
        make_run(runs, f"more-{number}")

    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("m")
        await settled(pilot)
        for _ in range(7):
            await pilot.press("space", "down")
        marked = [line for line in app.screen.query_one(RunTable).shown if line.startswith("▪")]
        assert len(marked) == 5
        assert isinstance(app.screen, CompareScreen)

    play(runs, steps)


def test_compared_runs_are_read_again(runs: Path) -> None:
    async def steps(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("m")
        await settled(pilot)
        await pilot.press("space", "enter")
        await settled(pilot)
        pane = app.screen.query_one(LossPane)
        more = {"type": "progress", "first_update": 11, "update": 11, "time": 2.0, "epoch": 1.1}
        more |= dict.fromkeys(("loss_mean", "loss_min", "loss_max", "smooth_loss"), 100.0)
        with (runs / "longer" / "events.jsonl").open("a") as log:
            log.write(json.dumps(more) + "\n")
        assert isinstance(app.screen, RunScreen)
        app.screen._look_at_others()
        assert "longer 50.00" in pane.shown[0]

    play(runs, steps)


@pytest.mark.parametrize("width", [20, 40, 80])
def test_legend_fits_and_is_harmless(width: int) -> None:
    x = np.array([1.0, 2.0])
    curves = [Curve(x, x, "line", "a" * 40), Curve(x, x, "overlay-1", HOSTILE)]
    text = plain(legend_line(curves, None, width, "ascii"))
    assert len(text.rstrip()) <= width
    assert "\x1b" not in text
    assert ("2.00" in text) == (width >= 40)
