"""The process that trains trials of a sweep one after another: one for each core that takes part.

Tasks come as lines of JSON on standard input, outcomes go as lines to standard output. The end of standard
input means that whoever asks is gone: what is being trained is saved then, and the process ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self

from charrnn_core.children import environment, python
from charrnn_core.runs.descriptors import write_all
from charrnn_core.sweeps.task import Outcome, Task, Trainee

_READ_AT_ONCE = 65536


class SlotLostError(Exception):
    """The process of a slot has ended in the middle of a task."""


class Slot:
    """A process that trains trials, seen from the one that asks for that.

    It is in a process group of its own, so that Ctrl+C reaches only whoever asks, who then lets go of it; but
    in the same session: where it is stopped (Ctrl+Z) when whoever asks is killed, the system continues it and
    sends SIGHUP, as to every process group that is stopped and becomes orphaned. It can be used by one thread
    at a time.

    Attributes
    ----------
    pid : int
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            python("-m", "charrnn_core.sweeps.slot"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
            env=environment(),
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def train(self, task: Task) -> Outcome:
        """Have a task done.

        Raises
        ------
        SlotLostError
            The process has ended before; what it had saved is there.
        """
        stdin, stdout = self._streams()
        try:
            stdin.write(json.dumps(task.to_json()).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
        except (OSError, ValueError):  # ValueError: let go of in the meantime
            line = b""
        if not line.endswith(b"\n"):
            raise SlotLostError(self._end())
        return Outcome.from_json(json.loads(line))

    def let_go(self) -> None:
        """Have it save what it trains, and end; without waiting for that."""
        stdin, _ = self._streams()
        with suppress(OSError):  # it has ended already
            stdin.close()
        self._process.send_signal(signal.SIGCONT)  # one that is stopped would be waited for without end

    def close(self) -> None:
        """Have it end, and wait for that."""
        self.let_go()
        self._process.wait()
        _, stdout = self._streams()
        stdout.close()

    def _streams(self) -> tuple[BinaryIO, BinaryIO]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        return stdin, stdout  # type: ignore[return-value]

    def _end(self) -> str:
        """Return how the process ended, in words."""
        code = self._process.wait()
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process ended with code {code}"


def main() -> int:
    """Do tasks until standard input ends."""
    # Outcomes have a descriptor of their own: whatever else is written goes to stderr.
    answers = os.dup(1)
    os.dup2(2, 1)
    trainee = Trainee(owned=True)
    waiting = b""
    while True:
        line, newline, rest = waiting.partition(b"\n")
        if not newline:
            block = os.read(0, _READ_AT_ONCE)  # not buffered: the run that is trained looks for its end too
            if not block:
                return 0
            waiting += block
            continue
        waiting = rest
        outcome, number = trainee.train(Task(**json.loads(line)))
        try:
            write_all(answers, json.dumps(outcome.to_json()).encode() + b"\n")
        except BrokenPipeError:
            return 0
        if number is not None:
            return 128 + number


if __name__ == "__main__":
    sys.exit(main())
