"""The trials of a sweep as lines of text: one trial a line, as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.cells import cell_len

from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.renderables.sparkline import sparkline
from charrnn_tui.dashboard.run_lines import fitted
from charrnn_tui.dashboard.spans import Line, LinesOf, Span
from charrnn_tui.dashboard.sweep_lines import DECIMALS, TRIAL_STATES
from charrnn_tui.formatting import count_of, loss_of
from charrnn_tui.terminal import harmless_line
from charrnn_tui.trial_words import name_in_words

if TYPE_CHECKING:
    from charrnn_core.sweeps.following import TrialRow
    from charrnn_tui.dashboard.sweep_look import SweepLook

_GAP, _WIDEST_GAP = 2, 4
_MARK = 4  # columns before all others: the mark of the trial's line in the chart, the symbol of its state
_WIDTHS = {"state": 11, "updates": 9, "smooth": 6, "held-out": 8, "course": 8, "updates/s": 9}
_DROPPED = ("updates/s", "course", "", "state", "updates", "smooth")
"""What is left out first where there is no room; at the empty place heads of settings are cut."""

_WIDEST_COURSE = 24
_SHORTEST_HEAD = 4


@dataclass(frozen=True)
class Column:
    """What of each trial is shown below one head.

    Attributes
    ----------
    kind : str
        A figure; or a setting that varies, with "--" before it.
    head : str
    width : int
    is_left : bool
        Whether it begins at its left edge.
    texts : mapping of str to str
        What is shown, by the name of the trial, where that never changes.
    before : int
        Blank columns in front of it.
    """

    kind: str
    head: str
    width: int
    is_left: bool
    texts: Mapping[str, str]
    before: int = _GAP

    @property
    def longest(self) -> int:
        """How wide the longest text is that never changes."""
        return max(map(cell_len, self.texts.values()), default=1)

    def cell(self, text: str) -> str:
        """Return a text in exactly the column's width, and what is blank before it."""
        text = harmless_line(text)
        text = fitted(text, self.width) if cell_len(text) > self.width else text
        room = " " * (self.width - cell_len(text))
        return " " * self.before + (text + room if self.is_left else room + text)


def columns_of(look: SweepLook, width: int) -> list[Column]:
    """Return the columns that a width has room for: first figures are left out, then heads are cut."""
    wanted = ["state", "updates", "smooth", "held-out", "course", "updates/s"]
    if not look.is_held_out:
        wanted.remove("held-out")
    if look.state != "training":
        wanted.remove("updates/s")
    figures = [Column(kind, kind, _WIDTHS[kind], kind in ("state", "course"), {}) for kind in wanted]
    settings = [_setting(look, name) for name in look.varied]

    def room() -> int:
        shown = [*figures, *settings]
        return width - _MARK - sum(column.width for column in shown) - _GAP * (len(shown) - 1)

    compared = "held-out" if look.is_held_out else "smooth"
    for kind in _DROPPED:
        if room() >= 0:
            break
        figures = [column for column in figures if column.kind != kind or kind == compared]
        if not kind:
            settings = [replace(each, width=max(each.longest, _SHORTEST_HEAD)) for each in settings]
    while len(settings) > 1 and room() < 0:
        settings.pop()
    for place, each in enumerate(settings):
        whole = max(len(each.head), each.longest)
        settings[place] = replace(each, width=min(whole, each.width + max(0, room())))
    spare = min(room(), _WIDEST_COURSE - _WIDTHS["course"])
    if spare > 0:
        figures = [
            replace(each, width=each.width + spare) if each.kind == "course" else each for each in figures
        ]
    first = [column for column in figures if column.kind == "state"]
    columns = [*first, *settings, *figures[len(first) :]]
    gap = min(_WIDEST_GAP, _GAP + max(0, room()) // max(1, len(columns) - 1))
    return [replace(column, before=gap * bool(number)) for number, column in enumerate(columns)]


def _setting(look: SweepLook, name: str) -> Column:
    from charrnn_core.sweeps.varying import shown

    values = [row.trial.values.get(name) for row in look.rows]
    texts = [harmless_line(shown(value)) for value in values]
    is_left = any(isinstance(value, str) for value in values)
    texts = texts if is_left else aligned(texts)
    names = [row.trial.name for row in look.rows]
    column = Column(f"--{name}", name_in_words(name), 0, is_left, dict(zip(names, texts, strict=True)))
    return replace(column, width=max(len(column.head), column.longest))


def aligned(texts: Sequence[str]) -> list[str]:
    """Return numbers with their points below each other, all as long as the longest.

    Examples
    --------
    >>> aligned(["0.1", "20", "1.125"])
    [' 0.1  ', '20    ', ' 1.125']
    """
    parts = [text.partition(".") for text in texts]
    before = max((len(whole) for whole, _, _ in parts), default=0)
    after = max((len(point + rest) for _, point, rest in parts), default=0)
    return [f"{whole:>{before}}{point + rest:<{after}}" for whole, point, rest in parts]


def title_line(columns: Sequence[Column]) -> Line:
    """Return the heads of the columns."""
    return [Span(" " * _MARK + "".join(column.cell(column.head) for column in columns), "label")]


def trial_line(
    row: TrialRow, mark: Span, look: SweepLook, columns: Sequence[Column], glyphs: GlyphSet
) -> Line:
    """Return the line of a trial.

    Parameters
    ----------
    row : TrialRow
    mark : Span
        One cell in front of it; the course of its loss has the same colour.
    look : SweepLook
    columns : sequence of Column
    glyphs : "braille", "block" or "ascii"
    """
    symbol, role = TRIAL_STATES.get(row.state, ("●", "good"))
    rate = row.updates_per_second
    told = {
        "state": row.state,
        "updates": count_of(row.update),
        "smooth": loss_of(row.smooth_loss, DECIMALS),
        "held-out": loss_of(row.held_out_loss, DECIMALS),
        "updates/s": f"{rate:,.0f}" if row.state == "training" and rate > 0 else "",
    }
    is_best = any(row.trial.name == best.trial.name for best in look.best[:1])
    compared = "held-out" if look.is_held_out else "smooth"
    roles = {"state": role, "course": mark.role, compared: "good" if is_best else "data"}
    curve = look.curves.get(row.trial.name)
    spans = [mark, Span(f" {symbol} ", role)]
    for column in columns:
        if column.kind == "course":
            # What there are few points of begins at the left edge too.
            text = "" if curve is None else sparkline(curve[1], min(column.width, len(curve[1])), glyphs)
        else:
            text = column.texts.get(row.trial.name, told.get(column.kind, "–"))
        usual = "value" if column.kind.startswith("--") else "label"
        spans.append(Span(column.cell(text), roles.get(column.kind, usual)))
    return spans


class TrialLines(LinesOf["TrialRow"]):
    """One line per trial.

    Parameters
    ----------
    look : SweepLook
    columns : sequence of Column
    marks : mapping of str to Span
        What stands in front of trials, by name.
    glyphs : "braille", "block" or "ascii"
    """

    def __init__(
        self, look: SweepLook, columns: Sequence[Column], marks: Mapping[str, Span], glyphs: GlyphSet
    ) -> None:
        def line_of(row: TrialRow) -> Line:
            mark = marks.get(row.trial.name, Span(" ", "label"))
            return trial_line(row, mark, look, columns, glyphs)

        super().__init__(look.rows, line_of, "no trials yet")
