"""Beginning of every process of `charrnn`, also of `python -m charrnn_tui`."""

import _signal  # type: ignore[import-not-found]

# Before any other import: until a command handles the signal, Ctrl+C ends the process as it ends `cat`. As an
# exception it would come out of half-imported libraries in all their forms. `_signal` is a part of Python's
# executable; `signal` imports other modules first, which takes milliseconds.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import os
import sys


def _forget_current_directory() -> None:
    """Import nothing from the current directory, unless charrnn itself comes from there.

    `python -m` looks there first, and it may be a run that came from somebody else, with a `numpy.py` in it.
    """
    try:
        current = os.getcwd()  # noqa: PTH109 - pathlib is not imported yet, and would come from there
    except OSError:
        return  # it was removed, and so has no modules
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    if sys.path[0] in ("", current) and current != own:
        del sys.path[0]


_forget_current_directory()

from charrnn_tui.entry import main  # noqa: E402

if __name__ == "__main__":
    main()
