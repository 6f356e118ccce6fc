#!/usr/bin/env python3
"""Seconds until a command of `charrnn` has answered, beside Python alone.

    python core/benchmarks/startup.py [--rounds 15]

Makes a run on the bundled text, then calls in turn: an empty program of Python, one that imports NumPy,
and commands that do as little as they can. Only ratios within a round count: median and range.
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

CHARRNN = [sys.executable, "-m", "charrnn_tui"]
CALLS: dict[str, list[str]] = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
    "charrnn --version": [*CHARRNN, "--version"],
    "charrnn --help": [*CHARRNN, "--help"],
    "charrnn train --help": [*CHARRNN, "train", "--help"],
    "charrnn resume <Tab>": CHARRNN,
    "charrnn runs": [*CHARRNN, "runs"],
    "charrnn sample -n 1": [*CHARRNN, "sample", "-n", "1"],
    "charrnn train --updates 1": [*CHARRNN, "train", "--updates", "1", "--sample-every", "none", "-q"],
}
TAB = {"_CHARRNN_COMPLETE": "complete_bash", "COMP_WORDS": "charrnn resume ", "COMP_CWORD": "2"}


def seconds_of(name: str, where: Path) -> float:
    """Return how long a call takes."""
    more = TAB if "<Tab>" in name else {}
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "CHARRNN_ENGINE": "numpy", **more}
    began = time.perf_counter()
    subprocess.run(CALLS[name], cwd=where, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        subprocess.run(
            [*CHARRNN, "train", "--updates", "200", "-q"], cwd=where, check=True, capture_output=True
        )
        measured = [{name: seconds_of(name, where) for name in CALLS} for _ in range(rounds)]
    base = next(iter(CALLS))
    print(f"{'':28}{'seconds':>9}{'x Python alone':>24}")
    for name in CALLS:
        seconds = statistics.median(each[name] for each in measured)
        ratios = sorted(each[name] / each[base] for each in measured)
        print(
            f"{name:28}{seconds:9.3f}{statistics.median(ratios):9.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        )


if __name__ == "__main__":
    main()
