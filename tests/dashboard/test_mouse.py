"""What the mouse does: clicks on keys, panes, rows and buttons, the wheel, and selecting text."""

from __future__ import annotations

from typing import Any

import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from charrnn_tui.dashboard.panes.foot import Foot
from charrnn_tui.dashboard.panes.loss import LossPane
from charrnn_tui.dashboard.screens.compare import CompareScreen
from charrnn_tui.dashboard.screens.diverged import DivergedScreen
from charrnn_tui.dashboard.screens.help import HelpScreen
from charrnn_tui.dashboard.screens.leaving import LeavingScreen
from charrnn_tui.dashboard.screens.new_run import NewRunScreen
from charrnn_tui.dashboard.screens.open_run import OpenRunScreen
from charrnn_tui.dashboard.screens.reading import EntriesScreen, SampleScreen
from charrnn_tui.dashboard.screens.run_list import RunTable

# A stage is tests/dashboard/conftest.py's, whose classes cannot be imported.


async def click(at: Any, part: str, offset: tuple[int, int], times: int = 1) -> None:
    await at.pilot.click(part, offset=offset, times=times)
    await at.settle()


def place(at: Any, part: str, text: str) -> tuple[int, int]:
    """Where a text is shown in lines of the screen, counted from the corner of the widget."""
    lines = at.screen.query_one(part)
    for y, line in enumerate(lines.shown):
        if text in line:
            return line.index(text) + lines.gutter.left, y + lines.gutter.top - lines.scroll_offset.y
    raise AssertionError(f"no {text} in {lines.shown}")


# -- the keys at the foot ----------------------------------------------------------------------------------

COMMANDS: dict[str, list[dict[str, Any]]] = {
    "Pause": [{"command": "pause"}],
    "Sample": [{"command": "sample", "temperature": 1.0}],
    "Check": [{"command": "check"}],
    "Save": [{"command": "checkpoint"}],
    "[": [{"command": "set-learning-rate", "learning_rate": 0.0707}],
    "] Rate": [{"command": "set-learning-rate", "learning_rate": 0.141}],
    "Detach": [{"command": "detach"}],
}
SCREENS = {
    "New": NewRunScreen,
    "Open": OpenRunScreen,
    "Compare": CompareScreen,
    "Keys": HelpScreen,
}


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("word", COMMANDS)
def test_a_click_on_a_key_at_the_foot_asks_the_run(play: Any, word: str) -> None:
    async def steps(at: Any) -> None:
        await click(at, "#key-line", place(at, "#key-line", word))
        assert at.commands == COMMANDS[word]

    play(steps, live=True, owned=True, size=(120, 40))


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("word", SCREENS)
def test_a_click_on_a_key_at_the_foot_opens_a_screen(play: Any, word: str) -> None:
    async def steps(at: Any) -> None:
        await click(at, "#key-line", place(at, "#key-line", word))
        assert type(at.screen) is SCREENS[word]

    play(steps)


def test_a_click_on_quit_asks_and_buttons_answer(play: Any) -> None:
    async def steps(at: Any) -> None:
        for button, asked in (("#stay", []), ("#detach", ["detach"]), ("#stop", ["detach", "stop"])):
            await click(at, "#key-line", place(at, "#key-line", "Quit"))
            assert isinstance(at.screen, LeavingScreen)
            await click(at, button, (2, 1))
            assert not isinstance(at.screen, LeavingScreen)
            assert [command["command"] for command in at.commands] == asked

    play(steps, live=True, owned=True)


@pytest.mark.slow
def test_clicks_on_full_find_and_on_the_keys_of_a_box(play: Any) -> None:
    async def steps(at: Any) -> None:
        await click(at, "#key-line", place(at, "#key-line", "Full"))
        assert [pane.id for pane in at.screen.query(".pane") if pane.display] == ["loss"]
        await click(at, "#key-line", place(at, "#key-line", "Full"))
        await click(at, "#key-line", place(at, "#key-line", "Find"))
        await at.press("f", "o", "x")
        assert at.foot_of("#evolution") == "1 of 3 samples · Esc shows all"
        await click(at, "#key-line", place(at, "#key-line", "Show them"))
        assert at.focus == "EvolutionPane"
        await click(at, "#key-line", place(at, "#key-line", "Find"))
        await click(at, "#key-line", place(at, "#key-line", "Leave"))
        assert at.foot_of("#evolution") == "3 samples"

    play(steps)


def test_a_click_beside_the_keys_does_nothing(play: Any) -> None:
    async def steps(at: Any) -> None:
        foot = at.screen.query_one(Foot)
        for x in (0, len(foot.shown[0]), foot.size.width - 1, foot.shown[0].index("  s Sample") + 1):
            await click(at, "#key-line", (x, 0))
        assert at.commands == []
        assert at.app.return_code is None

    play(steps, live=True, owned=True, size=(120, 40))


# -- panes -------------------------------------------------------------------------------------------------


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    ("pane", "focus"),
    [
        ("#loss", "LossPane"),
        ("#gradients", "GradientPane"),
        ("SampleText", "SampleText"),
        ("PrimeBox", "PrimeBox"),
        ("#run", "RunPane"),
        ("#evolution", "EvolutionPane"),
    ],
)
def test_a_click_gives_a_pane_the_focus(play: Any, pane: str, focus: str) -> None:
    async def steps(at: Any) -> None:
        await at.press("4" if pane != "#run" else "1")
        await click(at, pane, (3, 0 if pane == "PrimeBox" else 1))
        assert at.focus == focus

    play(steps, size=(120, 40))


def test_a_click_chooses_a_sample_and_a_second_opens_it(play: Any) -> None:
    async def steps(at: Any) -> None:
        there = place(at, "#evolution", "fox")
        await click(at, "#evolution", there)
        pane = at.screen.query_one("#evolution")
        assert "fox" in pane.shown[pane.cursor]
        await click(at, "#evolution", place(at, "#evolution", "cat"), times=2)
        assert isinstance(at.screen, SampleScreen)
        assert "cat" in at.shown("#column-0")

    play(steps, size=(120, 40))


def test_a_click_chooses_a_parameter_and_a_second_opens_its_entries(play: Any) -> None:
    async def steps(at: Any) -> None:
        await click(at, "#gradients", place(at, "#gradients", "✓ V"))
        pane = at.screen.query_one("#gradients")
        assert pane.shown[pane.cursor].startswith("✓ V")
        await click(at, "#gradients", place(at, "#gradients", "all checks"))  # no row of the table
        assert pane.shown[pane.cursor].startswith("✓ V")
        await click(at, "#gradients", place(at, "#gradients", "✗ W"), times=2)
        assert isinstance(at.screen, EntriesScreen)
        assert str(at.screen.query_one("#entries").border_title).startswith("W")

    play(steps, size=(120, 40))


async def wheel(at: Any, event: type[Any], part: str, offset: tuple[int, int]) -> None:
    await at.pilot._post_mouse_events([event], part, offset)
    await at.settle()


def test_the_wheel_zooms_where_the_mouse_is(play: Any) -> None:
    async def steps(at: Any) -> None:
        await wheel(at, MouseScrollUp, "#loss", (20, 5))
        view = at.screen.query_one(LossPane).view
        assert view.span == pytest.approx(200 / 1.5)
        low, high = view.x_range(200.0)
        assert high < 200.0  # the place under the mouse stayed, and it was on the left
        assert low < 60
        await wheel(at, MouseScrollDown, "#loss", (20, 5))
        assert at.foot_of("#loss").endswith("all")

    play(steps, size=(120, 40))


def test_the_crosshair_follows_the_mouse_and_leaves_with_it(play: Any) -> None:
    async def steps(at: Any) -> None:
        pane = at.screen.query_one(LossPane)
        places = []
        for x in (20, 30, 50):
            await at.pilot.hover("#loss", (x, 5))
            places.append(pane.view.crosshair)
        assert places == sorted(places)
        assert len(set(places)) == 3
        await at.pilot.hover("#evolution", (20, 3))
        await at.settle()
        assert pane.view.crosshair is None

    play(steps, size=(120, 40))


def test_the_wheel_scrolls_the_facts_of_a_run(play: Any) -> None:
    async def steps(at: Any) -> None:
        text = at.screen.query_one("#run")
        assert text.max_scroll_y > 0
        await wheel(at, MouseScrollDown, "#run", (5, 3))
        await at.until(lambda: text.scroll_offset.y > 0)

    play(steps)


# -- lists and dialogs -------------------------------------------------------------------------------------


def test_a_run_is_clicked_to_choose_it_and_twice_to_open_it(play: Any) -> None:
    async def steps(at: Any) -> None:
        await at.press("o")
        await click(at, "RunTable", place(at, "RunTable", "one"))
        assert isinstance(at.screen, OpenRunScreen)
        table = at.screen.query_one(RunTable)
        assert "one" in table.shown[table.cursor]
        await click(at, "RunTable", place(at, "RunTable", "one"), times=2)
        assert "one" in at.shown("#header")

    play(steps, others=["one", "two"])


def test_a_click_marks_a_run(play: Any) -> None:
    async def steps(at: Any) -> None:
        await at.press("m")
        await click(at, "RunTable", place(at, "RunTable", "one"))
        assert [line[0] for line in at.screen.query_one(RunTable).shown] == [" ", "▪"]

    play(steps, others=["one", "two"])


@pytest.mark.parametrize("button", ["#resume", "#stay"])
def test_buttons_of_the_offer_after_divergence(play: Any, button: str) -> None:
    async def steps(at: Any) -> None:
        await at.press("r")
        await click(at, button, (2, 1))
        assert not isinstance(at.screen, DivergedScreen)
        assert (at.app.session.trainer is not None) == (button == "#resume")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charrnn_tui.dashboard.app.OwnedTrainer", lambda arguments, **more: _Ended())
        play(steps, reason="diverged")


class _Ended:
    code = 0

    def error(self) -> str:
        return ""

    def run_path(self) -> None:
        return None

    def release(self) -> None:
        pass


@pytest.mark.slow
def test_buttons_of_the_form(play: Any) -> None:
    async def steps(at: Any) -> None:
        await at.press("n")
        await click(at, "#browse", (2, 0))
        assert type(at.screen).__name__ == "PickFileScreen"
        await at.press("escape")
        at.screen.query_one("#path").value = "nowhere"
        await at.settle()
        await click(at, "#start", (2, 0))
        assert "nowhere: no such file" in str(at.screen.query_one("#problem").content)
        assert isinstance(at.screen, NewRunScreen)

    play(steps)


# -- selecting ---------------------------------------------------------------------------------------------


async def select(at: Any, part: str, text: str) -> None:
    """Select a text with the mouse."""
    x, y = place(at, part, text)
    await at.pilot.mouse_down(part, (x, y))
    await at.pilot.hover(part, (x + len(text) // 2, y))
    await at.pilot.hover(part, (x + len(text) - 1, y))  # what is under the mouse is selected too
    await at.pilot.mouse_up(part, (x + len(text) - 1, y))
    await at.settle()


@pytest.mark.parametrize(("part", "text"), [("#run", "fable"), ("#evolution", "the cat [sat]")])
def test_ctrl_c_copies_what_is_selected_and_does_not_ask(play: Any, part: str, text: str) -> None:
    async def steps(at: Any) -> None:
        await select(at, part, text)
        await at.press("ctrl+c")
        assert at.app.clipboard == text
        assert not isinstance(at.screen, LeavingScreen)
        assert at.app.return_code is None

    play(steps, live=True, owned=True, size=(120, 40))


def test_ctrl_c_asks_where_nothing_is_selected(play: Any) -> None:
    async def steps(at: Any) -> None:
        await select(at, "#run", "fable")
        await click(at, "#run", (5, 2))  # a click selects nothing any more
        await at.press("ctrl+c")
        assert isinstance(at.screen, LeavingScreen)
        assert at.commands == []

    play(steps, live=True, owned=True, size=(120, 40))


def test_ctrl_c_in_a_box_asks_too(play: Any) -> None:
    async def steps(at: Any) -> None:
        await at.press("p", "O", "n")
        await at.press("ctrl+c")
        assert isinstance(at.screen, LeavingScreen)

    play(steps, live=True, owned=True)


def test_ctrl_c_in_a_dialog_copies_what_is_selected(play: Any) -> None:
    async def steps(at: Any) -> None:
        await at.press("5", "down", "enter")
        await select(at, "#column-0", "cat")
        await at.press("ctrl+c")
        assert at.app.clipboard == "cat"
        assert isinstance(at.screen, SampleScreen)

    play(steps, live=True, owned=True)
