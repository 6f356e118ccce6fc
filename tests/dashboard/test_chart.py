import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_tui.dashboard.renderables.canvas import GLYPHS, narrow
from charrnn_tui.dashboard.renderables.chart import View, draw, plot_area
from charrnn_tui.dashboard.renderables.curves import Curve, Envelope, Marker, nearest, smoothed

NAN = math.nan


def rows(drawing):
    return ["".join(span.text for span in line) for line in drawing.lines]


def roles(drawing, role):
    """The rows with everything of other roles blank."""
    return [
        "".join(span.text if span.role == role else " " * len(span.text) for span in line)
        for line in drawing.lines
    ]


def curve(*y, role="line", x=None):
    return Curve(np.arange(len(y)) if x is None else np.array(x, float), np.array(y, float), role)


@pytest.fixture
def loss():
    x = np.arange(0.0, 20_001.0, 10.0)
    return Curve(x, 45 + 59 * np.exp(-x / 2500))


def around(line):
    return Envelope(line.x, line.y - 12, line.y + 15)


BRAILLE = [
    "      │⡀⡄                               ",
    "  100 ┤⢳⡀⡆                              ",
    "      │⠃⠳⡄⡇⡄                            ",
    "   75 ┤ ⠃⠙⢦⡀⡇⡆⡄⡀⡀                       ",
    "      │  ⠁⠇⠙⠲⢤⣀⡇⡇⡇⡇⡇⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆⡆",
    "   50 ┤    ⠁⠃⠇⠈⠉⠙⠒⠒⠲⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤",
    "      │        ⠁⠁⠃⠃⠃⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇⠇",
    "      └────────────────┬───────────────┬",
    "       0              10k            20k",
]
BLOCK = [
    "      │▖░                               ",
    "  100 ┤▜▖░                              ",
    "      │░▜▖░░                            ",
    "   75 ┤ ░▀▙▖░░░░░                       ",
    "      │  ░░▀▜▄▄▖░░░░░░░░░░░░░░░░░░░░░░░░",
    "   50 ┤    ░░░░▀▀▀▀▀▀▙▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄",
    "      │        ░░░░░░░░░░░░░░░░░░░░░░░░░",
    "      └────────────────┬───────────────┬",
    "       0              10k            20k",
]
ASCII = [
    "      |_:                               ",
    "  100 +|_:                              ",
    "      |:|_::                            ",
    "   75 + :||_:::::                       ",
    "      |  ::'||_:::::::::::::::::::::::::",
    "   50 +    :::'''|--------|_____________",
    "      |        :::::::::::::::::::::::::",
    "      +----------------+---------------+",
    "       0              10k            20k",
]


@pytest.mark.parametrize(("glyphs", "expected"), [("braille", BRAILLE), ("block", BLOCK), ("ascii", ASCII)])
def test_a_loss_over_its_envelope(loss, glyphs, expected):
    drawing = draw(40, 9, [loss], around(loss), glyphs=glyphs)
    assert rows(drawing) == expected
    assert drawing.area == (7, 0, 33, 7)
    assert drawing.x_range == (0.0, 20_000.0)
    assert {span.role for line in drawing.lines for span in line} == {
        "axis", "label", "line", "envelope", "text",
    }  # fmt: skip


def test_marks_and_a_second_unit(loss):
    markers = [
        Marker(5000, "checkpoint"),
        Marker(9000, "epoch"),
        Marker(12_000, "intervention", "rate 0.05"),
        Marker(20_000, "best"),
    ]
    view = View(right_axis=(1 / 25 / math.log(2), "bits"))
    drawing = draw(44, 9, [loss], None, markers, view)
    assert rows(drawing) == [
        "  100 ┤⡇                 ┊ rate 0.05   6    ",
        "      │⠹⡄                ┊                  ",
        "   80 ┤ ⢳⡀               ┊                  ",
        "      │  ⢳⡀              ┊                  ",
        "      │   ⠹⣄             ┊             4    ",
        "   60 ┤    ⠈⠓⢦⣀          ┊                  ",
        "      │       ⠈⠉⠓⠒⠦⠤⠤⠤⣄⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀◆      ",
        "      └───────▴─────┴─┬──────────────┬ bits ",
        "       0             10k           20k      ",
    ]
    assert roles(drawing, "intervention")[0].strip() == "┊ rate 0.05"
    assert roles(drawing, "best")[6].strip() == "◆"
    assert roles(drawing, "checkpoint")[7].strip() == "▴"
    assert roles(drawing, "epoch")[7].strip() == "┴"


@pytest.mark.parametrize("log", [False, True])
def test_both_axes_have_round_values_of_their_own(loss, log):
    scale = 1 / 25 / math.log(2)
    drawing = draw(60, 20, [loss], view=View(right_axis=(scale, "bits"), log_y=log))
    told = [(row[:6].strip(), row[-5:].strip()) for row in rows(drawing)[:18]]
    left, right = (
        {float(text): row for row, text in enumerate(side) if text} for side in zip(*told, strict=True)
    )
    assert len(left) > 2 and len(right) > 2
    assert all(value % 5 == 0 for value in left) and all(value * 2 % 1 == 0 for value in right)
    for values, times in ((left, 1.0), (right, 1 / scale)):
        for value, row in values.items():
            place = drawing.y_axis.position(value * times)
            assert abs((1 - place) * 18 - (row + 0.5)) <= 0.8, (value, row)


def test_logarithmic_axes(loss):
    assert rows(draw(30, 8, [loss], view=View(log_x=True, log_y=True))) == [
        " 100 ┤⠦⠤⠤⠤⠤⠤⠤⠤⠤⣄⣀⡀            ",
        "     │           ⠉⠙⠲⣄         ",
        "  80 ┤              ⠈⠙⣆       ",
        "     │                ⠈⠳⡄     ",
        "  60 ┤                  ⠙⢦    ",
        "     │                   ⠈⠳⢤⣀⣀",
        "     └──────────────┬─────────",
        "     10            1k         ",
    ]


def test_update_0_is_on_a_logarithmic_axis():
    drawing = draw(30, 8, [curve(100, 60, 50, 45)], view=View(log_x=True))
    assert drawing.x_range == (1.0, 3.0)
    assert drawing.y_range[1] >= 100


def test_values_that_are_not_positive_are_gaps_on_a_logarithmic_axis():
    drawing = draw(20, 6, [curve(1, 10, 0, -1, 10, 1)], view=View(log_y=True))
    gap = [row[drawing.area.left :][7:8] for row in rows(drawing)[:4]]
    assert "".join(gap).strip() == ""
    assert drawing.y_range == pytest.approx((1.0, 10.0))


def test_the_crosshair_writes_its_values_on_the_axes(loss):
    drawing = draw(30, 8, [loss], view=View(crosshair=10_000))
    assert rows(drawing) == [
        " 100 ┤⡇           │           ",
        "     │⢹⡀          │           ",
        "  80 ┤ ⢳⡀         │           ",
        "     │  ⢳⡀        │           ",
        "  60 ┤   ⠙⢦⣀      │           ",
        "46.1 │     ⠈⠙⠒⠦⠤⠤⣄●⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀",
        "     └────────────┬──────────┬",
        "      0        10,000      20k",
    ]
    assert [row.split() for row in roles(drawing, "value") if row.strip()] == [["46.1", "●"], ["10,000"]]


def test_the_mouse_finds_its_x(loss):
    drawing = draw(40, 9, [loss])
    area = drawing.area
    assert drawing.x_at(area.left) == pytest.approx(20_000 * 0.5 / area.width)
    assert drawing.x_at(area.left - 1) is None
    assert drawing.x_at(area.left + area.width) is None
    for log in (False, True):
        found = draw(40, 9, [loss], view=View(log_x=log)).x_at(25)
        shown = draw(40, 9, [loss], view=View(log_x=log, crosshair=found))
        assert roles(shown, "crosshair")[0].index("│") == 25


@pytest.mark.parametrize("y", [(), (NAN, NAN)])
def test_nothing_yet(y):
    drawing = draw(24, 7, [curve(*y)])
    assert rows(drawing)[2:] == [
        "     │  no updates yet  ",
        "     │                  ",
        "     │                  ",
        "     └──────────────────",
        "                        ",
    ]


def test_before_the_second_update():
    assert rows(draw(24, 7, [curve(104)]))[-1] == "      0                 "


def test_nothing_where_the_view_is(loss):
    assert "nothing here" in rows(draw(30, 7, [loss], view=View(x_range=(3e4, 4e4))))[2]


@pytest.mark.parametrize("lost", [NAN, math.inf, -math.inf])
def test_what_is_not_finite_is_a_gap_and_one_mark(loss, lost):
    y = loss.y.copy()
    y[1000:1500] = lost
    drawing = draw(24, 7, [dataclasses.replace(loss, y=y)])
    assert rows(drawing)[:5] == [
        " 100 ┤⡄        ×        ",
        "     │⢳                 ",
        "     │⠈⢳⡀               ",
        "     │  ⠙⢦⣀⡀            ",
        "  50 ┤     ⠉⠉⠓⠒    ⠐⠒⠒⠒⠒",
    ]
    assert roles(drawing, "diverged")[0].strip() == "×"


@pytest.mark.parametrize("spike", [1e9, -1e9])
@pytest.mark.parametrize("log", [False, True])
def test_a_spike_flattens_nothing_and_is_seen(loss, spike, log):
    y = loss.y.copy()
    y[[1000, -1]] = spike
    low, high = loss.y - 10, loss.y + 10
    low[::50], high[::50] = -1e9, 1e9
    drawing = draw(
        40, 12, [dataclasses.replace(loss, y=y)], Envelope(loss.x, low, high), view=View(log_x=log)
    )
    bottom, top = drawing.y_range
    assert -150 < bottom < 45
    assert 104 <= top < 300
    edge = roles(drawing, "line")[0 if spike > 0 else drawing.area.height - 1]
    assert drawing.area.left + drawing.area.width - 1 in [
        index for index, dot in enumerate(edge) if dot != " "
    ]


def test_the_envelope_decides_the_range_by_its_points_whatever_the_width(loss):
    noise = np.random.default_rng(0).exponential(5, len(loss.x))
    envelope = Envelope(loss.x, loss.y - noise, loss.y + noise)
    ranges = {draw(width, 24, [loss], envelope).y_range for width in (50, 100, 200)}
    assert len(ranges) == 1


def test_a_beginning_however_short_is_visible():
    y = np.full(5000, 44.0)
    y[0] = 104
    assert draw(60, 12, [curve(*y)]).y_range[1] >= 104


@pytest.mark.parametrize("glyphs", GLYPHS)
@pytest.mark.parametrize("points", [2, 7, 400, 5000])
def test_a_line_has_no_holes(glyphs, points):
    x = np.linspace(0, 1, points)
    drawing = draw(50, 12, [Curve(x, np.sin(9 * x) * np.cos(40 * x))], glyphs=glyphs)
    area = drawing.area
    cells = np.array(
        [[cell != " " for cell in row[area.left : area.left + area.width]] for row in roles(drawing, "line")]
    )[: area.height]
    assert cells.any(axis=0).all()
    for left, right in zip(cells.T[:-1], cells.T[1:], strict=True):
        near = right | np.append(right[1:], False) | np.append(False, right[:-1])
        assert (left & near).any()


def test_zoomed_in_between_two_points_the_line_goes_through():
    drawing = draw(30, 8, [curve(1, 2)], view=View(x_range=(0.4, 0.6)))
    assert drawing.y_range[0] == pytest.approx(1.4)
    assert drawing.y_range[1] == pytest.approx(1.6)


def test_beyond_a_range_that_was_asked_for_nothing_is_drawn(loss):
    drawing = draw(30, 8, [loss], view=View(y_range=(60, 80)))
    assert drawing.y_range == (60, 80)
    assert all(row[-10:].strip() == "" for row in rows(drawing)[:6])


def test_the_line_is_before_the_others():
    flat = [curve(45, 45, role=role) for role in ("overlay-1", "line", "held-out")]
    drawing = draw(30, 8, flat)
    assert any(row.strip() for row in roles(drawing, "line"))
    assert not any(row.strip() for role in ("held-out", "overlay-1") for row in roles(drawing, role))


def test_the_area_rests_while_numbers_grow():
    areas = {draw(60, 12, [curve(1, top, x=(0, last))]).area for top, last in [(5, 9), (99, 1e3), (1e5, 1e6)]}
    assert len(areas) == 1


def test_epochs_too_many_to_tell_apart_are_left_out(loss):
    few, many = (
        draw(40, 9, [loss], None, [Marker(x, "epoch") for x in np.linspace(0, 2e4, count)])
        for count in (5, 100)
    )
    assert any(row.strip() for row in roles(few, "epoch"))
    assert not any(row.strip() for row in roles(many, "epoch"))


def test_what_is_small_loses_the_right_axis_then_what_is_below_then_the_left_axis():
    assert plot_area(60, 12, right=4) == (7, 0, 47, 10)
    assert plot_area(30, 12, right=4) == (6, 0, 24, 10)
    assert plot_area(30, 4, right=4) == (6, 0, 24, 4)
    assert plot_area(12, 4, right=4) == (0, 0, 12, 4)


def test_nearest():
    line = curve(5, NAN, 7, x=(0, 10, 20))
    assert nearest(line, -3) == (0, 5)
    assert nearest(line, 16) == (20, 7)
    assert nearest(line, 15) == (20, 7)
    assert nearest(line, 99) == (20, 7)
    assert math.isnan(nearest(line, 11)[1])
    assert nearest(curve(), 3) is None


def test_smoothing_is_that_of_single_updates():
    mean, widths = np.array([4.0, 1.0, 3.0]), np.array([1, 2, 3])
    updates = np.repeat(mean, widths)
    expected = []
    for count in np.cumsum(widths):
        weights = 0.5 ** (np.arange(count)[::-1] / 2.5)
        expected.append(np.average(updates[:count], weights=weights))
    assert smoothed(mean, widths, 2.5) == pytest.approx(expected)


def test_smoothing_begins_without_bias_and_leaves_out_what_is_not_finite():
    result = smoothed(np.array([NAN, 7.0, NAN, math.inf, 7.0]), np.ones(5), 100)
    assert result == pytest.approx([NAN, 7.0, NAN, math.inf, 7.0], nan_ok=True)
    assert smoothed(np.array([1.0, 2.0]), np.ones(2), 0).tolist() == [1.0, 2.0]


ANY = st.floats(width=64)
LARGE = st.floats(-1e300, 1e300)
RANGE = st.none() | st.tuples(ANY, ANY)


@st.composite
def curves(draw):
    x = np.array(sorted(draw(st.lists(LARGE, max_size=30))))
    y = draw(st.lists(ANY, min_size=len(x), max_size=len(x)))
    return Curve(x, np.array(y), draw(st.sampled_from(["line", "held-out", "overlay-1"])))


@given(
    st.tuples(st.integers(-1, 70), st.integers(-1, 16)),
    st.lists(curves(), max_size=3),
    st.none() | curves().map(lambda line: Envelope(line.x, line.y, line.y[::-1])),
    st.lists(
        st.builds(
            Marker, ANY, st.sampled_from(["best", "epoch", "checkpoint", "diverged", "else"]), st.text(), ANY
        ),
        max_size=3,
    ),
    st.builds(
        View,
        RANGE,
        RANGE,
        st.booleans(),
        st.booleans(),
        st.none() | ANY,
        st.none() | st.tuples(ANY, st.text()),
    ),
    st.sampled_from(sorted(GLYPHS)),
)
def test_anything_is_drawn_in_its_size(size, lines, envelope, markers, view, glyphs):
    drawing = draw(*size, lines, envelope, markers, view, glyphs)
    assert len(drawing.lines) == max(size[1], 0)
    for row in rows(drawing):
        assert len(row) == max(size[0], 0)
        assert narrow(row) == row
    assert all(span.text for line in drawing.lines for span in line)
    assert all(map(math.isfinite, (*drawing.x_range, *drawing.y_range)))
    assert drawing.x_range[0] < drawing.x_range[1]
