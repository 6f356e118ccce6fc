"""A search that learns from what is done finds more in fewer updates, and goes on where it was stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.sweeps.directory import Record, SweepDirectory
from charrnn_core.sweeps.ends import end_of
from charrnn_core.sweeps.following import SweepFollower, TrialRow, best_first
from charrnn_core.sweeps.plan import Plan
from charrnn_core.sweeps.queues import AllOf, Queue, Step
from charrnn_core.sweeps.task import Outcome, Task, Trainee, outcome_of
from charrnn_core.sweeps.varying import parse_variation
from charrnn_core.text.corpus import read_corpus
from charrnn_core.training.events import Event
from charrnn_core.training.settings import Settings
from tests.program import TEXT, charrnn, finish
from tests.sweeps.programs import rows_of, updates_of

pytest.importorskip("optuna", reason="needs the extra sweep")

from charrnn_core.runs.environment import describe_corpus
from charrnn_core.sweeps.search import TpeSearch

UPDATES = 900
SAME = {"updates": UPDATES, "seq_length": 5, "sample_every": None, "engine": "numpy", "threads": 1}
BETWEEN = ("learning_rate=0.0005:2:log", "hidden=4:16:lin")
GRID = ("learning_rate=0.0005:2:log5", "hidden=4:16:lin3")


class Here:
    """Trains steps in this process, in a directory of their own."""

    def __init__(self, where: Path) -> None:
        (where / "book.txt").write_text(TEXT, encoding="utf-8")
        self._where = where
        self._corpus = read_corpus(where / "book.txt")
        self._trainee = Trainee()
        self.updates: dict[str, int] = {}
        self.losses: dict[str, float] = {}

    def go_through(self, queue: Queue, most: int = 10**9) -> list[Step]:
        """Train what a queue gives, one after the other."""
        steps: list[Step] = []
        while len(steps) < most and (step := queue.next()) is not None:
            outcome = self.train(step)
            assert outcome.end == "ended", outcome
            queue.take(step, outcome)
            steps.append(step)
        return steps

    def train(self, step: Step) -> Outcome:
        trial = step.trial
        facts = dict(describe_corpus(self._corpus))
        task = Task(
            str(self._where / trial.name),
            trial.settings.to_json(),
            facts,
            [str(facts["path"])],
            updates=step.updates,
        )
        outcome, _ = self._trainee.train(task)
        self.updates[trial.name] = outcome.update
        self.losses[trial.name] = (outcome.smooth_loss or 99.0) / trial.settings.characters_of_loss
        return outcome


def plan(*vary: str, **more: object) -> Plan:
    return Plan(**{"given": SAME, "vary": tuple(map(parse_variation, vary)), **more})


@pytest.mark.slow
def test_it_finds_a_better_setting_than_the_grids_middle_in_fewer_updates(tmp_path: Path) -> None:
    near, far = tmp_path / "grid", tmp_path / "search"
    near.mkdir()
    far.mkdir()
    grid = plan(*GRID)
    gone = Here(near)
    gone.go_through(AllOf(grid.first_trials()))
    middle = grid.trial({"learning_rate": 0.0316, "hidden": 10}).name
    assert middle in gone.losses
    searched = Here(far)
    recorded: list[Event] = []
    searched.go_through(search_of(plan(*BETWEEN, search="tpe", combinations=15), recorded.append))
    assert len(searched.losses) == len(gone.losses) == 15
    whole = {name: loss for name, loss in searched.losses.items() if searched.updates[name] == UPDATES}
    assert min(whole.values()) < gone.losses[middle]
    assert sum(searched.updates.values()) < 0.6 * sum(gone.updates.values())
    pruned = [name for event in recorded if event.type == "pruned" for name in event.trials]
    assert set(pruned) == set(searched.losses) - set(whole)


def search_of(asked: Plan, tell: Callable[[Event], None] = lambda event: None) -> TpeSearch:
    """Return a search that begins."""
    return TpeSearch(
        asked,
        Record(),
        [],
        past=lambda step: None,
        tell=tell,
        updates_of=lambda trial: trial.settings.updates,
    )


STRANGE: tuple[dict[str, Any], ...] = (
    {},
    {"seed": 1},
    {"hidden": 5},
    {"hidden": 5, "dtype": "../x"},
    {"hidden": 5, "dtype": "float32", "seed": 1},
    {"hidden": 6.5, "dtype": "float32"},
    {"hidden": True, "dtype": "float32"},
    {"hidden": None, "dtype": "float32"},
    {"hidden": "5", "dtype": "float32"},
    {"hidden": 10**30, "dtype": "float32"},
)


def test_combinations_in_a_log_that_are_none_of_the_sweep_are_skipped(tmp_path: Path) -> None:
    asked = plan("hidden=4:16:lin", "dtype=float32,float64", search="tpe", combinations=2)
    right = {"hidden": 5, "dtype": "float64"}
    lines = [{"type": "proposed", "update": 0, "time": 0.0, "values": each} for each in (*STRANGE, right)]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    directory = SweepDirectory(tmp_path)
    directory.write_plan(asked, {"sha256": "0"}, "2026-01-01T00:00:00Z")
    follower = SweepFollower(directory)
    assert [row.trial.values for row in follower.rows] == [right]
    search = TpeSearch(
        asked,
        follower.record,
        follower.rows,
        past=lambda step: None,
        tell=lambda event: None,
        updates_of=lambda trial: trial.settings.updates,
    )
    step = search.next()
    assert step is not None and step.trial.values == right


def test_a_text_whose_place_is_not_recorded_is_read_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    facts = dict(describe_corpus(read_corpus(str(tmp_path / "book.txt"))))
    settings = Settings.of(hidden=4, updates=10, sample_every=None, engine="numpy").to_json()
    bundled = {**facts, "kind": "bundled"}
    for number, told in enumerate(({**facts, "path": 7}, {**bundled, "path": "x"}, bundled)):
        if told is bundled:
            del told["path"]
        task = Task(str(tmp_path / f"trial-{number}"), settings, told, [str(tmp_path / "book.txt")])
        outcome, _ = Trainee().train(task)
        assert (outcome.end, outcome.update) == ("ended", 10), outcome


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 4, 7, 9])
def test_it_goes_on_where_it_was_stopped(tmp_path: Path, most: int) -> None:
    asked = plan(*BETWEEN, search="tpe", combinations=5, seeds=2)
    directory = SweepDirectory(tmp_path)
    here, recorded = Here(tmp_path), []
    here.go_through(search_of(asked, recorded.append), most=most)
    log = [json.loads(event.to_line()) for event in recorded]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    directory.write_plan(asked, {"sha256": "0"}, "2026-01-01T00:00:00Z")
    before = dict(here.updates)
    follower = SweepFollower(directory)
    search = TpeSearch(
        asked,
        follower.record,
        follower.rows,
        past=lambda step: past(directory, step),
        tell=recorded.append,
        updates_of=lambda trial: trial.settings.updates,
    )
    steps = here.go_through(search)
    chosen = [event.values for event in recorded if event.type == "proposed"]
    proposed = [line["values"] for line in log if line["type"] == "proposed"]
    assert chosen[: len(proposed)] == proposed and len(chosen) == 5
    assert len(here.updates) == 10
    assert all(here.updates[name] >= update for name, update in before.items())
    # None is trained for a step that it was past already.
    assert all((step.updates or 0) >= before.get(step.trial.name, 0) for step in steps)
    pruned = {name for event in recorded if event.type == "pruned" for name in event.trials}
    assert pruned, "a search that was gone on with gives nothing up any more"
    assert all(here.updates[name] == UPDATES for name in here.updates if name not in pruned)


def past(directory: SweepDirectory, step: Step) -> Outcome | None:
    ended = end_of(directory.run_of(step.trial.name), step.updates)
    return None if ended is None else outcome_of(ended)


@pytest.mark.slow
def test_what_is_known_of_steps_is_the_same_after_it_was_stopped(tmp_path: Path) -> None:
    asked = plan(*BETWEEN, search="tpe", combinations=6)
    here, recorded = Here(tmp_path), []
    begun = search_of(asked, recorded.append)
    here.go_through(begun)
    record = Record(
        [event.values for event in recorded if event.type == "proposed"],
        {name for event in recorded if event.type == "pruned" for name in event.trials},
    )
    rows = [TrialRow(trial, "ended", here.updates[trial.name]) for trial in asked.in_trials(record.proposed)]
    again = TpeSearch(
        asked,
        record,
        rows,
        past=lambda step: past(SweepDirectory(tmp_path), step),
        tell=recorded.append,
        updates_of=lambda trial: trial.settings.updates,
    )
    assert again.next() is None
    assert [sorted(means) for means in again._means] == [sorted(means) for means in begun._means]
    assert sum(event.type == "proposed" for event in recorded) == 6


@pytest.mark.slow
def test_what_ends_by_epochs_is_trained_step_by_step_too(tmp_path: Path) -> None:
    here = Here(tmp_path)
    same = {name: value for name, value in SAME.items() if name != "updates"}
    asked = Plan({**same, "epochs": 1.0}, (parse_variation(BETWEEN[0]),), search="tpe", combinations=4)
    search = TpeSearch(
        asked, Record(), [], past=lambda step: None, tell=lambda event: None, updates_of=lambda trial: 611
    )
    steps = here.go_through(search)
    assert {step.updates for step in steps} == {67, 203, None}
    assert max(here.updates.values()) == 611


def test_what_diverges_is_the_worst_and_what_fails_is_left_out() -> None:
    asked = plan("learning_rate=0.01:1:log", search="tpe", combinations=6)
    search = search_of(asked)
    ends = [
        Outcome("failed", "no memory"),
        Outcome("ended", "diverged", 50),
        Outcome("interrupted", "stopped", 3),
    ]
    seen = []
    while (step := search.next()) is not None:
        outcome = (
            ends[len(seen)] if len(seen) < 3 else Outcome("ended", "updates", step.updates or 0, None, 10.0)
        )
        seen.append((step.trial.name, step.updates))
        search.take(step, outcome)
    names = [name for name, _ in seen]
    assert len(set(names)) == 6
    assert [names.count(name) for name in names[:3]] == [1, 1, 1], "what has ended badly was begun again"
    assert all(updates in (100, 300, 900) for _, updates in seen)


def test_fewer_combinations_than_asked_for_are_enough() -> None:
    search = search_of(plan("hidden=4,5,6", search="tpe", combinations=50))
    names = set()
    while (step := search.next()) is not None:
        names.add(step.trial.name)
        search.take(step, Outcome("ended", "updates", step.updates or 0, None, 10.0))
    assert names == {"hidden-4", "hidden-5", "hidden-6"}


@pytest.mark.slow
def test_a_search_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    asked = ["sweep", "book.txt", "--vary", "learning_rate=0.001:1:log", "--search", "tpe", "--trials", "6",
             "--hidden", "6", "--seq-length", "5", "--sample-every", "none", "--updates", "900"]  # fmt: skip
    done = charrnn(tmp_path, *asked)
    assert done.code == 0, done.err
    path = Path(done.out.strip())
    rows = rows_of(path)
    assert len(rows) == 6
    assert {row.state for row in rows.values()} == {"ended", "pruned"}
    assert best_first(rows.values())[0].state == "ended"
    spent = updates_of(path)
    assert spent < 6 * 900
    again = charrnn(tmp_path, *asked)
    assert again.code == 0 and "6 of 6 trials are done already" in again.err
    assert updates_of(path) == spent


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    program = (
        "import sys; sys.modules['optuna'] = None; "
        "from charrnn_tui.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    asked = ["sweep", "book.txt", "--vary", "hidden=4,5", "--search", "tpe", "--trials", "2"]
    done = finish([sys.executable, "-c", program, *asked], tmp_path)
    assert done.code == 2
    assert done.err == "charrnn: --search tpe needs the extra sweep: pip install 'charrnn-tui[sweep]'\n"
    assert not (tmp_path / "runs").exists()
