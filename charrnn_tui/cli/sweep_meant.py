"""Which sweep a user means, where a run or a text can be meant as well."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_core.errors import UsageError

if TYPE_CHECKING:
    from charrnn_core.sweeps.directory import SweepDirectory


def sweep_meant(subject: str, runs: Path, *, or_text: bool = False) -> SweepDirectory | None:
    """Return the sweep that is meant; None where it is none.

    Parameters
    ----------
    subject : str
        A path, a name, or the beginning of a name.
    runs : Path
        The directory that holds runs and sweeps.
    or_text : bool
        Whether the name of a bundled text can be meant too.

    Raises
    ------
    UsageError
        It could be a run or a text as well.
    """
    with suppress(OSError, ValueError):  # a name that is too long, or has a NUL
        is_path = "/" in subject or os.path.lexists(subject)
        named = () if is_path else [path.parent.name for path in runs.glob("*/sweep.json")]
        if not Path(subject, "sweep.json").is_file() and not any(name.startswith(subject) for name in named):
            return None  # as mostly; then what reads sweeps need not be imported
    from charrnn_core.runs.directory import list_runs
    from charrnn_core.sweeps.directory import find_sweep
    from charrnn_core.text.source import bundled_sources

    sweep = find_sweep(subject, runs)
    if sweep is not None and not is_path:
        others = [f"run {run.name}" for run in list_runs(runs) if run.name.startswith(subject)]
        others += ["bundled text"] * (or_text and subject in bundled_sources())
        if others and (sweep.name != subject or "bundled text" in others):
            raise UsageError(
                f"{subject} could mean the sweep {sweep.name} or the {others[0]}; say {sweep.path} for the "
                "sweep"
            )
    return sweep
