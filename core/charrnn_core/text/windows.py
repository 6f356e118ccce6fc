"""Which window of the text each update trains on."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charrnn_core.errors import CorpusError

ChunkOrder = Literal["sequential", "shuffled", "random"]

CHUNKS_STREAM = 1
"""The first element of the spawn key of the random numbers that order chunks (0 is initialisation, ...)."""


MOST_CHUNKS = 1_000_000
"""An order of more chunks than this would take more memory than the text."""


@dataclass(frozen=True)
class Windows:
    """The windows of a training text, one an update, as a pure function of the update's number.

    The text is cut into B equal contiguous parts, the remainder dropped, and B streams walk through the parts
    side by side: all are at the same position of their own part. A part is cut into chunks, and h is zeros at
    a chunk's start. Nothing here has state, so a run that goes on at update n is where it would have been.

    Attributes
    ----------
    characters : int
        Length of the training text.
    batch_size, seq_length : int
        B and T. A window has T characters and needs one more, its last target.
    order : "sequential", "shuffled" or "random"
        One chunk as long as the part; or chunks of `chunk_length`, permuted anew each epoch; or as many
        chunks with a start drawn for each.
    chunk_length : int
        How many characters the windows of a chunk cover, at least T. Not used for "sequential".
    seed : int
        Epoch e draws from SeedSequence(seed, spawn_key=(1, e)).

    Raises
    ------
    CorpusError
        The text is too short for one window a stream.

    Examples
    --------
    >>> windows = Windows(characters=11, batch_size=2, seq_length=2)
    >>> windows.part, windows.per_epoch
    (5, 2)
    >>> positions, fresh = windows.at(0, 5)
    >>> positions.tolist(), fresh.tolist()
    ([0, 2, 0, 2, 0], [True, False, True, False, True])
    """

    characters: int
    batch_size: int
    seq_length: int
    order: ChunkOrder = "sequential"
    chunk_length: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        need = self.batch_size * (self.seq_length + 1)
        if self.characters < need:
            remedy = "--batch-size" if self.characters > self.seq_length else "--seq-length"
            raise CorpusError(
                f"the text to train on has {self.characters:,} characters, and --seq-length "
                f"{self.seq_length:,} with --batch-size {self.batch_size:,} needs at least {need:,}; "
                f"choose a smaller {remedy}"
            )
        if self.order != "sequential" and self.part // self.chunk_length > MOST_CHUNKS:
            raise CorpusError(
                f"--chunk-length {self.chunk_length:,} would cut this text into more than {MOST_CHUNKS:,} "
                f"chunks; choose a larger one"
            )

    @property
    def part(self) -> int:
        """Characters of each stream's part of the text."""
        return self.characters // self.batch_size

    @functools.cached_property
    def per_epoch(self) -> int:
        """Windows, and so updates, in one epoch: the same in every epoch."""
        return int(self._chunk_windows().sum())

    def epoch(self, update: int) -> float:
        """Return how many epochs `update` updates are."""
        return update / self.per_epoch

    def position(self, update: int) -> int:
        """Return the offset of the first character of an update's window, from 0, in every stream's part."""
        if self.order == "sequential":
            return update % self.per_epoch * self.seq_length
        positions, _ = self.at(update, 1)
        return int(positions[0])

    def at(self, first: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the windows of `count` updates, of which `first` (from 0) is the first.

        Returns
        -------
        positions : int64 array of shape (count,)
            Offset of each window's first character in every stream's part.
        fresh : bool array of shape (count,)
            Whether h is set to zeros before the window.
        """
        if self.order == "sequential":
            in_epoch = np.arange(first, first + count, dtype=np.int64) % self.per_epoch
            return in_epoch * self.seq_length, in_epoch == 0
        positions = np.empty(count, np.int64)
        fresh = np.empty(count, np.bool_)
        done = 0
        while done < count:
            epoch, index = divmod(first + done, self.per_epoch)
            take = min(count - done, self.per_epoch - index)
            wanted = np.arange(index, index + take)
            starts, before = self._epoch_chunks(epoch)
            chunk = np.searchsorted(before, wanted, side="right") - 1
            within = wanted - before[chunk]
            positions[done : done + take] = starts[chunk] + within * self.seq_length
            fresh[done : done + take] = within == 0
            done += take
        return positions, fresh

    def _chunk_starts(self) -> NDArray[np.int64]:
        """Return where the chunks begin that have a window at all, in the order of the text."""
        if self.order == "sequential":
            return np.zeros(1, np.int64)
        length = min(self.chunk_length, self.part - 1)
        return np.arange(0, self.part - self.seq_length, length, dtype=np.int64)

    def _chunk_windows(self) -> NDArray[np.int64]:
        """Return how many windows each chunk has.

        The last target of a chunk is the first character of the next, so that no transition of the text is
        left out where T divides the length of a chunk; else the rest of each chunk is.
        """
        starts = self._chunk_starts()
        length = self.part - 1 if self.order == "sequential" else min(self.chunk_length, self.part - 1)
        if self.order == "random":
            starts = np.zeros_like(starts)  # every drawn chunk is a whole one
        return np.minimum(length, self.part - 1 - starts) // self.seq_length

    @functools.lru_cache(maxsize=2)  # noqa: B019 - two small arrays a run, and an epoch is asked for thousands of times
    def _epoch_chunks(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return an epoch's chunks in its order: where each begins, and how many windows are before it."""
        starts, windows = self._chunk_starts(), self._chunk_windows()
        if self.order in ("shuffled", "random"):
            generator = np.random.default_rng(
                np.random.SeedSequence(self.seed, spawn_key=(CHUNKS_STREAM, epoch))
            )
            if self.order == "shuffled":
                permutation = generator.permutation(len(starts))
                starts, windows = starts[permutation], windows[permutation]
            else:
                length = min(self.chunk_length, self.part - 1)
                starts = generator.integers(0, self.part - length, size=len(starts))
        return starts, np.concatenate([[0], np.cumsum(windows)[:-1]]).astype(np.int64)
