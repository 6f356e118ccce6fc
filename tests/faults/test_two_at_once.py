"""Two processes at one run: one of them trains it, the other says who; readers see whole files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from charrnn_core.runs.checkpoint import newest_checkpoint, read_checkpoint
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import History
from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings
from tests.faults.ledger import injected, waited
from tests.faults.promises import assert_harmless, assert_one_line
from tests.program import (
    ENDLESS,
    PATIENCE,
    PROGRAM,
    TEXT,
    charrnn,
    environment,
    events,
    started,
    until,
    updates_done,
)

pytestmark = pytest.mark.fault("two")

SAVING = [*ENDLESS, "--name", "mine", "--quiet", "--checkpoint-every", "0", "--sample-every", "none"]


@pytest.fixture
def training(here: Path) -> Iterator[tuple[subprocess.Popen[bytes], RunDirectory]]:
    """A process that trains and saves as fast as it can, and its run."""
    directory = RunDirectory(here / "runs" / "mine")
    with started(
        here, "train", "book.txt", *SAVING, "--held-out", "0.1", "--validate-every", "50"
    ) as process:
        until(lambda: directory.checkpoint_path("best").exists() and updates_done(directory.path) > 100)
        yield process, directory


# -- who trains ----------------------------------------------------------------------------------------------


def test_of_several_that_go_on_with_a_run_at_once_one_does(here: Path, thorough: bool) -> None:
    settings = Settings.of(hidden=8, seq_length=5, updates=20, sample_every=None)
    directory = start(settings, corpus_of(TEXT, "book"), runs=here / "runs", name="mine")
    directory.run(lambda item: None)
    run = RunDirectory(here / "runs" / "mine")
    goes_on = [*PROGRAM, "resume", "mine", "--updates", "1000000000", "--quiet"]
    for _ in range(30 if thorough else 2):
        racers = [
            subprocess.Popen(
                goes_on, cwd=here, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for _ in range(3)
        ]
        try:
            before = updates_done(run.path)
            until(lambda: sum(racer.poll() is None for racer in racers) == 1)  # noqa: B023
            until(lambda: updates_done(run.path) > before)  # noqa: B023
            (holder,) = (racer for racer in racers if racer.poll() is None)
            holder.terminate()
            for racer in racers:
                _, err = racer.communicate(timeout=PATIENCE)
                injected()
                if racer is holder:
                    assert (racer.returncode, err) == (128 + signal.SIGTERM, b"")
                else:
                    assert racer.returncode == 2
                    assert_harmless(err.decode())
                    assert f"is being trained by process {holder.pid}\n" in err.decode()
        finally:
            for racer in racers:
                racer.kill()
                racer.communicate()
        last = read_checkpoint(run.checkpoint_path("last"))
        assert events(run.path)[-1]["state_sha256"] == last.state_sha256
    assert np.all(np.diff([event["update"] for event in History.read(run.events_path).progress]) > 0)


@pytest.mark.parametrize("arguments", [["resume", "mine"], ["train", "--resume", "mine", "--updates", "9"]])
def test_a_second_trainer_is_told_who_the_first_is(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory], arguments: list[str]
) -> None:
    process, run = training
    kept = run.config_path.read_bytes()
    assert_one_line(charrnn(here, *arguments), 2, f"is being trained by process {process.pid}")
    assert run.config_path.read_bytes() == kept
    before = updates_done(run.path)
    until(lambda: updates_done(run.path) > before)


def test_a_run_whose_lock_was_removed_takes_it_again(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory]
) -> None:
    process, run = training
    for _ in range(3):
        run.lock_path.unlink()
        until(run.is_locked)
        injected()
    assert_one_line(charrnn(here, "resume", "mine"), 2, f"is being trained by process {process.pid}")
    process.terminate()
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM


HOLD = """
    import sys, time
    from pathlib import Path
    from charrnn_core.runs.lock import take_lock
    path = Path(sys.argv[1])
    path.unlink()
    take_lock(path)
    print(flush=True)
    time.sleep(60)
"""


def test_a_run_that_another_process_took_over_is_left_to_it(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory]
) -> None:
    process, run = training
    program = [sys.executable, "-c", textwrap.dedent(HOLD), str(run.lock_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            began = time.monotonic()
            code = process.wait(PATIENCE)
            waited(time.monotonic() - began)
            assert run.is_locked()
        finally:
            other.kill()
    assert code == 1
    assert process.stderr is not None
    err = process.stderr.read().decode()
    assert err.count("\n") == 1
    assert f"is being trained by process {other.pid}" in err
    assert_harmless(err)
    newest, problems = newest_checkpoint(run)
    assert problems == []
    resumed = charrnn(here, "resume", "mine", "--updates", str(newest.snapshot.update + 9), "--quiet")
    assert (resumed.code, resumed.err) == (0, "")


def test_a_log_that_was_removed_is_written_anew(
    training: tuple[subprocess.Popen[bytes], RunDirectory],
) -> None:
    process, run = training
    before = run.events_path.read_bytes()
    for _ in range(3):
        run.events_path.unlink()
        until(run.events_path.exists)
        injected()
    process.terminate()
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert run.events_path.read_bytes().startswith(before)
    assert events(run.path)[-1]["type"] == "ended"
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".events")] == []


# -- readers -------------------------------------------------------------------------------------------------


def test_who_reads_a_checkpoint_of_a_run_that_saves_reads_a_whole_one(
    training: tuple[subprocess.Popen[bytes], RunDirectory], thorough: bool
) -> None:
    process, run = training
    newest: Counter[str] = Counter()
    for _ in range(5000 if thorough else 300):
        for kind in ("previous", "last", "best"):
            update = read_checkpoint(run.checkpoint_path(kind)).snapshot.update
            assert update >= newest[kind], f"{kind} went back"
            newest[kind] = update
            injected()
    assert process.poll() is None
    assert newest["last"] > newest["best"] or newest["last"] > 100


def test_a_sample_of_a_run_that_trains_is_of_a_whole_state(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory], thorough: bool
) -> None:
    process, _ = training
    for checkpoint in ("last", "best") * (20 if thorough else 2):
        sample = charrnn(here, "sample", "mine", "-n", "200", "--checkpoint", checkpoint)
        waited(sample.seconds)
        injected()
        assert (sample.code, sample.err) == (0, "")
        assert len(sample.out) == 200
        assert set(sample.out) <= set(TEXT)
    assert process.poll() is None


ASK = """
    import sys
    from pathlib import Path
    from charrnn_core.runs.commands import Command, send
    for number in range(50):
        send(Path(sys.argv[1]), Command.make("sample", length=1 + number))
"""


def test_what_several_ask_at_once_is_answered_once_each(
    training: tuple[subprocess.Popen[bytes], RunDirectory],
) -> None:
    process, run = training
    program = [sys.executable, "-c", textwrap.dedent(ASK), str(run.commands_path)]
    askers = [subprocess.Popen(program) for _ in range(4)]
    assert [asker.wait(PATIENCE) for asker in askers] == [0] * 4
    asked = [json.loads(line)["id"] for line in run.commands_path.read_text(encoding="utf-8").splitlines()]
    injected(len(asked))
    assert len(set(asked)) == 200
    until(lambda: sum(event["type"] == "obeyed" for event in events(run.path)) == 200)
    process.terminate()
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    answered = [event["command"] for event in events(run.path) if event["type"] == "obeyed"]
    assert sorted(answered) == sorted(asked)
