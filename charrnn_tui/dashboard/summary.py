"""What is said of a run when the dashboard is left."""

from __future__ import annotations

import shlex

from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.formatting import loss_of
from charrnn_tui.terminal import harmless_line


def summary_lines(session: RunSession, where: str, *, detached: bool) -> list[str]:
    """Return three lines: what was trained, the best loss, and how to go on.

    Parameters
    ----------
    session : RunSession
    where : str
        The run directory as the user would name it.
    detached : bool
        It still trains.
    """
    settings, corpus = session.follower.settings, session.follower.config["corpus"]
    ended = session.history.ended or {}
    stopped = ended.get("reason") == "stopped"
    ending = "diverged" if session.diverged else "stopped" if stopped else session.follower.state
    state = "still trains" if detached or session.live else ending
    first = (
        f"{corpus.get('name')} · m = {settings['hidden']:,} · {settings['optimizer']} "
        f"{settings['learning_rate']:g} · update {session.update:,} · {state}"
    )
    best = session.best
    if best is not None:
        second = (
            f"best saved {'' if settings.get('held_out') else 'smooth loss '}{best.told} at update {best.at}"
        )
    else:
        second = f"smooth loss {loss_of(ended.get('smooth_loss', session.smooth_loss))}"
    path = shlex.quote(where)
    third = f"charrnn tui {path}" if detached else f"charrnn sample {path}"
    return [harmless_line(line) for line in (first, second, third)]
