"""The dashboard in a real pseudo-terminal: what a terminal shows, and how a user acts."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.files import Entry
from charrnn_core.runs.lock import is_locked
from tests.characters import FORBIDDEN
from tests.faults.ledger import waited
from tests.program import PATIENCE, PROGRAM, TEXT, EscapeError, HangError, TracebackError, until

SMALL = ["--hidden", "8", "--seq-length", "5", "--sample-length", "40"]

_UNWANTED = {
    *("NO_COLOR", "FORCE_COLOR", "CHARRNN_RUNS", "COLUMNS", "LINES", "PYTHONWARNINGS", "COLORTERM"),
    *("TERM_PROGRAM", "TEXTUAL_THEME", "LC_ALL", "LC_CTYPE", "LANG"),
}

_SEQUENCE = re.compile(
    r"\x1b\[(?:(?P<at>\d+;\d+)H|(?P<home>H)|(?P<clear>2J)|[\d;:]*m|\?(?P<modes>[\d;]+)(?P<switch>[hl])"
    r"|\?2026\$p|\?2048\$p|>(?P<push>\d+)u|<(?P<pop>\d*)u|(?P<moved>\d*[A-D])|[0-2]?[JK])|\x1b\]22;[a-z-]+\x07"
)
"""All that a dashboard has to say to a terminal besides text; titles, clipboard and sounds are not in it."""


_BEGUN = r"\x1b(\[[?<>\d;:$]*|\]2?2?;?[a-z-]*)?"


class Screen:
    """What a terminal that gets these bytes shows; and what in them it should never have got.

    Attributes
    ----------
    modes : set of int
        The private modes that are switched on.
    strangers : list of str
        Control characters and sequences that are none of the dashboard's, and what no terminal shows.
    plain : str
        What was written while the alternate screen was not shown.
    """

    def __init__(self, lines: int, columns: int) -> None:
        self.modes = {7, 25}
        self.pushed = 0  # keyboard protocols
        self.strangers: list[str] = []
        self.plain = ""
        self.resize(lines, columns)

    def resize(self, lines: int, columns: int) -> None:
        self.columns = columns
        self.rows = [[" "] * columns for _ in range(lines)]
        self.x = self.y = 0

    @property
    def text(self) -> str:
        return "\n".join("".join(row) for row in self.rows)

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was: normal screen, cursor, no mouse, no pasting, keys as ever."""
        return self.modes == {7, 25} and self.pushed == 0

    def feed(self, text: str) -> str:
        """Take text in, and return the beginning of a sequence that is not whole yet."""
        place = 0
        while place < len(text):
            if text[place] != "\x1b":
                end = text.find("\x1b", place)
                end = len(text) if end < 0 else end
                self._write(text[place:end])
                place = end
                continue
            found = _SEQUENCE.match(text, place)
            if found is not None:
                self._obey(found)
                place = found.end()
            elif cancelled := re.match(_BEGUN + r"\x18", text[place : place + 40]):
                place += cancelled.end() - 1
            elif re.fullmatch(_BEGUN, text[place : place + 40]):
                return text[place:]
            else:
                self.strangers.append(repr(text[place : place + 20]))
                place += 1
        return ""

    def _obey(self, found: re.Match[str]) -> None:
        if found["at"]:
            self.y, self.x = (int(number) - 1 for number in found["at"].split(";"))
        elif found["home"]:
            self.y = self.x = 0
        elif found["clear"]:
            self.rows = [[" "] * self.columns for _ in self.rows]
        elif found["modes"]:
            numbers = {int(number) for number in found["modes"].split(";")}
            self.modes = self.modes | numbers if found["switch"] == "h" else self.modes - numbers
        elif found["push"]:
            self.pushed += 1
        elif found["pop"] is not None:
            self.pushed -= int(found["pop"] or 1)

    def _write(self, text: str) -> None:
        if 1049 not in self.modes:
            self.plain += text.replace("\x18", "")
        for character in text:
            if character == "\r":
                self.x = 0
            elif character == "\x18":
                pass  # what was begun before is cancelled
            elif character == "\n":
                self.y += 1
            elif FORBIDDEN.match(character):
                self.strangers.append(repr(character))
            else:
                width = cell_len(character)
                if 0 <= self.y < len(self.rows) and 0 <= self.x < self.columns and width:
                    self.rows[self.y][self.x] = character
                    if width == 2 and self.x + 1 < self.columns:
                        self.rows[self.y][self.x + 1] = ""
                self.x += width


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    """Wait for something to become true."""
    return until


@dataclass(frozen=True)
class Run:
    """A run directory, read as anybody can read it."""

    path: Path

    @property
    def events(self) -> list[dict[str, Any]]:
        log = self.path / "events.jsonl"
        lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
        return [json.loads(line) for line in lines]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def obeyed(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.of_type("obeyed") if event["name"] == name]

    @property
    def update(self) -> int:
        return max((event["update"] for event in self.events), default=-1)

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads((self.path / "status.json").read_text(encoding="utf-8"))
        return status

    @property
    def trained(self) -> bool:
        """Whether a process trains it now."""
        return is_locked(Entry.at(self.path / ".lock"))

    @property
    def trainer(self) -> int:
        """The id of the process that has or had it."""
        return int((self.path / ".lock").read_text(encoding="utf-8"))

    @property
    def ended(self) -> dict[str, Any]:
        """How it ended: the last event of all."""
        last = self.events[-1]
        assert last["type"] == "ended", last
        return last

    def goes_on(self) -> None:
        """Wait until updates were done after this call."""
        before = self.update
        until(lambda: self.trained and self.update > before, lambda: str(self.events[-1]))

    def done(self, number: int = 1) -> None:
        """Wait until nobody trains it any more."""
        until(lambda: not self.trained and len(self.of_type("ended")) >= number)


@dataclass
class Terminal:
    """A terminal with a program in it, which is read all the time."""

    where: Path
    master: int
    name: str
    process: subprocess.Popen[bytes]
    before: list[Any]
    screen: Screen
    seen: bytearray = field(default_factory=bytearray)
    held: bool = False  # nothing is read, as when a connection hangs
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reader: threading.Thread | None = None
    _closed: bool = False
    _reads: bool = True

    def start(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        rest, decode = "", codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        # A read that waits would hold the terminal open when it is closed.
        while not self._closed:
            self._reads = not self.held
            if not select.select([self.master] if self._reads else [], [], [], 0.02)[0]:
                continue
            try:
                block = os.read(self.master, 65536)
            except OSError:  # Linux says EIO where others say end of file
                return
            if not block:
                return
            with self._lock:
                self.seen += block
                rest = self.screen.feed(rest + decode(block))

    @property
    def text(self) -> str:
        """What is shown."""
        with self._lock:
            return self.screen.text

    @property
    def foot(self) -> str:
        """The last line that is shown."""
        with self._lock:
            return "".join(self.screen.rows[-1])

    @property
    def said(self) -> list[str]:
        """The lines outside the alternate screen."""
        with self._lock:
            return [line.rstrip("\r") for line in self.screen.plain.split("\n") if line.strip()]

    def shows(self, *words: str) -> None:
        """Wait until all these words are on the screen."""
        until(
            lambda: all(word in self.text for word in words) or self.process.poll() is not None,
            lambda: f"{words} in\n{self.text}",
        )
        assert all(word in self.text for word in words), f"ended with {self.process.returncode}: {self.said}"

    def gone(self, word: str) -> None:
        """Wait until a word is no longer on the screen."""
        until(lambda: word not in self.text, lambda: self.text)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def focuses(self, key: str) -> None:
        """Press the key of a pane, and wait until the pane has the keys."""
        self.type(key)
        # Seen only after what came before it was done; and then the temperature as it was.
        self.type("t")
        self.shows("temperature 0.9")
        self.type("T")
        self.shows("temperature 1 ")

    def begins(self, key: str) -> None:
        """Press the key of a box, and wait until typing goes into it."""
        self.type(key)
        until(lambda: "Esc Leave" in self.foot, lambda: self.text)

    def stops(self) -> int:
        """Stop the run as a user does, and return the exit code."""
        self.type("q")
        self.shows("Stop training?")
        self.type("\r")
        return self.ends()

    def resize(self, lines: int, columns: int) -> None:
        """Give the terminal another size; the program gets SIGWINCH from the kernel."""
        with self._lock:
            self.screen.resize(lines, columns)
        termios.tcsetwinsize(self.master, (lines, columns))

    def hangs(self) -> None:
        """Read no more, until the program has written all that the terminal takes."""
        self.held = True
        until(lambda: not self._reads)
        descriptor = os.open(self.name, os.O_WRONLY | os.O_NOCTTY)
        paints = 0

        def is_full() -> bool:
            nonlocal paints
            paints += 1
            self.resize(30 + paints % 9, 100 + paints % 7)
            return not select.select([], [descriptor], [], 0)[1]

        until(is_full)
        os.close(descriptor)

    def close(self) -> None:
        """Close the terminal's window."""
        if not self._closed:
            self._closed = True
            assert self._reader is not None
            self._reader.join()
            os.close(self.master)

    def ends(self) -> int:
        """Wait for the program's end, read the rest and return its exit code."""
        began = time.monotonic()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise HangError(f"still there:\n{self.text}\n{self.said}") from None
        waited(time.monotonic() - began)
        if not self._closed:
            assert self._reader is not None
            self._reader.join(PATIENCE)
        return code

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was: its modes, and the settings of the line."""
        return self.screen.restored and termios.tcgetattr(self.master) == self.before

    def run(self, name: str = "") -> Run:
        """Return the only run, or the one of this name, once training has begun."""
        runs = self.where / "runs"
        until(lambda: list(runs.glob(f"{name or '*'}/events.jsonl")), lambda: str(self.said))
        (log,) = runs.glob(f"{name or '*'}/events.jsonl")
        run = Run(log.parent)
        until(lambda: run.update > 0)
        return run


class Dashboards:
    """Starts the program in terminals of their own, and ends all that it has started."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.program = PROGRAM
        self._terminals: list[Terminal] = []

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
        own = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": str(self.where / "config")}
        return {**kept, **own, "OPENBLAS_NUM_THREADS": "1", **changes}

    def __call__(
        self,
        *arguments: str,
        size: tuple[int, int] = (40, 120),
        stdin: Any = None,
        stderr: Any = None,
        **changes: str,
    ) -> Terminal:
        """Start `charrnn tui` with these arguments in a terminal of this size."""
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, size)
        before = termios.tcgetattr(slave)
        process = subprocess.Popen(
            [*self.program, "tui", *arguments],
            cwd=self.where,
            env=self.environment(**changes),
            stdin=slave if stdin is None else stdin,
            stdout=slave,
            stderr=slave if stderr is None else stderr,
            start_new_session=True,
            # Hanging up reaches those whose controlling terminal it is.
            preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),
        )
        name = os.ttyname(slave)
        os.close(slave)
        screen = Screen(*(size if all(size) else (24, 80)))
        terminal = Terminal(self.where, master, name, process, before, screen)
        terminal.start()
        self._terminals.append(terminal)
        return terminal

    def charrnn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the program to its end, without a terminal."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.where,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            text=True,
        )

    def comes(self, condition: Callable[[], object], seconds: float = 1.0) -> bool:
        """Return whether something comes that should not; it has this long."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def end(self) -> None:
        for terminal in self._terminals:
            terminal.process.kill()
            terminal.process.wait()
            terminal.close()
        # What a dashboard has left training ends too; nobody else has runs in this folder.
        for log in self.where.glob("runs/*/events.jsonl"):
            run = Run(log.parent)
            with suppress(ProcessLookupError, ValueError, FileNotFoundError):
                while run.trained:
                    os.kill(run.trainer, signal.SIGKILL)
                    time.sleep(0.01)

    def check(self) -> None:
        """Nothing was sent to a terminal that is none of the dashboard's own, and no traceback was shown."""
        for terminal in self._terminals:
            if terminal.screen.strangers:
                raise EscapeError(str(terminal.screen.strangers[:5]))
            if "Traceback" in terminal.screen.plain:
                raise TracebackError(terminal.screen.plain)


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboards]:
    """The dashboard, started in a folder with a text in it."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    dashboards = Dashboards(tmp_path)
    yield dashboards
    dashboards.end()
    dashboards.check()


def is_saved(run: Run) -> bool:
    """Whether the last event is `ended`, and names the state of a checkpoint that is whole."""
    saved = read_checkpoint(run.path / "checkpoints" / "last.safetensors")
    return bool(saved.state_sha256 == run.ended["state_sha256"])


@pytest.fixture
def book(dashboard: Dashboards) -> tuple[Terminal, Run]:
    """A dashboard that has started a run of its own on a small text, and the run."""
    terminal = dashboard("book.txt", *SMALL)
    terminal.shows("● training")
    return terminal, terminal.run()


def asked(run: Run, name: str, times: int = 1) -> dict[str, Any]:
    """Wait for the answer to a command, and return it."""
    until(lambda: len(run.obeyed(name)) >= times, lambda: str(run.events[-1]))
    answer: dict[str, Any] = run.obeyed(name)[times - 1]
    return answer
