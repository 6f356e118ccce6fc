"""The run pane: settings, text, checkpoints, interventions, warnings, machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rich.cells import cell_len

from charrnn_core.memory import readable_size
from charrnn_tui.dashboard.panes.pane import Pane
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.spans import Line, Span
from charrnn_tui.dashboard.stream import wrapped
from charrnn_tui.formatting import ago, clock, count_of
from charrnn_tui.terminal import harmless_line

_LABEL = 9


class RunPane(Pane):
    """What there is to know of a run besides its figures.

    Parameters
    ----------
    clock : callable
        Seconds since the epoch, for the ages of checkpoints.
    """

    TITLE = "Run"

    def __init__(self, clock: Callable[[], float], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._session: RunSession | None = None

    def update_from(self, session: RunSession) -> None:
        """Show a run."""
        self._session = session
        self.show(list(run_lines(session, self._clock(), self.text_width)))

    def on_resize(self) -> None:
        """Have the lines as wide as the pane."""
        if self._session is not None:
            self.update_from(self._session)


def run_lines(session: RunSession, now: float, width: int) -> Iterator[Line]:
    """Yield the lines of the pane.

    Parameters
    ----------
    session : RunSession
    now : float
        Seconds since the epoch, for the ages of checkpoints.
    width : int
        In cells; what is longer goes on in the next line.
    """
    for label, text, role in _facts(session, now):
        yield from _fitted(label, text, role, max(1, width - _LABEL))


Fact = tuple[str, str, str]
"""A label, what stands beside it, and the role of the label."""


def _facts(session: RunSession, now: float) -> Iterator[Fact]:
    settings = session.follower.settings
    opening: dict[str, Any] = session.history.openings[-1] if session.history.openings else {}
    corpus = opening.get("corpus")
    if not isinstance(corpus, dict):
        corpus = session.follower.config["corpus"]
    # What calls for attention stands where it is seen in a small pane too.
    for event in session.history.warnings[-3:]:
        yield "warning", str(event.get("message")), "warning"
    size = f"{count_of(corpus.get('characters'))} · K {count_of(corpus.get('vocabulary_size'))}"
    yield _row("corpus", f"{corpus.get('name')} · {size}")
    yield _row("digest", str(corpus.get("sha256", ""))[:16])
    yield _row(
        "network",
        f"m {settings['hidden']:,} · T {settings['seq_length']:,} · B {settings['batch_size']:,} · "
        f"{settings['dtype']}",
    )
    clip = "none" if settings.get("clip") is None else f"±{settings['clip']:g}"
    yield _row(
        "learning",
        f"{settings['optimizer']} {settings['learning_rate']:g} · clip {clip} · {settings['loss']}",
    )
    threads = opening.get("threads", 1)
    yield _row(
        "engine",
        f"{opening.get('engine', '–')} · {threads} thread{'' if threads == 1 else 's'} · "
        f"seed {settings['seed']}",
    )
    rate, epoch = (session.status.get(name) for name in ("updates_per_second", "epoch"))
    if isinstance(rate, (int, float)) and isinstance(epoch, (int, float)):
        yield _row("pace", f"{rate:,.0f} updates/s · epoch {epoch:.2f}")
    yield from _stops(session, settings)
    for kind in ("last", "best", "previous"):
        yield from _checkpoint(session, kind, now)
    for event in session.history.interventions[-3:]:
        yield _intervention(event)
    versions = opening.get("versions", {})
    yield _row("machine", f"{opening.get('machine', '–')}")
    yield _row("blas", f"{opening.get('blas', '–')}")
    if isinstance(versions, dict):
        yield _row("versions", " · ".join(f"{name} {version}" for name, version in versions.items()))
    yield _row("path", str(session.directory.path))


def _row(label: str, text: str) -> Fact:
    return label, text, "label"


def _fitted(label: str, text: str, role: str, room: int) -> Iterator[Line]:
    """Yield the lines of a fact: broken between its parts where that helps, else wherever it must be."""
    pieces: list[str] = []
    for part in text.split(" · "):
        if pieces and cell_len(joined := f"{pieces[-1]} · {part}") <= room:
            pieces[-1] = joined
        else:
            pieces.append(part)
    lines = [line for piece in pieces for _, line in wrapped(harmless_line(piece), room)]
    for number, line in enumerate(lines):
        yield [Span(f"{'' if number else label:{_LABEL}}", role), Span(line, "text")]


def _stops(session: RunSession, settings: dict[str, Any]) -> Iterator[Fact]:
    status = session.status
    rate = status.get("updates_per_second") or 0
    minimum = settings.get("minimum_updates", 0)  # runs of older versions have none
    stops = []
    if settings.get("updates") is not None:
        left = (settings["updates"] - session.update) / rate if rate and session.live else None
        stops.append(f"update {settings['updates']:,}{_left(left)}")
    if settings.get("epochs") is not None:
        epoch = status.get("epoch")
        left = None
        if rate and isinstance(epoch, (int, float)) and epoch > 0 and session.update:
            end = max(settings["epochs"] * session.update / epoch, minimum)
            left = (end - session.update) / rate
        stops.append(f"epoch {settings['epochs']:g}{_left(left)}")
    if settings.get("seconds") is not None:
        now = status.get("time")
        left = settings["seconds"] - now if isinstance(now, (int, float)) else None
        stops.append(f"{clock(settings['seconds'])} of training{_left(left)}")
    if settings.get("stop_below") is not None:
        stops.append(f"smooth loss < {settings['stop_below']:g}")
    if minimum and any(settings.get(stop) is not None for stop in ("epochs", "stop_below")):
        stops.append(f"not before update {minimum:,}")
    for number, stop in enumerate(stops or ["when you stop it"]):
        yield _row("" if number else "stops", stop)


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f" · {clock(max(0.0, seconds))} left"


def _checkpoint(session: RunSession, kind: str, now: float) -> Iterator[Fact]:
    try:
        status = session.directory.checkpoint_file(kind).stat()
    except OSError:
        return  # not saved yet
    text = f"{ago(now - status.st_mtime)} · {readable_size(status.st_size)}"
    if kind == "best" and session.best is not None:
        text = f"{session.best.told} at {session.best.at} · {ago(now - status.st_mtime)}"
    yield _row(kind, text)


def _intervention(event: dict[str, Any]) -> Fact:
    if event["type"] == "refused":
        return "refused", str(event.get("reason")), "warning"
    what = str(event.get("name"))
    arguments = event.get("arguments")
    if what == "set-learning-rate" and isinstance(arguments, dict):
        what = f"rate {arguments.get('learning_rate')}"
    return _row("obeyed", f"{what} at {count_of(event['update'])}")
