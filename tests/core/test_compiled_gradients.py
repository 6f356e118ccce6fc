"""The gradient check catches every fault that is built into the compiled backward pass."""

# ruff: noqa: E501 - pieces of source are as long as they are

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import charrnn_core.rnn.compiled
from charrnn_core.rnn.gradcheck.check import check
from charrnn_core.rnn.gradcheck.rows import CheckRow
from charrnn_core.rnn.gradcheck.windows import CheckedWindow
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.parameters import PARAMETER_NAMES, initial_parameters

# Compiling takes seconds, so that all faults are in one copy of the code, and a number in memory that is not
# used otherwise says which of them is there: each pair is a piece of the source and what takes its place.
FAULTS = [
    "no_previous_state", "index_minus_one", "this_state_instead_of_previous", "previous_instead_of_next",
    "nothing_from_next", "untransposed", "no_tanh_derivative", "tanh_derivative_of_other",
    "bias_over_wrong_axis", "bias_of_last_step", "no_target", "target_one_late", "mixed_streams",
    "one_stream_only", "mixed_streams_in_V", "clipped_through_time", "accumulating_V", "accumulating_W",
    "accumulating_c", "accumulating_b", "inputs_of_the_window_before", "row_of_U_next_to_it",
    "V_transposed_of_no_use", "last_vector_of_W",
]  # fmt: skip
NUMBER = {name: number for number, name in enumerate(FAULTS, start=1)}
PIECES = [
    (  # the first piece of `backward`
        "    rows, vectors = T * B, row // lanes\n",
        "    rows, vectors = T * B, row // lanes\n    wrong = memory.barrier[15]\n",
    ),
    (
        "at(O, first), np.int64(1), row_K, at(H, B * row), row,\n"
        "        rows, last - first, vectors, lanes, np.bool_(False),\n    )  # fmt: skip\n",
        "at(O, first), np.int64(1), row_K, at(H, B * row), row,\n"
        "        rows, last - first, vectors, lanes, wrong == {accumulating_V},\n    )  # fmt: skip\n"
        "    if wrong == {mixed_streams_in_V}:\n"
        "        for k in range(K):\n"
        "            clear(at(gradient, sizes.V + k * row), row)\n"
        "        for r in range(rows):\n"
        "            other = r // B * B + (r + 1) % B\n"
        "            for k in range(K):\n"
        "                for i in range(m):\n"
        "                    gradient[sizes.V + k * row + i] += O[r * row_K + k] * H[(B + other) * row + i]\n",
    ),
    (
        "    clear(dc, (last - first) * lanes)\n",
        "    if wrong != {accumulating_c}:\n        clear(dc, (last - first) * lanes)\n",
    ),
    (
        "        if t < T - 1:\n            _add_product(a, at(A, (t + 1) * B * row), W, t, sizes, last - first)\n",
        "        if wrong == {clipped_through_time} and t < T - 1:\n"
        "            for i in range(B * row):\n"
        "                place = (t + 1) * B * row + i\n"
        "                A[place] = min(max(A[place], -5), 5)\n"
        "        source = t - 1 if wrong == {previous_instead_of_next} else t + 1\n"
        "        matrix = memory.W_transposed if wrong == {untransposed} else W\n"
        "        if t < T - 1 and source >= 0 and wrong != {nothing_from_next}:\n"
        "            _add_product(a, at(A, source * B * row), matrix, t, sizes, last - first)\n",
    ),
    (
        "        if threads == 1:\n            _times_tanh_slope(a, h, B * row)\n",
        "        if wrong == {no_tanh_derivative}:\n            pass\n"
        "        elif wrong == {tanh_derivative_of_other}:\n"
        "            for i in range(B * row):\n                a[i] -= a[i] * h[i]\n"
        "        elif threads == 1:\n            _times_tanh_slope(a, h, B * row)\n",
    ),
    (
        "    _clear_used(memory, sizes, dU, columns)\n    clear(db, columns)\n",
        "    if wrong != {inputs_of_the_window_before}:\n        _clear_used(memory, sizes, dU, columns)\n"
        "    if wrong != {accumulating_b}:\n        clear(db, columns)\n"
        "    if wrong == {mixed_streams}:\n"
        "        for t in range(T):\n"
        "            for i in range(m):\n"
        "                kept = A[t * B * row + i]\n"
        "                for s in range(B - 1):\n"
        "                    A[(t * B + s) * row + i] = A[(t * B + s + 1) * row + i]\n"
        "                A[(t * B + B - 1) * row + i] = kept\n"
        "    if wrong == {one_stream_only}:\n"
        "        for r in range(rows):\n"
        "            if r % B:\n                clear(at(A, r * row), row)\n",
    ),
    (
        "        _add(at(dU, inputs[r] * row), a, columns)\n        _add(db, a, columns)\n",
        "        code = inputs[r]\n"
        "        if wrong == {row_of_U_next_to_it}:\n            code = (code + 1) % K\n"
        "        _add(at(dU, code * row), a, columns)\n"
        "        if wrong == {bias_over_wrong_axis}:\n"
        "            for i in range(m):\n                db[r % m] += a[i]\n"
        "        elif wrong != {bias_of_last_step} or r >= rows - B:\n"
        "            _add(db, a, columns)\n",
    ),
    (
        "    multiply(\n        at(gradient, sizes.W + first * row), row, at(A, first), np.int64(1), row, H, row,\n"
        "        rows, last - first, vectors, lanes, np.bool_(False),\n    )  # fmt: skip\n",
        "    skipped = B if wrong == {no_previous_state} or wrong == {index_minus_one} else 0\n"
        "    shift = B if wrong == {this_state_instead_of_previous} else 0\n"
        "    width = (m - 1) // lanes if wrong == {last_vector_of_W} else vectors\n"
        "    multiply(\n        at(gradient, sizes.W + first * row), row, at(A, first + skipped * row), np.int64(1), row,\n"
        "        at(H, (skipped + shift) * row), row,\n"
        "        rows - skipped, last - first, width, lanes, wrong == {accumulating_W},\n    )\n"
        "    if wrong == {index_minus_one}:\n"
        "        multiply(\n            at(gradient, sizes.W), row, A, np.int64(1), row, at(H, T * B * row), row,\n"
        "            B, m, vectors, lanes, np.bool_(True),\n        )\n",
    ),
    (  # in `forward`, where o becomes its own gradient
        "        losses[r] = _softmax(at(O, r * row_K), sizes.K, targets[r], scale)\n",
        "        losses[r] = _softmax(at(O, r * row_K), sizes.K, targets[r], scale)\n"
        "        fault = memory.barrier[15]\n"
        "        if fault == {no_target} or fault == {target_one_late}:\n"
        "            O[r * row_K + targets[r]] += scale\n"
        "        if fault == {target_one_late}:\n"
        "            O[r * row_K + targets[(r + (T - 1) * B) % (T * B)]] -= scale\n",
    ),
    (
        "        m, last - first, row_K // lanes, lanes, np.bool_(True),\n",
        "        m - (memory.barrier[15] == {V_transposed_of_no_use}), last - first, row_K // lanes, lanes,\n"
        "        np.bool_(True),\n",
    ),
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Make a network of a copy of the compiled code that has one of the faults; 0 is none."""
    source = Path(charrnn_core.rnn.compiled.__file__).parent
    folder = tmp_path_factory.mktemp("sabotage")
    shutil.copytree(source, folder / "sabotaged", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / "sabotaged").glob("*.py"):
        text = path.read_text().replace("charrnn_core.rnn.compiled", "sabotaged")
        if path.name == "window.py":
            for piece, fault in PIECES:
                assert text.count(piece) == 1, f"the source has changed: {piece}"
                text = text.replace(piece, fault.format(**NUMBER))
        path.write_text(text)
    sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module("sabotaged.engine")
    finally:
        sys.path.remove(str(folder))

    def maker(fault):
        def make(parameters, seq_length, batch_size, reduction):
            if np.iscomplexobj(parameters.buffer):
                return Network(parameters, seq_length, batch_size, reduction)
            network = module.CompiledNetwork(parameters, seq_length, batch_size, reduction)
            network._workspace._memory.barrier[15] = fault
            return network

        return make

    return maker


def window(seed, *, m=9, K=11, T=6, B=1):
    generator = np.random.default_rng(seed)
    parameters = initial_parameters(m, K, np.float32, seed=seed, scheme="normal", standard_deviation=0.01)
    inputs, targets = generator.integers(0, K, (2, T * B))
    h0 = generator.uniform(-0.1, 0.1, (B, m)) if seed % 2 else np.zeros((B, m))
    return CheckedWindow(parameters, inputs, targets, h0, T, "sum", 5.0)


def rows_of(checked, seed, network):
    items = check(checked, np.random.SeedSequence(seed), network=network)
    return (item for item in items if isinstance(item, CheckRow))


@pytest.fixture
def seeds(thorough):
    return range(20 if thorough else 4)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught(broken, seeds, fault):
    for seed in seeds:
        rows = rows_of(window(seed), seed, broken(NUMBER[fault]))
        assert any(not row.passed for row in rows), f"seed {seed}"


@pytest.mark.slow
def test_the_copy_without_a_fault_passes(broken, seeds):
    for seed in seeds:
        assert all(row.passed for row in rows_of(window(seed), seed, broken(0)))


def spoiled(spoil):
    """Make a network of the compiled code whose gradients are spoiled on their way out."""
    from charrnn_core.rnn.compiled.engine import CompiledNetwork, NumbaEngine

    class Spoiled(CompiledNetwork):
        def backward(self):
            super().backward()
            spoil(self.gradients, self.H.shape[1])

    def make(parameters, *sizes):
        if np.iscomplexobj(parameters.buffer):
            return NumbaEngine.network(parameters, *sizes)
        return Spoiled(parameters, *sizes)

    return make


def clip(*names):
    def spoil(gradients, B):
        for name in names:
            array = getattr(gradients, name)
            np.clip(array, -5, 5, out=array)

    return spoil


def set_to(name, value):
    def spoil(gradients, B):
        getattr(gradients, name)[0] = value

    return spoil


def scale(gradients, B):
    gradients.buffer *= B


def round_off(gradients, B):
    gradients.buffer[:] = gradients.buffer.astype(np.float32)


def halve_a_column(gradients, B):
    gradients.U[:, 3] *= 0.5


SPOILS = {
    "clipped": clip(*PARAMETER_NAMES), **{f"clipped_{name}": clip(name) for name in PARAMETER_NAMES},
    "unscaled": scale, "single_precision": round_off, "wrong_column_of_U": halve_a_column,
    "infinite": set_to("b", np.inf), "not_a_number": set_to("c", np.nan),
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILS)
def test_every_spoiled_gradient_is_caught(seeds, spoil):
    for seed in seeds:
        rows = rows_of(window(seed), seed, spoiled(SPOILS[spoil]))
        assert any(not row.passed for row in rows), f"seed {seed}"


@pytest.mark.parametrize(("m", "K", "T", "B"), [(1, 2, 1, 1), (8, 16, 5, 2), (33, 7, 9, 4), (100, 80, 25, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_the_right_code_passes(seed, m, K, T, B):
    from charrnn_core.rnn.compiled.engine import NumbaEngine

    checked = window(seed, m=m, K=K, T=T, B=B)
    assert not [row for row in rows_of(checked, seed, NumbaEngine.network) if not row.passed]
