"""A sweep on a real Dask cluster on this machine: a scheduler and workers, started from the shell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.program import (
    PATIENCE,
    TEXT,
    assert_saved,
    charrnn,
    environment,
    finish,
    of_type,
    run_path,
    started,
    stopped,
    until,
)
from tests.sweeps.programs import TINY, assert_once, is_gone, rows_of, slots_of, states_of, updates_of

pytest.importorskip("distributed", reason="needs the extra cluster")

GRID = ["--vary", "hidden=4,6", "--seeds", "2", *TINY[2:], "--updates", "16000", "--quiet"]


@dataclass
class Cluster:
    """A scheduler and its workers.

    Attributes
    ----------
    address : str
    workers : list of Popen
    """

    address: str
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Two workers with a thread each, which share no directory with anybody."""
    place = tmp_path / "cluster"
    place.mkdir()
    told = place / "scheduler.json"
    with ExitStack() as opened:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            log = opened.enter_context((place / f"{len(list(place.iterdir()))}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                cwd=place,
                env=environment(),
                stdout=log,
                stderr=log,
            )
            opened.callback(process.wait, PATIENCE)
            opened.callback(process.kill)
            return process

        start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told)
        )
        until(lambda: told.exists() and told.read_text(encoding="utf-8").endswith("}"))
        address = json.loads(told.read_text(encoding="utf-8"))["address"]
        common = ("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory")
        workers = [start(*common, str(place / name)) for name in ("one", "two")]
        until(
            lambda: b"".join(log.read_bytes() for log in place.glob("*.log")).count(b"Register worker") == 2
        )
        yield Cluster(address, workers)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    where = tmp_path / "here"
    where.mkdir()
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    return where


def test_with_a_worker_killed_all_trials_end_as_on_this_machine(cluster: Cluster, here: Path) -> None:
    asked = ["--dask", cluster.address, "--return-every", "0.3", "--name", "far"]
    with started(here, "sweep", "book.txt", *GRID, *asked) as process:
        path = run_path(process)
        # Something of the killed worker's trial has been returned by then.
        until(lambda: updates_of(path) > 2000 and slots_of(cluster.workers[0].pid))
        slots = slots_of(cluster.workers[0].pid)
        cluster.workers[0].kill()
        _, err = process.communicate(timeout=3 * PATIENCE)
    assert (process.returncode, err) == (0, b"")
    near = charrnn(here, "sweep", "book.txt", *GRID, "--name", "near")
    assert near.code == 0, near.err
    assert {row.state for row in rows_of(path).values()} == {"ended"}
    assert states_of(path) == states_of(here / "runs" / "near")
    assert_once(path)
    handed = [event for name in rows_of(path) for event in of_type(path / name, "ended")]
    assert any(event["reason"] == "handed over" for event in handed), "no trial was returned before its end"
    # Every trial is a run of this machine's: it has its text here, and can be gone on with.
    on = charrnn(here, "resume", str(path / "hidden-4_seed-0"), "--updates", "16010", "--quiet")
    assert on.code == 0, on.err
    until(lambda: all(map(is_gone, slots)), lambda: "a process of the killed worker trains on")


def test_a_signal_returns_what_was_trained_and_leaves_nothing_on_the_workers(
    cluster: Cluster, here: Path
) -> None:
    asked = ["--dask", cluster.address, "--name", "far", "--updates", "1000000"]
    with started(here, "sweep", "book.txt", *GRID, *asked) as process:
        path = run_path(process)
        until(lambda: all(slots_of(worker.pid) for worker in cluster.workers))
        # Two of them wait on a worker.
        until(lambda: {row.state for row in rows_of(path).values()} == {"training"})
        refused = charrnn(here, "sweep", "far")
        assert refused.code == 2
        code, err = stopped(process, signal.SIGINT)
    assert (code, err) == (130, "")
    for row in rows_of(path).values():
        assert row.state in ("interrupted", "waiting")
        if row.state == "interrupted":
            assert_saved(path / row.trial.name)
    for worker in cluster.workers:
        until(lambda worker=worker: not slots_of(worker.pid), lambda: "a worker keeps processes of a sweep")
        assert worker.poll() is None


def test_where_there_is_no_cluster_nothing_is_made(here: Path) -> None:
    refused = charrnn(here, "sweep", "book.txt", *GRID, "--dask", "nonsense://x")
    assert refused.code == 2
    assert refused.err.startswith("charrnn: --dask") and refused.err.count("\n") == 1
    assert not (here / "runs").exists()


def test_without_the_extra_it_says_how_to_get_it(here: Path) -> None:
    program = (
        "import sys; sys.modules['distributed'] = None; "
        "from charrnn_tui.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    asked = ["sweep", "book.txt", *GRID, "--dask", "tcp://127.0.0.1:1"]
    done = finish([sys.executable, "-c", program, *asked], here)
    assert done.code == 2
    assert done.err == "charrnn: --dask needs the extra cluster: pip install 'charrnn-tui[cluster]'\n"
    assert not os.path.lexists(here / "runs")
