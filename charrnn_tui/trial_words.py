"""How trials of a sweep are told in words, wherever they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charrnn_core.sweeps.following import TrialRow
    from charrnn_core.training.settings import Value


def name_in_words(setting: str) -> str:
    """Return the name of a setting as it stands in prose.

    Examples
    --------
    >>> name_in_words("learning_rate")
    'learning rate'
    """
    return setting.replace("_", " ")


def values_in_words(values: Mapping[str, Value]) -> str:
    """Return what varies, with its values, for a line.

    Examples
    --------
    >>> values_in_words({"hidden": 100, "learning_rate": 0.03})
    'hidden 100 · learning rate 0.03'
    """
    return " · ".join(_each_in_words(values))


def values_in_prose(values: Mapping[str, Value]) -> str:
    """Return what varies, with its values, for a sentence.

    Examples
    --------
    >>> values_in_prose({"hidden": 100, "learning_rate": 0.03})
    'hidden 100, learning rate 0.03'
    """
    return ", ".join(_each_in_words(values))


def _each_in_words(values: Mapping[str, Value]) -> Iterator[str]:
    from charrnn_core.sweeps.varying import shown

    return (f"{name_in_words(name)} {shown(value)}" for name, value in values.items())


def loss_in_words(rows: Iterable[TrialRow]) -> str:
    """Return by which loss trials are compared."""
    held_out = {bool(row.trial.settings.held_out) for row in rows}
    if held_out == {True}:
        return "held-out loss of the best state"
    if True in held_out:
        return "held-out loss of the best state, else smooth loss at the end"
    return "smooth loss at the end"
