"""The program as a user runs it: in a shell, with pipes, at a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.checkpoint import read_checkpoint
from tests.faults.ledger import waited

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
TEXT = "the cat sat on the mat and the dog sat on the log.\n" * 60
SMALL = ["--updates", "30", "--hidden", "8", "--seq-length", "5", "--sample-length", "20"]
ENDLESS = [*SMALL, "--updates", "none", "--seconds", "300"]
PATIENCE = float(os.environ.get("CHARRNN_PATIENCE", "60"))
"""Seconds until something that should have happened counts as hanging."""


class TracebackError(AssertionError):
    """The program has shown a traceback."""


class EscapeError(AssertionError):
    """Something that a terminal obeys has reached one, or a pipe, and is none of the program's own."""


class HangError(AssertionError):
    """What should have happened has not."""


_UNWANTED = {"NO_COLOR", "FORCE_COLOR", "CHARRNN_RUNS", "COLUMNS", "LINES", "PYTHONWARNINGS"}


def environment(**changes: str) -> dict[str, str]:
    """Return the environment without what would change the program's output, and with `changes`."""
    kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    return {**kept, "TERM": "xterm", "OPENBLAS_NUM_THREADS": "1", **changes}


def searched_first(folder: Path) -> str:
    """Return a PYTHONPATH with this folder before what it has now."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


@dataclass(frozen=True)
class Finished:
    """What a command has done.

    Attributes
    ----------
    code : int
    out, err : str
        What is not UTF-8 is in `out` as Python has it in file names, and escaped in `err`.
    seconds : float
        From its start to its end.
    """

    code: int
    out: str
    err: str
    seconds: float


def charrnn(where: Path, *arguments: str | bytes, given: bytes = b"", **changes: str) -> Finished:
    """Run the program to its end, with pipes for its three streams."""
    return finish([*PROGRAM, *arguments], where, given, **changes)


def finish(command: list[str | bytes], where: Path, given: bytes = b"", **changes: str) -> Finished:
    """Run a command to its end, with pipes for its three streams."""
    began = time.monotonic()
    process = subprocess.run(
        command,
        cwd=where,
        env=environment(**changes),
        input=given,
        capture_output=True,
        timeout=PATIENCE,
    )
    out = process.stdout.decode(errors="surrogateescape")
    err = process.stderr.decode(errors="backslashreplace")
    return Finished(process.returncode, out, err, time.monotonic() - began)


def most_memory(where: Path, *arguments: str) -> tuple[int, int]:
    """Run the program, and return its exit code and the most memory that it had, in bytes."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*PROGRAM, *arguments], cwd=where, env=environment(), **quiet)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss << 10


def in_shell(line: str, where: Path, *arguments: str, **changes: str) -> Finished:
    """Run a line of the shell, in which "$@" is the program with its arguments."""
    return finish(["/bin/bash", "-c", line, "bash", *PROGRAM, *arguments], where, **changes)


def without_privileges() -> list[str]:
    """Return what to put before a command so that the permissions of files hold for it, even for root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("nothing is forbidden to root")
    return ["setpriv", "--bounding-set", "-all"]


@contextmanager
def started(where: Path, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program, and kill it at the end if it still runs; `changes` are of its environment."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    command, changes = options.pop("command", PROGRAM), options.pop("changes", {})
    variables = environment(**changes)
    with subprocess.Popen([*command, *arguments], cwd=where, env=variables, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def stopped(process: subprocess.Popen[bytes], number: int) -> tuple[int, str]:
    """Send a signal, and return the exit code that it leads to and what was said on stderr."""
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    waited(time.monotonic() - began)
    return process.returncode, err.decode(errors="backslashreplace")


def run_path(process: subprocess.Popen[bytes]) -> Path:
    """Return the path that a process prints first."""
    assert process.stdout is not None
    return Path(process.stdout.readline().decode().rstrip("\n"))


def until(condition: Callable[[], object], told: Callable[[], str] = lambda: "") -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise HangError(f"waited in vain: {told()}")
        time.sleep(0.01)


def events(run: Path) -> list[dict[str, Any]]:
    """Return the events in whole lines of a run's log."""
    log = run / "events.jsonl"
    # Not splitlines: a text may have separators of lines in it that are none of the log's.
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    return [json.loads(line) for line in lines]


def of_type(run: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in events(run) if event["type"] == kind]


def only_run(where: Path) -> Path:
    (run,) = (where / "runs").iterdir()
    return run


def updates_done(run: Path) -> int:
    return max((int(event["update"]) for event in events(run)), default=0)


def is_training(run: Path) -> bool:
    return updates_done(run) > 0


def assert_saved(run: Path) -> None:
    """The last event is `ended`, and `last` is the state that it names."""
    ended = events(run)[-1]
    assert ended["type"] == "ended"
    assert read_checkpoint(run / "checkpoints" / "last.safetensors").state_sha256 == ended["state_sha256"]


class Lines:
    """What a process says on its standard output, read by a thread of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.lines: list[str] = []
        self.update = 0
        assert process.stdout is not None
        # A duplicate, because `started` closes the process's own stream while this thread still reads.
        self._stream = os.fdopen(os.dup(process.stdout.fileno()), "rb")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                if line.endswith(b"\n"):  # a killed process may leave a partial line
                    self.lines.append(line.decode().rstrip("\n"))
                    self.update = json.loads(line)["update"]

    def wait_for(self, update: int) -> None:
        """Wait until it has told of so many updates."""
        until(lambda: self.update >= update)

    def end(self) -> None:
        """Read to the end."""
        self._thread.join(PATIENCE)


def assert_ended(run: Path) -> None:
    """The log is whole lines of JSON, the last one says how the run ended, and there is a checkpoint."""
    assert (run / "events.jsonl").read_bytes().endswith(b"\n")
    assert events(run)[-1]["type"] == "ended"
    assert (run / "checkpoints" / "last.safetensors").exists()


@dataclass
class Terminal:
    """A terminal of 24 lines and 80 columns with a program in it.

    Its stderr, and where asked for its stdout, are the terminal; and so is its standard input.
    """

    master: int
    process: subprocess.Popen[bytes]
    seen: bytearray = field(default_factory=bytearray)
    closed: bool = False

    @property
    def text(self) -> str:
        return self.seen.decode(errors="replace")

    def read_until(self, pattern: str | None, since: int = 0) -> None:
        """Read until a pattern was seen after `since` bytes, or, without one, until the end."""
        wanted = None if pattern is None else re.compile(pattern.encode())
        deadline = time.monotonic() + PATIENCE
        while wanted is None or not wanted.search(self.seen, since):
            if time.monotonic() > deadline:
                raise HangError(f"no {pattern!r} in {self.text[-500:]!r}")
            if not select.select([self.master], [], [], 0.1)[0]:
                continue
            try:
                block = os.read(self.master, 65536)
            except OSError:  # Linux says EIO where others say end of file
                block = b""
            if not block:
                assert pattern is None, f"ended without {pattern!r}: {self.text[-500:]!r}"
                return
            self.seen += block

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def close(self) -> None:
        """Close the terminal's window."""
        if not self.closed:
            self.closed = True
            os.close(self.master)

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        began = time.monotonic()
        self.read_until(None)
        code = self.process.wait(PATIENCE)
        waited(time.monotonic() - began)
        return code


@contextmanager
def on_terminal(
    where: Path,
    *arguments: str,
    controlling: bool = True,
    out_too: bool = False,
    command: list[str] | None = None,
    **changes: str,
) -> Iterator[Terminal]:
    """Run the program in a terminal of its own, killed at the end if it still runs."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    process = subprocess.Popen(
        [*(command or PROGRAM), *arguments],
        cwd=where,
        env=environment(**changes),
        stdin=slave,
        stdout=slave if out_too else subprocess.PIPE,
        stderr=slave,
        start_new_session=True,
        # Ctrl+C and hanging up reach those whose controlling terminal it is.
        preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None,
    )
    os.close(slave)
    terminal = Terminal(master, process)
    try:
        with process:
            try:
                yield terminal
            finally:
                process.kill()
    finally:
        terminal.close()


def cursor_is_shown(text: str) -> bool:
    return text.rfind("\x1b[?25h") >= text.rfind("\x1b[?25l")
