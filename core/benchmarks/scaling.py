#!/usr/bin/env python3
"""How speed and memory grow with m, B, K, T and the length of the text, as Markdown tables and a figure.

    python core/benchmarks/scaling.py CORPUS [--rounds 3] [--seconds 1] [--curves m B K T text]
        [--largest-text 1000000000] [--figure scaling.svg]

One thread and float32. The engines' bare loops, in turn; whatever is not varied is m = 100, B = 1, T = 25 and
CORPUS. Texts with more characters are made up; longer texts are CORPUS again and again, and measured by
`charrnn train TEXT --updates 1`: seconds from the shell's prompt to its end, which is the first update's, and
the peak of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from charrnn_core.text.corpus import read_corpus
from charrnn_tui.report.figures.look import DASHES, PAPER, styled

BARE = Path(__file__).parent / "peers" / "bare.py"
ENGINES = ("numpy", "numba")
VARIED = {
    "m": [32, 64, 100, 128, 256, 512, 1024, 2048],
    "B": [1, 2, 4, 8, 16, 32, 64, 128, 256],
    "K": [16, 65, 256, 1000, 3000, 10_000],
    "T": [5, 10, 25, 50, 100, 250, 1000],
}
OPTIONS = {"m": "--hidden", "B": "--batch-size", "T": "--seq-length"}
TEXTS = [1_000_000, 10_000_000, 100_000_000, 1_000_000_000]
TITLES = {
    "m": "hidden units m",
    "B": "streams B",
    "K": "characters K of the vocabulary",
    "T": "characters T of a window",
    "text": "bytes of the text",
}
ONE_THREAD = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Point(NamedTuple):
    """A measurement: what was varied, the values of all rounds, and the peak of memory in MB."""

    at: int
    values: list[float]
    memory: float


def run(command: list[str]) -> tuple[str, float, float]:
    """Return what a process prints, its seconds, and its peak of memory in MB."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ONE_THREAD) as process:
        assert process.stdout is not None
        told = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {process.returncode}")
    return told, time.perf_counter() - began, usage.ru_maxrss / 1000


def bare_rate(engine: str, corpus: str, options: list[str], updates: int) -> tuple[float, float]:
    """Return updates per second of an engine's loop, and its memory."""
    words = ["--engine", engine, "--updates", str(updates), *options]
    told, _, memory = run([sys.executable, str(BARE), corpus, *words])
    rate: float = json.loads(told.splitlines()[-1])["updates_per_s"]
    return rate, memory


def text_of(characters: int, work: Path) -> str:
    """Return the path of a made-up text in so many different characters, some much commoner than others."""
    path = work / f"k{characters}.txt"
    if not path.exists():
        generator = random.Random(0)
        alphabet = [chr(0x4E00 + number) for number in range(characters)]
        weights = [1 / (number + 1) for number in range(characters)]
        drawn = generator.choices(alphabet, weights, k=300_000)
        path.write_text("".join(alphabet + drawn), "utf-8")
    return str(path)


def speed_curve(
    name: str, corpus: str, work: Path, rounds: int, seconds: float
) -> Iterator[tuple[str, Point]]:
    """Measure characters per second of both engines at each value."""
    for value in VARIED[name]:
        text = text_of(value, work) if name == "K" else corpus
        options = [OPTIONS[name], str(value)] if name in OPTIONS else []
        characters = (value if name == "T" else 25) * (value if name == "B" else 1)
        updates = {}
        for engine in ENGINES:
            count = 4
            while (
                rate := bare_rate(engine, text, options, count)[0]
            ) * seconds > 4 * count and count < 10_000:
                count *= 8
            updates[engine] = max(3, round(rate * seconds))
        measured: dict[str, list[tuple[float, float]]] = {engine: [] for engine in ENGINES}
        for _ in range(rounds):
            for engine in ENGINES:
                measured[engine].append(bare_rate(engine, text, options, updates[engine]))
        for engine, results in measured.items():
            rates = [rate * characters for rate, _ in results]
            yield engine, Point(value, rates, max(memory for _, memory in results))


def text_curve(corpus: str, work: Path, rounds: int, largest: int) -> Iterator[tuple[str, Point]]:
    """Measure the seconds to the first update of texts of each length."""
    whole = Path(corpus).read_bytes()
    for size in TEXTS:
        if size > largest:
            continue
        path = work / "long.txt"
        with path.open("wb") as file:
            for _ in range(-(-size // len(whole))):
                file.write(whole)
        measured: dict[str, list[tuple[float, float]]] = {engine: [] for engine in ENGINES}
        for _ in range(rounds):
            for engine in ENGINES:
                words = ["train", str(path), "--updates", "1", "--quiet", "--engine", engine]
                with tempfile.TemporaryDirectory(dir=work) as runs:
                    _, took, memory = run([sys.executable, "-m", "charrnn_tui", *words, "--runs", runs])
                measured[engine].append((took, memory))
        for engine, results in measured.items():
            yield engine, Point(size, [took for took, _ in results], max(memory for _, memory in results))
        path.unlink()


def told(point: Point) -> str:
    digits = ",.0f" if min(point.values) >= 100 else ".2f"
    low, middle, high = min(point.values), statistics.median(point.values), max(point.values)
    return f"{middle:{digits}} ({low:{digits}} to {high:{digits}}) | {point.memory:,.0f}"


def table(name: str, curves: dict[str, list[Point]]) -> None:
    unit = "s to the first update" if name == "text" else "characters/s"
    columns = [word for engine in ENGINES for word in (f"{engine}: {unit}", "MB")]
    print(f"\n| {TITLES[name]} | " + " | ".join(columns) + " |")
    print("|---:" * (1 + len(columns)) + "|")
    for points in zip(*(curves[engine] for engine in ENGINES), strict=True):
        print(f"| {points[0].at:,} | " + " | ".join(told(point) for point in points) + " |")


def draw(measured: dict[str, dict[str, list[Point]]], path: Path) -> None:
    """Draw all curves side by side, both axes logarithmic."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    with styled(PAPER):
        figure = Figure(figsize=(10, 5.6), layout="constrained")
        axes: list[Any] = list(figure.subplots(2, 3).flat)
        for name, axis in zip(measured, axes, strict=False):
            for number, engine in enumerate(ENGINES):
                points = measured[name][engine]
                axis.errorbar(
                    [point.at for point in points],
                    [statistics.median(point.values) for point in points],
                    [
                        [statistics.median(point.values) - min(point.values) for point in points],
                        [max(point.values) - statistics.median(point.values) for point in points],
                    ],
                    color=PAPER.lines[number],
                    linestyle=DASHES[number],
                    marker="o",
                    markersize=3,
                    label={"numpy": "NumPy", "numba": "compiled by Numba"}[engine],
                )
            axis.set_xscale("log")
            axis.set_yscale("log")
            few = max(point.at for point in points) < 300
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 4) if few else (1,)))
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            for scale in (axis.xaxis, axis.yaxis):
                scale.set_major_formatter(EngFormatter(sep=""))
                scale.set_minor_locator(NullLocator())
            axis.grid(color=PAPER.grid, linewidth=0.6)
            if name == "text":
                axis.yaxis.set_major_formatter("{x:g}")
            axis.set_title("seconds to the first update" if name == "text" else "characters a second")
            axis.set_xlabel(TITLES[name])
        for axis in axes[len(measured) :]:
            axis.set_axis_off()
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--curves", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--largest-text", type=int, default=TEXTS[-1])
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    corpus = str(Path(options.corpus).resolve())
    print(
        f"K = {len(read_corpus(corpus).vocabulary)}, float32, one thread; median of {options.rounds} (range)"
    )
    measured: dict[str, dict[str, list[Point]]] = {}
    with tempfile.TemporaryDirectory() as work:
        for name in options.curves:
            curves: dict[str, list[Point]] = {engine: [] for engine in ENGINES}
            points = (
                text_curve(corpus, Path(work), options.rounds, options.largest_text)
                if name == "text"
                else speed_curve(name, corpus, Path(work), options.rounds, options.seconds)
            )
            for engine, point in points:
                curves[engine].append(point)
                print(f"{name} {point.at:,} {engine}: {told(point)}", file=sys.stderr, flush=True)
            measured[name] = curves
            table(name, curves)
    if options.figure is not None:
        draw(measured, options.figure)


if __name__ == "__main__":
    main()
