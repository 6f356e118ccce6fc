"""Figures, drawn by Matplotlib."""

import logging
import os
from pathlib import Path

from charrnn_core.libraries import away_from_the_current_directory

# What Matplotlib says of its fonts and caches while it is imported is not about the figure.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

if "MPLCONFIGDIR" in os.environ:
    os.environ["MPLCONFIGDIR"] = str(Path(os.environ["MPLCONFIGDIR"]).absolute())

with away_from_the_current_directory():
    import matplotlib  # noqa: F401
