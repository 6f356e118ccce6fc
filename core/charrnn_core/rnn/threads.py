"""How many threads the matrix products use, which the last bits of their results can depend on."""

from __future__ import annotations


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
