"""The trainer: a generator of events over an engine."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from charrnn_core.errors import CorpusError, DivergedError
from charrnn_core.rnn.engine import EngineName
from charrnn_core.rnn.engines import engine_class, resolve_engine
from charrnn_core.rnn.gradcheck.check import CHECKED_TYPE, Checking, check
from charrnn_core.rnn.gradcheck.comparisons import Comparison
from charrnn_core.rnn.gradcheck.rows import CheckRow
from charrnn_core.rnn.gradcheck.windows import multiplications
from charrnn_core.rnn.optimizers import OptimizerSettings
from charrnn_core.rnn.parameters import initial_parameters
from charrnn_core.rnn.sampler import Sampler, opening, written
from charrnn_core.rnn.scoring import Scorer
from charrnn_core.rnn.threads import resolve_threads
from charrnn_core.text.corpus import Corpus
from charrnn_core.text.windows import Windows
from charrnn_core.training.events import (
    Ended,
    EpochDone,
    Event,
    GradientsChecked,
    Obeyed,
    Progress,
    Sample,
    Status,
    Validated,
    Warned,
)
from charrnn_core.training.settings import Settings
from charrnn_core.training.state import (
    LOOKING_DUTIES,
    Best,
    Bucket,
    Duty,
    Snapshot,
    is_epoch_recorded,
    next_recorded_epoch,
    shaping_duties,
)

BEST_EVERY = 100
"""Updates between two looks at whether the smooth loss is the best so far."""

SAMPLE_STREAM = 2
"""The spawn key of the random numbers of the sample at update n is (2, n)."""

CHECK_STREAM = 4
"""The spawn key of the random numbers of the gradient check at update n is (4, n)."""

_PULSE_SECONDS = 0.05  # about how long the engine works before the caller can step in
_SAMPLED_A_PULSE = 250  # characters of a sample, fewer where each takes long
_MULTIPLIED_A_PULSE = 20_000_000  # numbers, in the matrix products of one character after the other
_SCORED_A_PULSE = 4096  # characters of held-out text, fewer where each takes long
_RATE_SECONDS = 1.0  # the time over which the rate shown now is measured

Phase = Literal["compiling", "training", "validating", "checking", "sampling", "paused"]


class Trainer:
    """Trains a network on a corpus, and says what happens as it happens.

    All that it decides (borders of the log's buckets, best, validation, samples, where to stop) it decides at
    exact updates. Only `--seconds` and the pace of its `Status` depend on the clock. Between two values that
    `run` yields, the caller may `stop` it or take a `snapshot`.

    Parameters
    ----------
    settings : Settings
    corpus : Corpus
    snapshot : Snapshot, optional
        The state to go on from; from the start by default.
    engine : str, optional
        The engine of the run that is gone on with; by default what the settings mean here.
    threads : int, optional
        Of that run.
    clock : callable
        Seconds, monotonic.

    Attributes
    ----------
    settings : Settings
        As they are now.
    update : int
        Updates done.
    best : Best or None
        Figures of the best state so far.
    best_snapshot : Snapshot or None
        A copy of it.
    diverged : bool
        The loss or a weight is no longer finite; the state is of no more use.

    Raises
    ------
    CorpusError
        The text is too short, or has a single distinct character.
    SettingsError
        The network cannot fit into memory.
    """

    def __init__(
        self,
        settings: Settings,
        corpus: Corpus,
        *,
        snapshot: Snapshot | None = None,
        engine: EngineName | None = None,
        threads: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.windows = windows_of(settings, corpus)
        self.settings = settings
        self.corpus = corpus
        training, self._held_out = corpus.split(settings.held_out)
        parameters = initial_parameters(
            settings.hidden,
            len(corpus.vocabulary),
            np.dtype(settings.dtype).type,
            seed=settings.seed,
            scheme=settings.init,
            standard_deviation=settings.init_std,
        )
        name = engine or resolve_engine(settings.engine)
        self.engine = engine_class(name)(
            parameters,
            _optimizer_settings(settings),
            training,
            self.windows,
            reduction=settings.loss,
            threads=resolve_threads(
                name,
                threads or settings.threads,
                settings.hidden,
                len(corpus.vocabulary),
                settings.batch_size,
            ),
        )
        self.update = 0
        self.best: Best | None = None
        self.best_snapshot: Snapshot | None = None
        self.diverged = False
        self._bucket = Bucket.after(0)
        self._pending: list[Duty] = []
        self._epoch_due = 0  # the next update that ends an epoch whose end is an event, once it is known
        self._stop_reason: str | None = None
        self._clock = clock
        self._began = clock()
        self._seconds_before = 0.0
        self._loop: object | None = None  # what `run` does now
        self._paused_at: float | None = None
        self._bucket_time = 0.0
        # Norm and clipped share of the last update's gradient; None until somebody asks.
        self._gradient: tuple[float, float] | None = None
        self._end: tuple[int, tuple[Duty, ...]] | None = None
        self._rates: list[tuple[int, float]] = []  # changes of the learning rate to come, last one first
        self._pace: deque[tuple[float, int]] = deque()  # times and updates of the last second
        if snapshot is not None:
            self._go_on_from(snapshot)

    # -- what the caller may do between two events ---------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Seconds of training so far, to the microsecond."""
        now = self._clock() if self._paused_at is None else self._paused_at
        return round(self._seconds_before + now - self._began, 6)

    @property
    def epoch(self) -> float:
        """Epochs done."""
        return self.windows.epoch(self.update)

    @property
    def pending(self) -> tuple[Duty, ...]:
        """The duties of this update that are still to be done."""
        return tuple(self._pending)

    @property
    def has_begun(self) -> bool:
        """Whether the first window has been measured; from then on there is a state that can be saved."""
        return not math.isnan(self.engine.smooth_loss)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop_reason is not None

    def stop(self, reason: str) -> None:
        """Stop before the next update; the first `reason` goes into the `ended` event."""
        self._stop_reason = self._stop_reason or reason

    def end_at(self, update: int, pending: tuple[Duty, ...]) -> None:
        """End as a recorded run ended: at an update, before the duties that it left to be done.

        A sample or check that the recorded run still had to make is no reason to wait for one: samples may
        have had another cadence.
        """
        self._end = (update, pending)

    def _is_end(self) -> bool:
        if self._end is None or self.update < self._end[0]:
            return False
        if self.update > self._end[0]:
            return True  # what is recorded as left to do was not due at that update
        recorded = self._end[1]
        if any(duty in self._pending and duty not in recorded for duty in LOOKING_DUTIES):
            return False
        return shaping_duties(self._pending) == shaping_duties(recorded)

    def set_learning_rate(self, learning_rate: float) -> None:
        """Train with another learning rate from the next update on.

        Raises
        ------
        SettingsError
            It is not an allowed one.
        """
        self.settings = replace(self.settings, learning_rate=learning_rate)
        self.engine.learning_rate = learning_rate

    def schedule_learning_rates(self, changes: list[tuple[int, float]]) -> None:
        """Change the learning rate after given updates: pairs of update and rate, in order."""
        self._rates = sorted(changes, key=lambda change: change[0])[::-1]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the run's clock while this context lasts; within another one, it stands still already."""
        if self._paused_at is not None:
            yield
            return
        self._paused_at = self._clock()
        try:
            yield
        finally:
            self._began += self._clock() - self._paused_at
            self._paused_at = None
            self._pace.clear()

    def checking(
        self, asked: Sequence[Comparison] | None = None, seed: int | None = None
    ) -> Iterator[CheckRow | Checking]:
        """Check the gradients of the next window as `check` does; training is not touched.

        Parameters
        ----------
        asked : sequence of Comparison, optional
            By default the default check.
        seed : int, optional
            Of what the check draws; the run's by default.
        """
        seed = self.settings.seed if seed is None else seed
        stream = np.random.SeedSequence(seed, spawn_key=(CHECK_STREAM, self.update))
        engine = self.engine
        return check(
            engine.window(self.update),
            stream,
            asked,
            network=engine.network,
            engine=engine,
            update=self.update,
        )

    def check_gradients(
        self, asked: Sequence[Comparison] | None = None, seed: int | None = None
    ) -> Generator[Status, None, GradientsChecked | None]:
        """Return the check that `checking` makes as an event, or None if a stop came first."""
        rows: list[dict[str, Any]] = []
        if not self.engine.is_ready(CHECKED_TYPE):
            yield self.status("compiling")
            for _ in self.engine.preparing(CHECKED_TYPE):
                if self._stop_reason is not None:
                    return None
                yield self.status("compiling")
        for item in self.checking(asked, seed):
            if isinstance(item, CheckRow):
                rows.append(item.to_json())
                continue
            if self._stop_reason is not None:
                return None
            yield self.status("checking")
        return GradientsChecked(update=self.update, time=self.seconds, rows=tuple(rows))

    def draw(
        self,
        generator: np.random.Generator,
        *,
        length: int,
        temperature: float,
        top_p: float | None = None,
        prime: str = "",
    ) -> Generator[Status, None, Sample | None]:
        """Draw a sample of the network as it is, from the h that training carries; training is not touched.

        Yields between pieces of the work. Returns the sample, or None if a stop came first.

        Raises
        ------
        UnknownCharacterError
            The prime holds characters that the vocabulary does not have.
        DivergedError
            The weights are too large to calculate with.
        """
        engine, vocabulary = self.engine, self.corpus.vocabulary
        read = vocabulary.encode(prime).tolist() if prime else opening(vocabulary)
        sampler = Sampler(engine.parameters, generator, engine.h[0], temperature=temperature, top_p=top_p)
        piece = self._characters_at_once(_SAMPLED_A_PULSE)
        for begin in range(0, len(read), piece):
            if begin:
                yield self.status("sampling")
            if self._stop_reason is not None:
                return None
            sampler.feed(read[begin : begin + piece])
        codes: list[int] = []
        for code in sampler.codes(length):
            codes.append(code)
            if len(codes) % piece == 0:
                if self._stop_reason is not None:
                    return None
                yield self.status("sampling")
        return self._sampled(codes, temperature, prime)

    def _characters_at_once(self, most: int) -> int:
        """Return how many characters the network reads or writes before the caller can step in."""
        return min(most, max(1, _MULTIPLIED_A_PULSE // multiplications(self.engine.parameters)))

    def sample(self, **how: Any) -> str:
        """Return what the network writes now, from the h that training carries.

        Parameters
        ----------
        length, temperature, top_k, top_p, prime, seed
            As in `charrnn_core.rnn.sampler.written`.

        Raises
        ------
        UnknownCharacterError
            The prime holds characters that the vocabulary does not have.
        """
        return written(self.corpus.vocabulary, self.engine.parameters, self.engine.h[0], **how)

    def check(self, asked: Sequence[Comparison] | None = None) -> list[CheckRow]:
        """Return the rows of the gradient check, as `checking` yields them."""
        return [row for row in self.checking(asked) if isinstance(row, CheckRow)]

    def snapshot(self) -> Snapshot:
        """Return a copy of the whole state."""
        engine = self.engine
        norm, clipped_share = self._gradient_figures()
        return Snapshot(
            settings=self.settings,
            parameters=engine.parameters.copy(),
            memory={name: memory.copy() for name, memory in engine.memory.items()},
            h=engine.h.copy(),
            update=self.update,
            epoch=self.epoch,
            smooth_loss=engine.smooth_loss,
            bucket=replace(self._bucket),
            best=self.best,
            pending=self.pending,
            gradient_norm=norm,
            clipped_share=clipped_share,
            seconds=self.seconds,
        )

    def _go_on_from(self, snapshot: Snapshot) -> None:
        engine = self.engine
        engine.parameters.assign(snapshot.parameters)
        for name, memory in snapshot.memory.items():
            engine.memory[name].assign(memory)
        engine.h[...] = snapshot.h
        engine.smooth_loss = snapshot.smooth_loss
        self.update = snapshot.update
        self.best = snapshot.best
        self._bucket = replace(snapshot.bucket)
        self._pending = list(snapshot.pending)
        self._gradient = (snapshot.gradient_norm, snapshot.clipped_share)
        self._seconds_before = self._bucket_time = snapshot.seconds

    # -- the run -------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Event | Status]:
        """Train, as `run` does."""
        return self.run()

    def run(self) -> Iterator[Event | Status]:
        """Train until a stop, and yield what happens; the last value is `Ended`.

        The state already counts an event as done when it is yielded. Whoever leaves the loop may begin
        another one: it goes on where this one stopped, and begins anew a check, a validation or a sample that
        was not done yet.
        """
        if self._loop is not None:  # left, but not closed yet: somebody still holds it
            self._seconds_before = self.seconds
        self._began = self._clock()
        loop = self._loop = object()
        try:
            yield from self._run()
        finally:
            if self._loop is loop:
                self._seconds_before, self._began = self.seconds, self._clock()
                self._loop = None

    def _run(self) -> Iterator[Event | Status]:
        if not self.has_begun and self._stop_reason is None:
            yield self._begin()
        while True:
            yield from self._do_duties()
            while self._rates and self._rates[-1][0] <= self.update:
                rate = self._rates.pop()[1]
                if rate != self.settings.learning_rate:
                    yield self._replay_rate(rate)
            reason = self._stop_reason or self.reached
            if reason is not None:
                break
            yield self._advance()
        if self._bucket.count:
            yield self._progress(partial=True)
        yield Ended(
            update=self.update,
            time=self.seconds,
            reason=reason,
            epoch=self.epoch,
            smooth_loss=self.engine.smooth_loss,
            best_loss=self.best.loss if self.best else None,
            best_update=self.best.update if self.best else None,
        )

    def _replay_rate(self, learning_rate: float) -> Obeyed:
        """Change the learning rate as the run did that is repeated, and record that here too."""
        self.set_learning_rate(learning_rate)
        return Obeyed(
            update=self.update,
            time=self.seconds,
            command="replay",
            name="set-learning-rate",
            arguments={"learning_rate": learning_rate},
        )

    def _begin(self) -> Progress:
        first = self.engine.begin()
        self.diverged = not math.isfinite(first.loss)
        self._gradient = (first.norm, first.clipped_share)
        if not self.diverged:
            self._pending = self._due()
        return Progress(
            update=0,
            time=self.seconds,
            first_update=0,
            epoch=0.0,
            position=0,
            loss_mean=first.loss,
            loss_min=first.loss,
            loss_max=first.loss,
            smooth_loss=first.loss,
            gradient_norm=first.norm,
            clipped_share=first.clipped_share,
            updates_per_second=0.0,
        )

    def _advance(self) -> Status:
        count = self._updates_at_once()
        best = math.inf if self.best is None else self.best.loss
        losses = self.engine.advance(
            self.update,
            count,
            self._loss_limit(),
            best=-math.inf if len(self._held_out) else best,
            best_every=BEST_EVERY,
        )
        done = losses.tolist()
        if done and not math.isfinite(done[-1]):
            done.pop()
            self.diverged = True
        elif not self.engine.is_finite():
            self.diverged = True
        self.update += len(done)
        if done:
            self._bucket.add(done)
        self._gradient = None
        self._pending = [] if self.diverged else self._due()
        now = self.seconds
        self._pace.append((now, self.update))
        while len(self._pace) > 2 and now - self._pace[0][0] > _RATE_SECONDS:
            self._pace.popleft()
        return self.status("training", sum(done) / len(done) if done else math.nan, now)

    def _updates_at_once(self) -> int:
        """Return how many updates to do now: about `_PULSE_SECONDS` of them, and never beyond a duty."""
        settings, update = self.settings, self.update
        if self._epoch_due <= update:
            self._epoch_due = next_recorded_epoch(update, self.windows.per_epoch)
        borders = [self._bucket.last, self._epoch_due]
        if len(self._held_out):
            borders.append(_next(update, settings.validate_every))
        if settings.sample_every is not None:
            borders.append(_next(update, settings.sample_every))
        limit = self._update_limit()
        if limit is not None:
            borders.append(limit)
        if settings.stop_below is not None and update < settings.minimum_updates:
            borders.append(settings.minimum_updates)
        if self._rates:
            borders.append(self._rates[-1][0])
        if self._end is not None:
            borders.append(self._end[0])
        return max(1, min(min(borders) - update, int(self._rate() * _PULSE_SECONDS)))

    def _update_limit(self) -> int | None:
        """Return the update at which the limits of updates and epochs end the run."""
        limits = []
        if self.settings.updates is not None:
            limits.append(self.settings.updates)
        if self.settings.epochs is not None:
            end = math.ceil(self.settings.epochs * self.windows.per_epoch)
            limits.append(max(end, self.settings.minimum_updates))
        return min(limits, default=None)

    def _loss_limit(self) -> float | None:
        """Return the smooth loss below which the next update ends the run, if there is one."""
        settings = self.settings
        return settings.stop_below if self.update >= settings.minimum_updates else None

    @property
    def reached(self) -> str | None:
        """Which stop has been reached, if any."""
        settings = self.settings
        if self.diverged:
            return "diverged"
        if self._is_end():
            return "replayed"
        limit = self._loss_limit()
        if limit is not None and self.update and self.engine.smooth_loss < limit:
            return "smooth loss"
        if settings.updates is not None and self.update >= settings.updates:
            return "updates"
        last = self._update_limit()
        if last is not None and self.update >= last:
            return "epochs"
        if settings.seconds is not None and self.seconds >= settings.seconds:
            return "seconds"
        return None

    @property
    def finished(self) -> bool:
        """Whether a stop has been reached, and nothing is left to be done at its update."""
        return self.reached is not None and not self._pending

    # -- duties --------------------------------------------------------------------------------------------

    def _due(self) -> list[Duty]:
        """Return what is to be done at this update, in order."""
        settings, update = self.settings, self.update
        duties: list[Duty] = []
        if update == self._bucket.last:
            duties.append("log")
        if update and is_epoch_recorded(update, self.windows.per_epoch):
            duties.append("epoch")
        if len(self._held_out):
            if update % settings.validate_every == 0:
                duties.append("validate")
        elif update and update % BEST_EVERY == 0:
            duties.append("best")
        if not update:
            duties.append("check")
        if settings.sample_every is not None and update % settings.sample_every == 0:
            duties.append("sample")
        return duties

    def _do_duties(self) -> Iterator[Event | Status]:
        """Do what is pending; a validation, check or sample that a stop interrupts stays pending."""
        while self._pending:
            if self._is_end():
                return
            if self._pending[0] == "validate":
                loss = yield from self._held_out_loss()
                if loss is None:
                    return
                self._pending.pop(0)
                self._consider(loss)
                yield Validated(update=self.update, time=self.seconds, loss=loss)
                continue
            if self._pending[0] == "check":
                try:
                    with self.paused():  # a check is no training: --seconds 1 trains for a second
                        checked = yield from self.check_gradients()
                except MemoryError:
                    self._pending.pop(0)
                    yield self._warning("there is not enough memory to check the gradients of this network")
                    continue
                if checked is None:
                    return
                self._pending.pop(0)
                yield checked
                if checked.wrong:
                    names = ", ".join(checked.wrong)
                    yield self._warning(f"the gradient check failed for {names}; see charrnn gradcheck")
                continue
            if self._pending[0] == "sample":
                try:
                    sample = yield from self._sample()
                except DivergedError as error:
                    self._pending.pop(0)
                    yield self._warning(f"no sample: {error}")
                    continue
                if sample is None:
                    return
                self._pending.pop(0)
                yield sample
                continue
            match self._pending.pop(0):
                case "log":
                    event = self._progress()
                    self._bucket = Bucket.after(self.update)
                    yield event
                case "epoch":
                    yield EpochDone(
                        update=self.update,
                        time=self.seconds,
                        epoch=self.update // self.windows.per_epoch,
                        smooth_loss=self.engine.smooth_loss,
                    )
                case "best":
                    self._consider(self.engine.smooth_loss)

    def _progress(self, *, partial: bool = False) -> Progress:
        bucket, now = self._bucket, self.seconds
        elapsed = max(now - self._bucket_time, 1e-6)
        self._bucket_time = now
        norm, clipped_share = self._gradient_figures()
        return Progress(
            update=self.update,
            time=now,
            first_update=bucket.first,
            epoch=self.epoch,
            position=self.windows.position(self.update - 1),
            loss_mean=bucket.total / bucket.count,
            loss_min=bucket.low,
            loss_max=bucket.high,
            smooth_loss=self.engine.smooth_loss,
            gradient_norm=norm,
            clipped_share=clipped_share,
            updates_per_second=round(bucket.count / elapsed, 1),
            partial=partial,
        )

    def _gradient_figures(self) -> tuple[float, float]:
        if self._gradient is None:
            self._gradient = self.engine.gradient_figures()
        return self._gradient

    def _held_out_loss(self) -> Generator[Status, None, float | None]:
        """Return the held-out loss in nats per character, or None if a stop came first."""
        scorer = Scorer(self.engine.parameters, self._held_out)
        while not scorer.done:
            if self._stop_reason is not None:
                return None
            scorer.advance(self._characters_at_once(_SCORED_A_PULSE))
            yield self.status("validating", math.nan)
        return scorer.loss / scorer.scored

    def _consider(self, loss: float) -> None:
        """Keep a copy of the state if its loss is the lowest so far."""
        if self.best is None or loss < self.best.loss:
            self.best = Best(loss, self.update)
            self.best_snapshot = self.snapshot()

    def _warning(self, message: str) -> Warned:
        return Warned(update=self.update, time=self.seconds, message=message)

    def _sample(self) -> Generator[Status, None, Sample | None]:
        """Return the scheduled sample, or None if a stop came first."""
        settings = self.settings
        stream = np.random.SeedSequence(settings.seed, spawn_key=(SAMPLE_STREAM, self.update))
        generator = np.random.default_rng(stream)
        return (
            yield from self.draw(generator, length=settings.sample_length, temperature=settings.temperature)
        )

    def _sampled(self, codes: list[int], temperature: float, prime: str) -> Sample:
        return Sample(
            update=self.update,
            time=self.seconds,
            text=self.corpus.vocabulary.decode(codes),
            temperature=temperature,
            prime=prime,
            smooth_loss=self.engine.smooth_loss,
        )

    # -- what is happening now -----------------------------------------------------------------------------

    def _rate(self) -> float:
        """Return updates per second over about the last second."""
        if len(self._pace) < 2:
            return 0.0
        (began, first), (now, last) = self._pace[0], self._pace[-1]
        return (last - first) / max(now - began, 1e-6)

    def status(self, phase: Phase, loss: float = math.nan, seconds: float | None = None) -> Status:
        """Return what is happening now."""
        rate, seconds = self._rate(), self.seconds if seconds is None else seconds
        left = []
        limit = self._update_limit()
        if limit is not None and rate > 0:
            left.append((limit - self.update) / rate)
        if self.settings.seconds is not None:
            left.append(max(0.0, self.settings.seconds - seconds))
        return Status(
            phase=phase,
            update=self.update,
            epoch=self.epoch,
            loss=loss,
            smooth_loss=self.engine.smooth_loss,
            updates_per_second=rate,
            seconds_left=min(left, default=None),
            time=seconds,
        )


def windows_of(settings: Settings, corpus: Corpus) -> Windows:
    """Return the windows of the part of a text that is trained on, if settings and text go together.

    Raises
    ------
    CorpusError
        The text is too short, or has a single distinct character.
    SettingsError
        The network cannot fit into memory.
    """
    if len(corpus.vocabulary) < 2:
        raise CorpusError(
            f"the text has one distinct character, {corpus.vocabulary.characters!r}: nothing to learn"
        )
    settings.check_memory(len(corpus.vocabulary))
    training, held_out = corpus.split(settings.held_out)
    if settings.held_out and len(held_out) < 2:
        raise CorpusError(
            f"--held-out {settings.held_out:g} of {len(corpus):,} characters leaves too few to score; "
            "at least two are needed"
        )
    return Windows(
        len(training),
        settings.batch_size,
        settings.seq_length,
        settings.chunks,
        settings.chunk_length,
        settings.seed,
    )


def _next(update: int, every: int) -> int:
    """Return the first multiple of `every` after `update`."""
    return (update // every + 1) * every


def _optimizer_settings(settings: Settings) -> OptimizerSettings:
    return OptimizerSettings(
        settings.optimizer,
        settings.learning_rate,
        epsilon=settings.epsilon,
        clip=settings.clip,
        beta1=settings.beta1,
        beta2=settings.beta2,
        decay=settings.decay,
    )
