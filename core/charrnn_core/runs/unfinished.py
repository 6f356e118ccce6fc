"""Which run a study goes on with."""

from __future__ import annotations

from pathlib import Path

from charrnn_core.errors import CharRNNError, RunDirectoryError, SettingsError
from charrnn_core.runs.directory import RunDirectory, list_runs
from charrnn_core.runs.history import History
from charrnn_core.runs.starting import load
from charrnn_core.text.corpus import Corpus
from charrnn_core.training.settings import Settings
from charrnn_core.training.trainer import Trainer


def find_unfinished(
    runs: Path, settings: Settings, corpus: Corpus, name: str | None = None
) -> tuple[RunDirectory, Trainer] | None:
    """Return the newest run that an uninterrupted one with these settings and this text would go through.

    It is not being trained, has not diverged, its learning rate and its stops are those that it began with,
    and training or the report of its study is left to be done. A run that is named may have nothing left.

    Parameters
    ----------
    runs : Path
        The directory that holds runs.
    settings : Settings
    corpus : Corpus
    name : str, optional
        The only run to look at.

    Returns
    -------
    directory : RunDirectory
    trainer : Trainer
        As its newest checkpoint left it, to look at.
    """
    for directory in _of_study(runs, settings, corpus, name):
        if directory.is_locked():
            continue
        try:
            history = History.read(directory.events_file)
            if has_diverged(history):
                continue
            if any(rate != settings.learning_rate for _, rate in history.learning_rates()):
                continue
            trainer, _ = load(directory, corpus=corpus)
        except CharRNNError:
            continue  # there is nothing to go on from
        is_left = directory.lacks_report or not trainer.finished
        if trainer.settings == settings and (is_left or name is not None):
            return directory, trainer
    return None


def has_diverged(history: History) -> bool:
    """Return whether a run diverged, and nobody has gone on with it since."""
    return history.ended is not None and history.ended.get("reason") == "diverged"


def _of_study(runs: Path, settings: Settings, corpus: Corpus, name: str | None) -> list[RunDirectory]:
    """Return the runs that began with these settings and this text, the newest first.

    Only their configurations are read: there may be many runs.
    """
    dated = []
    for directory in list_runs(runs):
        if name is not None and directory.name != name:
            continue
        try:
            config = directory.config()
            if config["corpus"].get("sha256") != corpus.sha256:
                continue
            began_with = Settings.from_json(config["settings"])
        except (RunDirectoryError, SettingsError, TypeError):
            continue  # not a run, or one of another version
        if began_with == settings:
            dated.append((str(config.get("created", "")), directory.name, directory))
    return [directory for _, _, directory in sorted(dated, key=lambda entry: entry[:2], reverse=True)]
