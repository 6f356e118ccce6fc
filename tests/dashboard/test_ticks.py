import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_tui.dashboard.renderables.ticks import (
    Axis,
    label,
    labels,
    linear_ticks,
    log_ticks,
    short,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 20_000, 5, ["0", "5k", "10k", "15k", "20k"]),
        (0, 2e6, 5, ["0", "500k", "1M", "1.5M", "2M"]),
        (19_000, 19_100, 5, ["19,000", "19,025", "19,050", "19,075", "19,100"]),
        (28, 115, 6, ["40", "60", "80", "100"]),
        (42.1, 43.9, 4, ["42.5", "43.0", "43.5"]),
        (0, 0.05, 3, ["0", "0.02", "0.04"]),
        (-1, 1, 5, ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        (0, 3e-7, 4, ["0", "1e-7", "2e-7", "3e-7"]),
        (0, 2e9, 3, ["0", "1G", "2G"]),
        (0, 3e100, 3, ["0", "2e100"]),
    ],
)
def test_linear_ticks_are_round_and_so_are_their_labels(low, high, most, expected):
    assert labels(linear_ticks(low, high, most)) == expected


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (1, 20_000, 9, ["1", "3", "10", "30", "100", "300", "1k", "3k", "10k"]),
        (1, 20_000, 5, ["1", "10", "100", "1k", "10k"]),
        (1, 20_000, 3, ["1", "100", "10k"]),
        (1e-8, 1, 5, ["1e-8", "1e-6", "1e-4", "0.01", "1"]),
        (28, 110, 6, ["30", "40", "60", "80", "100"]),
        (42.1, 43.9, 4, ["42.5", "43.0", "43.5"]),
    ],
)
def test_log_ticks(low, high, most, expected):
    assert labels(log_ticks(low, high, most)) == expected


def test_tenths_are_exact():
    assert linear_ticks(0, 0.4, 5).tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]


@given(FINITE, FINITE, st.booleans(), st.integers(1, 30))
def test_ticks_are_few_ascending_and_on_the_axis(low, high, log, most):
    axis = Axis.over(low, high, log)
    ticks = axis.ticks(most)
    assert len(ticks) <= most
    assert (np.diff(ticks) > 0).all()
    position = axis.position(ticks)
    assert ((position > -1e-6) & (position < 1 + 1e-6)).all()
    assert all(labels(ticks))


@given(FINITE, FINITE, st.booleans(), st.floats(0, 1))
def test_a_value_and_its_position_undo_each_other(low, high, log, position):
    axis = Axis.over(low, high, log)
    assert axis.position(axis.value(position)) == pytest.approx(position, abs=1e-5)


def test_a_single_value_gets_an_axis_around_it():
    axis = Axis.over(45.0, 45.0)
    assert (axis.low, axis.high) == pytest.approx((42.75, 47.25))
    assert Axis.over(0.0, 0.0) == Axis(0.0, 1.0)


def test_what_a_logarithmic_axis_has_not_is_nan():
    assert np.isnan(Axis(1, 10, log=True).position([0.0, -1.0])).all()


@pytest.mark.parametrize(
    ("value", "width", "expected"),
    [
        (45.3141, 5, "45.31"),
        (45.3141, 4, "45.3"),
        (45.3141, 2, "45"),
        (103.57, 5, "103.6"),
        (12_345.0, 5, "12.3k"),
        (1.5e-7, 6, "1.5e-7"),
        (0.0, 4, "0"),
        (math.nan, 4, "NaN"),
        (-math.inf, 4, "-inf"),
        (1.0, 0, ""),
    ],
)
def test_a_short_number_fits(value, width, expected):
    assert short(value, width) == expected


@given(FINITE, st.integers(0, 12))
def test_a_short_number_never_exceeds_its_width(value, width):
    assert len(short(value, width)) <= width


@given(FINITE.filter(lambda value: value != 0))
def test_any_number_has_a_label(value):
    assert label(value, abs(value))
