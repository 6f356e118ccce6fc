"""A run that is killed and goes on ends as one that never stopped, and nothing of it is lost on the way."""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from charrnn_core.errors import CheckpointError, CorpusError, RunDirectoryError, SettingsError
from charrnn_core.runs import starting
from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.commands import Command, send
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import History
from charrnn_core.runs.log import LONGEST_LINE, EventLog
from charrnn_core.runs.saving import Saver
from charrnn_core.text.corpus import corpus_of, read_corpus
from charrnn_core.training.events import Event, Progress, Sample, Validated
from charrnn_core.training.settings import Settings

TEXT = "the tide rises, the tide falls; the clock above the market counts them both.\n" * 8
RATE_AT, RATE = 137, 0.02
UPDATES = 410
ENDLESS_SAVING = 10**9  # items between two periodic saves: none but the trial save and the last one
PATIENCE = 90.0


class Killed(BaseException):
    """What ends a process here as SIGKILL would: nothing of it runs any more."""


# In memory, where there is such a place: on a disk a rename onto a file can take a millisecond, and there are
# thousands of them here.
QUICK = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None


@pytest.fixture
def tmp_path():
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True, scope="module")
def quick_disk():
    """No test here is about power cuts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def settings_of(**given):
    values = {
        "hidden": 6, "seq_length": 4, "updates": UPDATES, "sample_every": 50, "sample_length": 10,
        "held_out": 0.2, "validate_every": 60, "chunk_length": 50, "checkpoint_every": 0.0,
    }  # fmt: skip
    return Settings.of(**{**values, **given})


def live(process, *, kill_at=None, save_every=7, rate_at=RATE_AT, see=lambda item: None):
    """Let a process train; return how it ended, or None if it was killed at the kill_at-th thing it said."""
    seen, saves = itertools.count(1), itertools.count(1)

    def view(item):
        if next(seen) == kill_at:
            raise Killed
        see(item)
        if isinstance(item, Progress) and item.update == rate_at and not item.partial:
            command = Command.make("set-learning-rate", learning_rate=RATE)
            send(process.directory.commands_file.path, command)

    with pytest.MonkeyPatch.context() as patch:
        # Saves by count and not by clock, so that every run of this test is the same.
        patch.setattr(Saver, "due", property(lambda self: next(saves) % save_every == 0))
        try:
            return process.run(view)
        except Killed:
            process.close()
            return None


def start(runs, settings, name=None):
    return starting.start(settings, corpus_of(TEXT, "tide"), runs=Path(runs), name=name)


def resume_until_done(directory, kills=(), changes=None, **options):
    """Go on, killed at each of `kills` once more, until the run has ended by itself."""
    for kill_at in kills:
        ended = live(starting.resume(directory, changes or {}), kill_at=kill_at, **options)
        if ended is not None:
            return ended
    return live(starting.resume(directory, changes or {}), **options)


def stripped(events):
    unequal = ("time", "updates_per_second")
    return [{name: value for name, value in event.items() if name not in unequal} for event in events]


def deterministic(directory):
    history = History.read(directory.events_file.path)
    lanes = {
        "progress": history.progress,
        "sample": history.samples,
        "validated": history.validations,
        "gradients_checked": history.checks,
        "epoch": history.epochs,
    }
    return {
        kind: stripped(event for event in lane if not event.get("command")) for kind, lane in lanes.items()
    }


def last_of(directory):
    return read_checkpoint(directory.checkpoint_file("last").path)


def figures(ended):
    return stripped([ended.to_json()])


def assert_same_end(one, one_ended, two, two_ended):
    first, second = last_of(one), last_of(two)
    assert first.state_sha256 == second.state_sha256
    arrays, others = first.snapshot.arrays(), second.snapshot.arrays()
    assert arrays.keys() == others.keys()
    assert all(np.array_equal(arrays[name], others[name]) for name in arrays)
    assert first.snapshot.state() == second.snapshot.state()
    assert figures(one_ended) == figures(two_ended)
    events, other_events = deterministic(one), deterministic(two)
    for kind in events:
        assert events[kind] == other_events[kind], kind


def replays(directory, runs, name=None):
    """Repeat a run, and assert that it ends in the recorded state."""
    process, recording = starting.replay(directory, runs=Path(runs), name=name)

    def endless(item):
        assert item.update <= recording.update, "the replay goes on beyond the recorded end"

    ended = live(process, rate_at=None, save_every=ENDLESS_SAVING, see=endless)
    assert ended.update == recording.update
    assert process.state_sha256 == recording.state_sha256
    return process


def files_of(path):
    """Every file below a path and its bytes, but for the lock, which names whoever had it last."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != ".lock"
    }


def damage(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 16
    path.write_bytes(data)


# -- killed, resumed, replayed -----------------------------------------------------------------------------

OPTIMIZERS = {"adagrad": 0.1, "adam": 0.004, "rmsprop": 0.002}
GRID = [*itertools.product(OPTIMIZERS, ("float32", "float64"), (1, 4), ("sequential", "shuffled", "random"))]


@pytest.mark.slow(sparing=9)
@pytest.mark.parametrize(("number", "combination"), list(enumerate(GRID)), ids=str)
def test_killed_and_resumed_equals_uninterrupted_and_its_replay(tmp_path, number, combination):
    optimizer, dtype, batch_size, chunks = combination
    settings = settings_of(
        optimizer=optimizer,
        learning_rate=OPTIMIZERS[optimizer],
        dtype=dtype,
        batch_size=batch_size,
        chunks=chunks,
        updates=200,
    )
    whole = start(tmp_path, settings, "whole")
    whole_ended = live(whole, save_every=ENDLESS_SAVING)
    assert last_of(whole.directory).snapshot.settings.learning_rate == RATE
    torn = start(tmp_path, settings, "torn")
    # Two kills at places that differ from combination to combination, at one of them inside validation,
    # duties, or a bucket of several updates.
    save_every = (2, 5, 31, 200)[number % 4]
    assert live(torn, kill_at=150 + 37 * number % 240, save_every=save_every) is None
    ended = resume_until_done(torn.directory, kills=[5 + 61 * number % 90], save_every=save_every)
    assert_same_end(whole.directory, whole_ended, torn.directory, ended)
    replay = replays(torn.directory, tmp_path, "replay")
    assert deterministic(replay.directory) == deterministic(torn.directory)


@pytest.fixture(scope="module")
def reference():
    """The uninterrupted run with the settings of the tests below, and how it ended."""
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        process = start(folder, settings_of(optimizer="adam", learning_rate=0.004, chunks="shuffled"))
        yield process.directory, live(process)


@pytest.mark.slow
@given(
    kills=st.lists(st.integers(3, 700), min_size=1, max_size=4),
    save_every=st.sampled_from([3, 7, 40, ENDLESS_SAVING]),
)
@hypothesis_settings(max_examples=8)
def test_wherever_it_is_killed_it_goes_on_the_same(reference, kills, save_every):
    expected, expected_ended = reference
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        settings = settings_of(optimizer="adam", learning_rate=0.004, chunks="shuffled")
        process = start(folder, settings)
        ended = live(process, kill_at=kills[0], save_every=save_every)
        if ended is None:
            ended = resume_until_done(process.directory, kills[1:], save_every=save_every)
        assert_same_end(expected, expected_ended, process.directory, ended)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["validating", "validated", "sample", "best", "inside a bucket", "obeyed"])
@pytest.mark.parametrize("save_every", [5, ENDLESS_SAVING])
def test_killed_at_a_special_moment(tmp_path, reference, kind, save_every):
    settings = settings_of(optimizer="adam", learning_rate=0.004, chunks="shuffled")
    expected, expected_ended = reference
    numbers = itertools.count(1)
    moments = []

    def see(item):
        number = next(numbers)
        if item.update < 100:
            return
        if isinstance(item, Event):
            names = {"sample": Sample, "validated": Validated}
            hit = item.type == kind and kind in (*names, "obeyed")
            hit = hit or (kind == "best" and item.type == "checkpoint")
        else:
            # Buckets hold two updates from the 400th on.
            hit = item.phase == kind or (kind == "inside a bucket" and item.update in (401, 403))
        if hit:
            moments.append(number)

    probe = start(tmp_path, settings, "probe")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charrnn_core.training.trainer._PULSE_SECONDS", 1e-9)  # one update at a time
        live(probe, see=see, save_every=save_every)
        if kind == "best" and save_every == ENDLESS_SAVING:
            assert len(moments) <= 2  # with the change of the learning rate, and at the end
        assert moments
        process = start(tmp_path, settings, "killed")
        assert live(process, kill_at=moments[0], save_every=save_every) is None
        ended = resume_until_done(process.directory, save_every=save_every)
    assert_same_end(expected, expected_ended, process.directory, ended)


def test_updates_n_and_then_n_more_equal_twice_as_many(tmp_path):
    whole = start(tmp_path, settings_of(updates=860), "whole")
    whole_ended = live(whole)
    halves = start(tmp_path, settings_of(updates=429), "halves")  # ends inside a bucket of two
    live(halves)
    assert History.read(halves.directory.events_file.path).progress[-1]["partial"] is True
    again = live(starting.resume(halves.directory, {"updates": 601}))
    assert again.update == 601
    ended = live(starting.resume(halves.directory, {"updates": 860}))
    assert_same_end(whole.directory, whole_ended, halves.directory, ended)
    assert not any(event.get("partial") for event in deterministic(halves.directory)["progress"][:-1])
    replays(halves.directory, tmp_path)


def test_another_stop_takes_the_place_of_the_stops_there_were(tmp_path):
    process = start(tmp_path, settings_of(updates=50))
    live(process)
    per_epoch = process.trainer.windows.per_epoch
    ended = live(starting.resume(process.directory, {"epochs": 1.0}), rate_at=None)
    assert (ended.reason, ended.update) == ("epochs", per_epoch)
    goal = ended.smooth_loss * 0.97
    ended = live(starting.resume(process.directory, {"stop_below": goal}), rate_at=None)
    assert ended.reason == "smooth loss"
    assert ended.smooth_loss < goal
    assert ended.update > per_epoch
    with pytest.raises(RunDirectoryError, match="finished"):
        starting.resume(process.directory, {"stop_below": goal * 2})


def test_a_new_stop_takes_the_place_of_the_minimum_too(tmp_path):
    process = start(tmp_path, settings_of(updates=None, epochs=0.1, minimum_updates=40))
    assert (live(process).reason, process.trainer.update) == ("epochs", 40)
    ended = live(starting.resume(process.directory, {"minimum_updates": 60}))  # epochs stay what they were
    assert (ended.reason, ended.update) == ("epochs", 60)
    ended = live(starting.resume(process.directory, {"minimum_updates": 1000, "updates": 70}))
    assert (ended.reason, ended.update) == ("updates", 70)
    with pytest.raises(RunDirectoryError, match=r"update 70 and so finished \(smooth loss\)"):
        starting.resume(process.directory, {"stop_below": 1e9})
    ended = live(starting.resume(process.directory, {"stop_below": 1e9, "minimum_updates": 80}))
    assert (ended.reason, ended.update) == ("smooth loss", 80)
    replays(process.directory, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", [30, 436, 437])
def test_a_run_with_a_minimum_ends_in_the_same_state_wherever_it_was_killed(tmp_path, kill_at):
    settings = settings_of(updates=None, stop_below=1e9, minimum_updates=437)
    whole = start(tmp_path, settings, "whole")
    whole_ended = live(whole)
    assert (whole_ended.reason, whole_ended.update) == ("smooth loss", 437)
    torn = start(tmp_path, settings, "torn")

    def kill(item):
        if item.update >= kill_at:
            raise Killed

    assert live(torn, see=kill) is None
    ended = resume_until_done(torn.directory)
    assert_same_end(whole.directory, whole_ended, torn.directory, ended)
    replays(torn.directory, tmp_path)


def test_a_finished_run_is_refused_and_left_as_it_was(tmp_path):
    process = start(tmp_path, settings_of(updates=40))
    live(process)
    before = files_of(process.directory.path)
    for changes in ({}, {"updates": 40}, {"updates": 10}, {"sample_every": 3}):
        with pytest.raises(RunDirectoryError, match=r"finished.*--updates 80"):
            starting.resume(process.directory, changes)
    assert files_of(process.directory.path) == before
    assert not process.directory.is_locked()


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    ("name", "value"),
    [("hidden", 9), ("seq_length", 5), ("batch_size", 2), ("dtype", "float64"), ("optimizer", "adam"),
     ("chunks", "random"), ("held_out", 0.1), ("seed", 4), ("clip", None), ("loss", "mean")],
)  # fmt: skip
def test_another_architecture_is_refused_by_name(tmp_path, name, value):
    process = start(tmp_path, settings_of(updates=40))
    live(process, kill_at=30)
    before = files_of(process.directory.path)
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} cannot change"):
        starting.resume(process.directory, {name: value})
    assert files_of(process.directory.path) == before
    assert live(starting.resume(process.directory, {name: getattr(settings_of(), name)})).update == 40


@pytest.mark.slow
def test_another_learning_rate_is_recorded_and_replayed(tmp_path):
    process = start(tmp_path, settings_of(updates=400))
    assert live(process, kill_at=150, save_every=10) is None
    assert live(starting.resume(process.directory, {"learning_rate": 0.07}), kill_at=90) is None
    assert live(starting.resume(process.directory, {"learning_rate": 0.05}), kill_at=3) is None
    # The third process was killed before it saved: its rate has never been in effect.
    ended = live(starting.resume(process.directory, {"learning_rate": 0.03}))
    assert ended.update == 400
    resumed = History.read(process.directory.events_file.path).openings[1:]
    assert [event["changed"] for event in resumed] == [
        {"learning_rate": 0.07}, {"learning_rate": 0.05}, {"learning_rate": 0.03}
    ]  # fmt: skip
    replay = replays(process.directory, tmp_path, "replay")
    # What changed the network is in the record of both.
    rates = [
        History.read(run.events_file.path).learning_rates() for run in (process.directory, replay.directory)
    ]
    assert rates[1] == rates[0]
    replays(replay.directory, tmp_path, "again")


@pytest.mark.slow
def test_a_rate_that_was_changed_only_by_resume_comes_out_as_the_uninterrupted_one_would(tmp_path):
    """The same change at the same update, made by a command in one run and by resume in the other."""
    commanded = start(tmp_path, settings_of(updates=300), "commanded")
    live(commanded)
    resumed = start(tmp_path, settings_of(updates=RATE_AT), "resumed")
    live(resumed, rate_at=None)
    live(starting.resume(resumed.directory, {"updates": 300, "learning_rate": RATE}), rate_at=None)
    one, two = last_of(commanded.directory), last_of(resumed.directory)
    assert one.state_sha256 == two.state_sha256


@pytest.mark.slow
def test_replay_of_a_killed_run_that_is_not_finished_ends_where_its_checkpoint_is(tmp_path):
    process = start(tmp_path, settings_of())
    assert live(process, kill_at=333, save_every=1) is None
    replays(process.directory, tmp_path, "one")
    for kill_at in (5, 6, 7, 8, 9, 10):  # between the duties of an update
        live(starting.resume(process.directory, {}), kill_at=kill_at, save_every=1)
        replays(process.directory, tmp_path)


@pytest.mark.slow
def test_replay_of_a_run_whose_samples_were_changed_by_resume_ends(tmp_path):
    process = start(tmp_path, settings_of(sample_every=None))
    assert live(process, kill_at=40, save_every=1) is None
    resumed = starting.resume(process.directory, {"sample_every": 7})
    numbers = itertools.count(1)
    kill_at = []

    def see(item):
        number = next(numbers)
        # After a sample is due and before it is made, with that saved.
        if isinstance(item, Sample) and not kill_at:
            kill_at.append(number)

    live(resumed, see=see, save_every=1)
    again = start(tmp_path, settings_of(sample_every=None), "again")
    assert live(again, kill_at=40, save_every=1) is None
    killed = starting.resume(again.directory, {"sample_every": 7})
    assert live(killed, kill_at=kill_at[0], save_every=1) is None
    assert last_of(again.directory).snapshot.pending == ("sample",)
    replays(again.directory, tmp_path)


def test_the_answer_that_a_crash_swallowed_does_not_undo_the_rate_given_to_resume(tmp_path):
    process = start(tmp_path, settings_of(updates=200), "run")
    with pytest.MonkeyPatch.context() as patch:
        append = EventLog.append

        def crash(self, event):
            if event.type == "obeyed":
                raise Killed
            return append(self, event)

        patch.setattr(EventLog, "append", crash)
        assert live(process) is None
    resumed = starting.resume(process.directory, {"learning_rate": 0.05})
    assert live(resumed).update == 200
    assert last_of(process.directory).snapshot.settings.learning_rate == 0.05
    replays(process.directory, tmp_path, "replay")


@pytest.mark.slow
@pytest.mark.parametrize("save_every", [1, ENDLESS_SAVING])
def test_the_best_state_is_on_disk_in_the_end_whatever_happened(tmp_path, save_every):
    # A rate that spoils what was learnt: the best state stays the one of update 120.
    global RATE
    before, RATE = RATE, 500.0
    try:
        whole = start(tmp_path, settings_of(updates=200), "whole")
        ended = live(whole, rate_at=121, save_every=ENDLESS_SAVING)
        assert ended.best_update == 120
        torn = start(tmp_path, settings_of(updates=200), "torn")
        assert live(torn, rate_at=121, kill_at=330, save_every=save_every) is None
        assert last_of(torn.directory).snapshot.update >= 121
        torn_ended = resume_until_done(torn.directory, save_every=save_every)
    finally:
        RATE = before
    assert figures(ended) == figures(torn_ended)
    best = [read_checkpoint(run.directory.checkpoint_file("best").path) for run in (whole, torn)]
    assert best[0].state_sha256 == best[1].state_sha256
    assert best[0].snapshot.update == 120


# -- from the best state -----------------------------------------------------------------------------------


def spoilt(runs, name="run", updates=200):
    """A run whose best state is that of update 120: the learning rate was changed to a bad one then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "RATE", 500.0)
        process = start(runs, settings_of(updates=updates), name)
        assert live(process, rate_at=121, save_every=3).best_update == 120
    return process.directory


@pytest.mark.slow
def test_from_best_a_run_goes_on_as_if_what_came_after_had_never_been(tmp_path):
    spoiled = spoilt(tmp_path)
    ended = live(starting.resume(spoiled, {"updates": 260}, from_best=True), rate_at=None)
    whole = start(tmp_path, settings_of(updates=260), "whole")
    whole_ended = live(whole, rate_at=None)
    assert_same_end(whole.directory, whole_ended, spoiled, ended)
    assert History.read(spoiled.events_file.path).openings[-1]["update"] == 120
    replays(spoiled, tmp_path, "replay")


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", [1, 2, 3, 9, 40])
def test_killed_after_it_went_back_to_best_it_never_comes_to_what_was_given_up(tmp_path, kill_at):
    spoiled = spoilt(tmp_path)
    changes = {"learning_rate": 0.05, "updates": 180}
    process = starting.resume(spoiled, changes, from_best=True)
    assert live(process, kill_at=kill_at, rate_at=None, save_every=2) is None
    if process.state_sha256 is not None:  # from the first save on
        for kind in ("last", "previous"):
            assert read_checkpoint(spoiled.checkpoint_file(kind).path).snapshot.update <= 180
        assert last_of(spoiled).snapshot.settings.learning_rate == 0.05
        ended = live(starting.resume(spoiled, {}), rate_at=None)
    else:  # the run stands where it stood before
        assert last_of(spoiled).snapshot.update == 200
        ended = live(starting.resume(spoiled, changes, from_best=True), rate_at=None)
    rates = [rate for _, rate in History.read(spoiled.events_file.path).learning_rates(180)]
    assert rates[-1] == 0.05
    assert (ended.update, ended.reason) == (180, "updates")
    other = spoilt(tmp_path, "other")
    expected = live(starting.resume(other, changes, from_best=True), rate_at=None)
    assert_same_end(other, expected, spoiled, ended)
    replays(spoiled, tmp_path, "replay")


def test_without_a_best_state_there_is_nothing_to_go_back_to(tmp_path):
    process = start(tmp_path, settings_of(updates=40))
    live(process)
    process.directory.checkpoint_file("best").path.unlink()
    before = files_of(process.directory.path)
    with pytest.raises(CheckpointError, match="best"):
        starting.resume(process.directory, {"updates": 80}, from_best=True)
    assert files_of(process.directory.path) == before
    assert not process.directory.is_locked()


# -- real processes ----------------------------------------------------------------------------------------


def program(where, *arguments):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "charrnn_tui", *arguments],
        cwd=where,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(process):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err.decode()
    return out.decode()


def last_update(directory):
    try:
        lines = directory.events_file.path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return -1
    return json.loads(lines[-1])["update"] if lines else -1


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--optimizer", "adam", "--batch-size", "4", "--chunks", "random", "--dtype", "float64"],
        ["--optimizer", "rmsprop", "--chunks", "shuffled"],
    ],
    ids=["adam", "rmsprop"],
)
def test_sigkill_of_real_processes(tmp_path, options):
    (tmp_path / "tide.txt").write_text(TEXT, encoding="utf-8")
    common = [
        "train", "tide.txt", "--updates", "9000", "--hidden", "12", "--seq-length", "6", "--held-out", "0.2",
        "--validate-every", "500", "--sample-every", "700", "--sample-length", "20", "--chunk-length", "60",
        "--checkpoint-every", "0", "--quiet", *options,
    ]  # fmt: skip
    whole = program(tmp_path, *common, "--name", "whole")
    finished(whole)
    torn = RunDirectory(tmp_path / "runs" / "torn")
    deadline = time.monotonic() + PATIENCE
    for target in (700, 2500):
        first = not torn.config_file.path.exists()
        arguments = [*common, "--name", "torn"] if first else ["resume", "torn", "--quiet"]
        process = program(tmp_path, *arguments)
        while last_update(torn) < target and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
        assert not torn.is_locked()
    finished(program(tmp_path, "resume", "torn", "--quiet"))
    expected = RunDirectory(tmp_path / "runs" / "whole")
    assert last_of(torn).state_sha256 == last_of(expected).state_sha256
    assert deterministic(torn) == deterministic(expected)


# -- texts -------------------------------------------------------------------------------------------------


def file_run(tmp_path, kill_at=60):
    path = tmp_path / "tide.txt"
    path.write_text(TEXT, encoding="utf-8")
    corpus = read_corpus(str(path))
    process = starting.start(settings_of(updates=100), corpus, runs=tmp_path / "runs")
    assert live(process, kill_at=kill_at) is None
    return path, process.directory


def test_a_changed_text_is_refused_and_nothing_is_written(tmp_path):
    path, directory = file_run(tmp_path)
    before = files_of(directory.path)
    path.write_text(TEXT.replace("tide", "TIDE"), encoding="utf-8")
    with pytest.raises(CorpusError, match=r"tide.*not the one.*--corpus"):
        starting.resume(directory, {})
    other = tmp_path / "other.txt"
    other.write_text(TEXT + "x", encoding="utf-8")
    with pytest.raises(CorpusError, match="not the one"):
        starting.resume(directory, {}, corpus=str(other))
    with pytest.raises(CorpusError):
        starting.replay(directory, runs=tmp_path / "replays", corpus=str(other))
    assert files_of(directory.path) == before
    assert not directory.is_locked()
    path.write_text(TEXT, encoding="utf-8")
    assert live(starting.resume(directory, {})).update == 100


def test_a_moved_text_is_accepted_where_it_is_said_to_be(tmp_path):
    path, directory = file_run(tmp_path)
    moved = tmp_path / "elsewhere.txt"
    path.rename(moved)
    before = files_of(directory.path)
    with pytest.raises(CorpusError, match="--corpus"):
        starting.resume(directory, {})
    assert files_of(directory.path) == before
    ended = live(starting.resume(directory, {}, corpus=str(moved)))
    whole = start(tmp_path / "runs", settings_of(updates=100))
    assert live(whole).state_sha256 == ended.state_sha256
    process, recording = starting.replay(directory, runs=tmp_path / "runs", corpus=str(moved))
    assert live(process, rate_at=None).state_sha256 == recording.state_sha256


def test_a_text_from_standard_input_goes_on_from_the_runs_own_copy(tmp_path):
    process = start(tmp_path, settings_of(updates=100))
    assert process.directory.corpus_file.path.read_text(encoding="utf-8") == TEXT
    assert live(process, kill_at=60) is None
    assert live(starting.resume(process.directory, {})).update == 100
    process.directory.corpus_file.path.write_text(TEXT + "!", encoding="utf-8")
    with pytest.raises(CorpusError, match="is another text"):
        starting.resume(process.directory, {"updates": 200})
    process.directory.corpus_file.path.unlink()
    with pytest.raises(CorpusError, match="--corpus"):
        starting.resume(process.directory, {"updates": 200})


# -- damage ------------------------------------------------------------------------------------------------


def wounded_run(tmp_path):
    """A killed run with three whole checkpoints, the best of them the oldest; and one that was not killed."""
    whole = start(tmp_path, settings_of(), "whole")
    whole_ended = live(whole)
    for kill_at in range(430, 450):
        process = start(tmp_path, settings_of(), f"wounded-{kill_at}")
        assert live(process, kill_at=kill_at) is None
        states = valid_updates(process.directory)
        assert states.keys() == {"last", "previous", "best"}
        if states["last"] > states["previous"] >= states["best"]:
            return whole, whole_ended, process.directory
    pytest.fail("no kill leaves a best state that is the oldest")


def valid_updates(directory):
    """The updates of all the states on disk that are whole, by kind."""
    updates = {}
    for kind in ("last", "previous", "best"):
        try:
            updates[kind] = read_checkpoint(directory.checkpoint_file(kind).path).snapshot.update
        except CheckpointError:
            pass
    return updates


@pytest.mark.slow
def test_a_damaged_last_falls_back_says_so_and_loses_no_whole_file(tmp_path):
    whole, whole_ended, directory = wounded_run(tmp_path)
    previous = read_checkpoint(directory.checkpoint_file("previous").path)
    damage(directory.checkpoint_file("last").path)
    states = []

    def see(item):
        states.append(valid_updates(directory))

    process = starting.resume(directory, {})
    ended = live(process, see=see, save_every=3)
    # At every moment the state that it went on from, or a later one, is whole; and from the first save on
    # two of them are.
    assert all(max(state.values()) >= previous.snapshot.update for state in states)
    first_saved = next(index for index, state in enumerate(states) if "last" in state)
    assert all({"last", "previous"} <= state.keys() for state in states[first_saved:])
    assert states[first_saved]["previous"] == previous.snapshot.update
    history = History.read(directory.events_file.path)
    (warning,) = history.warnings
    assert "last.safetensors" in warning["message"]
    assert "is resumed from previous" in warning["message"]
    assert history.openings[-1]["checkpoint"] == "previous"
    assert history.openings[-1]["update"] == previous.snapshot.update
    assert_same_end(whole.directory, whole_ended, directory, ended)
    replays(directory, tmp_path, "replay")


@pytest.mark.slow
def test_a_damaged_last_and_previous_fall_back_to_best(tmp_path):
    whole, whole_ended, directory = wounded_run(tmp_path)
    damage(directory.checkpoint_file("last").path)
    directory.checkpoint_file("previous").path.write_bytes(b"")
    ended = live(starting.resume(directory, {}))
    history = History.read(directory.events_file.path)
    assert history.openings[-1]["checkpoint"] == "best"
    assert len(history.warnings) == 2
    assert ended.update == UPDATES
    if history.openings[-1]["update"] < RATE_AT:
        pytest.fail("the best state of this run should be after the change of the rate")
    assert_same_end(whole.directory, whole_ended, directory, ended)


@pytest.mark.slow
def test_a_fallback_killed_at_once_still_has_what_it_fell_back_to(tmp_path):
    _, _, directory = wounded_run(tmp_path)
    expected = read_checkpoint(directory.checkpoint_file("previous").path).state_sha256
    damage(directory.checkpoint_file("last").path)
    for kill_at in range(1, 8):
        process = starting.resume(directory, {})
        assert live(process, kill_at=kill_at, save_every=ENDLESS_SAVING) is None
        previous = read_checkpoint(directory.checkpoint_file("previous").path)
        assert previous.state_sha256 == expected


@pytest.mark.slow
def test_missing_last_is_fallen_back_from_too(tmp_path):
    _, _, directory = wounded_run(tmp_path)
    directory.checkpoint_file("last").path.unlink()
    process = starting.resume(directory, {})
    assert live(process).update == UPDATES
    assert History.read(directory.events_file.path).warnings


@pytest.mark.slow
def test_with_all_checkpoints_damaged_nothing_is_written(tmp_path):
    _, _, directory = wounded_run(tmp_path)
    for kind in ("last", "previous", "best"):
        damage(directory.checkpoint_file(kind).path)
    stale = directory.checkpoints.path / ".last.safetensors.0123456789ab"
    stale.write_bytes(b"half")
    before = files_of(directory.path)
    with pytest.raises(CheckpointError, match=r"no checkpoint to go on from.*last.*previous.*best"):
        starting.resume(directory, {})
    with pytest.raises(CheckpointError):
        starting.replay(directory, runs=tmp_path / "replays")
    assert files_of(directory.path) == before
    assert not (tmp_path / "replays").exists()
    assert not directory.is_locked()


@pytest.mark.parametrize("kill_at", [1, 2])
def test_a_run_killed_before_its_trial_save_begins_again(tmp_path, kill_at):
    whole = start(tmp_path, settings_of(), "whole").run(lambda item: None)
    process = start(tmp_path, settings_of())
    assert live(process, kill_at=kill_at) is None
    assert not process.directory.has_checkpoint
    ended = starting.resume(process.directory, {}).run(lambda item: None)
    assert ended.state_sha256 == whole.state_sha256
    history = History.read(process.directory.events_file)
    assert history.openings[-1]["checkpoint"] == "none"
    assert [event["update"] for event in history.progress][:1] == [0]


@pytest.mark.slow
@pytest.mark.parametrize("torn", [b"{", b'{"type":"progress","update":9', b"\xff\x00\xff", b"x" * 200_000])
def test_the_torn_last_line_of_the_log_is_cut(tmp_path, torn):
    whole, whole_ended, directory = wounded_run(tmp_path)
    whole_lines = directory.events_file.path.read_bytes()
    with directory.events_file.path.open("ab") as log:
        log.write(torn)
    ended = resume_until_done(directory)
    lines = directory.events_file.path.read_bytes()
    assert lines.startswith(whole_lines)
    assert lines.endswith(b"\n")
    assert all(isinstance(json.loads(line), dict) for line in lines.splitlines())
    assert_same_end(whole.directory, whole_ended, directory, ended)


def test_commands_are_answered_once_where_the_log_has_a_line_that_is_too_long(tmp_path):
    """The answers behind such a line count, however often the run is resumed after it."""
    process = start(tmp_path, settings_of())
    directory = process.directory
    live(process, kill_at=20)
    with directory.events_file.path.open("ab") as log:
        log.write(b"{" * (LONGEST_LINE + 1) + b"\n")
    send(directory.commands_file, Command.make("sample"))
    for _ in range(2):
        live(starting.resume(directory, {}), kill_at=4)
    history = History.read(directory.events_file)
    assert len(history.answered) == 1
    assert [event["type"] for event in history.interventions] == ["refused"]
    assert [opening["type"] for opening in history.openings] == ["started", "resumed", "resumed"]
    assert history.warnings[0]["skipped_lines"] == 1


@pytest.mark.slow
def test_a_log_that_was_lost_does_not_stop_the_run(tmp_path):
    _, whole_ended, directory = wounded_run(tmp_path)
    directory.events_file.path.unlink()
    ended = resume_until_done(directory)
    assert ended.state_sha256 == whole_ended.state_sha256
    events = [json.loads(line) for line in directory.events_file.path.read_bytes().splitlines()]
    (resumed,) = [event for event in events if event["type"] == "resumed"]
    answer = b"".join(
        directory.events_file.path.read_bytes().splitlines(keepends=True)[: events.index(resumed)]
    )
    assert resumed["log_length"] <= len(answer)


@pytest.mark.slow
def test_stale_temporary_files_are_removed_and_nothing_else(tmp_path):
    _, _, directory = wounded_run(tmp_path)
    stale = [
        directory.checkpoints.path / ".last.safetensors.0123456789ab",
        directory.checkpoints.path / ".previous.safetensors.0123456789ab",
        directory.checkpoints.path / ".best.safetensors.ba9876543210",
        directory.path / ".status.json.0123456789ab",
        directory.path / ".config.json.0123456789ab",
    ]
    kept = [directory.path / "notes.txt", directory.path / ".notes", directory.checkpoints.path / "mine.txt"]
    for path in [*stale, *kept]:
        path.write_bytes(b"half")
    live(starting.resume(directory, {}), kill_at=1)
    assert [path for path in stale if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []


@pytest.mark.parametrize(
    "config", [None, b"", b"[]", b"nonsense", b'{"architectures": ["LlamaForCausalLM"]}']
)
def test_a_directory_that_is_no_run_is_left_untouched(tmp_path, config):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "notes.txt").write_text("keep")
    (folder / ".status.json.0123456789ab").write_text("keep")
    if config is not None:
        (folder / "config.json").write_bytes(config)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises((RunDirectoryError, CheckpointError)):
        starting.resume(RunDirectory(folder), {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
