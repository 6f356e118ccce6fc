"""Trials on the workers of a Dask cluster, which need share no file system with this machine.

A worker trains a trial in a directory of its own and returns what is in it: the log, the best and the last
checkpoint. A long trial is handed over now and then, and goes on from there, on whichever worker is free; so
where a worker is lost, Dask does no more than that part again on another one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import charrnn_core
from charrnn_core.errors import RunFailedError, UsageError
from charrnn_core.runs.checkpoint import keep_last_as_previous
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import open_regular, replace_file
from charrnn_core.sweeps.places import Slots
from charrnn_core.sweeps.task import HANDED_OVER, Outcome, Task

Content = dict[str, bytes]
"""Files of a run directory by their paths in it."""

HAND_OVER_SECONDS = 15.0
"""After how long a worker returns what it has, the first time."""

_HAND_OVER_SHARE = 0.1  # of the time that a trial has been trained by then
_LONGEST_SECONDS = 300.0
_CONNECT_SECONDS = 10.0
_COUNT_SECONDS = 2.0  # how often the workers are counted
_LAST = "checkpoints/last.safetensors"
_FILES = ("config.json", "events.jsonl", "checkpoints/best.safetensors", _LAST, "status.json")
"""What is returned, in the order in which it is put in place: a log that is longer than the checkpoint knows
is what any crash leaves."""


def content_of(path: Path) -> Content:
    """Return what a run directory holds."""
    content = {}
    for name in _FILES:
        with suppress(FileNotFoundError), os.fdopen(open_regular(path / name), "rb") as file:
            content[name] = file.read()
    return content


def write_content(content: Content, path: Path, *, durable: bool) -> None:
    """Put files of a run directory in place, each whole.

    Raises
    ------
    OSError
    """
    (path / "checkpoints").mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        if name in content:
            if name == _LAST:
                keep_last_as_previous(RunDirectory(path))
            replace_file(path / name, content[name], durable=durable and name != "status.json")


class Cluster:
    """The workers of a Dask cluster.

    Parameters
    ----------
    address : str
        Of the scheduler.
    hand_over_seconds : float

    Raises
    ------
    UsageError
        `distributed` is not installed, or there is no scheduler, or its workers cannot train.
    """

    def __init__(self, address: str, *, hand_over_seconds: float = HAND_OVER_SECONDS) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise UsageError("--dask needs the extra cluster: pip install 'charrnn-tui[cluster]'") from None
        try:
            asyncio.run(_reach(address))  # a client that cannot connect hangs when it is let go of
            connect: Any = Client  # its types are not told
            self._client = connect(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, ImportError) as error:
            raise UsageError(f"--dask {address}: there is no scheduler: {error}") from None
        self._sweep = secrets.token_hex(6)
        self._seconds = hand_over_seconds
        self._stopped = threading.Event()
        self._counted, self._next_count = 0, 0.0
        self._text: Any = None
        try:
            self._check(address)
        except BaseException:
            self._client.close()
            raise

    def bring(self, files: Sequence[str]) -> None:
        """Take the text along; it travels to a worker once."""
        text = [Path(name).read_bytes() for name in files]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a text is large is known
            # As a result of the cluster's own: made anew where the only worker that has it is lost.
            key = f"charrnn-text-{self._sweep}"
            self._text = self._client.submit(_kept, text, key=key, pure=False)

    def _check(self, address: str) -> None:
        """Raise a UsageError unless all workers that there are have this version of the program."""
        found = self._client.run(_version, on_error="return")
        if not found:
            raise UsageError(f"the cluster at {address} has no worker; dask worker {address} starts one")
        for worker, version in found.items():
            if isinstance(version, BaseException):
                raise UsageError(
                    f"the worker {worker} has no charrnn: {version}; pip install charrnn-tui there"
                )
            if version != charrnn_core.__version__:
                own = charrnn_core.__version__
                raise UsageError(
                    f"the worker {worker} has charrnn {version}, and this is {own}; they must agree"
                )

    @property
    def size(self) -> int:
        """How many trials are handed out at a time: two for each thread of the workers."""
        if time.monotonic() >= self._next_count:
            self._next_count = time.monotonic() + _COUNT_SECONDS
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            self._counted = sum(worker["nthreads"] for worker in workers)
        return max(2, 2 * self._counted)

    def train(self, task: Task) -> Outcome:
        """Do a task, part by part.

        Raises
        ------
        RunFailedError
            The cluster is gone.
        """
        run = RunDirectory(Path(task.path))
        run.path.mkdir(parents=True, exist_ok=True)
        lock = run.lock()  # as whoever trains it
        try:
            return self._train(task, run)
        finally:
            os.close(lock)

    def _train(self, task: Task, run: RunDirectory) -> Outcome:
        seconds = self._seconds
        while not self._stopped.is_set():
            has_begun = any(run.checkpoints.glob("*.safetensors"))
            part = replace(task, seconds=seconds, path=run.name)
            outcome, returned = self._part(part, content_of(run.path) if has_begun else {})
            write_content(returned, run.path, durable=True)
            if not (outcome.end == "interrupted" and outcome.reason == HANDED_OVER):
                return outcome
            # What is lost with a worker stays a small part of what it cost to get there.
            seconds = max(seconds, min(_LONGEST_SECONDS, seconds * (1 + _HAND_OVER_SHARE)))
        return Outcome("interrupted", "stopped")

    def _part(self, task: Task, content: Content) -> tuple[Outcome, Content]:
        from distributed import CancelledError, KilledWorker

        name = f"charrnn-{self._sweep}-{task.path}-{secrets.token_hex(4)}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a checkpoint is large is known
                future = self._client.submit(
                    train_here, task.to_json(), content, self._text, self._sweep, key=name, pure=False
                )
            error = future.exception()
            if error is None:
                told, returned = future.result()
                return Outcome.from_json(told), returned
        except (CancelledError, OSError, TimeoutError) as problem:
            error = problem
        if isinstance(error, (CancelledError, OSError, TimeoutError)):
            if self._stopped.is_set():
                return Outcome("interrupted", "stopped"), {}
            raise RunFailedError(f"the cluster is gone: {error or type(error).__name__}") from None
        if isinstance(error, KilledWorker):
            return Outcome("failed", "the workers that trained it have all been lost"), {}
        return Outcome("failed", f"{type(error).__name__}: {error}"), {}

    def stop(self) -> None:
        """Have all that is trained saved, returned and stopped."""
        self._stopped.set()
        self._release()

    def close(self) -> None:
        """Let the workers go, and leave the cluster."""
        self._release()
        self._client.close()

    def _release(self) -> None:
        with suppress(OSError, TimeoutError, ValueError):  # ValueError: the scheduler is gone
            self._client.run(release, self._sweep, on_error="ignore")


async def _reach(address: str) -> None:
    from distributed import comm as communication

    connect: Any = communication.connect  # type: ignore[attr-defined]  # its types are not told
    comm = await connect(address, timeout=_CONNECT_SECONDS)
    await comm.close()


# -- on the workers ----------------------------------------------------------------------------------------


@dataclass
class _Share:
    """A worker's share of one sweep.

    Attributes
    ----------
    slots : Slots
    directory : Path
        Where its text and its trials are.
    active : int
        How many trials are trained now.
    files : list of str
        The text, once it has been written.
    """

    slots: Slots
    directory: Path
    active: int = 0
    files: list[str] = field(default_factory=list)

    def end(self) -> None:
        """Let its processes go, and remove its files."""
        self.slots.close()
        shutil.rmtree(self.directory, ignore_errors=True)


_shares: dict[str, _Share] = {}
_shares_lock = threading.Lock()


def _kept(text: list[bytes]) -> list[bytes]:
    return text


def _version() -> str:
    return charrnn_core.__version__


def train_here(
    task: dict[str, Any], content: Content, text: list[bytes], sweep: str
) -> tuple[dict[str, Any], Content]:
    """Train a trial on the worker that this is called on.

    Returns the outcome, and what the run directory holds.

    Parameters
    ----------
    task : dict
        As JSON; its path is the trial's name.
    content : dict
        The run directory to go on from; empty to begin.
    text : list of bytes
        The files with the text.
    sweep : str
        Which sweep this belongs to.
    """
    with _share_of(sweep, text) as share:
        path = Path(tempfile.mkdtemp(dir=share.directory)) / task["path"]
        try:
            if content:
                write_content(content, path, durable=False)
            outcome = share.slots.train(replace(Task(**task), path=str(path), files=share.files))
            return outcome.to_json(), content_of(path)
        finally:
            shutil.rmtree(path.parent, ignore_errors=True)


@contextmanager
def _share_of(sweep: str, text: list[bytes]) -> Iterator[_Share]:
    """Give this worker's share of a sweep; and let those of sweeps go whose client is gone without a word."""
    with _shares_lock:
        for other in [name for name, share in _shares.items() if name != sweep and not share.active]:
            _shares.pop(other).end()
        if sweep not in _shares:
            _shares[sweep] = _Share(
                Slots(), Path(tempfile.mkdtemp(prefix="charrnn-", dir=_local_directory()))
            )
        share = _shares[sweep]
        share.active += 1
        if not share.files:
            for number, part in enumerate(text):
                path = share.directory / f"{number}.txt"
                path.write_bytes(part)
                share.files.append(str(path))
    try:
        yield share
    finally:
        with _shares_lock:
            share.active -= 1


def _local_directory() -> str | None:
    from distributed import get_worker

    return str(get_worker().local_directory)


def release(sweep: str) -> None:
    """Have what is trained here for a sweep saved, returned and stopped."""
    with _shares_lock:
        share = _shares.get(sweep)
        if share is None:
            return
        if share.active:
            share.slots.stop()
        else:
            _shares.pop(sweep).end()
