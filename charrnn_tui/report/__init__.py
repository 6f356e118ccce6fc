"""The document of a run, and figures of its loss: views of a run directory, as the dashboard is one."""
