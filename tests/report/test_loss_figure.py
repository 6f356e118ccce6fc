"""The figure of the loss: whole files, extremes that can be seen, and the same bytes every time."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from PIL import Image

from charrnn_core.runs.history import History
from charrnn_core.training.settings import Settings
from charrnn_core.training.state import bucket_width
from charrnn_tui.report.figures.look import Look
from charrnn_tui.report.figures.loss_figure import LossOf, draw_losses, figure_of


def bucket(first: int, last: int, loss: float, **changes: Any) -> dict[str, Any]:
    """Return a bucket as training logs it: one update alone is its own minimum and maximum."""
    spread = 0.0 if first == last else 10.0
    return {
        "type": "progress", "first_update": first, "update": last, "time": last / 1000, "epoch": last / 5000,
        "position": 0, "loss_mean": loss, "loss_min": loss - spread, "loss_max": loss + spread,
        "smooth_loss": loss + 2, "gradient_norm": 1.0, "clipped_share": 0.0, "updates_per_second": 1000.0,
        **changes,
    }  # fmt: skip


def learnt(updates: int, spike: tuple[int, float] | None = None, seconds: float = 0.001) -> History:
    """Return the history of a run of so many updates, in the buckets of one; a loss may be far above all."""
    history = History()
    events = [bucket(0, 0, 110.0)]
    last = 0
    while last < updates:
        first, last = last + 1, last + bucket_width(last)
        loss = 40 + 70 * float(np.exp(-last / (updates / 20)))
        events.append(bucket(first, last, loss, time=last * seconds))
        if spike is not None and first <= spike[0] <= last:
            events[-1]["loss_max"] = spike[1]
    for offset, event in enumerate(events):
        history.add(offset, event)
    return history


def happened(history: History, *events: tuple[str, int, dict[str, Any]]) -> History:
    """Add events, each its type, its update and what else it says, and return the history."""
    for kind, update, more in events:
        history.add(1_000_000 + update, {"type": kind, "update": update, "time": 0.0, **more})
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


@pytest.mark.slow
def test_the_same_figure_is_the_same_bytes() -> None:
    run = run_of(learnt(500))
    for format in ("svg", "png", "pdf"):
        assert draw_losses([run], format=format) == draw_losses([run], format=format)  # type: ignore[arg-type]


@pytest.mark.slow(sparing=1)
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


# -- what is drawn -----------------------------------------------------------------------------------------


def left_axes(*runs: LossOf, **how: Any) -> Axes:
    return figure_of(runs, **how).axes[0]


def line(axes: Axes, name: str) -> Line2D:
    found = [each for each in axes.lines if name in str(each.get_label())]
    assert len(found) == 1, [each.get_label() for each in axes.lines]
    return found[0]


def xy(axes: Axes, name: str) -> tuple[list[float], list[float]]:
    drawn = line(axes, name)
    return np.asarray(drawn.get_xdata()).tolist(), np.asarray(drawn.get_ydata()).tolist()


def band_of(axes: Axes) -> np.ndarray:
    """Return the corners of what is filled between the extremes, float64 of shape (corners, 2)."""
    (band,) = (each for each in axes.collections if isinstance(each, PolyCollection))
    return np.asarray(band.get_paths()[0].vertices)


def shown(axes: Axes) -> str:
    return " ".join(text.get_text() for text in axes.texts)


RATES = ("started", 0, {"settings": {"learning_rate": 0.1}})


def rate(update: int, value: float) -> tuple[str, int, dict[str, Any]]:
    told = {"command": str(update), "name": "set-learning-rate", "arguments": {"learning_rate": value}}
    return "obeyed", update, told


def test_the_smooth_loss_is_drawn_at_the_ends_of_buckets() -> None:
    history = learnt(3000)
    x, y = xy(left_axes(run_of(history)), "smooth loss")
    assert x == history.column("update").tolist()
    assert y == history.column("smooth_loss").tolist()
    assert y != history.column("loss_mean").tolist()


def test_what_cannot_be_drawn_is_a_gap_in_a_curve() -> None:
    history = History()
    for at, loss in enumerate([100.0, None, 90.0, 1e150, 80.0]):
        history.add(at, bucket(at, at, 90.0, smooth_loss=loss))
    _, y = xy(left_axes(run_of(history)), "smooth loss")
    assert np.isnan(y).tolist() == [False, True, False, True, False]


def test_held_out_loss_has_the_unit_of_the_smooth_loss() -> None:
    validated = [("validated", at, {"loss": 4.0 - at / 100}) for at in (0, 100, 200)]
    summed = left_axes(run_of(happened(learnt(300), *validated)))
    assert xy(summed, "held-out loss") == ([0.0, 100.0, 200.0], [100.0, 75.0, 50.0])
    mean = left_axes(run_of(happened(learnt(300), *validated), preset="dd2424-2026"))
    assert xy(mean, "held-out loss")[1] == [4.0, 3.0, 2.0]


def test_runs_of_different_units_are_drawn_per_character() -> None:
    validated = [("validated", 0, {"loss": 4.0}), ("validated", 9, {"loss": 3.0})]
    summed, mean = happened(learnt(9), *validated), happened(learnt(9), *validated)
    axes = left_axes(run_of(summed, "a"), run_of(mean, "b", preset="dd2424-2026"))
    lines = {each.get_label(): np.asarray(each.get_ydata()).tolist() for each in axes.lines}
    assert lines["a"] == pytest.approx((summed.column("smooth_loss") / 25).tolist())
    assert lines["b"] == mean.column("smooth_loss").tolist()
    assert lines["a, held out"] == lines["b, held out"] == [4.0, 3.0]
    assert axes.get_ylabel() == "loss (nats per character)"
    lengths = left_axes(run_of(summed, "a"), run_of(mean, "b", seq_length=50))
    lines = {each.get_label(): np.asarray(each.get_ydata()).tolist() for each in lengths.lines}
    assert lines["b"] == pytest.approx((mean.column("smooth_loss") / 50).tolist())


def test_runs_of_one_unit_are_drawn_in_it() -> None:
    history = learnt(9)
    axes = left_axes(run_of(history, "a"), run_of(history, "b"))
    assert xy(axes, "a") == xy(axes, "b")
    assert xy(axes, "a")[1] == history.column("smooth_loss").tolist()
    assert axes.get_ylabel() == "loss (nats, sum over 25 characters)"
    assert not axes.collections  # one run's extremes would hide the others


def test_a_star_stands_where_the_best_loss_is() -> None:
    best = ("checkpoint", 200, {"kind": "best", "loss": 3.0})
    drawn = left_axes(run_of(happened(learnt(300), best), held_out=0.1))
    assert xy(drawn, "best") == ([200.0], [75.0])
    assert line(drawn, "best").get_label() == "best held-out, 75.00"
    drawn = left_axes(run_of(happened(learnt(300), best)))
    assert xy(drawn, "best") == ([200.0], [3.0])
    assert line(drawn, "best").get_label() == "best, 3.00"
    drawn = left_axes(run_of(happened(learnt(300), best), loss="mean", held_out=0.1))
    assert xy(drawn, "best") == ([200.0], [3.0])
    assert line(drawn, "best").get_label() == "best held-out, 3.000"
    assert str(line(drawn, "best").get_marker()) == "*"


def test_divergence_and_changes_of_the_rate_are_marked_where_they_were() -> None:
    ended = ("ended", 290, {"reason": "diverged"})
    history = happened(learnt(300), RATES, rate(150, 0.05), rate(200, 0.05), ended)
    axes = left_axes(run_of(history))
    assert xy(axes, "diverged")[0] == [290.0, 290.0]
    places = [np.asarray(each.get_xdata()).tolist() for each in axes.lines if len(each.get_xdata()) == 2]
    assert places == [[150.0, 150.0], [290.0, 290.0]]  # the second command changed nothing
    (label,) = (text for text in axes.texts if text.get_text() == "rate 0.05")
    assert label.xy == (150.0, 0.98)


def test_of_several_runs_only_curves_are_drawn() -> None:
    history = happened(learnt(300), RATES, rate(150, 0.05), ("epoch", 100, {}))
    axes = left_axes(run_of(history, "a"), run_of(history, "b"))
    assert len(axes.lines) == 2
    assert not axes.texts


@pytest.mark.parametrize(
    ("seconds", "unit", "size"), [(0.5, "s", 1.0), (1.5, "min", 60.0), (30.0, "min", 60.0), (60.0, "h", 3600)]
)
def test_time_has_a_unit_that_is_the_same_for_all_that_is_drawn(
    seconds: float, unit: str, size: float
) -> None:
    updates = 300
    history = happened(
        learnt(updates, seconds=seconds),
        RATES,
        rate(150, 0.05),
        ("validated", 0, {"loss": 4.0}),
        ("validated", 200, {"loss": 3.0}),
        ("epoch", 100, {}),
        ("checkpoint", 200, {"kind": "best", "loss": 3.0}),
        ("ended", updates, {"reason": "diverged"}),
    )
    axes = left_axes(run_of(history, held_out=0.1), by="time")
    assert axes.get_xlabel() == f"training time ({unit})"
    a_time = seconds / size
    assert xy(axes, "smooth loss")[0] == pytest.approx((history.column("time") / size).tolist())
    assert xy(axes, "held-out loss")[0] == pytest.approx([0.0, 200 * a_time])
    assert xy(axes, "best")[0] == pytest.approx([200 * a_time])
    assert xy(axes, "end of an epoch")[0] == pytest.approx([100 * a_time])
    assert xy(axes, "diverged")[0] == pytest.approx([updates * a_time] * 2)
    assert axes.texts[0].xy[0] == pytest.approx(150 * a_time)
    assert axes.get_xlim()[1] == pytest.approx(1.008 * updates * a_time)
    assert band_of(axes)[:, 0].max() == pytest.approx(updates * a_time)


def test_epochs_are_an_axis_too() -> None:
    history = happened(learnt(2000), ("epoch", 1000, {}), ("validated", 1000, {"loss": 3.0}))
    axes = left_axes(run_of(history), by="epoch")
    assert xy(axes, "smooth loss")[0] == history.column("epoch").tolist()
    assert xy(axes, "held-out loss")[0] == pytest.approx([0.2])
    assert not any("epoch" in str(each.get_label()) for each in axes.lines)


@pytest.mark.parametrize(
    ("settings", "characters"), [({}, 25), ({"seq_length": 40}, 40), ({"loss": "mean"}, 1)]
)
@pytest.mark.parametrize("log_y", [False, True])
def test_the_right_axis_shows_bits_per_character(
    settings: dict[str, Any], characters: int, log_y: bool
) -> None:
    left, right = figure_of([run_of(learnt(300), **settings)], log_y=log_y).axes
    low, high = left.get_ylim()
    assert right.get_ylim() == pytest.approx(
        (low / characters / np.log(2), high / characters / np.log(2)), rel=1e-12
    )
    assert right.get_yscale() == left.get_yscale() == ("log" if log_y else "linear")
    assert right.get_ylabel() == "bits per character"


def test_all_of_the_curves_and_extremes_is_visible() -> None:
    axes = left_axes(run_of(learnt(3000, spike=(2000, 200.0))))
    assert axes.get_ylim() == pytest.approx((30 - 0.04 * 170, 200 + 0.04 * 170))
    assert axes.get_xlim() == pytest.approx((-0.008 * 3000, 1.008 * 3000))
    assert "largest" not in shown(axes)


def test_all_of_the_held_out_loss_is_visible() -> None:
    for losses, low, high in (
        ((8.0, 1.0), 25.0, 200.0),
        ((8.0, 3.0), 30.0, 200.0),
        ((4.0, 1.0), 25.0, 112.0),
    ):
        scores = [("validated", at, {"loss": loss}) for at, loss in enumerate(losses)]
        margin = 0.04 * (high - low)
        axes = left_axes(run_of(happened(learnt(3000), *scores)))
        assert axes.get_ylim() == pytest.approx((low - margin, high + margin))


def test_a_ceiling_keeps_a_single_loss_from_flattening_all() -> None:
    axes = left_axes(run_of(learnt(3000, spike=(2000, 5000.0))))
    high = axes.get_ylim()[1]
    ceiling = 3 * 112.0
    assert high == pytest.approx(ceiling + 0.04 * (ceiling - 30))
    assert "largest 5e+03 ↑" in shown(axes)
    assert axes.get_yscale() == "linear"


def test_a_curve_beyond_the_ceiling_makes_the_axis_logarithmic() -> None:
    history = learnt(100)
    for at in range(101, 111):
        history.add(at, bucket(at, at, 2e4))
    axes = left_axes(run_of(history))
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[1] == pytest.approx(1.1 * (2e4 + 2))
    held_out = left_axes(run_of(happened(learnt(100), ("validated", 50, {"loss": 20.0}))))
    assert held_out.get_yscale() == "log"
    assert left_axes(run_of(learnt(100))).get_yscale() == "linear"


def test_a_logarithmic_axis_begins_where_updates_do() -> None:
    best = ("checkpoint", 0, {"kind": "best", "loss": 110.0})
    history = happened(learnt(300), best, ("validated", 0, {"loss": 4.0}))
    axes = left_axes(run_of(history), log_x=True)
    assert axes.get_xscale() == "log"
    assert xy(axes, "smooth loss")[0][:3] == [1.0, 1.0, 2.0]
    assert xy(axes, "held-out loss")[0] == xy(axes, "best")[0] == [1.0]
    assert axes.get_xlim() == pytest.approx((1.0, 300 ** (1 + 0.008)))


@pytest.mark.parametrize(
    ("epochs", "label", "first", "count"),
    [(1, "end of an epoch", 1, 1), (40, "end of an epoch", 1, 40), (41, "every 2 epochs", 2, 20),
     (100, "every 5 epochs", 5, 20), (2000, "every 50 epochs", 50, 40)],
)  # fmt: skip
def test_of_many_epochs_some_are_marked_and_it_is_said_which(
    epochs: int, label: str, first: int, count: int
) -> None:
    ends = [("epoch", at, {}) for at in range(1, epochs + 1)]
    axes = left_axes(run_of(happened(learnt(3000), *ends)))
    x, y = xy(axes, "epoch")
    assert line(axes, "epoch").get_label() == label
    assert x[0] == first
    assert len(x) == count
    assert set(y) == {0.0}
    assert not line(axes, "epoch").get_clip_on()


def test_nothing_at_the_ends_is_cut() -> None:
    best = ("checkpoint", 300, {"kind": "best", "loss": 40.0})
    ended = ("ended", 300, {"reason": "diverged"})
    for how in ({}, {"log_x": True}, {"by": "time"}):
        axes = left_axes(run_of(happened(learnt(300), best, ended)), **how)
        low, high = axes.get_xlim()
        width = axes.transAxes.inverted().transform(axes.transData.transform([(xy(axes, "best")[0][0], 40)]))
        assert 0.99 < width[0][0] < 0.9955, how
        assert low <= xy(axes, "smooth loss")[0][0] < high


def test_the_extremes_of_buckets_are_filled_between() -> None:
    history = learnt(3000)
    corners = band_of(left_axes(run_of(history)))
    drawn = {(x, y) for x, y in corners.tolist()}
    for name in ("loss_min", "loss_max"):
        assert set(zip(history.column("update"), history.column(name), strict=True)) <= drawn


def test_extremes_of_very_many_buckets_are_drawn_in_columns_and_none_is_lost() -> None:
    history = learnt(1_000_000, spike=(700_000, 300.0))
    assert len(history.progress) > 1500
    corners = band_of(left_axes(run_of(history), size=(4.0, 3.0)))
    assert len(corners) <= 2 * 4 * 200 + 3
    assert corners[:, 1].max() == 300.0
    assert corners[corners[:, 1].argmax(), 0] == pytest.approx(700_000, rel=0.01)
    assert (corners[:, 0].min(), corners[:, 0].max()) == (0.0, 1_000_000.0)
    few = left_axes(run_of(learnt(3000)), size=(40.0, 3.0))
    assert len(band_of(few)) == pytest.approx(2 * len(learnt(3000).progress), abs=3)


def test_losses_of_single_updates_are_seen_as_a_line() -> None:
    history = History()
    for at in range(201):
        history.add(at, bucket(at, at, 50.0 + 40 * (at % 2), smooth_loss=70.0))
    image = pixels(draw_losses([run_of(history)], format="png", size=(4.0, 3.0)))
    assert is_colour(image, Look().envelope).sum() > 5000


def test_a_run_of_one_bucket_is_a_point() -> None:
    axes = left_axes(run_of(learnt(0)))
    assert str(line(axes, "smooth loss").get_marker()) == "o"
    assert not axes.collections
    assert str(line(left_axes(run_of(learnt(1))), "smooth loss").get_marker()) == ""


def test_a_run_without_a_finite_loss_says_so() -> None:
    history = History()
    for at in range(3):
        history.add(at, bucket(at, at, 1.0, smooth_loss=None, loss_min=None, loss_max=None))
    assert "no finite loss" in shown(left_axes(run_of(history)))


def test_a_legend_says_what_is_drawn_and_has_the_title() -> None:
    figure = figure_of([run_of(learnt(300))], title="a\ttitle")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["smooth loss", "minimum and maximum"]
    assert legend.get_title().get_text() == "a␉title"
    (legend,) = figure_of([run_of(learnt(9), "_a"), run_of(learnt(9), "b\n")]).legends
    assert [text.get_text() for text in legend.get_texts()] == [" _a", "b␊"]


def test_ticks_are_labelled_as_in_the_dashboard() -> None:
    figure = figure_of([run_of(learnt(2_000_000))])
    figure.draw_without_rendering()
    assert "1.5M" in [text.get_text() for text in figure.axes[0].get_xticklabels()]
    figure = figure_of([run_of(learnt(3))])
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())
