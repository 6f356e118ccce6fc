"""Errors of the server, as lines on stderr."""

from __future__ import annotations

import logging
import sys

from aiohttp import web
from aiohttp.http import HttpProcessingError

from charrnn_tui.terminal import harmless_line, say

_FAULTS_OF_OTHERS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)


class Complaints(logging.Handler):
    """Writes each error once, in one line.

    Malformed requests and broken connections are not errors of the server: the sender has got the answer, and
    the terminal belongs to the user.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._written: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless it was written before."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, _FAULTS_OF_OTHERS):
            return
        cause = "" if error is None else f": {type(error).__name__}: {error}"
        line = harmless_line((record.getMessage().partition("\n")[0] + cause)[:400])
        if line not in self._written and len(self._written) < 100:
            self._written.add(line)
            say(f"charrnn: {line}\n", sys.stderr)
