"""No descriptor stays open where opening, reading or starting something fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.errors import RunDirectoryError, RunFailedError
from charrnn_core.runs import files, history, starting
from charrnn_core.runs.files import Folder
from charrnn_core.runs.history import History
from charrnn_core.runs.log import LONGEST_LINE, EventLog
from charrnn_core.sweeps.directory import Record, SweepDirectory
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings

MOST = 1024  # descriptors that are looked at
LINE = b'{"type":"epoch","update":1,"time":0.5}\n'
SETTINGS = Settings.of(hidden=4, seq_length=4, updates=20)
BOOK = corpus_of("the cat sat on the mat.\n" * 20, "book")


def open_descriptors() -> set[tuple[int, int, int]]:
    """Return the open descriptors with the files that they are of."""
    found = set()
    for number in range(MOST):
        try:
            status = os.fstat(number)
        except OSError:
            continue
        found.add((number, status.st_dev, status.st_ino))
    return found


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def fail(*arguments: Any, **named: Any) -> Any:
    raise OSError(errno.EIO, "Input/output error")


def test_of_a_log_with_too_many_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "events.jsonl").write_bytes(LINE * 2)
    monkeypatch.setattr(history, "MOST_BYTES", 1)
    with pytest.raises(RunDirectoryError, match="more than"):
        History.read(tmp_path / "events.jsonl")


def test_of_a_record_of_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "events.jsonl").write_bytes(LINE)
    monkeypatch.setattr(Record, "add", fail)
    with pytest.raises(OSError, match="Input/output"):
        SweepDirectory(tmp_path).record()


@pytest.mark.parametrize("call", ["fstat", "pread", "ftruncate"])
def test_of_a_log_that_cannot_be_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "events.jsonl").write_bytes(LINE + b"torn")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output"):
        patch.setattr(f"charrnn_core.runs.log.os.{call}", fail)
        EventLog(tmp_path / "events.jsonl")


def test_of_a_file_that_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"x" * (LONGEST_LINE + 100))
    with pytest.raises(RunDirectoryError, match="not a log"):
        EventLog(tmp_path / "events.jsonl")


@pytest.mark.parametrize("where", ["EventLog", "RunDirectory.write_config", "TrainingProcess"])
def test_of_a_run_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    module = "directory" if "." in where else "starting"
    with monkeypatch.context() as patch, pytest.raises((RunFailedError, OSError), match="Input/output"):
        patch.setattr(f"charrnn_core.runs.{module}.{where}", fail)
        starting.start(SETTINGS, BOOK, runs=tmp_path, name="run")
    assert (tmp_path / "run").exists() == (where == "TrainingProcess")


@pytest.mark.parametrize("where", ["EventLog", "TrainingProcess", "_warnings"])
def test_of_a_run_that_cannot_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    process = starting.start(SETTINGS, BOOK, runs=tmp_path, name="run")
    process.run(lambda item: None)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output"):
        patch.setattr(starting, where, fail)
        starting.resume(process.directory, {"updates": 40})
    assert not process.directory.is_locked()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_where_no_more_files_can_be_opened_nothing_is_said_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """It is neither missing nor a link: `charrnn plot` has said that of a place that was free."""

    def exhausted(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    folder = Folder(tmp_path)
    monkeypatch.setattr(files, "open_directory", exhausted)
    for looked in (folder.exists, folder.entry("x").exists, folder.entry("x").is_taken):
        with pytest.raises(OSError, match=os.strerror(code)):
            looked()
