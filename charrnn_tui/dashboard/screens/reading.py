"""Samples in full, one or two side by side, and the entries of a gradient check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen

from charrnn_core.rnn.parameters import PARAMETER_NAMES
from charrnn_tui.check_rows import NORM_METHODS, WINDOWS, is_compared
from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.spans import Line, Span
from charrnn_tui.dashboard.steady import Steady
from charrnn_tui.dashboard.stream import wrapped
from charrnn_tui.formatting import count_of, loss_of

_CLOSE = Binding("escape,q,enter", "dismiss", "Close")


class SampleScreen(Steady, ModalScreen[None]):
    """One sample in full, with the others a key away; or two beside each other.

    Parameters
    ----------
    samples : sequence of dict
        The newest first; two of them, the older first, to compare.
    place : int
        Which one to show.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        _CLOSE,
        Binding("left,up", "leaf(-1)", "Later"),
        Binding("right,down", "leaf(1)", "Earlier"),
        Binding("y", "copy", "Copy"),
    ]

    def __init__(self, samples: Sequence[dict[str, Any]], place: int, *, compare: bool) -> None:
        super().__init__()
        self._samples = samples
        self._place = place
        self._compare = compare

    def compose(self) -> ComposeResult:
        """Make a column for each."""
        with Horizontal(classes="reading"):
            for number in range(2 if self._compare else 1):
                yield Lines(id=f"column-{number}", classes="pane")

    def on_mount(self) -> None:
        """Show the samples."""
        self.call_after_refresh(self._show)

    def on_resize(self) -> None:
        """Wrap them again."""
        self.call_after_refresh(self._show)

    def action_leaf(self, by: int) -> None:
        """Show the next one."""
        if not self._compare:
            self._place = min(len(self._samples) - 1, max(0, self._place + by))
            self._show()

    def action_copy(self) -> None:
        """Copy the sample, or both."""
        texts = [str(sample.get("text", "")) for sample in self._shown]
        self.app.copy_to_clipboard("\n\n".join(texts))
        self.app.notify(
            "Both samples are copied." if len(texts) > 1 else "The sample is copied.", markup=False
        )

    @property
    def _shown(self) -> Sequence[dict[str, Any]]:
        return self._samples[:2] if self._compare else [self._samples[self._place]]

    def _show(self) -> None:
        for number, sample in enumerate(self._shown):
            column = self.query_one(f"#column-{number}", Lines)
            column.border_title = f"update {count_of(sample['update'])}"
            column.border_subtitle = f"smooth loss {loss_of(sample.get('smooth_loss'))}"
            prime, text = str(sample.get("prime", "")), str(sample.get("text", ""))
            lines: list[Line] = []
            for start, piece in wrapped(prime + text, max(1, column.size.width)):
                known = max(0, min(len(piece), len(prime) - start))
                lines.append([Span(piece[:known], "key"), Span(piece[known:], "text")])
            column.show(lines)


class EntriesScreen(Steady, ModalScreen[None]):
    """What was compared of one parameter: analytic and numeric value of each entry, the worst first.

    Parameters
    ----------
    rows : sequence of dict
        The parameter's rows of one check.
    update : int
        When it was made.
    """

    BINDINGS: ClassVar[list[BindingType]] = [_CLOSE]

    def __init__(self, rows: Sequence[dict[str, Any]], update: int) -> None:
        super().__init__()
        self._rows = rows
        self._update = update

    def compose(self) -> ComposeResult:
        """Make the table."""
        yield Lines(id="entries", classes="pane reading")

    def on_mount(self) -> None:
        """Fill the table."""
        table = self.query_one(Lines)
        name, shape = self._rows[0]["parameter"], self._rows[0].get("shape")
        words = [name if name in PARAMETER_NAMES else "gradients"]  # a title is markup: nothing else gets in
        if isinstance(shape, list) and all(isinstance(length, int) for length in shape):
            words.append(" × ".join(map(count_of, shape)))
        table.border_title = f"{', '.join(words)}, at update {count_of(self._update)}"
        table.show([line for row in self._rows for line in entry_lines(row)])


def entry_lines(row: dict[str, Any]) -> list[Line]:
    """Return the lines of one row: what was compared, and its entries."""
    step, is_norm = row.get("step"), row["method"] in NORM_METHODS
    words = [str(row["method"])]
    if not is_norm:
        words.append(f"step {step:.0e}" if isinstance(step, float) else "step –")
    words += [f"h₀ {row['h0']}", str(row.get("selection", ""))]
    special = WINDOWS.get(str(row.get("window")))
    title = " · ".join([*words, special] if special else words)
    if not is_compared(row):
        return [[Span("– ", "label"), Span(title, "value")], [Span(str(row["note"]), "label")], []]
    left, right = ("engine", "float64") if is_norm else ("analytic", "numeric")
    lines: list[Line] = [
        [Span("✓ " if row["passed"] else "✗ ", "good" if row["passed"] else "bad"), Span(title, "value")],
        [Span(f"{'entry':>12}{'relative error':>16}{left:>15}{right:>15}", "label")],
    ]
    compared = row.get("compared")
    for entry in compared if isinstance(compared, list) else []:
        if isinstance(entry, dict):
            lines.append(_entry_line(entry, row.get("floor")))
    return [*lines, []]


def _entry_line(entry: dict[str, Any], floor: Any) -> Line:
    index = entry.get("index")
    place = "–" if index is None else f"direction {index}"
    if isinstance(index, list):
        place = ", ".join(map(str, index))
    a, n = entry.get("analytic"), entry.get("numeric")
    if not (isinstance(a, float) and isinstance(n, float)):  # null is what is not finite
        return [Span(f"{place:>12}", "text"), Span(f"{'not finite':>16}", "bad")]
    error = abs(a - n) / max(floor if isinstance(floor, float) else 1e-12, abs(a) + abs(n), 1e-300)
    return [Span(f"{place:>12}", "text"), Span(f"{error:>16.2e}{a:>15.6e}{n:>15.6e}", "data")]
