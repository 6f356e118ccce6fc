"""TOML of files that a user writes, or has received."""

from __future__ import annotations

import tomllib
from typing import Any

_MOST_DOTS = 2_000  # in a line; Python's parser takes the square of the parts of a dotted name


def parse_toml(data: bytes) -> dict[str, Any]:
    """Return the values of a TOML text.

    Parameters
    ----------
    data : bytes
        UTF-8.

    Raises
    ------
    ValueError
        It is not TOML, is nested too deeply, or has a line with more than 2,000 dots.

    Examples
    --------
    >>> parse_toml(b'name = "sizes"')
    {'name': 'sizes'}
    """
    if any(line.count(b".") > _MOST_DOTS for line in data.splitlines()):
        raise ValueError(f"a line has more than {_MOST_DOTS:,} dots")
    try:
        return tomllib.loads(data.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
