"""Choosing the text that a network learns from: one that ships with the program, or a file."""

from __future__ import annotations

import os
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Label, RadioButton, RadioSet

from charrnn_core.errors import CorpusError, reason_of
from charrnn_core.memory import readable_size
from charrnn_core.text.source import PYTHON_BYTES, Source, bundled_sources
from charrnn_tui.dashboard.screens.pick_file import PickFileScreen
from charrnn_tui.terminal import harmless_line

_ABOUT = {
    "tales": "a novel in twelve chapters",
    "play": "a comedy in three acts",
    "python": "the source of Python's standard library",
}
_FIRST = "tales"


class TextButton(RadioButton):
    """A choice whose sign, and not its colour alone, says whether it is chosen."""

    BUTTON_LEFT = ""
    BUTTON_RIGHT = ""

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override] # noqa: N802 # theirs is one sign for both
        """The sign."""
        return "●" if self.value else "○"


class CorpusChoice(Vertical):
    """The bundled texts, and a path."""

    class Changed(Message):
        """Another text is chosen."""

    def __init__(self) -> None:
        super().__init__()
        sources = bundled_sources()
        # The text that a first-time user is shown stands first.
        self._sources = dict(sorted(sources.items(), key=lambda each: each[0] != _FIRST))

    def compose(self) -> ComposeResult:
        """Make a button for each text, and a line for a path."""
        with RadioSet(id="texts", compact=True):
            for number, source in enumerate(self._sources.values()):
                yield TextButton(Content(text_label(source)), value=number == 0)
            yield TextButton(Content("a file"), id="file")
        with Horizontal(classes="path"):
            yield Input(placeholder="path of a UTF-8 text", id="path", compact=True)
            yield Button("Browse", id="browse", compact=True)
        yield Label("", classes="problem", id="corpus-problem", markup=False)

    @property
    def corpus(self) -> str:
        """The chosen text, as `charrnn train` takes it.

        Raises
        ------
        CorpusError
            No file is named, or none that is there.
        """
        pressed = self.query_one(RadioSet).pressed_index
        if 0 <= pressed < len(self._sources):
            return _unmistakable(list(self._sources)[pressed])
        text = self.query_one("#path", Input).value
        if not text.strip():
            raise CorpusError("give the path of a text, or browse for one")
        return str(existing_file(text))

    def pick(self) -> None:
        """Look for a file in the directories."""
        written = Path(self.query_one("#path", Input).value or ".")
        try:
            start = written if written.is_dir() else written.parent
            start = start if start.is_dir() else Path()
        except (OSError, ValueError):
            start = Path()
        self.app.push_screen(PickFileScreen(start), self._picked)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Look for a file."""
        event.stop()
        self.pick()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Choose the file that is named."""
        event.stop()
        if event.value:
            self.query_one("#file", RadioButton).value = True
        self._check()

    def on_radio_set_changed(self, event: RadioSet.Changed) -> None:
        """Say what is wrong with the choice."""
        event.stop()
        if event.pressed.id == "file" and not self.query_one("#path", Input).value:
            self.query_one("#path").focus()
        self._check()

    def _picked(self, path: Path | None) -> None:
        if path is not None:
            box = self.query_one("#path", Input)
            box.value = str(path)
            box.focus()

    def _check(self) -> None:
        problem = ""
        try:
            self.corpus  # noqa: B018
        except CorpusError as error:
            problem = f"✗ {error}"
        self.query_one("#corpus-problem", Label).update(Content(harmless_line(problem)))
        self.post_message(self.Changed())


def text_label(source: Source) -> str:
    """Return what is said of a bundled text: name, size, what it is."""
    size = 0
    for path in source.paths:
        try:
            size += path.stat().st_size
        except OSError:
            return f"{source.name:8}"
    size = min(size, PYTHON_BYTES) if source.name == "python" else size
    return harmless_line(f"{source.name:8}{readable_size(size):>8}  {_ABOUT.get(source.name, '')}").rstrip()


def existing_file(text: str) -> Path:
    """Return the absolute path of a file that a user has typed.

    Raises
    ------
    CorpusError
        There is none.
    """
    try:
        path = Path(text).expanduser().absolute()
        status_is_file = path.is_file()
        exists = path.exists()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a home that nobody has
        raise CorpusError(f"{text}: {reason_of(error)}") from None
    if not status_is_file:
        raise CorpusError(f"{text} is not a file with a text" if exists else f"{text}: no such file")
    return path


def _unmistakable(name: str) -> str:
    """Return the name of a bundled text, unless the command line would take it for a file."""
    if os.path.lexists(name):
        raise CorpusError(
            f"here is a file or directory called {name}, and that name means it; for the bundled text, start "
            "the dashboard in another directory"
        )
    return name
