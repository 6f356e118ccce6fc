"""Forward and backward through one window, shared by one thread or several.

The equations are in core/README.md, and `charrnn_core.rnn.network` has the same in NumPy. All matrices are
stored in rows of whole vectors; what a row has beyond its numbers is zeros and stays zeros. Each thread does
its share of rows or columns of everything, and waits for the others where it needs theirs; every number is
computed by one thread in one order, so that results do not depend on how many threads there are. Constants
are `np.int64(1)` and the like where a literal would have the function that takes it compiled once more.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from charrnn_core.rnn.compiled.barrier import wait_for_others
from charrnn_core.rnn.compiled.functions import exp, tanh
from charrnn_core.rnn.compiled.machine import at, compiled, share, stay_apart
from charrnn_core.rnn.compiled.tiles import multiply, transpose


class Sizes(NamedTuple):
    """The sizes of a network and its windows.

    Attributes
    ----------
    m, K, T, B : int
    row, row_K : int
        Numbers from one row to the next, in rows of m and of K numbers.
    U, W, V, b, c, end : int
        Where these begin in the parameters, and where the parameters end.
    lanes : int
        Numbers of a vector.
    """

    m: int
    K: int
    T: int
    B: int
    row: int
    row_K: int
    U: int
    W: int
    V: int
    b: int
    c: int
    end: int
    lanes: int


class Memory(NamedTuple):
    """Where training works: arrays for whoever calls compiled code, pointers to their first numbers within.

    Attributes
    ----------
    theta, gradient, squares, mean
        Parameters, their gradient, and what the optimizer remembers; `Sizes.end` numbers each.
    W_transposed, V_transposed
        Copies of W and V, made anew after each step; rows for m.
    H
        (T + 1) B rows.
    A
        The gradient of a, T B rows.
    O
        o, then the gradient of o; T B rows of K.
    losses
        Of each character, float64; T B numbers.
    used
        How many characters the last window has as inputs, and which; K + 1 integers of 64 bits.
    seen
        Whether a character is among them; K integers of 64 bits.
    barrier
        For `wait_for_others`.
    """

    theta: Any
    gradient: Any
    squares: Any
    mean: Any
    W_transposed: Any
    V_transposed: Any
    H: Any
    A: Any
    O: Any
    losses: Any
    used: Any
    seen: Any
    barrier: Any


@compiled()
def _add(to: Any, other: Any, count: int) -> None:
    for i in range(count):
        to[i] += other[i]


@compiled()
def _add_two(to: Any, one: Any, other: Any, count: int) -> None:
    for i in range(count):
        to[i] = one[i] + other[i]


@compiled()
def copy(to: Any, other: Any, count: int) -> None:
    """Copy numbers from one place to another."""
    for i in range(count):
        to[i] = other[i]


@compiled()
def clear(place: Any, count: int) -> None:
    """Set numbers to zero."""
    for i in range(count):
        place[i] = 0


@compiled()
def _squash(a: Any, count: int) -> None:
    for i in range(count):
        a[i] = tanh(a[i])


@compiled()
def _times_tanh_slope(a: Any, h: Any, count: int) -> None:
    for i in range(count):
        a[i] -= a[i] * (h[i] * h[i])


@compiled(sums=True)
def _softmax(o: Any, K: int, target: int, scale: Any) -> Any:
    """Return -ln p[target], and turn o into the gradient of o."""
    stay_apart()
    # The largest by eight running maxima: LLVM vectorises no maximum that must not lose a NaN.
    whole = K - K % 8
    most0 = most1 = most2 = most3 = most4 = most5 = most6 = most7 = o[0]
    for k in range(0, whole, 8):
        part = at(o, k)
        most0 = part[0] if part[0] > most0 else most0
        most1 = part[1] if part[1] > most1 else most1
        most2 = part[2] if part[2] > most2 else most2
        most3 = part[3] if part[3] > most3 else most3
        most4 = part[4] if part[4] > most4 else most4
        most5 = part[5] if part[5] > most5 else most5
        most6 = part[6] if part[6] > most6 else most6
        most7 = part[7] if part[7] > most7 else most7
    for k in range(whole, K):
        most0 = o[k] if o[k] > most0 else most0
    most = max(max(max(most0, most1), max(most2, most3)), max(max(most4, most5), max(most6, most7)))
    wanted = o[target] - most
    for k in range(K):
        o[k] = exp(o[k] - most)
    total = o[0]
    for k in range(1, K):
        total += o[k]
    factor = scale / total
    for k in range(K):
        o[k] *= factor
    o[target] -= scale
    return math.log(total) - wanted


@compiled()
def _add_product(z: Any, h: Any, W: Any, t: int, sizes: Sizes, vectors: int) -> None:
    """Do z += h W on the B rows of one time; at odd times from the last row of W to the first.

    So half of what is needed first was used last, and is still in the first cache.
    """
    stay_apart()
    back = t % 2
    first, direction = back * (sizes.m - 1), 1 - 2 * back
    multiply(
        z, sizes.row, at(h, first), sizes.row, direction, at(W, first * sizes.row), direction * sizes.row,
        sizes.m, sizes.B, vectors, sizes.lanes, np.bool_(True),
    )  # fmt: skip


@compiled()
def refresh_transposed(memory: Memory, sizes: Sizes, me: int, threads: int) -> None:
    """Copy W and V into their transposed forms; a share of it."""
    stay_apart()
    theta, lanes = memory.theta, sizes.lanes
    first, last = share((sizes.m + lanes - 1) // lanes, me, threads)
    transpose(
        at(theta, sizes.W + first * lanes * sizes.row), sizes.row,
        at(memory.W_transposed, first * lanes), sizes.row,
        (last - first) * lanes, sizes.m, lanes,
    )  # fmt: skip
    first, last = share((sizes.K + lanes - 1) // lanes, me, threads)
    transpose(
        at(theta, sizes.V + first * lanes * sizes.row), sizes.row,
        at(memory.V_transposed, first * lanes), sizes.row_K,
        (last - first) * lanes, sizes.m, lanes,
    )  # fmt: skip


@compiled(once=True)
def forward(
    memory: Memory, sizes: Sizes, inputs: Any, targets: Any, scale: Any, me: int, threads: int
) -> Any:
    """Return L of a window for the first B rows of H; O becomes the gradient of o.

    Parameters
    ----------
    memory : Memory
        Pointers.
    sizes : Sizes
    inputs, targets : pointers to T B integers
        Time first.
    scale : real
        What the sum of the losses is multiplied by.
    me, threads : int
    """
    m, T, B, row, row_K, lanes = sizes.m, sizes.T, sizes.B, sizes.row, sizes.row_K, sizes.lanes
    theta, H, O = memory.theta, memory.H, memory.O
    barrier, losses = memory.barrier, memory.losses
    first, last = share(row // lanes, me, threads)
    column, columns = first * lanes, (last - first) * lanes
    U, b = at(theta, sizes.U + column), at(theta, sizes.b + column)
    W = at(memory.W_transposed, column)
    for t in range(T):
        h = at(H, (t + 1) * B * row + column)
        for s in range(B):
            _add_two(at(h, s * row), at(U, inputs[t * B + s] * row), b, columns)
        _add_product(h, at(H, t * B * row), W, t, sizes, last - first)
        if threads == 1:
            _squash(h, B * row)
        else:
            for s in range(B):
                _squash(at(h, s * row), columns)
        wait_for_others(barrier, threads)

    first, last = share(T * B, me, threads)
    o = at(O, first * row_K)
    for r in range(last - first):
        copy(at(o, r * row_K), at(theta, sizes.c), row_K)
    multiply(
        o, row_K, at(H, (B + first) * row), row, np.int64(1), memory.V_transposed, row_K,
        m, last - first, row_K // lanes, lanes, np.bool_(True),
    )  # fmt: skip
    for r in range(first, last):
        losses[r] = _softmax(at(O, r * row_K), sizes.K, targets[r], scale)
    wait_for_others(barrier, threads)
    total = 0.0
    for r in range(T * B):
        total += losses[r]
    return total * scale


@compiled(once=True)
def backward(memory: Memory, sizes: Sizes, inputs: Any, me: int, threads: int) -> None:
    """Fill in the gradient for the window that `forward` has seen last, exact back to h_0."""
    m, K, T, B, row, row_K, lanes = sizes.m, sizes.K, sizes.T, sizes.B, sizes.row, sizes.row_K, sizes.lanes
    theta, gradient = memory.theta, memory.gradient
    H, A, O, barrier = memory.H, memory.A, memory.O, memory.barrier
    rows, vectors = T * B, row // lanes

    first, last = share(K, me, threads)
    multiply(
        at(gradient, sizes.V + first * row), row, at(O, first), np.int64(1), row_K, at(H, B * row), row,
        rows, last - first, vectors, lanes, np.bool_(False),
    )  # fmt: skip
    first, last = share(row_K // lanes, me, threads)
    dc = at(gradient, sizes.c + first * lanes)
    clear(dc, (last - first) * lanes)
    for r in range(rows):
        _add(dc, at(O, r * row_K + first * lanes), (last - first) * lanes)
    first, last = share(rows, me, threads)
    multiply(
        at(A, first * row), row, at(O, first * row_K), row_K, np.int64(1), at(theta, sizes.V), row,
        K, last - first, vectors, lanes, np.bool_(False),
    )  # fmt: skip
    wait_for_others(barrier, threads)

    first, last = share(vectors, me, threads)
    column, columns = first * lanes, (last - first) * lanes
    W = at(theta, sizes.W + column)
    for t in range(T - 1, -1, -1):
        a = at(A, t * B * row + column)
        h = at(H, (t + 1) * B * row + column)
        if t < T - 1:
            _add_product(a, at(A, (t + 1) * B * row), W, t, sizes, last - first)
        if threads == 1:
            _times_tanh_slope(a, h, B * row)
        else:
            for s in range(B):
                _times_tanh_slope(at(a, s * row), at(h, s * row), columns)
        wait_for_others(barrier, threads)

    db = at(gradient, sizes.b + column)
    dU = at(gradient, sizes.U + column)
    _clear_used(memory, sizes, dU, columns)
    clear(db, columns)
    for r in range(rows):
        a = at(A, r * row + column)
        _add(at(dU, inputs[r] * row), a, columns)
        _add(db, a, columns)
    first, last = share(m, me, threads)
    multiply(
        at(gradient, sizes.W + first * row), row, at(A, first), np.int64(1), row, H, row,
        rows, last - first, vectors, lanes, np.bool_(False),
    )  # fmt: skip
    wait_for_others(barrier, threads)
    if me == 0:
        _list_used(memory, sizes, inputs)
    wait_for_others(barrier, threads)


@compiled()
def _clear_used(memory: Memory, sizes: Sizes, dU: Any, columns: int) -> None:
    """Set the rows of dU that the window before has filled in to zeros again."""
    used = memory.used
    for place in range(used[0]):
        clear(at(dU, used[1 + place] * sizes.row), columns)


@compiled()
def _list_used(memory: Memory, sizes: Sizes, inputs: Any) -> None:
    """List which characters are inputs of this window."""
    stay_apart()
    used, seen = memory.used, memory.seen
    for place in range(used[0]):
        seen[used[1 + place]] = 0
    count = 0
    for r in range(sizes.T * sizes.B):
        code = inputs[r]
        if seen[code] == 0:
            seen[code] = 1
            count += 1
            used[count] = code
    used[0] = count
