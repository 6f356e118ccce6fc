"""The best passage: what the best state of a run writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from charrnn_core.errors import CheckpointError
from charrnn_core.rnn.sampler import Sampler
from charrnn_core.runs.checkpoint import KINDS, Checkpoint, read_checkpoint
from charrnn_core.runs.directory import RunDirectory

PASSAGE_LENGTH = 1000
"""Characters of a passage."""

PASSAGE_STREAM = 5
"""The spawn key of the random numbers of the passage of the state at update n is (5, n)."""


@dataclass(frozen=True)
class Passage:
    """A long text by one state of a run.

    Attributes
    ----------
    text : str
    update : int
        Of the state.
    kind : str
        Of its checkpoint: "best", or "last" or "previous" where there is no best one.
    """

    text: str
    update: int
    kind: str


def best_passage(directory: RunDirectory) -> Passage | None:
    """Return what the best state of a run writes at temperature 1; without one, its last state.

    The same state always writes the same passage. None where no checkpoint is whole.
    """
    for kind in ("best", *(kind for kind in KINDS if kind != "best")):
        try:
            checkpoint = read_checkpoint(directory.checkpoint_file(kind))
        except CheckpointError:
            continue  # `charrnn resume` and `charrnn sample` say what is wrong with one
        return Passage(_written(checkpoint), checkpoint.snapshot.update, kind)
    return None


def _written(checkpoint: Checkpoint) -> str:
    snapshot, vocabulary = checkpoint.snapshot, checkpoint.vocabulary
    stream = np.random.SeedSequence(snapshot.settings.seed, spawn_key=(PASSAGE_STREAM, snapshot.update))
    generator = np.random.default_rng(stream)
    sampler = Sampler.primed("", vocabulary, snapshot.parameters, generator, snapshot.h[0])
    return vocabulary.decode(list(sampler.codes(PASSAGE_LENGTH)))
