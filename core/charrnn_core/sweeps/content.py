"""The files of a trial that travel between this machine and a worker, and the check of what comes back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from charrnn_core.errors import CheckpointError, SettingsError
from charrnn_core.runs.checkpoint import Checkpoint, keep_last_as_previous, parse_checkpoint
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import Entry
from charrnn_core.runs.json_text import parse_json, to_json
from charrnn_core.sweeps.task import Outcome, Task
from charrnn_core.training.settings import Settings

Content = dict[str, bytes]
"""Files of a run directory by their paths in it."""

_CONFIG, _LOG, _STATUS = "config.json", "events.jsonl", "status.json"
_BEST, _LAST = "checkpoints/best.safetensors", "checkpoints/last.safetensors"
_MOST_BYTES = 1 << 30  # of a file that travels


class ReturnedError(Exception):
    """What a worker has returned cannot take the place of what is here."""


def _files_of(run: RunDirectory) -> dict[str, Entry]:
    """Return the files of a run that travel, by their paths in it.

    They are written in this order: a log that is longer than the checkpoint knows is what any crash leaves.
    """
    return {
        _CONFIG: run.config_file,
        _LOG: run.events_file,
        _BEST: run.checkpoint_file("best"),
        _LAST: run.checkpoint_file("last"),
        _STATUS: run.status_file,
    }


def content_of(path: Path) -> Content:
    """Return what a run directory holds."""
    content = {}
    for name, file in _files_of(RunDirectory(path)).items():
        with suppress(FileNotFoundError):
            content[name] = file.read(_MOST_BYTES)
    return content


def write_content(content: Content, path: Path, *, durable: bool) -> None:
    """Write files of a run directory, each in one step.

    Raises
    ------
    OSError
    """
    run = RunDirectory(path)
    run.folder.create()
    run.checkpoints.create()
    for name, file in _files_of(run).items():
        if name in content:
            if name == _LAST:
                keep_last_as_previous(run)
            file.write(content[name], durable=durable and name != _STATUS)


def with_status(content: Content, status: dict[str, Any]) -> Content:
    """Return the content with more said in `status.json`, where it has that."""
    if _STATUS not in content:
        return content
    told = {"state": "training", **parse_json(content[_STATUS]), **status}
    return {**content, _STATUS: to_json(told).encode()}


def checked(returned: object, task: Task, sent: Content) -> tuple[Outcome, Content]:
    """Return what a worker has returned, if it continues the trial that it was sent.

    A worker can have faulty memory, a full disk or a different program under the same name. What it returns
    replaces the only copy of a trial, so all of it is checked.

    Parameters
    ----------
    returned : object
        What should be an outcome as JSON and the files of the run directory.
    task : Task
        What the worker was asked to do.
    sent : dict
        The files that it was given to go on from; empty for a new trial.

    Raises
    ------
    ReturnedError
    """
    match returned:
        case (dict(told), dict(content)):
            pass
        case _:
            raise ReturnedError(f"it is no outcome with files, but of type {type(returned).__name__}")
    try:
        outcome = Outcome.from_json(told)
    except ValueError as error:
        raise ReturnedError(f"its outcome is malformed: {error}") from None
    if not all(isinstance(data, bytes) for data in content.values()):
        raise ReturnedError("its files are not bytes")
    if foreign := content.keys() - _files_of(RunDirectory(Path(task.path))).keys():
        raise ReturnedError(f"it has files that do not belong to a trial: {', '.join(map(str, foreign))}")
    if content:
        _check_config(content, task, sent)
        _check_log(content, sent)
        if _STATUS in content:
            _object(content[_STATUS], _STATUS)
        if _BEST in content:
            _checkpoint(content, _BEST, task)
    _check_state(outcome, content, task, sent)
    return outcome, content


def _check_config(content: Content, task: Task, sent: Content) -> None:
    config = _object(content.get(_CONFIG, b""), _CONFIG)
    if _CONFIG in sent:
        if content[_CONFIG] != sent[_CONFIG]:
            raise ReturnedError(f"its {_CONFIG} is not the one that was sent")
        return
    try:
        settings = Settings.from_json(config["settings"])
        is_of_the_text = config["corpus"]["sha256"] == task.corpus["sha256"]
    except (SettingsError, LookupError, TypeError, AttributeError, ValueError):
        raise ReturnedError(f"its {_CONFIG} is malformed") from None
    if not is_of_the_text or not _is_network_of(settings, task):
        raise ReturnedError(f"its {_CONFIG} is that of another trial")


def _check_log(content: Content, sent: Content) -> None:
    """Raise unless the log is what was sent and whole lines after it."""
    log, before = content.get(_LOG, b""), sent.get(_LOG, b"")
    before = before[: before.rfind(b"\n") + 1]
    if not log.startswith(before):
        raise ReturnedError(f"its {_LOG} does not begin with the one that was sent")
    if not log.endswith(b"\n"):
        raise ReturnedError(f"its {_LOG} does not end with a whole line")
    for line in log[len(before) :].split(b"\n")[:-1]:
        _object(line, _LOG)


def _check_state(outcome: Outcome, content: Content, task: Task, sent: Content) -> None:
    """Raise unless the last checkpoint has the state that the outcome names."""
    last = _checkpoint(content, _LAST, task) if _LAST in content else None
    if outcome.end == "failed":
        return
    if last is None:
        if outcome.state_sha256 is not None or (outcome.end == "ended" and outcome.reason != "diverged"):
            raise ReturnedError(f"it has no {_LAST}")
    # A trial that was continued by hand reports the end that it had reached before.
    elif outcome.state_sha256 != last.state_sha256 and content[_LAST] != sent.get(_LAST):
        raise ReturnedError("its last checkpoint is not the state that it reached")


def _checkpoint(content: Content, name: str, task: Task) -> Checkpoint:
    try:
        checkpoint = parse_checkpoint(content[name], name)
    except CheckpointError as error:
        raise ReturnedError(str(error)) from None
    is_of_the_text = checkpoint.metadata["corpus"]["sha256"] == task.corpus["sha256"]
    if not is_of_the_text or not _is_network_of(checkpoint.snapshot.settings, task):
        raise ReturnedError(f"its {name} is that of another trial")
    return checkpoint


def _is_network_of(settings: Settings, task: Task) -> bool:
    """Return whether settings are those of a trial, but for the learning rate, which may be changed later."""
    wanted = Settings.from_json(task.settings)
    return {**settings.shaping(), "learning_rate": 0} == {**wanted.shaping(), "learning_rate": 0}


def _object(data: bytes, name: str) -> dict[str, Any]:
    try:
        value = parse_json(data)
    except ValueError as error:
        raise ReturnedError(f"its {name} is malformed: {error}") from None
    if not isinstance(value, dict):
        raise ReturnedError(f"its {name} is malformed: it is not a JSON object")
    return value
