"""`charrnn resume`, `command` and `runs`, and `train --resume` and `--replay`, as a shell runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.commands import Command, send
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import History
from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
TEXT = "the cat sat on the mat and the dog sat on the log.\n" * 60
SMALL = ["--hidden", "8", "--seq-length", "5", "--sample-length", "20"]
ENDLESS = [*SMALL, "--updates", "none", "--seconds", "600"]
PATIENCE = 90.0  # seconds until something that should have happened counts as hanging


# -- helpers -----------------------------------------------------------------------------------------------


def environment(**changes: str) -> dict[str, str]:
    """Return the environment without what would change the program's output, and with `changes`."""
    unwanted = {"NO_COLOR", "FORCE_COLOR", "CHARRNN_RUNS", "COLUMNS", "LINES", "PYTHONWARNINGS"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "TERM": "xterm", "OPENBLAS_NUM_THREADS": "1", **changes}


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def charrnn(where: Path, *arguments: str, patience: float = PATIENCE, **changes: str) -> Finished:
    """Run the program to its end, with pipes for its streams."""
    process = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=where,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=patience,
    )
    return Finished(process.returncode, process.stdout.decode(), process.stderr.decode())


@contextmanager
def started(where: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program, and kill it at the end if it still runs."""
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=where,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], Any]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def events(run: Path) -> list[dict[str, Any]]:
    """Return the events in whole lines of a run's log."""
    log = run / "events.jsonl"
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    return [json.loads(line) for line in lines]


def updates_done(run: Path) -> int:
    return max((int(event["update"]) for event in events(run)), default=0)


def state_of(run: Path) -> str:
    return read_checkpoint(run / "checkpoints" / "last.safetensors").state_sha256


def assert_one_line(finished: Finished, code: int, *words: str) -> None:
    """It ended with this code and a single harmless line on stderr that has these words."""
    assert finished.code == code, finished.err
    assert finished.out == ""
    assert finished.err.endswith("\n")
    line = finished.err[:-1]
    assert line.startswith("charrnn: ")
    assert line.isprintable(), line
    assert "Traceback" not in line
    for word in words:
        assert word in line


def made(runs: Path, name: str = "run", updates: int = 20, **given: Any) -> Path:
    """Make a run that has ended, in this process."""
    values = {"hidden": 6, "seq_length": 4, "sample_every": None, **given}
    process = start(Settings.of(updates=updates, **values), corpus_of(TEXT, "tide"), runs=runs, name=name)
    process.run(lambda item: None)
    return process.directory.path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def listed(where: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """Return what `charrnn runs --json` says, by name."""
    told = charrnn(where, "runs", "--json", *arguments)
    assert (told.code, told.err) == (0, "")
    rows = [json.loads(line) for line in told.out.splitlines()]
    return {row["name"]: row for row in rows}


# -- resume ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_sigterm_then_resume_equals_uninterrupted_and_so_does_the_replay(tmp_path: Path, text: Path) -> None:
    # Ended by a signal after thousands of updates and resumed to a number that it had not reached.
    with started(tmp_path, "train", "book.txt", *ENDLESS, "--name", "torn") as process:
        torn = tmp_path / "runs" / "torn"
        until(lambda: updates_done(torn) > 1500)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + signal.SIGTERM
    assert out.decode() == f"{torn}\n"
    assert b"Traceback" not in err
    ended = events(torn)[-1]
    assert (ended["type"], ended["reason"]) == ("ended", "signal SIGTERM")
    total = ended["update"] + 3003
    resumed = charrnn(tmp_path, "resume", "torn", "--updates", str(total), "--quiet")
    assert (resumed.code, resumed.err) == (0, "")
    assert resumed.out in ("", f"{torn}\n")
    whole = charrnn(tmp_path, "train", "book.txt", *SMALL, "--updates", str(total), "--name", "w", "--quiet")
    assert whole.code == 0
    assert state_of(torn) == state_of(tmp_path / "runs" / "w")
    one, two = (History.read(tmp_path / "runs" / name / "events.jsonl") for name in ("torn", "w"))
    assert [event["loss_mean"] for event in one.progress] == [event["loss_mean"] for event in two.progress]
    assert [event["text"] for event in one.samples] == [event["text"] for event in two.samples]
    replayed = charrnn(tmp_path, "train", "--replay", "torn", "--name", "again")
    assert replayed.code == 0
    assert "ends in the same state" in replayed.err
    assert state_of(torn) in replayed.err
    assert state_of(tmp_path / "runs" / "again") == state_of(torn)


def test_train_resume_does_what_resume_does_and_a_finished_run_is_refused(tmp_path: Path) -> None:
    run = made(tmp_path / "runs")
    refused = charrnn(tmp_path, "resume", "run")
    assert_one_line(refused, 2, "finished", "--updates 40")
    assert_one_line(charrnn(tmp_path, "train", "--resume", "run"), 2, "finished")
    went_on = charrnn(tmp_path, "train", "--resume", "run", "--updates", "50", "--learning-rate", "0.05")
    assert went_on.code == 0
    assert "done with all updates at update 50" in went_on.err
    (resumed,) = (event for event in events(run) if event["type"] == "resumed")
    assert resumed["changed"] == {"updates": 50, "learning_rate": 0.05}


def test_json_of_resume_is_what_the_log_gets(tmp_path: Path) -> None:
    run = made(tmp_path / "runs")
    before = len(events(run))
    told = charrnn(tmp_path, "resume", "run", "--updates", "30", "--json", "--quiet")
    assert told.code == 0
    assert [json.loads(line) for line in told.out.splitlines()] == events(run)[before:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resume", "nothing"], ["nothing", "no such run"]),
        (["resume", ""], ["no such run"]),
        (["resume", "./nowhere"], ["not a run directory"]),
        (["resume", "run", "--hidden", "9"], ["--hidden"]),
        (["resume", "run", "--updates", "0"], ["--updates 0"]),
        (["resume", "run", "--updates", "30", "--corpus", "none.txt"], ["none.txt"]),
        (["resume", "run", "--updates", "30", "--corpus", "other.txt"], ["not the one", "--corpus"]),
        (["train", "--resume", "run", "--hidden", "9"], ["--hidden", "cannot change"]),
        (["train", "--resume", "run", "--name", "x"], ["keeps its name"]),
        (["train", "book.txt", "--resume", "run"], ["--corpus"]),
        (["train", "--resume", "run", "--preset", "dd2424-2026"], ["--preset"]),
        (["train", "--resume", "run", "--replay", "run"], ["exclude"]),
        (["train", "--replay", "run", "--updates", "9"], ["--updates", "cannot change"]),
        (["train", "--replay", "nothing"], ["no such run"]),
        (["train", "--corpus", "book.txt"], ["--corpus"]),
        (["command", "run", "dance"], ["dance", "pause"]),
        (["command", "run", "pause"], ["nobody trains run", "charrnn resume"]),
        (["command", "run", "set-learning-rate"], ["needs a learning rate"]),
        (["command", "run", "set-learning-rate", "0"], ["--learning-rate 0"]),
        (["command", "run", "pause", "0.1"], ["takes no"]),
        (["command", "run", "sample", "--length", "0"], ["length 0"]),
        (["command", "nothing", "pause"], ["no such run"]),
    ],
)
def test_wrong_use_is_one_line_exit_2_and_changes_nothing(
    wrong_use: Path,
    arguments: list[str],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from charrnn_tui import cli

    monkeypatch.chdir(wrong_use)
    monkeypatch.delenv("CHARRNN_RUNS", raising=False)
    files = {path: path.read_bytes() for path in wrong_use.rglob("*") if path.is_file()}
    code = cli.run(arguments)
    assert_one_line(Finished(code, *capsys.readouterr()), 2, *words)
    kept = {path: path.read_bytes() for path in wrong_use.rglob("*") if path.is_file()}
    assert {path for path in kept if path.name != ".lock"} == {p for p in files if p.name != ".lock"}
    assert all(kept[path] == data for path, data in files.items() if path.name != ".lock")


@pytest.fixture(scope="module")
def wrong_use(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run that has ended, which wrong use leaves as it is."""
    where = tmp_path_factory.mktemp("wrong")
    made(where / "runs")
    (where / "other.txt").write_text(TEXT + "more", encoding="utf-8")
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    return where


def test_a_replay_that_differs_is_exit_1(tmp_path: Path) -> None:
    run = made(tmp_path / "runs")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    config["settings"]["seed"] = 1
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    told = charrnn(tmp_path, "train", "--replay", "run", "--quiet", "--name", "again")
    assert told.code == 1
    assert told.err.startswith("charrnn: the replay differs from run at update 20")
    assert told.err.count("\n") == 1


@pytest.mark.slow
def test_names_prefixes_paths_and_what_is_ambiguous(tmp_path: Path) -> None:
    made(tmp_path / "runs", "tales")
    made(tmp_path / "runs", "tales-2")
    made(tmp_path / "runs", "verse")
    ambiguous = charrnn(tmp_path, "resume", "ta")
    assert_one_line(ambiguous, 2, "beginning of 2 runs", "tales, tales-2")
    for text, updates in (("tales", 21), ("v", 21), ("runs/tales-2", 21), (str(tmp_path / "runs/verse"), 22)):
        assert charrnn(tmp_path, "resume", text, "--updates", str(updates), "-q").code == 0, text
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    told = charrnn(elsewhere, "resume", "ver", "--updates", "23", "-q", CHARRNN_RUNS=str(tmp_path / "runs"))
    assert told.code == 0
    names = ("tales", "tales-2", "verse")
    assert [updates_done(tmp_path / "runs" / name) for name in names] == [21, 21, 23]


# -- a run that trains -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_that_trains_obeys_a_shell_and_keeps_a_second_trainer_out(tmp_path: Path, text: Path) -> None:
    with started(tmp_path, "train", "book.txt", *ENDLESS, "--name", "live", "--quiet") as process:
        run = tmp_path / "runs" / "live"
        until(lambda: updates_done(run) > 20)
        for arguments in (["resume", "live"], ["train", "--resume", "live", "--updates", "9"]):
            assert_one_line(charrnn(tmp_path, *arguments), 2, f"is being trained by process {process.pid}")
        assert process.poll() is None
        assert listed(tmp_path)["live"]["state"] == "training"
        paused = charrnn(tmp_path, "command", "live", "pause")
        assert (paused.code, paused.out) == (0, "")
        assert paused.err.startswith("pause: obeyed at update ")
        until(lambda: json.loads((run / "status.json").read_bytes())["state"] == "paused")
        row = listed(tmp_path)["live"]
        assert row["state"] == "paused"
        sample = charrnn(
            tmp_path, "command", "li", "sample", "--length", "40", "--temperature", "0", "--prime", "the"
        )
        assert (sample.code, len(sample.out.rstrip("\n"))) == (0, 40)
        assert sample.err.startswith("sample: obeyed")
        check = charrnn(tmp_path, "command", str(run), "check")
        assert check.code == 0
        assert "WRONG" not in check.out
        assert len(check.out.splitlines()) > 5
        unknown = charrnn(tmp_path, "command", "live", "sample", "--prime", "Ж\x1b[31m")
        assert_one_line(unknown, 2, "refused", "U+0416")
        rate = charrnn(tmp_path, "command", "live", "set-learning-rate", "0.025")
        assert rate.code == 0
        assert listed(tmp_path)["live"]["update"] == row["update"]
        assert charrnn(tmp_path, "command", "live", "continue").code == 0
        stopped = charrnn(tmp_path, "command", "live", "stop")
        assert (stopped.code, stopped.out) == (0, "")
        assert process.wait(PATIENCE) == 0
    assert listed(tmp_path)["live"]["state"] == "interrupted"
    assert charrnn(tmp_path, "train", "--replay", "live", "--name", "again", "-q").code == 0
    last = read_checkpoint(tmp_path / "runs" / "again" / "checkpoints" / "last.safetensors")
    assert last.snapshot.settings.learning_rate == 0.025


WHOLE = {"parameter": "W", "method": "central", "h0": "zeros", "passed": True}


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "sample"},
        {"type": "sample", "text": 5},
        {"type": "gradients_checked"},
        {"type": "gradients_checked", "rows": 5},
        {"type": "gradients_checked", "rows": [5, {}, {"method": "central", "h0": "zeros", "passed": True}]},
        {"type": "gradients_checked", "rows": [{**WHOLE, "passed": None}, {"parameter": 3, **WHOLE}]},
        {"type": "gradients_checked", "rows": [WHOLE]},
        {"type": "gradients_checked", "rows": [dict.fromkeys(WHOLE, "\x1b[31m") | {"shape": 3, "note": []}]},
        {
            "type": "gradients_checked",
            "rows": [
                {**WHOLE, **dict.fromkeys(("shape", "entries", "worst", "compared", "step", "window"), value)}
                for value in (5, "x", [], {}, [[[]]], 10**300)
            ],
        },
        {"type": "refused"},
        {"type": "refused", "reason": "x" * 3_000_000},
    ],
    ids=lambda answer: f"{answer['type']} {str(sorted(answer))[:40]}",
)
def test_an_answer_that_somebody_has_written_into_the_log_is_harmless(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: dict[str, Any],
) -> None:
    from charrnn_tui import cli

    run = RunDirectory(made(tmp_path / "runs"))
    lock = run.lock()
    try:

        def answered(directory: RunDirectory, command: Command) -> None:
            fields = {"update": 20, "time": 1.0, "command": command.id, **answer}
            ended = {"type": "obeyed", "update": 20, "time": 1.0, "command": command.id, "name": "sample"}
            with run.events_file.path.open("a", encoding="utf-8") as log:
                log.write("".join(json.dumps(each) + "\n" for each in (fields, ended)))

        monkeypatch.setattr("charrnn_core.runs.asking.send", answered)
        code = cli.run(["command", "run", "sample", "--runs", str(tmp_path / "runs")])
    finally:
        os.close(lock)
    shown = capsys.readouterr()
    assert code == (2 if answer["type"] == "refused" else 0), shown.err
    assert len(shown.out + shown.err) < 50_000
    assert "\x1b" not in shown.out + shown.err


def test_an_answer_just_before_the_end_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run obeys and ends between two looks of `charrnn command`: at its log, and at its lock."""
    from charrnn_tui import cli

    run = RunDirectory(made(tmp_path / "runs"))
    looks: list[bool] = []

    def is_locked(self: RunDirectory) -> bool:
        looks.append(True)
        if len(looks) == 1:
            return True
        asked = json.loads(run.commands_file.path.read_text(encoding="utf-8").splitlines()[-1])["id"]
        fields = {"update": 20, "time": 1.0, "command": asked, "name": "stop", "arguments": {}}
        with run.events_file.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"type": "obeyed", **fields}) + "\n")
        return False

    monkeypatch.setattr(RunDirectory, "is_locked", is_locked)
    code = cli.run(["command", "run", "stop", "--runs", str(tmp_path / "runs")])
    assert (code, capsys.readouterr().err) == (0, "stop: obeyed at update 20\n")


def test_no_answer_in_time_is_exit_2_and_says_that_it_is_asked(tmp_path: Path) -> None:
    run = RunDirectory(made(tmp_path / "runs"))
    lock = run.lock()  # somebody trains it, and is busy
    told = charrnn(tmp_path, "command", "run", "pause", "--wait", "0.1")
    assert_one_line(told, 2, "no answer within 0.1 seconds")
    assert json.loads(run.commands_file.path.read_bytes())["command"] == "pause"
    os.close(lock)


# -- runs --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_runs_tells_how_each_run_is(tmp_path: Path, text: Path) -> None:
    runs = tmp_path / "runs"
    assert charrnn(tmp_path, "runs").err == "no runs under runs; charrnn train makes one\n"
    made(runs, "ended", updates=200)
    crashed = made(runs, "crashed")
    data = (crashed / "events.jsonl").read_bytes().splitlines(keepends=True)
    (crashed / "events.jsonl").write_bytes(b"".join(data[:-1]))
    with started(tmp_path, "train", "book.txt", *ENDLESS, "--name", "killed", "--quiet") as process:
        until(lambda: updates_done(runs / "killed") > 20)
        assert listed(tmp_path)["killed"]["state"] == "training"
        process.kill()
        process.communicate(timeout=PATIENCE)
    with started(tmp_path, "train", "book.txt", *ENDLESS, "--name", "signalled", "--quiet") as process:
        until(lambda: updates_done(runs / "signalled") > 20)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
    rows = listed(tmp_path)
    assert {name: row["state"] for name, row in rows.items()} == {
        "ended": "ended", "crashed": "crashed", "killed": "crashed", "signalled": "interrupted",
    }  # fmt: skip
    assert list(rows) == ["ended", "crashed", "killed", "signalled"]  # newest last
    assert rows["ended"]["reason"] == "updates"
    assert rows["ended"]["update"] == 200
    assert rows["ended"]["corpus"] == "tide"
    assert rows["ended"]["best_loss"] > 0
    assert rows["ended"]["smooth_loss"] > 0
    assert rows["ended"]["path"] == str(runs / "ended")
    assert rows["ended"]["size"] > 1000
    assert rows["signalled"]["reason"] == "signal SIGINT"
    table = charrnn(tmp_path, "runs")
    assert (table.code, table.err) == (0, "")
    lines = table.out.splitlines()
    assert len(lines) == 5
    assert lines[0].split()[:3] == ["name", "state", "updates"]
    assert lines[1].split()[:3] == ["ended", "ended", "200"]
    # What is read there is no reason to write anything.
    assert listed(tmp_path, "--runs", str(runs)).keys() == rows.keys()


def test_the_age_of_files_says_nothing(tmp_path: Path) -> None:
    run = made(tmp_path / "runs")
    data = (run / "events.jsonl").read_bytes().splitlines(keepends=True)
    (run / "events.jsonl").write_bytes(b"".join(data[:-1]))
    (run / "status.json").write_text('{"state": "training", "update": 7, "smooth_loss": 1}')
    for path in run.rglob("*"):
        os.utime(path, (0, 0))
    assert listed(tmp_path)["run"]["state"] == "crashed"
    os.utime(run / "events.jsonl")
    row = listed(tmp_path)["run"]
    assert (row["state"], row["update"]) == ("crashed", 20)


def test_the_best_loss_is_told_however_long_ago_it_was(tmp_path: Path) -> None:
    run = made(tmp_path / "runs", updates=100)
    ended = events(run)[-1]
    lines = (run / "events.jsonl").read_bytes().splitlines(keepends=True)
    progress = next(line for line in reversed(lines) if b'"progress"' in line)
    (run / "events.jsonl").write_bytes(b"".join(lines[:-1]) + progress * 1000)  # and then it crashed
    assert listed(tmp_path)["run"]["best_loss"] == ended["best_loss"]


def test_a_file_that_goes_while_it_is_counted_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that trains replaces its status ten times a second, by temporary files that come and go."""
    from charrnn_tui import cli

    run = made(tmp_path / "runs")
    temporary = run / ".status.json.0123456789ab"
    temporary.write_text("{}")
    real = os.scandir

    @contextmanager
    def scandir(folder: int) -> Iterator[list[os.DirEntry[str]]]:
        with real(folder) as found:
            entries = list(found)
        temporary.unlink(missing_ok=True)
        yield entries

    monkeypatch.setattr(os, "scandir", scandir)
    assert cli.run(["runs", "--runs", str(tmp_path / "runs")]) == 0
    assert capsys.readouterr().err == ""


# -- hostile directories -----------------------------------------------------------------------------------

ESCAPE = "\x1b]52;c;ZXZpbA==\x07\x1b[31m\u202e\u200b\r\n"
CONFIGS = {
    "empty": b"",
    "list": b"[]",
    "binary": b"\xff\xfe\x00\x1b[31m",
    "escapes": json.dumps({"created": ESCAPE, "corpus": {"name": ESCAPE}, "settings": ESCAPE}).encode(),
    "wrong types": b'{"created": [1], "corpus": [], "settings": {"hidden": [1]}}',
    "numbers": b'{"created": 7, "corpus": {"name": 1e999}, "settings": {"hidden": "x"}}',
    "naive": b'{"created": "2026-01-01T00:00:00", "corpus": null}',
    "future": b'{"created": "9999-12-31T23:59:59-23:59", "corpus": {"name": null}}',
    "deep": b"[" * 200_000,
    "deep object": b'{"corpus":' * 100_000,
    "huge number": b'{"created": ' + b"9" * 6000 + b"}",
}


@pytest.fixture
def hostile(tmp_path: Path) -> Callable[[bytes], Path]:
    def make(config: bytes) -> Path:
        run = made(tmp_path / "runs", "mine")
        (run / "config.json").write_bytes(config)
        return run

    return make


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_hostile_configuration_is_harmless(
    hostile: Callable[[bytes], Path],
    tmp_path: Path,
    config: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from charrnn_tui import cli

    hostile(config)
    made(tmp_path / "runs", "other")
    runs = ["--runs", str(tmp_path / "runs")]
    assert cli.run(["runs", *runs]) == 0
    told = capsys.readouterr()
    assert "other" in told.out  # the one does not hide the other
    for line in (told.out + told.err).splitlines():
        assert line.isprintable(), line
    cli.run(["runs", "--json", *runs])
    told = capsys.readouterr()
    assert all(json.loads(line)["name"] in ("mine", "other") for line in told.out.splitlines())
    assert "\x1b" not in told.out + told.err
    for arguments in (["resume", "mine"], ["train", "--replay", "mine"], ["command", "mine", "pause"]):
        code = cli.run([*arguments, *runs, *(["-q"] if arguments[0] != "command" else [])])
        told = capsys.readouterr()
        assert code in (0, 1, 2)
        assert all(line.isprintable() for line in (told.out + told.err).splitlines()), told


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"progress","update":"\\u001b[31m","time":0,"smooth_loss":"\\u001b[31m"}',
        b'{"type":"checkpoint","update":1,"time":0,"kind":"best","loss":"\\u001b[31m"}',
        b'{"type":"ended","update":null,"time":0,"reason":["\\u001b[31m"],"best_loss":{}}',
        b"[" * 60_000,
        b'{"type":"ended","update":1,"time":0,"reason":"\\u001b[31m","smooth_loss":NaN}',
        b"\xff\xfe",
    ],
)
def test_a_hostile_log_is_harmless_in_a_list(
    tmp_path: Path, line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    from charrnn_tui import cli

    run = made(tmp_path / "runs", "mine")
    made(tmp_path / "runs", "other")
    with (run / "events.jsonl").open("ab") as log:
        log.write(line + b"\n")
    for options in ([], ["--json"]):
        assert cli.run(["runs", *options, "--runs", str(tmp_path / "runs")]) == 0
        told = capsys.readouterr()
        assert "other" in told.out
        assert all(line.isprintable() for line in (told.out + told.err).splitlines())


def test_a_log_with_lines_of_another_program_does_not_keep_a_run_from_going_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from charrnn_tui import cli

    run = made(tmp_path / "runs", "mine")
    with (run / "events.jsonl").open("ab") as log:
        log.write(b'{"type":"resumed","update":1,"time":0}\n')
    assert cli.run(["resume", "mine", "--runs", str(tmp_path / "runs"), "--updates", "30", "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_a_configuration_that_is_a_named_pipe_hangs_nobody(tmp_path: Path) -> None:
    made(tmp_path / "runs", "other")
    (tmp_path / "runs" / "mine").mkdir()
    os.mkfifo(tmp_path / "runs" / "mine" / "config.json")
    told = charrnn(tmp_path, "runs", patience=4)
    assert told.code == 0
    assert "other" in told.out


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("name", ["\x1b]0;evil\x07", "a\nb", "[red]", "caf\udce9", "\u202eevil", "-rf", " x"])
def test_hostile_names_are_harmless(tmp_path: Path, name: str) -> None:
    run = made(tmp_path / "runs", "mine")
    run.rename(tmp_path / "runs" / name)
    told = charrnn(tmp_path, "runs")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    (row,) = listed(tmp_path).values()
    assert row["state"] == "ended"
    refused = charrnn(tmp_path, "resume", f"runs/{name}")
    assert_one_line(refused, 2, "finished")


def test_a_command_goes_to_the_run_that_was_meant(tmp_path: Path) -> None:
    run = RunDirectory(made(tmp_path / "runs"))
    send(run.commands_file.path, Command.make("pause"))
    told = charrnn(tmp_path, "resume", "run", "--updates", "25", "-q")
    assert (told.code, told.err) == (0, "")
    (refused,) = (event for event in events(run.path) if event["type"] == "refused")
    assert refused["reason"] == "the run was not being trained"
