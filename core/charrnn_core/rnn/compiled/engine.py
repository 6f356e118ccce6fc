"""The compiled engine, and the network that a gradient check sees of it."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import llvmlite.binding
import numpy as np
from numpy.typing import NDArray

from charrnn_core.errors import SettingsError
from charrnn_core.rnn.compiled.barrier import BARRIER_SIZE, GIVEN_UP
from charrnn_core.rnn.compiled.bucket import advance, forget_kept_code
from charrnn_core.rnn.compiled.compiling import compile_elsewhere
from charrnn_core.rnn.compiled.machine import VECTOR_BYTES
from charrnn_core.rnn.compiled.steps import ADAGRAD, ADAM, RMSPROP, Step
from charrnn_core.rnn.compiled.window import Memory, Sizes
from charrnn_core.rnn.engine import SMOOTHING, Engine, EngineName, FirstWindow
from charrnn_core.rnn.gradcheck.windows import CheckableNetwork
from charrnn_core.rnn.network import Indices, Network, Reduction
from charrnn_core.rnn.optimizers import OptimizerSettings, memory_names
from charrnn_core.rnn.parameters import Floats, Parameters, parameter_places
from charrnn_core.text.vocabulary import Codes
from charrnn_core.text.windows import Windows

_OPTIMIZERS = {"adagrad": ADAGRAD, "adam": ADAM, "rmsprop": RMSPROP}
_CACHE_LINE = 64  # bytes
_ready: set[np.dtype[Any]] = set()  # types for which this process has compiled code


class Workspace:
    """The memory of a network on windows of one size, and calls of compiled code on it.

    Parameters
    ----------
    parameters : Parameters
        Copied.
    seq_length, batch_size : int
        T and B.
    reduction : "sum" or "mean"
    optimizer : OptimizerSettings
    threads : int

    Attributes
    ----------
    parameters, gradients : Parameters
        In rows of whole vectors.
    memory : dict of str to Parameters
    H : array of shape (T + 1, B, m)
        A view; H[0] is h_0.
    summary : float64 array of shape (5,)
        Of the last call: smooth loss, norm of the last window's gradient, how many of its entries clipping
        would change, NaN unless all parameters are finite, and whether one of the reasons to stop was met.
    """

    def __init__(
        self,
        parameters: Parameters,
        seq_length: int,
        batch_size: int,
        reduction: Reduction,
        optimizer: OptimizerSettings,
        threads: int = 1,
    ) -> None:
        T, B, m, K = seq_length, batch_size, parameters.hidden, parameters.characters
        dtype = parameters.dtype
        lanes = VECTOR_BYTES // dtype.itemsize
        self.parameters = _padded(m, K, dtype, lanes)
        self.parameters.assign(parameters)
        self.gradients = _padded(m, K, dtype, lanes)
        self.memory = {name: _padded(m, K, dtype, lanes) for name in memory_names(optimizer.name)}
        row, row_K = self.parameters.row, self.parameters.row_K
        U, W, V, b, c, end = self.parameters.places
        self._sizes = Sizes(m, K, T, B, row, row_K, U, W, V, b, c, end, lanes)
        H = _aligned((T + 1) * B * row, dtype)
        self.H: Floats = H.reshape(T + 1, B, row)[:, :, :m]
        rows_m = -(-m // lanes) * lanes
        squares = self.memory["squares"].buffer
        self._memory = Memory(
            theta=self.parameters.buffer,
            gradient=self.gradients.buffer,
            squares=squares,
            mean=self.memory["mean"].buffer if "mean" in self.memory else squares,
            W_transposed=_aligned(rows_m * row, dtype),
            V_transposed=_aligned(rows_m * row_K, dtype),
            H=H,
            A=_aligned(T * B * row, dtype),
            O=_aligned(T * B * row_K, dtype),
            losses=np.zeros(T * B),
            used=np.zeros(K + 1, np.int64),
            seen=np.zeros(K, np.int64),
            barrier=_aligned(BARRIER_SIZE, np.dtype(np.int64)),
        )
        self._optimizer = optimizer
        self._step = _step_of(optimizer, dtype)
        self._scale = dtype.type(1 / (B * (T if reduction == "mean" else 1)))
        self.summary = np.zeros(5)
        self._constant: Floats = np.zeros(1, dtype)  # a learning rate
        self._threads = threads
        self._pool = _pool_of(threads - 1) if threads > 1 else None

    def advance(
        self,
        inputs: Indices,
        targets: Indices,
        fresh: NDArray[np.bool_],
        smooth_loss: float,
        *,
        update: int = 0,
        learning_rate: float = 0.0,
        stop_below: float | None = None,
        best: float = -math.inf,
        best_every: int = 1,
        learns: bool = True,
    ) -> NDArray[np.float64]:
        """Do updates on these windows, or only measure the first; return the losses, and set `summary`.

        Parameters
        ----------
        inputs, targets : intp arrays of shape (updates, T * B)
        fresh : bool array of shape (updates,)
        smooth_loss : float
        update : int
            How many updates were done before.
        learning_rate : float
        stop_below : float, optional
        best, best_every : float, int
            As of `Engine.advance`.
        learns : bool
            False: only loss and gradient of the first window.
        """
        losses = np.empty(len(fresh))
        self.summary[0] = smooth_loss
        arguments = (
            self._memory, self._sizes, self._step, inputs, targets, fresh,
            *self._rates(learning_rate, update, len(fresh)), self._scale, losses, self.summary, SMOOTHING,
            -math.inf if stop_below is None else stop_below, best, best_every, update, learns,
        )  # fmt: skip
        if self._pool is None:
            done = advance(*arguments, 0, 1)
        else:
            threads = self._threads
            try:
                others = [self._pool.submit(advance, *arguments, me, threads) for me in range(1, threads)]
                done = advance(*arguments, 0, threads)
            except BaseException:  # a signal, for example: those that have begun would wait for ever
                self._memory.barrier[GIVEN_UP] = 1
                raise
            for other in others:
                other.result()
        return losses[:done]

    def _rates(self, learning_rate: float, update: int, count: int) -> tuple[Floats, Floats]:
        """Return rate and correction of each of the updates after so many, as `take_step` has them."""
        settings, dtype = self._optimizer, self.parameters.dtype
        if settings.name != "adam":
            if len(self._constant) < count or self._constant[0] != dtype.type(learning_rate):
                self._constant = np.full(count, learning_rate, dtype)
            return self._constant[:count], self._constant[:count]
        number = np.arange(update + 1, update + count + 1, dtype=np.float64)
        rates = learning_rate / (1 - settings.beta1**number)
        return rates.astype(dtype), (1 / (1 - settings.beta2**number)).astype(dtype)


def _step_of(settings: OptimizerSettings, dtype: np.dtype[np.floating]) -> Step:
    square_decay = settings.beta2 if settings.name == "adam" else settings.decay
    real = dtype.type
    return Step(
        _OPTIMIZERS[settings.name],
        real(settings.epsilon),
        real(math.inf if settings.clip is None else settings.clip),
        real(settings.beta1),
        real(1 - settings.beta1),
        real(square_decay),
        real(1 - square_decay),
    )


class NumbaEngine(Engine):
    """Trains a network by compiled code; see `Engine`."""

    name: ClassVar[EngineName] = "numba"

    def __init__(
        self,
        parameters: Parameters,
        optimizer: OptimizerSettings,
        codes: Codes,
        windows: Windows,
        *,
        reduction: Reduction,
        threads: int = 1,
    ) -> None:
        super().__init__(parameters, optimizer, codes, windows, reduction=reduction, threads=threads)
        self._workspace = Workspace(
            parameters, windows.seq_length, windows.batch_size, reduction, optimizer, threads
        )
        self.parameters, self.memory = self._workspace.parameters, self._workspace.memory

    @staticmethod
    def network(
        parameters: Parameters, seq_length: int, batch_size: int, reduction: Reduction
    ) -> CheckableNetwork:
        """Return the compiled network; for complex numbers, which compiled code does not have, NumPy's."""
        if np.issubdtype(parameters.dtype, np.complexfloating):
            return Network(parameters, seq_length, batch_size, reduction)
        return CompiledNetwork(parameters, seq_length, batch_size, reduction)

    @property
    def compiler(self) -> str | None:
        """What has compiled it and for which processor."""
        version = ".".join(map(str, llvmlite.binding.llvm_version_info))
        return f"LLVM {version} for {llvmlite.binding.get_host_cpu_name()}"

    def is_ready(self, dtype: np.dtype[Any] | None = None) -> bool:
        """Return whether code for a type has been compiled in this process, or read from disk."""
        return (dtype or self.parameters.dtype) in _ready

    def preparing(self, dtype: np.dtype[Any] | None = None) -> Generator[None, None, None]:
        """Compile the code for a type, or read what was compiled before; see `Engine.preparing`.

        Compiling is left to a process of its own, which keeps the code on disk: LLVM does not look for
        signals, and here one would wait for seconds.
        """
        dtype = dtype or self.parameters.dtype
        yield from compile_elsewhere(dtype)
        load(dtype)

    @property
    def h(self) -> Floats:
        """h_0 of the next window, shape (B, m); a view."""
        first: Floats = self._workspace.H[0]
        return first

    @property
    def gradients(self) -> Parameters:
        """Of the last window, unclipped."""
        return self._workspace.gradients

    def is_finite(self) -> bool:
        """Return whether no parameter is NaN or infinite."""
        return not math.isnan(self._workspace.summary[3])

    def _norm_and_count(self) -> tuple[float, float]:
        _, norm, count, *_ = self._workspace.summary.tolist()
        return norm, count

    def begin(self) -> FirstWindow:
        """Measure the first window; see `Engine.begin`."""
        inputs, targets, fresh = self._gather(0, 1)
        losses = self._workspace.advance(inputs, targets, fresh, math.nan, learns=False)
        self.h[...] = 0
        self.smooth_loss = float(losses[0])
        return FirstWindow(self.smooth_loss, *self.gradient_figures())

    def advance(
        self,
        first: int,
        updates: int,
        stop_below: float | None = None,
        *,
        best: float = -math.inf,
        best_every: int = 1,
    ) -> NDArray[np.float64]:
        """Do updates; see `Engine.advance`."""
        parts, done = [], 0
        while done < updates:
            inputs, targets, fresh = self._gather(first + done, updates - done)
            losses = self._workspace.advance(
                inputs,
                targets,
                fresh,
                self.smooth_loss,
                update=first + done,
                learning_rate=self.learning_rate,
                stop_below=stop_below,
                best=best,
                best_every=best_every,
            )
            self.smooth_loss = float(self._workspace.summary[0])
            parts.append(losses)
            done += len(losses)
            if self._workspace.summary[4]:
                break
        return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0)])


def load(dtype: np.dtype[Any]) -> bool:
    """Read the code for a type from disk, or compile it; return whether it is kept there, if it can be."""
    is_kept = True
    smallest, character = CompiledNetwork(Parameters(1, 2, dtype), 1), np.zeros(1, np.intp)
    try:
        smallest.forward(character, character)
    except OSError:
        smallest.forward(character, character)  # compiled, only a full disk could not keep it
        is_kept = False
    except Exception:
        # Numba unpickles what it has kept, and damaged that raises anything; other faults come again.
        if not forget_kept_code():
            raise
        smallest.forward(character, character)
    _ready.add(dtype)
    return is_kept


class CompiledNetwork:
    """The compiled engine's forward and backward pass, as a gradient check uses a `Network`.

    Parameters
    ----------
    parameters : Parameters
        Read at each call.
    seq_length, batch_size : int
    reduction : "sum" or "mean"
    """

    def __init__(
        self, parameters: Parameters, seq_length: int, batch_size: int = 1, reduction: Reduction = "sum"
    ) -> None:
        self.parameters = parameters
        self._workspace = Workspace(
            parameters, seq_length, batch_size, reduction, OptimizerSettings("adagrad", 0.0)
        )
        self.H = self._workspace.H
        self.gradients = Parameters(parameters.hidden, parameters.characters, parameters.dtype)

    def forward(self, inputs: Indices, targets: Indices) -> float:
        """Return L of a window for H[0] as it stands; fills in H[1:] and the gradient of L."""
        self._workspace.parameters.assign(self.parameters)
        losses = self._workspace.advance(
            inputs[None], targets[None], np.zeros(1, np.bool_), math.nan, learns=False
        )
        return float(losses[0])

    def backward(self) -> None:
        """Fill in `gradients` for the window that `forward` has seen last."""
        self.gradients.assign(self._workspace.gradients)


def _pool_of(threads: int) -> ThreadPoolExecutor:
    """Return a pool whose threads have all been started: one that misses later would be waited for."""
    pool, together = ThreadPoolExecutor(threads), threading.Barrier(threads + 1)
    try:
        for _ in range(threads):
            pool.submit(together.wait)
        together.wait()
    except BaseException as error:
        together.abort()
        if isinstance(error, RuntimeError):
            raise SettingsError(f"--threads {threads + 1} is not possible here: {error}") from None
        raise
    return pool


def _padded(m: int, K: int, dtype: np.dtype[np.floating], lanes: int) -> Parameters:
    return Parameters(m, K, dtype, _aligned(parameter_places(m, K, lanes)[-1], dtype), lanes)


def _aligned(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros that begin at the beginning of a line of the cache, so that no vector lies across two."""
    memory = np.zeros(size + _CACHE_LINE // dtype.itemsize, dtype)
    start = -memory.ctypes.data % _CACHE_LINE // dtype.itemsize
    return memory[start : start + size]
