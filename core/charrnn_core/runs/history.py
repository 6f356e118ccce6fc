"""The history of a run: a fold of its events, for every view."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn_core.errors import RunDirectoryError, raise_exhausted, reason_of
from charrnn_core.memory import readable_size
from charrnn_core.runs.buckets import Buckets
from charrnn_core.runs.files import Place, entry_of
from charrnn_core.runs.json_text import parse_object
from charrnn_core.runs.log import LARGEST_LOG, LONGEST_LINE, LineReader

EventFields = dict[str, Any]
"""An event as in its line: type, update, time, and what its class in `training.events` says."""

MOST_STRANGERS = 1_000_000
"""Lines of a log that begin as an event does, and are none; to try to read one takes microseconds."""

_NUMBERS = ("update", "time")


class EventTail:
    """Follows a log that grows; a line without its end waits.

    Parameters
    ----------
    place : path or Entry
        Place of the log, which may not exist yet.
    """

    def __init__(self, place: Place) -> None:
        self._file = entry_of(place)
        self._descriptor: int | None = None
        self._lines = LineReader()
        self._last = (0, 0.0)  # update and time of the last event
        self._reported = 0  # skipped lines that a warning has counted
        self._strangers = 0  # lines that are no events

    def read(self) -> Iterator[tuple[int, EventFields]]:
        """Yield the events that are new, each with the offset of its line; other lines are skipped.

        Lines that are too long to be read are reported after the events by a `warning` event, which is not in
        the log. Its `skipped_lines` counts all of them since the beginning of the log.

        Raises
        ------
        RunDirectoryError
            The log cannot be read, is no regular file, is larger than `LARGEST_LOG`, or has more than
            `MOST_STRANGERS` lines that are no events.
        OSError
            This process can open no more files.
        """
        if self._descriptor is None:
            try:
                self._descriptor = self._file.descriptor()
            except FileNotFoundError:
                return
            except OSError as error:
                raise_exhausted(error)
                raise RunDirectoryError(f"cannot read {self._file}: {reason_of(error)}") from None
        else:
            self._follow()
        for offset, line in self._lines.read(self._descriptor):
            event = _parse(line)
            if event is not None:
                self._last = event["update"], event["time"]
                yield offset, event
                continue
            self._strangers += 1
            if self._strangers > MOST_STRANGERS:
                raise RunDirectoryError(
                    f"{self._file} is not a log of charrnn: more than {MOST_STRANGERS:,} lines are no events"
                )
        if self._lines.is_exhausted:
            size = readable_size(LARGEST_LOG)
            raise RunDirectoryError(f"{self._file} is larger than {size}; charrnn reads no larger log")
        if self._lines.skipped > self._reported:
            self._reported = self._lines.skipped
            yield self._lines.offset, _skip_warning(self._reported, *self._last)

    def _follow(self) -> None:
        """Continue in the file that has the name now: the process that trains may have rewritten the log."""
        assert self._descriptor is not None
        with suppress(OSError):  # while nothing readable has the name, the file from before is read
            if not os.path.samestat(self._file.stat(), os.fstat(self._descriptor)):
                descriptor = self._file.descriptor()
                os.close(self._descriptor)
                self._descriptor = descriptor

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _skip_warning(lines: int, update: float, time: float) -> EventFields:
    """Return the warning that lines of a log were too long to be read."""
    subject = "1 line" if lines == 1 else f"{lines:,} lines"
    message = f"the history is incomplete: skipped {subject} of the log longer than {LONGEST_LINE:,} bytes"
    return {"type": "warning", "update": update, "time": time, "message": message, "skipped_lines": lines}


def _parse(line: bytes) -> EventFields | None:
    event = parse_object(line)
    if event is None or not isinstance(event.get("type"), str):
        return None
    if not all(_is_count(event.get(name)) for name in _NUMBERS):
        return None
    if not isinstance(event["update"], int):
        if not event["update"].is_integer():
            return None
        event["update"] = int(event["update"])
    # One text for each name of a field, and not one for each event: a history takes little more than half.
    return {sys.intern(name): value for name, value in event.items()}


MOST_BYTES = 400_000_000
"""Memory that a history takes at most, about; see `History`."""

_BYTES_OF_A_BUCKET, _BYTES_OF_A_VALUE, _BYTES_OF_A_CHARACTER = 110, 80, 4

_THINNED = {"sample": "samples", "validated": "validations", "epoch": "ends of epochs"}
"""Types of events of which every second one can be left out, in words."""

_LOSSES = ("loss_mean", "loss_min", "loss_max", "smooth_loss")
_LARGEST_LOSS = 1e300  # a float that can still be calculated with
_LARGEST_COUNT = 1e18  # updates, epochs and seconds, which are drawn on axes


def _well_formed(event: EventFields) -> bool:
    """Return whether an event has what a fold needs of it; others are skipped like lines that are none."""
    match event["type"]:
        case "progress":
            if not (_is_count(event.get("first_update")) and _is_count(event.get("epoch"))):
                return False
            return all(_is_number(event.get(name)) or event.get(name) is None for name in _LOSSES)
        case "resumed":
            return _is_number(event.get("log_length")) and _has_rate(event.get("settings"))
        case "obeyed" if event.get("name") == "set-learning-rate":
            return isinstance(event.get("command"), str) and _has_rate(event.get("arguments"))
    return True


def answered_by(event: EventFields) -> list[str]:
    """Return the ids of the commands that an event answers, or that made it."""
    several = event.get("commands")
    found = [event.get("command"), *(several if isinstance(several, list) else ())]
    return [identity for identity in found if isinstance(identity, str)]


def _is_number(value: object, limit: float = _LARGEST_LOSS) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < limit


def _is_count(value: object) -> bool:
    return _is_number(value, _LARGEST_COUNT)


def _has_rate(value: object) -> bool:
    return isinstance(value, dict) and _is_number(value.get("learning_rate"))


def _bytes_of(event: EventFields) -> int:
    """Return about how much memory an event takes."""
    size, waiting = 0, list(event.values())
    while waiting:
        value = waiting.pop()
        size += _BYTES_OF_A_VALUE
        if isinstance(value, str):
            size += _BYTES_OF_A_CHARACTER * len(value)
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return size


@dataclass
class _Lane:
    """The events of one type that training makes, with the offsets of their lines."""

    events: list[EventFields] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    _repeatable: list[int] = field(default_factory=list)
    """Places of the events that no command asked for."""

    def add(self, offset: int, event: EventFields) -> None:
        if not event.get("command"):
            self._repeatable.append(len(self.events))
        self.events.append(event)
        self.offsets.append(offset)

    def thin(self) -> int:
        """Leave out every second event, and return about how much memory that gives back."""
        left_out = self.events[1:-1:2]  # the first and the newest stay
        del self.events[1:-1:2], self.offsets[1:-1:2]
        self._repeatable[:] = [n for n, event in enumerate(self.events) if not event.get("command")]
        return sum(map(_bytes_of, left_out))

    def supersede(self, log_length: int, update: int) -> None:
        """Forget what a resumed run does again; what a command asked for stays, for it happened.

        From the newest back to the first that stays: updates fall only where a log says that the run resumed.
        A log that says so very often costs no more than its length.
        """
        while self._repeatable:
            last = self._repeatable[-1]
            if self.offsets[last] < log_length and self.events[last]["update"] <= update:
                return
            self._repeatable.pop()
            del self.events[last], self.offsets[last]


@dataclass
class History:
    """What happened in a run, without what was lost and done again.

    Attributes
    ----------
    openings : list of dict
        The `started` event, and a `resumed` event for each time that training went on.
    progress : Buckets
        The buckets of updates, as the sequence of their events and as columns.
    samples, validations, checks, epochs, checkpoints : list of dict
        Events of these types, in the order of the log: what a command asked for before a crash stands before
        what was done again after it.
    interventions : list of dict
        `obeyed` and `refused` events.
    warnings : list of dict
    ended : dict or None
        How the last process ended; None while one trains, or after a crash.
    answered : set of str
        Ids of commands that have an answer.
    refused_lines : set of int
        Where lines of `commands.jsonl` without an id end that are refused.

    Raises
    ------
    RunDirectoryError
        By `add` and `read`: the log holds more than `MOST_BYTES` of events. Of samples, validations and ends
        of epochs, every second one is left out before that, with a warning.
    """

    progress: Buckets = field(default_factory=Buckets)
    openings: list[EventFields] = field(default_factory=list)
    interventions: list[EventFields] = field(default_factory=list)
    warnings: list[EventFields] = field(default_factory=list)
    ended: EventFields | None = None
    answered: set[str] = field(default_factory=set)
    refused_lines: set[int] = field(default_factory=set)
    _bytes: int = 0
    _skip_warning: int | None = None  # the place of the warning that lines were skipped
    _rates: list[tuple[int, int, float]] = field(default_factory=list)  # offset, update, learning rate
    _lanes: dict[str, _Lane] = field(
        default_factory=lambda: {
            name: _Lane() for name in ("sample", "validated", "gradients_checked", "epoch", "checkpoint")
        }
    )

    @classmethod
    def read(cls, place: Place) -> History:
        """Return the history in a log; an empty one if there is no file."""
        history = cls()
        with closing(EventTail(place)) as tail:
            for offset, event in tail.read():
                history.add(offset, event)
        return history

    @property
    def samples(self) -> list[EventFields]:
        """The samples."""
        return self._lanes["sample"].events

    @property
    def validations(self) -> list[EventFields]:
        """The scores of held-out text."""
        return self._lanes["validated"].events

    @property
    def checks(self) -> list[EventFields]:
        """The gradient checks."""
        return self._lanes["gradients_checked"].events

    @property
    def epochs(self) -> list[EventFields]:
        """The ends of epochs."""
        return self._lanes["epoch"].events

    @property
    def checkpoints(self) -> list[EventFields]:
        """The checkpoints that were asked for, and new bests."""
        return self._lanes["checkpoint"].events

    @property
    def best(self) -> EventFields | None:
        """The `checkpoint` event of the best state that is on disk; None before there is one."""
        return next((event for event in reversed(self.checkpoints) if event.get("kind") == "best"), None)

    def add(self, offset: int, event: EventFields) -> None:
        """Take in the next event of a log, whose line is at this offset."""
        kind = event["type"]
        if not _well_formed(event):
            return
        self._bytes += _BYTES_OF_A_BUCKET if kind == "progress" else _bytes_of(event)
        if self._bytes > MOST_BYTES:
            self._make_room(event)
        if kind == "progress":
            self.progress.add(offset, event)
        elif kind in self._lanes:
            self._lanes[kind].add(offset, event)
        elif kind == "started":
            self.openings.append(event)
        elif kind == "resumed":
            self._resume(offset, event)
        elif kind in ("obeyed", "refused"):
            self.interventions.append(event)
            if kind == "obeyed" and event.get("name") == "set-learning-rate":
                self._rates.append((offset, event["update"], float(event["arguments"]["learning_rate"])))
            self.answered.update(answered_by(event))
            if isinstance(event.get("offset"), int):
                self.refused_lines.add(event["offset"])
        elif kind == "warning":
            if "skipped_lines" in event:  # it counts those of an earlier warning, too
                if self._skip_warning is not None:
                    del self.warnings[self._skip_warning]
                self._skip_warning = len(self.warnings)
            self.warnings.append(event)
        elif kind == "ended":
            self.ended = event

    def _make_room(self, event: EventFields) -> None:
        """Leave out events of the kind that there are most of, with a warning for each kind."""
        kind = max(_THINNED, key=lambda name: sum(map(_bytes_of, self._lanes[name].events)))
        if len(self._lanes[kind].events) > 2:
            self._bytes -= self._lanes[kind].thin()
        if self._bytes > MOST_BYTES:
            raise RunDirectoryError(
                f"the log holds more than {MOST_BYTES:,} bytes of events; charrnn does not read more"
            )
        message = (
            f"the log holds more {_THINNED[kind]} than fit into memory: every second one is left out here"
        )
        if all(warning.get("message") != message for warning in self.warnings):
            self.warnings.append(
                {"type": "warning", "update": event["update"], "time": event["time"], "message": message}
            )

    def learning_rates(self, until: int | None = None) -> list[tuple[int, float]]:
        """Return the changes of the learning rate, up to an update if one is given: after which, and to what.

        Both those asked for by commands and those made when the run went on, in the order of their making.
        """
        return [(update, rate) for _, update, rate in self._rates if until is None or update <= until]

    def _resume(self, offset: int, event: EventFields) -> None:
        """Forget what was lost with a process, as the one that goes on says where it does."""
        self.openings.append(event)
        self.ended = None
        log_length, update = event["log_length"], event["update"]
        self.progress.supersede(log_length, update)
        for lane in self._lanes.values():
            lane.supersede(log_length, update)
        while self._rates and not (self._rates[-1][0] < log_length and self._rates[-1][1] <= update):
            self._rates.pop()
        self._rates.append((offset, update, float(event["settings"]["learning_rate"])))

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a field of all progress events, float64; NaN where it is null."""
        return self.progress.column(name)
