"""The samples pane: what the network writes, as it writes it, and a box for a beginning of yours."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import var
from textual.widgets import Input

from charrnn_tui.dashboard.box import Box
from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.stream import Stream
from charrnn_tui.dashboard.writer import Writer
from charrnn_tui.formatting import loss_of

PAINTS_A_SECOND = 10
_WRITTEN_AHEAD = 40  # characters, so that the text never waits for the network
_WRITING_SECONDS = 0.008  # of each paint, so that a key never waits for it


class SampleText(Lines):
    """The text that appears."""


class PrimeBox(Box):
    """Where a beginning is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave the box", show=False)]

    def action_leave(self) -> None:
        """Give the keys back to the dashboard."""
        self.screen.query_one(SampleText).focus()


class SamplesPane(Vertical):
    """The newest samples, the last one appearing character by character."""

    temperature: var[float] = var(1.0)
    """Of the samples that are asked for here."""

    is_reading: var[bool] = var(False)
    """The network that is to go on from a beginning is being read."""

    class Begun(Message):
        """A beginning was typed, and the network is to go on from it."""

        def __init__(self, prime: str) -> None:
            super().__init__()
            self.prime = prime

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = "Samples"
        self._stream = Stream()
        self._writer: Writer | None = None
        self._held: list[dict[str, Any]] = []  # samples that came while it writes

    def compose(self) -> ComposeResult:
        """Make text and box."""
        yield SampleText()
        yield PrimeBox(placeholder="type a beginning, Enter lets the network go on", compact=True)

    def on_mount(self) -> None:
        """Begin to paint."""
        self.set_interval(1 / PAINTS_A_SECOND, self._paint)
        self._tell()

    def on_resize(self) -> None:
        """Wrap the text to the new width."""
        self._stream.resize(self.query_one(SampleText).text_width)
        self._show()

    def watch_temperature(self) -> None:
        """Say the temperature."""
        self._tell()

    def watch_is_reading(self) -> None:
        """Say that it is."""
        self._tell()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Let the network go on from what was typed."""
        event.stop()
        if event.value:
            self.post_message(self.Begun(event.value))

    def show_last(self, samples: list[dict[str, Any]]) -> None:
        """Show the last of the samples that are there already."""
        self._stream.resize(self.query_one(SampleText).text_width)
        for sample in samples[-3:]:
            self._stream.put(*_told(sample))
        self._show()

    def add(self, sample: dict[str, Any]) -> None:
        """Let a sample appear."""
        if self._writer is not None:  # what was begun here is written to its end before another begins
            self._held.append(sample)
        else:
            self._stream.add(*_told(sample))

    def begin(self, writer: Writer, prime: str) -> None:
        """Let a network of its own go on from a beginning."""
        self._writer = writer
        self.query_one(SampleText).scroll_end(animate=False, immediate=True)
        self._stream.add(f"update {writer.update:,} · yours · temperature {self.temperature:g}", prime, "")

    def _paint(self) -> None:
        if self._writer is not None and self._stream.waiting < _WRITTEN_AHEAD:
            self._stream.extend(self._writer.write(_WRITTEN_AHEAD, _WRITING_SECONDS))
            if not self._writer.left:
                self._writer = None
                for sample in self._held:
                    self._stream.add(*_told(sample))
                self._held.clear()
        if self._stream.advance(1 / PAINTS_A_SECOND):
            self._show()

    def _show(self) -> None:
        text = self.query_one(SampleText)
        at_end = text.scroll_offset.y >= text.max_scroll_y - 1
        text.show(self._stream.lines())
        if at_end:  # who has scrolled back to read stays there
            text.scroll_end(animate=False, immediate=True)

    def _tell(self) -> None:
        reading = "reading the checkpoint · " * self.is_reading
        self.border_subtitle = f"{reading}temperature {self.temperature:g}"


def _told(sample: dict[str, Any]) -> tuple[str, str, str]:
    heading = f"update {sample['update']:,} · smooth loss {loss_of(sample.get('smooth_loss'))}"
    temperature = sample.get("temperature", 1.0)
    if temperature != 1:
        heading += f" · temperature {temperature:g}" if isinstance(temperature, (int, float)) else ""
    return heading, str(sample.get("prime", "")), str(sample.get("text", "")).lstrip("\n")
