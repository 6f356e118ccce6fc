#!/usr/bin/env python3
"""Updates per second of `charrnn train` beside the textbook loop, in turn, one thread.

    python core/benchmarks/against_textbook.py CORPUS [--textbook SCRIPT] [--rounds 3] [--updates 10000]

Each round runs the textbook loop once and `charrnn train` once in each type: whole programs, each in a
process of its own, with samples and checkpoints at their defaults. Machines drift, so only ratios within a
round count; the last lines give their median and range. SCRIPT is any program that takes `CORPUS --updates N`
and prints a JSON line with `updates_per_s` and `smooth_loss`; without one, the project's own loop runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure_textbook(corpus: str, updates: int, script: str | None) -> tuple[float, float]:
    """Return updates per second and smooth loss of the textbook loop."""
    command = [script] if script else [__file__, "--own-textbook"]
    done = subprocess.run(
        [sys.executable, *command, corpus, "--updates", str(updates)],
        check=True, capture_output=True, text=True, env=ONE_THREAD,
    )  # fmt: skip
    result = json.loads(done.stdout)
    return result["updates_per_s"], result["smooth_loss"]


def measure_charrnn(corpus: str, updates: int, dtype: str) -> tuple[float, float]:
    """Return updates per second and smooth loss of `charrnn train`, by the clock of the run."""
    command = [sys.executable, "-m", "charrnn_tui", "train", corpus, "--quiet", "--json"]
    options = ["--updates", str(updates), "--dtype", dtype]
    with tempfile.TemporaryDirectory() as runs:
        done = subprocess.run(
            [*command, *options, "--runs", runs], check=True, capture_output=True, text=True, env=ONE_THREAD
        )
    ended = json.loads(done.stdout.splitlines()[-1])
    return ended["update"] / ended["time"], ended["smooth_loss"]


def own_textbook(corpus: str, updates: int) -> None:
    import numpy as np

    from charrnn_core.rnn import textbook
    from charrnn_core.rnn.parameters import initial_parameters
    from charrnn_core.text.corpus import read_corpus

    text = read_corpus(corpus)
    parameters = initial_parameters(
        100, len(text.vocabulary), np.float64, seed=0, scheme="normal", standard_deviation=0.01
    )
    arrays = {name: np.ascontiguousarray(array) for name, array in parameters.arrays().items()}
    codes = text.codes.tolist()
    began = time.perf_counter()
    losses = textbook.train(arrays, codes, updates=updates)
    seconds = time.perf_counter() - began
    smooth = losses[0]
    for loss in losses:
        smooth = 0.999 * smooth + 0.001 * loss
    print(json.dumps({"updates_per_s": updates / seconds, "smooth_loss": smooth}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus")
    parser.add_argument("--textbook", metavar="SCRIPT")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--own-textbook", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    corpus = str(Path(arguments.corpus).resolve())
    if arguments.own_textbook:
        own_textbook(corpus, arguments.updates)
        return
    ratios: dict[str, list[float]] = {"float64": [], "float32": []}
    print(f"{'round':>5}  {'':10} {'updates/s':>10} {'ratio':>6} {'smooth loss':>12}")
    for number in range(1, arguments.rounds + 1):
        base, loss = measure_textbook(corpus, arguments.updates, arguments.textbook)
        print(f"{number:5}  {'textbook':10} {base:10,.0f} {1:6.1f} {loss:12.2f}")
        for dtype, of_type in ratios.items():
            rate, loss = measure_charrnn(corpus, arguments.updates, dtype)
            of_type.append(rate / base)
            print(f"{number:5}  {dtype:10} {rate:10,.0f} {rate / base:6.1f} {loss:12.2f}", flush=True)
    for dtype, of_type in ratios.items():
        low, high = min(of_type), max(of_type)
        print(f"{dtype}: {statistics.median(of_type):.1f}x the textbook loop ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
