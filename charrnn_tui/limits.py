"""Limits of the process (`ulimit`): which are low, and what to say when one is reached.

Where a limit is low, libraries written in C may end the process before Python hears of it: OpenBLAS exits, or
sends SIGINT to its own process, when it gets no memory or no thread, and LLVM aborts; or a product of
matrices waits for ever for a thread that was not started. `prepare` tries in a process of its own whether
NumPy and threads can be used at all, and keeps Numba from compiling where it has no room.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import MutableMapping
from dataclasses import dataclass

from charrnn_core.children import python
from charrnn_core.errors import CharRNNError, reason_of, reason_with_path
from charrnn_core.memory import readable_size

ROOM_FOR_COMPILING = 1_000_000_000
"""Bytes of address space below which the compiled engine is not used: compiling takes about half of them."""

FILES_OF_DASHBOARD, ROOM_FOR_DASHBOARD = 32, 500_000_000
"""Open files, and bytes of address space, that the dashboard needs. Where it reaches a limit when it is on
the screen already, the toolkit may stop in the middle and leave the terminal as it is."""

_TRIAL = """
import mmap
room = mmap.mmap(-1, 64_000_000)  # for what is loaded and read besides
import threading
ended = threading.Event()
threads = [threading.Thread(target=ended.wait, daemon=True) for _ in range(THREADS)]
for thread in threads:
    thread.start()
ended.set()
import numpy
numpy.ones((64, 64)) @ numpy.ones((64, 64))
"""
_TRIAL_SECONDS = 60


@dataclass(frozen=True)
class Limit:
    """A limit of the operating system for this process.

    Attributes
    ----------
    what : str
        What is limited.
    option : str
        The option of `ulimit` that sets it.
    name : str
        Its name in `resource`.
    low : int
        It is low, and may be why something fails, below this value.
    in_bytes : bool
    """

    what: str
    option: str
    name: str
    low: int
    in_bytes: bool = True

    @property
    def value(self) -> int | None:
        """The limit now, or None where there is none."""
        import resource  # here, because Windows is refused in a sentence and does not have it

        soft, _ = resource.getrlimit(getattr(resource, self.name))
        return None if soft == resource.RLIM_INFINITY else soft

    def __str__(self) -> str:
        value = self.value or 0
        shown = readable_size(value) if self.in_bytes else f"{value:,}"
        return f"{self.what}, {shown} (ulimit -{self.option})"


LIMITS = (
    Limit("address space", "v", "RLIMIT_AS", 8_000_000_000),
    Limit("data", "d", "RLIMIT_DATA", 8_000_000_000),
    Limit("processes and threads", "u", "RLIMIT_NPROC", 1024, in_bytes=False),
    Limit("open files", "n", "RLIMIT_NOFILE", 256, in_bytes=False),
    Limit("stack", "s", "RLIMIT_STACK", 1_000_000),
)
"""Limits that can be why a library cannot be loaded, a thread not started, or memory not had."""

_OF_MEMORY = ("v", "d")


def low_limits(options: str = "vduns") -> list[Limit]:
    """Return the limits that are low.

    Parameters
    ----------
    options : str
        The options of `ulimit` of those to look at.
    """
    limits = (limit for limit in LIMITS if limit.option in options)
    return [limit for limit in limits if limit.value is not None and limit.value < limit.low]


def prepare(environment: MutableMapping[str, str]) -> str | None:
    """Prepare the environment for libraries where memory or threads are limited.

    Returns
    -------
    str or None
        Why the compiled engine cannot be used under these limits, or None where it can.

    Raises
    ------
    CharRNNError
        NumPy or threads cannot be used under these limits.
    """
    if not low_limits("vdu"):
        return None
    # One thread for a start, which is all that most networks need: each takes memory, and may be refused.
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    _try_libraries(environment)
    if low_limits("vd"):
        _take_room()
    room = [limit for limit in low_limits("vd") if (limit.value or 0) < ROOM_FOR_COMPILING]
    if not room:
        return None
    if environment.get("CHARRNN_ENGINE", "auto") == "auto":
        environment["CHARRNN_ENGINE"] = "numpy"
    environment.setdefault("NUMBA_DISABLE_JIT", "1")  # refuses --engine numba in a sentence; LLVM would abort
    least = readable_size(ROOM_FOR_COMPILING)
    return f"the engine numba is not used: it needs {least}; raise the limit of {_in_words(room)}"


def check_limits_of_dashboard() -> None:
    """Refuse a dashboard where few files may be open, or where there is little memory.

    Raises
    ------
    CharRNNError
        A limit is below `FILES_OF_DASHBOARD` or `ROOM_FOR_DASHBOARD`.
    """
    for options, least, shown in (
        ("n", FILES_OF_DASHBOARD, f"{FILES_OF_DASHBOARD} open files"),
        ("vd", ROOM_FOR_DASHBOARD, f"{readable_size(ROOM_FOR_DASHBOARD)} of memory"),
    ):
        limits = [limit for limit in low_limits(options) if (limit.value or 0) < least]
        if limits:
            raise CharRNNError(_with_limits(f"the dashboard needs {shown}", limits))


def _try_libraries(environment: MutableMapping[str, str]) -> None:
    import subprocess

    threads = (os.cpu_count() or 1) if low_limits("u") else 1
    try:
        tried = subprocess.run(
            python("-c", _TRIAL.replace("THREADS", str(threads))),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TRIAL_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CharRNNError(
            _with_limits(f"cannot start a process: {reason_of(error)}", low_limits())
        ) from None
    if tried.returncode:
        lines = tried.stderr.decode(errors="replace").splitlines()
        said = next((line for line in reversed(lines) if line.strip()), f"exit code {tried.returncode}")
        said = said.strip().removeprefix("Original error was: ")
        raise CharRNNError(_with_limits(f"libraries cannot be used: {said}", low_limits("vdu")))


def _take_room() -> None:
    """Have OpenBLAS take the memory that it needs while there is some; without it, it ends the process."""
    import numpy as np

    np.ones((64, 64)) @ np.ones((64, 64))


def explain(error: BaseException) -> str | None:
    """Return what to say of an error that comes from a limit, a lack of memory or a damaged installation.

    Returns
    -------
    str or None
        One sentence; None where the error is not of this kind, and likely a fault of the program.
    """
    limits = low_limits()
    if isinstance(error, MemoryError):
        memory = [limit for limit in limits if limit.option in _OF_MEMORY]
        if memory:
            return _with_limits("there is not enough memory for this", memory)
        return "there is not enough memory for this; try a smaller --hidden or --batch-size"
    if isinstance(error, ImportError):
        said = f"cannot load a library: {reason_of(_root(error))}"
        return _with_limits(said, limits) if limits else f"{said}; install charrnn again"
    if isinstance(error, OSError):
        of_files = [limit for limit in limits if limit.option == "n"] if error.errno == errno.EMFILE else []
        return _with_limits(reason_with_path(error), limits if error.strerror is None else of_files)
    # A thread that cannot be started is a RuntimeError, without a type or number of its own.
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return _with_limits("cannot start a thread", limits)
    if isinstance(error, SystemError) and limits:  # C code that was refused memory, and did not say so
        return _with_limits(f"Python failed: {reason_of(error)}", limits)
    return None


def _root(error: ImportError) -> BaseException:
    """Return the error that an import failed with at first; what wraps it may be a page of advice."""
    root: BaseException = error
    while isinstance(root.__cause__ or root.__context__, (ImportError, OSError, MemoryError)):
        root = root.__cause__ or root.__context__ or root
    return root


def _with_limits(said: str, limits: list[Limit]) -> str:
    said = said.rstrip(".")
    return f"{said}; raise the limit of {_in_words(limits)}" if limits else said


def _in_words(limits: list[Limit]) -> str:
    return " and of ".join(map(str, limits))


def leave_stdout() -> None:
    """Let what Python still wants to write to stdout go nowhere: it would fail, and complain at exit."""
    with contextlib.suppress(OSError):  # no file can be opened: then it may complain
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, 1)
        os.close(nowhere)
