#!/usr/bin/env python3
"""Smooth loss of `charrnn train` at 5,000, 10,000 and 20,000 updates over seeds, as a Markdown table.

    python core/benchmarks/reference_losses.py CORPUS [--seeds 3]

Each cell is one run of `charrnn train CORPUS --updates 20000 --seed S` with `--dtype float32` or `float64`
(AdaGrad 0.1, nats summed over 25 characters), and of `--preset dd2424-2026` (Adam, nats per character).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile

UPDATES = (5_000, 10_000, 20_000)


def smooth_losses(corpus: str, seed: int, options: list[str]) -> list[float]:
    """Return the smooth loss of one run at each of `UPDATES`."""
    command = [sys.executable, "-m", "charrnn_tui", "train", corpus, "--quiet", "--json", *options]
    given = ["--updates", str(UPDATES[-1]), "--seed", str(seed), "--sample-every", "none"]
    with tempfile.TemporaryDirectory() as runs:
        done = subprocess.run([*command, *given, "--runs", runs], check=True, capture_output=True, text=True)
    at = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if event["type"] == "progress":
            at[event["update"]] = event["smooth_loss"]
    return [at[update] for update in UPDATES]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print("| options | seed |", " | ".join(f"{update:,}" for update in UPDATES), "|")
    print("| --- | --- |", " | ".join("---:" for _ in UPDATES), "|")
    for options in (["--dtype", "float32"], ["--dtype", "float64"], ["--preset", "dd2424-2026"]):
        rows = []
        for seed in range(arguments.seeds):
            rows.append(smooth_losses(arguments.corpus, seed, options))
            shown = " | ".join(f"{loss:.3f}" for loss in rows[-1])
            print(f"| `{' '.join(options)}` | {seed} | {shown} |", flush=True)
        means = [statistics.mean(column) for column in zip(*rows, strict=True)]
        print(f"| | **mean** | {' | '.join(f'**{mean:.3f}**' for mean in means)} |", flush=True)


if __name__ == "__main__":
    main()
