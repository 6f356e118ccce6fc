"""Products and transpositions of matrices in vectors that stay in registers.

A *tile* is a part of a product, up to `TILE_ROWS` rows of a few vectors, whose sums are kept in registers
until they are done. LLVM does not find this by itself, so it is told in its own instructions; so it is for
the transposition of a square of numbers by shuffles.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from charrnn_core.rnn.compiled.machine import at, compiled, in_llvm, internal_function, stay_apart, vector_of

TILE_ROWS = 4
"""The most rows of a tile."""

TILE_VECTORS = (0, 8, 5, 4, 3)
"""The most vectors in a row of a tile of 1, 2, 3 or 4 rows: as many as leave room in 16 registers.

With the 32 registers of AVX-512 larger tiles were tried, and are no faster.
"""

STEPS_AT_ONCE = 128
"""How many rows of B are used before the next tile: they and what they meet of A stay in the first cache."""


@compiled()
def multiply(
    C: Any, C_row: int, A: Any, A_row: Any, A_step: Any, B: Any, B_step: int,
    steps: int, rows: int, vectors: int, lanes: int, add: Any,
) -> None:  # fmt: skip
    """Do C = A B, or C += A B where `add`, tile by tile; arguments as of `tile`.

    No argument may be a literal: Numba would compile the function once more for each.
    """
    stay_apart()
    if rows == 0 or vectors == 0:  # more threads than rows
        return
    most = TILE_VECTORS[min(rows, TILE_ROWS)]
    panels = (vectors + most - 1) // most
    blocks = (rows + TILE_ROWS - 1) // TILE_ROWS
    at_once = STEPS_AT_ONCE if blocks > 1 else steps
    for step in range(0, steps, at_once):
        count = min(at_once, steps - step)
        vector = 0
        for panel in range(panels):  # as equal as possible
            width = (vectors - vector + panels - panel - 1) // (panels - panel)
            row = 0
            for block in range(blocks):
                height = (rows - row + blocks - block - 1) // (blocks - block)
                tile(
                    at(C, row * C_row + vector * lanes), C_row,
                    at(A, row * A_row + step * A_step), A_row, A_step,
                    at(B, step * B_step + vector * lanes), B_step,
                    count, height, width, add or step > 0,
                )  # fmt: skip
                row += height
            vector += width


@compiled()
def transpose(X: Any, X_row: int, Y: Any, Y_row: int, rows: int, columns: int, lanes: int) -> None:
    """Do Y[j, i] = X[i, j]; both have room for whole squares of `lanes` rows and columns."""
    for row in range(0, rows, lanes):
        transpose_rows(at(X, row * X_row), X_row, at(Y, row), Y_row, (columns + lanes - 1) // lanes)


@in_llvm
def tile(
    typing: Any, C: Any, C_row: Any, A: Any, A_row: Any, A_step: Any, B: Any, B_step: Any,
    steps: Any, rows: Any, vectors: Any, add: Any,
) -> Any:  # fmt: skip
    """Do C = A B, or C += A B where `add`, on `rows` rows of C of `vectors` vectors each.

    C[r, v] is at C + r C_row + v, A[r, j] at A + r A_row + j A_step, and row j of B at B + j B_step; j counts
    to `steps`. Any of the distances may be negative.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = _tile_function(builder.module, context, signature.args[0].dtype)
        *others, add = arguments
        builder.call(function, [*others, builder.trunc(add, ir.IntType(1)) if add.type.width > 1 else add])
        return context.get_dummy_value()

    number = types.int64
    signature = types.void(C, number, C, number, number, C, number, number, number, number, types.boolean)
    return signature, generate


def _tile_function(module: Any, context: Any, real: Any) -> Any:
    """Return the function of all tiles in one type: a switch, and a loop for each shape of a tile."""
    name = f"charrnn_tile_{real.bitwidth}"
    if name in module.globals:
        return module.globals[name]
    element, lanes, number, bit = vector_of(context, real)
    vector, place = ir.VectorType(element, lanes), element.as_pointer()
    kinds = [place, number, place, number, number, place, number, number, number, number, bit]
    function = internal_function(module, name, kinds)
    C, C_row, A, A_row, A_step, B, B_step, steps, rows, vectors, add = function.args
    for argument in (C, A, B):
        argument.add_attribute("noalias")
    entry, done = (function.append_basic_block(label) for label in ("entry", "done"))
    ir.IRBuilder(done).ret_void()
    builder = ir.IRBuilder(entry)
    shape = builder.add(builder.mul(rows, number(16)), vectors)
    switch = builder.switch(shape, done)

    for R in range(1, TILE_ROWS + 1):
        for N in range(1, TILE_VECTORS[R] + 1):
            begin, old, loop, end = (
                function.append_basic_block(f"{label}_{R}_{N}") for label in ("begin", "old", "loop", "end")
            )
            switch.add_case(number(16 * R + N), begin)
            ir.IRBuilder(begin).cbranch(add, old, loop)

            def place_of(builder: Any, r: int, n: int) -> Any:
                offset = builder.add(builder.mul(number(r), C_row), number(n * lanes))
                return builder.bitcast(builder.gep(C, [offset]), vector.as_pointer())

            builder = ir.IRBuilder(old)
            before = {
                (r, n): builder.load(place_of(builder, r, n), align=real.bitwidth // 8)
                for r in range(R)
                for n in range(N)
            }
            builder.branch(loop)

            builder = ir.IRBuilder(loop)
            j, a, b = builder.phi(number), builder.phi(place), builder.phi(place)
            sums = {key: builder.phi(vector) for key in before}
            row = [
                builder.load(
                    builder.bitcast(builder.gep(b, [number(n * lanes)]), vector.as_pointer()),
                    align=real.bitwidth // 8,
                )
                for n in range(N)
            ]
            factors = [
                _filled(builder, builder.load(builder.gep(a, [builder.mul(number(r), A_row)])), lanes)
                for r in range(R)
            ]
            flags = ("contract",)
            after = {
                (r, n): builder.fadd(sums[r, n], builder.fmul(factors[r], row[n], flags=flags), flags=flags)
                for r, n in before
            }
            steps_left = {
                j: (number(0), builder.add(j, number(1))),
                a: (A, builder.gep(a, [A_step])),
                b: (B, builder.gep(b, [B_step])),
            }
            for phi, (first, following) in steps_left.items():
                phi.add_incoming(first, begin)
                phi.add_incoming(first, old)
                phi.add_incoming(following, loop)
            for key, phi in sums.items():
                phi.add_incoming(ir.Constant(vector, None), begin)
                phi.add_incoming(before[key], old)
                phi.add_incoming(after[key], loop)
            builder.cbranch(builder.icmp_signed("<", steps_left[j][1], steps), loop, end)

            builder = ir.IRBuilder(end)
            for (r, n), value in after.items():
                builder.store(value, place_of(builder, r, n), align=real.bitwidth // 8)
            builder.branch(done)
    return function


def _filled(builder: Any, value: Any, lanes: int) -> Any:
    """Return the vector of which every number is this one."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(first, undefined, zeros)


@in_llvm
def transpose_rows(typing: Any, X: Any, X_row: Any, Y: Any, Y_row: Any, squares: Any) -> Any:
    """Write as many rows as a vector has numbers into as many columns: Y[v, r] = X[r, v].

    `squares` is how many vectors a row of X has.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.call(_transpose_function(builder.module, context, signature.args[0].dtype), arguments)
        return context.get_dummy_value()

    return types.void(X, types.int64, X, types.int64, types.int64), generate


def _transpose_function(module: Any, context: Any, real: Any) -> Any:
    """Return the function that transposes one square after the other by log2(lanes) rounds of shuffles."""
    name = f"charrnn_transpose_{real.bitwidth}"
    if name in module.globals:
        return module.globals[name]
    element, lanes, number, _ = vector_of(context, real)
    vector, place = ir.VectorType(element, lanes), element.as_pointer()
    function = internal_function(module, name, [place, number, place, number, number])
    X, X_row, Y, Y_row, squares = function.args
    X.add_attribute("noalias")
    Y.add_attribute("noalias")
    entry, loop, done = (function.append_basic_block(label) for label in ("entry", "loop", "done"))
    ir.IRBuilder(entry).branch(loop)
    ir.IRBuilder(done).ret_void()

    builder = ir.IRBuilder(loop)
    j, x, y = builder.phi(number), builder.phi(place), builder.phi(place)

    def row(start: Any, distance: Any, r: int) -> Any:
        place_of_row = builder.gep(start, [builder.mul(number(r), distance)])
        return builder.bitcast(place_of_row, vector.as_pointer())

    rows = [builder.load(row(x, X_row, r), align=real.bitwidth // 8) for r in range(lanes)]
    distance = 1
    while distance < lanes:  # swap the off-diagonal squares of this size
        masks = ir.VectorType(ir.IntType(32), lanes)
        upper = [q if not q & distance else lanes + q - distance for q in range(lanes)]
        lower = [q + distance if not q & distance else lanes + q for q in range(lanes)]
        for r in range(lanes):
            if not r & distance:
                pair = rows[r], rows[r | distance]
                rows[r] = builder.shuffle_vector(*pair, ir.Constant(masks, upper))
                rows[r | distance] = builder.shuffle_vector(*pair, ir.Constant(masks, lower))
        distance *= 2
    for r in range(lanes):
        builder.store(rows[r], row(y, Y_row, r), align=real.bitwidth // 8)
    following = builder.add(j, number(1))
    for phi, first, next_ in (
        (j, number(0), following),
        (x, X, builder.gep(x, [number(lanes)])),
        (y, Y, builder.gep(y, [builder.mul(number(lanes), Y_row)])),
    ):
        phi.add_incoming(first, entry)
        phi.add_incoming(next_, loop)
    builder.cbranch(builder.icmp_signed("<", following, squares), loop, done)
    return function
