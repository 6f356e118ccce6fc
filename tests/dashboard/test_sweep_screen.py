"""A sweep on the screen: its trials, live and the best first; the way into a run and back; broken sweeps."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import textual

from charrnn_core.errors import RunDirectoryError, UsageError
from charrnn_core.sweeps.directory import SweepDirectory
from charrnn_core.sweeps.following import TrialRow
from charrnn_tui.cli.sweep_meant import sweep_meant
from charrnn_tui.dashboard import app as app_module
from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.panes.trials import TrialTable
from charrnn_tui.dashboard.preferences import Preferences
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.screens.leaving import LeavingScreen
from charrnn_tui.dashboard.spans import Span, plain
from charrnn_tui.dashboard.sweep_chart import curves_of, marks_of
from charrnn_tui.dashboard.sweep_lines import header_line, sweep_summary
from charrnn_tui.dashboard.sweep_look import SweepLook
from charrnn_tui.dashboard.sweep_screen import SweepScreen
from charrnn_tui.dashboard.trial_lines import TrialLines, columns_of, title_line
from tests.sweep_files import TRIALS, half_done, read_at_once, write_sweep, write_trial

SNAPSHOT_VERSION = "8.2.8"
HOSTILE = "\x1b]52;c;aGk=\x07[@click=app.exit]x[/"
SIZES = {"120x40": (120, 40), "80x24": (80, 24), "60x20": (60, 20), "40x14": (40, 14)}
WAITING = "hidden-50_learning-rate-0.1"

# A stage is tests/dashboard/conftest.py's, whose classes cannot be imported.
Stage = Any


@pytest.fixture
def swept(tmp_path: Path) -> SweepDirectory:
    """A sweep of which three trials have ended and one has not begun."""
    return half_done(tmp_path / "runs" / "swept")


class FakeTrainer:
    """A process that a test plays in place of `charrnn resume`."""

    code = None
    released = False

    def run_path(self) -> None:
        return None

    def error(self) -> str:
        return ""

    def release(self) -> None:
        self.released = True


def trials(at: Stage) -> list[str]:
    """The lines of the trials."""
    return at.screen.query_one(TrialTable).shown  # type: ignore[no-any-return]


def chosen(at: Stage) -> str:
    """The name of the trial that the cursor is on."""
    return str(at.screen.chosen.trial.name)


def append(sweep: SweepDirectory, trial: str, *events: dict[str, Any]) -> None:
    with sweep.run_of(trial).events_file.path.open("a") as log:
        log.write("".join(json.dumps(event) + "\n" for event in events))


# -- what is shown -----------------------------------------------------------------------------------------


def test_it_opens_with_the_best_first_and_counts_what_is_done(play: Any) -> None:
    async def steps(at: Stage) -> None:
        assert isinstance(at.screen, SweepScreen)
        header = at.shown("#header")
        assert "swept ■ interrupted" in header
        assert header.rstrip().endswith("fable · 3 of 4 done · best loss 2.100")
        assert at.shown("#heads").split() == [
            *("state", "hidden", "learning", "rate", "updates", "smooth", "course")
        ]
        assert [line.split()[:6] for line in trials(at)] == [
            ["1", "■", "ended", "20", "0.03", "200"],
            ["2", "■", "ended", "20", "0.1", "200"],
            ["3", "■", "ended", "50", "0.03", "200"],
            ["○", "waiting", "50", "0.1", "0", "–"],
        ]
        assert chosen(at) == TRIALS[0]
        assert all(sign in at.shown("#best") for sign in "123")
        assert at.foot_of("#best") == "1 hidden 20 · learning rate 0.03"
        assert at.foot_of("#trials") == "best first · smooth loss in nats per character"

    play(steps, sweep=True)


def test_what_happens_is_shown_while_it_happens(play: Any, swept: SweepDirectory) -> None:
    async def steps(at: Stage) -> None:
        swept.lock()
        swept.write_status({"training": [WAITING]})
        await at.look()
        assert "● training" in at.shown("#header") and "1 training" in at.shown("#header")
        assert trials(at)[-1].split()[:2] == ["●", "training"]

        run = write_trial(swept, WAITING, 3.0, updates=100, reason=None)
        run.lock()
        run.write_status(
            {"state": "training", "update": 104, "smooth_loss": 77.5, "updates_per_second": 1234.5}
        )
        await at.look()
        assert trials(at)[3].split()[1:7] == ["●", "training", "50", "0.1", "104", "3.100"]
        assert "1,234" in trials(at)[3] and "updates/s" in at.shown("#heads")

        run.write_status({"state": "training", "update": 190, "smooth_loss": 51.0})
        await at.look()
        assert trials(at)[0].split()[:7] == ["1", "●", "training", "50", "0.1", "190", "2.040"]
        assert "best loss 2.040" in at.shown("#header")

    play(steps, sweep=swept, size=(120, 40))


def test_the_cursor_stays_on_its_trial_when_the_order_changes(play: Any, swept: SweepDirectory) -> None:
    async def steps(at: Stage) -> None:
        await at.press("down")
        assert chosen(at) == TRIALS[1]
        write_trial(swept, WAITING, 1.5)
        await at.look()
        assert next(line.split()[3:5] for line in trials(at)) == ["50", "0.1"]
        assert chosen(at) == TRIALS[1] and at.screen.query_one(TrialTable).cursor == 2
        assert at.foot_of("#best").startswith("3 hidden 20 · learning rate 0.1")

    play(steps, sweep=swept)


def test_until_a_trial_is_chosen_the_cursor_is_on_the_best(play: Any, swept: SweepDirectory) -> None:
    async def steps(at: Stage) -> None:
        write_trial(swept, WAITING, 1.5)
        await at.look()
        assert chosen(at) == WAITING

    play(steps, sweep=swept)


def test_a_trial_keeps_its_colour_when_the_order_changes(play: Any, swept: SweepDirectory) -> None:
    async def steps(at: Stage) -> None:
        before = dict(at.screen._colours)
        write_trial(swept, WAITING, 1.5)
        await at.look()
        assert at.screen._colours == before | {WAITING: 4}

    play(steps, sweep=swept)


# -- into a run and back -----------------------------------------------------------------------------------


def test_a_trial_that_has_not_begun_says_so(play: Any, swept: SweepDirectory) -> None:
    async def steps(at: Stage) -> None:
        await at.press("end", "enter")
        assert isinstance(at.screen, SweepScreen)
        assert at.told == [f"{WAITING} has not begun"]
        failed = {"type": "failed", "update": 0, "time": 0.0, "trial": WAITING, "error": HOSTILE}
        swept.events_file.path.write_text(json.dumps(failed) + "\n")
        await at.look()
        assert trials(at)[-1].split()[:3] == ["━", "✗", "failed"]
        assert "1 failed" in at.shown("#header")
        assert at.foot_of("#trials").startswith("␛]52;c;aGk=␇")
        await at.press("enter")
        assert at.told[-1] == f"{WAITING} has not begun: ␛]52;c;aGk=␇[@click=app.exit]x[/"

    play(steps, sweep=swept, size=(120, 40))


def test_a_run_that_cannot_be_read_is_not_opened(play: Any, swept: SweepDirectory) -> None:
    async def steps(at: Stage) -> None:
        swept.run_of(TRIALS[0]).config_file.path.write_text("[")
        await at.press("enter")
        assert isinstance(at.screen, SweepScreen)
        assert len(at.told) == 1 and at.app.session is None

    play(steps, sweep=swept)


def test_what_happens_behind_a_run_is_known_after_it(play: Any, swept: SweepDirectory) -> None:
    async def steps(at: Stage) -> None:
        await at.press("down", "enter")
        assert isinstance(at.screen, RunScreen)
        assert TRIALS[1] in at.shown("#header")
        write_trial(swept, WAITING, 1.5)
        await at.press("b")
        assert isinstance(at.screen, SweepScreen)
        assert trials(at)[0].split()[3:5] == ["50", "0.1"]
        assert chosen(at) == TRIALS[1]

    play(steps, sweep=swept)


@pytest.mark.slow
def test_to_open_and_go_back_in_one_moment_is_possible(play: Any) -> None:
    async def steps(at: Stage) -> None:
        for _ in range(3):
            await at.press("enter", "enter", "b", "enter", "escape", "b")
        await at.press("b")
        assert isinstance(at.screen, SweepScreen) and len(at.app.screen_stack) == 1

    play(steps, sweep=True)


def test_going_back_from_a_run_that_is_trained_here_asks(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = FakeTrainer()
    monkeypatch.setattr(app_module, "OwnedTrainer", lambda arguments, **more: trainer)

    async def steps(at: Stage) -> None:
        await at.press("enter")
        await at.press("r")
        lock = at.run.lock()
        await at.look()
        await at.press("b")
        assert isinstance(at.screen, LeavingScreen)
        await at.press("escape")
        assert isinstance(at.screen, RunScreen) and not trainer.released
        await at.press("b")
        await at.pilot.press("d")  # which waits for the answer
        await at.until(lambda: at.commands)
        assert at.commands == [{"command": "detach"}]
        await at.obey()
        await at.until(lambda: isinstance(at.screen, SweepScreen))
        assert trainer.released and at.app.session is None
        os.close(lock)

    play(steps, sweep=True)


def test_a_click_chooses_and_two_open(play: Any) -> None:
    async def steps(at: Stage) -> None:
        await at.pilot.click("TrialTable", offset=(9, 2))
        await at.settle()
        assert chosen(at) == TRIALS[2]
        await at.pilot.click("TrialTable", offset=(9, 1), times=2)
        await at.settle()
        assert isinstance(at.screen, RunScreen)
        assert at.app.session is not None and at.app.session.name == TRIALS[1]

    play(steps, sweep=True)


@pytest.mark.parametrize("key", ["ctrl+q", "ctrl+c"])
def test_it_is_left_from_anywhere(play: Any, key: str) -> None:
    async def steps(at: Stage) -> None:
        await at.press("question_mark", key)
        assert at.app.return_code == 0

    play(steps, sweep=True)


# -- what is broken, hostile or small ----------------------------------------------------------------------


def test_a_directory_that_goes_is_said_once_and_the_rest_stays(play: Any, swept: SweepDirectory) -> None:
    async def steps(at: Stage) -> None:
        before = trials(at)
        swept.plan_file.path.unlink()
        await at.look()
        assert len(at.told) == 1 and trials(at) == before
        shutil.rmtree(swept.path)
        await at.look()
        await at.look()
        assert at.told[1:] == ["the directory of swept is gone"] and trials(at) == before
        await at.press("enter")
        assert "has not begun" in at.told[-1]

    play(steps, sweep=swept)


GARBAGE = [
    b"\x00\xff" * 3000,
    b'{"type": "progress", "update": 1e299, "time": 1, "smooth_loss": 1e299}\n' * 9,
    b'{"type": "progress", "update": -5, "time": 1, "smooth_loss": NaN}\n{"type": "progress", "update": 3}\n',
    b'{"type": "ended", "update": null, "time": 1, "reason": ["x"], "smooth_loss": {}, "best_loss": "1"}\n',
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_in_logs_does_no_harm(play: Any, swept: SweepDirectory, garbage: bytes) -> None:
    async def steps(at: Stage) -> None:
        for name in TRIALS[:2]:
            with swept.run_of(name).events_file.path.open("ab") as log:
                log.write(garbage)
        swept.run_of(TRIALS[2]).events_file.path.unlink()
        swept.run_of(TRIALS[2]).events_file.path.mkdir()
        swept.events_file.path.write_bytes(
            b'{"type": "pruned", "update": 0, "time": 0, "trials": [{}]}\n' + garbage
        )
        await at.look()
        assert len(trials(at)) == 4
        await at.press("down", "w", "x", "y", "down", "down")
        assert at.screen.query_one(TrialTable).cursor == 3

    play(steps, sweep=swept)


@pytest.mark.slow
def test_hostile_plans_are_refused_or_harmless(play: Any, swept: SweepDirectory) -> None:
    async def steps(at: Stage) -> None:
        told = json.loads(swept.plan_file.path.read_text())
        for change in (
            {"settings": {"optimizer": HOSTILE}}, {"vary": {HOSTILE: [1]}}, {"vary": {"hidden": [[1], {}]}},
            {"seeds": [1]}, {"settings": 3}, {"search": []},
        ):  # fmt: skip
            swept.plan_file.path.write_text(json.dumps({**told, **change}))
            await at.look()
            assert len(trials(at)) == 4
        assert at.told and not any("\x1b" in message for message in at.told)

    play(steps, sweep=swept)


def test_hostile_names_are_harmless(play: Any, tmp_path: Path) -> None:
    swept = half_done(tmp_path / "runs" / HOSTILE.replace("/", ""))
    told = json.loads(swept.plan_file.path.read_text())
    told["corpus"]["name"] = HOSTILE
    swept.plan_file.path.write_text(json.dumps(told))

    async def steps(at: Stage) -> None:
        assert "␛]52;c;aGk=␇[@click=app.exit]x[" in at.shown("#header")
        await at.press("enter", "b")
        assert isinstance(at.screen, SweepScreen)

    play(steps, sweep=swept, size=(160, 40))


# -- from the command line ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_sweep_is_shown_in_a_terminal(dashboard: Any, swept: SweepDirectory) -> None:
    terminal = dashboard("swe")
    terminal.shows("swept ■ interrupted", "3 of 4 done")
    terminal.type("\x1b[B")
    terminal.shows("2 hidden 20 · learning rate 0.1")
    terminal.type("\r")
    terminal.shows(f"{TRIALS[1]} ■ ended", "b Sweep")
    terminal.type("b")
    terminal.shows("2 hidden 20 · learning rate 0.1")
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.restored
    assert terminal.said[-1] == f"charrnn sample runs/swept/{TRIALS[0]}"


def test_settings_are_not_for_a_sweep(dashboard: Any, swept: SweepDirectory) -> None:
    terminal = dashboard("runs/swept", "--hidden", "7")
    assert terminal.ends() == 2
    assert terminal.said == ["charrnn: swept is a sweep, with settings of its own; --hidden is for a new run"]


def test_which_names_mean_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = Path("runs")
    for name in ("swept", "tales-sweep", "first", "firstly"):
        write_sweep(runs / name)
    write_trial(SweepDirectory(runs / "swept"), WAITING, 2.0)
    shutil.copytree(runs / "swept" / WAITING, runs / "first-run")
    Path("fir").write_text("a text")

    def found(subject: str) -> str | None:
        sweep = sweep_meant(subject, runs, or_text=True)
        return None if sweep is None else sweep.name

    assert found("swe") == found("swept") == found("runs/swept") == found(f"{tmp_path}/runs/swept") == "swept"
    assert found("first") == "first"
    assert [found(name) for name in ("fir", "runs/swe", "none", "", "-", "a\0", "x" * 5000, "play")] == [
        None
    ] * 8
    with pytest.raises(UsageError, match="tales could mean the sweep tales-sweep or the bundled text"):
        found("tales")
    write_sweep(runs / "other")
    shutil.copytree(runs / "first-run", runs / "others")
    with pytest.raises(UsageError, match="oth could mean the sweep other or the run others"):
        found("oth")
    with pytest.raises(RunDirectoryError, match="beginning of 2 sweeps"):
        found("firs")


# -- lines, without a screen -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> SweepLook:
    return read_at_once(half_done(tmp_path_factory.mktemp("sweep") / "swept")).look(TRIALS[2], 0, 9)


@pytest.mark.parametrize("width", range(1, 121, 7))
def test_lines_fit_every_width(look: SweepLook, width: int) -> None:
    columns = columns_of(look, width)
    lines = TrialLines(look, columns, marks_of(look, None, dict.fromkeys(TRIALS, 1), "ascii"), "ascii")
    lengths = {len(plain(line)) for line in [title_line(columns), *lines]}
    assert len(lengths) == 1
    if width >= 30:
        assert lengths.pop() <= width
        assert len(plain(header_line(look, width))) == width
        assert {"--hidden", "smooth"} <= {column.kind for column in columns}


def test_figures_go_before_settings_do(look: SweepLook) -> None:
    kinds = [[column.kind for column in columns_of(look, width)] for width in (116, 50, 40, 28, 20)]
    assert kinds == [
        ["state", "--hidden", "--learning_rate", "updates", "smooth", "course"],
        ["state", "--hidden", "--learning_rate", "updates", "smooth"],
        ["--hidden", "--learning_rate", "updates", "smooth"],
        ["--hidden", "--learning_rate", "smooth"],
        ["--hidden", "smooth"],
    ]


def test_the_chosen_trial_is_in_front(look: SweepLook) -> None:
    colours = {name: place for place, name in enumerate(TRIALS, 1)}
    marks = marks_of(look, TRIALS[2], colours, "braille")
    assert marks == {
        TRIALS[0]: Span("1", "overlay-1"), TRIALS[1]: Span("2", "overlay-2"), TRIALS[2]: Span("3", "line"),
    }  # fmt: skip
    assert [curve.name for curve in curves_of(look, marks)] == [TRIALS[2], *TRIALS[:2]]
    assert marks_of(look, WAITING, colours, "ascii")[WAITING] == Span("-", "line")


def test_the_end_says_what_is_best(look: SweepLook) -> None:
    assert sweep_summary(look, "runs/swept") == [
        "fable · 3 of 4 done",
        "best smooth loss 2.100 /char · hidden 20 · learning rate 0.03",
        "charrnn sample runs/swept/hidden-20_learning-rate-0.03",
    ]


def test_the_state_of_a_sweep_follows_from_its_trials(look: SweepLook) -> None:
    def state(*states: Any, size: int = 2, is_swept: bool = False) -> str:
        rows = [TrialRow(look.rows[0].trial, each) for each in states]
        return SweepLook("a", "b", rows=rows, size=size, is_swept=is_swept).state

    assert state("waiting", "waiting") == "waiting"
    assert state("waiting", "waiting", is_swept=True) == state("ended", "training") == "training"
    assert state("ended", "paused") == "paused"
    assert state("ended", "failed") == state("pruned", "diverged") == "ended"
    assert state("ended", "waiting") == state("ended", size=2) == "interrupted"
    assert state("crashed", "interrupted") == "interrupted"


# -- pictures ----------------------------------------------------------------------------------------------


def pictured(folder: Path) -> Dashboard:
    """A sweep with trials in all states, one of them trained now."""
    sweep = write_sweep(folder / "runs" / "tales-sweep", ("hidden=100,250", "learning_rate=0.01:0.3:log4"))
    names = [trial.name for trial in sweep.trials()]
    lows = [1.9, 1.84, 1.98, 2.4, 2.1, 1.79, 2.2]
    ends = ["updates", "updates", "updates", "diverged", "signal SIGTERM", None, None]
    for name, low, end in zip(names, lows, ends, strict=False):
        write_trial(sweep, name, low, 150 if end is None else 200, end)
    run = sweep.run_of(names[5])
    run.lock()
    run.write_status({"state": "training", "update": 157, "smooth_loss": 48.2, "updates_per_second": 3120.4})
    failed = {"type": "failed", "update": 0, "time": 0.0, "trial": names[7], "error": "no memory"}
    sweep.events_file.path.write_text(json.dumps(failed) + "\n")
    return Dashboard(
        None, None, preferences=Preferences("tokyo-night"), runs=folder / "runs", sweep=read_at_once(sweep)
    )


@pytest.mark.slow(sparing=1)
@pytest.mark.skipif(
    textual.__version__ != SNAPSHOT_VERSION,
    reason=f"snapshots are those of Textual {SNAPSHOT_VERSION}, not of {textual.__version__}",
)
@pytest.mark.parametrize("size", SIZES)
def test_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, snap_compare: Any, size: str
) -> None:
    monkeypatch.chdir(tmp_path)

    async def settled(pilot: Any) -> None:
        for key in ("down", ""):
            for _ in range(1000):
                await pilot.pause()
                if all(worker.is_finished for worker in pilot.app.workers):
                    break
            if key:
                await pilot.press(key)

    assert snap_compare(pictured(tmp_path), terminal_size=SIZES[size], run_before=settled)
