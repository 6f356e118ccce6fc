#!/usr/bin/env python3
"""Updates per second beside other ways to train the same network, in turn, on one core and with one thread.

    python core/benchmarks/against_peers.py CORPUS [--rounds 5] [--seconds 2] [--sizes 100x1 256x32]
        [--only NAME ...] [--peers-python PYTHON] [--textbook SCRIPT] [--limit limit.c] [--json] [--markdown]

Each contender is a process of its own. In each round all have their turn, so that a machine's drift meets all
of them, and only ratios within a round count: the table gives their medians and ranges, as multiples of the
textbook loop (compared by characters a second, since it has one stream). The other columns divide by limit.c,
JAX, PyTorch and, for `train`, by the bare loop of the same engine. `train` is the whole program with samples
and checkpoints at their defaults, by the clock of the run; the others are bare loops. PYTHON is an
interpreter that has PyTorch or JAX (default: this one). SCRIPT takes `CORPUS --updates N --hidden M` and
prints a JSON line with `updates_per_s`; limit.c takes a file of uint16 codes and a number of updates, and is
compiled with `cc`. Whatever is missing is left out, and said. With --markdown a last table has a column for
each size: windows per second, and how many times as fast as the textbook loop.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from charrnn_core.text.corpus import read_corpus

HERE = Path(__file__).parent
ONE_THREAD = {
    **os.environ,
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class Size(NamedTuple):
    """m and B."""

    hidden: int
    batch_size: int


class Contender(NamedTuple):
    """A way to train: the command for so many updates, and a first guess of how many it does in a second."""

    name: str
    command: Callable[[Size, int], list[str]]
    batches: bool = True  # whether it can train several streams


def on_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def measured(contender: Contender, size: Size, updates: int) -> float:
    """Return updates per second."""
    with tempfile.TemporaryDirectory() as runs:
        command = [word.replace("RUNS", runs) for word in contender.command(size, updates)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=ONE_THREAD, preexec_fn=on_one_core
        )
        logs = list(Path(runs).glob("*/events.jsonl"))
        told = logs[0].read_text() if logs else done.stdout
    # Not by JSON: the loss of a network that has diverged is nan where C writes it.
    figures = dict(re.findall(r'"(updates_per_s|update|time)": ?([0-9.e+]+)', told.splitlines()[-1]))
    if "updates_per_s" in figures:
        return float(figures["updates_per_s"])
    return float(figures["update"]) / float(figures["time"])


def contenders(corpus: str, options: argparse.Namespace, work: Path) -> list[Contender]:
    python = sys.executable

    def sized(size: Size, updates: int) -> list[str]:
        sizes = ["--hidden", str(size.hidden), "--batch-size", str(size.batch_size)]
        return [corpus, "--updates", str(updates), *sizes]

    def script(path: Path, *more: str, by: str = python) -> Callable[[Size, int], list[str]]:
        return lambda size, updates: [by, str(path), *sized(size, updates), *more]

    def program(engine: str, dtype: str) -> Callable[[Size, int], list[str]]:
        words = ["--quiet", "--runs", "RUNS", "--engine", engine, "--dtype", dtype, "--threads", "1"]
        return lambda size, updates: [python, "-m", "charrnn_tui", "train", *sized(size, updates), *words]

    textbook = Path(options.textbook) if options.textbook else HERE / "peers" / "own_textbook.py"
    found = [
        Contender(
            "textbook",
            lambda size, updates: [
                python, str(textbook), corpus, "--updates", str(updates), "--hidden", str(size.hidden),
            ],
            batches=False,
        )
    ]  # fmt: skip
    for engine in ("numpy", "numba"):
        for dtype in ("float64", "float32"):
            words = ("--engine", engine, "--dtype", dtype)
            found.append(Contender(f"{engine} {dtype}", script(HERE / "peers" / "bare.py", *words)))
            found.append(Contender(f"train {engine} {dtype}", program(engine, dtype)))
    if options.limit:
        found += limits(Path(options.limit), corpus, work)
    for module, name in (("torch", "pytorch"), ("jax", "jax_jit")):
        by = options.peers_python
        if subprocess.run([by, "-c", f"import {module}"], capture_output=True).returncode:
            print(f"left out: {name}, since {by} has no {module}", file=sys.stderr)
            continue
        for dtype in ("float64", "float32") if name == "jax_jit" else ("float32",):
            path = HERE / "peers" / f"{name}.py"
            found.append(Contender(f"{name} {dtype}", script(path, "--dtype", dtype, by=by)))
    return [each for each in found if not options.only or each.name in (*options.only, "textbook")]


def limits(source: Path, corpus: str, work: Path) -> list[Contender]:
    """Return the hand-written C loop in both types, compiled for each number of hidden units."""
    if shutil.which("cc") is None:
        print("left out: limit.c, since there is no C compiler", file=sys.stderr)
        return []
    text = read_corpus(corpus)
    codes = work / "codes.u16"
    text.codes.astype(np.uint16).tofile(codes)

    def command(real: str) -> Callable[[Size, int], list[str]]:
        def build(size: Size, updates: int) -> list[str]:
            binary = work / f"limit-{real}-{size.hidden}"
            if not binary.exists():
                defines = [f"-DREAL={real}", f"-DM={size.hidden}", f"-DK={len(text.vocabulary)}"]
                flags = ["-O3", "-march=native", "-ffast-math", "-w"]
                subprocess.run(["cc", *flags, *defines, str(source), "-o", str(binary), "-lm"], check=True)
            return [str(binary), str(codes), str(updates)]

        return build

    return [
        Contender(f"limit.c {name}", command(real), batches=False)
        for name, real in (("float64", "double"), ("float32", "float"))
    ]


def race(entered: list[Contender], size: Size, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return windows per second (updates times streams) of each contender in each round."""
    entered = [each for each in entered if each.batches or size.batch_size == 1 or each.name == "textbook"]
    streams = {each.name: size.batch_size if each.batches else 1 for each in entered}
    updates = {}
    for each in entered:
        count = 20
        while (rate := measured(each, size, count)) * seconds > 4 * count and count < 10_000:
            count *= 8
        updates[each.name] = max(5, round(rate * seconds))
    rates: dict[str, list[float]] = {each.name: [] for each in entered}
    for _ in range(rounds):
        for each in entered:
            rates[each.name].append(measured(each, size, updates[each.name]) * streams[each.name])
    return rates


def ratios(rates: dict[str, list[float]], name: str, base: str) -> list[float]:
    return [one / other for one, other in zip(rates[name], rates[base], strict=True)]


def markdown(results: dict[Size, dict[str, list[float]]]) -> None:
    """Print the medians of all sizes as one table."""
    heads = [f"m = {size.hidden}, B = {size.batch_size}" for size in results]
    print("\n| | " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * len(heads))
    names = dict.fromkeys(name for rates in results.values() for name in rates)
    for name in names:
        cells = []
        for rates in results.values():
            times = statistics.median(ratios(rates, name, "textbook")) if name in rates else 0.0
            cells.append(f"{statistics.median(rates[name]):,.0f} ({times:.1f})" if name in rates else "")
        print(f"| {name} | " + " | ".join(cells) + " |")


def told(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long each trains in each round")
    parser.add_argument(
        "--sizes", nargs="+", default=["100x1", "100x32", "256x1", "256x32", "512x1", "512x32"]
    )
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--peers-python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--textbook", metavar="SCRIPT")
    parser.add_argument("--limit", metavar="limit.c")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    corpus = str(Path(options.corpus).resolve())
    results: dict[Size, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as work:
        entered = contenders(corpus, options, Path(work))
        for words in options.sizes:
            size = Size(*(int(number) for number in words.split("x")))
            results[size] = rates = race(entered, size, options.rounds, options.seconds)
            if options.json:
                print(json.dumps({"hidden": size.hidden, "batch_size": size.batch_size, "rates": rates}))
                continue
            print(f"\nm = {size.hidden}, B = {size.batch_size}: median of {options.rounds} rounds (range)")
            peers = "".join(
                f"{name:23}" for name in ("of limit.c", "of JAX", "of PyTorch", "of its bare loop")
            )
            print(f"{'':24} {'windows/s':>10}  {'x textbook':24} {peers}".rstrip())
            for name, values in rates.items():
                dtype = name.rpartition(" ")[2]
                columns = [told(ratios(rates, name, "textbook"))]
                bare = name.removeprefix("train ") if name.startswith("train ") else ""
                for peer in (f"limit.c {dtype}", f"jax_jit {dtype}", "pytorch float32", bare):
                    columns.append(told(ratios(rates, name, peer)) if peer in rates else "")
                first, *others = columns
                row = f"{first:24} " + " ".join(f"{column:22}" for column in others)
                print(f"{name:24} {statistics.median(values):10,.0f}  {row}".rstrip(), flush=True)
    if options.markdown:
        markdown(results)


if __name__ == "__main__":
    main()
