"""The table of reliability: for each row of the matrix what was injected, and what came of it."""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.matrix import ROWS

RESULTS = Path(__file__).parent / "fuzz" / "results.json"
MEASURED = Path(__file__).parent / "measured.json"
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


def write_table(page: Path, tally: Tally) -> None:
    """Put into a page the rows that were run now, beside the others as they were measured before.

    All rows take an hour, and rows whose times are measured need a machine of their own.
    """
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    now = f"{datetime.now(UTC):%Y-%m-%d}, {_commit()}"
    for name, counts, longest in tally.results():
        problems = {problem: counts[problem] for problem in PROBLEMS}
        problems["hangs"] += counts["slow"]
        measured[name] = {"when": now, "injections": counts["injections"], "longest": longest, **problems}
    measured = {name: measured[name] for name in ROWS if name in measured}
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    text = _replaced(page.read_text(encoding="utf-8"), "faults", [*_rows(measured), *_left_out(tally)])
    page.write_text(_replaced(text, "fuzzers", _fuzzed()), encoding="utf-8")


def _replaced(text: str, name: str, lines: list[str]) -> str:
    """Return a page with these lines between two comments that name the place."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, after = text.index(begin) + len(begin), text.index(end)
    return "".join([text[:before], "\n", *(f"{line}\n" for line in lines), "\n", text[after:]])


def _rows(measured: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        f"| fault | how | injections | longest answer | {' | '.join(PROBLEMS)} | measured |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for name, each in measured.items():
        seconds = f"{each['longest']:.2f} s" if each["longest"] else "not measured"
        problems = " | ".join(str(each[problem]) for problem in PROBLEMS)
        figures = f"{each['injections']:,} | {seconds} | {problems} | {each['when']}"
        lines.append(f"| {ROWS[name].fault} | {ROWS[name].means} | {figures} |")
    sums = {key: sum(each[key] for each in measured.values()) for key in ("injections", *PROBLEMS)}
    problems = " | ".join(str(sums[problem]) for problem in PROBLEMS)
    return [*lines, f"| **all** | | {sums['injections']:,} | | {problems} | |"]


def _left_out(tally: Tally) -> list[str]:
    reasons = [f"- {reason}" for reason in sorted(tally.skipped)]
    return ["", "Left out where this was run:", "", *reasons] if reasons else []


def _commit() -> str:
    """Return which version of the project this is."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _fuzzed() -> list[str]:
    """Return what the fuzzer has tried, as lines."""
    lines = ["| reader | minutes | inputs | findings not fixed |", "|---|--:|--:|--:|"]
    for reader, each in json.loads(RESULTS.read_text(encoding="utf-8")).items():
        lines.append(f"| {reader} | {each['minutes']:g} | {each['inputs']:,} | {each['findings']} |")
    return lines
