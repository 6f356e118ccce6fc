"""The top line: which run, in which state, how far."""

from __future__ import annotations

from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.spans import Span, plain
from charrnn_tui.formatting import clock

STATES = {
    "training": ("●", "good"),
    "paused": ("‖", "warning"),
    "ended": ("■", "label"),
    "interrupted": ("■", "warning"),
    "crashed": ("✗", "bad"),
    "diverged": ("✗", "bad"),
    "starting": ("○", "label"),
    "stopping": ("■", "warning"),
    "compiling": ("○", "accent"),
    "checking": ("●", "accent"),
    "validating": ("●", "accent"),
    "sampling": ("●", "accent"),
}
"""The symbol of a state, and what it is painted as; the word always stands beside it."""


_SILENT_SECONDS = 5.0  # until it is said that nothing is heard: of a large network an update takes long


class Header(Lines, can_focus=False):
    """One line that is always there."""

    def update_from(
        self, session: RunSession | None, *, starting: bool = True, stopping: bool = False
    ) -> None:
        """Show a run, or that one is being started or stopped, or that there is none."""
        if session is None and not starting:
            keys = Span("  no run: n starts one, o opens one, q leaves", "label")
            self.show([[Span(" charrnn ", "accent"), keys]])
        else:
            self.show([header_line(session, self.size.width, stopping=stopping)])


def header_line(session: RunSession | None, width: int, *, stopping: bool = False) -> list[Span]:
    """Return the line for a run, or for one that is being started."""
    state = "starting" if session is None else state_of(session)
    state = "stopping" if stopping and session is not None and session.live else state
    symbol, role = STATES.get(state, ("●", "good"))
    name = session.name if session else ""
    told = f"{symbol} {state}"
    room = width - len(" charrnn    ") - len(told) - 1
    left = [
        Span(" charrnn ", "accent"),
        Span(f"  {name if len(name) <= room else name[: max(0, room - 1)] + '…'} ", "value"),
        Span(told, role),
    ]
    right = _progress(session) if session is not None else []
    room = width - len(plain(left)) - 2
    while right and len(" · ".join(right)) > room:
        right.pop(0 if len(right) == 1 else len(right) - 1)
    told = " · ".join(right)
    return [*left, Span(" " * (width - len(plain(left)) - len(told) - 1)), Span(told, "label"), Span(" ")]


def state_of(session: RunSession) -> str:
    """Return the word for what a run does now."""
    if session.live:
        if not session.status:
            return "starting"
        phase = session.status.get("phase")
        if session.status.get("state") in ("stopping", "paused"):
            return str(session.status["state"])
        return phase if isinstance(phase, str) and phase in STATES else session.follower.state
    return "diverged" if session.diverged else session.follower.state


def _progress(session: RunSession) -> list[str]:
    status = session.status
    words = [f"update {session.update:,}"]
    if session.silent_seconds >= _SILENT_SECONDS:
        words.insert(0, f"no news for {clock(session.silent_seconds)}")
    progress = session.history.progress
    epoch = status.get("epoch", progress[-1].get("epoch") if progress else None)
    if isinstance(epoch, (int, float)):
        words.append(f"epoch {epoch:.2f}")
    if session.live:
        rate = status.get("updates_per_second")
        if isinstance(rate, (int, float)) and rate > 0 and session.follower.state != "paused":
            words.append(f"{rate:,.0f}/s")
        left = status.get("seconds_left")
        if isinstance(left, (int, float)):
            words.append(f"{clock(left)} left")
    return words
