"""The sweep directory: the plan of a sweep, what happened in it, and the run directories of its trials."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from charrnn_core.errors import (
    CharRNNError,
    RunDirectoryError,
    RunFailedError,
    RunTakenError,
    SettingsError,
    raise_exhausted,
    reason_of,
)
from charrnn_core.runs.descriptors import Stamp
from charrnn_core.runs.directory import (
    PLAN_NAME,
    OwnedDirectory,
    RunDirectory,
    create_run,
    directories_with,
    refuse_begun,
    remove_unstarted,
    utc_now,
)
from charrnn_core.runs.environment import describe_corpus, versions
from charrnn_core.runs.files import Entry
from charrnn_core.runs.history import EventFields, EventTail
from charrnn_core.runs.json_text import parse_json
from charrnn_core.runs.liveness import read_status
from charrnn_core.runs.log import EventLog
from charrnn_core.sweeps.plan import MOST_TRIALS, Plan, Trial
from charrnn_core.text.corpus import Corpus, write_text
from charrnn_core.training.events import Event, encodable
from charrnn_core.training.settings import FIELDS, Settings, option_name

_MOST_BYTES, _MOST_VALUES = 50_000_000, 1_000_000  # of sweep.json
_LONGEST_ERROR = 10_000  # characters


@dataclass(frozen=True, kw_only=True)
class Proposed(Event):
    """A search has chosen a combination for its next trials.

    Attributes
    ----------
    values : dict
        What varies, without the seed.
    """

    type: ClassVar[str] = "proposed"
    values: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pruned(Event):
    """A search has given trials up, which promised nothing.

    Attributes
    ----------
    trials : list of str
    """

    type: ClassVar[str] = "pruned"
    trials: list[str]


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """A trial could not be trained.

    Attributes
    ----------
    trial : str
    error : str
    """

    type: ClassVar[str] = "failed"
    trial: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Tried(Event):
    """A trial that had failed is tried again.

    Attributes
    ----------
    trial : str
    """

    type: ClassVar[str] = "tried"
    trial: str


@dataclass
class Record:
    """What happened in a sweep, besides what its runs say themselves.

    A log may come from anybody: only what a sweep of `MOST_TRIALS` can need is kept in memory.

    Attributes
    ----------
    proposed : list of dict
        Combinations that a search has chosen, in order.
    pruned : set of str
        Names of trials that were given up.
    failed : dict of str to str
        Why trials could not be trained when that was last tried, by name.
    """

    proposed: list[dict[str, Any]] = field(default_factory=list)
    pruned: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, event: EventFields) -> None:
        """Take in the next event of the sweep's log."""
        match event:
            case {"type": "proposed", "values": dict(values)}:
                if len(self.proposed) < MOST_TRIALS and _is_combination(values):
                    self.proposed.append(values)
            case {"type": "pruned", "trials": list(trials)}:
                room = MOST_TRIALS - len(self.pruned)
                self.pruned.update([name for name in trials if _is_name(name)][:room])
            case {"type": "failed", "trial": str(trial), "error": str(error)}:
                if _is_name(trial) and (trial in self.failed or len(self.failed) < MOST_TRIALS):
                    self.failed[trial] = error[:_LONGEST_ERROR]
            case {"type": "tried", "trial": str(trial)}:
                self.failed.pop(trial, None)


def _is_combination(values: Mapping[str, Any]) -> bool:
    """Return whether values are settings, each with a number, a short text, a truth value or None."""
    return all(
        name in FIELDS and (value is None or isinstance(value, (int, float)) or _is_name(value))
        for name, value in values.items()
    )


def _is_name(value: object) -> bool:
    """Return whether a value is a text that can be the name of a file."""
    return isinstance(value, str) and len(value) <= 255


@dataclass(frozen=True)
class SweepDirectory(OwnedDirectory):
    """A directory that holds a sweep.

    ::

        sweep.json      the plan, the text, versions
        events.jsonl    what a search chose and gave up, and what failed, one JSON object a line
        status.json     which trials are being trained; believed only while the lock is held
        corpus.txt      the text, where it came from standard input
        .lock           locked by the process that sweeps
        TRIAL/          the run directory of a trial, named by what varies

    Attributes
    ----------
    path : Path
        Absolute.
    """

    @property
    def plan_file(self) -> Entry:
        """`sweep.json`."""
        return self.folder.entry(PLAN_NAME)

    def run_of(self, trial: str) -> RunDirectory:
        """Return the run directory of a trial, which may not be there yet."""
        return RunDirectory(self.path / trial)

    def stamps_of_logs(self, trials: Sequence[str]) -> list[Stamp | None]:
        """Return the stamp of each trial's log, or None if it has no log."""
        return self.folder.stamps(trials, "events.jsonl")

    def told(self) -> dict[str, Any]:
        """Return what `sweep.json` says.

        Raises
        ------
        RunDirectoryError
            There is none, or it is not of a sweep.
        """
        try:
            told = parse_json(self.plan_file.read(_MOST_BYTES), _MOST_VALUES)
        except OSError as error:
            raise_exhausted(error)
            reason = f"{error.filename}: {reason_of(error)}"
            raise RunDirectoryError(f"{self.path} cannot be read as a sweep: {reason}") from None
        except ValueError as error:
            raise RunDirectoryError(
                f"{self.path} is not the directory of a sweep: malformed sweep.json: {error}"
            ) from None
        if not isinstance(told, dict) or not isinstance(told.get("corpus"), dict):
            raise RunDirectoryError(
                f"{self.path} is not the directory of a sweep: its sweep.json is not of one"
            )
        return told

    def corpus_facts(self) -> dict[str, Any]:
        """Return what is recorded of the text, with where it is now if it is kept here."""
        facts: dict[str, Any] = self.told()["corpus"]
        return {**facts, "path": str(self.corpus_file)} if facts.get("kept") else facts

    def plan(self) -> Plan:
        """Return the plan.

        Raises
        ------
        RunDirectoryError
            There is none, or it is not whole.
        """
        try:
            return Plan.from_json(self.told())
        except SettingsError as error:
            raise RunDirectoryError(f"{self.plan_file}: {error}") from None

    def check_defaults(self, plan: Plan) -> None:
        """Raise a RunDirectoryError where what is not given was another setting when the sweep began.

        Another version of the program may have other defaults; trials that begin now would differ.
        """
        before, now = self.told().get("base"), Settings.of(plan.preset, **plan.given).to_json()
        if not isinstance(before, dict):
            return
        for name, value in now.items():
            if name in before and before[name] != value:
                raise RunDirectoryError(
                    f"the sweep {self.name} began with {option_name(name)} {before[name]}, which is {value} "
                    "by default now; a new sweep may give it, under another --name"
                )

    def record(self) -> Record:
        """Return what happened so far."""
        record = Record()
        with closing(EventTail(self.events_file)) as tail:
            for _, event in tail.read():
                record.add(event)
        return record

    def trials(self, plan: Plan | None = None, record: Record | None = None) -> list[Trial]:
        """Return the trials that are known by now."""
        plan = plan or self.plan()
        if plan.search != "tpe":
            return plan.first_trials()
        proposed = filter(plan.accepts, (record or self.record()).proposed)
        found = plan.in_trials(list(islice(proposed, plan.combinations)))
        return list({trial.name: trial for trial in found}.values())

    def write_plan(self, plan: Plan, corpus: dict[str, Any], created: str) -> None:
        """Write `sweep.json`, durably; with it the directory is a sweep."""
        told = {
            "created": created,
            **plan.to_json(),
            "base": Settings.of(plan.preset, **plan.given).to_json(),
            "corpus": corpus,
            "versions": versions(),
        }
        text = encodable(json.dumps(told, ensure_ascii=False, indent=2))
        self.plan_file.write(f"{text}\n".encode())

    def status(self) -> dict[str, Any]:
        """Return what `status.json` says; {} where nobody sweeps, or nothing is said yet."""
        return read_status(self) if self.is_locked() else {}


def is_sweep(path: Path) -> bool:
    """Return whether a directory holds a sweep."""
    return SweepDirectory(path.absolute()).plan_file.exists()


def create_sweep(runs: Path, plan: Plan, corpus: Corpus, name: str | None = None) -> SweepDirectory:
    """Create the directory of a new sweep.

    Raises
    ------
    RunDirectoryError
        The name cannot be one, is taken, or the directory cannot be created.
    RunFailedError
        It cannot be written.
    """
    made = create_run(runs, f"{corpus.name}-sweep", name)
    directory = SweepDirectory(made.path)
    with ExitStack() as opened:
        try:
            opened.callback(os.close, directory.lock())
            refuse_begun(directory)
            made.checkpoints.remove()
            facts: dict[str, Any] = dict(describe_corpus(corpus))
            if corpus.kind == "input":
                write_text(corpus, directory.corpus_file.create())
                # A file from now on, for all trials together, wherever this directory is.
                facts = {**facts, "kind": "file", "path": str(directory.corpus_file), "kept": True}
            EventLog(directory.events_file).close()
            directory.write_plan(plan, facts, utc_now())
        except RunTakenError:
            raise  # another process has just begun here; its files are not ours to remove
        except (OSError, RunDirectoryError) as error:
            with suppress(OSError, RunDirectoryError):
                directory.plan_file.remove()
                remove_unstarted(made)
            raise RunFailedError(f"cannot write {directory.path}: {reason_of(error)}") from None
    return directory


def list_sweeps(runs: Path) -> list[SweepDirectory]:
    """Return the sweeps under a directory, ordered by name."""
    return [SweepDirectory(path) for path in directories_with(PLAN_NAME, runs)]


def find_sweep(text: str, runs: Path) -> SweepDirectory | None:
    """Return the sweep that a user means by a path, a name, or the unique beginning of a name; None for none.

    Raises
    ------
    RunDirectoryError
        It is the beginning of several.
    """
    with suppress(OSError, ValueError):  # a name that is too long, or has a NUL
        if is_sweep(Path(text)):
            return SweepDirectory(Path(text).absolute())
    if "/" in text or not text:
        return None
    named = [sweep for sweep in list_sweeps(runs) if sweep.name.startswith(text)]
    exact = [sweep for sweep in named if sweep.name == text]
    if len(exact or named) > 1:
        names = ", ".join(sweep.name for sweep in named[:5])
        raise RunDirectoryError(f"{text} is the beginning of {len(named)} sweeps: {names}")
    return next(iter(exact or named), None)


def newest_equal(runs: Path, plan: Plan, sha256: str) -> SweepDirectory | None:
    """Return the newest sweep with this plan and this text; None where there is none."""
    found = []
    for sweep in list_sweeps(runs):
        with suppress(CharRNNError):  # of another version, or edited: not this one
            told = sweep.told()
            if told["corpus"].get("sha256") == sha256 and Plan.from_json(told) == plan:
                found.append((str(told.get("created", "")), sweep.name, sweep))
    return max(found, key=lambda each: each[:2])[2] if found else None
