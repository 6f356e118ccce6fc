"""The user's keys: a map of all of them to start from, and what it changes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.keymap import keymap_text, named_keys, unknown_names
from charrnn_tui.dashboard.preferences import read_keymap
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.screens.help import HelpScreen
from charrnn_tui.dashboard.screens.open_run import OpenRunScreen


def test_the_printed_key_map_is_one_that_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "charrnn").mkdir()
    printed = subprocess.run(
        [sys.executable, "-m", "charrnn_tui", "tui", "--keys"], capture_output=True, check=True
    )
    assert printed.stdout.decode() == keymap_text()
    (tmp_path / "charrnn" / "keys.toml").write_bytes(printed.stdout)
    keys = read_keymap()
    assert keys == {binding.id: binding.key for binding in named_keys()}
    assert unknown_names(keys) == []


def test_no_two_keys_have_one_name() -> None:
    names = [binding.id for binding in named_keys()]
    assert len(names) == len(set(names)) == len(tomllib.loads(keymap_text()))


@pytest.mark.slow
def test_another_key_does_it_and_the_foot_and_the_help_say_so(tmp_path: Path) -> None:
    app = Dashboard(None, None, runs=tmp_path, keymap={"open": "ctrl+t", "opne": "x"})

    async def play() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause()
            await pilot.press("escape")  # the start screen
            await pilot.pause()
            assert [note.message for note in app._notifications] == [
                "No key is called opne; charrnn tui --keys shows the names of all keys."
            ]
            foot = app.screen.query_one("#key-line").shown[0]  # type: ignore[attr-defined]
            assert "^t Open" in foot and "o Open" not in foot.replace("^t Open", "")
            await pilot.press("o")
            assert isinstance(app.screen, RunScreen)
            await pilot.press("question_mark")
            await pilot.pause()
            assert isinstance(app.screen, HelpScreen)
            keys = app.screen.query_one("#keys").shown  # type: ignore[attr-defined]
            assert any("ctrl+t  Show another run" in line for line in keys)
            await pilot.press("escape")
            await pilot.press("ctrl+t")
            await pilot.pause()
            assert isinstance(app.screen, OpenRunScreen)

    asyncio.run(play())
