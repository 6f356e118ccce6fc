#!/usr/bin/env python3
"""Make the pictures of the dashboard in the README, from a real run on the bundled text.

    python docs/screenshots.py

Trains the default network in a temporary directory, asks a gradient check and another learning rate of it as
a user would, and writes docs/dashboard.svg (120x40).
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.trainer import OwnedTrainer

HERE = Path(__file__).parent
SIZES = {"dashboard": (120, 40)}
ASKED_AT = {20_000: "right_square_bracket", 30_000: "g"}
TAKEN_AT = 43_000


async def picture(name: str, width: int, height: int, runs: str) -> None:
    """Train, ask, and take a picture."""
    trainer = OwnedTrainer(["train", "tales", "--updates", "none", "--runs", runs, "--name", name])
    app = Dashboard(None, trainer)
    asked = dict(ASKED_AT)
    async with app.run_test(size=(width, height)) as pilot:
        while app.session is None or app.session.update < TAKEN_AT:
            await pilot.pause(0.05)
            for update in [each for each in asked if app.session and app.session.update >= each]:
                await pilot.press(asked.pop(update))
        app.clear_notifications()
        await pilot.pause(0.5)
        svg = app.export_screenshot(title="charrnn tui")
    assert app.session is not None
    app.session.close()
    trainer.wait(30)
    # No fonts from elsewhere: a README does not load them, and nobody should be asked for them.
    (HERE / f"{name}.svg").write_text(re.sub(r"@font-face\s*{[^}]*}", "", svg), encoding="utf-8")


def main() -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as runs:
        for name, (width, height) in SIZES.items():
            asyncio.run(picture(name, width, height, runs))


if __name__ == "__main__":
    main()
