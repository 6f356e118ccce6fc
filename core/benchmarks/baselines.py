#!/usr/bin/env python3
"""Baselines of a text: smooth loss and held-out bits a character after 1 and 10 epochs, as a Markdown table.

    python core/benchmarks/baselines.py tinyshakespeare.txt --runs baselines
        [--hidden 100,250,500] [--seeds 3] [--jobs 1]

A row is the mean over seeds, with the smallest and the largest in brackets, of runs of

    charrnn train CORPUS --hidden M --preset P --seed S --held-out 0.1 --epochs 10 --sample-every none

with a validation after each epoch.

It can be stopped at any time: called again, it goes on where it stopped, and does again nothing that is done.
The table is of what is done so far.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from charrnn_core.runs.history import History
from charrnn_core.text.corpus import read_corpus
from charrnn_core.text.windows import Windows
from charrnn_core.training.settings import PRESETS, Settings

EPOCHS = (1, 10)
HELD_OUT = 0.1


def train(corpus: str, runs: Path, hidden: int, preset: str, seed: int, per_epoch: int) -> Path:
    """Train one network to its end, from where it is, and return its run directory."""
    path = runs / f"m{hidden}-{preset}-seed{seed}"
    program = [sys.executable, "-m", "charrnn_tui"]
    if (path / "config.json").exists():
        ended = History.read(path / "events.jsonl").ended
        if ended is not None and ended["reason"] == "epochs":
            return path
        command = [*program, "resume", str(path), "--quiet"]
    else:
        command = [*program, "train", corpus, "--runs", str(runs), "--name", path.name, "--quiet"]
        command += [
            "--hidden",
            str(hidden),
            "--preset",
            preset,
            "--seed",
            str(seed),
            "--sample-every",
            "none",
        ]
        command += ["--held-out", str(HELD_OUT), "--validate-every", str(per_epoch)]
        command += ["--epochs", str(EPOCHS[-1])]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def figures(path: Path, epoch: int) -> tuple[float, float] | None:
    """Return smooth loss and held-out bits a character after an epoch; None where it is not there yet."""
    if not path.exists():
        return None
    history = History.read(path / "events.jsonl")
    smooth = {event["update"]: event["smooth_loss"] for event in history.epochs if event["epoch"] == epoch}
    held_out = {event["update"]: event["loss"] / math.log(2) for event in history.validations}
    return next(((smooth[update], held_out[update]) for update in smooth if update in held_out), None)


def cell(values: list[float], decimals: int) -> str:
    """Return mean, smallest and largest; a dash where nothing is done yet."""
    if not values:
        return "–"
    low, mean, high = (
        f"{value:.{decimals}f}" for value in (min(values), statistics.mean(values), max(values))
    )
    return f"{mean} ({low}–{high})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus")
    parser.add_argument("--runs", type=Path, default=Path("baselines"))
    parser.add_argument("--hidden", default="100,250,500")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side, one core each")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.hidden.split(",")]
    corpus = read_corpus(arguments.corpus)
    training, _ = corpus.split(HELD_OUT)
    defaults = Settings()
    per_epoch = Windows(
        len(training), 1, defaults.seq_length, "sequential", defaults.chunk_length, 0
    ).per_epoch
    cells = [(hidden, preset) for hidden in sizes for preset in PRESETS]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        done = [
            [
                pool.submit(train, arguments.corpus, arguments.runs, hidden, preset, seed, per_epoch)
                for seed in range(arguments.seeds)
            ]
            for hidden, preset in cells
        ]
        print(
            "| m | preset |",
            " | ".join(f"smooth loss, {epoch} | held-out bits, {epoch}" for epoch in EPOCHS),
            "|",
        )
        print("| ---: | --- |", " | ".join("---: | ---:" for _ in EPOCHS), "|", flush=True)
        for (hidden, preset), futures in zip(cells, done, strict=True):
            paths = [future.result() for future in futures]
            shown = []
            for epoch in EPOCHS:
                found = [pair for pair in (figures(path, epoch) for path in paths) if pair is not None]
                decimals = 2 if Settings.of(preset).loss == "sum" else 4
                shown += [
                    cell([smooth for smooth, _ in found], decimals),
                    cell([bits for _, bits in found], 3),
                ]
            print(f"| {hidden} | `{preset}` | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
