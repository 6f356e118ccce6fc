"""How many threads share the work, which the last bits of NumPy's results can depend on."""

from __future__ import annotations

import os

from charrnn_core.rnn.engine import EngineName

LARGE_STEP = {"numpy": 300_000, "numba": 200_000}
"""From so many multiplications in a time step on, B m max(m, K), all cores are faster than one: measured."""


def resolve_threads(
    engine: EngineName, asked: int | None, hidden: int, characters: int, batch_size: int
) -> int:
    """Return how many threads an engine uses: as asked, else one, or for a large network all cores.

    Never more than there are cores in compiled code, whose threads wait for each other many times an update,
    and whose results do not depend on their number.
    """
    cores = available_cores()
    if asked is None:
        return cores if is_large(engine, hidden, characters, batch_size) else 1
    return min(asked, cores) if engine == "numba" else asked


def is_large(engine: EngineName, hidden: int, characters: int, batch_size: int) -> bool:
    """Return whether several threads are faster than one."""
    return batch_size * hidden * max(hidden, characters) >= LARGE_STEP[engine]


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_blas_threads(threads: int) -> str:
    """Let NumPy's matrix products use this many threads from now on, and return the kernel's name.

    Returns
    -------
    str
        The library and the processor core that it runs its kernels for, for example "openblas SkylakeX";
        "unknown" where the library cannot be asked.
    """
    import threadpoolctl

    controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
    controller.limit(limits=threads)
    for library in controller.info():
        name = library.get("internal_api", "unknown")
        return f"{name} {library['architecture']}" if "architecture" in library else str(name)
    return "unknown"
