#!/usr/bin/env python3
"""How long a figure of a long run takes, and how large it is: `charrnn plot` as a user calls it.

    python core/benchmarks/figures.py [--updates 1000000] [--runs 7]

The log of such a run is made up, in the buckets that a real one has. Beside each time stands that of
`charrnn runs` on the same run, which is what a command costs that draws nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from charrnn_core.training.settings import Settings
from charrnn_core.training.state import bucket_width


def make_run(directory: Path, updates: int) -> int:
    """Write a run directory with the log of so many updates, and return how many buckets it has."""
    directory.mkdir(parents=True)
    config = {
        "created": "2026-01-01T00:00:00Z",
        "settings": Settings().to_json(),
        "corpus": {"name": "made up", "kind": "input", "characters": 1_000_000, "vocabulary_size": 65},
    }
    (directory / "config.json").write_text(json.dumps(config))
    generator = random.Random(0)
    buckets = last = 0
    with (directory / "events.jsonl").open("w") as log:
        while last < updates:
            first, last = last + 1, last + bucket_width(last)
            loss = 45 + 60 * math.exp(-last / 5000) + generator.gauss(0, 0.3)
            event = {
                "type": "progress", "update": last, "time": last / 7000, "first_update": first,
                "epoch": last / 40_000, "loss_mean": loss, "loss_min": loss - 20 * generator.random(),
                "loss_max": loss + 60 * generator.random() ** 4, "smooth_loss": loss,
            }  # fmt: skip
            log.write(json.dumps(event) + "\n")
            buckets += 1
    return buckets


def seconds(arguments: list[str]) -> float:
    """Return how long the program takes with these arguments."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "charrnn_tui", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        buckets = make_run(runs / "long", given.updates)
        print(f"{given.updates:,} updates in {buckets:,} buckets")
        times: dict[str, list[float]] = {"nothing": [], "svg": [], "png": [], "pdf": [], "terminal": []}
        for _ in range(given.runs):
            for what, taken in times.items():
                where = ["-o", f"{folder}/loss.{what}"] if what != "terminal" else ["--terminal"]
                command = ["runs"] if what == "nothing" else ["plot", "long", *where]
                taken.append(seconds([*command, "--runs", str(runs)]))
        for what, taken in times.items():
            path = Path(folder) / f"loss.{what}"
            size = f", {path.stat().st_size / 1000:.0f} kB" if path.exists() else ""
            print(f"{what:8} {statistics.median(taken):.2f} s ({min(taken):.2f}–{max(taken):.2f}){size}")


if __name__ == "__main__":
    main()
