"""Files that a user asks for: whether they can be written, and writing them whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from charrnn_core.errors import OutputFileError, UsageError, reason_of
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import replace_file
from charrnn_core.sweeps.directory import SweepDirectory, is_sweep


def check_place(path: Path) -> None:
    """See that a file can be written at a path, before the work that makes it.

    Raises
    ------
    UsageError
        It is a directory, a file that a run consists of, or in a directory that is not there or cannot be
        written to.
    """
    if is_stream(path):
        if not os.access(path, os.W_OK):
            raise UsageError(f"cannot write {path}: it is not allowed there")
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise UsageError(f"{path} is a directory; give a file in it")
    if not target.parent.is_dir():
        raise UsageError(f"cannot write {path}: {target.parent} is no directory")
    if not os.access(target.parent, os.W_OK):
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
        if is_stream(path):
            path.write_bytes(data)
            return
        _refuse_file_of_run(path, target)
        replace_file(target, data, durable=False)


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
            f"cannot write {path}: {reason_of(error)}; choose another place with -o"
        ) from None


def is_stream(path: Path) -> bool:
    """Return whether a path is a pipe or a device, as /dev/null is, whose place no file must take."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _refuse_file_of_run(path: Path, target: Path) -> None:
    for folder in target.parents[:2]:
        run = RunDirectory(folder)
        own = (run.config_path, run.events_path, run.status_path, run.corpus_path, run.commands_path)
        is_own = target in own or target.name.startswith(".") or target.name == "trainer.log"
        if run.config_path.exists() and (is_own or run.checkpoints in target.parents):
            raise UsageError(f"{path} is what the run {folder} consists of; choose another place with -o")
    sweep = SweepDirectory(target.parent)
    own = (sweep.plan_path, sweep.events_path, sweep.status_path, sweep.corpus_path, sweep.lock_path)
    if target in own and is_sweep(sweep.path):
        raise UsageError(f"{path} is what the sweep {sweep.path} consists of; choose another place with -o")
