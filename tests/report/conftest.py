"""Two recorded runs, and copies of the first to which something has happened.

`tiny` was trained, stopped and resumed. `other` was killed while it wrote into its log: it has the course's
newer settings, no held-out text, no best state yet, and its text is not here.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import History
from charrnn_core.training.settings import Settings, Value
from charrnn_tui.report.findings import Findings, find

GOLDEN = Path(__file__).with_name("golden")

Events = list[dict[str, Any]]


def recorded_events() -> Events:
    """Return the events of the recorded run."""
    return [json.loads(line) for line in (GOLDEN / "tiny" / "events.jsonl").read_text().splitlines()]


@cache
def recorded() -> Findings:
    """Return the findings of the recorded run."""
    return find(RunDirectory(GOLDEN / "tiny"))


def findings_of(events: Events | None = None, **changes: Any) -> Findings:
    """Return the findings of the recorded run, with other events and whatever else is changed."""
    if events is not None:
        history = History()
        for offset, event in enumerate(events):
            history.add(offset, event)
        changes = {"history": history, **changes}
    return dataclasses.replace(recorded(), **changes)


def begun_with(**changes: Value) -> Settings:
    """Return the settings of the recorded run with some of them changed."""
    return dataclasses.replace(recorded().begun_with, **changes)  # type: ignore[arg-type]


def event(type: str, update: int, time: float = 1.0, **fields: Any) -> dict[str, Any]:
    """Return an event of a log."""
    return {"type": type, "update": update, "time": time, **fields}


@pytest.fixture
def is_recorded(request: pytest.FixtureRequest) -> Callable[[bytes, str], bool]:
    """Give a function that says whether data are those of a recorded file; with --record they become them."""

    def compare(data: bytes, name: str) -> bool:
        if request.config.getoption("--record"):
            (GOLDEN / name).write_bytes(data)
        return data == (GOLDEN / name).read_bytes()

    return compare


@pytest.fixture
def altered(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Give a function that copies the recorded run, with other events and another configuration."""

    def copy(events: Events | None = None, name: str = "tiny", **config: Any) -> RunDirectory:
        path = tmp_path / "runs" / name
        shutil.copytree(GOLDEN / "tiny", path)
        if events is not None:
            lines = (json.dumps(event) + "\n" for event in events)
            (path / "events.jsonl").write_text("".join(lines))
        if config:
            before = json.loads((path / "config.json").read_text())
            changed = {
                key: {**before[key], **value} if isinstance(value, dict) else value
                for key, value in config.items()
            }
            (path / "config.json").write_text(json.dumps({**before, **changed}))
        return RunDirectory(path)

    return copy
