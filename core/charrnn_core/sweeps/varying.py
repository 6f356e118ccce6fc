"""What varies in a sweep: a setting, and the values that it takes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from charrnn_core.errors import SettingsError
from charrnn_core.training.settings import FIELDS, Field, Value

Scale = Literal["lin", "log"]

MOST_VALUES = 10_000
"""Values of one setting."""

_DIGITS = 3  # of values between two bounds: enough to tell them apart, few enough to type
_LARGEST = 1 << 1000  # of whole numbers that are floats too
_SCALE = re.compile(r"(lin|log)?(\d*)", re.ASCII)


@dataclass(frozen=True)
class Variation:
    """A setting with the values that it takes, or with the bounds between which they are drawn.

    Attributes
    ----------
    name : str
        Of the setting.
    values : tuple
        In the order in which they were given; empty where values are drawn.
    low, high : float
        The bounds.
    scale : "lin" or "log"
        Whether differences or ratios are drawn evenly.
    """

    name: str
    values: tuple[Value, ...] = ()
    low: float = math.nan
    high: float = math.nan
    scale: Scale = "lin"

    @property
    def field(self) -> Field:
        """What is known of the setting."""
        return FIELDS[self.name]

    def draw(self, generator: np.random.Generator) -> Value:
        """Draw a value."""
        if self.values:
            return self.values[int(generator.integers(len(self.values)))]
        return self.between(float(generator.random()))

    def between(self, share: float) -> Value:
        """Return the value that lies at a share of the way from the lower to the upper bound, rounded."""
        if self.scale == "log":
            value = math.exp((1 - share) * math.log(self.low) + share * math.log(self.high))
        else:
            value = (1 - share) * self.low + share * self.high
        return self.rounded(value)

    def rounded(self, value: float) -> Value:
        """Return a number as a value of the setting, with as many digits as one likes to type."""
        if self.field.kind is int:
            return round(value)
        return min(self.high, max(self.low, float(f"{value:.{_DIGITS}g}")))

    def to_text(self) -> str:
        """Return what `parse_variation` makes this of again, without the name."""
        if self.values:
            return ",".join(map(shown, self.values))
        return f"{shown(self.low)}:{shown(self.high)}:{self.scale}"


def shown(value: Value) -> str:
    """Return a value as one types it.

    Examples
    --------
    >>> shown(0.1), shown(100), shown(None), shown(1e-05)
    ('0.1', '100', 'none', '1e-05')
    """
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def parse_variation(text: str) -> Variation:
    """Return what a user has typed: `hidden=100,250`, `learning_rate=0.01:0.3:log5`, `clip=1:10:lin`.

    `LOW:HIGH:logN` are N values from LOW to HIGH with even ratios, `linN` with even differences; without N
    values between the bounds are drawn. Values between bounds have three digits.

    Raises
    ------
    SettingsError
        There is no such setting, or a value is not allowed.

    Examples
    --------
    >>> parse_variation("hidden=100,250,500").values
    (100, 250, 500)
    >>> parse_variation("learning-rate=0.01:0.3:log5").values
    (0.01, 0.0234, 0.0548, 0.128, 0.3)
    """
    name, equals, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not values.strip():
        raise SettingsError(
            f"--vary {text} is not possible; it is SETTING=VALUES, for example --vary hidden=100,250 or "
            "--vary learning_rate=0.01:0.3:log5"
        )
    return variation_of(name, values)


def variation_of(name: str, values: str | Sequence[object]) -> Variation:
    """Return a variation by the name of its setting and a text as of `parse_variation`, or a list of values.

    Raises
    ------
    SettingsError
        There is no such setting, or a value is not allowed.
    """
    if name not in FIELDS:
        raise SettingsError(f"there is no setting called {name!r} that could vary")
    if isinstance(values, str) and ":" in values:
        return _between(name, values)
    given = values.split(",") if isinstance(values, str) else values
    field = FIELDS[name]
    parsed = [
        field.parse(name, value.strip()) if isinstance(value, str) else _checked(name, value)
        for value in given
    ]
    return _listed(name, parsed)


def _checked(name: str, value: object) -> Value:
    field = FIELDS[name]
    number: Value = value if value is None or isinstance(value, (int, float, str)) else str(value)
    if field.kind is float and isinstance(number, int) and not isinstance(number, bool):
        number = float(number) if abs(number) < _LARGEST else math.inf
    field.check(name, number)
    return number


def _listed(name: str, values: Sequence[Value]) -> Variation:
    if not values:
        raise SettingsError(f"--vary {name} has no values")
    if len(values) > MOST_VALUES:
        raise SettingsError(f"--vary {name} has {len(values):,} values; at most {MOST_VALUES:,} are possible")
    return Variation(name, tuple(dict.fromkeys(values)))


def _between(name: str, text: str) -> Variation:
    field, parts = FIELDS[name], [part.strip() for part in text.split(":")]
    scale = _SCALE.fullmatch(parts[2]) if len(parts) == 3 else None
    if field.kind is str or scale is None:
        raise SettingsError(
            f"--vary {name}={text} is not possible; numbers between two are LOW:HIGH:log5 or LOW:HIGH:lin5, "
            "or without the 5 where values are drawn"
        )
    low, high = (field.parse(name, part) for part in parts[:2])
    if low is None or high is None or isinstance(low, str) or isinstance(high, str) or not low < high:
        raise SettingsError(f"--vary {name}={text} is not possible; the first number is below the second")
    kind: Scale = "log" if scale[1] == "log" else "lin"
    if kind == "log" and low <= 0:
        raise SettingsError(f"--vary {name}={text} is not possible; even ratios begin above 0")
    between = Variation(name, (), float(low), float(high), kind)
    if not scale[2]:
        return between
    count = int(scale[2][:9])
    if not 2 <= count <= MOST_VALUES:
        raise SettingsError(f"--vary {name}={text} is not possible; from two to {MOST_VALUES:,} values are")
    values = [between.between(place / (count - 1)) for place in range(count)]
    for value in values:
        field.check(name, value)
    return _listed(name, values)
