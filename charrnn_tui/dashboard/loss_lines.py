"""The figures below the chart of the loss: of this moment, of the last minute, of the end."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.cells import cell_len, set_cell_size

from charrnn_tui.dashboard.loss_chart import LossView, abscissa
from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.renderables.curves import nearest_index
from charrnn_tui.dashboard.renderables.sparkline import sparkline
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.spans import Line, Span, plain
from charrnn_tui.formatting import characters_of_loss, clock, count_of, ending_of, loss_of
from charrnn_tui.terminal import harmless_line

_SHORTEST_MINUTE = 6  # columns


def lines_below(session: RunSession, view: LossView, width: int, rows: int, glyphs: GlyphSet) -> list[Line]:
    """Return the figures of this moment, and below or beside them the last minute, or how the run ended.

    Where there is a crosshair, the figures under it take the place of one of them.

    Parameters
    ----------
    session : RunSession
    view : LossView
    width, rows : int
        Room for them; of rows one or two.
    glyphs : "braille", "block" or "ascii"
    """
    return [_cut(line, width) for line in _lines_below(session, view, width, rows, glyphs)]


def _lines_below(
    session: RunSession, view: LossView, width: int, rows: int, glyphs: GlyphSet
) -> Sequence[Line]:
    under = crosshair_line(session, view, width)
    if under and rows == 1:
        return [under]
    figures = figures_line(session, width)
    if under:
        return [figures, under]
    if rows > 1:
        return [figures, last_minute(session, width, glyphs) if session.live else end_line(session, width)]
    room = width - len(plain(figures)) - 2
    if session.live and room >= _SHORTEST_MINUTE and len(session.recent) > 1:
        losses = [loss for _, loss, _ in session.recent]
        figures = [*figures, Span("  "), Span(sparkline(losses, min(room, len(losses)), glyphs), "data")]
    return [figures]


def figures_line(session: RunSession, width: int) -> Line:
    """Return the figures of this moment: smooth loss in three units, and the best where it fits."""
    loss = session.smooth_loss
    characters = characters_of_loss(session.follower.settings)
    spans = [Span(loss_of(loss), "value"), Span(" nats", "label")]
    if loss is not None and math.isfinite(loss):
        nats = loss / characters
        others = [(nats, "/char")] * (characters > 1) + [(nats / math.log(2), "bits")]
        for value, unit in others:
            figure = loss_of(value, 3)
            if len(plain(spans)) + len(f"  {figure} {unit}") <= width:
                spans += [Span(f"  {figure}", "value"), Span(f" {unit}", "label")]
    if session.history.validations:
        told = f"  h held-out {loss_of(session.history.validations[-1].get('loss'), 3)} /char"
        spans += [Span(told, "held-out")] if len(plain(spans)) + len(told) <= width else []
    best = session.best
    if best is not None:
        for told in (f"  best saved {best.told} at {best.at}", f"  best saved {best.told}"):
            if len(plain(spans)) + len(told) <= width:
                return [*spans, Span(told, "good")]
    return spans


def crosshair_line(session: RunSession, view: LossView, width: int) -> Line:
    """Return the figures of the bucket of updates under the crosshair; nothing where there is none."""
    history = session.history
    if view.crosshair is None or not len(history.progress):
        return []
    place = nearest_index(abscissa(history, view.abscissa), view.crosshair)
    bucket = history.progress[place]
    told = [("update", count_of(bucket["update"]))]
    if view.abscissa == "epoch":
        told.append(("epoch", loss_of(bucket["epoch"])))
    elif view.abscissa == "time":
        told.append(("time", clock(bucket["time"])))
    told += [
        (name.removeprefix("loss_").removesuffix("_loss"), loss_of(bucket[name]))
        for name in ("smooth_loss", "loss_min", "loss_max")
    ]
    if history.validations:
        updates = np.array([event["update"] for event in history.validations], dtype=np.float64)
        loss = history.validations[nearest_index(updates, bucket["update"])].get("loss")
        told.append(("held-out", f"{loss_of(loss, 3)} /char"))
    spans: list[Span] = []
    for label, figure in told:
        piece = [Span(f"{'  ' * bool(spans)}{label} ", "label"), Span(figure, "value")]
        if len(plain(spans)) + len(plain(piece)) <= width:
            spans += piece
    return spans


def end_line(session: RunSession, width: int) -> Line:
    """Return how a run that does not train came to its end, and what can be done."""
    ended = session.history.ended
    words = ["crashed" if ended is None else harmless_line(ending_of(ended.get("reason")))]
    time = None if ended is None else ended.get("time")
    if isinstance(time, (int, float)) and time > 0:
        words.append(f"{clock(time)} of training")
        words.append(f"{session.update / time:,.0f} updates/s")
    words.append("r goes on")
    while len(words) > 1 and cell_len(" · ".join(words)) > width:
        words.pop(-2 if len(words) > 2 else -1)
    bad = ended is None or ended.get("reason") == "diverged"
    return [Span(words[0], "bad" if bad else "value"), *(Span(f" · {word}", "label") for word in words[1:])]


def last_minute(session: RunSession, width: int, glyphs: GlyphSet) -> Line:
    """Return the course of the smooth loss in the last minute, as one line."""
    label = "last minute "
    values: Sequence[float] = [loss for _, loss, _ in session.recent]
    if len(values) < 2:
        return []
    change = values[-1] - values[0]
    told = f" {'+' * (change >= 0)}{loss_of(change)} nats"
    room = max(0, width - len(label) - len(told))
    line = [Span(label, "label"), Span(sparkline(values, min(room, len(values)), glyphs), "data")]
    return [*line, Span(told, "label")] if len(plain(line)) + len(told) <= width else line


def _cut(line: Line, width: int) -> Line:
    """Return as much of a line as fits, with an ellipsis where it was longer."""
    room = width
    spans: list[Span] = []
    for span in line:
        length = cell_len(span.text)
        if length > room:
            return [*spans, Span(f"{set_cell_size(span.text, room - 1)}…" if room else "", span.role)]
        spans.append(span)
        room -= length
    return spans
