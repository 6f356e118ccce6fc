"""A search that learns from what is done finds more in fewer updates, and goes on where it was stopped."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from charrnn_core.sweeps.directory import SweepDirectory
from charrnn_core.sweeps.following import best_first
from charrnn_core.sweeps.plan import Plan
from charrnn_core.sweeps.queues import AllOf, Queue, Step
from charrnn_core.sweeps.task import Outcome, Task, Trainee
from charrnn_core.sweeps.varying import parse_variation
from charrnn_core.text.corpus import read_corpus
from charrnn_core.training.events import Event
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
    searched.go_through(TpeSearch(plan(*BETWEEN, search="tpe", combinations=15), [], [], recorded.append))
    assert len(searched.losses) == len(gone.losses) == 15
    whole = {name: loss for name, loss in searched.losses.items() if searched.updates[name] == UPDATES}
    assert min(whole.values()) < gone.losses[middle]
    assert sum(searched.updates.values()) < 0.6 * sum(gone.updates.values())
    pruned = [name for event in recorded if event.type == "pruned" for name in event.trials]
    assert set(pruned) == set(searched.losses) - set(whole)


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    asked = plan(*BETWEEN, search="tpe", combinations=5, seeds=2)
    directory = SweepDirectory(tmp_path)
    here, recorded = Here(tmp_path), []
    here.go_through(TpeSearch(asked, [], [], recorded.append), most=7)
    log = [json.loads(event.to_line()) for event in recorded]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    directory.write_plan(asked, {"sha256": "0"}, "2026-01-01T00:00:00Z")
    before = dict(here.updates)
    rows = list(rows_of(tmp_path).values())
    proposed = [line["values"] for line in log if line["type"] == "proposed"]
    here.go_through(TpeSearch(asked, rows, proposed, recorded.append))
    chosen = [event.values for event in recorded if event.type == "proposed"]
    assert chosen[: len(proposed)] == proposed and len(chosen) == 5
    assert len(here.updates) == 10
    assert all(here.updates[name] >= update for name, update in before.items())
    pruned = {name for event in recorded if event.type == "pruned" for name in event.trials}
    assert all(here.updates[name] == UPDATES for name in here.updates if name not in pruned)


def test_what_diverges_is_the_worst_and_what_fails_is_left_out() -> None:
    asked = plan("learning_rate=0.01:1:log", search="tpe", combinations=6)
    search = TpeSearch(asked, [], [], lambda event: None)
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
    search = TpeSearch(plan("hidden=4,5,6", search="tpe", combinations=50), [], [], lambda event: None)
    names = set()
    while (step := search.next()) is not None:
        names.add(step.trial.name)
        search.take(step, Outcome("ended", "updates", step.updates or 0, None, 10.0))
    assert names == {"hidden-4", "hidden-5", "hidden-6"}


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
