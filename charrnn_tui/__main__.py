"""Beginning of every process of `charrnn`, also of `python -m charrnn_tui`."""

import _signal  # type: ignore[import-not-found]

# Before any other import: until a command handles the signal, Ctrl+C ends the process as it ends `cat`. As an
# exception it would come out of half-imported libraries in all their forms. `_signal` is a part of Python's
# executable; `signal` imports other modules first, which takes milliseconds.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from charrnn_tui.entry import main

if __name__ == "__main__":
    main()
