"""What a gradient check compares: method, entries, h_0, step, and what counts as agreement.

Only the standard library is imported here, so that the help of the command line is quick.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from charrnn_core.errors import SettingsError

Method = Literal["central", "complex-step"]
InitialState = Literal["zeros", "carried", "random"]
WindowKind = Literal["text", "stress", "repeats"]

DEFAULT_STEPS: dict[Method, float] = {"central": 1e-5, "complex-step": 1e-20}
DEFAULT_TOLERANCES: dict[Method, float] = {"central": 1e-4, "complex-step": 1e-8}
DEFAULT_FLOOR = 1e-12

STUDY = {"U": 1.13e-7, "W": 1.27e-5, "V": 1.05e-5, "b": 1.95e-7, "c": 4.82e-9}
"""Maximum relative errors in the study that this project starts from (Straathof 2019): `REFERENCE` on a
network with m = 100, T = 25 and K = 80."""

_MOST_DIRECTIONS = 10_000
_ENTRIES = re.compile(r"(first|random|directions):([1-9][0-9]{0,8})|all")


@dataclass(frozen=True)
class Comparison:
    """One way of checking all parameters.

    Attributes
    ----------
    method : "central" or "complex-step"
    entries : str
        "first:N" of each flattened gradient, "random:N", "all", or "directions:N": sums over all entries
        along N random directions.
    h0 : "zeros", "carried" or "random"
        What the window begins with: zeros; what training carries into it, or, where training begins with
        zeros too, what the window ends with; or uniform between -1 and 1.
    step, tolerance, floor : float
        The relative error is |a - n| / max(floor, |a| + |n|), and has to be within the tolerance.
    window : "text", "stress" or "repeats"
        The run's window, or one of two made to show what a text's hides: see `stress_window`.
    strict : bool
        Whether an error above the tolerance fails even if it is not the backward pass that is wrong: a
        difference of losses shows few digits of an entry of 1e-9, and none where the loss bends in a step.

    Raises
    ------
    SettingsError
        A value is not allowed.
    """

    method: Method
    entries: str
    h0: InitialState
    step: float
    tolerance: float
    floor: float = DEFAULT_FLOOR
    window: WindowKind = "text"
    strict: bool = False

    def __post_init__(self) -> None:
        _check_word("method", self.method, Method)
        _check_word("h0", self.h0, InitialState)
        _check_word("window", self.window, WindowKind)
        if not isinstance(self.entries, str) or not _ENTRIES.fullmatch(self.entries):
            raise _refusal("entries", self.entries, "first:N, random:N, directions:N (N from 1) or all")
        if self.entries.startswith("directions") and self.count(1) > _MOST_DIRECTIONS:
            raise _refusal("entries", self.entries, f"at most {_MOST_DIRECTIONS:,} directions")
        for name, lowest in (("step", 1e-150), ("tolerance", 1e-300), ("floor", 1e-300)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not lowest <= value <= 1:
                raise _refusal(name, value, f"a number from {lowest:g} to 1")

    def count(self, size: int) -> int:
        """Return how many numbers are compared of a parameter with this many entries."""
        kind, _, number = self.entries.partition(":")
        return size if kind == "all" else int(number) if kind == "directions" else min(int(number), size)


def _check_word(name: str, value: object, kind: Any) -> None:
    if value not in get_args(kind):
        raise _refusal(name, value, ", ".join(get_args(kind)))


def _refusal(name: str, value: object, allowed: str) -> SettingsError:
    shown = str(value) if len(str(value)) <= 40 else str(value)[:40] + "..."
    return SettingsError(f"--{name} {shown} is not possible; allowed is {allowed}")


REFERENCE = Comparison(
    "central", "first:20", "zeros", DEFAULT_STEPS["central"], DEFAULT_TOLERANCES["central"]
)
"""The reference conditions: the check of the assignment."""


def comparisons(
    method: Method | None = None,
    entries: str | None = None,
    h0: InitialState = "zeros",
    window: WindowKind = "text",
    step: float | None = None,
    tolerance: float | None = None,
    floor: float = DEFAULT_FLOOR,
) -> tuple[Comparison, ...]:
    """Return the comparisons that a user asks for: by both methods where none is named.

    Unless said otherwise the centred difference looks at the first 20 entries, the complex step at all. Who
    chooses a step or a tolerance wants to see what it does: it is strict.

    Raises
    ------
    SettingsError
        A value is not allowed.
    """
    if method is not None:
        _check_word("method", method, Method)
    elif step is not None:
        raise SettingsError("--step needs --method: a good step for one method is none for the other")
    usual = {"central": "first:20", "complex-step": "all"}
    methods: tuple[Method, ...] = get_args(Method) if method is None else (method,)
    return tuple(
        Comparison(
            one,
            usual[one] if entries is None else entries,
            h0,
            DEFAULT_STEPS[one] if step is None else step,
            DEFAULT_TOLERANCES[one] if tolerance is None else tolerance,
            floor,
            window,
            strict=step is not None or tolerance is not None,
        )
        for one in methods
    )
