"""Where trials are trained: in processes of this machine. `charrnn_core.sweeps.cluster` has another place."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from charrnn_core.rnn.threads import available_cores
from charrnn_core.sweeps.slot import Slot, SlotLostError
from charrnn_core.sweeps.task import Outcome, Task
from charrnn_core.text.source import bundled_sources

MOST_LOSSES = 3
"""Processes that may be lost over one trial before it counts as failed."""


class Place(Protocol):
    """Where trials are trained; `train` is called by as many threads at a time as `size` says."""

    @property
    def size(self) -> int:
        """How many trials are handed to it at a time."""

    @property
    def at_a_time(self) -> int:
        """How many of them are really trained at a time."""

    def bring(self, files: Sequence[str], *, is_kept: bool = False) -> None:
        """Take the text along: called once, with the files that it is read from here.

        Parameters
        ----------
        files : sequence of str
        is_kept : bool
            The text is kept in the directory of the sweep, where no link is followed.
        """

    def train(self, task: Task) -> Outcome:
        """Do a task, and return what has come of it once the run directory says so."""

    def stop(self) -> None:
        """Have all that is trained saved and stopped, soon; what is asked from now on is not begun."""

    def suspend(self) -> None:
        """Have all that is trained here wait, as the process that sweeps does after Ctrl+Z."""

    def go_on(self) -> None:
        """Have it go on."""

    def close(self) -> None:
        """Let go of everything."""


class Slots:
    """The slots of a process: one for each of its threads that has a task done.

    A process that was lost, killed for its memory say, is replaced, and the trial goes on from its last
    checkpoint.
    """

    def __init__(self) -> None:
        self._slots: dict[int, Slot] = {}
        self._lock = threading.RLock()  # a handler of signals can come while its own thread has it
        self._stopped = False

    def train(self, task: Task) -> Outcome:
        """Have a task done by the slot of this thread."""
        problem = ""
        for _ in range(MOST_LOSSES):
            slot = self._slot()
            if slot is None:
                return Outcome("interrupted", "stopped")
            try:
                outcome = slot.train(task)
            except SlotLostError as error:
                problem = str(error)
                self._forget(slot)
                continue
            if outcome.end == "interrupted" and outcome.reason.startswith("signal"):
                problem = f"its process was stopped by {outcome.reason}"
                self._forget(slot)  # it ends by the same signal
                continue
            return outcome
        if self._stopped:
            return Outcome("interrupted", "stopped")
        memory = "; perhaps for want of memory: fewer --jobs need less" if "SIGKILL" in problem else ""
        return Outcome("failed", f"{problem}, {MOST_LOSSES} times{memory}")

    def stop(self) -> None:
        """Have all that is trained saved and stopped, and begin nothing more."""
        with self._lock:
            self._stopped = True
            for slot in self._slots.values():
                slot.let_go()

    def send(self, number: int) -> None:
        """Send a signal to all processes."""
        with self._lock:
            for slot in self._slots.values():
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(slot.pid, number)

    def close(self) -> None:
        """End all processes."""
        self.stop()
        for slot in self._slots.values():
            slot.close()
        self._slots.clear()

    def _slot(self) -> Slot | None:
        thread = threading.get_ident()
        with self._lock:
            if self._stopped:
                return None
            if thread not in self._slots:
                self._slots[thread] = Slot()
            return self._slots[thread]

    def _forget(self, slot: Slot) -> None:
        with self._lock:
            self._slots = {thread: each for thread, each in self._slots.items() if each is not slot}
        slot.close()


class ThisMachine:
    """The cores of this machine, a process on each.

    Parameters
    ----------
    size : int
        How many trials are trained at a time.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._slots = Slots()

    @property
    def at_a_time(self) -> int:
        """As many as are handed to it."""
        return self.size

    def bring(self, files: Sequence[str], *, is_kept: bool = False) -> None:
        """No-op: the slots read it where it is."""

    def train(self, task: Task) -> Outcome:
        """Do a task."""
        return self._slots.train(task)

    def stop(self) -> None:
        """Have all that is trained saved and stopped."""
        self._slots.stop()

    def suspend(self) -> None:
        """Have all processes wait."""
        self._slots.send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have them go on."""
        self._slots.send(signal.SIGCONT)

    def close(self) -> None:
        """End all processes."""
        self._slots.close()


def trials_at_a_time(threads: int) -> int:
    """Return how many trials of so many threads this machine's cores train at a time."""
    return max(1, available_cores() // threads)


def files_of(facts: Mapping[str, Any]) -> list[str]:
    """Return the files with a text, by what is recorded of it."""
    if facts.get("kind") == "bundled":
        return [str(path) for path in bundled_sources()[str(facts["name"])].paths]
    return [str(Path(str(facts.get("path"))))]
