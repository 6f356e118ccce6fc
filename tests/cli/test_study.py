"""`charrnn study`: one command for the whole study, which goes on with what was interrupted."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.errors import UsageError
from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import History
from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import GradientsChecked, Status
from charrnn_core.training.settings import Settings
from charrnn_core.training.trainer import Trainer
from charrnn_tui import cli
from charrnn_tui.cli.output import report_target
from charrnn_tui.cli.phases import Phases
from charrnn_tui.cli.study import study_settings

TEXT = "the cat sat on the mat and the dog sat on the log.\n" * 60
SMALL = "--hidden 7 --seq-length 5 --updates 300 --sample-every 100 --sample-length 20".split()
DIVERGING = (
    "--hidden 50 --seq-length 5 --updates 3000 --optimizer adam --learning-rate 1000 --init-std 10 "
    "--beta1 0.999 --beta2 0 --epsilon 1e-30 --clip none --dtype float32"
).split()
PATIENCE = 90.0  # seconds until something that should have happened counts as hanging

SIGNALLED = """
import os, sys
from charrnn_core.runs.saving import Saver
from charrnn_core.training.trainer import Trainer
from charrnn_tui.cli import run
really = Trainer._advance
def advance(trainer):
    if trainer.update >= {update}:
        os.kill(os.getpid(), {number})
    return really(trainer)
Trainer._advance = advance
Saver.due = property(lambda saver: saver._trainer.update == 100)
sys.exit(run(sys.argv[1:]))
"""
"""The program, with a signal at an update, and no save but at the start and at update 100."""

SIGNALLED_IN_REPORT = """
import os, signal, sys
from charrnn_tui.cli import run
from charrnn_tui.report import writing
writing.write_report = lambda *arguments, **options: os.kill(os.getpid(), signal.SIGINT)
sys.exit(run(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a text in it, the current directory."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_RUNS", raising=False)
    return tmp_path


@pytest.fixture
def charrnn(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """The program, in this process."""

    def call(*arguments: str) -> Finished:
        code = cli.run([*arguments])
        return Finished(code, *capsys.readouterr())

    return call


def in_a_process(program: str, *arguments: str) -> Finished:
    """Run a Python program with pipes for its streams."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("CHARRNN_RUNS", "COLUMNS")
    }
    finished = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**environment, "TERM": "xterm", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
    )
    return Finished(finished.returncode, finished.stdout.decode(), finished.stderr.decode())


def runs_of(where: Path) -> list[RunDirectory]:
    return [RunDirectory(path) for path in sorted((where / "runs").iterdir())]


def events(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.events_file.path.read_bytes().splitlines()]


def state_of(run: RunDirectory) -> str:
    return read_checkpoint(run.checkpoint_file("last").path).state_sha256


def assert_reported(finished: Finished, run: RunDirectory, name: str = "report.html") -> None:
    """Stdout is the path of the report of this run and nothing else."""
    assert (finished.code, finished.out) == (0, f"{run.path / name}\n"), finished.err
    assert run.name in (run.path / name).read_text(encoding="utf-8")
    assert not run.lacks_report


# -- the whole study ---------------------------------------------------------------------------------------


def test_a_study_checks_trains_samples_and_writes_the_report(here: Path) -> None:
    finished = in_a_process(
        "import sys; from charrnn_tui.cli import run; sys.exit(run(sys.argv[1:]))",
        "study",
        "book.txt",
        *SMALL,
    )
    (run,) = runs_of(here)
    assert_reported(finished, run)
    history = History.read(run.events_file.path)
    assert [event["update"] for event in history.checks] == [0]
    assert [event["update"] for event in history.samples] == [0, 100, 200, 300]
    assert history.ended is not None and history.ended["reason"] == "updates"
    assert run.checkpoint_file("best").path.exists()
    told = [line for line in finished.err.splitlines() if line]
    assert told[0] == f"run {run.name}"
    assert [line for line in told if line.endswith("report")] == [
        "● gradient check   ○ training to update 300   ○ best passage   ○ report",
        "✓ gradient check   ● training to update 300   ○ best passage   ○ report",
        "✓ gradient check   ✓ training to update 300   ● best passage   ○ report",
        "✓ gradient check   ✓ training to update 300   ✓ best passage   ● report",
        "✓ gradient check   ✓ training to update 300   ✓ best passage   ✓ report",
    ]
    assert "the best passage, of update 300" in told
    assert told[-1] == f"to sample: charrnn sample runs/{run.name}"
    assert "charrnn resume" not in finished.err


def test_updates_are_how_many_at_least_where_another_stop_is_given(
    here: Path, charrnn: Callable[..., Finished]
) -> None:
    finished = charrnn("study", "book.txt", *SMALL, "--stop-below", "12", "--quiet")
    (run,) = runs_of(here)
    assert_reported(finished, run)
    assert finished.err == ""
    ended = events(run)[-1]
    assert (ended["reason"], ended["update"] > 300) == ("smooth loss", False)
    assert ended["update"] == 300  # it was low enough before


@pytest.mark.parametrize(
    ("given", "stops"),
    [
        ({}, (100_000, 0, None)),
        ({"updates": 500}, (500, 0, None)),
        ({"epochs": 2.0}, (None, 100_000, None)),
        ({"stop_below": 40.0, "updates": 500, "seconds": 9.0}, (None, 500, 9.0)),
        ({"stop_below": 40.0, "updates": None}, (None, 0, None)),
        ({"stop_below": 40.0, "updates": 900, "minimum_updates": 500}, (900, 500, None)),
        ({"stop_below": 40.0, "minimum_updates": 500}, (None, 500, None)),
        ({"seconds": 9.0}, (100_000, 0, 9.0)),
        ({"updates": None, "seconds": 9.0}, (None, 0, 9.0)),
    ],
)
def test_what_stops_a_study(given: dict[str, Any], stops: tuple[Any, ...]) -> None:
    settings = study_settings("dd2424-2026", given)
    assert (settings.updates, settings.minimum_updates, settings.seconds) == stops
    assert settings.optimizer == "adam"


def test_a_study_without_an_end_is_refused() -> None:
    with pytest.raises(UsageError, match="--updates none"):
        study_settings("dd2424-2019", {"updates": None})


# -- interruptions -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "update", "saved"),
    [(signal.SIGKILL, 50, 0), (signal.SIGKILL, 150, 100), (signal.SIGINT, 150, 151)],
    ids=["killed at 50", "killed at 150", "Ctrl+C at 150"],
)
def test_an_interrupted_study_ends_as_an_uninterrupted_one(
    here: Path, charrnn: Callable[..., Finished], number: int, update: int, saved: int
) -> None:
    charrnn("study", "book.txt", *SMALL, "--runs", "whole", "--name", "w", "-q")
    whole = RunDirectory(here / "whole" / "w")
    program = SIGNALLED.format(number=int(number), update=update)
    torn = in_a_process(program, "study", "book.txt", *SMALL)
    (run,) = runs_of(here)
    assert (torn.code, torn.out) == (-number if number == signal.SIGKILL else 130, "")
    if number == signal.SIGINT:
        assert torn.err.endswith(f"\nto go on: the same command again, or charrnn study runs/{run.name}\n")
    again = charrnn("study", "book.txt", *SMALL)
    assert again.err.startswith(f"going on with {run.name}, from update {saved}\nrun {run.name}\n")
    first, *_ = (line for line in again.err.splitlines() if line.endswith("report"))
    # What was done after the last save is done again, and the check with it.
    assert first.startswith("✓ gradient check   ● training" if saved else "● gradient check   ○ training")
    assert_reported(again, run)
    assert runs_of(here) == [run]
    assert state_of(run) == state_of(whole)
    samples, expected = (History.read(one.events_file.path).samples for one in (run, whole))
    assert [event["text"] for event in samples] == [event["text"] for event in expected]


@pytest.mark.slow
def test_a_study_that_is_done_is_not_gone_on_with(here: Path, charrnn: Callable[..., Finished]) -> None:
    for _ in range(2):
        finished = charrnn("study", "book.txt", *SMALL, "-o", "study.md")
        assert "going on" not in finished.err
        assert (finished.code, finished.out) == (0, f"{here / 'study.md'}\n")
    first, second = runs_of(here)
    assert events(first)[-1]["update"] == events(second)[-1]["update"] == 300
    assert second.name in (here / "study.md").read_text(encoding="utf-8")
    # Who names it may not have got the path of its report.
    named = charrnn("study", "book.txt", *SMALL, "--name", first.name)
    assert (named.code, named.out) == (0, f"{first.path / 'report.html'}\n")
    assert len(runs_of(here)) == 2
    assert charrnn("study", "book.txt", *SMALL, "--updates", "301", "--name", first.name).code == 2


def interrupt_at_150(monkeypatch: pytest.MonkeyPatch) -> None:
    really = Trainer._advance

    def advance(trainer: Trainer) -> Status:
        if trainer.update >= 150:  # here are as many updates at once as there are in a bucket: one
            trainer.stop("stopped")
        return really(trainer)

    monkeypatch.setattr(Trainer, "_advance", advance)


def test_a_run_that_was_stopped_is_studied_by_its_own_stops(
    here: Path, charrnn: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at_150(patch)
        stopped = charrnn("study", "book.txt", *SMALL, "-q")
    (run,) = runs_of(here)
    assert (stopped.code, stopped.out) == (1, "")
    assert "was stopped before its study was done" in stopped.err
    lock = run.lock()
    refused = charrnn("study", run.name)
    assert (refused.code, refused.out) == (2, "")
    assert "is being trained by another process" in refused.err
    os.close(lock)
    (here / "book.txt").rename(here / "moved.txt")
    assert "--corpus" in charrnn("study", run.name).err
    assert_reported(charrnn("study", run.name, "--corpus", "moved.txt", "--format", "md"), run, "report.md")
    assert events(run)[-1]["update"] == 300
    # Now nothing is left to be trained, and the text is not needed.
    before = run.events_file.path.read_bytes()
    assert_reported(charrnn("study", run.name), run)
    assert run.events_file.path.read_bytes() == before


def test_standard_input_is_known_again(
    here: Path, charrnn: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, (here / "book.txt").open() as text:
        interrupt_at_150(patch)
        patch.setattr(sys, "stdin", text)
        assert charrnn("study", "-", *SMALL, "-q").code == 1
    with monkeypatch.context() as patch, (here / "book.txt").open() as text:
        patch.setattr(sys, "stdin", text)
        finished = charrnn("study", "-", *SMALL)
    (run,) = runs_of(here)
    assert finished.err.startswith(f"going on with {run.name}, from update 151\n")
    assert_reported(finished, run)


# -- the report --------------------------------------------------------------------------------------------


def test_a_report_that_fails_costs_nothing_but_itself(
    here: Path, charrnn: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    from charrnn_tui.report import writing

    def fail(*arguments: Any, **options: Any) -> list[Path]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_report", fail)
        failed = charrnn("study", "book.txt", *SMALL, "-q")
    (run,) = runs_of(here)
    assert (failed.code, failed.out) == (1, "")
    assert "No space left on device" in failed.err
    assert f"charrnn report runs/{run.name} -o FILE" in failed.err
    again = charrnn("study", "book.txt", *SMALL)
    assert again.err.startswith(f"going on with {run.name}, all but its report is done\n")
    assert_reported(again, run)
    assert [event["type"] for event in events(run)].count("resumed") == 0


def test_ctrl_c_in_the_report_is_told_how_to_go_on(here: Path, charrnn: Callable[..., Finished]) -> None:
    left = in_a_process(SIGNALLED_IN_REPORT, "study", "book.txt", *SMALL)
    (run,) = runs_of(here)
    assert (left.code, left.out) == (130, "")
    assert left.err.endswith(f"\nto go on: the same command again, or charrnn study runs/{run.name}\n")
    assert_reported(charrnn("study", "book.txt", *SMALL), run)


def test_a_study_that_diverged_is_reported_and_fails(here: Path, charrnn: Callable[..., Finished]) -> None:
    told = charrnn("study", "book.txt", *DIVERGING)
    (run,) = runs_of(here)
    for finished in (told, charrnn("study", run.name)):
        assert (finished.code, finished.out) == (1, f"{run.path / 'report.html'}\n")
        assert "training diverged at update" in finished.err.splitlines()[-1]
        assert "✗ training to update 3,000" in finished.err
    assert run.name in (run.path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["book.txt", "-o", "study.pdf"], ["study.pdf", ".html", "--format"]),
        (["huge.txt", "-o", "study.pdf"], ["study.pdf"]),  # before the text is looked for
        (["book.txt", "-o", "nowhere/study.md"], ["nowhere is not a directory"]),
        (["book.txt", "-o", "runs.md"], ["is a directory"]),
        (["book.txt", "-o", "book.txt", "--format", "md"], ["the text itself"]),
        (["book.txt", "--format", "pdf"], ["--format pdf", "html, md"]),
        (["book.txt", "--corpus", "book.txt"], ["--corpus"]),
        (["book.txt", "--updates", "none"], ["--epochs"]),
        (["runs.md/endless"], ["no stop", "charrnn resume"]),
        (["runs.md/endless", "--updates", "9"], ["is a run", "--updates"]),
        (["runs.md/endless", "--preset", "dd2424-2026"], ["is a run", "--preset"]),
        (["runs.md/endless", "--name", "x"], ["is a run", "--name"]),
    ],
)
def test_wrong_use_is_refused_before_anything_is_trained(
    here: Path, charrnn: Callable[..., Finished], arguments: list[str], words: list[str]
) -> None:
    endless = Settings.of(hidden=7, seq_length=5, updates=None, sample_every=None)
    process = start(endless, corpus_of(TEXT), runs=here / "runs.md", name="endless")
    process.run(lambda item: process.trainer.stop("stopped"))
    refused = charrnn("study", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("\n") == 1
    for word in words:
        assert word in refused.err
    assert not (here / "runs").exists()
    assert (here / "book.txt").read_text(encoding="utf-8") == TEXT


def test_the_target_of_a_report(here: Path, charrnn: Callable[..., Finished]) -> None:
    charrnn("train", "book.txt", *SMALL, "--name", "r", "-q")
    run = RunDirectory(here / "runs" / "r")
    assert report_target(None, None, run) == (run.path / "report.html", "html")
    assert report_target(None, "md", run) == (run.path / "report.md", "md")
    assert report_target("a.HTM", None, run) == (Path("a.HTM"), "html")
    assert report_target("a.markdown", None, run) == (Path("a.markdown"), "md")
    assert report_target("a.html", "md", run) == (Path("a.html"), "md")
    with pytest.raises(UsageError, match="the text itself"):
        report_target("book.txt", "md", run)


# -- what is shown -----------------------------------------------------------------------------------------

TWO_STAGES = Settings(updates=None, epochs=20.0, stop_below=40.0, minimum_updates=100_000)


def line_of(phases: Phases, width: int | None) -> str:
    return "".join(words for words, _ in phases.line(width))


def status_at(update: int) -> Status:
    return Status(
        phase="training", update=update, epoch=update / 9000, loss=50.0, smooth_loss=50.0,
        updates_per_second=1000.0, seconds_left=200.0, time=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("width", [120, 80, 60, 40])
def test_the_phases_fit_a_line_of_the_terminal(width: int) -> None:
    for settings in (Settings(), TWO_STAGES, Settings(updates=10**9, epochs=1e9, seconds=1e9)):
        phases = Phases(settings, checked=True)
        for name in ("training", "passage", "report"):
            phases.enter(name)  # type: ignore[arg-type]
            assert "●" in line_of(phases, width)
            assert len(line_of(phases, width)) <= width
    assert line_of(Phases(TWO_STAGES), 40) == "● check (1 of 5)"
    wanted = "● check   ○ to 100,000   ○ until loss < 40 or epoch 20   ○ passage   ○ report"
    assert line_of(Phases(TWO_STAGES), 80) == wanted


def test_phases_begin_at_their_updates_and_end_as_they_ended() -> None:
    phases = Phases(TWO_STAGES)
    assert not phases.see(status_at(0))
    assert phases.share(status_at(0)) is None
    wrong = {"parameter": "W", "passed": False}
    assert phases.see(GradientsChecked(update=0, time=0.0, rows=(wrong,)))
    assert line_of(phases, None).startswith("✗ gradient check   ● training to update 100,000   ○ on until ")
    assert phases.share(status_at(25_000)) == 0.25
    assert phases.status(status_at(25_000)).seconds_left == 75.0
    assert not phases.see(status_at(99_999))
    assert phases.see(status_at(100_000))
    assert phases.share(status_at(135_000)) == pytest.approx(0.75)
    assert phases.status(status_at(135_000)).seconds_left == 200.0
    phases.enter("passage")
    phases.end("skipped")
    phases.enter("report")
    assert re.sub("[^✓✗–●○]", "", line_of(phases, None)) == "✗✓✓–●"


def test_a_resumed_study_shows_what_is_done_and_what_never_was() -> None:
    marks = {
        (0, None): "●○○○○", (0, True): "✓●○○○", (70, None): "–●○○○", (70, False): "✗●○○○",
        (100_000, True): "✓✓●○○",
    }  # fmt: skip
    for (update, checked), expected in marks.items():
        phases = Phases(TWO_STAGES, update=update, checked=checked)
        assert re.sub("[^✓✗–●○]", "", line_of(phases, None)) == expected
    ended_early = Phases(TWO_STAGES, update=70, checked=True)
    ended_early.enter("passage")
    assert re.sub("[^✓✗–●○]", "", line_of(ended_early, None)) == "✓✓–●○"


def on_terminal(program: list[str], **changes: str) -> tuple[int, str]:
    """Run Python with a terminal of 24 lines and 80 columns for its stderr; return its exit code, and all."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    with subprocess.Popen(
        [sys.executable, *program],
        env={**os.environ, "TERM": "xterm", "OPENBLAS_NUM_THREADS": "1", **changes},
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                block = os.read(master, 65536)
            except OSError:  # Linux says EIO where others say end of file
                block = b""
            if not block:
                break
            seen += block
        code = process.wait(PATIENCE)
    os.close(master)
    return code, seen.decode()


def cursor_is_shown(text: str) -> bool:
    return text.rfind("\x1b[?25h") >= text.rfind("\x1b[?25l")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "● to 3,000   ○ until loss < 1000   ○ passage   ○ report"),
        ({"PYTHONIOENCODING": "ascii"}, "* to 3,000   o until loss < 1000   o passage   o report"),
        ({"TERM": "dumb"}, "● to 3,000   ○ until loss < 1000   ○ passage   ○ report\r\n"),
    ],
    ids=["utf-8", "ascii", "dumb"],
)
def test_a_terminal_shows_the_phases(here: Path, changes: dict[str, str], wanted: str) -> None:
    stops = ["--updates", "3000", "--stop-below", "1000", "--sample-every", "none"]
    code, text = on_terminal(["-m", "charrnn_tui", "study", "book.txt", *SMALL, *stops], **changes)
    assert code == 0
    assert wanted in re.sub("\x1b\\[[0-9;]*m", "", text)
    assert cursor_is_shown(text)
    assert ("\x1b" in text) == ("TERM" not in changes)
    assert text.isascii() == ("PYTHONIOENCODING" in changes)


def test_ctrl_c_in_the_report_gives_the_terminal_its_cursor_back(here: Path) -> None:
    code, text = on_terminal(["-c", SIGNALLED_IN_REPORT, "study", "book.txt", *SMALL])
    assert code == 130
    assert "\x1b[?25l" in text
    assert cursor_is_shown(text)
    assert "\nto go on: the same command again" in text
