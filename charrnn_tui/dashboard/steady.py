"""Screens that stay at the size that the terminal has now."""

from __future__ import annotations

from textual import on
from textual.command import CommandPalette
from textual.events import Resize
from textual.message_pump import MessagePump


class SteadySize(MessagePump):
    """Part of every screen: news of a size that the terminal no longer has are not acted upon.

    A screen that is laid out sends itself the size that it was laid out for. Where that message still waits
    when the terminal gets another size, each of the two makes the toolkit lay the screen out anew and send
    the other one once more, for ever: nothing is painted but borders, and no key is heard.

    What is true now has to be told once more: of the messages about sizes that wait the toolkit keeps only
    the last one, and that may be out of date.
    """

    @on(Resize)
    def keep_to_what_is_true_now(self, event: Resize) -> None:
        """Keep what is out of date from the toolkit, and tell it what is true now."""
        if event.size != self.app.size:
            event.stop()
            event.prevent_default()
            self.post_message(Resize(self.app.size, self.app.size))


class Palette(SteadySize, CommandPalette):
    """The command palette."""
