"""How this program starts processes of Python.

By `-m` and `-c`, Python looks for modules in the current directory before all others. That directory may be a
run that came from somebody else, with a `numpy.py` in it.
"""

from __future__ import annotations

import os
import sys


def python(*arguments: str) -> list[str]:
    """Return the command that starts Python without the current directory among its modules.

    Parameters
    ----------
    *arguments : str
        Of Python: "-m", the name of a module, and its arguments.
    """
    return [sys.executable, "-P", *arguments]


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which another process finds the modules that this one finds.

    Parameters
    ----------
    **more : str
        Variables besides those of this process.
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}
