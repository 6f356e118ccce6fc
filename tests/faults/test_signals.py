"""Signals, Ctrl+C, Ctrl+Z and closed terminals, headless and in the dashboard: saved, and all put back."""

from __future__ import annotations

import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.checkpoint import newest_checkpoint, read_checkpoint
from charrnn_core.runs.commands import Command, send
from charrnn_core.runs.directory import RunDirectory
from tests.faults.ledger import injected, waited
from tests.faults.promises import assert_harmless
from tests.program import (
    ENDLESS,
    PATIENCE,
    PROGRAM,
    SMALL,
    TEXT,
    assert_saved,
    charrnn,
    cursor_is_shown,
    events,
    is_training,
    on_terminal,
    only_run,
    run_path,
    searched_first,
    started,
    stopped,
    updates_done,
)
from tests.program import until as wait_until
from tests.terminals import SMALL as SMALL_RUN
from tests.terminals import asked, is_saved

pytestmark = pytest.mark.fault("signal")

SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]

# -- signals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_signal_saves_and_is_recorded(here: Path, number: signal.Signals) -> None:
    with started(here, "train", "book.txt", *ENDLESS) as process:
        run = run_path(process)
        wait_until(lambda: is_training(run))
        code, err = stopped(process, number)
    assert code == 128 + number
    assert_harmless(err)
    assert number.name in events(run)[-1]["reason"]
    assert (run / "checkpoints" / "last.safetensors").exists()
    assert_saved(run)


@pytest.mark.slow
def test_a_signal_at_any_instant_is_an_end_like_others(here: Path, thorough: bool) -> None:
    generator = random.Random(11)
    for number in range(60 if thorough else 3):
        name, number = f"run-{number}", SIGNALS[number % 3]
        with started(here, "train", "book.txt", *ENDLESS, "--name", name) as process:
            time.sleep(generator.uniform(0, 1.2))
            was_told = bool(select.select([process.stdout], [], [], 0)[0])
            code, err = stopped(process, number)
        injected()
        if "KeyboardInterrupt" in err:
            assert_python_was_starting(err)
            continue
        assert_harmless(err)
        # Until the program has taken the signal over it ends as any program does.
        assert code in ((128 + number,) if was_told else (128 + number, -number))
        run = RunDirectory(here / "runs" / name)
        if code > 0 and run.events_file.path.exists():
            assert_saved(run.path)
        elif run.checkpoint_file("last").path.exists():
            newest_checkpoint(run)


def assert_python_was_starting(err: str) -> None:
    """Ctrl+C in the first hundredth of a second is Python's: nothing of the program has begun."""
    assert "charrnn_tui/cli" not in err
    assert ", in main" not in err


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc about a process")

PAIRS = [
    (signal.SIGTERM, signal.SIGINT),
    (signal.SIGHUP, signal.SIGTERM),
    (signal.SIGINT, signal.SIGHUP),
    (signal.SIGINT, signal.SIGINT),
]


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_second_signal_ends_it_at_once(here: Path, first: signal.Signals, second: signal.Signals) -> None:
    (here / "long.txt").write_text(TEXT * 4, encoding="utf-8")
    # One update takes about a tenth of a second, and has just begun when the first signal comes: the second
    # one finds it not yet obeyed.
    slow = ["--hidden", "300", "--seq-length", "3000", "--sample-every", "none"]
    with started(here, "train", "long.txt", *slow) as process:
        run = run_path(process)
        before = updates_done(run)
        wait_until(lambda: updates_done(run) > before)
        process.send_signal(first)
        # The system keeps one signal of a kind until it is taken.
        wait_until(lambda: is_taken(process.pid, first))
        code, err = stopped(process, second)
    assert code in (128 + first, 128 + second)
    assert_harmless(err)
    assert events(run)[-1]["type"] != "ended"
    read_checkpoint(run / "checkpoints" / "last.safetensors")


def is_taken(process: int, number: signal.Signals) -> bool:
    """Whether a signal that was sent does not wait any more."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    waiting = [int(bits, 16) for bits in re.findall(r"^(?:Sig|Shd)Pnd:\s*(\w+)", status, re.M)]
    return not any(bits >> (number - 1) & 1 for bits in waiting)


@needs_proc
def test_being_stopped_for_a_while_changes_nothing(here: Path) -> None:
    with started(here, "train", "book.txt", *ENDLESS) as process:
        run = run_path(process)
        wait_until(lambda: is_training(run))
        for _ in range(3):
            process.send_signal(signal.SIGSTOP)
            wait_until(
                lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
            )
            before = updates_done(run)
            process.send_signal(signal.SIGCONT)
            wait_until(lambda at=before: updates_done(run) > at)
        code, _ = stopped(process, signal.SIGTERM)
    assert code == 143
    assert_saved(run)


@pytest.mark.slow
@needs_proc
def test_a_paused_run_whose_terminal_is_gone_does_not_work_in_vain(here: Path) -> None:
    """A descriptor that has hung up is ready all the time: whoever waits for it waits no time at all."""

    def worked(process: int) -> float:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with on_terminal(here, "train", "book.txt", *ENDLESS, controlling=False) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.close()
        send(RunDirectory(run).commands_file.path, Command.make("pause"))
        wait_until(lambda: any(event["type"] == "obeyed" for event in events(run)))
        before, began = worked(terminal.process.pid), time.monotonic()
        time.sleep(1)
        share = (worked(terminal.process.pid) - before) / (time.monotonic() - began)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(PATIENCE) == 143
    assert share < 0.2


def test_a_hang_up_that_the_caller_ignores_stays_ignored(here: Path) -> None:
    nohup = ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *PROGRAM]
    with started(here, "train", "book.txt", *ENDLESS, command=nohup) as process:
        run = run_path(process)
        wait_until(lambda: is_training(run))
        process.send_signal(signal.SIGHUP)
        sent_at = updates_done(run)
        wait_until(lambda: updates_done(run) > sent_at + 1000 or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert events(run)[-1]["reason"] == "signal SIGTERM", "nohup does not protect the run"


def test_a_run_whose_path_was_printed_records_how_it_ended(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.process.send_signal(signal.SIGTERM)
        code = terminal.finish()
    assert code == 143
    assert [event["type"] for event in events(run)[-1:]] == ["ended"]


INTERRUPT = "__import__('os').kill(__import__('os').getpid(), __import__('signal').SIGINT)"
IN_A_CLASS = f"class Name:\n    def __set_name__(self, *_): {INTERRUPT}; 1\nclass Library:\n    name = Name()"
"""Where Python 3.11 turns KeyboardInterrupt into RuntimeError: NumPy has such classes."""


@pytest.mark.parametrize(
    ("module", "code"),
    [("typer", INTERRUPT), ("numpy", INTERRUPT), ("threadpoolctl", INTERRUPT), ("numpy", IN_A_CLASS)],
    ids=["typer", "numpy", "threadpoolctl", "inside NumPy"],
)
def test_ctrl_c_while_it_starts_is_no_traceback(here: Path, module: str, code: str) -> None:
    stand_in = here / "path" / f"{module}.py"
    stand_in.parent.mkdir()
    stand_in.write_text(f"{code}\nraise ImportError('not interrupted')\n", encoding="utf-8")
    finished = charrnn(here, "train", "book.txt", *SMALL, PYTHONPATH=searched_first(stand_in.parent))
    assert finished.err == ""
    assert finished.code in (130, -signal.SIGINT)


def test_ctrl_c_while_it_reads_standard_input(here: Path) -> None:
    with started(here, "train", "-", *SMALL, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(TEXT.encode() * 300)  # more than a pipe holds: some is read when this returns
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert code in (130, -signal.SIGINT)
    assert not (here / "runs").exists()


def test_ctrl_c_at_a_terminal_saves_and_gives_the_cursor_back(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.type(b"\x03")
        assert terminal.finish() == 130
    assert "Traceback" not in terminal.text
    assert cursor_is_shown(terminal.text)
    assert events(run)[-1]["reason"] == "signal SIGINT"
    assert_saved(run)


def test_closing_the_terminal_is_a_hang_up(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.close()
        code = terminal.process.wait(PATIENCE)
    assert events(run)[-1]["reason"] == "signal SIGHUP"
    assert_saved(run)
    assert code == 129


@pytest.mark.slow
def test_a_terminal_that_goes_away_does_not_stop_training(here: Path) -> None:
    """As after `disown`: the terminal is gone, but nobody sends SIGHUP."""
    with on_terminal(here, "train", "book.txt", *ENDLESS, controlling=False) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.close()
        gone_at = updates_done(run)
        wait_until(lambda: updates_done(run) > gone_at + 20_000 or terminal.process.poll() is not None)
        terminal.process.send_signal(signal.SIGTERM)
        code = terminal.process.wait(PATIENCE)
    assert [event["type"] for event in events(run)[-1:]] == ["ended"], "a view that failed ended the run"
    assert_saved(run)
    assert code == 143


SHELL = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
if sys.argv[1] == "ignore":
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
job = subprocess.Popen(sys.argv[2:], process_group=0)
os.tcsetpgrp(0, job.pid)
_, status = os.waitpid(job.pid, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.write(1, b"[stopped]")
    os.kill(job.pid, signal.SIGCONT)
    _, status = os.waitpid(job.pid, 0)
os.write(1, b"[code %d]" % os.waitstatus_to_exitcode(status))
"""
"""A shell with job control that does nothing but one `fg`."""


def test_ctrl_z_and_fg(here: Path) -> None:
    shell = [sys.executable, "-c", SHELL, "", *PROGRAM]
    with on_terminal(here, "train", "book.txt", *ENDLESS, command=shell, out_too=True) as terminal:
        terminal.read_until("updates/s")
        terminal.type(b"\x1a")
        terminal.read_until(r"\[stopped\]")
        while_stopped = terminal.text.partition("[stopped]")[0]
        terminal.read_until("updates/s", since=len(terminal.seen))
        terminal.type(b"\x03")
        terminal.read_until(r"\[code \d+\]")
    assert "[code 130]" in terminal.text
    assert_saved(only_run(here))
    assert cursor_is_shown(terminal.text)
    assert cursor_is_shown(while_stopped), "Ctrl+Z leaves the shell without a cursor"


def test_ctrl_z_that_the_caller_ignores_stays_ignored(here: Path) -> None:
    shell = [sys.executable, "-c", SHELL, "ignore", *PROGRAM]
    with on_terminal(here, "train", "book.txt", *ENDLESS, command=shell, out_too=True) as terminal:
        terminal.read_until("updates/s")
        terminal.type(b"\x1a")
        terminal.read_until("updates/s", since=len(terminal.seen))
        terminal.type(b"\x03")
        terminal.read_until(r"\[code \d+\]")
    assert "[stopped]" not in terminal.text
    assert "[code 130]" in terminal.text


def test_a_stop_after_the_terminal_has_gone_does_not_end_training(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS, controlling=False) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.close()
        for _ in range(3):  # at different moments
            terminal.process.send_signal(signal.SIGTSTP)
            sent_at = updates_done(run)
            wait_until(
                lambda before=sent_at: updates_done(run) > before or terminal.process.poll() is not None
            )
        terminal.process.send_signal(signal.SIGTERM)
        code = terminal.process.wait(PATIENCE)
    assert [event["type"] for event in events(run)[-1:]] == ["ended"]
    assert code == 143


def test_ctrl_z_where_no_shell_could_continue_it(here: Path) -> None:
    """As in `ssh -t host charrnn train`: the system itself then ignores Ctrl+Z, and so must the program."""
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.type(b"\x1a")
        pressed_at = len(terminal.seen)
        terminal.read_until("(?s)updates/s.*updates/s", since=pressed_at)
        terminal.type(b"\x03")
        assert terminal.finish() == 130
    assert_saved(run)


INTERRUPTED_AT_THE_END = """
import os, signal
from pathlib import Path
really = os.fsync
def fsync(descriptor):
    really(descriptor)
    logs = list(Path("runs").glob("*/events.jsonl"))
    if logs and '"type":"ended"' in logs[0].read_text(encoding="utf-8"):
        os.kill(os.getpid(), signal.SIGINT)
os.fsync = fsync
"""


def test_ctrl_c_when_the_run_has_just_ended_gives_the_cursor_back(here: Path) -> None:
    """As with an impatient second Ctrl+C."""
    (here / "path").mkdir()
    (here / "path" / "sitecustomize.py").write_text(INTERRUPTED_AT_THE_END, encoding="utf-8")
    with on_terminal(here, "train", "book.txt", *SMALL, PYTHONPATH=searched_first(here / "path")) as terminal:
        run = run_path(terminal.process)
        assert terminal.finish() in (0, 130, -signal.SIGINT)
    assert "Traceback" not in terminal.text
    assert_saved(run)
    assert cursor_is_shown(terminal.text)


# -- the dashboard -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_restores_the_terminal_and_the_trainer_saves(
    book: Any, dashboard: Any, number: signal.Signals
) -> None:
    terminal, run = book
    assert {1049, 1000, 1003, 1006, 2004} <= terminal.screen.modes
    assert 25 not in terminal.screen.modes
    terminal.process.send_signal(number)
    assert terminal.ends() == 128 + number
    assert terminal.restored
    assert len(terminal.said) == 3
    run.done()
    assert run.ended["reason"] == "owner gone"
    assert is_saved(run)


def test_a_signal_at_any_instant_leaves_the_terminal_as_it_was(dashboard: Any, thorough: bool) -> None:
    generator = random.Random(12)
    for number in range(60 if thorough else 3):
        name, number = f"run-{number}", SIGNALS[number % 3]
        terminal = dashboard("book.txt", *SMALL_RUN, "--name", name)
        time.sleep(generator.uniform(0, 1.5))
        terminal.process.send_signal(number)
        code = terminal.ends()
        injected()
        if "KeyboardInterrupt" in terminal.screen.plain:
            assert_python_was_starting(terminal.screen.plain)
            terminal.screen.plain = ""
            continue
        assert code in (128 + number, -number)
        assert terminal.restored
        if code > 0:
            assert len(terminal.said) in (0, 3)  # three lines of what there is, once there is something
    for path in dashboard.where.glob("runs/*"):
        wait_until(lambda: not RunDirectory(path).is_locked())  # noqa: B023
        if RunDirectory(path).checkpoint_file("last").path.exists():
            assert newest_checkpoint(RunDirectory(path))[1] == []


@pytest.mark.slow
def test_a_signal_while_a_question_is_asked(book: Any) -> None:
    terminal, run = book
    terminal.type("q")
    terminal.shows("Stop training?")
    terminal.process.terminate()
    assert terminal.ends() == 128 + signal.SIGTERM
    assert terminal.restored
    run.done()


@pytest.mark.slow
def test_a_terminal_that_is_closed_while_a_question_is_asked(book: Any) -> None:
    terminal, run = book
    terminal.type("q")
    terminal.shows("Stop training?")
    terminal.close()
    assert terminal.ends() == 128 + signal.SIGHUP
    run.done()
    assert is_saved(run)


@pytest.mark.slow
def test_a_second_signal_changes_nothing(book: Any) -> None:
    terminal, run = book
    terminal.process.terminate()
    terminal.process.terminate()
    # Once the terminal is left, and there are but words to say, it ends as any program does.
    assert terminal.ends() in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert terminal.restored
    run.done()
    assert is_saved(run)


@pytest.mark.slow
def test_a_signal_at_the_first_paint(dashboard: Any, until: Any) -> None:
    for _ in range(3):
        terminal = dashboard("book.txt", *SMALL_RUN)
        until(lambda at=terminal: b"\x1b[?1049h" in at.seen)
        terminal.process.terminate()
        assert terminal.ends() == 128 + signal.SIGTERM
        assert terminal.restored


@pytest.mark.slow
def test_a_terminal_that_is_closed_at_the_first_paint(dashboard: Any, until: Any) -> None:
    for word in (b"\x1b[?1049h", b"Loss"):
        terminal = dashboard("book.txt", *SMALL_RUN)
        until(lambda at=terminal, word=word: word in at.seen)
        terminal.close()
        assert terminal.ends() == 128 + signal.SIGHUP


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("keys", ["q", "qq", "\x03\x03"])
def test_leaving_at_the_first_paint(dashboard: Any, until: Any, keys: str) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN)
    until(lambda: b"\x1b[?1049h" in terminal.seen)
    terminal.type(keys)
    assert terminal.ends() in (0, 128 + signal.SIGINT)
    assert terminal.restored
    for log in dashboard.where.glob("runs/*/events.jsonl"):
        until(lambda at=log: b'"ended"' in at.read_bytes())


@pytest.mark.slow
def test_without_a_signal_a_terminal_that_is_closed_is_noticed_too(dashboard: Any) -> None:
    # As for what `nohup` starts, and for whatever is not in the foreground of its terminal.
    dashboard.program = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *dashboard.program]
    terminal = dashboard("book.txt", *SMALL_RUN)
    terminal.shows("● training")
    run = terminal.run()
    terminal.close()
    assert terminal.ends() == 128 + signal.SIGHUP
    run.done()
    assert is_saved(run)


@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_the_dashboard_and_the_trainer_saves(
    book: Any, dashboard: Any
) -> None:
    terminal, run = book
    terminal.close()
    assert terminal.ends() == 128 + signal.SIGHUP
    run.done()
    assert run.ended["reason"] == "owner gone"
    assert is_saved(run)


@pytest.mark.slow
def test_a_terminal_that_hangs_and_then_is_closed(book: Any) -> None:
    terminal, run = book
    terminal.hangs()
    terminal.close()
    assert terminal.ends() == 128 + signal.SIGHUP
    run.done()
    assert run.ended["reason"] == "owner gone"
    assert is_saved(run)


@pytest.mark.slow
def test_a_terminal_that_hangs_holds_up_nothing_and_is_painted_when_it_goes_on(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.hangs()
    terminal.type(" ")
    asked(run, "pause")
    terminal.held = False
    terminal.shows("paused", "Loss")
    assert terminal.stops() == 0
    assert terminal.restored
    assert not terminal.screen.strangers


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_terminal_hangs(book: Any, number: signal.Signals) -> None:
    terminal, run = book
    terminal.hangs()
    began = time.monotonic()
    terminal.process.send_signal(number)
    assert terminal.process.wait(PATIENCE) == 128 + number
    waited(time.monotonic() - began)
    run.done()
    assert is_saved(run)
    terminal.held = False
    assert terminal.ends() == 128 + number
    assert terminal.restored
    # A terminal that took everything after all, while the trainer saved, is left as if it had not hung.
    assert not terminal.said or "interrupted" in terminal.said[0]
    terminal.screen.strangers.clear()  # what waited in the kernel was dropped, in the middle of a sequence


@pytest.mark.slow
def test_a_dashboard_that_is_killed_loses_nothing(book: Any, dashboard: Any) -> None:
    terminal, run = book
    terminal.process.kill()
    terminal.ends()
    run.done()
    assert run.ended["reason"] == "owner gone"
    assert is_saved(run)
    end = run.ended["update"]
    resumed = dashboard.charrnn("resume", str(run.path), "--updates", str(end + 50), "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    assert (run.of_type("resumed")[0]["update"], run.ended["update"]) == (end, end + 50)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc whether a process is stopped")
@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_stopped_by_a_signal_and_continued(book: Any, until: Any, number: signal.Signals) -> None:
    terminal, run = book
    terminal.process.send_signal(number)
    until(lambda: " T " in Path(f"/proc/{terminal.process.pid}/stat").read_text(encoding="utf-8"))
    if number == signal.SIGTSTP:
        until(lambda: terminal.restored)
    run.goes_on()
    terminal.screen.resize(40, 120)  # what others have written there meanwhile is not known
    terminal.process.send_signal(signal.SIGCONT)
    terminal.shows("● training", "╭─ Loss", "╭─ Evolution", "q Quit")
    assert terminal.stops() == 0
    assert terminal.restored
    run.done()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc whether a process is stopped")
@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_stopped_by_a_signal_and_ended_by_another(book: Any, until: Any, number: signal.Signals) -> None:
    terminal, run = book
    terminal.process.send_signal(number)
    until(lambda: " T " in Path(f"/proc/{terminal.process.pid}/stat").read_text(encoding="utf-8"))
    terminal.process.terminate()
    terminal.process.send_signal(signal.SIGCONT)
    assert terminal.ends() == 128 + signal.SIGTERM
    assert terminal.restored
    run.done()
