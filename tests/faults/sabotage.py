"""Make the program careless on purpose, and see that the tests of this folder notice.

`python -m tests.faults.sabotage` applies each sabotage, one after the other, runs the tests that should
notice it, and writes what failed into `README.md`; with names it tries these alone. Sabotages are functions
that take the place of the program's (`careless.py`); older ones change the source of a copy
(`sabotages.toml`).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.careless import VARIABLE, Careless, sabotages

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
COPIED = ("charrnn_tui", "core/charrnn_core", "corpora", "tests", "pyproject.toml", "README.md")
BEGIN, END = "<!-- sabotages -->", "<!-- end of sabotages -->"
LONGEST = 200.0
"""Seconds for the tests of one sabotage: some have to wait for what never comes."""


@dataclass(frozen=True)
class Sabotage:
    """A way to be careless.

    Attributes
    ----------
    name : str
    says : str
        What the program does then.
    tests : str
        The modules of tests that have to notice, without `test_`.
    changes : tuple of (str, str, str)
        Files below the project, what stands in each of them once, and what takes its place.
    """

    name: str
    says: str
    tests: str
    changes: tuple[tuple[str, str, str], ...]

    def apply(self, project: Path) -> None:
        """Change a copy of the project.

        Raises
        ------
        ValueError
            What should be changed does not stand there once.
        """
        for file, old, new in self.changes:
            path = project / file
            text = path.read_text(encoding="utf-8")
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {file} has {text.count(old)} times {old!r}")
            path.write_text(text.replace(old, new), encoding="utf-8")


def _read() -> tuple[Sabotage, ...]:
    with (HERE / "sabotages.toml").open("rb") as file:
        given = tomllib.load(file)["sabotage"]
    return tuple(
        Sabotage(
            each["name"],
            each["says"],
            each["tests"],
            tuple((change["file"], change["old"], change["new"]) for change in each["change"]),
        )
        for each in given
    )


SABOTAGES: tuple[Sabotage | Careless, ...] = (*_read(), *sabotages().values())
"""All of them."""


def run(sabotage: Sabotage | Careless, workers: int, longest: float = LONGEST) -> tuple[set[str], str]:
    """Return the tests that fail in the sabotaged program, and the last line of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(sabotage, Careless):
            # Compiled code that is kept on disk is found by the source, which is as it was.
            kept = {"NUMBA_CACHE_DIR": folder} if "compiled" in " ".join(sabotage.targets) else {}
            extra = {VARIABLE: sabotage.name, **kept}
            return _run(PROJECT, list(sabotage.tests), extra, workers, longest)
        project = Path(folder)
        for name in COPIED:
            source, target = PROJECT / name, project / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        sabotage.apply(project)
        return _run(project, files_of(sabotage), {}, workers, longest)


def _run(
    project: Path, tests: Sequence[str], extra: dict[str, str], workers: int, longest: float
) -> tuple[set[str], str]:
    command = [
        "prlimit", "--as=8000000000", sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider",
    ]  # fmt: skip
    # Of an error only the line "ERROR at setup of" says that the test itself did not even begin.
    more = ["--tier", "all", "-n", str(workers), "--tb=line", "-W", "ignore"]
    search = os.pathsep.join([str(project), str(project / "core"), *([str(HERE / "hook")] if extra else [])])
    environment = {
        **os.environ,
        "PYTHONPATH": search,
        "CHARRNN_PATIENCE": os.environ.get("CHARRNN_PATIENCE", "8"),
        **extra,
    }
    with subprocess.Popen(
        [*command, *more, *tests], cwd=project, env=environment, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            told, _ = process.communicate(timeout=longest)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            told, _ = process.communicate()
    not_begun = set(re.findall(r"ERROR at setup of (\w+)", told))
    found = re.findall(r"(?:FAILED|ERROR) tests/(?:\w+/)*test_(\w+)\.py::(\w+)", told)
    return {
        f"{module}::{test}" for module, test in found if test not in not_begun
    }, told.strip().splitlines()[-1]


def files_of(sabotage: Sabotage | Careless) -> list[str]:
    """Return the files with the tests that have to notice a sabotage."""
    if isinstance(sabotage, Careless):
        return sorted(sabotage.files)
    return [f"tests/faults/test_{name}.py" for name in sabotage.tests.split()]


def every_test() -> set[str]:
    """Return all tests of this folder, as "kill::test_..."."""
    return {
        f"{path.stem.removeprefix('test_')}::{name}"
        for path in HERE.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)
    }


def recorded() -> dict[str, set[str]]:
    """Return what the README says: by sabotage, the tests that noticed it."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    table = text[text.index(BEGIN) : text.index(END)]
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|.*\| (.*) \|$", table, re.M)
    return {name: set(re.findall(r"`(\w+::\w+)`", tests)) for name, tests in rows}


def record(noticed: dict[str, set[str]]) -> None:
    """Write the table into the README."""
    path = HERE / "README.md"
    text = path.read_text(encoding="utf-8")
    lines = ["| sabotage | what the program does then | tests that fail |", "|---|---|---|"]
    for sabotage in SABOTAGES:
        tests = ", ".join(f"`{test}`" for test in sorted(noticed.get(sabotage.name, ())))
        lines.append(f"| **{sabotage.name}** | {sabotage.says} | {tests} |")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    path.write_text("\n".join([before + BEGIN, "", *lines, "", after]), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sabotage", description=__doc__)
    parser.add_argument("names", nargs="*", help="of the sabotages to try (default: all)")
    parser.add_argument("-n", "--workers", type=int, default=3)
    given = parser.parse_args(arguments)
    noticed = recorded()
    noticed = {name: tests for name, tests in noticed.items() if name in {each.name for each in SABOTAGES}}
    chosen = [each for each in SABOTAGES if each.name in given.names or not given.names]
    # What fails here without any sabotage, for want of time or of a tool say, has noticed nothing.
    whole = {
        test for each in chosen for test in (each.tests if isinstance(each, Careless) else files_of(each))
    }
    excused, last = _run(PROJECT, sorted(whole), {}, given.workers, 1800)
    print(f"without any: {len(excused)} tests failed; {last}", *sorted(excused), flush=True)
    for sabotage in chosen:
        began = time.monotonic()
        failed, last = run(sabotage, given.workers)
        failed -= excused
        noticed[sabotage.name] = failed
        record(noticed)
        print(
            f"{sabotage.name}: {len(failed)} tests failed in {time.monotonic() - began:.0f} s; {last}",
            flush=True,
        )
    missing = every_test().difference(*noticed.values())
    print(f"\ntests that no sabotage makes fail: {len(missing)}", *sorted(missing), sep="\n")
    unnoticed = [name for name, failed in noticed.items() if not failed]
    print("sabotages that nobody notices:", ", ".join(unnoticed) or "none")
    return bool(missing or unnoticed)


if __name__ == "__main__":
    sys.exit(main())
