"""Which theme there is, and when it is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rich.color import ColorSystem

from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.preferences import Preferences


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TEXTUAL_THEME", raising=False)
    return tmp_path / "charrnn"


def theme_of(
    chosen: str | None = None, change_to: str | None = None, colours: ColorSystem = ColorSystem.TRUECOLOR
) -> str:
    """The theme that a dashboard begins with on a terminal of so many colours."""
    app = Dashboard(None, None, preferences=Preferences(chosen))
    app.console._color_system = colours
    seen = []

    async def play() -> None:
        async with app.run_test() as pilot:
            await pilot.pause()
            seen.append(app.theme)
            if change_to is not None:
                app.theme = change_to
                await pilot.pause()

    asyncio.run(play())
    return seen[0]


@pytest.mark.slow
def test_a_theme_that_was_not_chosen_is_not_kept(home: Path) -> None:
    assert theme_of() == "tokyo-night"
    assert Preferences.read().theme is None
    assert not home.exists()


@pytest.mark.slow
def test_a_theme_that_was_chosen_is_kept_and_taken_again(home: Path) -> None:
    theme_of(change_to="nord")
    assert Preferences.read().theme == "nord"
    assert theme_of("nord") == "nord"


@pytest.mark.slow
def test_on_sixteen_colours_they_are_the_terminals_own() -> None:
    assert theme_of(colours=ColorSystem.STANDARD) == "ansi-dark"
    assert theme_of("nord", colours=ColorSystem.STANDARD) == "nord"


def test_a_theme_from_the_environment_comes_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_THEME", "textual-light")
    app = Dashboard(None, None)
    app.theme = "textual-light"  # what the toolkit makes of the variable, which it reads when it is imported
    assert app._default_theme() == "textual-light"


@pytest.mark.slow
def test_a_theme_that_does_not_exist_is_not_taken() -> None:
    assert theme_of("none-such") in Dashboard(None, None).available_themes
