"""What is shown of a sweep while it goes on: a table on a terminal, lines in a pipe, JSON for a program."""

from __future__ import annotations

import json as json_module
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from charrnn_core.sweeps.following import SweepFollower, TrialRow, best_first, groups_of
from charrnn_core.sweeps.plan import Plan
from charrnn_core.sweeps.sweeping import Sweeping
from charrnn_core.sweeps.varying import shown
from charrnn_tui.formatting import clock, count_of, loss_of
from charrnn_tui.terminal import OutputError, harmless_line, has_utf8, is_rich, put, say
from charrnn_tui.trial_words import loss_in_words, name_in_words, values_in_words

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_TABLE_SECONDS = 0.5
_LINE_SECONDS = 1.0
_CURVE_COLUMNS = 16
_SUMMARY_ROWS = 5

_STYLES = {"training": "cyan", "paused": "yellow", "diverged": "red", "failed": "red", "crashed": "red"}


def sweep_view(follower: SweepFollower, plan: Plan, *, quiet: bool, json: bool) -> SweepView:
    """Return the view that fits stderr."""
    if quiet:
        return SweepView(follower, plan, json=json)
    return (TableView if is_rich(sys.stderr) else LinesView)(follower, plan, json=json)


class SweepView:
    """Shows nothing but failures, and with `json` a line on stdout for each trial that has ended.

    Parameters
    ----------
    follower : SweepFollower
    plan : Plan
    json : bool
    """

    seconds = _LINE_SECONDS

    def __init__(self, follower: SweepFollower, plan: Plan, *, json: bool) -> None:
        self._follower = follower
        self._plan = plan
        self._json = json
        self._began = time.monotonic()
        self._share_before = self._share()
        self._due = 0.0
        # What was done before is told only where a program asks for all of it.
        self._told: set[str] = set() if json else {row.trial.name for row in follower.rows if row.is_done}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def leave(self) -> None:
        """Leave nothing behind, for a process that ends at once."""

    def look(self, sweeping: Sweeping) -> None:
        """Show what is new, now and then."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self.seconds
        self.end(sweeping)
        self.draw()

    def end(self, sweeping: Sweeping) -> None:
        """Tell what has ended since it was last told."""
        # What the disk could not take is known here.
        failed = {name: each.reason for name, each in sweeping.outcomes.items() if each.end == "failed"}
        self._follower.record.failed.update(failed)
        self._follower.poll(training=sweeping.training)
        for row in self._follower.rows:
            name = row.trial.name
            if name in self._told or name in sweeping.training or not (row.is_done or name in failed):
                continue
            self._told.add(name)
            if self._json:
                try:
                    put(json_module.dumps(row.to_json()) + "\n")
                except OutputError:
                    sweeping.stop()
                    raise
            self.tell(row)

    def tell(self, row: TrialRow) -> None:
        """Tell of a trial that has ended."""
        if row.error is not None:
            say(f"charrnn: {harmless_line(row.trial.name)}: {harmless_line(row.error)}\n", sys.stderr)

    def draw(self) -> None:
        """Draw nothing."""

    def progress(self) -> str:
        """Return how far the sweep is."""
        rows, plan = self._follower.rows, self._plan
        training = sum(row.state in ("training", "paused") for row in rows)
        failed = sum(row.state == "failed" for row in rows)
        words = [f"{self._follower.done:,} of {plan.size:,} trials done", f"{training:,} training"]
        if failed:
            words.append(f"{failed:,} failed")
        left = self._seconds_left()
        return " · ".join([*words, *([f"{clock(left)} left"] if left is not None else [])])

    def _share(self) -> float:
        return sum(row.share for row in self._follower.rows) / max(1, self._plan.size)

    def _seconds_left(self) -> float | None:
        share, elapsed = self._share(), time.monotonic() - self._began
        gained = share - self._share_before
        return elapsed * (1 - share) / gained if gained > 0.01 and elapsed > 2 else None


class LinesView(SweepView):
    """Writes a line to stderr for each trial that has ended."""

    def tell(self, row: TrialRow) -> None:
        """Tell of a trial that has ended."""
        words = [values_in_words(row.trial.values), row.state, f"update {count_of(row.update)}"]
        if row.loss is not None:
            kind = "smooth" if row.held_out_loss is None else "held-out"
            words.append(f"{loss_of(row.loss, 4)} {kind} loss")
        if row.error is not None:
            words.append(row.error)
        told, size = len(self._told), self._plan.size
        say(f"{harmless_line(' · '.join(words))} ({told:,} of {size:,})\n", sys.stderr)


class TableView(SweepView):
    """Draws a table of the trials, best first, and how far the sweep is, at the foot of the terminal."""

    seconds = _TABLE_SECONDS

    def __init__(self, follower: SweepFollower, plan: Plan, *, json: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(follower, plan, json=json)
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._gone = False

    def __enter__(self) -> Self:
        with self._muted():
            self._live.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        with self._muted():
            self._live.__exit__(*exception)

    def leave(self) -> None:
        """Give the cursor back, for a process that ends at once."""
        with suppress(OSError):  # the terminal may be gone
            os.write(2, b"\x1b[?25h\n")

    def tell(self, row: TrialRow) -> None:
        """Tell of a trial that has failed, above the table."""
        if row.error is not None:
            with self._muted():
                self._console.print(self._text(f"{row.trial.name}: {row.error}", "red"), soft_wrap=True)

    def draw(self) -> None:
        """Draw the table anew."""
        with self._muted():
            if not self._gone:
                self._live.update(self._table(), refresh=True)

    @contextmanager
    def _muted(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # the terminal is gone, which is no reason to stop training
            self._gone = True

    def _table(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table(box=None, expand=False, padding=(0, 2, 0, 0), header_style="dim")
        for name in self._plan.varied:
            table.add_column(self._text(name_in_words(name)), justify="right", no_wrap=True)
        width = self._console.width
        table.add_column("state", no_wrap=True)
        table.add_column("updates", justify="right", no_wrap=True)
        table.add_column("nats/char", justify="right", no_wrap=True)
        if width >= 70:
            table.add_column("loss", no_wrap=True)
        if width >= 90:
            table.add_column("updates/s", justify="right", no_wrap=True)
        for row in self._chosen(max(1, self._console.height - 5)):
            cells = [self._text(shown(row.trial.values.get(name))) for name in self._plan.varied]
            cells += [
                self._text(row.state, _STYLES.get(row.state, "")),
                self._text(count_of(row.update)),
                self._text(loss_of(row.loss, 4)),
                self._text(self._curve(row), "cyan"),
                self._text(f"{row.updates_per_second:,.0f}" if row.updates_per_second else ""),
            ]
            table.add_row(*cells[: len(table.columns)])
        progress = self._text(self.progress())
        progress.no_wrap, progress.overflow = True, "crop"
        # Room at the right for the ^C that a terminal writes there: in the next line it would stay.
        bar = ProgressBar(total=1, completed=self._share(), width=min(40, width - len(progress) - 8))
        foot = Table.grid(padding=(0, 2, 0, 0))
        foot.add_row(bar, progress)
        return Group(table, "", foot if width >= 60 else progress)

    def _chosen(self, most: int) -> list[TrialRow]:
        """Return the rows that there is room for: the best, and all that are training now."""
        rows = [row for row in best_first(self._follower.rows) if row.state != "waiting"]
        if len(rows) <= most:
            return rows
        first, behind = rows[:most], rows[most:]
        training = [row for row in behind if row.state in ("training", "paused")][:most]
        return first[: most - len(training)] + training

    def _curve(self, row: TrialRow) -> str:
        from charrnn_tui.dashboard.renderables.sparkline import sparkline

        if row.update == 0:
            return ""
        _, losses = self._follower.curve(row.trial.name)
        return sparkline(losses, _CURVE_COLUMNS, "block" if has_utf8(sys.stderr) else "ascii")

    def _text(self, words: str, style: str = "") -> Text:
        from rich.text import Text

        words = harmless_line(words)
        if not has_utf8(sys.stderr):
            from charrnn_tui.ascii import to_ascii

            words = to_ascii(words)
        return Text(words, style)


def summary_lines(follower: SweepFollower) -> Iterator[str]:
    """Yield what has come of a sweep: its best combinations, with mean and deviation over seeds."""
    groups = [group for group in groups_of(follower.rows) if group.losses]
    if groups:
        has_seeds = any(len(group.losses) > 1 for group in groups)
        over = ", mean ± standard deviation over the seeds" if has_seeds else ""
        yield f"{loss_in_words(follower.rows)}, nats per character{over}:"
    for group in groups[:_SUMMARY_ROWS]:
        spread = f" ± {group.deviation:.4f}" if len(group.losses) > 1 else ""
        yield f"  {loss_of(group.mean, 4)}{spread}  {values_in_words(group.values) or 'all'}"
    if len(groups) > _SUMMARY_ROWS:
        yield f"  … {len(groups) - _SUMMARY_ROWS:,} more"
    diverged = sum(row.state == "diverged" for row in follower.rows)
    pruned = sum(row.state == "pruned" for row in follower.rows)
    if diverged:
        yield f"{diverged:,} diverged"
    if pruned:
        yield f"{pruned:,} were given up early"
