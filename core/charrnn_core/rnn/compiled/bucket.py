"""Many updates at once: the function by which compiled training is called, compiled once and kept on disk."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from charrnn_core.rnn.compiled.barrier import wait_for_others
from charrnn_core.rnn.compiled.machine import VECTOR_BYTES, at, compiled, pointer, share
from charrnn_core.rnn.compiled.steps import ADAGRAD, Step, take_step
from charrnn_core.rnn.compiled.window import (
    Memory,
    Sizes,
    backward,
    clear,
    copy,
    forward,
    refresh_transposed,
)


@compiled(once=True)
def _learn(
    memory: Memory, sizes: Sizes, step: Step, rate: Any, correction: Any, me: int, threads: int
) -> None:
    """Take the step of an update, and make ready what the next window needs; a share of it."""
    lanes, start = sizes.lanes, sizes.U
    if step.optimizer == ADAGRAD:  # where a gradient is zero, nothing changes
        start = sizes.W
        first, last = share(sizes.row // lanes, me, threads)
        for place in range(memory.used[0]):
            row = sizes.U + memory.used[1 + place] * sizes.row
            take_step(step, memory, rate, correction, row + first * lanes, row + last * lanes)
    first, last = share((sizes.end - start) // lanes, me, threads)
    take_step(step, memory, rate, correction, start + first * lanes, start + last * lanes)
    wait_for_others(memory.barrier, threads)
    refresh_transposed(memory, sizes, me, threads)
    H, carried = memory.H, sizes.B * sizes.row
    first, last = share(carried // lanes, me, threads)
    copy(at(H, first * lanes), at(H, sizes.T * carried + first * lanes), (last - first) * lanes)
    wait_for_others(memory.barrier, threads)


def _digest() -> str:
    """Return a digest of all that is compiled, and for which vectors."""
    digest = hashlib.sha256(str(VECTOR_BYTES).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _made(source: str) -> Callable[..., int]:
    """Return the function, compiled for the types that it is called with.

    Code that was kept on disk is used again where `source` is the same: by itself Numba would look for
    changes in this file alone.
    """

    def advance(
        arrays: Memory, sizes: Sizes, step: Step, inputs: Any, targets: Any, fresh: Any, rates: Any,
        corrections: Any, scale: Any, losses: Any, summary: Any, smoothing: float, limit: float,
        best: float, best_every: int, update: int, learns: bool, me: int, threads: int,
    ) -> int:  # fmt: skip
        source  # noqa: B018 - part of what the kept code is found by
        memory = Memory(
            pointer(arrays.theta), pointer(arrays.gradient), pointer(arrays.squares), pointer(arrays.mean),
            pointer(arrays.W_transposed), pointer(arrays.V_transposed), pointer(arrays.H), pointer(arrays.A),
            pointer(arrays.O), pointer(arrays.losses), pointer(arrays.used), pointer(arrays.seen),
            pointer(arrays.barrier),
        )  # fmt: skip
        average = summary[0]
        refresh_transposed(memory, sizes, me, threads)
        wait_for_others(memory.barrier, threads)
        done, ended = 0, False
        for n in range(len(fresh)):
            offset = n * sizes.T * sizes.B
            x, y = at(pointer(inputs), offset), at(pointer(targets), offset)
            if fresh[n]:
                if me == 0:
                    clear(memory.H, sizes.B * sizes.row)
                wait_for_others(memory.barrier, threads)
            loss = forward(memory, sizes, x, y, scale, me, threads)
            losses[n] = loss
            done += 1
            if not -math.inf < loss < math.inf:
                ended = True
                break
            backward(memory, sizes, x, me, threads)
            if not learns:
                break
            _learn(memory, sizes, step, rates[n], corrections[n], me, threads)
            average = smoothing * average + (1.0 - smoothing) * loss
            if average < limit or (average < best and (update + done) % best_every == 0):
                ended = True
                break
        wait_for_others(memory.barrier, threads)
        if me == 0:
            summary[0] = average
            summary[1] = math.sqrt(_sum_of_squares(memory.gradient, sizes.end))
            summary[2] = _count_beyond(memory.gradient, step.limit, sizes.end)
            summary[3] = _total_of_zeros(memory.theta, sizes.end)
            summary[4] = ended
        return done

    options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
    compiled_function: Callable[..., int]
    try:
        compiled_function = njit(fastmath={"contract"}, cache=True, **options)(advance)
    except RuntimeError:  # there is no directory to keep code in, beside this file or in the user's home
        compiled_function = njit(fastmath={"contract"}, **options)(advance)
    return compiled_function


def forget_kept_code() -> bool:
    """Remove compiled code that cannot be read from the disk, and return whether there was any.

    What is called next is compiled again, and the marks that say that code is kept are removed with it.

    Raises
    ------
    OSError
        It cannot be removed.
    """
    folder = kept_code_folder()
    kept = kept_files()
    marks = [] if folder is None else list(folder.glob("*.kept"))
    for path in (*marks, *kept):
        path.unlink(missing_ok=True)
    return bool(kept)


def kept_files() -> list[Path]:
    """Return the files with compiled code that are kept."""
    folder = kept_code_folder()
    return [] if folder is None else sorted(folder.glob(f"{Path(__file__).stem}.*.nb[ci]"))


def kept_code_folder() -> Path | None:
    """Return the directory in which compiled code is kept; None where there is no place for it."""
    dispatcher: Any = advance
    folder = dispatcher.stats.cache_path
    return None if folder is None else Path(folder)


@compiled(sums=True)
def _total_of_zeros(numbers: Any, count: int) -> float:
    total = 0.0
    for i in range(count):
        total += numbers[i] * 0.0  # NaN for what is not finite
    return total


@compiled(sums=True)
def _sum_of_squares(numbers: Any, count: int) -> float:
    total = 0.0
    for i in range(count):
        number = np.float64(numbers[i])  # in float32 the squares overflow first
        total += number * number
    return total


@compiled(sums=True)
def _count_beyond(numbers: Any, limit: Any, count: int) -> int:
    beyond = 0
    for i in range(count):
        beyond += abs(numbers[i]) > limit
    return beyond


SOURCE_DIGEST = _digest()
"""Identity of the compiled functions' source."""

advance = _made(SOURCE_DIGEST)
"""Do updates, and return how many losses there are; the last may not be finite, and is then not applied.

Parameters
----------
arrays : Memory
    Arrays.
sizes : Sizes
step : Step
inputs, targets : intp arrays of shape (updates, T * B)
    Time first.
fresh : bool array of shape (updates,)
    Whether h begins with zeros.
rates, corrections : arrays of shape (updates,)
    As of `take_step`, for each update.
scale : real
    1 / B, or 1 / (B T) for the mean over characters.
losses : float64 array of shape (updates,)
    Filled in.
summary : float64 array of shape (5,)
    The smooth loss, before and after. Filled in: the norm of the last window's gradient, how many entries of
    that clipping would change, zero if all parameters are finite, else NaN, and 1 if training is to end or
    to be looked at here, perhaps before the last of these updates, else 0.
smoothing : float
    Of the smooth loss.
limit : float
    Stop after an update that leaves the smooth loss below this.
best : float
best_every, update : int
    Stop also after an update whose number, counted on from `update`, is a multiple of `best_every`, where the
    smooth loss is below `best`.
learns : bool
    False: only loss and gradient of the first window.
me, threads : int
    All threads call it with the same arguments but `me`.
"""
