"""The run directory: one training run on disk, and the interface that every view reads."""

from __future__ import annotations

import functools
import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from charrnn_core.errors import RunDirectoryError, RunTakenError, UsageError, raise_exhausted, reason_of
from charrnn_core.runs.files import Entry, Folder
from charrnn_core.runs.json_text import parse_json
from charrnn_core.runs.lock import is_locked, take_lock
from charrnn_core.text.source import Source, bundled_sources, find_source
from charrnn_core.training.events import encodable

_TEMPORARY = re.compile(
    r"\.(config\.json|sweep\.json|status\.json|events\.jsonl|\.study|(last|previous|best)\.safetensors)"
    r"\.[0-9a-f]{12}"
)
"""The names that `Entry.temporary` gives to the files of a run or a sweep; other names are somebody's."""

_KINDS = ("last", "previous", "best")

PLAN_NAME = "sweep.json"
"""The file that makes a directory that of a sweep."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[0-9.:+Z-]{0,20}")

_LONGEST_NAME = 100  # bytes; file systems allow 255, and a name may still get a date before it


@dataclass(frozen=True)
class OwnedDirectory:
    """A directory that one process at a time writes to, and all others read: of a run, or of a sweep.

    Attributes
    ----------
    path : Path
        Absolute.
    """

    path: Path

    @property
    def name(self) -> str:
        """What it is called."""
        return self.path.name

    @functools.cached_property
    def folder(self) -> Folder:
        """The directory as a folder, through which all that is in it is reached.

        A trial is inside the directory of its sweep, and so never reached through a link; a run and a sweep
        may be links to where they are kept.
        """
        if os.path.lexists(self.path.parent / PLAN_NAME):
            return Folder(self.path.parent, (self.path.name,))
        return Folder(self.path)

    @property
    def events_file(self) -> Entry:
        """`events.jsonl`."""
        return self.folder.entry("events.jsonl")

    @property
    def status_file(self) -> Entry:
        """`status.json`."""
        return self.folder.entry("status.json")

    @property
    def corpus_file(self) -> Entry:
        """`corpus.txt`."""
        return self.folder.entry("corpus.txt")

    @property
    def lock_file(self) -> Entry:
        """`.lock`."""
        return self.folder.entry(".lock")

    def write_status(self, status: dict[str, Any]) -> None:
        """Replace `status.json`; not durable, since it is stale within a tenth of a second."""
        self.status_file.write(json.dumps(status, ensure_ascii=False).encode(), durable=False)

    def lock(self) -> int:
        """Take it for this process until it ends, and return the lock's descriptor.

        Raises
        ------
        RunTakenError
            Another process has it.
        RunDirectoryError
            There is no file that could be locked.
        """
        return take_lock(self.lock_file)

    def is_locked(self) -> bool:
        """Return whether a process has it now."""
        return is_locked(self.lock_file)


@dataclass(frozen=True)
class RunDirectory(OwnedDirectory):
    """A directory that holds one run.

    ::

        config.json     settings, corpus, versions: never changed
        events.jsonl    all that happened, one JSON object a line
        status.json     what is happening now; believed only while the lock is held
        checkpoints/    last, previous and best
        commands.jsonl  what views ask of the process that trains
        corpus.txt      the text, where it came from standard input
        trainer.log     what a process that a dashboard has started wrote for people
        .study          there while the run's study has no report yet
        .lock           locked by the process that trains

    Attributes
    ----------
    path : Path
        Absolute.
    """

    @property
    def config_file(self) -> Entry:
        """`config.json`."""
        return self.folder.entry("config.json")

    @property
    def commands_file(self) -> Entry:
        """`commands.jsonl`."""
        return self.folder.entry("commands.jsonl")

    @property
    def trainer_log_file(self) -> Entry:
        """`trainer.log`."""
        return self.folder.entry("trainer.log")

    @property
    def study_file(self) -> Entry:
        """`.study`."""
        return self.folder.entry(".study")

    @property
    def checkpoints(self) -> Folder:
        """The directory `checkpoints`."""
        return self.folder.folder("checkpoints")

    def checkpoint_file(self, kind: str) -> Entry:
        """Return the file of the checkpoint "last", "previous" or "best"."""
        return self.checkpoints.entry(f"{kind}.safetensors")

    @property
    def has_checkpoint(self) -> bool:
        """Whether any checkpoint was saved.

        Raises
        ------
        RunDirectoryError
            The directory of checkpoints cannot be read, or is reached through a link.
        """
        try:
            with self.checkpoints.held() as folder:
                return any(folder.entry(f"{kind}.safetensors").is_taken() for kind in _KINDS)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise_exhausted(error)
            raise RunDirectoryError(f"{self.checkpoints.path} cannot be read: {reason_of(error)}") from None

    def config(self) -> dict[str, Any]:
        """Return what `config.json` says.

        Raises
        ------
        RunDirectoryError
            There is none, or it is not JSON.
        """
        try:
            config = parse_json(self.config_file.read())
        except FileNotFoundError:
            raise RunDirectoryError(f"{self.path} is not a run directory: it has no config.json") from None
        except OSError as error:
            raise_exhausted(error)
            reason = f"{error.filename}: {reason_of(error)}"
            raise RunDirectoryError(f"{self.path} cannot be read as a run directory: {reason}") from None
        except ValueError as error:
            raise RunDirectoryError(
                f"{self.path} is not a run directory: malformed config.json: {error}"
            ) from None
        if not isinstance(config, dict) or not all(
            isinstance(config.get(name), kind) for name, kind in (("settings", dict), ("corpus", dict))
        ):
            raise RunDirectoryError(f"{self.path} is not a run directory: its config.json is not of a run")
        return config

    def write_config(self, config: dict[str, Any]) -> None:
        """Write `config.json`, durably; with it the directory is a run."""
        text = encodable(json.dumps(config, ensure_ascii=False, indent=2))
        self.config_file.write(f"{text}\n".encode())

    def begin_study(self) -> None:
        """Note, durably, that this run is trained for a study, whose report is still to be written."""
        self.study_file.write(b"")

    def end_study(self) -> None:
        """Note that the report is written."""
        self.study_file.remove()

    @property
    def lacks_report(self) -> bool:
        """Whether a study of this run has begun whose report is not written yet."""
        return self.study_file.exists()

    def remove_stale_files(self) -> None:
        """Remove what a killed process left half-written; only for the process that holds the lock.

        Raises
        ------
        OSError
            A directory cannot be read, is reached through a link, or a file cannot be removed.
        """
        for folder in (self.folder, self.checkpoints):
            for name in folder.names():
                if _TEMPORARY.fullmatch(name) and folder.entry(name).exists():
                    folder.entry(name).remove()


def check_name(name: str | None) -> None:
    """Raise a RunDirectoryError where a name that the user chose cannot be one."""
    if name is not None and (not name or _cleaned(name) != name):
        raise RunDirectoryError(
            f"--name {name} cannot be the name of a run; letters, digits, '.', '_' and '-' can, at most "
            f"{_LONGEST_NAME} bytes, and no '.' or '-' first"
        )


def create_run(runs: Path, corpus_name: str, name: str | None = None) -> RunDirectory:
    """Create a new run directory.

    A directory that exists is never touched, with one exception: where a process was killed before it wrote
    `config.json`, a new run may have the same name. Such a directory is empty, or holds nothing but what is
    written until then; it is emptied under its lock.

    Parameters
    ----------
    runs : Path
        The directory that holds runs; created if it does not exist.
    corpus_name : str
        For the run's name: the local date and time and this, as in "20261122-2210-tales", made unique.
    name : str, optional
        The run's name, where the user chose one.

    Raises
    ------
    RunDirectoryError
        The name cannot be one, is taken, or the directory cannot be created.
    """
    check_name(name)
    wanted = name or f"{time.strftime('%Y%m%d-%H%M')}-{_cleaned(corpus_name) or 'text'}"
    attempt = 1
    while True:
        path = runs / (wanted if attempt == 1 else f"{wanted}-{attempt}")
        try:
            path = path.absolute()
            runs.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            directory = RunDirectory(path)
            directory.checkpoints.create()
            return directory
        except FileExistsError:
            if not runs.is_dir():
                raise RunDirectoryError(f"--runs {runs} is not a directory") from None
            if name is None:
                attempt += 1
            elif not _empty_unbegun(RunDirectory(path)):
                raise RunDirectoryError(f"there is already a run {path}; choose another --name") from None
            else:
                directory = RunDirectory(path)
                directory.checkpoints.create()
                return directory
        except (OSError, ValueError) as error:
            raise RunDirectoryError(f"cannot make the run directory {path}: {reason_of(error)}") from None


def _empty_unbegun(run: RunDirectory) -> bool:
    """Empty a directory whose process was killed before it was a run, and return whether it is one.

    The lock and the directory of checkpoints stay: another process that is just beginning here finds them.
    """
    try:
        if not _is_unbegun(run):
            return False  # without so much as a lock in it
        lock = run.lock()
        try:
            if not _is_unbegun(run):
                return False
            run.remove_stale_files()
            run.events_file.remove()
            run.corpus_file.remove()
            return True
        finally:
            os.close(lock)
    except (OSError, RunDirectoryError):
        return False


def _is_unbegun(run: RunDirectory) -> bool:
    """Return whether a directory holds nothing but what is written before `config.json`, in that order."""
    names = {name for name in run.folder.names() if not _TEMPORARY.fullmatch(name)}
    allowed = {run.lock_file.name, run.checkpoints.path.name}
    if run.lock_file.name in names:
        allowed |= {run.events_file.name, run.corpus_file.name}
    if run.path.is_symlink() or not names <= allowed:
        return False
    if run.events_file.name in names and run.events_file.stat().st_size:
        return False  # a log whose config.json was lost
    return all(_TEMPORARY.fullmatch(name) for name in run.checkpoints.names())


def refuse_begun(directory: OwnedDirectory) -> None:
    """Raise a RunTakenError where another process has begun a run or a sweep here, for the one with the lock.

    The directory was new when it was created, but its lock was free for a moment.
    """
    for name in ("config.json", PLAN_NAME):
        if directory.folder.entry(name).is_taken():
            raise RunTakenError(f"another process has begun {directory.path}; choose another --name")


def remove_unstarted(run: RunDirectory) -> None:
    """Remove the directory of a run that has no checkpoint: no update of it was done.

    Only what a run writes before its first save is removed; a directory that holds anything else stays.

    Raises
    ------
    RunDirectoryError, OSError
    """
    if run.has_checkpoint:
        return
    run.remove_stale_files()
    with suppress(OSError):
        run.checkpoints.remove()
    if run.checkpoints.is_taken():
        return
    for file in (
        run.config_file, run.events_file, run.status_file, run.commands_file, run.corpus_file,
        run.trainer_log_file, run.lock_file,
    ):  # fmt: skip
        file.remove()
    with suppress(OSError):
        run.folder.remove()


def find_run(text: str, runs: Path) -> RunDirectory:
    """Return the run that a user means by a path, a name, or the unique beginning of a name.

    What has a separator, or is a directory with a `config.json`, is a path, from here or else from `runs` (as
    SWEEP/TRIAL is); else it is a name under `runs`.

    Raises
    ------
    RunDirectoryError
        There is no such run, or several.
    """
    directory = RunDirectory(Path(text).absolute())
    if "/" in text or directory.config_file.exists():
        trial = RunDirectory((runs / text).absolute())
        if not directory.config_file.exists() and trial.config_file.exists():
            return trial
        if not directory.config_file.exists():
            directory.config()  # it says what is wrong
        return directory
    named = [run for run in list_runs(runs) if run.name.startswith(text)] if text else []
    exact = [run for run in named if run.name == text]
    if len(exact or named) == 1:
        return (exact or named)[0]
    if named:
        names = ", ".join(run.name for run in named[:5])
        raise RunDirectoryError(f"{text} is the beginning of {len(named)} runs: {names}")
    raise RunDirectoryError(f"{text or 'an empty name'}: no such run under {runs}; charrnn runs lists them")


def find_run_or_newest(text: str | None, runs: Path) -> RunDirectory:
    """Return the run that a user means, as `find_run`, or the newest one where none is named.

    Raises
    ------
    RunDirectoryError
        There is no such run, or none at all.
    """
    if text is not None:
        return find_run(text, runs)
    newest = newest_runs(runs)
    if not newest:
        raise RunDirectoryError(f"there is no run under {runs}; charrnn train makes one")
    return newest[0]


def find_run_or_text(text: str, runs: Path) -> RunDirectory | Source:
    """Return the run or the text that a user means where either can be given.

    What has a separator or exists is a path: of a run, if it is a directory. Else it is the name of a run, or
    the unique beginning of one, or the name of a bundled text.

    Raises
    ------
    UsageError
        It is neither, or both, or the beginning of several runs.
    """
    if text == "-" or "/" in text or os.path.lexists(text):
        # os.path.isdir is False where Path.is_dir raises: for a name that is too long, say.
        is_run = text != "-" and os.path.isdir(text)  # noqa: PTH112
        return find_run(text, runs) if is_run else find_source(text)
    bundled = bundled_sources().get(text)
    try:
        run = find_run(text, runs)
    except RunDirectoryError as error:
        if bundled is not None:
            return bundled
        if any(run.name.startswith(text) for run in list_runs(runs)):
            raise
        names = ", ".join(bundled_sources())
        raise UsageError(
            f"{text or 'an empty name'}: no such file, no such run under {runs}, and no such bundled text "
            f"({names})"
        ) from error
    if bundled is not None:
        raise UsageError(
            f"{text} is the bundled text and a run; say {run.path} for the run, or choose another --runs"
        )
    return run


def newest_runs(runs: Path) -> list[RunDirectory]:
    """Return the runs under a directory, the one that was created last first; what is no run is left out."""
    dated = []
    for run in list_runs(runs):
        try:
            dated.append((when_created(run.config()), run.name, run))
        except RunDirectoryError:
            continue  # whoever lists runs says so
    return [run for _, _, run in sorted(dated, key=lambda entry: entry[:2], reverse=True)]


def when_created(config: Mapping[str, Any]) -> str:
    """Return the creation time in a run's configuration, or "" if it is missing or malformed.

    Times are compared as strings, and a malformed one must not sort as the newest.
    """
    created = config.get("created")
    return created if isinstance(created, str) and _TIME.fullmatch(created) else ""


def list_runs(runs: Path) -> list[RunDirectory]:
    """Return the runs under a directory, ordered by name."""
    return [RunDirectory(path) for path in directories_with("config.json", runs)]


def directories_with(name: str, parent: Path) -> list[Path]:
    """Return the directories in a directory in which there is anything of a name, in order; absolute paths.

    What it is is not looked at: it may be a link that leads to where looking takes long.
    """
    try:
        inside = sorted(parent.absolute().iterdir())
    except OSError:
        return []
    return [path for path in inside if os.path.lexists(path / name)]


def utc_now() -> str:
    """Return the time in UTC as ISO 8601, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _cleaned(name: str) -> str:
    """Return a text with all that is unfit for the name of a run replaced by hyphens."""
    kept = "".join(character if character.isalnum() or character in "-_." else "-" for character in name)
    cut = kept.lstrip(".-").encode()[:_LONGEST_NAME].decode(errors="ignore")
    return cut.rstrip("-")
