"""Screens that keep up with who is quick: with sizes, and with keys that leave at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on
from textual.await_remove import AwaitRemove
from textual.command import CommandPalette
from textual.events import Resize
from textual.message_pump import MessagePump
from textual.widget import Widget

LOOK_SECONDS = 0.005
"""Between two looks at what is still being made."""


def is_whole(screen: Widget) -> bool:
    """Return whether all parts of a screen are there, and set up."""
    return all(part.is_mounted for part in (screen, *screen.walk_children(Widget)))


if TYPE_CHECKING:
    _Part = Widget
else:  # of two widgets the toolkit takes styles and names of the first one alone
    _Part = MessagePump


class Steady(_Part):
    """Part of every screen: it acts upon no size that is out of date, and is whole before it is removed.

    A screen that is laid out sends itself the size that it was laid out for. Where that message still waits
    when the terminal gets another size, each of the two makes the toolkit lay the screen out anew and send
    the other one once more, for ever: nothing is painted but borders, and no key is heard.

    What is true now has to be told once more: of the messages about sizes that wait the toolkit keeps only
    the last one, and that may be out of date.

    Who leaves a screen while its parts are still being made, as by two keys in one moment, would make the
    toolkit set up parts in which there is nothing, and fail.
    """

    @on(Resize)
    def keep_to_what_is_true_now(self, event: Resize) -> None:
        """Keep what is out of date from the toolkit, and tell it what is true now."""
        if event.size != self.app.size:
            event.stop()
            event.prevent_default()
            self.post_message(Resize(self.app.size, self.app.size))

    @property
    def is_here(self) -> bool:
        """Whether children can be queried: Textual removes them before it cancels a screen's workers."""
        return self.is_attached and self.display

    def remove(self) -> AwaitRemove:
        """Remove this, once all of it is there."""
        return AwaitRemove([asyncio.create_task(self._remove_whole())])

    async def _remove_whole(self) -> None:
        while not is_whole(self):
            await asyncio.sleep(LOOK_SECONDS)
        await super().remove()


class Palette(Steady, CommandPalette):
    """The command palette."""
