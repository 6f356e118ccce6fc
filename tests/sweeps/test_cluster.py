"""A sweep on a real Dask cluster on this machine: a scheduler and workers, started from the shell."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import charrnn_core
from charrnn_core.errors import UsageError
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.liveness import read_status
from charrnn_core.sweeps import cluster as clusters
from charrnn_core.sweeps.content import Content, ReturnedError
from charrnn_core.sweeps.places import MOST_LOSSES
from charrnn_core.sweeps.task import HANDED_OVER, Outcome, Task
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
    scheduler : Popen
    workers : list of Popen
    """

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


Start = Callable[..., "subprocess.Popen[bytes]"]


@contextmanager
def scheduling(place: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[bytes], Start]]:
    """Start a scheduler, and give its address, its process, and what starts others beside it."""
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

        common = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told))
        scheduler = start("scheduler", *common, *arguments)
        until(lambda: told.exists() and told.read_text(encoding="utf-8").endswith("}"))
        yield json.loads(told.read_text(encoding="utf-8"))["address"], scheduler, start


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Two workers with a thread each, which share no directory with anybody."""
    place = tmp_path / "cluster"
    with scheduling(place) as (address, scheduler, start):
        common = ("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory")
        workers = [start(*common, str(place / name)) for name in ("one", "two")]
        until(
            lambda: b"".join(log.read_bytes() for log in place.glob("*.log")).count(b"Register worker") == 2
        )
        yield Cluster(address, scheduler, workers)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    where = tmp_path / "here"
    where.mkdir()
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    return where


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_signal_returns_what_was_trained_and_leaves_nothing_on_the_workers(
    cluster: Cluster, here: Path
) -> None:
    asked = ["--dask", cluster.address, "--name", "far", "--updates", "1000000"]
    with started(here, "sweep", "book.txt", *GRID, *asked) as process:
        path = run_path(process)
        until(lambda: all(slots_of(worker.pid) for worker in cluster.workers))
        # Two of them wait on a worker.
        until(lambda: {row.state for row in rows_of(path).values()} == {"training"})
        runs = [RunDirectory(path / name) for name in rows_of(path)]
        # Whoever asks something of a trial is told where it is.
        until(lambda: [read_status(run).get("elsewhere") for run in runs] == [cluster.address] * 4)
        refused = charrnn(here, "sweep", "far")
        assert refused.code == 2
        code, err = stopped(process, signal.SIGINT)
    assert (code, err) == (130, "")
    for row in rows_of(path).values():
        assert row.state in ("interrupted", "waiting")
        if row.state == "interrupted":
            assert_saved(path / row.trial.name)
    assert not any("elsewhere" in read_status(run) for run in runs)
    for worker in cluster.workers:
        until(lambda worker=worker: not slots_of(worker.pid), lambda: "a worker keeps processes of a sweep")
        assert worker.poll() is None


def impatient(seconds: float) -> list[str]:
    """Return what runs the program with less patience for workers that do not answer."""
    program = (
        f"import sys; from charrnn_core.sweeps import cluster; cluster.STOP_SECONDS = {seconds}; "
        "from charrnn_tui.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    return [sys.executable, "-c", program]


FAULTY = """
import charrnn_core.sweeps.cluster as cluster

train = getattr(cluster, "right", cluster.train_here)  # a worker loads this twice
cluster.right = train
LAST, seen = "checkpoints/last.safetensors", []


def faulty(task, *asked):
    told, content = train(task, *asked)
    if task["path"] in seen:
        return told, content
    seen.append(task["path"])
    match len(seen):
        case 1:
            return None
        case 2:
            return {**told, "update": "many"}, content
        case 3:
            return told, {**content, LAST: content[LAST][:-8] + bytes(8)}
        case _:
            return told, {**content, "events.jsonl": b"nonsense"}


cluster.train_here = faulty
"""


@pytest.mark.slow
def test_what_a_faulty_worker_returns_is_asked_for_again(tmp_path: Path, here: Path) -> None:
    place = tmp_path / "cluster"
    preload = tmp_path / "faulty.py"
    preload.write_text(FAULTY, encoding="utf-8")
    with scheduling(place) as (address, _, start):
        common = ("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        start(*common, "--local-directory", str(place / "one"), "--preload", str(preload))
        until(lambda: b"Register worker" in b"".join(log.read_bytes() for log in place.glob("*.log")))
        asked = ["--dask", address, "--return-every", "0.3", "--name", "far"]
        far = charrnn(here, "sweep", "book.txt", *GRID, *asked)
    # Each of the four trials was returned wrong once, in another way.
    assert (far.code, far.err) == (0, "")
    near = charrnn(here, "sweep", "book.txt", *GRID, "--name", "near")
    assert near.code == 0, near.err
    assert states_of(here / "runs" / "far") == states_of(here / "runs" / "near")
    assert_once(here / "runs" / "far")


@pytest.mark.slow
def test_a_worker_that_does_not_answer_is_left_behind_and_a_scheduler_that_is_gone_is_named(
    cluster: Cluster, here: Path
) -> None:
    asked = ["--dask", cluster.address, "--name", "far", "--updates", "1000000", "--return-every", "0.3"]
    with started(here, "sweep", "book.txt", *GRID, *asked, command=impatient(0.5)) as process:
        path = run_path(process)
        until(lambda: len(list(path.glob("*/config.json"))) >= 2)  # each worker has returned something
        frozen, other = cluster.workers
        frozen.send_signal(signal.SIGSTOP)
        code, err = stopped(process, signal.SIGINT)
        frozen.send_signal(signal.SIGCONT)
    assert (code, err) == (130, "")
    until(lambda: not slots_of(other.pid))
    with started(here, "sweep", "far", *asked[:2], "--quiet") as process:
        assert run_path(process) == path
        until(lambda: all(slots_of(worker.pid) for worker in cluster.workers))
        cluster.scheduler.kill()
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert (
        told.decode() == f"charrnn: the scheduler at {cluster.address} is gone; what was returned is kept\n"
    )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_scheduler_with_tls_is_reached(tmp_path: Path) -> None:
    certificate, key = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=dask"]
    files = ["-out", certificate, "-keyout", key]
    subprocess.run(["openssl", "req", "-x509", *made, *files], check=True, capture_output=True)
    tls = ["--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key]
    with scheduling(tmp_path / "cluster", "--protocol", "tls", *tls) as (address, _, _):
        assert address.startswith("tls://")
        with pytest.raises(UsageError, match=r"TLS is not configured here"):
            clusters.Cluster(address)
        import dask

        given = {"ca-file": certificate, "client.cert": certificate, "client.key": key}
        with (
            dask.config.set({f"distributed.comm.tls.{name}": path for name, path in given.items()}),
            pytest.raises(UsageError, match="has no worker"),
        ):
            clusters.Cluster(address)
        given["client.key"] = str(tmp_path / "nothing")
        with (
            dask.config.set({f"distributed.comm.tls.{name}": path for name, path in given.items()}),
            pytest.raises(UsageError, match="told here of TLS cannot be used"),
        ):
            clusters.Cluster(address)


@pytest.mark.parametrize(
    "address",
    ["nonsense://x", "ucx://127.0.0.1:1", "inproc://127.0.0.1/1/1", "tcp://127.0.0.1:99999", "tcp:///"],
)
def test_an_address_of_no_scheduler_is_refused_in_a_sentence(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "_CONNECT_SECONDS", 0.1)
    with pytest.raises(UsageError) as refused:
        clusters.Cluster(address)
    assert str(refused.value) == f"--dask {address}: {str(refused.value).partition(': ')[2]}"
    assert str(refused.value).count(address) == 1
    assert "scheduler" in str(refused.value)


# -- a worker's share, in this process ---------------------------------------------------------------------

TASK = Task("trial", {}, {}, []).to_json()


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As on a worker; its directory."""
    monkeypatch.setattr(clusters, "_local_directory", lambda: str(tmp_path))
    monkeypatch.setattr(clusters, "_address", lambda: "tcp://worker")
    return tmp_path


def test_what_reaches_a_worker_after_the_release_is_not_begun(worker: Path) -> None:
    clusters.release("late")
    told, content = clusters.train_here(TASK, {}, [b"text"], "late", charrnn_core.__version__)
    assert (told["end"], told["reason"], content) == ("interrupted", "stopped", {})
    assert not list(worker.iterdir())


def test_a_worker_with_another_version_says_both(worker: Path) -> None:
    told, _ = clusters.train_here(TASK, {}, [b"text"], "newer", "99.0")
    assert told["end"] == "failed"
    own = charrnn_core.__version__
    assert told["reason"] == f"the worker tcp://worker has charrnn {own}, and this is 99.0; they must agree"


def test_a_share_that_has_nothing_to_do_is_ended_and_made_anew(
    worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "IDLE_SECONDS", 0.05)
    for _ in range(2):
        with clusters._share_of("idle", [b"one", b"two"]) as share:
            assert share is not None
            with clusters._share_of("idle", [b"one", b"two"]) as same:
                assert same is share
            assert [Path(name).read_bytes() for name in share.files] == [b"one", b"two"]
        until(lambda: not list(worker.iterdir()))
        assert "idle" not in clusters._shares


def test_a_text_that_cannot_be_written_fails_the_trial_and_leaves_nothing_of_it(
    worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def fill(path: Path, data: bytes) -> int:
        if path.name == "1.txt":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill)
    told, _ = clusters.train_here(TASK, {}, [b"one", b"two"], "full", charrnn_core.__version__)
    assert told["end"] == "failed"
    assert told["reason"].startswith("on the worker tcp://worker: ")
    assert told["reason"].endswith("1.txt: No space left on device")
    share = clusters._shares["full"]
    assert (share.active, share.files, list(share.directory.iterdir())) == (0, [], [])
    clusters.release("full")
    until(lambda: not share.directory.exists())


class Told(clusters.Cluster):
    """A cluster whose workers return what they are told to, and an error where that is not usable."""

    def __init__(self, *outcomes: Outcome | ReturnedError) -> None:
        self._seconds = 1.0
        self._stopped = threading.Event()
        self._address = "tcp://scheduler"
        self.outcomes = list(outcomes)

    def _part(self, task: Task, content: Content) -> tuple[Outcome, Content]:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, ReturnedError):
            raise outcome
        return outcome, {}


@pytest.mark.parametrize("reason", ["signal SIGTERM", "owner gone"])
def test_a_trial_whose_process_somebody_stops_on_a_worker_is_gone_on_with(
    reason: str, tmp_path: Path
) -> None:
    def lost(update: int) -> Outcome:
        return Outcome("interrupted", reason, update)

    task = Task(str(tmp_path / "trial"), {}, {}, [])
    ended = Outcome("ended", "updates", 50)
    handed = Outcome("interrupted", HANDED_OVER, 20)
    further = Told(*(lost(update) for update in range(1, 10)), handed, lost(20), lost(20), ended)
    assert further.train(task) == ended
    stuck = Told(handed, *[lost(20)] * MOST_LOSSES, ended)
    outcome = stuck.train(task)
    assert (outcome.end, outcome.update, stuck.outcomes) == ("failed", 20, [ended])
    assert outcome.reason == f"its process on a worker was stopped ({reason}), {MOST_LOSSES} times"


def test_a_trial_that_comes_back_unusable_again_and_again_has_failed_and_says_why(tmp_path: Path) -> None:
    task = Task(str(tmp_path / "trial"), {}, {}, [])
    wrong = ReturnedError("what the worker tcp://far returned is not usable: its files are not bytes")
    handed, ended = Outcome("interrupted", HANDED_OVER, 20), Outcome("ended", "updates", 50)
    assert Told(wrong, wrong, handed, wrong, wrong, ended).train(task) == ended
    outcome = Told(handed, *[wrong] * MOST_LOSSES, ended).train(task)
    assert (outcome.end, outcome.update) == ("failed", 20)
    assert outcome.reason == f"{wrong}, {MOST_LOSSES} times"


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
