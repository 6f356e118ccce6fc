"""The dashboard in a real pseudo-terminal, and played without one: what tests of it are made of."""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.css.model import RuleSet
from textual.css.parse import parse
from textual.css.tokenizer import Token
from textual.pilot import Pilot
from textual.widgets import DirectoryTree

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.lock import is_locked
from charrnn_core.training.settings import Settings
from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.terminal import harmless

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
PATIENCE = 20.0  # seconds until something that should have happened counts as hanging
TEXT = "the cat sat on the mat and the dog sat on the log.\n" * 60
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
        Control characters and sequences that are none of the dashboard's, and text that `harmless` changes.
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
            elif character == "\t" or harmless(character) != character:
                self.strangers.append(repr(character))
            else:
                width = cell_len(character)
                if 0 <= self.y < len(self.rows) and 0 <= self.x < self.columns and width:
                    self.rows[self.y][self.x] = character
                    if width == 2 and self.x + 1 < self.columns:
                        self.rows[self.y][self.x + 1] = ""
                self.x += width


@pytest.fixture(name="until")
def _until() -> Callable[..., None]:
    """Wait for something to become true."""
    return until


def until(condition: Callable[[], object], told: Callable[[], str] = lambda: "") -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {told()}"
        time.sleep(0.01)


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
        return is_locked(self.path / ".lock")

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
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still there:\n{self.text}\n{self.said}")
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


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboards]:
    """The dashboard, started in a folder with a text in it."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    dashboards = Dashboards(tmp_path)
    yield dashboards
    dashboards.end()


# -- a dashboard without a terminal, and a trainer that the test plays ---------------------------------------


class FakeTrainer:
    """A process that a test plays in place of `charrnn train` or `charrnn resume`."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.arguments = list(arguments)
        self.code: int | None = None
        self.path: Path | None = None
        self.released = False

    def run_path(self) -> Path | None:
        return self.path

    def error(self) -> str:
        return ""

    def release(self) -> None:
        self.released = True


def progress(update: int, first: int, loss: float) -> dict[str, Any]:
    same = dict.fromkeys(("loss_mean", "loss_min", "loss_max", "smooth_loss"), loss)
    same |= {"loss_min": loss - 9, "loss_max": loss + 9}
    return {
        **{"type": "progress", "update": update, "first_update": first},
        **{"time": update / 100, "epoch": update / 50},
        **same,
    }


def checked(update: int, *, passed: bool = True) -> dict[str, Any]:
    """A check of three parameters, the second of them wrong where it has not passed."""
    rows = [
        {
            **{"parameter": name, "method": method, "h0": h0, "window": "text", "shape": [7, 5]},
            **{"step": 1e-5, "selection": "first:20", "floor": 1e-12, "maximum_relative_error": 3e-7},
            "passed": passed or name != "W",
            "compared": [{"index": [0, 3], "analytic": 0.25, "numeric": 0.25}],
        }
        for method, h0 in (("central", "zeros"), ("complex-step", "carried"))
        for name in "UWV"
    ]
    return {"type": "gradients_checked", "update": update, "time": update / 100, "rows": rows}


SAMPLES = ["the fox\nran", "the cat [sat]", "a \x1b[31mdog\x1b[0m lay"]
"""What the network of `write_run` wrote, after 0, 100 and 200 updates."""


def write_run(path: Path, reason: str | None = "updates", **given: Any) -> RunDirectory:
    """Write a run of 200 updates, with samples and two checks; ended, unless it has no reason."""
    settings = Settings.of(**given).to_json()
    directory = RunDirectory(path)
    directory.checkpoints.mkdir(parents=True)
    corpus = {"name": "fable", "characters": 900, "vocabulary_size": 40, "sha256": "0" * 64}
    config = {"created": "2026-01-01T00:00:00Z", "settings": settings, "corpus": corpus}
    directory.config_path.write_text(json.dumps(config))
    opening = {"settings": settings, "corpus": corpus, "engine": "numpy", "threads": 1}
    events: list[dict[str, Any]] = [{"type": "started", "update": 0, "time": 0.0, **opening}, checked(0)]
    events += [progress(update, update - 9, 100 - update / 10) for update in range(10, 201, 10)]
    events.insert(12, checked(100, passed=False))
    for number, text in enumerate(SAMPLES):
        sample = {"text": text, "temperature": 1.0, "prime": "", "smooth_loss": 100.0 - 10 * number}
        events.append({"type": "sample", "update": 100 * number, "time": float(number), **sample})
    if reason is not None:
        events.append({"type": "ended", "update": 200, "time": 2.0, "reason": reason, "best_loss": None})
    directory.events_path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return directory


class Stage:
    """A dashboard that is played without a terminal, and the process that trains its run, played too.

    Attributes
    ----------
    app : Dashboard
    run : RunDirectory
        The run that is shown at first.
    """

    def __init__(self, app: Dashboard, pilot: Pilot[int], run: RunDirectory, lock: int | None) -> None:
        self.app = app
        self.pilot = pilot
        self.run = run
        self._lock = lock
        self._answered = 0
        self._update = 200

    # -- what a user does ----------------------------------------------------------------------------------

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        """Wait for what has been started to end: reading, and messages between widgets."""
        for _ in range(2):
            await self.pilot.pause()
            await self.until(self._is_idle)

    def _is_idle(self) -> bool:
        pumps = [self.app, *(pump for screen in self.app.screen_stack for pump in screen.walk_children())]
        # A tree of directories reads in a worker that never ends.
        workers = [worker for worker in self.app.workers if not isinstance(worker.node, DirectoryTree)]
        return all(worker.is_finished for worker in workers) and not any(
            pump.message_queue_size for pump in (*pumps, *self.app.screen_stack)
        )

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that a thread is doing."""
        for _ in range(1000):
            if condition():
                return
            await self.pilot.pause()
        raise AssertionError("waited in vain")

    # -- what a user sees ----------------------------------------------------------------------------------

    @property
    def screen(self) -> Any:
        return self.app.screen

    def shown(self, lines: str) -> str:
        """The text in a part of the screen."""
        return "\n".join(self.screen.query_one(lines, Lines).shown)

    def foot_of(self, pane: str) -> str:
        """What stands in the lower edge of a pane."""
        return str(self.screen.query_one(pane).border_subtitle)

    @property
    def told(self) -> list[str]:
        """The notifications."""
        return [notification.message for notification in self.app._notifications]

    @property
    def focus(self) -> str:
        """The class of the widget that has focus."""
        return type(self.screen.focused).__name__

    # -- what a trainer does -------------------------------------------------------------------------------

    @property
    def commands(self) -> list[dict[str, Any]]:
        """What was asked of the run, without the ids."""
        return [
            {name: value for name, value in command.items() if name != "id"} for command in self._commands()
        ]

    def _commands(self) -> list[dict[str, Any]]:
        path = self.run.commands_path
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def say(self, kind: str, **fields: Any) -> None:
        """Write an event into the log."""
        with self.run.events_path.open("a") as log:
            log.write(json.dumps({"type": kind, "update": self._update, "time": 2.0, **fields}) + "\n")

    async def obey(self) -> None:
        """Do what was asked, and let the dashboard see it."""
        await self._answer(lambda command, arguments: self._obey(command, arguments))

    def _obey(self, command: dict[str, Any], arguments: dict[str, Any]) -> None:
        name = command["command"]
        if name in ("pause", "continue"):
            self.status("paused" if name == "pause" else "training")
        if name == "sample":
            self.say("sample", text="mm", prime="", command=command["id"], **arguments)
        self.say("obeyed", command=command["id"], name=name, arguments=arguments)

    async def refuse(self, reason: str) -> None:
        """Refuse what was asked, and let the dashboard see it."""
        await self._answer(lambda command, _: self.say("refused", command=command["id"], reason=reason))

    async def _answer(self, answer: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
        commands = self._commands()
        for command in commands[self._answered :]:
            answer(command, {key: command[key] for key in command if key not in ("id", "command")})
        self._answered = len(commands)
        await self.look()

    def status(self, state: str = "training") -> None:
        """Write what happens now."""
        self.run.write_status(
            {"state": state, "phase": state, "update": self._update, "smooth_loss": 80.0, "time": 2.0}
        )

    async def end(self, reason: str) -> None:
        """End training, and let the dashboard see it."""
        self.say("ended", reason=reason)
        self.release()
        await self.look()

    def release(self) -> None:
        """Give the run back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def look(self) -> None:
        """Let the dashboard look at the run now, and not only when it is due."""
        if self.app.return_code is None:
            for screen in self.app.screen_stack:
                if isinstance(screen, RunScreen):
                    screen._look()
        await self.settle()


Play = Callable[..., Stage]


_parsed: dict[tuple[object, ...], list[RuleSet]] = {}


def _parse_once(
    scope: str, css: str, read_from: Any, *, variable_tokens: dict[str, list[Token]], **others: Any
) -> list[RuleSet]:
    """Return the rules of a style sheet, which are the same in every test with the same theme."""
    theme = tuple((name, *(token.value for token in tokens)) for name, tokens in variable_tokens.items())
    told = (scope, css, read_from, theme, *sorted(others.items()))
    if told not in _parsed:
        _parsed[told] = list(parse(scope, css, read_from, variable_tokens=variable_tokens, **others))
    return _parsed[told]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the toolkit start and wait quickly: several hundred dashboards are played."""
    # How long its pilot looks whether the process does nothing any more.
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 1 / 250)
    monkeypatch.setattr("textual._wait.SLEEP_IDLE", 1 / 2000)
    monkeypatch.setattr("textual.css.stylesheet.parse", _parse_once)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> Play:
    """Play a dashboard: what a user does, and what the process does that trains."""
    monkeypatch.chdir(tmp_path)

    def playing(
        steps: Callable[[Stage], Awaitable[None]],
        *,
        live: bool = False,
        owned: bool = False,
        reason: str = "updates",
        best: bool = False,
        shown: bool = True,
        others: Sequence[str] = (),
        size: tuple[int, int] = (80, 24),
    ) -> Stage:
        """Play with a run that trains, as its own or not, or one that has ended, or without one."""
        runs = tmp_path / "runs"
        run = write_run(runs / "shown", None if live else reason)
        for name in others:
            write_run(runs / name)
        if best:
            run.checkpoint_path("best").write_bytes(b"")
        lock = run.lock() if live else None
        trainer = FakeTrainer() if owned else None
        session = RunSession.of(run.path, trainer) if shown else None  # type: ignore[arg-type]
        app = Dashboard(session, None, runs=runs)

        async def acting() -> Stage:
            async with app.run_test(size=size, notifications=True) as pilot:
                stage = Stage(app, pilot, run, lock)
                if live:
                    stage.status()
                    await stage.look()
                await stage.settle()
                try:
                    await steps(stage)
                finally:
                    stage.release()
                return stage

        return asyncio.run(acting())

    return playing
