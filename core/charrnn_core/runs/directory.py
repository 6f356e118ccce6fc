"""The run directory: one training run on disk, and the interface that every view reads."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from charrnn_core.errors import RunDirectoryError
from charrnn_core.runs.files import replace_file

_LONGEST_NAME = 100  # bytes; file systems allow 255, and a name may still get a date before it


@dataclass(frozen=True)
class RunDirectory:
    """A directory that holds one run.

    ::

        config.json     settings, corpus, versions: never changed
        events.jsonl    all that happened, one JSON object a line
        status.json     what is happening now; believed only while the lock is held
        checkpoints/    last, previous and best
        corpus.txt      the text, where it came from standard input
        .lock           locked by the process that trains

    Attributes
    ----------
    path : Path
        Absolute.
    """

    path: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def config_path(self) -> Path:
        """`config.json`."""
        return self.path / "config.json"

    @property
    def events_path(self) -> Path:
        """`events.jsonl`."""
        return self.path / "events.jsonl"

    @property
    def status_path(self) -> Path:
        """`status.json`."""
        return self.path / "status.json"

    @property
    def corpus_path(self) -> Path:
        """`corpus.txt`."""
        return self.path / "corpus.txt"

    @property
    def checkpoints(self) -> Path:
        """The directory `checkpoints`."""
        return self.path / "checkpoints"

    def checkpoint_path(self, kind: str) -> Path:
        """Return where the checkpoint "last", "previous" or "best" is."""
        return self.checkpoints / f"{kind}.safetensors"

    def config(self) -> dict[str, Any]:
        """Return what `config.json` says.

        Raises
        ------
        RunDirectoryError
            There is none, or it is not JSON.
        """
        try:
            config = json.loads(self.config_path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunDirectoryError(f"{self.path} is not a run directory: {error}") from None
        if not isinstance(config, dict):
            raise RunDirectoryError(f"{self.path} is not a run directory: config.json holds no settings")
        return config

    def write_config(self, config: dict[str, Any]) -> None:
        """Write `config.json`, durably; with it the directory is a run."""
        replace_file(self.config_path, (json.dumps(config, ensure_ascii=False, indent=2) + "\n").encode())

    def write_status(self, status: dict[str, Any]) -> None:
        """Replace `status.json`; not durable, since it is stale within a tenth of a second."""
        replace_file(self.status_path, json.dumps(status, ensure_ascii=False).encode(), durable=False)

    def lock(self) -> int:
        """Take the run for this process until it ends, and return the lock's descriptor.

        The kernel gives the lock back however the process ends.

        Raises
        ------
        RunDirectoryError
            Another process has it.
        """
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise RunDirectoryError(f"{self.path} is being trained by another process") from None
        return descriptor


def create_run(runs: Path, corpus_name: str, name: str | None = None) -> RunDirectory:
    """Make a new run directory; one that exists is never touched.

    Parameters
    ----------
    runs : Path
        The directory that holds runs; made if it does not exist.
    corpus_name : str
        For the run's name: the local date and time and this, as in "20261122-2210-tales", made unique.
    name : str, optional
        The run's name, where the user chose one.

    Raises
    ------
    RunDirectoryError
        The name cannot be one, is taken, or the directory cannot be made.
    """
    if name is not None and (not name or _cleaned(name) != name):
        raise RunDirectoryError(
            f"--name {name} cannot be the name of a run; letters, digits, '.', '_' and '-' can, at most "
            f"{_LONGEST_NAME} bytes, and no '.' or '-' first"
        )
    wanted = name or f"{datetime.now().astimezone():%Y%m%d-%H%M}-{_cleaned(corpus_name) or 'text'}"
    attempt = 1
    while True:
        path = runs.absolute() / (wanted if attempt == 1 else f"{wanted}-{attempt}")
        try:
            runs.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            (path / "checkpoints").mkdir()
            return RunDirectory(path)
        except FileExistsError:
            if not runs.is_dir():
                raise RunDirectoryError(f"--runs {runs} is not a directory") from None
            if name is not None:
                raise RunDirectoryError(f"there is already a run {path}; choose another --name") from None
            attempt += 1
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise RunDirectoryError(f"cannot make the run directory {path}: {reason}") from None


def utc_now() -> str:
    """Return the time in UTC as ISO 8601, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _cleaned(name: str) -> str:
    """Return a text with all that is unfit for the name of a run replaced by hyphens."""
    kept = "".join(character if character.isalnum() or character in "-_." else "-" for character in name)
    cut = kept.lstrip(".-").encode()[:_LONGEST_NAME].decode(errors="ignore")
    return cut.rstrip("-")
