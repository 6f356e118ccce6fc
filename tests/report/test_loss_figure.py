"""The figure of the loss: whole files, extremes that can be seen, and the same bytes every time."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from charrnn_core.runs.history import History
from charrnn_core.training.settings import Settings
from charrnn_core.training.state import bucket_width
from charrnn_tui.report.loss_figure import Look, LossOf, draw_losses


def bucket(first: int, last: int, loss: float, **changes: Any) -> dict[str, Any]:
    return {
        "type": "progress", "first_update": first, "update": last, "time": last / 1000, "epoch": last / 5000,
        "position": 0, "loss_mean": loss, "loss_min": loss - 10, "loss_max": loss + 10, "smooth_loss": loss,
        "gradient_norm": 1.0, "clipped_share": 0.0, "updates_per_second": 1000.0, **changes,
    }  # fmt: skip


def learnt(updates: int, spike: tuple[int, float] | None = None) -> History:
    """Return the history of a run of so many updates, in the buckets of one; a loss may be far above all."""
    history = History()
    events = [bucket(0, 0, 110.0)]
    last = 0
    while last < updates:
        first, last = last + 1, last + bucket_width(last)
        loss = 40 + 70 * float(np.exp(-last / (updates / 20)))
        events.append(bucket(first, last, loss))
        if spike is not None and first <= spike[0] <= last:
            events[-1]["loss_max"] = spike[1]
    for offset, event in enumerate(events):
        history.add(offset, event)
    return history


def run_of(history: History, name: str = "run", **settings: Any) -> LossOf:
    return LossOf(name, history, Settings.of(**settings).to_json())


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def is_colour(image: np.ndarray, colour: str) -> np.ndarray:
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return np.asarray((np.abs(image - wanted) < 12).all(axis=2))


def texts(svg: bytes) -> str:
    """Return all text of an SVG that has it as text."""
    return " ".join("".join(element.itertext()) for element in ElementTree.fromstring(svg).iter())


TEXT_LOOK = Look(text_as_text=True)


def test_a_figure_of_a_million_updates_is_small_and_shows_a_single_loss() -> None:
    run = run_of(learnt(1_000_000, spike=(700_000, 300.0)))
    assert len(draw_losses([run], format="svg")) < 1_000_000
    data = draw_losses([run], format="png")
    assert len(data) < 1_000_000
    band = is_colour(pixels(data), Look().envelope)[60:]  # below the legend
    rows, columns = np.nonzero(band)
    left, right = columns.min(), columns.max()
    top = columns[rows == rows.min()]
    assert abs((top.mean() - left) / (right - left) - 0.7) < 0.02  # where the loss was
    calm = band[:, left + (right - left) // 2]
    assert rows.min() < np.nonzero(calm)[0].min() - 100  # far above all others


def test_the_same_figure_is_the_same_bytes() -> None:
    run = run_of(learnt(500))
    for format in ("svg", "png", "pdf"):
        assert draw_losses([run], format=format) == draw_losses([run], format=format)  # type: ignore[arg-type]


@pytest.mark.parametrize("updates", [0, 1, 2, 3000])
@pytest.mark.parametrize("log", [False, True])
def test_young_and_old_runs_are_drawn_on_both_kinds_of_axes(updates: int, log: bool) -> None:
    svg = draw_losses([run_of(learnt(updates))], log_x=log, log_y=log, look=TEXT_LOOK)
    assert "smooth loss" in texts(svg)


def test_a_run_without_updates_says_so() -> None:
    assert "no updates yet" in texts(draw_losses([run_of(History())], look=TEXT_LOOK))


def test_runs_with_losses_of_different_units_are_compared_per_character() -> None:
    same = texts(draw_losses([run_of(learnt(9), "a"), run_of(learnt(9), "b")], look=TEXT_LOOK))
    assert "nats, sum over 25 characters" in same
    different = [run_of(learnt(9), "a"), run_of(learnt(9), "b", preset="dd2424-2026")]
    assert "nats per character" in texts(draw_losses(different, look=TEXT_LOOK))


def test_many_runs_are_named_and_dashed() -> None:
    names = [f"run-{number}" for number in range(16)]
    svg = draw_losses([run_of(learnt(9), name) for name in names], look=TEXT_LOOK)
    assert all(name in texts(svg) for name in names)
    strokes = set()
    for style in re.findall(rb'style="([^"]*stroke-width: 1\.6[^"]*)"', svg):
        dashes = re.search(rb"stroke-dasharray: ([\d., ]+)", style)
        strokes.add(dashes[1] if dashes else b"")
    assert len(strokes) == 5


def test_marks_are_drawn_for_what_happened() -> None:
    history = learnt(300)
    opened = {"type": "started", "update": 0, "time": 0, "settings": {"learning_rate": 0.1}}
    obeyed = {
        "type": "obeyed", "update": 150, "time": 0.1, "command": "1", "name": "set-learning-rate",
        "arguments": {"learning_rate": 0.05},
    }  # fmt: skip
    best = {"type": "checkpoint", "kind": "best", "update": 200, "time": 0.2, "loss": 41.5}
    epoch = {"type": "epoch", "update": 100, "time": 0.1, "epoch": 1, "smooth_loss": 50.0}
    ended = {"type": "ended", "update": 300, "time": 0.3, "reason": "diverged"}
    validated = [{"type": "validated", "update": at, "time": 0.1, "loss": 2.0} for at in (0, 100, 200)]
    for event in (opened, obeyed, best, epoch, *validated, ended):
        history.add(10_000, event)
    shown = texts(draw_losses([run_of(history)], look=TEXT_LOOK))
    for words in ("rate 0.05", "best, 41.50", "end of an epoch", "diverged", "held-out loss"):
        assert words in shown


def test_a_loss_beyond_all_bounds_is_drawn_on_a_logarithmic_axis() -> None:
    history = learnt(100)
    for number in range(100, 200):
        history.add(1000 + number, bucket(number, number, 1e6 * number, loss_max=1e250))
    history.add(2000, bucket(200, 200, float("1e299"), loss_max=None))
    assert len(draw_losses([run_of(history)])) > 1000


def test_names_are_shown_as_they_are_and_obeyed_by_nobody() -> None:
    svg = draw_losses(
        [run_of(learnt(9), "$\\frac{<b>&\x1b[31m\u202e$"), run_of(learnt(9), "日本")], look=TEXT_LOOK
    )
    assert "$\\frac{<b>&␛[31m\ufffd$" in texts(svg)


@pytest.mark.parametrize("by", ["update", "epoch", "time"])
def test_the_horizontal_axis_is_named(by: Any) -> None:
    shown = texts(draw_losses([run_of(learnt(2000))], by=by, look=TEXT_LOOK))
    assert {"update": "update", "epoch": "epoch", "time": "training time (s)"}[by] in shown
