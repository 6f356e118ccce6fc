"""What the user has chosen for the dashboard, kept between its runs, and their key map."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from charrnn_core.errors import UsageError, reason_of
from charrnn_core.runs.files import Entry
from charrnn_core.runs.json_text import parse_object
from charrnn_core.runs.toml_text import parse_toml

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
"""Errors that say that there is no such file, and not that it cannot be read."""


@dataclass(frozen=True)
class Preferences:
    """What is remembered.

    Attributes
    ----------
    theme : str or None
        None where none was chosen.
    """

    theme: str | None = None

    @classmethod
    def read(cls) -> Preferences:
        """Return what is kept; the defaults where there is nothing, or nothing that can be read."""
        try:
            kept = parse_object(Entry.at(_folder() / "dashboard.json").read()) or {}
        except OSError:
            return cls()
        theme = kept.get("theme")
        return cls(theme) if isinstance(theme, str) else cls()

    def with_theme(self, theme: str) -> Preferences:
        """Return these with another theme."""
        return replace(self, theme=theme)

    def write(self) -> None:
        """Keep these; an OSError says why they cannot be."""
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        Entry.at(folder / "dashboard.json").write(json.dumps(asdict(self)).encode(), durable=False)


def read_keymap() -> dict[str, str]:
    """Return the user's keys by the name of what they do; none where there is no file.

    Raises
    ------
    UsageError
        The file is not TOML, or has something else than texts.
    """
    path = Path("keys.toml")
    try:
        path = _folder() / path
        keys = parse_toml(Entry.at(path).read())
    except OSError as error:
        if error.errno in _NOT_THERE:
            return {}
        raise UsageError(f"cannot read the key map {path}: {reason_of(error)}") from None
    except ValueError as error:
        raise UsageError(f"cannot read the key map {path}: {reason_of(error)}") from None
    if not all(isinstance(key, str) for key in keys.values()):
        raise UsageError(f'the key map {path} has lines such as pause = "p", and nothing else')
    return keys


def _folder() -> Path:
    """Return the directory of the user's configuration for charrnn.

    Raises
    ------
    FileNotFoundError
        The environment names no absolute path, and the system knows no home directory of the user.
    """
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if given.is_absolute():  # others are to be ignored, says the specification of the variable
        return given / "charrnn"
    try:
        home = Path.home()
    except RuntimeError:  # neither the environment nor the list of users has one
        home = Path()
    if not home.is_absolute():
        raise FileNotFoundError(errno.ENOENT, "there is no home directory; set HOME")
    return home / ".config" / "charrnn"
