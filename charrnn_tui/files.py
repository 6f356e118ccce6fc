"""Files that a user asks for: whether they can be written, and writing them whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from charrnn_core.errors import OutputFileError, UsageError
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import replace_file


def check_place(path: Path) -> None:
    """See that a file can be written at a path, before the work that makes it.

    Raises
    ------
    UsageError
        It is a directory, a file that a run consists of, or in a directory that is not there or cannot be
        written to.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise UsageError(f"{path} is a directory; give a file in it")
    if not target.parent.is_dir():
        raise UsageError(f"cannot write {path}: {target.parent} is no directory")
    if not os.access(target.parent if _is_replaceable(target) else target, os.W_OK):
        raise UsageError(f"cannot write {path}: it is not allowed there")
    _refuse_file_of_run(path, target)


def write_file(path: Path, data: bytes) -> None:
    """Put a whole new file at a path; until that has happened the one before stays.

    A link stays one, and a pipe or a device is written to.

    Raises
    ------
    UsageError
        It is a file that a run consists of.
    OutputFileError
        It cannot be written.
    """
    with writing(path) as target:
        _refuse_file_of_run(path, target)
        if _is_replaceable(target):
            replace_file(target, data, durable=False)
        else:
            target.write_bytes(data)  # a new file under its name would take the place of, say, /dev/null


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give the place that a path leads to, and name the path in what goes wrong there.

    Raises
    ------
    OutputFileError
        It cannot be written.
    """
    try:
        yield Path(os.path.realpath(path))
    except OSError as error:
        raise OutputFileError(
            f"cannot write {path}: {error.strerror}; choose another place with -o"
        ) from None


def _is_replaceable(target: Path) -> bool:
    return target.is_file() or not target.exists()


def _refuse_file_of_run(path: Path, target: Path) -> None:
    for folder in target.parents[:2]:
        run = RunDirectory(folder)
        own = (run.config_path, run.events_path, run.status_path, run.corpus_path, run.commands_path)
        if run.config_path.exists() and (target in own or run.checkpoints in target.parents):
            raise UsageError(f"{path} is what the run {folder} consists of; choose another place with -o")
