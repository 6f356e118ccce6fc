"""JSON of files that anybody may have written, and the JSON that this program writes.

Python's parser accepts a text of any size and form, and an empty list of two bytes takes 56 in memory. Here
the number of values is bounded, and whatever is wrong with a text is a ValueError.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from charrnn_core.training.events import encodable

MOST_VALUES = 100_000
"""Values in one JSON text that may come from anywhere: about 10 MB in memory."""

MOST_LEVELS = 64
"""Levels of nesting in one; what this program writes has five. To print a value takes a call for each."""

# Possessive, and a string that does not end is one up to the end: the time is proportional to the text.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)

_FORM = bytes.maketrans(b"123456789E", b"000000000e")
_LARGE_FORMS = (b"e000", b"0" * 200)


def parse_json(
    data: bytes, most: int = MOST_VALUES, *, distinct: bool = False, constants: bool = False
) -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    data : bytes
        UTF-8.
    most : int
        How many values (numbers, texts, lists, objects, ...) it may hold.
    distinct : bool
        Whether an object that names a key twice is refused; else the last one counts.
    constants : bool
        Whether NaN and Infinity are accepted, which are not JSON, and numbers too large for a float.

    Raises
    ------
    ValueError
        It is not JSON, is nested too deeply, or holds too many values or a number too large for a float.

    Examples
    --------
    >>> parse_json(b'{"update": 3}')
    {'update': 3}
    >>> parse_json(b"[" * 5_000)
    Traceback (most recent call last):
    ValueError: it is nested too deeply
    """
    # Marks inside strings are text. Leaving them out costs more than counting, and is rarely needed.
    marks = _marks(data, 0, len(data))
    if marks >= most and _has_more(data, most):
        raise ValueError(f"it holds more than {most:,} values")
    try:
        decode = _decode_distinct if distinct else _decode_constants if constants else _decode
        if decode is _decode and not _may_be_too_large(data):
            decode = _decode_small
        value = decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if marks > MOST_LEVELS:
        _check_levels(value)
    return value


def parse_object(data: bytes, *, constants: bool = False) -> dict[str, Any] | None:
    """Return the value of a JSON text that is an object, and None for any other text.

    Parameters
    ----------
    data : bytes
        A line of a log, say, that somebody may have edited.
    constants : bool
        As of `parse_json`.

    Examples
    --------
    >>> parse_object(b'{"update": 3}')
    {'update': 3}
    >>> parse_object(b"[3]"), parse_object(b"{")
    (None, None)
    """
    try:
        value = parse_json(data, constants=constants)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def number_of(value: object) -> float | None:
    """Return a value of a file if it is a number that can be calculated with."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e18 else None  # type: ignore[arg-type]


def _marks(data: bytes, begin: int, end: int) -> int:
    """Return how many commas and opening brackets there are: at least as many as values but one."""
    return data.count(b",", begin, end) + data.count(b"[", begin, end) + data.count(b"{", begin, end)


def _has_more(data: bytes, most: int) -> bool:
    """Return whether there are at least so many marks outside of strings."""
    count = place = 0
    for string in _STRING.finditer(data):
        count += _marks(data, place, string.start())
        if count >= most:
            return True
        place = string.end()
    return count + _marks(data, place, len(data)) >= most


def _may_be_too_large(data: bytes) -> bool:
    """Return whether a number may exceed the range of a float: 200 digits, or a three-digit exponent.

    Other texts are parsed without a check of each number, which takes half of the time.
    """
    form = data.translate(_FORM, b"+")
    return any(large in form for large in _LARGE_FORMS)


_TOO_DEEP = "it is nested too deeply"


def _check_levels(value: Any) -> None:
    """Raise a ValueError where a value is nested too deeply, without a call for each level."""
    level = [value]
    for _ in range(MOST_LEVELS + 1):  # the values of the innermost are one more
        inner: list[Any] = []
        for parent in level:
            if isinstance(parent, dict):
                inner += parent.values()
            elif isinstance(parent, list):
                inner += parent
        if not inner:
            return
        level = inner
    raise ValueError(_TOO_DEEP)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large")
    return number


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("it names something twice")
    return values


# Made once: json.loads makes a decoder for each call that has options.
_decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
_decode_small = json.JSONDecoder(parse_constant=_refuse).decode
_decode_constants = json.JSONDecoder().decode
_decode_distinct = json.JSONDecoder(
    parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_distinct
).decode


def to_json(value: Any) -> str:
    """Return a value as JSON of one line, keys sorted, so that equal values are equal texts."""
    return encodable(
        json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    )
