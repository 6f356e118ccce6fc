"""Other runs whose losses lie over that of the run that is shown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from charrnn_core.errors import CharRNNError, reason_of
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.following import RunFollower
from charrnn_core.runs.history import History
from charrnn_tui.formatting import characters_of_loss

MOST = 5
"""Runs that can be laid over another: there are as many colours."""


class Comparison:
    """The runs that are compared with, each followed while it trains.

    Attributes
    ----------
    followers : dict of str to RunFollower
        By name.
    """

    def __init__(self) -> None:
        self.followers: dict[str, RunFollower] = {}

    @property
    def paths(self) -> list[Path]:
        """Their directories."""
        return [follower.directory.path for follower in self.followers.values()]

    def choose(self, followers: dict[str, RunFollower]) -> None:
        """Compare with these runs, and with no others."""
        for follower in self.followers.values():
            follower.close()
        self.followers = followers

    def poll(self) -> None:
        """Read what is new in them."""
        for follower in self.followers.values():
            follower.poll()

    def histories(self, but: Path | None) -> dict[str, History]:
        """Return their histories by name, without that of the run in one directory."""
        return {
            name: follower.history
            for name, follower in self.followers.items()
            if follower.directory.path != but
        }


def follow(paths: Iterable[Path]) -> tuple[dict[str, RunFollower], list[str]]:
    """Return the runs in some directories by name, and what is wrong with others."""
    followers, problems = {}, []
    for path in paths:
        try:
            followers[path.name] = RunFollower(RunDirectory(path))
        except CharRNNError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"cannot read {path}: {reason_of(error)}")
    return followers, problems


def scale_to(characters: int, history: History) -> float:
    """Return the factor that turns losses of a run into sums over this many characters; NaN if unknown."""
    settings = history.openings[-1].get("settings") if history.openings else None
    if not isinstance(settings, dict):
        return math.nan
    try:
        return characters / characters_of_loss(settings)
    except (TypeError, ValueError, ArithmeticError):  # another program may have written the log
        return math.nan
