"""Changes of JSON that leave it JSON: a reader's checks lie behind its parser."""

from __future__ import annotations

import json
import random
from typing import Any

HOSTILE: list[Any] = [
    *(
        None,
        True,
        False,
        "",
        "x",
        "\x1b]52;c;AAAA\x07\u202e",
        "\ud800",
        "9" * 5000,
        [],
        {},
        [[]],
        [None],
        {"": {}},
    ),
    *(0, -1, 1, 2, 0.5, -0.0, 5e-324, 1e18, 1e300, -1e300, 1.7976931348623157e308, 10**400, -(10**400)),
    *(2**31, 2**53 + 1, 2**63 - 1, 2**63, float("nan"), float("inf"), float("-inf"), "nan", "1", "../../x"),
]
"""What the place of a value can be taken by."""


def mutated(data: bytes, generator: random.Random) -> bytes | None:
    """Return data in which one value of one line of JSON is another; None where no line is JSON."""
    lines = data.split(b"\n")
    number = generator.randrange(len(lines))
    try:
        value = json.loads(lines[number])
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, (dict, list)) or not value:
        return None
    _change(value, generator)
    try:
        lines[number] = json.dumps(value).encode()
    except RecursionError:
        return None
    if len(lines) > 2 and generator.random() < 0.2:
        lines.insert(generator.randrange(len(lines)), generator.choice(lines))
    return b"\n".join(lines)


def _change(value: Any, generator: random.Random) -> None:
    """Change something in a list or an object, which are not empty."""
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = generator.choice(places)
    inside = value[place]
    if isinstance(inside, (dict, list)) and inside and generator.random() < 0.7:
        _change(inside, generator)
    elif generator.random() < 0.1:
        del value[place]
    elif generator.random() < 0.1 and isinstance(value, dict):
        value[generator.choice([*places, "more", ""])] = value.pop(place)
    elif isinstance(inside, int) and generator.random() < 0.4:
        value[place] = inside + generator.choice([-1, 1, 10**6])
    else:
        value[place] = generator.choice([*HOSTILE, [inside], {"x": inside}, *_beside(value)])


def _beside(value: Any) -> list[Any]:
    """Return the values of a list or an object, which may be of the right kind for a wrong reason."""
    return list(value.values()) if isinstance(value, dict) else value
