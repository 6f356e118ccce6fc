import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_tui.dashboard.renderables.sparkline import sparkline


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        (range(8), 8, "▁▂▃▄▅▆▇█"),
        (range(16), 8, "▁▂▃▄▅▆▇█"),
        ([1, 2], 5, "   ▁█"),
        ([45.0] * 9, 4, "▄▄▄▄"),
        ([1, math.nan, 2, math.inf], 4, "▁ █ "),
        ([1, math.nan, 3, 3, math.nan, math.nan], 3, "▁█ "),
        ([], 3, "   "),
        ([math.nan] * 9, 3, "   "),
        ([1, 2], 0, ""),
    ],
)
def test_rows(values, width, expected):
    assert sparkline(list(values), width) == expected


def test_ascii():
    assert sparkline(range(7), 7, "ascii") == "_.-=+*#"


@given(st.lists(st.floats(width=64)), st.integers(-1, 40), st.sampled_from(["braille", "block", "ascii"]))
def test_any_values_fill_the_width(values, width, glyphs):
    text = sparkline(np.array(values), width, glyphs)
    assert len(text) == max(width, 0)
    assert text.isprintable()
