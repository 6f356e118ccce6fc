"""The name of a run or a sweep that was killed before it had begun can be used again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.errors import RunDirectoryError, RunTakenError
from charrnn_core.runs import starting
from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.directory import RunDirectory, create_run
from charrnn_core.sweeps import directory as sweeps
from charrnn_core.sweeps.directory import create_sweep
from charrnn_core.sweeps.plan import Plan
from charrnn_core.sweeps.varying import Variation
from charrnn_core.text.corpus import Corpus, corpus_of
from charrnn_core.training.settings import Settings

TEXT = "the cat sat on the mat.\n" * 20
SETTINGS = Settings.of(hidden=4, seq_length=4, updates=20)
PLAN = Plan({"updates": 20}, (Variation("hidden", (4, 5)),))


class Killed(BaseException):
    """What ends a process here as SIGKILL would: its files stay as they are."""


def kill(*arguments: Any, **named: Any) -> Any:
    raise Killed


@pytest.fixture
def text() -> Corpus:
    """A text from standard input, which is kept."""
    return dataclasses.replace(corpus_of(TEXT, "book"), kind="input")


def begin(runs: Path, text: Corpus) -> RunDirectory:
    return starting.start(SETTINGS, text, runs=runs, name="mine").directory


STEPS = {
    "before checkpoints": "charrnn_core.runs.files.Folder.create",
    "before the lock": "charrnn_core.runs.directory.RunDirectory.lock",
    "before the text": "charrnn_core.runs.starting.write_text",
    "before the log": "charrnn_core.runs.starting.EventLog",
    "before config.json": "charrnn_core.runs.directory.RunDirectory.write_config",
    "within config.json": "charrnn_core.runs.files.Entry.move_to",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_was_killed_before_it_began_leaves_its_name_free(
    tmp_path: Path, text: Corpus, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(STEPS[step], kill)
        if step == "within config.json":  # the temporary file stays
            patch.setattr("charrnn_core.runs.files.Entry.remove", lambda self: None)
        begin(tmp_path, text)
    assert (tmp_path / "mine").is_dir() and not (tmp_path / "mine" / "config.json").exists()
    process = starting.start(SETTINGS, text, runs=tmp_path, name="mine")
    process.run(lambda item: None)
    assert read_checkpoint(process.directory.checkpoint_file("last")).snapshot.update == 20
    assert not [path for path in process.directory.path.rglob(".*") if path.name != ".lock"]
    assert process.directory.corpus_file.read().decode() == TEXT


@pytest.mark.parametrize(
    "step",
    [
        "charrnn_core.runs.files.Folder.remove",
        "charrnn_core.sweeps.directory.write_text",
        "charrnn_core.sweeps.directory.EventLog",
        "charrnn_core.sweeps.directory.SweepDirectory.write_plan",
    ],
)
def test_a_sweep_that_was_killed_before_it_began_leaves_its_name_free(
    tmp_path: Path, text: Corpus, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(step, kill)
        create_sweep(tmp_path, PLAN, text, "mine")
    assert create_sweep(tmp_path, PLAN, text, "mine").plan() == PLAN


def files_of(path: Path) -> dict[str, bytes | None]:
    return {
        str(each.relative_to(path)): each.read_bytes() if each.is_file() else None for each in path.rglob("*")
    }


OTHERS: dict[str, Callable[[Path], object]] = {
    "a run": lambda path: (path / "config.json").write_text("{}"),
    "a sweep": lambda path: (path / "sweep.json").write_text("{}"),
    "notes": lambda path: (path / "notes.txt").write_text("keep"),
    "a folder": lambda path: (path / "pages").mkdir(),
    "a text without a lock": lambda path: (
        (path / ".lock").unlink(), (path / "corpus.txt").write_text("keep")
    ),
    "a log": lambda path: (path / "events.jsonl").write_text("{}\n"),
    "a checkpoint": lambda path: (path / "checkpoints" / "last.safetensors").write_text("keep"),
    "a link for checkpoints": lambda path: (
        (path / "checkpoints").rmdir(), (path / "checkpoints").symlink_to(path.parent)
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
def test_a_directory_with_anything_else_is_refused_and_left_alone(tmp_path: Path, what: str) -> None:
    path = tmp_path / "mine"
    (path / "checkpoints").mkdir(parents=True)
    (path / ".lock").touch()
    OTHERS[what](path)
    before = files_of(path)
    with pytest.raises(RunDirectoryError, match="already a run"):
        create_run(tmp_path, "book", "mine")
    assert files_of(path) == before


def test_a_link_to_an_empty_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mine").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunDirectoryError, match="already a run"):
        create_run(tmp_path, "book", "mine")
    assert not files_of(tmp_path / "elsewhere")


def test_a_run_that_is_just_beginning_is_left_to_its_process(tmp_path: Path, text: Corpus) -> None:
    beginning = create_run(tmp_path, "book", "mine")
    lock = beginning.lock()
    beginning.corpus_file.write(b"half")
    try:
        with pytest.raises(RunDirectoryError, match="already a run"):
            begin(tmp_path, text)
        assert beginning.corpus_file.read() == b"half"
    finally:
        os.close(lock)


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_of_two_that_begin_at_once_one_leaves_the_files_of_the_other_alone(
    tmp_path: Path, text: Corpus, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The other one takes the lock between the creation of the directory and its locking."""
    locks = []

    def create(*arguments: Any) -> RunDirectory:
        run = create_run(*arguments)
        locks.append(run.lock())
        run.corpus_file.write(b"of the other")
        return run

    with monkeypatch.context() as patch, pytest.raises(RunTakenError):
        patch.setattr(starting if kind == "run" else sweeps, "create_run", create)
        if kind == "run":
            begin(tmp_path, text)
        else:
            create_sweep(tmp_path, PLAN, text, "mine")
    assert RunDirectory(tmp_path / "mine").corpus_file.read() == b"of the other"
    os.close(locks[0])


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_of_two_that_begin_at_once_one_leaves_the_run_that_the_other_has_ended_alone(
    tmp_path: Path, text: Corpus, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The other one has even let go of the lock again."""

    module = starting if kind == "run" else sweeps

    def create(*arguments: Any) -> RunDirectory:
        monkeypatch.undo()
        run = create_run(*arguments)
        other = starting.start(SETTINGS, text, runs=tmp_path / "other", name="mine")
        other.run(lambda item: None)
        run.checkpoints.remove()
        run.path.rmdir()
        other.directory.path.rename(run.path)
        return RunDirectory(run.path)

    monkeypatch.setattr(module, "create_run", create)
    with pytest.raises(RunTakenError, match="choose another"):
        if kind == "run":
            begin(tmp_path, text)
        else:
            create_sweep(tmp_path, PLAN, text, "mine")
    assert read_checkpoint(tmp_path / "mine" / "checkpoints" / "last.safetensors").snapshot.update == 20
