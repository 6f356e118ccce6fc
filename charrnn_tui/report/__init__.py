"""The document of a run, and figures of its loss: views of a run directory, as the dashboard is one."""

import logging

# What Matplotlib says of its fonts and caches while it is imported is not about the figure.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
