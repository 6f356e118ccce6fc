#!/usr/bin/env python3
"""From which size of a time step on all cores are faster than one: the measurement behind `LARGE_STEP`.

    python core/benchmarks/threads.py CORPUS [--seconds 0.3] [--rounds 5]

For each engine, type and size the bare rate of all cores over that of one, in turn; the table is sorted by
B m max(m, K), the multiplications of a time step's largest product.
"""

from __future__ import annotations

import argparse
import statistics
import time

from charrnn_core.rnn.engine import Engine
from charrnn_core.rnn.threads import available_cores, limit_blas_threads, resolve_threads
from charrnn_core.text.corpus import read_corpus
from charrnn_core.training.settings import Settings
from charrnn_core.training.trainer import Trainer

SIZES = [
    (100, 1), (256, 1), (512, 1), (1024, 1), (2048, 1), (100, 8), (256, 8), (512, 8), (1024, 8),
    (100, 32), (256, 32), (512, 32), (100, 128), (256, 128), (100, 256),
]  # fmt: skip


def rate(engine: Engine, seconds: float, place: list[int]) -> float:
    """Return updates per second; `place` is the update to go on at."""
    began, first, count = time.perf_counter(), place[0], 1
    while (passed := time.perf_counter() - began) < seconds:
        engine.advance(place[0], count)
        place[0] += count
        count = max(1, min(2 * count, int((place[0] - first) / max(passed, 1e-3) * seconds / 10)))
    return (place[0] - first) / passed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus")
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    corpus, cores = read_corpus(options.corpus), available_cores()
    K = len(corpus.vocabulary)
    print(f"K = {K}, {cores} cores\n{'':26}  one thread, updates/s   all cores over one")
    for name in ("numpy", "numba"):
        for dtype in ("float32", "float64"):
            for m, B in sorted(SIZES, key=lambda size: size[1] * size[0] * max(size[0], K)):
                engines = []
                for threads in (1, cores):
                    given = {"engine": name, "dtype": dtype, "hidden": m, "batch_size": B}
                    trainer = Trainer(Settings.of(**given, threads=threads), corpus)
                    trainer.engine.prepare()
                    engines.append((threads, trainer.engine, [0]))
                rates: dict[int, list[float]] = {1: [], cores: []}
                for _ in range(options.rounds + 1):
                    for threads, engine, place in engines:
                        limit_blas_threads(threads)
                        rates[threads].append(rate(engine, options.seconds, place))
                ratios = [many / one for one, many in zip(rates[1][1:], rates[cores][1:], strict=True)]
                told = f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                size = B * m * max(m, K)
                taken = resolve_threads(name, None, m, K, B)
                print(
                    f"{name} {dtype} {m:5} x {B:3} {size / 1e6:7.3f} M {statistics.median(rates[1]):10,.0f}  "
                    f"{told}  default {taken}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
