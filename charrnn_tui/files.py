"""Output files: whether one can be written, and writing it whole.

A file in the directory of a run or a sweep, which may come from anywhere, is reached as everything there is:
not through a link. Elsewhere the links of a path are followed, and pipes and devices are written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from charrnn_core.errors import OutputFileError, UsageError, reason_of
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import Entry
from charrnn_core.sweeps.directory import SweepDirectory, is_sweep


def check_place(path: Path) -> None:
    """Check that a file can be written at a path, before the work that makes it.

    Raises
    ------
    UsageError
        It is a directory, part of a run, or in a directory that is missing or cannot be written to; or it is
        in the directory of a run and not a regular file.
    """
    if is_stream(path):
        if not os.access(path, os.W_OK):
            raise UsageError(f"cannot write {path}: permission denied")
        return
    place = _place_of(path)
    if place.path.is_dir() and not place.path.is_symlink():
        raise UsageError(f"{path} is a directory; give a file in it")
    if not place.folder.path.is_dir():
        raise UsageError(f"cannot write {path}: {place.folder.path} is not a directory")
    if not os.access(place.folder.path, os.W_OK):
        raise UsageError(f"cannot write {path}: permission denied")
    _refuse_in_run(path, place)


def write_file(path: Path, data: bytes) -> None:
    """Put a whole new file at a path; until that has happened the one before stays.

    Raises
    ------
    UsageError
        It is part of a run, or something else than a regular file in the directory of one.
    OutputFileError
        It cannot be written.
    """
    with writing(path):
        if is_stream(path):
            path.write_bytes(data)
            return
        place = _place_of(path)
        _refuse_in_run(path, place)
        place.write(data, durable=False)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name a path in what goes wrong there.

    Raises
    ------
    OutputFileError
        It cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputFileError(
            f"cannot write {path}: {reason_of(error)}; choose another place with -o"
        ) from None


def is_stream(path: Path) -> bool:
    """Return whether a path is a pipe or a device, such as /dev/null, which no file must replace."""
    return not _is_in_run(path) and path.exists() and not path.is_file() and not path.is_dir()


def _is_in_run(path: Path) -> bool:
    """Return whether a path is directly in the directory of a run or of a sweep."""
    folder = path.absolute().parent
    return RunDirectory(folder).config_file.is_taken() or is_sweep(folder)


def _place_of(path: Path) -> Entry:
    """Return where a path leads to."""
    absolute = path.absolute()
    return RunDirectory(absolute.parent).folder.entry(path.name) if _is_in_run(path) else Entry.at(path)


def _refuse_in_run(path: Path, place: Entry) -> None:
    """Raise a UsageError where a file of a run, or something else than a file, would be replaced."""
    if place.is_taken() and not place.exists():
        raise UsageError(
            f"{path} is not a regular file, and links in the directory of a run are not followed; "
            "choose another place with -o"
        )
    target = place.path
    for folder in target.parents[:2]:
        run = RunDirectory(folder)
        own = [
            run.config_file, run.events_file, run.status_file, run.corpus_file, run.commands_file,
            run.trainer_log_file,
        ]  # fmt: skip
        is_own = target.name.startswith(".") or target in [file.path for file in own]
        if run.config_file.exists() and (is_own or run.checkpoints.path in target.parents):
            raise UsageError(f"{path} is part of the run {folder}; choose another place with -o")
    sweep = SweepDirectory(target.parent)
    own = [sweep.plan_file, sweep.events_file, sweep.status_file, sweep.corpus_file, sweep.lock_file]
    if is_sweep(sweep.path) and target in [file.path for file in own]:
        raise UsageError(f"{path} is part of the sweep {sweep.path}; choose another place with -o")
