"""Compilation in a process of its own, which can be ended at any time.

The process compiles the code for a type, Numba keeps it on disk, and a mark beside it says in which files.
A process that needs the code then reads it in a fraction of a second.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np

from charrnn_core.children import environment, python
from charrnn_core.rnn.compiled import bucket
from charrnn_core.rnn.compiled.bucket import SOURCE_DIGEST, kept_code_folder, kept_files

_LOOK_SECONDS = 0.05


def compile_elsewhere(dtype: np.dtype[Any]) -> Generator[None, None, None]:
    """Have the code for a type compiled and kept on disk, unless it is there.

    Yields while that takes; closing the generator ends it. Where code cannot be kept, or its compilation
    fails, nothing is done: then the caller compiles, and meets the error.
    """
    mark = _mark(dtype)
    if mark is None or _is_kept(mark):
        return
    try:
        # The process looks at the other end of its standard input, and does not outlive this one.
        process = subprocess.Popen(
            python("-m", "charrnn_core.rnn.compiled.compiling", dtype.name),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(),
        )
    except OSError:  # no process more is allowed: this one can still compile
        return
    try:
        while process.poll() is None:
            yield
            try:
                process.wait(_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                continue
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdin is not None
        process.stdin.close()


def _mark(dtype: np.dtype[Any]) -> Path | None:
    """Return the file that says that the code for a type is kept, for this processor and these versions."""
    folder = kept_code_folder()
    if folder is None:
        return None
    facts = (
        SOURCE_DIGEST,
        Path(bucket.__file__).stat().st_mtime_ns,  # Numba compiles again where this has changed
        dtype.name,
        (sys.version, np.__version__, numba.__version__, llvmlite.__version__),
        llvmlite.binding.get_host_cpu_name(),
        llvmlite.binding.get_host_cpu_features().flatten(),
        sorted(each for each in os.environ.items() if each[0].startswith("NUMBA_")),
    )
    return folder / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:24]}.kept"


def _is_kept(mark: Path) -> bool:
    """Return whether the files that a mark names are all there: a user may empty caches."""
    try:
        names = mark.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return bool(names) and all((mark.parent / name).is_file() for name in names)


def _end_with_owner() -> None:
    os.read(0, 1)
    os._exit(1)


def main() -> int:
    """Compile the code for the type that is the argument."""
    threading.Thread(target=_end_with_owner, daemon=True).start()
    from charrnn_core.rnn.compiled.engine import load

    dtype = np.dtype(sys.argv[1])
    mark = _mark(dtype)
    if load(dtype) and mark is not None:
        mark.write_text("\n".join(path.name for path in kept_files()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
