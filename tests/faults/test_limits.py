"""Low limits of the process: every command works, or ends in a sentence with exit code 1."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.faults import ledger
from tests.faults.promises import AtOnce, assert_harmless
from tests.program import SMALL, TEXT, Finished, charrnn, in_shell

pytestmark = pytest.mark.fault("limit")

COMMANDS = {
    "train": ["train", "book.txt", *SMALL],
    "report": ["report", "done"],
    "help": ["--help"],
}
MORE_COMMANDS = {
    "version": ["--version"],
    "corpora": ["corpora"],
    "resume": ["resume", "done", "--updates", "60"],
    "study": ["study", "book.txt", *SMALL],
    "sample": ["sample", "done", "--length", "50"],
    "score": ["sample", "done", "--score", "book.txt"],
    "gradcheck": ["gradcheck", "done"],
    "plot": ["plot", "done", "--output", "loss.svg"],
    "export": ["export", "done"],
    "runs": ["runs"],
    "bench": ["bench", "book.txt", "--rounds", "1", "--hidden", "8"],
    "sweep": ["sweep", "book.txt", "--vary", "hidden=4,5", "--updates", "20", "--jobs", "1"],
}

LIMITS = ["-v 60000", "-v 120000", "-v 300000", "-n 5", "-n 12", "-f 0", "-s 256"]
MORE_LIMITS = ["-v 90000", "-v 180000", "-v 260000", "-v 320000", "-n 6", "-n 7", "-n 8", "-f 8", "-s 512"]
MORE_MEMORY = [f"-v {size}" for size in (90000, 150000, 180000, 220000, 260000, 300000, 400000, 700000)]


def under(limit: str, where: Path, command: list[str]) -> Finished:
    return in_shell(f'ulimit {limit} && exec "$@"', where, *command)


def assert_ended_well(finished: Finished, limit: str) -> None:
    """It worked, or the last line says in the words of the program what was wrong."""
    ledger.waited(finished.seconds)
    assert_harmless(finished.err)
    assert finished.code in (0, 1), (limit, finished)
    assert not re.search(r"\bNone\b", finished.err), finished.err
    if finished.code == 1:
        last = finished.err.rstrip("\n").split("\n")[-1]
        assert last.startswith("charrnn: "), (limit, finished.err)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a run of it that has ended."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "book.txt").write_text(TEXT, encoding="utf-8")
    assert charrnn(folder, "train", "book.txt", "--name", "done", *SMALL).code == 0
    return folder


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("limit", [*LIMITS, *MORE_LIMITS])
def test_under_a_limit_a_command_works_or_says_why(
    limit: str, done: Path, at_once: AtOnce, thorough: bool
) -> None:
    if limit in MORE_LIMITS and not thorough:
        pytest.skip("for a thorough run")
    commands = {**COMMANDS, **(MORE_COMMANDS if thorough else {})}

    def run(name: str, where: Path) -> Finished:
        shutil.copytree(done, where, dirs_exist_ok=True)
        return under(limit, where, commands[name])

    for _, outcome in at_once(commands, run).values():
        assert_ended_well(outcome.result(), limit)
        ledger.injected()


@pytest.mark.slow
def test_with_little_memory_the_compiled_engine_is_refused(
    done: Path, at_once: AtOnce, thorough: bool
) -> None:
    limits = MORE_MEMORY if thorough else MORE_MEMORY[-2:]

    def run(limit: str, where: Path) -> Finished:
        shutil.copytree(done, where, dirs_exist_ok=True)
        return under(limit, where, ["train", "book.txt", "--engine", "numba", *SMALL])

    for limit, (_, outcome) in at_once(limits, run).items():
        finished = outcome.result()
        if "--engine numba is not possible" in finished.err:
            assert_harmless(finished.err)
            assert finished.code == 2, finished
        else:  # there is too little memory for anything
            assert_ended_well(finished, limit)
            assert finished.code == 1, finished
        ledger.injected()


def test_a_limit_of_memory_is_named(here: Path) -> None:
    finished = under("-v 60000", here, ["train", "book.txt", *SMALL])
    assert finished.code == 1
    assert re.fullmatch(r"charrnn: libraries cannot be used: .+; raise the limit of address space, 61 MB "
                        r"\(ulimit -v\)\n", finished.err), finished.err  # fmt: skip
    assert not (here / "runs").exists()


def test_a_limit_of_memory_leaves_the_compiled_engine_out(here: Path) -> None:
    finished = in_shell(
        'unset CHARRNN_ENGINE; ulimit -v 900000 && exec "$@"', here, "train", "book.txt", "-q", *SMALL
    )
    assert finished.err.startswith("charrnn: the engine numba is not used: it needs 1.0 GB; raise the limit")
    assert (finished.code, finished.err.count("\n")) == (0, 1), finished.err


NEEDED = {
    "-n 20": "32 open files; raise the limit of open files, 20 (ulimit -n)",
    "-v 400000": "500 MB of memory; raise the limit of address space, 410 MB (ulimit -v)",
}


@pytest.mark.parametrize("limit", NEEDED)
def test_the_dashboard_says_what_it_needs(limit: str, dashboard: Any) -> None:
    dashboard.program = ["/bin/bash", "-c", f'ulimit {limit} && exec "$@"', "sh", *dashboard.program]
    terminal = dashboard("book.txt")
    assert terminal.ends() == 1
    assert terminal.said[-1] == f"charrnn: the dashboard needs {NEEDED[limit]}"
