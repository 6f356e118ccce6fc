"""Two processes at one run: one of them trains it, the other says who; readers see whole files."""

from __future__ import annotations

import json
import os
import shutil
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

from charrnn_core.runs.checkpoint import KINDS, newest_checkpoint, read_checkpoint
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import EventTail, History
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
    Lines,
    charrnn,
    environment,
    events,
    started,
    stopped,
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
        until(lambda: all(directory.checkpoint_file(kind).path.exists() for kind in KINDS))
        yield process, directory


# -- who trains ----------------------------------------------------------------------------------------------


@pytest.mark.slow
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
        last = read_checkpoint(run.checkpoint_file("last").path)
        assert events(run.path)[-1]["state_sha256"] == last.state_sha256
    assert np.all(np.diff([event["update"] for event in History.read(run.events_file.path).progress]) > 0)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["resume", "mine"], ["train", "--resume", "mine", "--updates", "9"]])
def test_a_second_trainer_is_told_who_the_first_is(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory], arguments: list[str]
) -> None:
    process, run = training
    kept = run.config_file.path.read_bytes()
    assert_one_line(charrnn(here, *arguments), 2, f"is being trained by process {process.pid}")
    assert run.config_file.path.read_bytes() == kept
    before = updates_done(run.path)
    until(lambda: updates_done(run.path) > before)


@pytest.mark.slow
def test_a_run_whose_lock_was_removed_takes_it_again(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory]
) -> None:
    process, run = training
    for _ in range(3):
        run.lock_file.path.unlink()
        until(run.is_locked)
        injected()
    assert_one_line(charrnn(here, "resume", "mine"), 2, f"is being trained by process {process.pid}")
    process.terminate()
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM


def contents(run: RunDirectory) -> dict[Path, bytes]:
    """Return the files that only the process that trains may write."""
    return {path: path.read_bytes() for path in [*run.checkpoints.path.iterdir(), run.events_file.path]}


def assert_left_to(process: subprocess.Popen[bytes], words: str) -> None:
    """The process has noticed that another trains its run: it says so, and has ended."""
    began = time.monotonic()
    code = process.wait(PATIENCE)
    waited(time.monotonic() - began)
    assert process.stderr is not None
    err = process.stderr.read().decode()
    assert code == 1, err
    assert err.count("\n") == 1
    assert words in err
    assert_harmless(err)


@pytest.mark.slow
def test_a_run_that_another_process_trained_meanwhile_is_left_alone(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory]
) -> None:
    """As when a laptop sleeps: the process is stopped, and whoever finds the run removes its lock."""
    process, run = training
    until(lambda: updates_done(run.path) > 20_000)  # from where on it writes a line only now and then
    process.send_signal(signal.SIGSTOP)
    run.lock_file.path.unlink()
    update = newest_checkpoint(run)[0].snapshot.update
    resumed = charrnn(here, "resume", "mine", "--updates", str(update + 500), "--quiet")
    assert (resumed.code, resumed.err) == (0, "")
    after = contents(run)
    process.send_signal(signal.SIGCONT)
    assert_left_to(process, "another process has trained")
    assert contents(run) == after


@pytest.mark.slow
def test_a_run_that_another_process_trains_is_left_to_it(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory]
) -> None:
    process, run = training
    until(lambda: updates_done(run.path) > 20_000)  # from where on it writes a line only now and then
    process.send_signal(signal.SIGSTOP)
    run.lock_file.path.unlink()
    with started(here, "resume", "mine", "--quiet", "--updates", "none", "--seconds", "300") as other:
        before = updates_done(run.path)
        until(lambda: updates_done(run.path) > before)
        process.send_signal(signal.SIGCONT)
        assert_left_to(process, f"is being trained by process {other.pid}")
        assert stopped(other, signal.SIGTERM) == (128 + signal.SIGTERM, "")
    newest, problems = newest_checkpoint(run)
    assert problems == []
    assert newest.state_sha256 == events(run.path)[-1]["state_sha256"]
    assert np.all(np.diff([event["update"] for event in History.read(run.events_file.path).progress]) > 0)


def test_a_run_that_is_copied_to_the_name_of_another_one_is_left_alone(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory]
) -> None:
    """The copy has no log and no lock yet when the process looks: its directory is another one."""
    process, run = training
    process.send_signal(signal.SIGSTOP)
    run.path.rename(here / "moved")
    shutil.copytree(here / "moved" / "checkpoints", run.path / "checkpoints")
    after = {path: path.read_bytes() for path in run.checkpoints.path.iterdir()}
    injected()
    process.send_signal(signal.SIGCONT)
    assert_left_to(process, "another directory is")
    written = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    written.pop(run.status_file.path, None)  # which counts only while the lock is held
    assert written == after


@pytest.mark.slow
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_log_that_loses_its_name_is_written_anew(here: Path, how: str) -> None:
    run = RunDirectory(here / "runs" / "mine")
    with started(here, "train", "book.txt", *SAVING, "--json") as process:
        told = Lines(process)
        told.wait_for(100)
        tail = EventTail(run.events_file.path)
        seen = [event for _, event in tail.read()]
        for number in range(3):
            if how == "replaced":
                other = run.path / "edited"
                other.write_bytes(b"{}\n" * number)
                other.replace(run.events_file.path)
            else:
                run.events_file.path.unlink()
            injected()
            until(lambda: len(list(run.path.glob("*.aside"))) > number or how == "removed")  # noqa: B023
            until(run.events_file.path.exists)
            seen += [event for _, event in tail.read()]
        process.terminate()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
        told.end()
        assert process.stderr is not None
        err = process.stderr.read().decode()
    seen += [event for _, event in tail.read()]
    tail.close()
    assert_harmless(err)
    assert err.count("written again" if how == "removed" else "stood in place") == 3
    assert run.events_file.path.read_text(encoding="utf-8").splitlines() == told.lines
    assert [json.dumps(event) for event in seen] == [json.dumps(json.loads(line)) for line in told.lines]
    assert len(list(run.path.glob("*.aside"))) == (3 if how == "replaced" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["removed", "cut to nothing", "replaced"])
def test_commands_are_obeyed_whatever_happened_to_their_file(
    here: Path, training: tuple[subprocess.Popen[bytes], RunDirectory], how: str
) -> None:
    process, run = training
    for number in range(3):
        answer = charrnn(here, "command", "mine", "sample", "--length", str(100 // 10**number))
        injected()
        assert answer.code == 0, answer.err
        lines = run.commands_file.path.read_bytes()
        if how == "removed":
            run.commands_file.path.unlink()
        elif how == "replaced":
            (run.path / "edited").write_bytes(lines + b"\n")
            (run.path / "edited").replace(run.commands_file.path)
        else:
            os.truncate(run.commands_file.path, 0)
    assert stopped(process, signal.SIGTERM)[0] == 128 + signal.SIGTERM
    obeyed = [event["command"] for event in events(run.path) if event["type"] == "obeyed"]
    assert len(obeyed) == len(set(obeyed)) == 3
    run.commands_file.path.unlink(missing_ok=True)
    with started(here, "resume", "mine", "--quiet", "--updates", "none", "--seconds", "300"):
        until(run.is_locked)
        before = updates_done(run.path)
        until(lambda: updates_done(run.path) > before)
        answer = charrnn(here, "command", "mine", "sample", "--length", "99", "--prime", "the cat " * 9)
    assert answer.code == 0, answer.err


# -- readers -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_who_reads_a_checkpoint_of_a_run_that_saves_reads_a_whole_one(
    training: tuple[subprocess.Popen[bytes], RunDirectory], thorough: bool
) -> None:
    process, run = training
    newest: Counter[str] = Counter()
    for _ in range(5000 if thorough else 300):
        for kind in ("previous", "last", "best"):
            update = read_checkpoint(run.checkpoint_file(kind).path).snapshot.update
            assert update >= newest[kind], f"{kind} went back"
            newest[kind] = update
    assert process.poll() is None
    assert newest["last"] > newest["best"] or newest["last"] > 100


@pytest.mark.slow
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
    import os, sys
    from pathlib import Path
    from charrnn_core.runs.commands import Command, send
    os.close(1)  # ready
    sys.stdin.read()  # until all of them are
    for number in range(50):
        send(Path(sys.argv[1]), Command.make("sample", length=1 + number))
"""


@pytest.mark.slow
def test_what_several_ask_at_once_is_answered_once_each(
    training: tuple[subprocess.Popen[bytes], RunDirectory],
) -> None:
    process, run = training
    program = [sys.executable, "-c", textwrap.dedent(ASK), str(run.commands_file.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    askers = [subprocess.Popen(program, **pipes) for _ in range(4)]
    for asker in askers:
        assert asker.stdout is not None
        asker.stdout.read()
        asker.stdout.close()
    for asker in askers:
        assert asker.stdin is not None
        asker.stdin.close()
    assert [asker.wait(PATIENCE) for asker in askers] == [0] * 4
    asked = [
        json.loads(line)["id"] for line in run.commands_file.path.read_text(encoding="utf-8").splitlines()
    ]
    injected(len(askers))
    assert len(set(asked)) == 200
    until(lambda: sum(event["type"] == "obeyed" for event in events(run.path)) == 200)
    process.terminate()
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    answered = [event["command"] for event in events(run.path) if event["type"] == "obeyed"]
    assert sorted(answered) == sorted(asked)
