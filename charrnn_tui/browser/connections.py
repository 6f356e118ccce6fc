"""Bounds on what a connection can hold that has not shown the key."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

REQUEST_SECONDS = 5.0
"""Time that a connection has to send a request with the key."""

_ANSWER_SECONDS = 120.0  # for a response through a slow tunnel
_MOST_STRANGERS = 128
BACKLOG = _MOST_STRANGERS // 2
"""Connections that the system accepts ahead: fewer than `accept` keeps, so that each one is read once."""


class Connections:
    """Creates the protocols of a server, and aborts connections that take too long or are too many.

    A connection is a stranger until its request has shown the key. A stranger is dropped after
    `REQUEST_SECONDS`; when there are too many of them, the oldest one is dropped for each new one. So
    connections with half a request do not lock the user out.

    Parameters
    ----------
    server : web.Server
        Factory of protocols.
    """

    def __init__(self, server: web.Server) -> None:
        self._server = server
        # Deadlines of strangers, the oldest one first; and of those that have shown the key.
        self._strangers: dict[RequestHandler, asyncio.TimerHandle] = {}
        self._admitted: dict[RequestHandler, asyncio.TimerHandle] = {}

    def accept(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        while len(self._strangers) >= _MOST_STRANGERS:
            _drop(self._strangers, next(iter(self._strangers)))
        protocol = self._server()
        _set_deadline(self._strangers, protocol, REQUEST_SECONDS)
        return protocol

    def admit(self, protocol: RequestHandler) -> None:
        """Let a connection that has shown the key stay until it has its response."""
        _cancel_deadline(self._strangers, protocol)
        _set_deadline(self._admitted, protocol, _ANSWER_SECONDS)

    def keep(self, protocol: RequestHandler) -> None:
        """Let a connection that was admitted stay as long as it likes."""
        _cancel_deadline(self._admitted, protocol)


_Deadlines = dict[RequestHandler, asyncio.TimerHandle]


def _set_deadline(deadlines: _Deadlines, protocol: RequestHandler, seconds: float) -> None:
    deadlines[protocol] = asyncio.get_running_loop().call_later(seconds, _drop, deadlines, protocol)


def _cancel_deadline(deadlines: _Deadlines, protocol: RequestHandler) -> None:
    deadline = deadlines.pop(protocol, None)
    if deadline is not None:
        deadline.cancel()


def _drop(deadlines: _Deadlines, protocol: RequestHandler) -> None:
    _cancel_deadline(deadlines, protocol)
    if protocol.transport is not None:
        protocol.transport.abort()
