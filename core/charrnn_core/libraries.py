"""How libraries are imported that look for their settings in the current directory.

That directory may be a run that came from somebody else. A file `.numba_config.yaml` in it can have Numba run
any code, and Matplotlib would wait for a pipe with the name `matplotlibrc`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def away_from_the_current_directory() -> Iterator[None]:
    """Be in the root directory within this context; relative paths of other threads lead there meanwhile."""
    # O_PATH, where there is one, needs no permission to list the directory.
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY
    try:
        here = os.open(".", flags)
    except OSError:  # it was removed
        yield
        return
    try:
        os.chdir("/")
        yield
    finally:
        os.fchdir(here)
        os.close(here)
