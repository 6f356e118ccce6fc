"""Which engines there are, and which of them trains."""

from __future__ import annotations

import functools
import importlib.util
import os

from charrnn_core.errors import SettingsError
from charrnn_core.rnn.engine import Engine, EngineName

ENGINE_VARIABLE = "CHARRNN_ENGINE"
"""The environment variable that says which engine `auto` is."""


def resolve_engine(choice: str = "auto") -> EngineName:
    """Return the engine that is meant; `auto` is the compiled one where it can be used.

    Parameters
    ----------
    choice : "auto", "numpy" or "numba"

    Raises
    ------
    SettingsError
        It cannot be used here, or the environment variable names none.
    """
    wanted: str = choice
    if choice == "auto":
        wanted = os.environ.get(ENGINE_VARIABLE, "auto")
        if wanted not in ("auto", "numpy", "numba"):
            raise SettingsError(f"{ENGINE_VARIABLE} is {wanted!r}; possible is auto, numpy or numba")
    if wanted == "numpy":
        return "numpy"
    problem = problem_with_numba()
    if problem is None:
        return "numba"
    if wanted == "auto":
        return "numpy"
    raise SettingsError(f"--engine numba is not possible: {problem}")


@functools.cache
def problem_with_numba() -> str | None:
    """Return why the compiled engine cannot be used, and what to do, or None."""
    if importlib.util.find_spec("numba") is None:
        return "Numba is not installed; pip install numba, or --engine numpy does without"
    disabled = "NUMBA_DISABLE_JIT keeps Numba from compiling; --engine numpy does without"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") == "1":
        return disabled  # before it takes a hundred megabytes, where they may be what is lacking
    try:
        from charrnn_core.rnn.compiled import numba_config
    except (MemoryError, OSError) as error:
        # LLVM is a library of a hundred megabytes, which a limit of memory keeps from being loaded.
        reason = str(error).partition("\n")[0].rstrip(".") or "there is not enough memory"
        return (
            f"Numba cannot be loaded ({reason}); a limit of memory (ulimit -v) may be too low; "
            "--engine numpy does without"
        )
    except (ImportError, ValueError) as error:  # NumPy is newer than it knows, for example
        reason = str(error).partition("\n")[0].rstrip(".") or "its import fails"
        return f"Numba does not work here ({reason}); --engine numpy does without"
    if numba_config.DISABLE_JIT:
        return disabled
    return None


def is_fallback(choice: str, engine: EngineName) -> bool:
    """Return whether an engine is used because Numba, which is installed and was meant, does not work."""
    was_meant = choice == "auto" and os.environ.get(ENGINE_VARIABLE, "auto") == "auto"
    return engine == "numpy" and was_meant and importlib.util.find_spec("numba") is not None


def engine_class(name: EngineName) -> type[Engine]:
    """Return the class of an engine that can be used."""
    if name == "numba":
        from charrnn_core.rnn.compiled.engine import NumbaEngine

        return NumbaEngine
    from charrnn_core.rnn.numpy_engine import NumpyEngine

    return NumpyEngine
