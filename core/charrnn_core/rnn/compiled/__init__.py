"""The compiled engine: windows, optimizer steps and whole buckets of updates as machine code, by Numba."""

import os

from charrnn_core.libraries import away_from_the_current_directory

with away_from_the_current_directory():
    from numba.core import config as numba_config

# Numba reads its settings again whenever it compiles; this is no file of settings.
numba_config._config_fname = os.devnull

__all__ = ["numba_config"]
