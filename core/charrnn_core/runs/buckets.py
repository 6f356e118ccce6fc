"""The buckets of a run's history, in columns: a week of them takes no more memory than a picture of them."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from charrnn_core.training.events import Progress

_COUNTS = ("update", "first_update", "position")
_COLUMNS = tuple(field.name for field in fields(Progress) if field.name != "partial")
_LARGEST_COUNT = 2.0**53  # up to which a float64 is exact


class Buckets(Sequence[dict[str, Any]]):
    """The `progress` events of a run, as a sequence of events and as columns.

    What an event says beside the fields of `Progress` is left out, and what it does not say is null.
    """

    def __init__(self) -> None:
        self._columns = {name: array("d") for name in _COLUMNS}
        self._offsets = array("q")
        self._partial = array("b")

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        event: dict[str, Any] = {"type": Progress.type}
        for name, column in self._columns.items():
            event[name] = _told(name, column[index])
        if self._partial[index]:
            event["partial"] = True
        return event

    def add(self, offset: int, event: Mapping[str, Any]) -> None:
        """Take in the next event, whose line is at this offset; it takes the place of an unfinished one."""
        first = _number(event.get("first_update"))
        if self._partial and self._partial[-1] and first == self._columns["first_update"][-1]:
            for part in self._parts:
                part.pop()
        for name, column in self._columns.items():
            column.append(_number(event.get(name)))
        self._offsets.append(offset)
        self._partial.append(bool(event.get("partial")))

    def supersede(self, log_length: int, update: int) -> None:
        """Forget what a resumed run does again."""
        updates, kept = self._columns["update"], len(self)
        while kept and not (self._offsets[kept - 1] < log_length and updates[kept - 1] <= update):
            kept -= 1
        for part in self._parts:
            del part[kept:]

    @property
    def _parts(self) -> list[array[Any]]:
        return [*self._columns.values(), self._offsets, self._partial]

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a field of all events, float64; NaN where it is null."""
        return np.array(self._columns[name])


def _number(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # JSON has whole numbers of any size, and reads 1e400 as infinity.
    return float(value) if is_number and abs(value) <= sys.float_info.max else math.nan


def _told(name: str, value: float) -> int | float | None:
    if math.isnan(value):
        return None
    return int(value) if name in _COUNTS and abs(value) <= _LARGEST_COUNT else value
