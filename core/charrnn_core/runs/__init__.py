"""Runs on disk: the run directory, its event log and checkpoints, and the process that trains into it."""
