"""`charrnn serve`: the dashboard in a browser."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path
from typing import Annotated

import typer

from charrnn_core.errors import SettingsError, UsageError, reason_of
from charrnn_tui.cli.options import RunOrSweep, Runs
from charrnn_tui.cli.sweep_meant import sweep_meant
from charrnn_tui.terminal import harmless_line, put

SHORT_HELP = "Show the dashboard in a browser."
HELP = (
    "Example: charrnn serve 20261122\n\n"
    "Show a run or a sweep in a web page of this machine, as charrnn tui does in a terminal. The address "
    "goes to stdout; the key in it keeps others out. Closing the page never stops training, and neither does "
    "Ctrl+C here. Where there is no run yet, the page asks for text and settings. Needs the extra web."
)

_HOST = "127.0.0.1"  # never another one: to look from elsewhere, forward the port with SSH
_LARGEST_PORT = 65_535


def command(
    run: RunOrSweep = None,
    port: Annotated[
        str, typer.Option("--port", metavar="N", help="Where the page is; 0 takes a free port.")
    ] = "8000",
    runs: Runs = "runs",
) -> int:
    """Serve the dashboard until Ctrl+C, and return the exit code."""
    number = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else -1
    if not 0 <= number <= _LARGEST_PORT:
        allowed = f"a whole number from 0 to {_LARGEST_PORT:,}"
        raise SettingsError(f"invalid --port {port[:40]}: must be {allowed}")
    if importlib.util.find_spec("textual_serve") is None:
        raise UsageError("charrnn serve needs the extra web: pip install 'charrnn-tui[web]'")
    from charrnn_core.runs.directory import find_run
    from charrnn_tui.dashboard.preferences import read_keymap

    read_keymap()  # refused here, where the user sees why
    sweep = None if run is None else sweep_meant(run, Path(runs))
    shown = [] if run is None else [str((sweep or find_run(run, Path(runs))).path)]
    listening = _listen(number)
    from charrnn_tui.browser.server import DashboardServer

    title = "".join(f"{harmless_line(Path(path).name)} · " for path in shown) + "charrnn"
    arguments = ["tui", "--served", "--runs", str(Path(runs).absolute()), *shown]
    server = DashboardServer(arguments, listening, title, lambda address: put(f"{address}\n"))
    return 128 + server.run()


def _listen(port: int) -> socket.socket:
    """Return a socket that listens on the loopback address only.

    Raises
    ------
    UsageError
        The port cannot be used.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_HOST, port))
        listening.listen()  # the address is printed before the server accepts
    except OSError as error:
        listening.close()
        reason = f"cannot use --port {port}: {reason_of(error)}"
        raise UsageError(f"{reason}; --port 0 uses any free port") from None
    return listening
