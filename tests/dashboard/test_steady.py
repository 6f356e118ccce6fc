"""Screens keep to the size that the terminal has now, and are whole before they are left."""

from __future__ import annotations

import asyncio
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen

import charrnn_tui.dashboard
from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.screens.new_run import NewRunScreen
from charrnn_tui.dashboard.steady import Palette, Steady


def screens(base: type) -> Iterator[type]:
    for screen in base.__subclasses__():
        yield screen
        yield from screens(screen)


def test_every_screen_is_steady() -> None:
    for module in pkgutil.walk_packages(charrnn_tui.dashboard.__path__, "charrnn_tui.dashboard."):
        import_module(module.name)
    ours = {screen for screen in screens(Screen) if screen.__module__.startswith("charrnn_tui.")}
    assert Palette in ours
    assert [screen.__name__ for screen in ours if not issubclass(screen, Steady)] == []


@pytest.mark.slow
def test_a_size_that_the_terminal_had_before_is_not_acted_upon() -> None:
    async def play() -> None:
        app = Dashboard(None, None)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            for screen in app.screen_stack:
                screen.post_message(Resize(Size(1, 1), Size(1, 1)))
            await pilot.pause()
            assert {screen.size for screen in app.screen_stack} == {Size(80, 24)}
            await pilot.resize_terminal(100, 30)
            await pilot.pause()
            assert {screen.size for screen in app.screen_stack} == {Size(100, 30)}

    asyncio.run(play())


@pytest.mark.slow
def test_what_is_true_is_not_swallowed_by_what_is_out_of_date() -> None:
    async def play() -> None:
        app = Dashboard(None, None)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await pilot.press("escape")  # the start screen
            await pilot.pause()
            app._size = Size(100, 30)
            app.screen.post_message(Resize(Size(100, 30), Size(100, 30)))
            app.screen.post_message(Resize(Size(80, 24), Size(80, 24)))
            for _ in range(20):
                await pilot.pause()
            assert app.screen.query_one("#header").size.width == 100

    asyncio.run(play())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["left", "read"])
def test_a_form_of_which_parts_are_still_being_made(kind: str) -> None:
    async def play() -> None:
        app = Dashboard(None, None)
        async with app.run_test(size=(80, 24)):
            for steps in range(0, 60, 15):
                form = NewRunScreen(Path("runs"), lambda: False, app.start_trainer)
                app.push_screen(form)
                for _ in range(steps):
                    await asyncio.sleep(0)
                    if kind == "read" and form.is_mounted:
                        assert form.arguments[0] == "train"
                await app.pop_screen()

    asyncio.run(play())


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 28, 55])
def test_the_dashboard_is_left_while_it_is_being_made(steps: int) -> None:
    async def play() -> int | None:
        app = Dashboard(None, None)
        async with app.run_test(size=(80, 24)):
            while not isinstance(app.screen, NewRunScreen):
                await asyncio.sleep(0)
            for _ in range(steps):
                await asyncio.sleep(0)
            app.action_leave()
            while app.return_code is None:
                await asyncio.sleep(0)
        return app.return_code

    assert asyncio.run(play()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 5, 20])
def test_no_screen_is_shown_once_the_dashboard_exits(steps: int) -> None:
    async def play() -> int | None:
        app = Dashboard(None, None)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            before = list(app.screen_stack)
            app.exit(return_code=129)
            app.push_screen(NewRunScreen(Path("runs"), lambda: False, app.start_trainer))
            assert app.screen_stack == before
            for _ in range(steps):
                await asyncio.sleep(0)
        return app.return_code

    assert asyncio.run(play()) == 129


@pytest.mark.slow
def test_the_command_palette_opens_once() -> None:
    async def play() -> None:
        app = Dashboard(None, None)
        async with app.run_test(size=(80, 24)) as pilot:
            app.action_command_palette()
            app.action_command_palette()
            await pilot.pause()
            assert [type(screen) for screen in app.screen_stack].count(Palette) == 1

    asyncio.run(play())
