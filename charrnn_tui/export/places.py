"""Where exported data goes: files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os.path import realpath
from pathlib import Path

from charrnn_core.errors import RunDirectoryError, RunFailedError, UsageError
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import replace_file


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give the place that a path leads to, and name the path in what goes wrong there.

    Raises
    ------
    UsageError
        It is in a run directory, where only the process that trains writes.
    RunFailedError
        It cannot be written.
    """
    try:
        target = Path(realpath(path))
        for folder in (target, *target.parents):
            if _is_run(folder):
                raise UsageError(
                    f"{path} is in the directory of a run, {folder}; choose another place with -o"
                )
        yield target
    except OSError as error:
        raise RunFailedError(f"cannot write {path}: {error.strerror}; choose another place with -o") from None


def _is_run(folder: Path) -> bool:
    try:
        RunDirectory(folder).config()
    except RunDirectoryError:
        return False
    return True


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file; a link stays one, and a pipe or a device is written to.

    Raises
    ------
    UsageError
        It is in a run directory.
    RunFailedError
        It cannot be written.
    """
    with writing(path) as target:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a new file under its name would take the place of, say, /dev/null
        else:
            replace_file(target, data)
