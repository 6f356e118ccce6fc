"""Environment variables that libraries trust, checked before a library reads them.

Rich and the standard library take `COLUMNS` and `LINES` as they are: help for 10^8 columns takes minutes, and
10^20 columns overflow. Typer reads `TERMINAL_WIDTH` while it is imported.
"""

from __future__ import annotations

from collections.abc import MutableMapping

SIZES = ("COLUMNS", "LINES", "TERMINAL_WIDTH")
"""Variables that hold the size of the terminal."""

LARGEST_SIZE = 1000
"""Columns or lines: more than any screen has."""


def drop_wrong_sizes(environment: MutableMapping[str, str]) -> None:
    """Remove sizes of the terminal that are not whole numbers from 1 to 1,000; the real size is used then.

    Parameters
    ----------
    environment : mutable mapping of str to str
        `os.environ`, for example.

    Examples
    --------
    >>> variables = {"COLUMNS": "99999999", "LINES": "40"}
    >>> drop_wrong_sizes(variables)
    >>> variables
    {'LINES': '40'}
    """
    for name in SIZES:
        value = environment.get(name)
        if value is not None and not _is_size(value):
            del environment[name]


def _is_size(value: str) -> bool:
    is_number = value.isascii() and value.isdecimal() and len(value) <= len(str(LARGEST_SIZE))
    return is_number and 1 <= int(value) <= LARGEST_SIZE
