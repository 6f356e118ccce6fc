"""Environment variables that libraries trust, checked before a library reads them.

Rich and the standard library take `COLUMNS` and `LINES` as they are: help for 10^8 columns takes minutes, and
10^20 columns overflow. Typer reads `TERMINAL_WIDTH`, Matplotlib `MPLBACKEND` and Numba `NUMBA_NUM_THREADS`
while they are imported, and Textual `TEXTUAL_COLOR_SYSTEM` when it starts: a wrong value ends in a traceback.
"""

from __future__ import annotations

from collections.abc import MutableMapping

SIZES = ("COLUMNS", "LINES", "TERMINAL_WIDTH")
"""Variables that hold the size of the terminal."""

LARGEST_SIZE = 1000
"""Columns or lines: more than any screen has."""

COLOUR_SYSTEMS = ("auto", "standard", "256", "truecolor", "windows")
"""Values of `TEXTUAL_COLOR_SYSTEM` that Textual knows."""


def drop_wrong_variables(environment: MutableMapping[str, str]) -> None:
    """Remove variables whose values libraries would fail over, so that their defaults hold.

    Parameters
    ----------
    environment : mutable mapping of str to str
        `os.environ`, for example.

    Examples
    --------
    >>> variables = {"COLUMNS": "99999999", "LINES": "40"}
    >>> drop_wrong_variables(variables)
    >>> variables
    {'LINES': '40'}
    """
    for name in SIZES:
        if not _is_number(environment.get(name, "1"), LARGEST_SIZE):
            del environment[name]
    # Figures are drawn into files, whatever a user has chosen for windows.
    environment.pop("MPLBACKEND", None)
    if environment.get("TEXTUAL_COLOR_SYSTEM", "auto") not in COLOUR_SYSTEMS:
        del environment["TEXTUAL_COLOR_SYSTEM"]
    # Numba's own threads are not used; the compiled engine has its own.
    if not _is_number(environment.get("NUMBA_NUM_THREADS", "1"), LARGEST_SIZE):
        del environment["NUMBA_NUM_THREADS"]


def _is_number(value: str, largest: int) -> bool:
    is_short = value.isascii() and value.isdecimal() and len(value) <= len(str(largest))
    return is_short and 1 <= int(value) <= largest
