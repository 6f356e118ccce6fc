"""How a training process begins: a new run, one that goes on, or one that is repeated."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from charrnn_core.errors import (
    CheckpointError,
    CorpusError,
    RunDirectoryError,
    RunFailedError,
    RunFinishedError,
    RunTakenError,
    SettingsError,
    reason_of,
)
from charrnn_core.rnn.engine import EngineName
from charrnn_core.rnn.engines import is_fallback, problem_with_numba, resolve_engine
from charrnn_core.rnn.threads import limit_blas_threads
from charrnn_core.runs.checkpoint import (
    KINDS,
    Checkpoint,
    Place,
    RunFacts,
    keep_best_as_previous,
    newest_checkpoint,
    read_checkpoint,
)
from charrnn_core.runs.directory import RunDirectory, create_run, refuse_begun, remove_unstarted, utc_now
from charrnn_core.runs.environment import describe_corpus, machine, versions
from charrnn_core.runs.files import open_kept
from charrnn_core.runs.history import History
from charrnn_core.runs.log import EventLog
from charrnn_core.runs.process import TrainingProcess
from charrnn_core.text.corpus import Corpus, read_corpus, write_text
from charrnn_core.text.source import Source, bundled_sources, open_file
from charrnn_core.training.events import Event, Resumed, Started, Warned
from charrnn_core.training.settings import CHANGEABLE, NO_STOPS, STOPS, Settings, Value, option_name
from charrnn_core.training.state import Best
from charrnn_core.training.trainer import Trainer


def start(
    settings: Settings,
    corpus: Corpus,
    *,
    runs: str | Path,
    name: str | None = None,
    engine: EngineName | None = None,
    threads: int | None = None,
    owned: bool = False,
) -> TrainingProcess:
    """Create a new run directory and return the process that trains into it.

    Parameters
    ----------
    settings : Settings
    corpus : Corpus
    runs : str or Path
        Where the run directory is created.
    name : str, optional
        Of the run.
    engine : str, optional
    threads : int, optional
        Of the run that is repeated; by default what the settings mean here.
    owned : bool
        As of `TrainingProcess`.

    Raises
    ------
    UsageError
        Settings and corpus do not go together (then no directory is created), or it cannot be created.
    RunFailedError
        The files of the run cannot be written.
    """
    try:
        runs = Path(runs).absolute()
    except OSError as error:
        raise RunDirectoryError(f"cannot make a run directory under {runs}: {reason_of(error)}") from None
    trainer = Trainer(settings, corpus, engine=engine, threads=threads)
    blas = limit_blas_threads(trainer.engine.threads)
    directory = create_run(runs, corpus.name, name)
    facts = run_facts(trainer, corpus, blas)
    with ExitStack() as on_failure:
        try:
            lock = directory.lock()
            on_failure.callback(os.close, lock)
            refuse_begun(directory)
            if corpus.kind == "input":
                write_text(corpus, directory.corpus_file.create())
            log = EventLog(directory.events_file)
            on_failure.callback(log.close)
            directory.write_config(
                {
                    "created": utc_now(),
                    "settings": settings.to_json(),
                    "corpus": facts.corpus,
                    "versions": facts.environment["versions"],
                }
            )
        except RunTakenError:
            raise  # another process has just begun a run of this name; its files are not ours to remove
        except (OSError, RunDirectoryError) as error:
            with suppress(OSError, RunDirectoryError):
                remove_unstarted(directory)
            raise RunFailedError(f"cannot write {directory.path}: {reason_of(error)}") from None
        opening: list[Event] = [
            Started(
                update=0,
                time=0.0,
                run=directory.name,
                settings=settings.to_json(),
                corpus=facts.corpus,
                **facts.environment,
            )
        ]
        if engine is None and is_fallback(settings.engine, trainer.engine.name):
            problem = f"the engine numba is not used: {problem_with_numba()}"
            opening.append(Warned(update=0, time=0.0, message=problem))
        process = TrainingProcess(directory, lock, log, trainer, facts, opening, owned=owned)
        on_failure.pop_all()
    return process


def resume(
    directory: RunDirectory,
    changes: Mapping[str, Value],
    *,
    corpus: str | Corpus | None = None,
    from_best: bool = False,
    owned: bool = False,
) -> TrainingProcess:
    """Return the process that resumes a run exactly where it stopped, or from its best state.

    A run that was ended before its first save, and so before its first update, starts again.

    Parameters
    ----------
    directory : RunDirectory
    changes : mapping
        Settings with another value: stops, samples, saving, learning rate.
    corpus : str or Corpus, optional
        Where the text is now, if not where it was; or the text itself.
    from_best : bool
        Go on from the best state, and give up what came after it.
    owned : bool
        As of `TrainingProcess`.

    Raises
    ------
    RunTakenError
        Another process trains it.
    RunFinishedError
        It has reached what was to end it.
    RunDirectoryError
        It is no run, or its engine cannot be used here.
    CheckpointError
        No checkpoint is whole, or there is no best one.
    SettingsError
        A change would make another network.
    CorpusError
        The text cannot be read, or is another one.
    """
    directory.config()  # before anything is touched: a directory that is no run is left alone
    with ExitStack() as on_failure:
        lock = directory.lock()
        on_failure.callback(os.close, lock)
        problems: list[str] = []
        checkpoint: Checkpoint | None = None
        if from_best:
            if not directory.checkpoint_file("best").is_taken():
                raise CheckpointError(
                    f"{directory.path} has no best checkpoint yet; without --from-best it is resumed"
                )
            checkpoint = read_checkpoint(directory.checkpoint_file("best"))
        elif not _is_unsaved(directory):
            checkpoint, problems = newest_checkpoint(directory)
        if checkpoint is None:
            settings_before = settings_of(directory)
            text = text_of(directory, directory.config()["corpus"], corpus)
            trainer = Trainer(_changed(settings_before, changes), text)
        else:
            settings_before = checkpoint.snapshot.settings
            text = _text_of_checkpoint(directory, checkpoint, corpus)
            trainer = Trainer(
                _changed(settings_before, changes),
                text,
                snapshot=checkpoint.snapshot,
                engine=_engine_of(directory, checkpoint, changes.get("engine")),
                threads=checkpoint.metadata["threads"],
            )
        settings = trainer.settings
        blas = limit_blas_threads(trainer.engine.threads)
        if trainer.finished:
            raise RunFinishedError(
                f"{directory.path} is at update {trainer.update:,} and so finished ({trainer.reached}); "
                f"to go on, give it more in all, for example --updates {2 * trainer.update}"
            )
        directory.remove_stale_files()
        if from_best:
            keep_best_as_previous(directory)
        history = History.read(directory.events_file)
        facts = run_facts(trainer, text, blas)
        log = EventLog(directory.events_file)
        on_failure.callback(log.close)
        before = settings_before.to_json()
        changed = {name: value for name, value in settings.to_json().items() if value != before[name]}
        place = Place() if checkpoint is None else checkpoint.place
        opening: list[Event] = [
            Resumed(
                update=trainer.update,
                time=trainer.seconds,
                run=directory.name,
                settings=settings.to_json(),
                corpus=facts.corpus,
                checkpoint="none" if checkpoint is None else checkpoint.kind,
                log_length=min(place.log_length, log.length),
                changed=changed,
                **facts.environment,
            )
        ]
        warnings = [] if checkpoint is None else _warnings(checkpoint, facts, problems)
        opening += [Warned(update=trainer.update, time=trainer.seconds, message=text) for text in warnings]
        process = TrainingProcess(
            directory,
            lock,
            log,
            trainer,
            facts,
            opening,
            place=place,
            answered=history.answered,
            refused_lines=history.refused_lines,
            saved_best=_saved_best(directory),
            owned=owned,
        )
        on_failure.pop_all()
    return process


def _is_unsaved(directory: RunDirectory) -> bool:
    """Return whether a run was ended before its first save, which comes before the first update."""
    if any(directory.checkpoint_file(kind).is_taken() for kind in KINDS):
        return False
    return not any(event["update"] > 0 for event in History.read(directory.events_file).progress)


def settings_of(directory: RunDirectory) -> Settings:
    """Return the settings that a run began with.

    Raises
    ------
    RunDirectoryError
        `config.json` cannot be read, or has impossible ones.
    """
    try:
        return Settings.from_json(directory.config()["settings"])
    except (SettingsError, TypeError) as error:
        raise RunDirectoryError(f"{directory.path} is not a run directory: {error}") from None


def _warnings(checkpoint: Checkpoint, facts: RunFacts, problems: list[str]) -> list[str]:
    """Return what a resumed run must be warned of."""
    before, now = checkpoint.metadata, facts.environment
    warnings = [f"{problem}; training is resumed from {checkpoint.kind}" for problem in problems]
    if now["engine"] != before["engine"]:
        warnings.append(
            f"the engine is {now['engine']} now and was {before['engine']} before: the last bits differ from "
            "an uninterrupted run's"
        )
    elif now["blas"] != before["blas"]:
        warnings.append(
            f"the run was computed by {before['blas']}, and is now by {now['blas']}: its last bits may "
            "differ from an uninterrupted run's"
        )
    return warnings


def load(
    directory: RunDirectory, *, corpus: str | Corpus | None = None, choice: str | None = None
) -> tuple[Trainer, list[str]]:
    """Return the trainer of a run as its newest checkpoint left it, and what is wrong with other checkpoints.

    To look at: the run is not touched. A run that was ended before its first save is as it began.

    Parameters
    ----------
    directory : RunDirectory
    corpus : str or Corpus, optional
        Where the text is now, if not where it was; or the text itself.
    choice : "auto", "numpy" or "numba", optional
        The engine; by default, and where it is `auto`, the run's.

    Raises
    ------
    CheckpointError
        No checkpoint is whole.
    CorpusError
        The text cannot be read, or is another one.
    UsageError
        The engine cannot be used here.
    """
    if _is_unsaved(directory):
        text = text_of(directory, directory.config()["corpus"], corpus)
        trainer = Trainer(settings_of(directory), text)
        limit_blas_threads(trainer.engine.threads)
        return trainer, []
    checkpoint, problems = newest_checkpoint(directory)
    text = _text_of_checkpoint(directory, checkpoint, corpus)
    engine = _engine_of(directory, checkpoint, choice)
    snapshot, threads = checkpoint.snapshot, checkpoint.metadata["threads"]
    trainer = Trainer(snapshot.settings, text, snapshot=snapshot, engine=engine, threads=threads)
    limit_blas_threads(trainer.engine.threads)
    return trainer, problems


def _engine_of(directory: RunDirectory, checkpoint: Checkpoint, choice: Value) -> EngineName:
    """Return the engine that goes on with a run: its own, or `numpy` or `numba` where that is asked for."""
    recorded = checkpoint.metadata["engine"]
    if choice in ("numpy", "numba"):
        return resolve_engine(str(choice))
    if recorded == "numpy":
        return "numpy"
    problem = problem_with_numba() if recorded == "numba" else "this version does not have it"
    if problem is None:
        return "numba"
    raise RunDirectoryError(
        f"{directory.path} was trained by the engine {recorded}, which cannot be used: {problem}, and "
        "the last bits then differ from an uninterrupted run's"
    )


@dataclasses.dataclass(frozen=True)
class Recording:
    """What a run did, as far as it has to be known to repeat it.

    Attributes
    ----------
    settings : Settings
        Of the start, without stops.
    update : int
        Where the recorded state is.
    state_sha256 : str
        Its identity.
    """

    settings: Settings
    update: int
    state_sha256: str


def replay(
    directory: RunDirectory, *, runs: Path, name: str | None = None, corpus: str | None = None
) -> tuple[TrainingProcess, Recording]:
    """Return a process that repeats a run with its interventions, in a new directory, and what it must reach.

    Raises
    ------
    CharRNNError
        As `start` and `resume`.
    """
    recorded = settings_of(directory)
    checkpoint, _ = newest_checkpoint(directory)
    without: dict[str, Any] = NO_STOPS
    settings = dataclasses.replace(recorded, **without)
    text = _text_of_checkpoint(directory, checkpoint, corpus)
    history = History.read(directory.events_file)
    engines = list(dict.fromkeys(str(opening.get("engine")) for opening in history.openings))
    if len(engines) > 1:
        raise RunDirectoryError(
            f"{directory.path} was trained by the engine {' and then by '.join(engines)}, and neither alone "
            "gives the same last bits"
        )
    process = start(
        settings,
        text,
        runs=runs,
        name=name,
        engine=_engine_of(directory, checkpoint, None),
        threads=checkpoint.metadata["threads"],
    )
    snapshot = checkpoint.snapshot
    process.trainer.schedule_learning_rates(history.learning_rates(snapshot.update))
    process.trainer.end_at(snapshot.update, snapshot.pending)
    return process, Recording(settings, snapshot.update, checkpoint.state_sha256)


def run_facts(trainer: Trainer, corpus: Corpus, blas: str) -> RunFacts:
    """Return what checkpoints say of a run on this machine, whose matrix products are named `blas`."""
    environment = {
        "engine": trainer.engine.name,
        "threads": trainer.engine.threads,
        "blas": blas if trainer.engine.compiler is None else f"{blas}, {trainer.engine.compiler}",
        "versions": versions(trainer.engine.name),
        "machine": machine(),
    }
    return RunFacts(corpus.vocabulary.characters, describe_corpus(corpus), environment)


def _changed(settings: Settings, changes: Mapping[str, Value]) -> Settings:
    """Return settings with changes; a stop that is given takes the place of all stops that there were."""
    for name, value in changes.items():
        if name not in CHANGEABLE and value != getattr(settings, name):
            raise SettingsError(
                f"{option_name(name)} cannot change when a run goes on; start a new run for that"
            )
    values: dict[str, Any] = dict(changes)
    if any(changes.get(stop) is not None for stop in STOPS):
        values = {**NO_STOPS, **values}
    return dataclasses.replace(settings, **values)


_IDENTITY = ("name", "sha256")


def text_of(directory: RunDirectory, facts: Mapping[str, Any], given: str | Corpus | None = None) -> Corpus:
    """Return the text that a run was trained on, and no other.

    Parameters
    ----------
    directory : RunDirectory
    facts : mapping
        What is recorded of the text, as `describe_corpus` gives it.
    given : str or Corpus, optional
        Where the text is now, if not where it was; or the text itself.

    Raises
    ------
    CorpusError
        It cannot be read, or is another one.
    """
    kinds = ("file", "input", "bundled")
    if facts.get("kind") not in kinds or not all(isinstance(facts.get(name), str) for name in _IDENTITY):
        raise CorpusError(f"{directory.path} does not say which text it was trained on")
    if isinstance(given, Corpus):
        return _as_recorded(given, facts)
    source: str | Source
    if given is not None:
        source = given
    elif facts["kind"] == "bundled":
        bundled = bundled_sources()
        if facts["name"] not in bundled:
            raise CorpusError(
                f"the bundled text {facts['name']} is not in this version; give it with --corpus"
            )
        source = bundled[facts["name"]]
    else:
        is_kept = facts["kind"] == "input" or facts.get("kept") is True
        source = _kept_text(directory, facts) if is_kept else _file_text(directory, facts)
    try:
        text = read_corpus(source)
    except CorpusError as error:
        raise CorpusError(f"{error}; if the text has moved, say where with --corpus") from None
    return _as_recorded(text, facts)


def _kept_text(directory: RunDirectory, facts: Mapping[str, Any]) -> Source:
    """Return the text that a run or a sweep keeps in its own directory."""
    file = directory.corpus_file
    # At most as large as what it came from, which had a byte order mark perhaps, and other ends of lines.
    most = _size_of(facts)
    return Source("file", str(file), (file.path,), most=most, opener=lambda path: file.descriptor())


def _size_of(facts: Mapping[str, Any]) -> int | None:
    """Return how many bytes a text has by what is recorded of it."""
    size = facts.get("source_bytes")
    return size if isinstance(size, int) and not isinstance(size, bool) else None


def _file_text(directory: RunDirectory, facts: Mapping[str, Any]) -> Source:
    """Return the file that a run was trained on, whose size is part of what the run recorded.

    A trial records the path of the text that its sweep keeps, which is not read through a link.
    """
    path = Path(str(facts.get("path")))
    is_in_sweep = directory.folder.parts and path == directory.path.parent / directory.corpus_file.name
    opener = open_kept if is_in_sweep else open_file
    return Source("file", str(path), (path,), size=_size_of(facts), opener=opener)


def _as_recorded(text: Corpus, facts: Mapping[str, Any]) -> Corpus:
    """Return a text with the name that is recorded of it, if it is that text."""
    if text.sha256 != facts["sha256"]:
        raise CorpusError(
            f"the text {facts['name']} is not the one that the run was trained on: {len(text):,} characters "
            f"now and {_counted(facts.get('characters'))} then, and another digest; say with --corpus where "
            "that one is"
        )
    # It is the text of the run, wherever it was read from now.
    return dataclasses.replace(text, name=facts["name"], kind=facts["kind"], path=path_recorded(facts, text))


def path_recorded(facts: Mapping[str, Any], text: Corpus) -> str | None:
    """Return where a text was, by what is recorded of it, or else where it was read from now."""
    if facts["kind"] != "file":
        return None
    path = facts.get("path")
    return path if isinstance(path, str) else text.path


def _counted(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "an unknown number"


def _text_of_checkpoint(
    directory: RunDirectory, checkpoint: Checkpoint, given: str | Corpus | None
) -> Corpus:
    text = text_of(directory, checkpoint.metadata["corpus"], given)
    if text.vocabulary != checkpoint.vocabulary:
        raise CheckpointError(f"{directory.path} has a checkpoint whose vocabulary is not that of its text")
    return text


def _saved_best(directory: RunDirectory) -> Best | None:
    """Return the figures of the best state on disk.

    It may be ahead of the state that training goes on from, where a process was killed between saving both.
    """
    try:
        return read_checkpoint(directory.checkpoint_file("best")).snapshot.best
    except CheckpointError:
        return None
