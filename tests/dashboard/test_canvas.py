import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_tui.dashboard.renderables.canvas import GLYPHS, Canvas, Span, narrow


def test_a_line_is_cut_where_its_role_changes():
    canvas = Canvas(6, 2)
    canvas.put(0, 1, "ab", "label")
    canvas.put(0, 3, "│", "axis")
    assert canvas.lines() == [
        [Span(" ", "text"), Span("ab", "label"), Span("│", "axis"), Span("  ", "text")],
        [Span("      ", "text")],
    ]


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [(0, -2, "cd  "), (0, 2, "  ab"), (0, 9, "    "), (0, -9, "    "), (-1, 0, "    "), (3, 0, "    ")],
)
def test_what_is_outside_is_cut_off(row, column, expected):
    canvas = Canvas(4, 1)
    canvas.put(row, column, "abcd", "label")
    assert [span.text for span in canvas.lines()[0] if span.text.strip()] == [expected.strip()] * bool(
        expected.strip()
    )
    assert "".join(span.text for span in canvas.lines()[0]) == expected


def test_wide_and_invisible_characters_take_one_column():
    canvas = Canvas(5, 1)
    canvas.put(0, 0, "日e\u0301\x1b\u200b", "label")
    assert canvas.lines() == [[Span("?e???", "label")]]


@given(st.text())
def test_a_narrow_text_keeps_its_length(text):
    assert len(narrow(text)) == len(text)


@pytest.mark.parametrize(
    ("glyphs", "dots", "expected"),
    [
        ("braille", ["#.", "..", "..", ".#"], "⢁"),
        ("braille", ["##", "##", "##", "##"], "⣿"),
        ("braille", [".#..", "#...", "....", "..#."], "⠊⡀"),
        ("block", [".#", "#."], "▞"),
        ("block", ["##..", "..##"], "▀▄"),
        ("block", ["#.", "##"], "▙"),
        ("ascii", ["#...", ".#.#", "..##"], "'-_|"),
    ],
)
def test_dots_become_characters(glyphs, dots, expected):
    codes, where = GLYPHS[glyphs].characters(np.array([[dot == "#" for dot in row] for row in dots]))
    assert "".join(map(chr, codes[0])) == expected
    assert where.all()


@pytest.mark.parametrize("glyphs", GLYPHS)
def test_every_pattern_has_a_character_of_one_column(glyphs):
    them = GLYPHS[glyphs]
    assert len(them.cells) == 2 ** (them.across * them.down)
    assert narrow(them.cells) == them.cells


def test_ascii_is_ascii():
    glyphs = GLYPHS["ascii"]
    parts = [value for value in vars(glyphs).values() if isinstance(value, str)]
    assert "".join([*parts, *glyphs.marks.values()]).isascii()
