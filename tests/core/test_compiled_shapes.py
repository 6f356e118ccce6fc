"""Compiled training is right at the sizes where faults hid, with short vectors and with long ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
import numpy as np
import pytest
import threadpoolctl

from charrnn_core.rnn.compiled.engine import NumbaEngine
from charrnn_core.rnn.gradcheck.fixed import fixed_codes, fixed_parameters
from charrnn_core.rnn.gradcheck.pieces import finish
from charrnn_core.rnn.gradcheck.rows import CheckRow
from charrnn_core.rnn.gradcheck.training import training_rows
from charrnn_core.rnn.optimizers import OptimizerSettings
from charrnn_core.text.windows import Windows

# m, K, T, B: T B > 256; K > 256; T > 100; B > 4 at m = 512; and numbers just below and above those of a few
# vectors of 4, 8 and 16.
SHAPES = [
    (512, 65, 9, 31), (33, 301, 5, 7), (7, 9, 130, 3), (65, 17, 40, 9), (1, 2, 1, 1), (3, 5, 2, 2),
    (9, 15, 3, 5), (17, 31, 4, 4), (23, 33, 3, 6), (31, 47, 2, 3), (129, 130, 6, 5), (16, 64, 4, 4),
]  # fmt: skip
FEATURES = {"AVX2": ("haswell", "avx2"), "AVX-512": ("skylake-avx512", "avx512f")}


def wrong_shapes(shapes, threads=1):
    """Return the shapes and types in which a compiled engine does not agree with the reference."""
    wrong = []
    for m, K, T, B in shapes:
        for dtype in (np.float32, np.float64):
            codes = fixed_codes(K, T, B, 12)
            engine = NumbaEngine(
                finish(fixed_parameters(m, K, dtype)),
                OptimizerSettings("adagrad", 0.001, clip=5.0),
                codes,
                Windows(len(codes), B, T),
                reduction="sum",
                threads=threads,
            )
            engine.begin()
            items = training_rows(engine, 0, np.random.default_rng(0), "text")
            rows = [item for item in items if isinstance(item, CheckRow)]
            if any(not row.passed or row.note for row in rows):
                wrong.append([m, K, T, B, np.dtype(dtype).name])
    return wrong


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training_agrees_with_the_reference(shape, threads):
    with threadpoolctl.threadpool_limits(1, "blas"):
        assert wrong_shapes([shape], threads) == []


_SCRIPT = """
import json, os, sys
import llvmlite.binding
if "LONG_VECTORS" in os.environ:  # with instructions of this processor, several for a vector
    import numba
    numba.njit(lambda: 0)()  # makes Numba detect the processor before another one is set
    features = llvmlite.binding.get_host_cpu_features()
    features["avx512f"] = True
    llvmlite.binding.get_host_cpu_features = lambda: features
from charrnn_core.rnn.compiled.machine import VECTOR_BYTES
from charrnn_core.rnn.threads import limit_blas_threads
from tests.core.test_compiled_shapes import SHAPES, wrong_shapes
limit_blas_threads(1)
print(json.dumps([VECTOR_BYTES, wrong_shapes(SHAPES)]))
"""


def run(tmp_path, **variables):
    project = Path(__file__).parent.parent.parent
    search = os.pathsep.join([str(project), str(project / "core")])
    environment = {**os.environ, "PYTHONPATH": search, "NUMBA_CACHE_DIR": str(tmp_path), **variables}
    finished = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=project, env=environment, capture_output=True, text=True,
        timeout=900, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.mark.parametrize("kind", FEATURES)
def test_training_agrees_where_code_is_compiled_for(kind, thorough, tmp_path):
    if not thorough:
        pytest.skip("code is compiled for half a minute: --thorough")
    processor, needed = FEATURES[kind]
    features = llvmlite.binding.get_host_cpu_features()
    if not features.get(needed):
        pytest.skip(f"this processor has no {kind}")
    chosen = [name for name, has in features.items() if has and (kind == "AVX-512" or "avx512" not in name)]
    told = run(
        tmp_path, NUMBA_CPU_NAME=processor, NUMBA_CPU_FEATURES=",".join(f"+{name}" for name in sorted(chosen))
    )
    assert told == [64 if kind == "AVX-512" else 32, []]


def test_training_agrees_with_long_vectors_on_any_processor(thorough, tmp_path):
    if not thorough:
        pytest.skip("code is compiled for half a minute: --thorough")
    assert run(tmp_path, LONG_VECTORS="1") == [64, []]


@pytest.mark.parametrize(("features", "size"), [("+avx2,+fma", "32"), ("+avx2,+avx512f", "64"), ("", "32")])
def test_vectors_are_those_of_the_processor_that_numba_compiles_for(features, size):
    script = "from charrnn_core.rnn.compiled.machine import VECTOR_BYTES; print(VECTOR_BYTES)"
    search = str(Path(__file__).parent.parent.parent / "core")
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True,
        env={**os.environ, "PYTHONPATH": search, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features},
    )  # fmt: skip
    assert finished.stdout.strip() == size
