"""Where exported data goes: not into a run directory, which is for those who read it again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from charrnn_core.errors import RunDirectoryError, UsageError
from charrnn_core.runs.directory import RunDirectory
from charrnn_tui import files


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Refuse a path in a run directory, and name the path in what goes wrong there.

    Raises
    ------
    UsageError
        It is in a run directory.
    OutputFileError
        It cannot be written.
    """
    with files.writing(path):
        target = Path(os.path.realpath(path))
        for folder in (target, *target.parents):
            if _is_run(folder):
                raise UsageError(
                    f"{path} is in the directory of a run, {folder}; choose another place with -o"
                )
        yield


def _is_run(folder: Path) -> bool:
    try:
        RunDirectory(folder).config()
    except RunDirectoryError:
        return False
    return True


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file, as `charrnn_tui.files.write_file`.

    Raises
    ------
    UsageError
        It is in a run directory.
    OutputFileError
        It cannot be written.
    """
    with writing(path):
        files.write_file(path, data)
