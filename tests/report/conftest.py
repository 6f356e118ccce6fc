"""A recorded run, and copies of it to which something has happened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.directory import RunDirectory

GOLDEN = Path(__file__).with_name("golden")

Events = list[dict[str, Any]]


def recorded_events() -> Events:
    """Return the events of the recorded run."""
    return [json.loads(line) for line in (GOLDEN / "tiny" / "events.jsonl").read_text().splitlines()]


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
