"""The table of reliability: for each row of the matrix what was injected, and what came of it."""

from __future__ import annotations

import json
import platform
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.matrix import ROWS

RESULTS = Path(__file__).parent / "fuzz" / "results.json"
PROBLEMS = ("violations", "tracebacks", "hangs", "escape codes")
"""What can come of an injection that should not: of the invariant or another promise, or of one of these."""


class Tally:
    """The sums of what the tests have reported.

    Attributes
    ----------
    rows : dict of Counter
        By row: tests, skipped tests, injections, slow answers, and each of `PROBLEMS`.
    longest : dict of float
        By row: seconds of the longest answer.
    skipped : set of str
        Why tests were skipped.
    """

    def __init__(self) -> None:
        self.rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.longest: defaultdict[str, float] = defaultdict(float)
        self.skipped: set[str] = set()
        self._skipped_tests: set[str] = set()

    def add(self, report: pytest.TestReport) -> None:
        """Add what a phase of a test has reported."""
        told: dict[str, Any] = dict(report.user_properties)
        row = told.get("row")
        if row is None:
            return
        counts = self.rows[row]
        if report.skipped:
            self._skipped_tests.add(report.nodeid)
        if report.failed:
            counts[told.get("problem", PROBLEMS[0])] += 1
        if report.skipped:
            counts["skipped"] += 1
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.skipped.add(reason.removeprefix("Skipped: "))
        elif report.when == "teardown" and report.nodeid not in self._skipped_tests:
            counts["tests"] += 1
            counts["injections"] += told.get("injections", 0)
            counts["slow"] += told.get("slow", 0)
            self.longest[row] = max(self.longest[row], told.get("longest", 0.0))

    def results(self) -> Iterator[tuple[str, Counter[str], float]]:
        """Yield name, counts and longest answer of each row, in the order of the matrix."""
        for name in ROWS:
            if name in self.rows:
                yield name, self.rows[name], self.longest[name]

    def shortcoming(self) -> str:
        """Return what keeps the table from being one of a thorough run, in words; or nothing."""
        told = [f"no {name}" for name in ROWS if name not in self.rows]
        for name, counts, _ in self.results():
            if counts["injections"] < ROWS[name].least:
                told.append(f"{name}: {counts['injections']:,} of at least {ROWS[name].least:,}")
            if counts["slow"]:
                told.append(f"{name}: {counts['slow']} answers took longer than {ROWS[name].slow:g} s")
        return "; ".join(told)

    def text(self) -> str:
        """Return the sums as lines for a terminal."""
        lines = [f"{'row':<12}{'injections':>11}{'at least':>10}{'longest':>9}  problems"]
        for name, counts, longest in self.results():
            problems = ", ".join(f"{counts[problem]} {problem}" for problem in PROBLEMS if counts[problem])
            few = " too few" if counts["injections"] < ROWS[name].least else ""
            slow = f" {counts['slow']} over {ROWS[name].slow:g} s" if counts["slow"] else ""
            seconds = f"{longest:.2f} s" if longest else ""
            figures = f"{counts['injections']:>11,}{ROWS[name].least:>10,}{seconds:>9}"
            lines.append(f"{name:<12}{figures}  {problems or 'none'}{slow}{few}")
        return "\n".join(lines)


HEAD = """\
# Reliability

Each row below is a kind of fault. The tests really inject it: they kill processes, fill disks, make system
calls fail, cut the power, damage files and close terminals. After each injection these promises must hold:

- At least one checkpoint of the run is whole, and is a state that the run really had. The best one is never
  worse than before. No readable checkpoint is replaced by an unreadable one. No half-written file has a
  final name. The log loses at most its torn last line.
- Whatever is refused is refused in one sentence, with an exit code and without a traceback.
- Nothing hangs: commands, signals and saves are answered within 2 s, and a file that is not a text is refused
  within 1 s.
- A terminal obeys nothing that a text, a model, a file or a name contains.
"""


FOOT = """\
What the columns mean:

- **injections**: how often the fault was injected. A test that does not count its injections counts as one;
  a test that only shows that the others would find something counts as none.
- **longest answer**: the longest time until the program answered: a refusal, from the start of the process;
  an end, from the signal that asks for it; a save or the reading of a file, from its beginning. Three tests
  ran at a time, on two cores. An answer that takes too long counts as a hang. Where many commands run in one
  process, on edited run directories and logs, the time does not include the start of the process.
- **violations**: tests that failed for any other reason than a traceback, a hang, or codes for a terminal.

Each of these tests was seen to fail where the program was made to be careless; the list of those sabotages,
and the command that repeats them, are in `tests/faults/README.md`.

## Ctrl+C while a command starts

`charrnn` handles SIGINT in the first lines of its own code, before it imports anything: from there on Ctrl+C
ends a command by the signal, without a traceback, until the command handles it itself (exit code 130).
SIGTERM and SIGHUP end a process without a traceback from its first instruction.

What remains is the time before those lines, in which Python answers Ctrl+C by a `KeyboardInterrupt`: the end
of its own start (the module `site`, and what other packages have it import), the script `charrnn` that the
installer has written, and the search for the package. A traceback from there has no line of charrnn in it,
and nothing has been read or written by then. On the machine of this page Python installs its handler 10 ms
after the start of the process. With a script written by a current pip, charrnn replaces it 7 ms later (13 ms
if it imported `signal` in the usual way first). Older versions of pip write a script that imports `re` first,
which adds 10 ms; `python -m charrnn_tui` takes 12 ms. On a busy machine all of these times grow alike.

## Signals while a run is busy

The first SIGINT, SIGTERM or SIGHUP ends a run within 2 s, one update and one save, whatever it does: it
may be training, scoring, checking, drawing a sample that was asked for, reading a prime, answering
commands, or waiting for its code to be compiled. What was asked for and is not done by then is refused.
Code is compiled by a process of its own, which ends with the run. Only where Numba has no directory to
keep code in does the run compile itself: a signal is then answered between two functions, which takes
some seconds. A run that is ended before its first save, and so before its first update, is resumed from
its beginning.

## The page of `charrnn serve`

Closing a page ends its dashboard, and a signal ends the server, within 5 s, whatever the dashboards do; the
table has the counts. A second signal, also within a millisecond, changes nothing: the exit code is that of
one of the two. `SECURITY.md` says who gets an answer.
"""


def write_table(path: Path, tally: Tally, *, thorough: bool) -> None:
    """Write the page with the table."""
    option = " --thorough" if thorough else ""
    lines = [HEAD]
    lines += [
        f"This table is from {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        f"{platform.system()}, commit {_commit()}. This command makes it again:",
        "",
        f"    pytest tests/faults{option} --table docs/reliability.md",
        "",
        "| fault | how | injections | longest answer | violations | tracebacks | hangs | escape codes |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    sums: Counter[str] = Counter()
    for name, counts, longest in tally.results():
        sums.update(counts)
        row = ROWS[name]
        hangs = counts["hangs"] + counts["slow"]
        problems = f"{counts['violations']} | {counts['tracebacks']} | {hangs} | {counts['escape codes']}"
        seconds = f"{longest:.2f} s" if longest else "not measured"
        lines.append(f"| {row.fault} | {row.means} | {counts['injections']:,} | {seconds} | {problems} |")
    hangs = sums["hangs"] + sums["slow"]
    problems = f"{sums['violations']} | {sums['tracebacks']} | {hangs} | {sums['escape codes']}"
    lines.append(f"| **all** | {sums['tests']:,} tests | {sums['injections']:,} | | {problems} |")
    if tally.skipped:
        lines += [
            "",
            "Left out where this was run:",
            "",
            *(f"- {reason}" for reason in sorted(tally.skipped)),
        ]
    path.write_text("\n".join([*lines, "", *_fuzzed(), FOOT]), encoding="utf-8")


def _commit() -> str:
    """Return which version of the project this is."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _fuzzed() -> list[str]:
    """Return what the fuzzer has tried, as lines."""
    told = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if not told:
        return []
    lines = [
        "A coverage-guided fuzzer has tried any bytes on the readers of files that anybody can write:",
        "",
    ]
    lines += ["| reader | minutes | inputs | findings not fixed |", "|---|--:|--:|--:|"]
    for reader, each in told.items():
        lines.append(f"| {reader} | {each['minutes']:g} | {each['inputs']:,} | {each['findings']} |")
    return [*lines, "", "    python -m tests.faults.fuzz checkpoint --minutes 20 --record", ""]
