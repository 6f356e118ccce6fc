"""Streams and exit code of the program."""

from __future__ import annotations

import os
import sys
import warnings

from charrnn_tui.environment import drop_wrong_variables
from charrnn_tui.limits import explain
from charrnn_tui.terminal import harmless_line, say


def main() -> None:
    """Run the command that the command line names, and exit with its code."""
    # A stream that was closed leaves its number free, and the next file that is opened would get it: messages
    # would be written into the run's log.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    drop_wrong_variables(os.environ)
    if not sys.warnoptions:  # warnings of libraries are for programmers: -W shows them
        warnings.simplefilter("ignore")
    try:
        code = _run(sys.argv[1:])
    finally:
        _drop_broken_streams()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    if sys.platform == "win32":  # before modules are imported that it does not have
        say("charrnn: charrnn runs on Linux and macOS; on Windows, use it inside WSL\n", sys.stderr)
        return 2
    try:
        from charrnn_tui.cli import run
    except (OSError, ImportError, MemoryError, RuntimeError, SystemError) as error:
        sentence = explain(error)
        if sentence is None:
            raise
        say(f"charrnn: {harmless_line(sentence)}\n", sys.stderr)
        return 1
    return run(arguments)


def _drop_broken_streams() -> None:
    """Drop streams that cannot be written.

    Some versions of Python try again at exit to write what a stream has not taken, and exit with code 120.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            setattr(sys, name, None)
