"""A sweep in lines of text: what it does, how far it is, the best loss so far."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.cells import cell_len

from charrnn_tui.dashboard.panes.header import STATES
from charrnn_tui.dashboard.run_lines import fitted
from charrnn_tui.dashboard.spans import Line, Span, plain
from charrnn_tui.formatting import loss_of
from charrnn_tui.terminal import harmless_line
from charrnn_tui.trial_words import values_in_words

if TYPE_CHECKING:
    from charrnn_tui.dashboard.sweep_look import SweepLook

TRIAL_STATES = {
    **STATES,
    "waiting": ("○", "label"),
    "pruned": ("□", "label"),
    "failed": ("✗", "bad"),
}
"""The symbol of a trial's state, and what it is painted as."""

DECIMALS = 3
"""Of losses in nats per character."""


def header_line(look: SweepLook, width: int) -> Line:
    """Return the line for the sweep as a whole: its state, how many trials are done, the best loss so far."""
    symbol, role = TRIAL_STATES.get(look.state, ("●", "good"))
    right = _facts(look)
    told = f"{symbol} {look.state} "
    room = width - len(" charrnn    ") - len(told)
    name = harmless_line(look.name)
    left = [
        Span(" charrnn ", "accent"),
        Span(f"  {name if cell_len(name) <= room else fitted(name, max(1, room))} ", "value"),
        Span(told, role),
    ]
    room = width - cell_len(plain(left)) - 2
    for fact in ("text", "training", "failed", "best", "done"):  # what is left out first
        if cell_len(" · ".join(right.values())) > room:
            right.pop(fact, None)
    shown = " · ".join(right.values())
    space = width - cell_len(plain(left)) - cell_len(shown) - 1
    return [*left, Span(" " * max(0, space)), Span(shown, "label"), Span(" ")]


def _facts(look: SweepLook) -> dict[str, str]:
    """Return what there is to say of a sweep, by what it is about."""
    states = [row.state for row in look.rows]
    done = sum(row.is_done for row in look.rows)
    facts = {"text": harmless_line(look.text), "done": f"{done:,} of {look.size:,} done"}
    for fact, among in (("training", ("training", "paused")), ("failed", ("failed", "crashed"))):
        count = sum(state in among for state in states)
        if count:
            facts[fact] = f"{count:,} {fact}"
    best = look.best
    if best:
        facts["best"] = f"best loss {loss_of(best[0].loss, DECIMALS)}"
    return facts


def sweep_summary(look: SweepLook, where: str) -> list[str]:
    """Return what is said of a sweep when the dashboard is left: how far it is, and what is best so far.

    Parameters
    ----------
    look : SweepLook
    where : str
        The sweep's directory as the user would name it.
    """
    facts = _facts(look)
    lines = [" · ".join(facts[fact] for fact in ("text", "done", "training", "failed") if fact in facts)]
    for row in look.best[:1]:
        kind = "smooth" if row.held_out_loss is None else "held-out"
        loss = loss_of(row.loss, DECIMALS)
        lines.append(f"best {kind} loss {loss} /char · {values_in_words(row.trial.values)}")
        lines.append(f"charrnn sample {shlex.quote(f'{where}/{row.trial.name}')}")
    return [harmless_line(line) for line in lines]
