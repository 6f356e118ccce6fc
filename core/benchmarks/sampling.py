#!/usr/bin/env python3
"""Characters per second of `charrnn sample` beside textbook sampling, and the time to its first character.

    python core/benchmarks/sampling.py [--rounds 5]

Makes a run on the bundled text (m = 100), then in turn: textbook sampling from the same weights (one softmax
and one `Generator.choice` a character, as the lecture notes have it), and `charrnn sample` as a whole program
whose start is subtracted; and the time until `charrnn sample` has written its first character beside
`python -c "import numpy"`. Only ratios within a round count; the last lines give median and range.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from charrnn_core.rnn.sampler import opening
from charrnn_core.rnn.threads import limit_blas_threads
from charrnn_core.runs.checkpoint import Checkpoint, read_checkpoint

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
CHARACTERS = 200_000


def textbook_rate(checkpoint: Checkpoint, characters: int) -> float:
    """Return the characters per second of a loop as one writes it from the equations."""
    arrays = {name: array.astype(np.float64) for name, array in checkpoint.snapshot.arrays().items()}
    U, W, V = arrays["U"], arrays["W"], arrays["V"]
    b, c = arrays["b"][:, None], arrays["c"][:, None]
    K = len(c)
    generator = np.random.default_rng(0)
    h, code = np.zeros_like(b), opening(checkpoint.vocabulary)[0]
    text = []
    began = time.perf_counter()
    for _ in range(characters):
        x = np.zeros((K, 1))
        x[code] = 1
        h = np.tanh(W @ h + U @ x + b)
        o = V @ h + c
        e = np.exp(o - o.max())
        p = e / e.sum()
        code = generator.choice(K, p=p.ravel())
        text.append(checkpoint.vocabulary.characters[code])
    return characters / (time.perf_counter() - began)


def seconds_of(command: list[str]) -> float:
    """Return how long a program takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    return time.perf_counter() - began


def seconds_to_first_character(command: list[str]) -> float:
    """Return how long it takes until a program has written something."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        seconds = time.perf_counter() - began
        process.stdout.read()
    return seconds


def told(name: str, values: list[float]) -> str:
    """Return median and range of some ratios."""
    return f"{name}: {statistics.median(values):.2f}x ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    limit_blas_threads(1)
    program = [sys.executable, "-m", "charrnn_tui"]
    with tempfile.TemporaryDirectory() as runs:
        train = [*program, "train", "--updates", "2000", "--runs", runs, "--quiet"]
        run = subprocess.run(train, check=True, capture_output=True, text=True).stdout.strip()
        checkpoint = read_checkpoint(Path(run) / "checkpoints" / "best.safetensors")
        sample = [*program, "sample", run, "--length"]
        faster, start = [], []
        for number in range(1, arguments.rounds + 1):
            textbook = textbook_rate(checkpoint, 10_000)
            first = seconds_to_first_character([*sample, "1"])
            rate = CHARACTERS / (seconds_of([*sample, str(CHARACTERS)]) - seconds_of([*sample, "0"]))
            numpy = seconds_of([sys.executable, "-c", "import numpy"])
            faster.append(rate / textbook)
            start.append(first / numpy)
            print(
                f"round {number}: textbook {textbook:,.0f}/s, charrnn {rate:,.0f}/s; first character after "
                f"{first:.3f} s, import numpy {numpy:.3f} s",
                flush=True,
            )
    print(told("characters per second, of textbook sampling", faster))
    print(told("time to the first character, of importing numpy", start))


if __name__ == "__main__":
    main()
