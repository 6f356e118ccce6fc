"""The end of a run whose last line a crash has swallowed."""

from __future__ import annotations

import os

from charrnn_core.runs.checkpoint import newest_checkpoint
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.log import EventLog
from charrnn_core.runs.starting import load
from charrnn_core.text.corpus import Corpus
from charrnn_core.training.events import Ended


def conclude(directory: RunDirectory, corpus: Corpus) -> Ended:
    """Write into the log of a run that has nothing left to do how it ended, and return that.

    The last checkpoint is saved before the last line is written: a crash in between leaves a run that cannot
    go on, and does not say why. One that was stopped by a command or a signal, but later than it is now to be
    trained, has done all its updates.

    Raises
    ------
    RunTakenError
        Another process trains it.
    CharRNNError
        As `load`.
    OSError
        The log cannot be written.
    """
    lock = directory.lock()
    try:
        trainer, _ = load(directory, corpus=corpus)
        checkpoint, _ = newest_checkpoint(directory)
        ended = Ended(
            update=trainer.update,
            time=trainer.seconds,
            reason=trainer.reached or "updates",
            epoch=trainer.epoch,
            smooth_loss=trainer.engine.smooth_loss,
            best_loss=trainer.best.loss if trainer.best else None,
            best_update=trainer.best.update if trainer.best else None,
            state_sha256=checkpoint.state_sha256,
        )
        log = EventLog(directory.events_file)
        try:
            refused = log.append(ended)
            if refused is not None:
                raise refused
            log.sync()
        finally:
            log.close()
        return ended
    finally:
        os.close(lock)
