"""A sweep on the command line: what is said before, shown meanwhile, and told at the end."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from charrnn_core.errors import RunFailedError, RunTakenError, UsageError
from charrnn_core.runs.directory import RunDirectory, check_name
from charrnn_core.runs.log import EventLog
from charrnn_core.runs.starting import text_of
from charrnn_core.sweeps.directory import SweepDirectory, create_sweep, is_sweep, newest_equal
from charrnn_core.sweeps.estimate import estimated_seconds, trials_to_estimate, updates_of
from charrnn_core.sweeps.following import SweepFollower
from charrnn_core.sweeps.places import Place, ThisMachine, files_of, trials_at_a_time
from charrnn_core.sweeps.plan import Plan, Trial
from charrnn_core.sweeps.queues import AllOf, Queue
from charrnn_core.sweeps.sweeping import Sweeping
from charrnn_core.sweeps.varying import shown
from charrnn_core.text.corpus import Corpus, read_corpus
from charrnn_core.text.source import Source, bundled_sources
from charrnn_core.training.settings import option_name
from charrnn_core.training.trainer import windows_of
from charrnn_tui.cli.options import DEFAULT_CORPUS
from charrnn_tui.cli.progress import reading
from charrnn_tui.cli.sweep_view import SweepView, summary_lines, sweep_view
from charrnn_tui.cli.training import named_from_here
from charrnn_tui.formatting import clock
from charrnn_tui.terminal import harmless_line, put, say
from charrnn_tui.trial_words import name_in_words


@dataclass(frozen=True)
class Asked:
    """How a sweep is to be gone through.

    Attributes
    ----------
    jobs : int or None
        Trials at a time on this machine; None for one a core.
    dask : str or None
        Address of the scheduler of a cluster.
    return_every : float
        Seconds after which a worker of the cluster returns what it has.
    quiet, json : bool
        As on the command line.
    """

    jobs: int | None
    dask: str | None
    return_every: float
    quiet: bool
    json: bool

    def begin(self, plan: Plan, subject: str | None, runs: Path, name: str | None) -> int:
        """Begin a sweep, or go on with the one that this plan has made before; return the exit code."""
        check_name(name)
        trials = plan.first_trials()
        if plan.search == "tpe":
            from charrnn_core.sweeps.search import check_installed

            check_installed()  # before anything is made
        source: str | Source = bundled_sources()[DEFAULT_CORPUS] if subject is None else subject
        with reading(self.quiet) as progress:
            corpus = read_corpus(source, progress)
        _check(plan, trials, corpus)
        there = newest_equal(runs, plan, corpus.sha256) if name is None else None
        if name is not None and is_sweep(runs / name):
            there = SweepDirectory((runs / name).absolute())
            _check_same(there, plan, corpus)
        if there is not None:
            plan = plan.extending(there.plan())
        with ExitStack() as opened:
            place = self._place(trials or trials_to_estimate(plan))
            opened.callback(place.close)
            directory = there or create_sweep(runs, plan, corpus, name)
            return self._sweep(directory, plan, corpus, place, is_new=there is None)

    def go_on(self, directory: SweepDirectory, moved: str | None) -> int:
        """Go on with a sweep that is there, whose text may have moved, and return the exit code."""
        plan = directory.plan()
        with reading(self.quiet):
            corpus = text_of(RunDirectory(directory.path), directory.corpus_facts(), moved)
        if moved is not None:  # the trials read it there, too
            corpus = dataclasses.replace(corpus, path=str(Path(moved).absolute()))
        with ExitStack() as opened:
            place = self._place(plan.first_trials() or trials_to_estimate(plan))
            opened.callback(place.close)
            return self._sweep(directory, plan, corpus, place, is_new=False)

    def _sweep(
        self, directory: SweepDirectory, plan: Plan, corpus: Corpus, place: Place, *, is_new: bool
    ) -> int:
        with ExitStack() as opened:
            opened.callback(os.close, _lock(directory))
            directory.check_defaults(plan)
            told = directory.told()
            if plan != directory.plan():
                directory.write_plan(plan, told["corpus"], str(told.get("created", "")))
            facts = directory.corpus_facts()
            if corpus.kind == "file" and corpus.path != facts.get("path"):
                facts["path"] = corpus.path  # where it is now
                facts.pop("kept", None)
            files = files_of(facts)
            follower = SweepFollower(directory)
            opened.callback(follower.close)
            left = [row.trial for row in follower.rows if not row.is_done]
            log = EventLog(directory.events_file)
            opened.callback(log.close)
            sweeping = Sweeping(directory, place, facts, files, log)
            queue: Queue = AllOf(left)
            if plan.search == "tpe":
                from charrnn_core.sweeps.search import TpeSearch

                queue = TpeSearch(
                    plan,
                    follower.record,
                    follower.rows,
                    past=sweeping.past,
                    tell=sweeping.record,
                    updates_of=lambda trial: updates_of(trial.settings, corpus),
                )
            self._say_first(directory, plan, follower, left, corpus, place, is_new=is_new)
            return self._go_through(plan, follower, queue, sweeping)

    def _place(self, trials: Sequence[Trial]) -> Place:
        if self.dask is not None:
            from charrnn_core.sweeps.cluster import Cluster

            return Cluster(self.dask, hand_over_seconds=self.return_every)
        if self.jobs is not None:
            return ThisMachine(self.jobs)
        return ThisMachine(trials_at_a_time(max(trial.settings.threads or 1 for trial in trials)))

    def _say_first(
        self,
        directory: SweepDirectory,
        plan: Plan,
        follower: SweepFollower,
        left: list[Trial],
        corpus: Corpus,
        place: Place,
        *,
        is_new: bool,
    ) -> None:
        """Say how many trials there are, and about how long they take."""
        if not self.json:
            put(f"{directory.path}\n")
        if self.quiet:
            return
        for line in plan_lines(directory, plan, corpus):
            say(f"{harmless_line(line)}\n", sys.stderr)
        if not is_new and follower.rows:
            say(f"{follower.done:,} of {plan.size:,} trials are done already\n", sys.stderr)
        missing = plan.size - len(follower.trials)
        trials = left or (trials_to_estimate(plan) if missing else [])
        if not trials:
            return
        seconds = estimated_seconds(trials, corpus, place.at_a_time)
        if (left and missing) or not left:  # of a search some stand for all
            seconds = None if seconds is None else seconds * (len(left) + missing) / len(trials)
        at_a_time = f"{min(place.at_a_time, len(left) + missing):,} at a time"
        bound = plan.search == "tpe" or any(trial.settings.stop_below is not None for trial in trials)
        about = "at most about" if bound else "about"
        told = "nothing says when they end" if seconds is None else f"{about} {clock(max(1.0, seconds))}"
        say(f"{at_a_time}, {told}\n", sys.stderr)

    def _go_through(self, plan: Plan, follower: SweepFollower, queue: Queue, sweeping: Sweeping) -> int:
        view = sweep_view(follower, plan, quiet=self.quiet, json=self.json)
        heard: list[int] = []
        with _signals(sweeping, view, heard), view:
            sweeping.run(queue, lambda: view.look(sweeping))
            view.end(sweeping)
        where = _named_from_here(follower.directory)
        if heard:
            if not self.quiet:
                say(f"to go on: charrnn sweep {where}\n", sys.stderr)
            return 128 + heard[0]
        return self._tell_end(follower, where)

    def _tell_end(self, follower: SweepFollower, where: str) -> int:
        if not self.quiet:
            for line in summary_lines(follower):
                say(f"{harmless_line(line)}\n", sys.stderr)
            say(f"to look at it: charrnn tui {where}\nits report:    charrnn report {where}\n", sys.stderr)
        left = [row for row in follower.rows if not row.is_done]
        failed = [row for row in left if row.error is not None]
        if failed:
            first = failed[0]
            raise RunFailedError(
                f"{len(failed):,} of {len(follower.rows):,} trials failed, the first of them "
                f"{first.trial.name}: {first.error}; charrnn sweep {where} tries again"
            )
        if left:
            were = "was" if len(left) == 1 else "were"
            raise RunFailedError(
                f"{len(left):,} of {len(follower.rows):,} trials {were} stopped before their end; "
                f"charrnn sweep {where} goes on with them"
            )
        return 0


def _lock(directory: SweepDirectory) -> int:
    try:
        return directory.lock()
    except RunTakenError as error:
        where = _named_from_here(directory)
        raise RunTakenError(
            f"the sweep {directory.name} is gone through by {error.holder} now; charrnn tui {where} shows it",
            error.holder,
        ) from None


def _check_same(there: SweepDirectory, plan: Plan, corpus: Corpus) -> None:
    """Raise a UsageError unless a plan is that of a sweep which is there, or adds trials to it."""
    if there.told()["corpus"].get("sha256") != corpus.sha256:
        raise UsageError(f"the sweep {there.name} has another text; choose another --name")
    before = there.plan()
    if plan.extends(before):
        return
    what = "another plan"
    for name in sorted(plan.given.keys() | before.given.keys()):
        own, old = (shown(told[name]) if name in told else "not given" for told in (plan.given, before.given))
        if own != old:
            what = f"{option_name(name)} {old}, and not {own}"
            break
    raise UsageError(
        f"the sweep {there.name} has {what}; more values, seeds or trials would add to it; for another one "
        "choose another --name"
    )


_MEETING_THE_TEXT = (
    "hidden", "seq_length", "batch_size", "dtype", "optimizer", "held_out", "chunks", "chunk_length",
)  # fmt: skip


def _check(plan: Plan, trials: list[Trial], corpus: Corpus) -> None:
    """Raise a UsageError unless each trial can be trained on a text."""
    checked = set()
    for trial in trials or trials_to_estimate(plan):
        shape = tuple(getattr(trial.settings, name) for name in _MEETING_THE_TEXT)
        if shape in checked:
            continue
        checked.add(shape)
        try:
            windows_of(trial.settings, corpus)
        except UsageError as error:
            raise type(error)(f"{trial.name}: {error}") from None


def plan_lines(directory: SweepDirectory, plan: Plan, corpus: Corpus) -> Iterator[str]:
    """Yield the lines that say what a sweep does."""
    by = " × ".join(
        [f"{len(each.values):,} {name_in_words(each.name)}" for each in plan.vary if plan.search == "grid"]
        or [f"{plan.combinations:,} combinations"] * (plan.search != "grid")
    )
    seeds = f"{plan.seeds:,} seeds" if plan.seeds > 1 else ""
    counted = " × ".join(filter(None, (by, seeds)))
    yield f"sweep {directory.name} · {corpus.name} · {len(corpus):,} characters"
    yield f"{plan.size:,} trials: {counted}"
    for each in plan.vary:
        yield f"  {name_in_words(each.name)}: {each.to_text().replace(',', ', ')}"


@contextmanager
def _signals(sweeping: Sweeping, view: SweepView, heard: list[int]) -> Iterator[None]:
    """Let the first signal have all trials saved and stopped, and a second one end this process at once.

    Then the processes that train save and end by themselves, as their owner is gone.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if heard:
            view.leave()
            os._exit(128 + number)
        heard.append(number)
        sweeping.stop()

    def suspend(number: int, frame: FrameType | None) -> None:
        sweeping.place.suspend()
        view.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        sweeping.place.go_on()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before: dict[int, Any] = {number: signal.signal(number, stop) for number in heeded}
    if signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
        before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, suspend)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _named_from_here(directory: SweepDirectory) -> str:
    return named_from_here(RunDirectory(directory.path))
