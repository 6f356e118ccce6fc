"""Choosing a text file by going through directories."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree, Footer

from charrnn_tui.dashboard.steady import Steady
from charrnn_tui.terminal import harmless_line

_LOOKED_AT = 4096


class TextTree(DirectoryTree):
    """A tree of directories and the texts in them, whatever they are named."""

    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "
    ICON_FILE = "  "
    # Icons that every terminal has, in the one width that all agree on.

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Keep directories, and files that can be read as text; hidden ones are left out."""
        return [
            path for path in paths if not path.name.startswith(".") and (_is_directory(path) or is_text(path))
        ]

    def process_label(self, label: str | Text) -> Text:
        """Return a name as it can be shown."""
        return Text(harmless_line(str(label)), no_wrap=True)


class PickFileScreen(Steady, ModalScreen[Path]):
    """Gives the path of a text file.

    Parameters
    ----------
    start : Path
        The directory to begin in.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace,left", "up", "Parent directory", key_display="←"),
        Binding("right", "enter", "Into", show=False),
        Binding("escape", "dismiss", "Back"),
    ]

    def __init__(self, start: Path) -> None:
        super().__init__()
        self._start = start.absolute()

    def compose(self) -> ComposeResult:
        """Make the tree."""
        tree = TextTree(self._start, classes="pane list")
        tree.show_guides = False
        yield tree
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Say where this is."""
        self._title()
        self.query_one(TextTree).focus()

    def action_up(self) -> None:
        """Show the directory above."""
        tree = self.query_one(TextTree)
        tree.path = Path(tree.path).parent
        self._title()

    def action_enter(self) -> None:
        """Show the chosen directory alone."""
        tree = self.query_one(TextTree)
        node = tree.cursor_node
        if node is not None and node.data is not None and node.allow_expand:
            tree.path = node.data.path
            self._title()

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        """Give the file."""
        event.stop()
        self.dismiss(event.path)

    def _title(self) -> None:
        tree = self.query_one(TextTree)
        tree.border_title = Content(harmless_line(str(tree.path)))
        tree.border_subtitle = Content("Enter opens · UTF-8 texts")


def is_text(path: Path) -> bool:
    """Return whether a file can be read and begins as UTF-8 text."""
    try:
        # A device or a named pipe would wait for something; it is not opened.
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            beginning = os.read(descriptor, _LOOKED_AT)
        finally:
            os.close(descriptor)
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except (OSError, ValueError):
        return False
    return bool(beginning) and b"\0" not in beginning


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
