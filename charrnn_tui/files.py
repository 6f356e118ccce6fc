"""Files that a user asks for: whether they can be written, and writing them whole."""

from __future__ import annotations

import os
from pathlib import Path

from charrnn_core.errors import OutputFileError, UsageError
from charrnn_core.runs.files import replace_file


def check_place(path: Path) -> None:
    """See that a file can be written at a path, before the work that makes it.

    Raises
    ------
    UsageError
        It is a directory, or is in a directory that is not there or cannot be written to.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a directory; give a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: {path.parent} is no directory")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: {path.parent} cannot be written to")


def write_file(path: Path, data: bytes) -> None:
    """Put a whole new file at a path; until that has happened the one before stays.

    Raises
    ------
    OutputFileError
        It cannot be written.
    """
    try:
        replace_file(path, data, durable=False)
    except OSError as error:
        raise OutputFileError(f"cannot write {path}: {error.strerror}") from None
