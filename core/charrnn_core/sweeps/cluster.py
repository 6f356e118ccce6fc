"""Trials on the workers of a Dask cluster, which need share no file system with this machine.

A worker trains a trial in a directory of its own and returns what is in it: the log, the best and the last
checkpoint. A long trial is handed over now and then, and goes on from there, on whichever worker is free; so
where a worker is lost, Dask does no more than that part again on another one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import charrnn_core
from charrnn_core.errors import CharRNNError, RunFailedError, UsageError
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import open_kept
from charrnn_core.runs.liveness import read_status
from charrnn_core.sweeps.content import (
    Content,
    ReturnedError,
    checked,
    content_of,
    with_status,
    write_content,
)
from charrnn_core.sweeps.places import MOST_LOSSES, Slots
from charrnn_core.sweeps.task import HANDED_OVER, Outcome, Task, in_words
from charrnn_core.text.source import Source, open_file

HAND_OVER_SECONDS = 15.0
"""After how long a worker returns what it has, the first time."""

STOP_SECONDS = 10.0
"""How long a worker may take to return what it has once the sweep is stopped."""

IDLE_SECONDS = 60.0
"""After how long a worker lets its processes and the text of a sweep go that asks it for nothing."""

_HAND_OVER_SHARE = 0.1  # of the time that a trial has been trained by then
_LONGEST_SECONDS = 300.0
_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_COUNT_SECONDS = 2.0  # how often the workers are counted
_UNUSABLE = "unusable"
_CONNECTION_ERRORS = (
    OSError, ValueError, TypeError, RuntimeError, OverflowError, ImportError, MemoryError, LookupError,
)  # fmt: skip


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
        _silence()
        security = _security(address)
        try:
            asyncio.run(_reach(address, security))  # a client that cannot connect hangs when it is let go of
            connect: Any = Client  # its types are not told
            self._client = connect(address, timeout=_CONNECT_SECONDS, set_as_default=False, security=security)
        except _CONNECTION_ERRORS as error:
            raise UsageError(f"--dask {address}: {_unreached(address, error)}") from None
        self._address = address
        self._sweep = secrets.token_hex(6)
        self._seconds = hand_over_seconds
        self._stopped = threading.Event()
        self._threads, self._next_count = 0, 0.0
        self._text: Any = None
        self._open: set[concurrent.futures.Future[Any]] = set()
        self._open_lock = threading.Lock()
        self._has_given_up = False
        self._releasing: concurrent.futures.Future[Any] | None = None
        self._patience = threading.Timer(STOP_SECONDS, self._give_up)
        self._patience.daemon = True
        try:
            self._check()
        except BaseException:
            self._leave()
            raise

    def bring(self, files: Sequence[str], *, is_kept: bool = False) -> None:
        """Take the text along; it travels to a worker once.

        Raises
        ------
        CorpusError
            It cannot be read.
        """
        opener = open_kept if is_kept else open_file
        sources = [Source("file", name, (Path(name),), opener=opener) for name in files]
        text = [b"".join(source.blocks()) for source in sources]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a text is large is known
            # As a result of the cluster's own: made anew where the only worker that has it is lost.
            key = f"charrnn-text-{self._sweep}"
            self._text = self._client.submit(_kept, text, key=key, pure=False)

    def _check(self) -> None:
        """Raise a UsageError unless all workers that there are have this version of the program."""
        found = self._client.nthreads()
        if not found:
            raise UsageError(
                f"the cluster at {self._address} has no worker; dask worker {self._address} starts one"
            )
        try:
            told = self._begin(self._client.run(_version, on_error="return", asynchronous=True))
            versions = told.result(_CONNECT_SECONDS)
        except TimeoutError:
            return  # one does not answer; each is asked again when it begins a trial
        for worker, version in versions.items():
            if isinstance(version, BaseException):
                raise UsageError(
                    f"the worker {worker} has no charrnn: {version}; pip install charrnn-tui there"
                )
            if version != charrnn_core.__version__:
                raise UsageError(_disagreement(worker, version, charrnn_core.__version__))

    @property
    def size(self) -> int:
        """How many trials are handed out at a time: two for each thread of the workers."""
        return 2 * self.at_a_time

    @property
    def at_a_time(self) -> int:
        """How many trials are really trained at a time: one for each thread of the workers."""
        scheduler = self._client.scheduler  # None once it is gone
        if scheduler is not None and time.monotonic() >= self._next_count:
            with suppress(OSError, TimeoutError, ValueError):  # a scheduler that is gone: the trials say so
                counted = self._client.sync(scheduler.ncores, callback_timeout=_COUNT_SECONDS)
                self._threads = sum(counted.values())
            self._next_count = time.monotonic() + _COUNT_SECONDS
        return max(1, self._threads)

    def train(self, task: Task) -> Outcome:
        """Do a task, part by part.

        Raises
        ------
        RunFailedError
            The cluster is gone.
        """
        run = RunDirectory(Path(task.path))
        run.folder.create()
        lock = run.lock()  # as whoever trains it
        try:
            with suppress(OSError):  # a full disk; what is returned needs more
                run.write_status(self._elsewhere(read_status(run)))
            return self._train(task, run)
        finally:
            with suppress(OSError):
                status = read_status(run)
                if status.pop("elsewhere", None) is not None:
                    run.write_status(status)
            os.close(lock)

    def _elsewhere(self, status: dict[str, Any]) -> dict[str, Any]:
        """Return what `status.json` is to say of a trial here: that a worker trains it."""
        return {"state": "training", **status, "pid": os.getpid(), "elsewhere": self._address}

    def _train(self, task: Task, run: RunDirectory) -> Outcome:
        seconds = self._seconds
        reached = losses = 0
        while not self._stopped.is_set():
            has_begun = run.has_checkpoint
            part = replace(task, seconds=seconds, path=run.name)
            try:
                outcome, returned = self._part(part, content_of(run.path) if has_begun else {})
            except ReturnedError as error:
                # Another worker may do better. What is here stays as it was.
                outcome, returned = Outcome("interrupted", _UNUSABLE, reached), {}
                how = str(error)
            else:
                how = f"its process on a worker was stopped ({outcome.reason})"
            if returned:
                write_content(with_status(returned, self._elsewhere({})), run.path, durable=True)
            # Somebody has stopped its process on the worker, but not the sweep.
            is_loss = outcome.reason.startswith("signal") or outcome.reason in ("owner gone", _UNUSABLE)
            is_to_go_on = outcome.end == "interrupted" and (is_loss or outcome.reason == HANDED_OVER)
            if not is_to_go_on or self._stopped.is_set():
                return outcome
            losses = is_loss + (losses if outcome.update <= reached else 0)
            reached = max(reached, outcome.update)
            if losses == MOST_LOSSES:
                return replace(outcome, end="failed", reason=f"{how}, {MOST_LOSSES} times")
            # What is lost with a worker stays a small part of what it cost to get there.
            seconds = max(seconds, min(_LONGEST_SECONDS, seconds * (1 + _HAND_OVER_SHARE)))
        return Outcome("interrupted", "stopped")

    def _part(self, task: Task, content: Content) -> tuple[Outcome, Content]:
        from distributed import KilledWorker

        name = f"charrnn-{self._sweep}-{task.path}-{secrets.token_hex(4)}"
        asked = task.to_json(), content, self._text, self._sweep, charrnn_core.__version__
        if self._client.status not in ("running", "connecting"):
            return self._gone(), {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a checkpoint is large is known
            future = self._client.submit(train_here, *asked, key=name, pure=False)
        with self._open_lock:
            if self._has_given_up:
                return Outcome("interrupted", "stopped"), {}
            # Not by the future's own methods, which nobody can call back from.
            waiting = self._begin(self._client.gather(future, asynchronous=True))
            self._open.add(waiting)
        try:
            error = waiting.exception()
        except concurrent.futures.CancelledError as given_up:
            error = given_up
        finally:
            with self._open_lock:
                self._open.remove(waiting)
        if error is None:
            try:
                return checked(waiting.result(), task, content)
            except ReturnedError as wrong:
                raise ReturnedError(
                    f"what {self._workers_of(name)} returned is not usable: {wrong}"
                ) from None
        if isinstance(error, KilledWorker):
            return Outcome("failed", "the workers that trained it have all been lost"), {}
        lost = (concurrent.futures.CancelledError, asyncio.CancelledError, OSError, TimeoutError)
        if isinstance(error, lost) or self._client.status != "running":
            return self._gone(), {}
        return Outcome("failed", f"{type(error).__name__}: {error}"), {}

    def _workers_of(self, key: str) -> str:
        """Return which worker has done something, in words."""
        asked = self._begin(self._client.scheduler.who_has(keys=[key]))
        try:
            workers = asked.result(_COUNT_SECONDS).get(key, ())
        except (OSError, TimeoutError):
            workers = ()
        return f"the worker {' or '.join(map(str, workers))}" if workers else "a worker"

    def _gone(self) -> Outcome:
        """Return what comes of a trial whose workers cannot be reached any more because it was stopped.

        Raises
        ------
        RunFailedError
            It was not.
        """
        if self._stopped.is_set():
            return Outcome("interrupted", "stopped")
        raise RunFailedError(f"the scheduler at {self._address} is gone; what was returned is kept")

    def stop(self) -> None:
        """Have all that is trained saved, returned and stopped; a worker that does not is left behind."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._patience.start()
            self._releasing = self._release()

    def suspend(self) -> None:
        """Nothing: what the workers train goes on while this process waits."""

    def go_on(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Let the workers go, and leave the cluster."""
        self._stopped.set()
        if not self._has_given_up and self._client.status == "running":  # else nobody is there to be told
            concurrent.futures.wait([self._releasing or self._release()], _CLOSE_SECONDS)
        self._patience.cancel()
        self._give_up()
        self._leave()

    def _give_up(self) -> None:
        """Wait for no worker any more."""
        with self._open_lock:
            self._has_given_up = True
            still = list(self._open)
        for waiting in still:
            waiting.cancel()

    def _release(self) -> concurrent.futures.Future[Any]:
        """Begin to tell all workers; those that answer do not wait for one that does not."""
        return self._begin(self._client.run(release, self._sweep, on_error="ignore", asynchronous=True))

    def _leave(self) -> None:
        with suppress(OSError, TimeoutError):  # a scheduler that does not answer is left behind
            self._client.close(timeout=_CLOSE_SECONDS)

    def _begin(self, asked: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Have the client's own thread do something, which can be waited for here, or not."""
        return asyncio.run_coroutine_threadsafe(asked, self._client.loop.asyncio_loop)


def _silence() -> None:
    """Keep what `distributed` logs, and all that it is made of, from stderr: what matters is an error here.

    To be called once it is imported, which sets levels of its own.
    """
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _security(address: str) -> Any:
    """Return Dask's configuration of TLS."""
    from distributed import Security

    make: Any = Security  # its types are not told
    try:
        security = make()
        security.get_connection_args("client")
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        raise UsageError(f"--dask {address}: what Dask is told here of TLS cannot be used: {error}") from None
    return security


async def _reach(address: str, security: Any) -> None:
    """Raise an error, of many kinds, unless a scheduler answers."""
    from distributed import rpc

    call: Any = rpc  # its types are not told
    async with (
        asyncio.timeout(_CONNECT_SECONDS),  # also for somebody who answers, but not that
        call(address, connection_args=security.get_connection_args("client")) as there,
    ):
        told = await there.identity()
        if told.get("type") != "Scheduler":
            raise LookupError(f"a {told.get('type')}")


def _unreached(address: str, error: Exception) -> str:
    """Return why a scheduler was not reached, and what to do."""
    is_tls = address.startswith("tls:")
    if isinstance(error, OSError) and is_tls:
        return "nobody answers there whom Dask's TLS configuration here trusts; dask scheduler starts one"
    if isinstance(error, OSError):
        return "nobody answers there; dask scheduler starts one"
    if isinstance(error, TypeError) and is_tls:
        return (
            "TLS is not configured here; DASK_DISTRIBUTED__COMM__TLS__CA_FILE, __CLIENT__CERT and "
            "__CLIENT__KEY are to name the files that the scheduler trusts"
        )
    if isinstance(error, (MemoryError, LookupError)):  # MemoryError: an answer that means a huge size
        return "what answers there is no scheduler; dask scheduler says its address when it starts"
    if isinstance(error, RuntimeError):
        return "Dask's configuration here asks for TLS; the address of a scheduler that has it begins with tls://"
    return "no scheduler can be reached by that from here; an address is like tcp://127.0.0.1:8786"


def _disagreement(worker: str, version: str, own: str) -> str:
    return f"the worker {worker} has charrnn {version}, and this is {own}; they must agree"


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
    writing : Lock
        Of whoever writes it.
    idle : Timer or None
        Ends the share, while nothing is trained.
    """

    slots: Slots
    directory: Path
    active: int = 0
    files: list[str] = field(default_factory=list)
    writing: threading.Lock = field(default_factory=threading.Lock)
    idle: threading.Timer | None = None

    def end(self) -> None:
        """Let its processes go, and remove its files."""
        self.slots.close()
        shutil.rmtree(self.directory, ignore_errors=True)


_shares: dict[str, _Share] = {}
_released: set[str] = set()  # the sweeps that begin nothing more here
_shares_lock = threading.Lock()  # held for moments only: `release` waits for it in the worker's event loop


def _kept(text: list[bytes]) -> list[bytes]:
    return text


def _version() -> str:
    return charrnn_core.__version__


def train_here(
    task: dict[str, Any], content: Content, text: list[bytes], sweep: str, version: str
) -> tuple[dict[str, Any], Content]:
    """Train a trial on the worker that this is called on.

    Returns the outcome, and what the run directory holds; however it fails, that is an outcome.

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
    version : str
        Of the program that asks.
    """
    if version != charrnn_core.__version__:
        problem = _disagreement(_address(), charrnn_core.__version__, version)
        return Outcome("failed", problem).to_json(), {}
    try:
        with _share_of(sweep, text) as share:
            if share is None:
                return Outcome("interrupted", "stopped").to_json(), {}
            path = Path(tempfile.mkdtemp(dir=share.directory)) / task["path"]
            try:
                if content:
                    write_content(content, path, durable=False)
                outcome = share.slots.train(replace(Task(**task), path=str(path), files=share.files))
                return outcome.to_json(), content_of(path)
            finally:
                shutil.rmtree(path.parent, ignore_errors=True)
    except (CharRNNError, OSError) as error:
        return Outcome("failed", f"on the worker {_address()}: {in_words(error)}").to_json(), {}


@contextmanager
def _share_of(sweep: str, text: list[bytes]) -> Iterator[_Share | None]:
    """Give this worker's share of a sweep, with the text written; None where the sweep is stopped."""
    with _shares_lock:
        share = None if sweep in _released else _shares.get(sweep)
        if share is None and sweep not in _released:
            directory = tempfile.mkdtemp(prefix="charrnn-", dir=_local_directory())
            share = _shares[sweep] = _Share(Slots(), Path(directory))
        if share is not None:
            share.active += 1
            if share.idle is not None:
                share.idle.cancel()
    if share is None:
        yield None
        return
    try:
        with share.writing:
            if not share.files:
                share.files = _written(text, share.directory)
        yield share
    finally:
        with _shares_lock:
            share.active -= 1
            is_over = not share.active and sweep in _released
            if is_over:
                _shares.pop(sweep, None)
            elif not share.active:
                # Where its client is gone without a word nobody else would end it.
                share.idle = threading.Timer(IDLE_SECONDS, _end_idle, (sweep, share))
                share.idle.daemon = True
                share.idle.start()
        if is_over:
            share.end()


def _written(text: list[bytes], directory: Path) -> list[str]:
    """Write the files with the text, and return their names; where one cannot be written, leave none."""
    paths = [directory / f"{number}.txt" for number in range(len(text))]
    try:
        for path, part in zip(paths, text, strict=True):
            path.write_bytes(part)
    except OSError:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    return list(map(str, paths))


def _end_idle(sweep: str, share: _Share) -> None:
    """End a share that had nothing to do for long, unless it has got something in the meantime."""
    with _shares_lock:
        is_idle = (
            _shares.get(sweep) is share and not share.active and share.idle is threading.current_thread()
        )
        if is_idle:
            del _shares[sweep]
    if is_idle:
        share.end()


def _address() -> str:
    from distributed import get_worker

    return str(get_worker().address)


def _local_directory() -> str | None:
    from distributed import get_worker

    return str(get_worker().local_directory)


def release(sweep: str) -> None:
    """Have what is trained here for a sweep saved, returned and stopped, and begin nothing more of it."""
    with _shares_lock:
        _released.add(sweep)
        share = _shares.get(sweep)
        if share is None:
            return
        if share.active:
            share.slots.stop()
            return
        del _shares[sweep]
        if share.idle is not None:
            share.idle.cancel()
    # Not here, in the worker's event loop: it waits until the processes have ended.
    threading.Thread(target=share.end, daemon=True).start()
