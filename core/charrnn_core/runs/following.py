"""A run as a view follows it: while it trains, and after."""

from __future__ import annotations

from typing import Any

from charrnn_core.errors import RunDirectoryError, SettingsError
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import EventFields, EventTail, History
from charrnn_core.runs.liveness import RunState, read_status, run_state
from charrnn_core.training.settings import Settings


class RunFollower:
    """Reads what a run has to say, when it is asked to.

    Parameters
    ----------
    directory : RunDirectory

    Attributes
    ----------
    directory : RunDirectory
    config : dict
        As in `config.json`.
    history : History
        What happened so far.
    status : dict
        What is happening now; empty while nobody trains.
    state : str
        As `run_state` says it.

    Raises
    ------
    RunDirectoryError
        It is no run directory.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.config = directory.config()
        try:
            self._begun_with = Settings.from_json(self.config["settings"]).to_json()
        except SettingsError as error:
            raise RunDirectoryError(f"{directory.path} is not a run directory: {error}") from None
        self.history = History()
        self.status: dict[str, Any] = {}
        self.state: RunState = "crashed"
        self._tail = EventTail(directory.events_file)
        self.poll()

    def poll(self) -> list[EventFields]:
        """Read what is new, and return the new events."""
        # Asked before reading: the last event of a run comes before its process gives the lock back.
        locked = self.directory.is_locked()
        events = []
        for offset, event in self._tail.read():
            self.history.add(offset, event)
            events.append(event)
        self.status = read_status(self.directory) if locked else {}
        ended = self.history.ended
        reason = None if ended is None else str(ended.get("reason"))
        self.state = run_state(locked=locked, status=self.status, reason=reason)
        return events

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as they are now: those of the last opening, or of `config.json`."""
        settings: dict[str, Any] = dict(self._begun_with)
        if self.history.openings:
            told = self.history.openings[-1].get("settings")
            try:
                settings = Settings.from_json(told).to_json() if isinstance(told, dict) else settings
            except SettingsError:
                pass  # a log that somebody has edited
        rates = self.history.learning_rates()
        return {**settings, "learning_rate": rates[-1][1]} if rates else settings

    def close(self) -> None:
        """Close the log."""
        self._tail.close()
