"""A training process whose owner, the dashboard, is gone before training began."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_owner(owned: bool) -> Iterator[None]:
    """End this process by SIGTERM when its owner goes away meanwhile.

    The owner holds the other end of standard input and writes nothing to it. Once training has begun the
    process looks for that itself between two updates; but the text may come from a pipe that says nothing
    for hours.

    Parameters
    ----------
    owned : bool
        Whether there is an owner; without one nothing is done.
    """
    if not owned:
        yield
        return
    awake, wake = os.pipe()
    watcher = threading.Thread(target=_watch, args=(awake,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        os.close(wake)
        watcher.join()
        os.close(awake)


def _watch(awake: int) -> None:
    """Wait for the end of standard input, or of the pipe that ends this thread."""
    readable, _, _ = select.select([0, awake], [], [])
    if awake not in readable:
        os.kill(os.getpid(), signal.SIGTERM)
