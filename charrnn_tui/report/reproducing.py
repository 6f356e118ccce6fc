"""The commands that repeat a run."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from charrnn_core.errors import SettingsError
from charrnn_core.rnn.threads import is_large
from charrnn_core.training.settings import DEFAULT_PRESET, NO_STOPS, PRESETS, Settings, Value, option_name
from charrnn_tui.report.findings import Findings


def command_line(found: Findings) -> str:
    """Return the command that repeats a run: with what was asked of it, if that changed it."""
    if was_changed(found):
        return f"charrnn train --replay {quoted(found.name)}"
    by_itself = found.ended_by in OWN_ENDS and not _stops_changed(found)
    updates = {} if by_itself or not found.update else {"updates": found.update}
    opening = found.history.openings[0] if found.history.openings else {}
    settings = as_computed(found.begun_with, opening, found.vocabulary_size)
    return training_command(found.corpus, settings, updates)


def training_command(
    corpus: Mapping[str, Any], settings: Settings, updates: Mapping[str, Value] | None = None
) -> str:
    """Return the command that trains with these settings.

    Parameters
    ----------
    corpus : mapping
        What is recorded of the text.
    settings : Settings
    updates : mapping, optional
        What ends training in place of the settings' own stops.
    """
    return " ".join(["charrnn train", _text(corpus), *_options(settings, updates or {})])


def as_computed(settings: Settings, opening: Mapping[str, Any], vocabulary_size: int) -> Settings:
    """Return the settings with the engine that trained, and how many threads where another number may follow.

    Another engine gives other last bits; so does another number of threads in NumPy.

    Parameters
    ----------
    settings : Settings
    opening : mapping
        The event with which training began; {} for none.
    vocabulary_size : int
        K; 0 where it is not recorded.
    """
    engine, threads = opening.get("engine"), opening.get("threads")
    changes: dict[str, Any] = {}
    if settings.engine == "auto" and engine in ("numpy", "numba"):
        changes["engine"] = engine
    sizes = settings.hidden, vocabulary_size, settings.batch_size
    if (
        settings.threads is None
        and engine == "numpy"
        and isinstance(threads, int)
        and is_large(engine, *sizes)
    ):
        changes["threads"] = threads
    return dataclasses.replace(settings, **changes)


def was_changed(found: Findings) -> bool:
    """Return whether somebody has given the run another learning rate than it began with."""
    return any(rate != found.begun_with.learning_rate for _, rate in found.history.learning_rates())


OWN_ENDS = ("updates", "epochs", "smooth loss")
"""Ends that come at the same update every time."""


def _stops_changed(found: Findings) -> bool:
    changes = [event.get("changed") for event in found.history.openings]
    return any(isinstance(changed, dict) and not changed.keys().isdisjoint(NO_STOPS) for changed in changes)


def _text(corpus: Mapping[str, Any]) -> str:
    """Return the text as an argument: without the folders of whoever trained on it."""
    if corpus.get("kind") == "file" and isinstance(corpus.get("path"), str):
        name = PurePath(corpus["path"]).name
        return quoted(f"./{name}" if name.startswith("-") else name)
    return "corpus.txt" if corpus.get("kind") == "input" else quoted(str(corpus.get("name", "TEXT")))


def quoted(word: str) -> str:
    """Return a word for a shell; characters that a document cannot show are written by their codes."""
    if word.isprintable():
        return shlex.quote(word)
    coded = "".join(
        character if character.isprintable() and character not in "\\'" else _escape(character)
        for character in word
    )
    return f"$'{coded}'"


def _escape(character: str) -> str:
    # A surrogate that stands for no byte of a file name, which JSON can hold, is not the name of any file.
    return "".join(
        f"\\x{byte:02x}"
        for byte in character.encode("utf-8", "surrogateescape" if _is_byte(character) else "replace")
    )


def _is_byte(character: str) -> bool:
    """Return whether a character stands for a byte of a file name that is not UTF-8."""
    return "\udc80" <= character <= "\udcff"


def _options(settings: Settings, updates: Mapping[str, Value]) -> list[str]:
    """Return the options that make these settings, by the preset that leaves the fewest."""
    if updates:
        settings = dataclasses.replace(settings, **{**NO_STOPS, **updates})  # type: ignore[arg-type]
    preset, given = min(((name, _given(settings, name)) for name in PRESETS), key=lambda pair: len(pair[1]))
    options = [] if preset == DEFAULT_PRESET else ["--preset", preset]
    for name, value in given.items():
        options += [option_name(name), setting_told(value)]
    return options


def _given(settings: Settings, preset: str) -> dict[str, Value]:
    """Return what has to be given beside a preset; not what follows from the rest."""
    given = settings.to_json()
    for name in list(given):
        rest = {other: value for other, value in given.items() if other != name}
        if _make(settings, preset, rest):
            given = rest
    return given


def _make(settings: Settings, preset: str, given: Mapping[str, Value]) -> bool:
    try:
        return Settings.of(preset, **given) == settings
    except SettingsError:
        return False  # what is given does not go together with the preset's own values


def setting_told(value: Value) -> str:
    """Return a setting as an option takes it: exact, and a whole number without decimals."""
    return "none" if value is None else f"{value}".removesuffix(".0")
