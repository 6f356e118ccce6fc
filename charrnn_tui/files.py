"""Output files: whether one can be written, and writing it whole.

Inside the directory of a run or a sweep, which may come from anywhere, the links of a path are not followed.
Elsewhere they are, and pipes and devices are written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from charrnn_core.errors import OutputFileError, RunDirectoryError, UsageError, reason_of, reason_with_path
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import Entry, Folder
from charrnn_core.sweeps.directory import SweepDirectory, is_sweep


def check_place(path: Path) -> None:
    """Check that a file can be written at a path, before the work that makes it.

    Raises
    ------
    UsageError
        It is a directory, part of a run, or in a directory that is missing or cannot be written to; or it is
        in the directory of a run and not a regular file, or reached through a link there.
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
    try:
        with place.folder.opened():
            pass
    except OSError as error:
        raise UsageError(f"cannot write {path}: {reason_with_path(error)}") from None
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
    place = _absolute(path)
    is_outside = _folder_in_run(place.parent) is None
    return is_outside and place.exists() and not place.is_file() and not place.is_dir()


def create_folder(path: Path) -> Folder:
    """Create a directory that the user named, with those above it, unless it is there.

    Raises
    ------
    OSError
        It cannot be created, or it is reached through a link in the directory of a run or a sweep.
    """
    path = _absolute(path)
    inside = _folder_in_run(path)
    if inside is None:
        path.mkdir(parents=True, exist_ok=True)
        return Folder(path)
    for count in range(1, len(inside.parts) + 1):
        Folder(inside.root, inside.parts[:count]).create()
    return inside


def _place_of(path: Path) -> Entry:
    """Return where a path leads to."""
    path = _absolute(path)
    inside = None if path.name in ("", "..") else _folder_in_run(path.parent)
    return Entry.at(path) if inside is None else inside.entry(path.name)


def _absolute(path: Path) -> Path:
    """Return an absolute path; ".." inside a run or a sweep is resolved by name, not through a link."""
    path = path.absolute()
    for root, parts in _runs_above(path):
        if ".." in parts:
            return root / os.path.normpath(Path(*parts))
    return path


def _folder_in_run(path: Path) -> Folder | None:
    """Return a directory that is in a run or a sweep, or is one; None where it is elsewhere."""
    for root, parts in _runs_above(path):
        return Folder(root, parts)
    # A run whose config.json cannot be read is still no place to follow links in.
    is_damaged = RunDirectory(path).config_file.is_taken() or is_sweep(path)
    return Folder(path) if is_damaged else None


def _runs_above(path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the runs and sweeps that a path leads into, each with the names that lead on from there.

    The outermost comes first: what is below it may be a link to another run.
    """
    for root in reversed((path, *path.parents)):
        parts = path.parts[len(root.parts) :]
        if parts[:1] != ("..",) and (_is_run(root) or _is_sweep(root)):
            yield root, parts


def _is_run(path: Path) -> bool:
    """Return whether a directory holds a run, and not just another program's config.json."""
    try:
        RunDirectory(path).config()
    except RunDirectoryError:
        return False
    return True


def _is_sweep(path: Path) -> bool:
    """Return whether a directory holds a sweep, and not just a plan that is called sweep.json."""
    try:
        SweepDirectory(path).told()
    except RunDirectoryError:
        return False
    return True


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
