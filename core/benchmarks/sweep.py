"""What a sweep costs besides its trials, and what it gains by training several at a time.

    python core/benchmarks/sweep.py [--only cores,trials] [--rounds 5] [--updates 20000] [--trials 1000]

cores
    Seconds of `charrnn sweep` with 12 trials on all cores, of the same sweep one trial at a time, and of the
    same runs by `charrnn train`, one after the other; in turn, only ratios within a round count. The last
    states are compared: they must be equal.
trials
    Seconds of a sweep with so many trials of one update, on this machine and on a Dask cluster with a worker
    for each core of it (extra `cluster`), the most memory of the process that sweeps, and how many bytes a
    trial returns.

The text is the bundled `tales`, m = 100.
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
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.sweeps.directory import SweepDirectory

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
RATES, SEEDS = "0.02:0.2:log4", 3


def run(command: Sequence[str], where: Path) -> tuple[float, float, int]:
    """Run a command, and return its seconds, those that it computed, and its most memory in bytes."""
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=where, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def states(runs: Path) -> dict[str, str]:
    """Return the identities of the last states of all runs in a directory."""
    return {
        path.parent.name: read_checkpoint(path.parent / "checkpoints" / "last.safetensors").state_sha256
        for path in runs.glob("*/config.json")
    }


def cores(rounds: int, updates: int) -> None:
    """Measure what several trials at a time gain."""
    varied = ["--vary", f"learning_rate={RATES}", "--seeds", str(SEEDS)]
    same = ["--updates", str(updates), "--sample-every", "none"]
    sweep = [*PROGRAM, "sweep", *varied, *same, "--quiet", "--name", "sweep"]
    ratios: dict[str, list[float]] = {"sweep --jobs 1": [], "train, one after the other": []}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            whole, *_ = run([*sweep, "--runs", "all"], here)
            single, *_ = run([*sweep, "--runs", "one", "--jobs", "1"], here)
            trials = SweepDirectory(here / "all" / "sweep").trials()
            alone = 0.0
            for trial in trials:
                asked = [
                    "--learning-rate",
                    repr(trial.settings.learning_rate),
                    "--seed",
                    str(trial.settings.seed),
                ]
                names = ["--runs", "alone", "--name", trial.name, "--threads", "1", "--quiet"]
                alone += run([*PROGRAM, "train", "tales", *asked, *same, *names], here)[0]
            found = states(here / "all" / "sweep")
            if not found == states(here / "one" / "sweep") == states(here / "alone"):
                raise SystemExit("the states differ")
            ratios["sweep --jobs 1"].append(whole / single)
            ratios["train, one after the other"].append(whole / alone)
            words = " · ".join(f"{values[-1]:.3f} of {name}" for name, values in ratios.items())
            print(f"round {number + 1}: {len(trials)} trials, {whole:.2f} s · {words}", file=sys.stderr)
    for name, values in ratios.items():
        print(f"{len(trials)} trials of {updates:,} updates on all cores, of {name}: ", end="")
        print(f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})")


@contextmanager
def cluster(where: Path, workers: int) -> Iterator[tuple[str, int]]:
    """Start a scheduler and workers, and give its address and its process."""
    file = where / "scheduler.json"
    from distributed import Client

    with ExitStack() as opened:

        def start(*arguments: str) -> int:
            command = [sys.executable, "-m", "dask", *arguments]
            quiet = subprocess.DEVNULL
            process = subprocess.Popen(command, cwd=where, stdout=quiet, stderr=quiet)
            opened.callback(process.wait)
            opened.callback(process.terminate)
            return process.pid

        local = ["--host", "127.0.0.1", "--no-dashboard"]
        scheduler = start("scheduler", "--port", "0", "--scheduler-file", str(file), *local)
        while not file.exists() or not file.read_text().endswith("}"):
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        for number in range(workers):
            own = ["--nthreads", "1", "--no-nanny", "--local-directory", str(where / str(number))]
            start("worker", address, *own, *local)
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(workers)
        yield address, scheduler


def most_memory(process: int) -> int:
    """Return the most memory that a process has had so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) << 10 if found else 0


def many(trials: int) -> None:
    """Measure what a trial costs that does nothing."""
    sweep = [*PROGRAM, "sweep", "--seeds", str(trials), "--updates", "1", "--sample-every", "none", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        seconds, *_ = run([*sweep, "--name", "near"], here)
        print(f"{trials:,} trials of one update here: {seconds:.1f} s, {1000 * seconds / trials:.1f} ms each")
        again, *_ = run([*sweep, "--name", "near"], here)
        size = sum(path.stat().st_size for path in (here / "runs" / "near").rglob("*") if path.is_file())
        print(
            f"the same command again, with nothing left to do: {again:.1f} s; on the disk {size / 1e6:.0f} MB"
        )
        place = here / "cluster"
        place.mkdir()
        with cluster(place, os.cpu_count() or 1) as (address, scheduler):
            seconds, busy, memory = run([*sweep, "--name", "far", "--dask", address], here)
            peak = most_memory(scheduler)
        if states(here / "runs" / "near") != states(here / "runs" / "far"):
            raise SystemExit("the states differ")
        run_directory = here / "runs" / "far" / "seed-0"
        returned = sum(path.stat().st_size for path in run_directory.rglob("*") if path.is_file())
        print(f"on a Dask cluster: {seconds:.1f} s, {1000 * seconds / trials:.1f} ms each")
        print(f"  the process that sweeps: {1000 * busy / trials:.1f} ms each, {memory / 1e6:.0f} MB in all")
        print(f"  the scheduler: {peak / 1e6:.0f} MB; a trial returns {returned / 1e3:.0f} kB")
        shutil.rmtree(here / "runs")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="cores,trials")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=20_000)
    parser.add_argument("--trials", type=int, default=1000)
    asked = parser.parse_args()
    if "cores" in asked.only:
        cores(asked.rounds, asked.updates)
    if "trials" in asked.only:
        many(asked.trials)


if __name__ == "__main__":
    main()
