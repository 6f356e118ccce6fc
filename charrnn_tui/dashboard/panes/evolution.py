"""The evolution pane: every sample, with update and smooth loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from charrnn_tui.dashboard.panes.pane import Pane
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.spans import Line, LinesOf, Span
from charrnn_tui.formatting import count_of, loss_of


class EvolutionPane(Pane):
    """A line for each sample, the newest first."""

    TITLE = "Evolution"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Later sample", show=False),
        Binding("down,j", "move(1)", "Earlier sample", show=False),
        Binding("home", "move(-1000000)", "Last sample", show=False),
        Binding("end", "move(1000000)", "First sample", show=False),
        Binding("enter", "open", "Open the sample", show=False, id="evolution.open"),
        Binding("x", "mark", "Mark, then open another beside it", show=False, id="evolution.mark"),
        Binding("y", "copy", "Copy the sample", show=False, id="evolution.copy"),
        Binding("escape", "show_all", "Show all samples", show=False),
    ]

    sought: var[str] = var("")
    """Only samples with this text are shown."""

    class Unsought(Message):
        """No text is to be searched for any more."""

    class Opened(Message):
        """Samples are to be shown in full: one, or two side by side."""

        def __init__(self, samples: Sequence[dict[str, Any]], place: int, *, compare: bool = False) -> None:
            super().__init__()
            self.samples = samples
            self.place = place
            self.compare = compare

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._samples: list[dict[str, Any]] = []
        self._marked: dict[str, Any] | None = None

    def update_from(self, session: RunSession) -> None:
        """Show the samples of a run."""
        chosen, every = self.chosen, session.history.samples
        self._samples = found(every, self.sought)
        nothing = f"no sample holds {self.sought}" if every else "no samples yet"
        self.show(SampleLines(self._samples, self._marked, nothing))
        # The same sample stays chosen while others come and go above it; but the newest gives way to a newer.
        places = (place for place, sample in enumerate(self._samples) if sample is chosen)
        place = next(places, 0) if self.cursor else 0
        self.cursor = place if self._samples else None
        count = f"{len(every):,} sample{'s' * (len(every) != 1)}"
        self.tell(f"{len(self._samples):,} of {count} · Esc shows all" if self.sought else count)

    @property
    def chosen(self) -> dict[str, Any] | None:
        """The sample that the cursor is on."""
        return (
            self._samples[self.cursor]
            if self.cursor is not None and self.cursor < len(self._samples)
            else None
        )

    def action_move(self, by: int) -> None:
        """Choose another sample."""
        if self._samples:
            self.cursor = min(len(self._samples) - 1, max(0, (self.cursor or 0) + by))

    def action_open(self) -> None:
        """Show the chosen sample in full, beside the marked one if there is one."""
        chosen = self.chosen
        if chosen is None:
            return
        if self._marked is not None and self._marked is not chosen:
            pair = sorted((self._marked, chosen), key=lambda sample: sample["update"])
            self.post_message(self.Opened(pair, 0, compare=True))
        else:
            self.post_message(self.Opened(self._samples, self.cursor or 0))

    def action_mark(self) -> None:
        """Mark the chosen sample for comparing, or take the mark away."""
        self._marked = None if self._marked is self.chosen else self.chosen
        if self._samples:
            self.show(SampleLines(self._samples, self._marked))

    def action_show_all(self) -> None:
        """Show all samples; where they are shown, the key is not for this pane."""
        if not self.sought:
            raise SkipAction
        self.post_message(self.Unsought())

    def action_copy(self) -> None:
        """Copy the chosen sample."""
        if self.chosen is not None:
            self.app.copy_to_clipboard(str(self.chosen.get("text", "")))
            self.app.notify("The sample is copied.", markup=False)

    def on_click(self, event: Any) -> None:
        """Choose the sample under the mouse, and open it when it is clicked twice."""
        y = event.y - self.gutter.top + self.scroll_offset.y
        if 0 <= y < len(self._samples):
            self.cursor = y
            if event.chain > 1:
                self.action_open()


def found(samples: Sequence[dict[str, Any]], sought: str) -> list[dict[str, Any]]:
    """Return the samples that hold a text, the newest first."""
    wanted = sought.casefold()
    return [
        sample
        for sample in reversed(samples)
        if not wanted or wanted in f"{sample.get('prime') or ''}{sample.get('text')}".casefold()
    ]


class SampleLines(LinesOf[dict[str, Any]]):
    """One line per sample.

    Parameters
    ----------
    samples : sequence of dict
    marked : dict or None
        The one with a mark before it.
    nothing : str
        What the only line says where there are no samples.
    """

    def __init__(
        self,
        samples: Sequence[dict[str, Any]],
        marked: dict[str, Any] | None,
        nothing: str = "no samples yet",
    ) -> None:
        width = len(count_of(max((sample["update"] for sample in samples), default=0)))

        def line_of(sample: dict[str, Any]) -> Line:
            return [
                Span("▸" if sample is marked else " ", "accent"),
                Span(f" {count_of(sample['update']):>{width}}", "value"),
                Span(f"  {loss_of(sample.get('smooth_loss')):>8}  ", "data"),
                Span(one_line(str(sample.get("prime", ""))), "key"),
                Span(one_line(str(sample.get("text", ""))), "text"),
            ]

        super().__init__(samples, line_of, nothing)


def one_line(text: str) -> str:
    """Return a text with spaces for newlines, so that as much of it as possible is seen."""
    return " ".join(text[:400].strip("\n").split("\n"))
