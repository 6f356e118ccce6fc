"""JSON that may come from anywhere: what it may hold, and what reading it costs."""

import json
import tracemalloc

import pytest

from charrnn_core.runs.json_text import MOST_LEVELS, MOST_VALUES, number_of, parse_json, parse_object


@pytest.mark.parametrize(
    "value",
    [
        [0] * (MOST_VALUES - 1),
        [[]] * (MOST_VALUES // 2 - 1),
        [",[{" * MOST_VALUES],
        [",[{"] * (MOST_VALUES - 1),
    ],
    ids=["numbers", "lists", "marks in a text", "marks in texts"],
)
def test_as_many_values_as_there_may_be_are_read(value):
    data = json.dumps(value).encode()
    assert parse_json(data) == value


@pytest.mark.parametrize(
    "value", [[0] * MOST_VALUES, [{}] * MOST_VALUES, [","] * MOST_VALUES], ids=["numbers", "objects", "texts"]
)
def test_more_values_are_refused(value):
    data = json.dumps(value).encode()
    with pytest.raises(ValueError, match="more than 100,000 values"):
        parse_json(data)
    assert parse_json(data, len(data)) == value
    assert parse_object(data) is None


@pytest.mark.parametrize(
    "line",
    [b"[" + b"[]," * 1_000_000 + b"0]", b"[[" * 500_000, b'{"":' * 500_000, b'["",' + b'"",' * 1_000_000],
    ids=["lists", "deep lists", "deep objects", "texts"],
)
def test_what_is_refused_takes_no_memory(line):
    """An empty list of two bytes takes 56 as a value."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 100,000 values"):
            parse_json(line)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100_000


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e999999999", "NaN", "Infinity", "-Infinity"])
def test_numbers_that_no_float_holds_are_refused(number):
    with pytest.raises(ValueError, match=r"too large|not JSON"):
        parse_json(f"[{number}]".encode())
    assert len(parse_json(f"[{number}]".encode(), constants=True)) == 1
    assert parse_json(b"[1e308, 1e-400, 12345678901234567890]") == [1e308, 0.0, 12345678901234567890]


@pytest.mark.parametrize("value", [True, None, "1", [], {}, 10**400, -(10**18), 1e18])
def test_what_nobody_can_calculate_with_is_no_number(value):
    assert number_of(value) is None
    assert number_of(3) == 3.0
    assert number_of(-0.5) == -0.5


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}"), ('[0,{"a":', "}]")])
def test_what_is_nested_further_than_a_message_could_show_is_refused(begin, end):
    """A value of 960 levels can be parsed, and the sentence that refuses it cannot be made."""
    levels = MOST_LEVELS // len(begin.replace('"a":', "").replace("0,", ""))
    text = begin * levels + "1" + end * levels
    assert parse_json(text.encode()) is not None
    for more in (levels + 1, 500, 960, 990):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_json((begin * more + "1" + end * more).encode())
    many = [[{"a": [1]}] for _ in range(1000)]
    assert parse_json(json.dumps(many).encode()) == many
