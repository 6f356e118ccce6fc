"""The event log, as the process that trains writes it."""

from __future__ import annotations

import errno
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from charrnn_core.errors import RunDirectoryError
from charrnn_core.runs.descriptors import write_all
from charrnn_core.runs.files import Place, entry_of
from charrnn_core.training.events import Event

LONGEST_LINE = 1 << 22
"""Bytes; no event has a line that is nearly as long."""

LARGEST_LOG = 1 << 30
"""Bytes of a log that are read, but for holes on the disk."""

ROOM_FOR_MANY = LARGEST_LOG - (1 << 27)
"""Bytes of a log after which training adds no events of which there can be one for each update."""

_WAITING_LINES = 10_000
_READ_AT_ONCE = 1 << 24
_BLOCK = 1 << 20


class EventLog:
    """Appends events to `events.jsonl`, each as a whole line that a reader sees at once.

    When the disk refuses (it is full, say), the file is cut back to its last whole line, and the lines wait
    in memory for the next append; the oldest are given up first beyond `_WAITING_LINES`.

    Parameters
    ----------
    place : path or Entry
        Of the file, which is created if it does not exist. A last line that a crash has torn is cut off.

    Attributes
    ----------
    length : int
        Bytes of whole lines in the file.
    guard : callable
        Called before a line is written, and, with True, when all that was written is durable; what it raises
        ends what was begun. For whoever has to look whether the run is still this process's.

    Raises
    ------
    RunDirectoryError
        What is there is no log.
    OSError
        It cannot be opened.
    """

    def __init__(self, place: Place) -> None:
        self._file = entry_of(place)
        self._descriptor = self._file.descriptor(os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            self.length = self._cut_torn_line()
        except BaseException:
            os.close(self._descriptor)
            raise
        self._torn = False
        self._is_doubtful = False  # a sync has failed
        self.guard: Callable[[bool], None] = lambda now: None
        self._lines: deque[bytes] = deque(maxlen=_WAITING_LINES)

    def _cut_torn_line(self) -> int:
        """Cut off a last line without its end, and return the bytes that are left."""
        size = os.fstat(self._descriptor).st_size
        length = whole_lines(self._descriptor, size)
        if size - length > LONGEST_LINE:
            raise RunDirectoryError(
                f"{self._file} is not a log of charrnn: its last {size - length:,} bytes are not a line"
            )
        if length < size:
            os.ftruncate(self._descriptor, length)
        return length

    @property
    def waiting(self) -> int:
        """How many lines could not be written yet."""
        return len(self._lines)

    def append(self, event: Event) -> OSError | None:
        """Write an event, and before it what waits; return what the disk said if it refused."""
        self._lines.append(event.to_line().encode())
        while self._lines:
            self.guard(False)
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

    def sync(self) -> str | None:
        """Make what is written durable, under its name, and return what had to be put right for that.

        Where the name was taken away, or stands for another file, the log is written anew: what it holds can
        still be read from its descriptor. The other file is kept under another name. And where an earlier
        sync has failed, nobody knows what of the file is on the disk: another sync of it might say that all
        is well.
        """
        told = None
        try:
            status = self._file.stat()
        except FileNotFoundError:
            told = f"{self._file} had been removed; it is written again"
        else:
            if not os.path.samestat(status, os.fstat(self._descriptor)):
                aside = self._file.folder.entry(f"{self._file.name}.{secrets.token_hex(4)}.aside")
                self._file.move_to(aside)
                told = f"another file stood in place of {self._file}; it is {aside.name} now"
        if told is not None or self._is_doubtful:
            self._write_anew()
        self._is_doubtful = True
        os.fsync(self._descriptor)
        self._is_doubtful = False
        self.guard(True)
        return told

    def is_as_left(self) -> bool:
        """Return whether nobody else has written into the log, or put one in its place."""
        try:
            status, own = self._file.stat(), os.fstat(self._descriptor)
        except FileNotFoundError:
            return True
        return os.path.samestat(status, own) and (self._torn or own.st_size == self.length)

    def _write_anew(self) -> None:
        """Write all of the log to a new file, and give that the name."""
        parts = range(0, self.length, _READ_AT_ONCE)
        whole = b"".join(os.pread(self._descriptor, min(_READ_AT_ONCE, self.length - at), at) for at in parts)
        temporary = self._file.write_temporary(whole, durable=True)
        try:
            # Opened before it has the name, which may stand for something else a moment later.
            descriptor = temporary.descriptor(os.O_RDWR | os.O_APPEND)
            temporary.move_to(self._file)
        except BaseException:
            temporary.remove()
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._torn = False
        self._file.folder.sync()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class LineReader:
    """Reads the whole lines of a log that may grow, but for those that cannot be events.

    Skipped are lines that do not begin as a JSON object does, and those that are too long. Memory is bounded
    by `LONGEST_LINE` and a block, time by `LARGEST_LOG`, and what was skipped is not read again.

    Attributes
    ----------
    offset : int
        Bytes of the file that were read or skipped.
    skipped : int
        How many lines begin as an event does, and were skipped because they are longer than `LONGEST_LINE`.
    """

    def __init__(self) -> None:
        self.offset = 0
        self.skipped = 0
        self._holes = 0  # bytes that were not read, because the disk holds nothing there
        self._is_skipping = False  # `offset` is inside a line that is skipped

    @property
    def is_exhausted(self) -> bool:
        """Whether the log is so large that no more of it is read."""
        return self.offset - self._holes > LARGEST_LOG

    def read(self, descriptor: int) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are new, each with its offset and without its end.

        This ends at the end of the file, before a line that has no end yet, or where the log is exhausted.
        """
        rest = b""
        while not self.is_exhausted and (block := os.pread(descriptor, _BLOCK, self.offset + len(rest))):
            data, begin, place = rest + block, 0, self.offset
            if self._is_skipping:
                begin = data.find(b"\n") + 1
                self._is_skipping = not begin
                if self._is_skipping:
                    self.offset += len(data)
                    self._skip_hole(descriptor)
                    continue
            while (line := _next_line(data, begin)) is not None:
                begin = line.stop + 1
                self.offset = place + begin
                if line.stop - line.start > LONGEST_LINE:
                    self.skipped += 1
                else:
                    yield place + line.start, data[line.start : line.stop]
            if not data.startswith(b"{", begin):
                begin = max(begin, data.rfind(b"\n") + 1)
            self.offset = place + begin
            rest = data[begin:]
            if len(rest) > LONGEST_LINE:
                self.skipped += rest.startswith(b"{")
                self._is_skipping = True
                self.offset += len(rest)
                rest = b""
                self._skip_hole(descriptor)

    def _skip_hole(self, descriptor: int) -> None:
        """Continue where the disk holds the next bytes: a hole of terabytes takes no space on it."""
        before = self.offset
        try:
            self.offset = max(self.offset, os.lseek(descriptor, self.offset, os.SEEK_DATA))
        except OSError as error:
            if error.errno == errno.ENXIO:  # there are no more
                self.offset = max(self.offset, os.fstat(descriptor).st_size)
        self._holes += self.offset - before


def _next_line(data: bytes, begin: int) -> slice | None:
    """Return the next whole line that begins as a JSON object does, at or after the beginning of a line."""
    if not data.startswith(b"{", begin):
        begin = data.find(b"\n{", begin) + 1
        if not begin:
            return None
    end = data.find(b"\n", begin)
    return None if end < 0 else slice(begin, end)


def whole_lines(descriptor: int, size: int) -> int:
    """Return how many of a file's first `size` bytes are whole lines; 0 where no line ends near the end."""
    end = size
    while end and size - end <= LONGEST_LINE:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
