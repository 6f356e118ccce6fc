"""What a run has recorded, as it is exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn_core.errors import RunFailedError, reason_of
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.following import RunFollower
from charrnn_core.runs.history import EventFields, History
from charrnn_core.training.settings import Settings


@dataclass(frozen=True)
class RecordedRun:
    """A run as it is now, read once.

    Attributes
    ----------
    directory : RunDirectory
    config : dict
        As in `config.json`.
    history : History
    """

    directory: RunDirectory
    config: dict[str, Any]
    history: History

    @property
    def settings(self) -> Settings:
        """What the run began with."""
        return Settings.from_json(self.config["settings"])

    def facts(self) -> dict[str, Any]:
        """Return what is known of the run before anything happened in it, as a line like those of events."""
        names = ("created", "settings", "corpus", "versions")
        return {
            "type": "run",
            "name": self.directory.name,
            **{name: self.config.get(name) for name in names},
        }

    def events(self) -> list[EventFields]:
        """Return the events of the history by update, and those of one update by time.

        The log has them in another order where a run went on from before its last update.
        """
        history = self.history
        ended = [] if history.ended is None else [history.ended]
        events = [
            *history.openings,
            *history.progress,
            *history.epochs,
            *history.validations,
            *history.checks,
            *history.samples,
            *history.checkpoints,
            *history.interventions,
            *history.warnings,
            *ended,
        ]
        return sorted(events, key=lambda event: (event["update"], event["time"]))

    def learning_rates(self) -> list[float]:
        """Return the learning rate of the last update of each bucket."""
        changes = sorted(self.history.learning_rates(), key=lambda change: change[0])
        rates = np.array([self.settings.learning_rate, *(rate for _, rate in changes)], dtype=np.float64)
        # A change is told with the update after which it was made.
        after = np.array([update for update, _ in changes], dtype=np.float64)
        made: list[float] = rates[np.searchsorted(after, self.history.column("update"), side="left")].tolist()
        return made


def read_run(directory: RunDirectory) -> RecordedRun:
    """Return what a run has recorded.

    Raises
    ------
    RunDirectoryError
        It is no run directory.
    RunFailedError
        Its log cannot be read.
    """
    try:
        follower = RunFollower(directory)
    except OSError as error:
        raise RunFailedError(f"cannot read {directory.events_file}: {reason_of(error)}") from None
    follower.close()
    return RecordedRun(directory, follower.config, follower.history)
