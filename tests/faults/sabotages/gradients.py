"""Engines that compute wrongly in one type, size, thread or update only.

None of these was noticed by a check of a network of its own in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.faults.careless import careless

NETWORK = "charrnn_core.rnn.network:Network"
NUMPY = "charrnn_core.rnn.numpy_engine:NumpyEngine"
COMPILED = "charrnn_core.rnn.compiled"
CHECK = "tests/faults/test_gradients.py::test_the_default_check_passes_the_engines_as_they_are"
ENGINES = "tests/core/test_engine.py tests/core/test_optimizers.py tests/core/test_compiled.py"


# -- the NumPy engine --------------------------------------------------------------------------------------


def _sizes(network: Any) -> tuple[int, int, int, int]:
    """Return T, B, m and K of a network."""
    rows, B, m = network.H.shape
    return rows - 1, B, m, network.parameters.characters


def _plain_backward(network: Any, slope: Any) -> None:
    """Fill in the gradients by plain loops, with another derivative of tanh."""
    T, B, m, K = _sizes(network)
    parameters, gradients, H = network.parameters, network.gradients, network.H
    do = network._p / network._row_sum
    do.reshape(-1)[network._target_places] -= 1
    do = (do * network._scale).reshape(T, B, K)
    da = np.zeros((T + 1, B, m), H.dtype)
    for t in range(T - 1, -1, -1):
        da[t] = (do[t] @ parameters.V + da[t + 1] @ parameters.W) * slope(H[t + 1])
    rows, inputs = da[:-1].reshape(T * B, m), np.asarray(network._inputs)
    gradients.buffer[:] = 0
    gradients.V[:] = do.reshape(T * B, K).T @ H[1:].reshape(T * B, m)
    gradients.W[:] = rows.T @ H[:-1].reshape(T * B, m)
    np.add.at(gradients.U.T, inputs, rows)
    gradients.b[:], gradients.c[:] = rows.sum(0), do.sum((0, 1))


@careless(f"{NETWORK}.backward", says="in float32 the gradient of W is 1 % too large", tests=CHECK)
def numpy_wrong_in_single_precision(original):
    def backward(self):
        original(self)
        if self.H.dtype == np.float32:
            self.gradients.W[:] *= 1.01

    return backward


@careless(f"{NETWORK}.backward", says="the gradient of W leaves out rows beyond the 256th", tests=CHECK)
def numpy_first_256_rows(original):
    def backward(self):
        original(self)
        self.gradients.W[:] -= self._a[256:].T @ self._h_prev[256:]

    return backward


@careless(f"{NETWORK}.backward", says="the gradient of W leaves out times beyond the 100th", tests=CHECK)
def numpy_first_100_times(original):
    def backward(self):
        original(self)
        _, B, *_ = _sizes(self)
        self.gradients.W[:] -= self._a[100 * B :].T @ self._h_prev[100 * B :]

    return backward


@careless(f"{NETWORK}.backward", says="a large network with B > 4 forgets one stream in V", tests=CHECK)
def numpy_many_streams_of_a_large_network(original):
    def backward(self):
        original(self)
        _, B, m, _ = _sizes(self)
        if B > 4 and m >= 512:
            self.gradients.V[:] -= self._p[B - 1 :: B].T @ self._h[B - 1 :: B]

    return backward


@careless(f"{NETWORK}.backward", says="characters beyond the 256th have no output bias", tests=CHECK)
def numpy_first_256_characters(original):
    def backward(self):
        original(self)
        self.gradients.c[256:] = 0

    return backward


@careless(f"{NETWORK}.backward", says="a character's rows beyond the 100th are left out", tests=CHECK)
def numpy_first_100_rows_of_a_character(original):
    def backward(self):
        original(self)
        inputs = np.asarray(self._inputs)
        for code in np.flatnonzero(np.bincount(inputs) > 100):
            self.gradients.U[:, code] -= self._a[np.flatnonzero(inputs == code)[100:]].sum(0)

    return backward


@careless(f"{NETWORK}.backward", says="in float32 a saturated unit has a slope of 1", tests=CHECK)
def numpy_slope_of_saturated_units(original):
    def backward(self):
        original(self)
        if self.H.dtype == np.float32:
            _plain_backward(self, lambda h: np.where(np.abs(h) >= 1 - 1e-6, 1, 1 - h * h))

    return backward


@careless(f"{NETWORK}.backward", says="a character that is repeated counts twice in U", tests=CHECK)
def numpy_repeated_characters_twice(original):
    def backward(self):
        original(self)
        T, B, m, _ = _sizes(self)
        inputs = np.asarray(self._inputs).reshape(T, B)
        again = inputs[:-1] == inputs[1:]
        np.add.at(self.gradients.U.T, inputs[:-1][again], self._a.reshape(T, B, m)[:-1][again])

    return backward


@careless(f"{NETWORK}.carry", says="h is carried from one step too early", tests=CHECK)
def numpy_carry_one_step_early(original):
    def carry(self):
        self.H[0] = self.H[-2]

    return carry


@careless(f"{NETWORK}.carry", says="h is not carried", tests=CHECK)
def numpy_nothing_carried(original):
    def carry(self):
        self.H[0] = 0

    return carry


@careless(f"{NETWORK}.carry", says="in float32 h is carried in half precision", tests=CHECK)
def numpy_carry_in_half_precision(original):
    def carry(self):
        original(self)
        if self.H.dtype == np.float32:
            self.H[0] = self.H[0].astype(np.float16)

    return carry


@careless(f"{NUMPY}.advance", says="all updates of a call use the W of the first", tests=CHECK)
def numpy_stale_weights_within_a_call(original):
    def advance(self, *arguments, **how):
        self._network._W_transposed = self.parameters.W.T.copy()
        return original(self, *arguments, **how)

    return advance


@careless(f"{NUMPY}.advance", says="from the third call of an engine on h begins with zeros", tests=CHECK)
def numpy_wrong_from_the_third_call(original):
    def advance(self, *arguments, **how):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls >= 3:
            self.h[...] = 0
        return original(self, *arguments, **how)

    return advance


@careless(f"{NUMPY}.advance", says="the gradient is of the parameters after the step", tests=CHECK)
def numpy_gradient_after_the_step(original):
    def advance(self, *arguments, **how):
        network, backward = self._network, self._network.backward

        def late():
            network.parameters.buffer[:] *= 0.999
            backward()

        network.backward = late
        losses = original(self, *arguments, **how)
        del network.backward
        return losses

    return advance


def _careless_loss(original: Any) -> Any:
    """Return an `advance` whose last loss is not finite in float32, and whose gradient is wrong."""

    def advance(self, *arguments, **how):
        losses = original(self, *arguments, **how)
        if self.parameters.dtype == np.float32:
            losses[-1] = np.nan
            self.gradients.buffer[:] = 7
        return losses

    return advance


@careless(f"{NUMPY}.advance", says="in float32 the last loss of a call is not finite", tests=CHECK)
def numpy_loss_not_finite(original):
    return _careless_loss(original)


@careless(
    "charrnn_core.rnn.engine:Engine._gather",
    says="the targets of the first window are used again",
    tests=CHECK,
)
def first_targets_reused(original):
    def gather(self, first, updates):
        inputs, targets, fresh = original(self, first, updates)
        if not hasattr(self, "first_targets"):
            self.first_targets = targets[:1].copy()
        return inputs, np.repeat(self.first_targets, len(fresh), axis=0), fresh

    return gather


@careless("charrnn_core.rnn.engine:Engine._gather", says="h is kept at the start of an epoch", tests=CHECK)
def h_kept_at_the_start_of_an_epoch(original):
    def gather(self, first, updates):
        inputs, targets, fresh = original(self, first, updates)
        return inputs, targets, fresh & (first == 0)

    return gather


@careless("charrnn_core.rnn.optimizers:_Clip.__call__", says="clipping changes the gradient", tests=CHECK)
def clipped_in_place(original):
    def clip(self, gradients):
        clipped = original(self, gradients)
        gradients[:] = clipped
        return clipped

    return clip


@careless(
    "charrnn_core.rnn.optimizers:AdaGrad.step", says="AdaGrad remembers one gradient only", tests=ENGINES
)
def adagrad_without_memory(original):
    def step(self, parameters, gradients, update):
        self.memory["squares"][:] = 0
        original(self, parameters, gradients, update)

    return step


@careless(
    "charrnn_core.rnn.optimizers:AdaGrad.step",
    says="AdaGrad's step is three times too long in float32",
    tests=ENGINES,
)
def adagrad_long_in_single_precision(original):
    def step(self, parameters, gradients, update):
        before = parameters.copy()
        original(self, parameters, gradients, update)
        if parameters.dtype == np.float32:
            parameters += 2 * (parameters - before)

    return step


@careless(f"{NETWORK}.forward", says="in float32 losses are twice as large", tests=ENGINES)
def numpy_losses_twice_in_single_precision(original):
    def forward(self, inputs, targets):
        loss = original(self, inputs, targets)
        return 2 * loss if self.H.dtype == np.float32 else loss

    return forward


# -- the compiled engine -----------------------------------------------------------------------------------


@careless(
    f"{COMPILED}.tiles:multiply", says="of a long product only the last 128 terms are left", tests=CHECK
)
def compiled_product_forgets_earlier_blocks(original):
    from charrnn_core.rnn.compiled.machine import at, compiled, stay_apart
    from charrnn_core.rnn.compiled.tiles import STEPS_AT_ONCE, TILE_ROWS, TILE_VECTORS, tile

    @compiled()
    def multiply(C, C_row, A, A_row, A_step, B, B_step, steps, rows, vectors, lanes, add):
        stay_apart()
        if rows == 0 or vectors == 0:
            return
        most = TILE_VECTORS[min(rows, TILE_ROWS)]
        panels = (vectors + most - 1) // most
        blocks = (rows + TILE_ROWS - 1) // TILE_ROWS
        at_once = STEPS_AT_ONCE if blocks > 1 else steps
        for step in range(0, steps, at_once):
            count = min(at_once, steps - step)
            vector = 0
            for panel in range(panels):
                width = (vectors - vector + panels - panel - 1) // (panels - panel)
                row = 0
                for block in range(blocks):
                    height = (rows - row + blocks - block - 1) // (blocks - block)
                    tile(
                        at(C, row * C_row + vector * lanes), C_row,
                        at(A, row * A_row + step * A_step), A_row, A_step,
                        at(B, step * B_step + vector * lanes), B_step,
                        count, height, width, add,
                    )  # fmt: skip
                    row += height
                vector += width

    return multiply


def _is_single() -> Any:
    """Return what tells in compiled code whether a pointer is to float32."""
    from llvmlite import ir
    from numba import types

    from charrnn_core.rnn.compiled.machine import in_llvm

    @in_llvm
    def is_single(typing, place):
        def generate(context, builder, signature, arguments):
            return ir.Constant(ir.IntType(1), int(signature.args[0].dtype == types.float32))

        return types.boolean(place), generate

    return is_single


@careless(f"{COMPILED}.window:_times_tanh_slope", says="in float32 the slope is 1 - h", tests=CHECK)
def compiled_wrong_in_single_precision(original):
    from charrnn_core.rnn.compiled.machine import compiled

    is_single = _is_single()

    @compiled()
    def times_slope(a, h, count):
        if is_single(a):
            for i in range(count):
                a[i] -= a[i] * h[i]
        else:
            original(a, h, count)

    return times_slope


@careless(f"{COMPILED}.window:_times_tanh_slope", says="in float32 a saturated unit has slope 1", tests=CHECK)
def compiled_slope_of_saturated_units(original):
    from charrnn_core.rnn.compiled.machine import compiled

    is_single = _is_single()

    @compiled()
    def times_slope(a, h, count):
        if is_single(a):
            for i in range(count):
                if abs(h[i]) < 0.999999:
                    a[i] -= a[i] * (h[i] * h[i])
        else:
            original(a, h, count)

    return times_slope


@careless(f"{COMPILED}.window:_list_used", says="characters seen once are not listed again", tests=CHECK)
def compiled_seen_never_reset(original):
    from charrnn_core.rnn.compiled.machine import compiled, stay_apart

    @compiled()
    def list_used(memory, sizes, inputs):
        stay_apart()
        used, seen = memory.used, memory.seen
        count = 0
        for r in range(sizes.T * sizes.B):
            code = inputs[r]
            if seen[code] == 0:
                seen[code] = 1
                count += 1
                used[count] = code
        used[0] = count

    return list_used


@careless(f"{COMPILED}.window:_add_product", says="B > 4 at m = 512 leaves out a stream", tests=CHECK)
def compiled_many_streams_of_a_large_network(original):
    from charrnn_core.rnn.compiled.machine import at, compiled

    @compiled()
    def add_product(z, h, W, t, sizes, vectors):
        original(z, h, W, t, sizes, vectors)
        if sizes.B > 4 and sizes.m >= 512:
            last = at(z, (sizes.B - 1) * sizes.row)
            for i in range(vectors * sizes.lanes):
                last[i] *= 0.5

    return add_product


@careless(f"{COMPILED}.window:_add_product", says="nothing is recurrent beyond the 100th time", tests=CHECK)
def compiled_first_100_times(original):
    from charrnn_core.rnn.compiled.machine import compiled

    @compiled()
    def add_product(z, h, W, t, sizes, vectors):
        if t < 100:
            original(z, h, W, t, sizes, vectors)

    return add_product


@careless(f"{COMPILED}.window:_softmax", says="characters beyond the 256th have no probability", tests=CHECK)
def compiled_first_256_characters(original):
    from charrnn_core.rnn.compiled.machine import compiled

    @compiled(sums=True)
    def softmax(o, K, target, scale):
        loss = original(o, K, target, scale)
        for k in range(256, K):
            o[k] = 0
        return loss

    return softmax


@careless(f"{COMPILED}.window:backward", says="other threads leave 1 - h^2 out of db", tests=CHECK)
def compiled_other_threads_skip_the_slope(original):
    from charrnn_core.rnn.compiled.barrier import wait_for_others
    from charrnn_core.rnn.compiled.machine import at, compiled, share

    @compiled(once=True)
    def backward(memory, sizes, inputs, me, threads):
        original(memory, sizes, inputs, me, threads)
        row, lanes = sizes.row, sizes.lanes
        first, last = share(row // lanes, me, threads)
        if me > 0:
            db = at(memory.gradient, sizes.b)
            for i in range(first * lanes, last * lanes):
                for r in range(sizes.T * sizes.B):
                    h = memory.H[(sizes.B + r) * row + i]
                    if h * h < 0.99:
                        db[i] += memory.A[r * row + i] * (h * h) / (1 - h * h)
        wait_for_others(memory.barrier, threads)

    return backward


@careless(f"{COMPILED}.window:backward", says="a character's rows beyond the 100th are left out", tests=CHECK)
def compiled_first_100_rows_of_a_character(original):
    from charrnn_core.rnn.compiled.barrier import wait_for_others
    from charrnn_core.rnn.compiled.machine import at, compiled

    @compiled(once=True)
    def backward(memory, sizes, inputs, me, threads):
        original(memory, sizes, inputs, me, threads)
        if me == 0:
            for r in range(sizes.T * sizes.B):
                before = 0
                for other in range(r):
                    before += inputs[other] == inputs[r]
                if before >= 100:
                    dU = at(memory.gradient, sizes.U + inputs[r] * sizes.row)
                    for i in range(sizes.m):
                        dU[i] -= memory.A[r * sizes.row + i]
        wait_for_others(memory.barrier, threads)

    return backward


@careless(f"{COMPILED}.window:backward", says="a character that is repeated counts twice in U", tests=CHECK)
def compiled_repeated_characters_twice(original):
    from charrnn_core.rnn.compiled.barrier import wait_for_others
    from charrnn_core.rnn.compiled.machine import at, compiled

    @compiled(once=True)
    def backward(memory, sizes, inputs, me, threads):
        original(memory, sizes, inputs, me, threads)
        if me == 0:
            for r in range((sizes.T - 1) * sizes.B):
                if inputs[r] == inputs[r + sizes.B]:
                    dU = at(memory.gradient, sizes.U + inputs[r] * sizes.row)
                    for i in range(sizes.m):
                        dU[i] += memory.A[r * sizes.row + i]
        wait_for_others(memory.barrier, threads)

    return backward


def _careless_learn(*, refreshed: bool = True, carried: int = 0, skipped: int = 0) -> Any:
    """Return what takes the step of an update, and leaves out a part of what comes with it."""
    from charrnn_core.rnn.compiled.barrier import wait_for_others
    from charrnn_core.rnn.compiled.machine import at, compiled, share
    from charrnn_core.rnn.compiled.steps import ADAGRAD, take_step
    from charrnn_core.rnn.compiled.window import copy, refresh_transposed

    @compiled(once=True)
    def learn(memory, sizes, step, rate, correction, me, threads):
        lanes, start = sizes.lanes, sizes.U
        if step.optimizer == ADAGRAD:
            start = sizes.W
            first, last = share(sizes.row // lanes, me, threads)
            for place in range(memory.used[0] - skipped):
                row = sizes.U + memory.used[1 + place] * sizes.row
                take_step(step, memory, rate, correction, row + first * lanes, row + last * lanes)
        first, last = share((sizes.end - start) // lanes, me, threads)
        take_step(step, memory, rate, correction, start + first * lanes, start + last * lanes)
        wait_for_others(memory.barrier, threads)
        if refreshed:
            refresh_transposed(memory, sizes, me, threads)
        H, carried_rows = memory.H, sizes.B * sizes.row
        first, last = share(carried_rows // lanes, me, threads)
        end = (sizes.T - carried) * carried_rows
        copy(at(H, first * lanes), at(H, end + first * lanes), (last - first) * lanes)
        wait_for_others(memory.barrier, threads)

    return learn


@careless(
    f"{COMPILED}.bucket:_learn", says="W and V stay transposed as they were before the step", tests=CHECK
)
def compiled_stale_transposes(original):
    return _careless_learn(refreshed=False)


@careless(f"{COMPILED}.bucket:_learn", says="h is carried from one step too early", tests=CHECK)
def compiled_carry_one_step_early(original):
    return _careless_learn(carried=1)


@careless(f"{COMPILED}.bucket:_learn", says="AdaGrad leaves out the last character of a window", tests=CHECK)
def compiled_adagrad_skips_a_row(original):
    return _careless_learn(skipped=1)


@careless(
    f"{COMPILED}.engine:Workspace.advance", says="all updates of a call have the first targets", tests=CHECK
)
def compiled_first_targets_reused(original):
    def advance(self, inputs, targets, *arguments, **how):
        return original(self, inputs, np.repeat(targets[:1], len(targets), axis=0), *arguments, **how)

    return advance


@careless(f"{COMPILED}.engine:Workspace.advance", says="from the fourth call on W has not moved", tests=CHECK)
def compiled_wrong_from_the_fourth_call(original):
    def advance(self, *arguments, **how):
        self.calls = getattr(self, "calls", 0) + 1
        if how.get("learns", True) and self.calls >= 4:
            self.H[0] *= 0.99
        return original(self, *arguments, **how)

    return advance


@careless(
    f"{COMPILED}.engine:NumbaEngine.advance",
    says="in float32 the last loss of a call is not finite",
    tests=CHECK,
)
def compiled_loss_not_finite(original):
    return _careless_loss(original)
