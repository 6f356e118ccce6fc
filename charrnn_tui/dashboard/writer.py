"""Lets the network of a run go on from a beginning, in the dashboard's own process."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from charrnn_core.rnn.sampler import Sampler
from charrnn_core.runs.checkpoint import newest_checkpoint
from charrnn_core.runs.directory import RunDirectory


class Writer:
    """Writes after a prime with the newest checkpoint of a run; training is not asked and not touched.

    Parameters
    ----------
    directory : RunDirectory
    prime : str
    temperature : float
    length : int
        Characters to write.

    Attributes
    ----------
    update : int
        Of the checkpoint.

    Raises
    ------
    CheckpointError
        No checkpoint is whole.
    UnknownCharacterError
        The prime holds characters that the vocabulary does not have.
    """

    def __init__(self, directory: RunDirectory, prime: str, *, temperature: float, length: int) -> None:
        checkpoint, _ = newest_checkpoint(directory)
        self.update = checkpoint.snapshot.update
        self._vocabulary = checkpoint.vocabulary
        sampler = Sampler(checkpoint.snapshot.parameters, np.random.default_rng(), temperature=temperature)
        sampler.feed(self._vocabulary.encode(prime).tolist())
        self._codes: Iterator[int] = sampler.codes(length)

    def write(self, characters: int) -> str:
        """Return the next characters, fewer at the end."""
        return self._vocabulary.decode(list(islice(self._codes, characters)))
