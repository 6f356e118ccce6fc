"""SIGKILL at any instant of a run that saves as fast as it can: nothing is lost that was saved.

The program is started and killed as a user's would be; nothing in it is patched. A dozen kills of
one run; with `--thorough` 200 of each of ten.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn_core.runs.checkpoint import KINDS, Checkpoint, newest_checkpoint, read_checkpoint
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import History
from charrnn_core.runs.starting import resume, start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import Event, Status
from charrnn_core.training.settings import Settings
from charrnn_core.training.state import Best
from tests.faults.ledger import injected, waited
from tests.program import PATIENCE, HangError, until

pytestmark = pytest.mark.fault("kill")

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
TEXT = "the tide rises, the tide falls; the clock above the market counts them both.\n" * 40
SMALL = "--hidden 8 --seq-length 5 --sample-length 12 --quiet".split()
KINDS_OF_RUNS = (
    "--batch-size 2 --optimizer adam --chunks shuffled --chunk-length 200 --held-out 0.1 "
    "--validate-every 250 --sample-every 400",
    "--dtype float64 --chunks sequential --held-out 0.2 --validate-every 100 --sample-every 1000",
    "--engine numba --optimizer rmsprop --chunks random --chunk-length 100 --sample-every 5000",
    "--hidden 40 --init fan-in --sample-every none",
    "--engine numba --batch-size 8 --optimizer adam --loss mean --clip none --held-out 0.1",
)
KILLS, FEW = 200, 8
"""Of each run: in a thorough test, and otherwise."""


def spawn(where: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the program; what it says on stderr is kept in a file."""
    with (where / "stderr.txt").open("wb") as file:
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=where,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
        )


def wait_until(process: subprocess.Popen[bytes], where: Path, done: Callable[[], bool]) -> None:
    """Look again and again until something is so; the process may not end before that.

    A save is followed by a pause of fifty times its length, and five of them may be waited for.
    """
    deadline = time.monotonic() + 4 * PATIENCE
    while not done():
        assert process.poll() is None, (where / "stderr.txt").read_text()
        if time.monotonic() > deadline:
            raise HangError("nothing happens")
        time.sleep(0.0005)  # so that the cores are there for what is tested


def finish(process: subprocess.Popen[bytes], where: Path) -> None:
    # Hundreds of thousands of updates, which hundreds of processes did together before.
    assert process.wait(40 * PATIENCE) == 0, (where / "stderr.txt").read_text()


@dataclass
class Seen:
    """What was on disk after the kills so far."""

    update: int = -1
    best_loss: float = float("inf")
    best_update: int = -1
    kinds: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    def look(self, directory: RunDirectory) -> None:
        """Hold the directory of a killed process against the invariant of DURABILITY.md."""
        newest, problems = newest_checkpoint(directory)
        assert problems == []
        assert newest.snapshot.update >= self.update
        self.update = newest.snapshot.update
        found = {}
        for path in directory.checkpoints.path.iterdir():
            if path.name.startswith("."):
                self.counts["half-made checkpoints left"] += 1
            else:
                found[path.stem] = read_checkpoint(path)
        assert self.kinds <= found.keys() <= set(KINDS)
        self.kinds |= found.keys()
        if "best" in found:
            best = found["best"].snapshot.best
            assert best is not None
            assert best.update == found["best"].snapshot.update
            self.counts["times that best got worse"] += best.loss > self.best_loss
            self.best_loss, self.best_update = best.loss, best.update
        for name in ("config.json", "status.json"):
            if (directory.path / name).exists():
                assert isinstance(json.loads((directory.path / name).read_text()), dict)
        self.look_at_log(directory, newest)

    def look_at_log(self, directory: RunDirectory, newest: Checkpoint) -> None:
        data = directory.events_file.path.read_bytes()
        assert newest.place.log_length <= len(data)
        assert data[: newest.place.log_length].endswith(b"\n")
        *lines, torn = data.split(b"\n")
        self.counts["torn last lines"] += bool(torn)
        for line in lines:
            event = json.loads(line)
            assert list(event)[:3] == ["type", "update", "time"]


def traces_of_saves(directory: RunDirectory) -> set[str]:
    """Return the names of files that are being written, and when the last checkpoint was.

    A name is there for less than a millisecond, and may be missed; that there is another last one may not.
    """
    names = {name for name in os.listdir(directory.checkpoints.path) if name.startswith(".")}  # noqa: PTH208
    return {*names, str(directory.checkpoint_file("last").path.stat().st_mtime_ns)}


def killer(generator: random.Random, directory: RunDirectory, seen: Seen) -> Callable[[], bool]:
    """Return what says when the instant of the next kill has come: any, or one in the middle of a save."""
    if generator.random() < 0.5:
        instant = time.monotonic() + generator.uniform(0, 0.4)
        return lambda: time.monotonic() >= instant
    left = [generator.randrange(1, 6)]
    traces = traces_of_saves(directory)

    def is_saving() -> bool:
        now = traces_of_saves(directory)
        left[0] -= len(now - traces)
        traces.update(now)
        return left[0] <= 0

    seen.counts["kills on sight of a save"] += 1
    return is_saving


def deterministic(history: History) -> list[list[dict[str, Any]]]:
    """Return the folded events without what depends on the clock."""
    clock = {"time", "updates_per_second"}
    return [
        [{name: value for name, value in event.items() if name not in clock} for event in events]
        for events in (history.progress, history.samples, history.validations, history.epochs)
    ]


def assert_equal_runs(one: RunDirectory, two: RunDirectory) -> None:
    for kind in ("last", "best"):
        first, second = (read_checkpoint(run.checkpoint_file(kind).path) for run in (one, two))
        arrays, others = first.snapshot.arrays(), second.snapshot.arrays()
        assert arrays.keys() == others.keys()
        for name, array in arrays.items():
            assert array.dtype == others[name].dtype
            assert array.tobytes() == others[name].tobytes(), f"{kind}: {name}"
        assert first.state_sha256 == second.state_sha256
    histories = [History.read(run.events_file.path) for run in (one, two)]
    events, expected = (deterministic(history) for history in histories)
    assert events == expected
    progress, _, _, epochs = events
    assert progress
    assert epochs
    for history, run in zip(histories, (one, two), strict=True):
        assert history.ended is not None
        last = read_checkpoint(run.checkpoint_file("last").path)
        assert history.ended["state_sha256"] == last.state_sha256


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shard" in metafunc.fixturenames:
        metafunc.parametrize("shard", range(10 if metafunc.config.getoption("--thorough") else 1))


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_never_had_been(
    tmp_path: Path, shard: int, thorough: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = KINDS_OF_RUNS[shard % len(KINDS_OF_RUNS)].split()
    if "numba" in kind:
        pytest.importorskip("numba")
    (tmp_path / "tide.txt").write_text(TEXT, encoding="utf-8")
    directory = RunDirectory(tmp_path / "runs" / "killed")
    generator = random.Random(3 + shard)
    kills = KILLS if thorough else FEW
    seen = Seen()
    train = ["train", "tide.txt", *SMALL, *kind, "--name", "killed"]
    process = spawn(tmp_path, *train, "--updates", "1000000000", "--checkpoint-every", "0")
    try:
        wait_until(process, tmp_path, directory.checkpoint_file("last").path.exists)
        for _ in range(kills):
            began = time.monotonic()
            wait_until(process, tmp_path, directory.is_locked)
            waited(time.monotonic() - began)  # until it goes on with what the one before has left
            wait_until(process, tmp_path, killer(generator, directory, seen))
            process.kill()
            assert process.wait(PATIENCE) == -9
            # A process that it was just starting, to compile, has its descriptors for some milliseconds.
            until(lambda: not directory.is_locked())
            before = seen.update
            seen.look(directory)
            seen.counts["kills"] += 1
            injected()
            seen.counts["processes that got further"] += seen.update > before
            process = spawn(tmp_path, "resume", "runs/killed", "--quiet")
        wait_until(process, tmp_path, directory.is_locked)
    finally:
        process.kill()
        process.wait()
    # Beyond all that was on disk: a best state may have been saved a moment before the last one.
    updates = (max(seen.update, seen.best_update) // 2000 + 1) * 2000
    finish(spawn(tmp_path, "resume", "runs/killed", "--updates", str(updates), "--quiet"), tmp_path)
    train[-1] = "whole"
    finish(spawn(tmp_path, *train, "--updates", str(updates)), tmp_path)
    with capsys.disabled():
        print(f"\n{updates:,} updates; {', '.join(f'{name}: {n}' for name, n in seen.counts.items())}")
    assert seen.counts["kills"] == kills
    assert seen.counts["kills on sight of a save"] > 0
    assert seen.counts["processes that got further"] > 0
    assert_equal_runs(directory, RunDirectory(tmp_path / "runs" / "whole"))
    assert not [path for path in directory.checkpoints.path.iterdir() if path.name.startswith(".")]
    resumed = [
        event for event in History.read(directory.events_file.path).openings if event["type"] == "resumed"
    ]
    assert np.all(np.diff([event["update"] for event in resumed]) >= 0)
    assert seen.counts["times that best got worse"] == 0


def killed_between_two_saves(where: Path) -> RunDirectory:
    """Return a run with a new best state, of update 500, and a last one of update 100.

    It is what such a kill leaves, made without one.
    """
    injected(0)
    settings = Settings.of(hidden=8, seq_length=5, sample_every=None, updates=100, checkpoint_every=1000.0)
    process = start(settings, corpus_of(TEXT, "tide"), runs=where, name="killed")
    directory = process.directory
    process.run(lambda item: None)
    older = directory.checkpoint_file("last").path.read_bytes()
    resume(directory, {"updates": 500}).run(lambda item: None)
    directory.checkpoint_file("last").path.write_bytes(older)
    assert best_of(directory, "best").update == 500
    return directory


def best_of(directory: RunDirectory, kind: str) -> Best:
    """Return the figures of the best state that a checkpoint names."""
    best = read_checkpoint(directory.checkpoint_file(kind).path).snapshot.best
    assert best is not None
    return best


def test_a_kill_after_best_was_saved_and_before_last_does_not_make_best_worse(tmp_path: Path) -> None:
    directory = killed_between_two_saves(tmp_path)
    before = best_of(directory, "best")
    process = resume(directory, {"updates": 700})
    assert process.trainer.update == before.update, "the best is the newest"

    def stop(item: Event | Status) -> None:
        if item.update >= 300:
            process.trainer.stop("enough")

    process.run(stop)
    assert best_of(directory, "best").loss <= before.loss


def test_after_such_a_kill_too_best_is_what_the_last_checkpoint_names(tmp_path: Path) -> None:
    directory = killed_between_two_saves(tmp_path)
    # With another learning rate the same states do not come again.
    process = resume(directory, {"updates": 700, "learning_rate": 1e-6})

    def stop(item: Event | Status) -> None:
        if item.update >= 300:
            process.trainer.stop("enough")

    process.run(stop)
    assert best_of(directory, "best") == best_of(directory, "last")


def test_a_run_that_goes_on_from_best_tells_of_nothing_twice(tmp_path: Path) -> None:
    """As when last and previous are damaged; best is saved later than the state that it holds was made."""
    injected(0)
    settings = Settings.of(hidden=8, seq_length=5, sample_every=50, sample_length=9, updates=150)
    runs = [start(settings, corpus_of(TEXT, "tide"), runs=tmp_path, name=name) for name in ("one", "two")]
    for process in runs:
        process.run(lambda item: None)
    one, two = (process.directory for process in runs)
    assert best_of(one, "best").update == 100
    for kind in ("last", "previous"):
        one.checkpoint_file(kind).path.unlink(missing_ok=True)
    resume(one, {}).run(lambda item: None)
    assert (
        deterministic(History.read(one.events_file.path))[:2]
        == deterministic(History.read(two.events_file.path))[:2]
    )
