"""What is made to fit: keys at the foot, facts of a run, figures below the loss; and marks on its chart."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from charrnn_core.runs.history import History
from charrnn_core.training.settings import Settings
from charrnn_tui.dashboard.loss_chart import ABSCISSAS, LossView, markers_of, places
from charrnn_tui.dashboard.loss_lines import end_line, lines_below
from charrnn_tui.dashboard.panes.foot import FootKey, placed
from charrnn_tui.dashboard.panes.gradients import GROUPS, check_lines
from charrnn_tui.dashboard.panes.run import run_lines
from charrnn_tui.dashboard.screens.diverged import DivergedScreen
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.spans import plain
from charrnn_tui.terminal import harmless_line

HOSTILE = "\x1b]52;c;aGk=\x07 \u202e漢字 " * 9


# -- keys at the foot --------------------------------------------------------------------------------------

foot_keys = st.lists(
    st.builds(
        FootKey,
        st.sampled_from(["s", "space", "?", "漢", "ctrl+left_square_bracket"]),
        st.sampled_from(["", "Quit", "Sample", "漢字"]),
        st.just(""),
        st.integers(0, 5),
    ),
    max_size=12,
)


@given(foot_keys, st.integers(0, 200))
def test_keys_at_the_foot_fit_in_their_order_without_those_of_least_worth(
    keys: list[FootKey], width: int
) -> None:
    shown = list(placed(keys, width))
    end = 0
    for start, after, key in shown:
        assert start > end
        assert after - start == cell_len(f"{key.key} {key.word}".rstrip())
        end = after
    assert end < max(1, width)
    least = min((key.worth for _, _, key in shown), default=6)
    assert [key for _, _, key in shown] == [key for key in keys if key.worth >= least]


@given(foot_keys, st.integers(0, 200))
def test_more_room_never_shows_fewer_keys(keys: list[FootKey], width: int) -> None:
    assert len(list(placed(keys, width))) <= len(list(placed(keys, width + 1)))


# -- a run -------------------------------------------------------------------------------------------------


def run_of(path: Path, *events: dict[str, Any], corpus: str = "fable", **given: Any) -> RunSession:
    """Return a session of a run in which these things have happened."""
    path.mkdir(exist_ok=True)
    told = Settings.of(**given).to_json()
    config = {"settings": told, "corpus": {"name": corpus, "characters": 9, "vocabulary_size": 4}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return RunSession.of(path)


def bucket(update: int, loss: float = 80.0) -> dict[str, Any]:
    same = dict.fromkeys(("loss_mean", "loss_min", "loss_max", "smooth_loss"), loss)
    at = {"first_update": update, "update": update, "time": update / 10, "epoch": update / 5}
    return {"type": "progress", **at, **same}


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**9), 10**300),
    st.floats(),
    st.text(max_size=60),
    st.just(HOSTILE),
    st.lists(st.integers(), max_size=3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(anything, anything, anything, st.integers(1, 200), st.sampled_from([1, 2]))
def test_figures_below_the_loss_fit_whatever_the_log_says(
    tmp_path: Path, reason: Any, time: Any, loss: Any, width: int, rows: int
) -> None:
    session = run_of(tmp_path / "run", bucket(1), bucket(2))
    session.history.ended = {"type": "ended", "update": 2, "reason": reason, "time": time}
    session.history.checkpoints.append({"update": 1, "kind": "best", "loss": loss})
    lines = lines_below(session, LossView(), width, rows, "ascii")
    assert len(lines) == rows
    for line in lines:
        assert cell_len(harmless_line(plain(line))) <= width
    assert plain(lines[0]).startswith("80.00 nats"[: max(0, width - 1)])


@pytest.mark.parametrize("width", [1, 10, 30, 80, 200])
def test_the_end_of_a_run_says_first_how_it_came(tmp_path: Path, width: int) -> None:
    session = run_of(tmp_path / "run", bucket(2))
    assert plain(end_line(session, width)).startswith("crashed")
    session.history.ended = {"type": "ended", "update": 20, "reason": "updates", "time": 2.0}
    told = plain(end_line(session, width))
    assert told.startswith("all updates done")
    assert ("10 updates/s" in told) == (width >= 80)
    assert ("r goes on" in told) == (width >= 30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(max_size=80), st.text(max_size=80), st.integers(11, 90))
def test_facts_of_a_run_fit_and_lose_nothing_but_separators(
    tmp_path: Path, name: str, message: str, width: int
) -> None:
    session = run_of(tmp_path / "run", {"type": "warning", "update": 1, "time": 1.0, "message": message})
    session.follower.config["corpus"]["name"] = name
    wide = [plain(line) for line in run_lines(session, 0.0, 10_000)]
    narrow = [plain(line) for line in run_lines(session, 0.0, width)]
    assert max(map(cell_len, narrow)) <= width

    def told(lines: list[str]) -> str:
        return "".join("".join(line[9:] for line in lines).split()).replace("·", "")

    assert told(narrow) == told(wide)
    assert [line[:9] for line in narrow if line[:9].strip()] == [
        line[:9] for line in wide if line[:9].strip()
    ]


# -- marks on the chart ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ABSCISSAS)
def test_marks_stand_where_the_line_is_at_their_update(tmp_path: Path, kind: Any) -> None:
    history = run_of(
        tmp_path / "run",
        bucket(10),
        {"type": "checkpoint", "update": 15, "time": 9.9, "kind": "best", "loss": 1.0},
        {"type": "epoch", "update": 20, "time": 9.9, "epoch": 4},
        bucket(20),
        {"type": "ended", "update": 99, "time": 9.9, "reason": "diverged"},
    ).history
    scale = {"update": 1, "epoch": 0.2, "time": 0.1}[kind]
    # What lies after the last bucket stands at its end, but over updates, where its place is known.
    last = 99 if kind == "update" else 20
    told = {marker.role: marker.x for marker in markers_of(history, kind)}
    assert told == pytest.approx({"epoch": 20 * scale, "best": 15 * scale, "diverged": last * scale})


@pytest.mark.parametrize("kind", ABSCISSAS)
def test_an_empty_history_has_no_marks_and_places_what_it_is_asked_for(kind: Any) -> None:
    assert list(markers_of(History(), kind)) == []
    assert places(History(), [3.0, 7.0], kind).tolist() == [3.0, 7.0]
    assert places(History(), [], kind).shape == (0,)


@given(st.lists(st.integers(0, 300), max_size=20))
def test_places_are_in_the_order_of_their_updates(updates: list[int]) -> None:
    history = History()
    for update in range(10, 201, 10):
        history.add(update, bucket(update))
    for kind in ABSCISSAS:
        assert (np.diff(places(history, sorted(updates), kind)) >= 0).all()


# -- parts of a check --------------------------------------------------------------------------------------

CELL = 9


def check(*groups: tuple[str, str, str]) -> dict[str, Any]:
    rows = [
        {
            **{"parameter": name, "method": method, "window": window, "h0": h0, "passed": True},
            "maximum_relative_error": number * 1e-9,
        }
        for number, (method, window, h0) in enumerate(groups, 1)
        for name in "UWVbc"
    ]
    return {"update": 1, "rows": rows}


DEFAULT = tuple((method, window, h0) for method, window, h0, _ in GROUPS)


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (4, ["h₀ = 0"]),
        (4 + CELL, ["h₀ = 0"]),
        (4 + 2 * CELL, ["h₀ = 0", "complex"]),  # one of each method before a second of the same
        (4 + 3 * CELL, ["h₀ = 0", "complex", "training"]),
        (4 + 4 * CELL, ["h₀ = 0", "complex", "training", "loop"]),
        (4 + 5 * CELL, ["h₀ = 0", "carried", "complex", "training", "loop"]),
        (200, ["h₀ = 0", "carried", "complex", "stress", "repeats", "training", "fixed", "loop"]),
    ],
)
def test_a_check_has_as_many_columns_as_there_is_room_for(width: int, heads: list[str]) -> None:
    head, *rows = [plain(line) for line in check_lines([check(*DEFAULT)], None, width)]
    assert head.split() == " ".join(heads).split()
    titles = [title for _, _, _, title in GROUPS]
    for row in rows[:5]:
        assert row.split()[2:] == [f"{titles.index(title) + 1:.1f}e-09" for title in heads]
        assert len(row) == len(head)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["central", "complex-step", "odd" * 9]),
            st.sampled_from(["text", "stress"]),
            st.sampled_from(["zeros", "carried", "random"]),
        ),
        unique=True,
        min_size=1,
    ),
    st.integers(4 + CELL, 120),
)
def test_columns_of_any_check_fit(groups: list[tuple[str, str, str]], width: int) -> None:
    head, row, *_ = [plain(line) for line in check_lines([check(*groups)], None, width)]
    shown = (len(head) - 4) // CELL
    assert len(head) == len(row) <= width
    assert shown == min(len(groups), (width - 4) // CELL)


# -- divergence --------------------------------------------------------------------------------------------

ENDED = {"type": "ended", "update": 20, "time": 2.0}


@pytest.mark.parametrize(
    ("reason", "diverged"), [("diverged", True), ("updates", False), ("stopped", False), (None, False)]
)
def test_a_run_has_diverged_when_it_says_so_and_nobody_trains_it(
    tmp_path: Path, reason: str | None, diverged: bool
) -> None:
    events = [] if reason is None else [{**ENDED, "reason": reason}]
    session = run_of(tmp_path / "run", bucket(20), *events)
    assert session.diverged == diverged
    lock = session.directory.lock()
    try:
        session.poll()
        assert not session.diverged
    finally:
        os.close(lock)


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize(
    ("typed", "options"),
    [("0.05", ["--learning-rate", "0.05"]), (" 1e-3 ", ["--learning-rate", "1e-3"]), ("fast", None)],
)
def test_what_resume_is_asked_for_after_divergence(
    play: Any, best: bool, typed: str, options: list[str] | None
) -> None:
    async def steps(at: Any) -> None:
        answers: list[list[str] | None] = []
        at.app.push_screen(DivergedScreen(at.app.session), answers.append)
        await at.settle()
        assert at.screen.query_one("#rate").value == "0.05"  # half of what it was
        at.screen.query_one("#rate").value = typed
        await at.press("enter")
        if options is None:
            assert answers == []
            assert at.screen.focused.id == "rate"
            assert "✗" in str(at.screen.query_one(".help").content)
        else:
            assert answers == [[*["--from-best"] * best, *options]]

    play(steps, reason="diverged", best=best)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(1, 200), st.sampled_from([1, 2]), st.lists(st.floats(-1e6, 1e6), max_size=70))
def test_the_last_minute_and_the_crosshair_fit(
    tmp_path: Path, width: int, rows: int, losses: list[float]
) -> None:
    session = run_of(tmp_path / "run", bucket(1), bucket(2))
    session.recent.extend((float(second), loss, 9.0) for second, loss in enumerate(losses))
    session.follower.state = "training"
    for view in (LossView(), LossView(crosshair=1.0)):
        for line in lines_below(session, view, width, rows, "ascii"):
            assert cell_len(plain(line)) <= width
