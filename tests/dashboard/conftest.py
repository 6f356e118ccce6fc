"""The dashboard played without a terminal: what tests of it are made of; in one: `tests.terminals`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.parse import parse
from textual.css.tokenizer import Token
from textual.pilot import Pilot
from textual.widgets import DirectoryTree

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.sweeps.directory import SweepDirectory
from charrnn_core.training.settings import Settings
from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.sweep_screen import SweepScreen
from tests.sweep_files import TRIALS, half_done, read_at_once
from tests.terminals import book, dashboard, until_fixture

__all__ = ["book", "dashboard", "until_fixture"]

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
    directory.checkpoints.path.mkdir(parents=True)
    corpus = {"name": "fable", "characters": 900, "vocabulary_size": 40, "sha256": "0" * 64}
    config = {"created": "2026-01-01T00:00:00Z", "settings": settings, "corpus": corpus}
    directory.config_file.path.write_text(json.dumps(config))
    opening = {"settings": settings, "corpus": corpus, "engine": "numpy", "threads": 1}
    events: list[dict[str, Any]] = [{"type": "started", "update": 0, "time": 0.0, **opening}, checked(0)]
    events += [progress(update, update - 9, 100 - update / 10) for update in range(10, 201, 10)]
    events.insert(12, checked(100, passed=False))
    for number, text in enumerate(SAMPLES):
        sample = {"text": text, "temperature": 1.0, "prime": "", "smooth_loss": 100.0 - 10 * number}
        events.append({"type": "sample", "update": 100 * number, "time": float(number), **sample})
    if reason is not None:
        events.append({"type": "ended", "update": 200, "time": 2.0, "reason": reason, "best_loss": None})
    directory.events_file.path.write_text("".join(json.dumps(event) + "\n" for event in events))
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
        path = self.run.commands_file.path
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def say(self, kind: str, **fields: Any) -> None:
        """Write an event into the log."""
        with self.run.events_file.path.open("a") as log:
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
                elif isinstance(screen, SweepScreen):
                    screen.look()
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
        sweep: bool | SweepDirectory = False,
        size: tuple[int, int] = (80, 24),
    ) -> Stage:
        """Play with a run that trains, as its own or not, or one that has ended, without one, or a sweep."""
        runs = tmp_path / "runs"
        run = write_run(runs / "shown", None if live else reason)
        for name in others:
            write_run(runs / name)
        if best:
            run.checkpoint_file("best").path.write_bytes(b"")
        lock = run.lock() if live else None
        trainer = FakeTrainer() if owned else None
        session = RunSession.of(run.path, trainer) if shown and not sweep else None  # type: ignore[arg-type]
        if sweep:
            sweep = half_done(runs / "swept") if sweep is True else sweep
            run = sweep.run_of(TRIALS[0])
        reader = read_at_once(sweep) if sweep else None
        app = Dashboard(session, None, runs=runs, sweep=reader)

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
