"""Lets the network of a run go on from a beginning, in the dashboard's own process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

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
    clock : callable
        Seconds on a clock that never goes back.

    Attributes
    ----------
    update : int
        Of the checkpoint.
    left : int
        Characters that are still to be written.

    Raises
    ------
    CheckpointError
        No checkpoint is whole.
    UnknownCharacterError
        The prime holds characters that the vocabulary does not have.
    """

    def __init__(
        self,
        directory: RunDirectory,
        prime: str,
        *,
        temperature: float,
        length: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        checkpoint, _ = newest_checkpoint(directory)
        self.update = checkpoint.snapshot.update
        self.left = length
        self._clock = clock
        self._vocabulary = checkpoint.vocabulary
        self._unread: Iterator[int] = iter(self._vocabulary.encode(prime).tolist())
        snapshot = checkpoint.snapshot
        self._sampler = Sampler(
            snapshot.parameters, np.random.default_rng(), snapshot.h[0], temperature=temperature
        )
        self._codes = self._sampler.codes(length)  # begins at the first character, after the prime is read

    def write(self, characters: int, seconds: float) -> str:
        """Return the next characters, at most so many, and about as many as this time is enough for.

        None while the prime is still being read: the screen does not wait for a long one, nor for a large
        network.
        """
        until = self._clock() + seconds
        for code in self._unread:
            self._sampler.feed((code,))
            if self._clock() >= until:
                return ""
        codes: list[int] = []
        while len(codes) < min(characters, self.left):
            codes.append(next(self._codes))
            if self._clock() >= until:
                break
        self.left -= len(codes)
        return self._vocabulary.decode(codes)
