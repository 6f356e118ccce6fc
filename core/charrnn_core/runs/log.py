"""The event log, as the process that trains writes it."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path

from charrnn_core.runs.files import write_all
from charrnn_core.training.events import Event

_WAITING_LINES = 10_000


class EventLog:
    """Appends events to `events.jsonl`, each as a whole line that a reader sees at once.

    When the disk refuses (it is full, say), the file is cut back to its last whole line, and the lines wait
    in memory for the next append; the oldest are given up first beyond `_WAITING_LINES`.

    Parameters
    ----------
    path : Path
        Made if it does not exist. A last line that a crash has torn is cut off.

    Attributes
    ----------
    length : int
        Bytes of whole lines in the file.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o666)
        size = os.fstat(self._descriptor).st_size
        self.length = whole_lines(self._descriptor, size)
        if self.length < size:
            os.ftruncate(self._descriptor, self.length)
        self._torn = False
        self._lines: deque[bytes] = deque(maxlen=_WAITING_LINES)

    @property
    def waiting(self) -> int:
        """How many lines could not be written yet."""
        return len(self._lines)

    def append(self, event: Event) -> OSError | None:
        """Write an event, and before it what waits; return what the disk said if it refused."""
        self._lines.append(event.to_line().encode())
        while self._lines:
            try:
                self._cut()
                self._torn = True  # until the line is whole
                write_all(self._descriptor, self._lines[0])
                self._torn = False
            except OSError as error:
                with suppress(OSError):  # then the next append cuts first
                    self._cut()
                return error
            self.length += len(self._lines.popleft())
        return None

    def _cut(self) -> None:
        """Cut off what was written of a line that could not be written whole."""
        if self._torn:
            os.ftruncate(self._descriptor, self.length)
            self._torn = False

    def sync(self) -> None:
        """Make what is written durable."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def whole_lines(descriptor: int, size: int) -> int:
    """Return how many of a file's first `size` bytes are whole lines."""
    end = size
    while end:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
