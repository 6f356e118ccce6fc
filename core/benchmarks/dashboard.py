#!/usr/bin/env python3
"""Six measures of `charrnn tui`, through a pseudo-terminal of 120x40 that is read all the time (Linux).

    python core/benchmarks/dashboard.py [--only training,keys,cpu,start,opening,memory] [--rounds 5]

training
    Updates per second with the dashboard open, of headless `charrnn train`: the same updates of the run on
    the bundled text, from the times in the run's own log; paired, alternating.
keys
    From a key to the bytes that answer it while training: `y` draws the chart again, `t` changes a word, `2`
    and `4` move the focus.
cpu
    Processor time of the dashboard's process while it trains, between samples and while they stream.
start
    From the command to the first header, and to the first header with an update done.
opening
    The chart of a finished run of a million updates, beside a finished run of one update.
memory
    Resident memory of a dashboard whose run's log another process (this one) makes longer by a million
    updates, with samples as often as they are drawn by default, when a tenth is read and at the end.

Each figure is a median with its range, with its target and whether it was met. Other work on the machine
makes all figures but the ratios worse, and the ratios noisier: run it on an idle machine with two cores or
more, and again before believing it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import os
import pty
import random
import re
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.training.state import bucket_width

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
COLUMNS, ROWS = 120, 40
FIRST, LAST = 5_000, 40_000
MILLION = 1_000_000


class Terminal:
    """A program in a pseudo-terminal of its own, which is read whenever something is waited for.

    Parameters
    ----------
    command : sequence of str

    Attributes
    ----------
    pid : int
    began : float
        When the command was given, on the clock of `time.perf_counter`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.began = time.perf_counter()
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execvpe(command[0], list(command), environment)
        self._ended = False

    def press(self, keys: str) -> float:
        """Send keys and return when."""
        os.write(self._descriptor, keys.encode())
        return time.perf_counter()

    def read_until(self, wanted: str, seconds: float = 30.0) -> float:
        """Read until what came since the call holds a regular expression, and return when it did."""
        pattern, seen = re.compile(wanted.encode()), b""
        for block in self._blocks(seconds):
            now = time.perf_counter()
            seen += block
            if pattern.search(seen):
                return now
        raise RuntimeError(f"no {wanted!r} within {seconds} s; the last bytes: {seen[-400:]!r}")

    def read_for(self, seconds: float) -> None:
        """Read for some time."""
        for _ in self._blocks(seconds):
            pass

    def read_to_end(self, seconds: float = 600.0) -> None:
        """Read until the program has ended."""
        self.read_for(seconds)
        if not self._ended:
            raise RuntimeError(f"{self.pid} has not ended within {seconds} s")

    def close(self) -> None:
        """End the program, as closing a terminal's window does."""
        os.close(self._descriptor)
        deadline = time.monotonic() + 10
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the program's process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_bytes(self) -> int:
        """Resident memory of the program's process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _blocks(self, seconds: float) -> Iterator[bytes]:
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            if select.select([self._descriptor], [], [], left)[0]:
                try:
                    block = os.read(self._descriptor, 1 << 16)
                except OSError:  # the other side is closed
                    block = b""
                if not block:
                    self._ended = True
                    return
                yield block


@contextmanager
def opened(*arguments: str | Path) -> Iterator[Terminal]:
    """Open the dashboard with these arguments."""
    terminal = Terminal([*PROGRAM, "tui", *map(str, arguments)])
    try:
        yield terminal
    finally:
        terminal.close()


_MET: list[bool] = []


def tell(name: str, values: Sequence[float], target: float, unit: str, *, least: bool = False) -> None:
    """Say median and range of values, their target, and whether the median meets it."""
    median = statistics.median(values)
    met = median >= target if least else median <= target
    _MET.append(met)
    sign = "≥" if least else "≤"
    print(
        f"{'PASS' if met else 'FAIL'}  {name}: {median:.3g} {unit} ({min(values):.3g} to {max(values):.3g}; "
        f"target {sign} {target:g} {unit})",
        flush=True,
    )


# -- training ----------------------------------------------------------------------------------------------


def training(folder: Path, rounds: int) -> None:
    """Measure what the dashboard costs training."""
    ratios = []
    for number in range(1, rounds + 1):
        rates: dict[str, float] = {}
        pair: list[tuple[str, Callable[[str], None]]] = [
            ("headless", lambda name: train(folder, name)),
            ("dashboard", lambda name: train_watched(folder, name)),
        ]
        for kind, run in pair if number % 2 else reversed(pair):
            name = f"{kind}-{number}"
            run(name)
            rates[kind] = rate_of(folder / name)
        ratios.append(rates["dashboard"] / rates["headless"])
        print(
            f"      round {number}: headless {rates['headless']:,.0f}/s, with the dashboard "
            f"{rates['dashboard']:,.0f}/s, {ratios[-1]:.3f}x",
            flush=True,
        )
    tell("training with the dashboard open, of headless", ratios, 0.95, "x", least=True)


def train(folder: Path, name: str) -> None:
    """Train without a screen."""
    terminal = Terminal(
        [*PROGRAM, "train", "--updates", str(LAST), "--runs", str(folder), "--name", name, "--quiet"]
    )
    terminal.read_to_end()
    terminal.close()


def train_watched(folder: Path, name: str) -> None:
    """Train the same with the dashboard open."""
    with opened("--updates", str(LAST), "--runs", folder, "--name", name) as terminal:
        terminal.read_until("ended", 600)
        terminal.press("q")
        terminal.read_to_end(30)


def rate_of(run: Path) -> float:
    """Return the updates per second of a run between two updates, from its log."""
    times = {
        event["update"]: event["time"]
        for event in map(json.loads, (run / "events.jsonl").read_text().splitlines())
        if event["type"] == "progress" and FIRST <= event["update"] <= LAST
    }
    return float((max(times) - min(times)) / (times[max(times)] - times[min(times)]))


# -- keys --------------------------------------------------------------------------------------------------


def keys(folder: Path, each: int = 68) -> None:
    """Measure how long a key takes to change the screen while training."""
    kinds = {
        "chart": (("y", "log y"), ("y", "linear")),
        "word": (("t", r"temperature 0\.9"), ("T", "temperature 1")),
        "focus": (("2", "Gradients"), ("4", "Run")),
    }
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    moments = random.Random(0)
    with opened("--runs", folder, "--name", "keys") as terminal:
        terminal.read_until(r"update [\d,]{5,}")
        terminal.read_for(3.0)
        for kind, pair in kinds.items():
            for number in range(each):
                key, answer = pair[number % 2]
                sent = terminal.press(key)
                took[kind].append(1000 * (terminal.read_until(answer) - sent))
                terminal.read_for(moments.uniform(0.1, 0.3))
    every = sorted(value for values in took.values() for value in values)
    for kind, values in took.items():
        print(
            f"      {kind}: median {statistics.median(values):.1f} ms, 99 % "
            f"{percentile(values, 0.99):.1f} ms ({min(values):.1f} to {max(values):.1f}, {len(values)} keys)"
        )
    tell("key to screen while training", every, 15, "ms")
    tell("key to screen while training, 99 %", [percentile(every, 0.99)], 60, "ms")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so large a share of the values is not above."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


# -- processor time ----------------------------------------------------------------------------------------


def cpu(folder: Path, seconds: float = 20.0) -> None:
    """Measure the processor time of the dashboard's process while it trains."""
    for what, every, target in (("between samples", "none", 20), ("while samples stream", "2000", 35)):
        with opened("--runs", folder, "--name", f"cpu-{every}", "--sample-every", every) as terminal:
            terminal.read_until(r"update [\d,]{5,}")
            terminal.read_for(3.0)
            shares = []
            for _ in range(5):
                began, before = time.perf_counter(), terminal.cpu_seconds
                terminal.read_for(seconds / 5)
                shares.append(100 * (terminal.cpu_seconds - before) / (time.perf_counter() - began))
        tell(f"processor time {what}", shares, target, "% of a core")


# -- start -------------------------------------------------------------------------------------------------


def start(folder: Path, rounds: int) -> None:
    """Measure how long the first paint takes."""
    header, update, imports = [], [], []
    for number in range(rounds + 1):
        bare = Terminal([sys.executable, "-c", "import numpy, textual.app, textual.widgets, typer; print(1)"])
        imports.append(bare.read_until("1") - bare.began)
        bare.close()
        with opened("--runs", folder, "--name", f"start-{number}") as terminal:
            header.append(terminal.read_until("starting|training") - terminal.began)
            update.append(terminal.read_until(r"update [1-9]") - terminal.began)
    # The first round reads the disk and compiles.
    tell("first paint after the command", header[1:], 1, "s")
    tell("first update shown", update[1:], 2, "s")
    ratios = [mine / theirs for mine, theirs in zip(header[1:], imports[1:], strict=True)]
    print(
        f"      first paint, of importing NumPy, Textual and Typer ({statistics.median(imports[1:]):.2f} s): "
        f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


# -- opening -----------------------------------------------------------------------------------------------


def opening(folder: Path, rounds: int) -> None:
    """Measure how long it takes to open a long run."""
    train_short(folder, "empty")
    long = train_short(folder, "long")
    *begun, ended = long.events_file.path.read_text().splitlines(keepends=True)
    lines = [*begun, *(line for _, line in made_up(1))]
    lines.append(json.dumps({**json.loads(ended), "update": MILLION, "time": MILLION / 8000}) + "\n")
    long.events_file.path.write_text("".join(lines))
    seconds: dict[str, list[float]] = {"empty": [], "long": []}
    for number in range(rounds + 1):
        for name in ("empty", "long") if number % 2 else ("long", "empty"):
            with opened(folder / name) as terminal:
                seconds[name].append(terminal.read_until("smooth over min") - terminal.began)
                terminal.press("q")
                terminal.read_to_end(30)
    more = [mine - theirs for mine, theirs in zip(seconds["long"][1:], seconds["empty"][1:], strict=True)]
    print(f"      an empty run is open after {statistics.median(seconds['empty'][1:]):.2f} s")
    tell(f"a run of a million updates ({len(lines):,} events), more than that", more, 0.5, "s")


def train_short(folder: Path, name: str) -> RunDirectory:
    """Make a run of one update."""
    terminal = Terminal(
        [*PROGRAM, "train", "--updates", "1", "--runs", str(folder), "--name", name, "--quiet"]
    )
    terminal.read_to_end()
    terminal.close()
    return RunDirectory(folder / name)


def made_up(update: int, last: int = MILLION, sample_every: int = 10_000) -> Iterator[tuple[int, str]]:
    """Yield the lines that a run would log after an update, each with its update, with made-up losses."""
    luck = random.Random(0)
    letters = "etaoin shrdlu cmfwyp vbgkjqxz,.\n"
    smooth = 100.0
    while update < last:
        first, update = update + 1, update + bucket_width(update)
        smooth += 0.02 * (45 - smooth + luck.gauss(0, 3))
        event: dict[str, Any] = {
            "type": "progress", "update": update, "time": update / 8000, "first_update": first,
            "epoch": update / 9048, "position": update * 25 % 226_000, "loss_mean": smooth,
            "loss_min": smooth - 8 * luck.random(), "loss_max": smooth + 8 * luck.random(),
            "smooth_loss": smooth, "gradient_norm": 6 + luck.random(), "clipped_share": 0.0,
            "updates_per_second": 8000 + 100 * luck.random(),
        }  # fmt: skip
        yield update, json.dumps(event) + "\n"
        common = {"update": update, "time": update / 8000, "smooth_loss": smooth}
        for _ in range(update // sample_every - (first - 1) // sample_every):
            text = "".join(luck.choices(letters, k=200))
            event = {"type": "sample", **common, "text": text, "temperature": 1.0, "prime": ""}
            yield update, json.dumps(event) + "\n"
        if update // 9048 > (first - 1) // 9048:
            yield update, json.dumps({"type": "epoch", **common, "epoch": update // 9048}) + "\n"


# -- memory ------------------------------------------------------------------------------------------------


def memory(folder: Path, seconds: float = 60.0) -> None:
    """Measure how much memory a run costs that gets long before the dashboard's eyes."""
    run = train_short(folder, "growing")
    begun = run.events_file.path.read_text().splitlines(keepends=True)[:-1]
    run.events_file.path.write_text("".join(begun))
    lock = run.lock()
    lines = list(made_up(1))
    sizes = []
    with opened(run.path) as terminal, run.events_file.path.open("a", buffering=1) as log:
        terminal.read_until("smooth over min")
        terminal.read_for(3.0)
        sizes.append(terminal.resident_bytes)
        for tenth in range(10):
            part = lines[len(lines) * tenth // 10 : len(lines) * (tenth + 1) // 10]
            pieces = max(1, round(seconds))
            for piece in range(pieces):
                here = part[len(part) * piece // pieces : len(part) * (piece + 1) // pieces]
                log.writelines(line for _, line in here)
                if here:
                    update = here[-1][0]
                    run.write_status(
                        {"state": "training", "pid": os.getpid(), "phase": "training", "update": update,
                         "epoch": update / 9048, "smooth_loss": 45.0, "updates_per_second": 8000.0,
                         "time": update / 8000}
                    )  # fmt: skip
                terminal.read_for(seconds / 10 / pieces)
            sizes.append(terminal.resident_bytes)
        terminal.read_for(5.0)
        sizes.append(terminal.resident_bytes)
    os.close(lock)
    print("      MB: " + ", ".join(f"{size / 1e6:.1f}" for size in sizes))
    tell(f"memory at the end of {len(lines):,} events, of that at a tenth", [sizes[-1] / sizes[1]], 1.1, "x")


# ----------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    measures = {
        "training": lambda folder: training(folder, arguments.rounds),
        "keys": keys,
        "cpu": cpu,
        "start": lambda folder: start(folder, arguments.rounds),
        "opening": lambda folder: opening(folder, arguments.rounds),
        "memory": memory,
    }
    parser.add_argument("--only", default=",".join(measures), help="some of: %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if not set(chosen) <= set(measures):
        parser.error(f"--only is some of {','.join(measures)}")
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f} before; other work makes these figures worse", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in chosen:
            measures[name](Path(folder))
    return 0 if all(_MET) else 1


if __name__ == "__main__":
    sys.exit(main())
