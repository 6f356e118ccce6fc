"""The trainer decides at exact updates, and nothing that it shows or keeps changes what it learns."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from charrnn_core.errors import CorpusError, SettingsError
from charrnn_core.rnn.sampler import Sampler, opening
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import Ended, EpochDone, Event, Progress, Sample, Status, Validated
from charrnn_core.training.settings import Settings
from charrnn_core.training.state import Bucket, bucket_width
from charrnn_core.training.trainer import SAMPLE_STREAM, Trainer

TEXT = "the tide rises, the tide falls; the clock above the market counts them both.\n" * 8


def small(**given):
    values = {"hidden": 7, "seq_length": 4, "updates": 130, "sample_every": 50, "sample_length": 12}
    return Settings.of(**{**values, **given})


class FakeClock:
    """A clock that goes on by the same step whenever it is asked."""

    def __init__(self, step):
        self._ticks = itertools.count()
        self._step = step

    def __call__(self):
        return next(self._ticks) * self._step


def run(settings, *, step=0.001, text=TEXT, stop_at=None):
    trainer = Trainer(settings, corpus_of(text), clock=FakeClock(step))
    events = []
    for item in trainer.run():
        if isinstance(item, Event):
            events.append(item)
        elif stop_at is not None and item.update >= stop_at:
            trainer.stop("asked")
    return trainer, events


def deterministic(events):
    """The events that must not depend on clock or machine, without their times and rates."""
    kinds = (Progress, Sample, Validated, EpochDone)
    lines = [event.to_json() for event in events if isinstance(event, kinds)]
    for line in lines:
        line.pop("time")
        line.pop("updates_per_second", None)
    return lines


def test_the_first_progress_is_the_untrained_network():
    _, events = run(small())
    first = events[0]
    assert isinstance(first, Progress)
    assert (first.update, first.first_update) == (0, 0)
    K = len(corpus_of(TEXT).vocabulary)
    assert first.smooth_loss == first.loss_mean == pytest.approx(4 * math.log(K), rel=0.005)
    second = next(event for event in events if event.update == 1)
    assert second.loss_mean == first.loss_mean
    assert second.smooth_loss == pytest.approx(first.loss_mean, rel=1e-6)


def test_buckets_follow_each_other_without_gap_and_hold_every_loss():
    trainer, events = run(small(updates=1500, sample_every=None))
    buckets = [event for event in events if isinstance(event, Progress)][1:]
    expected = 1
    for bucket in buckets:
        assert bucket.first_update == expected
        assert bucket.update == bucket.first_update - 1 + bucket_width(bucket.first_update - 1)
        assert bucket.loss_min <= bucket.loss_mean <= bucket.loss_max
        expected = bucket.update + 1
    losses = trainer_losses(small(updates=1500, sample_every=None))
    assert trainer.update == expected - 1 == 1500
    for bucket in buckets:
        of_bucket = losses[bucket.first_update - 1 : bucket.update]
        assert bucket.loss_mean == pytest.approx(np.mean(of_bucket), rel=1e-12)
        assert (bucket.loss_min, bucket.loss_max) == (min(of_bucket), max(of_bucket))


def trainer_losses(settings):
    trainer = Trainer(settings, corpus_of(TEXT))
    trainer.engine.begin()
    return trainer.engine.advance(0, settings.updates).tolist()


@given(st.integers(0, 10**9))
def test_a_bucket_is_the_largest_round_width_within_half_a_per_cent(update):
    series = [step * 10**power for power in range(9) for step in (1, 2, 5)]
    assert bucket_width(update) == max([1, *(width for width in series if 200 * width <= update)])


@given(losses=st.lists(st.floats(0, 1e3), min_size=1, max_size=30), cuts=st.sets(st.integers(1, 29)))
def test_a_bucket_does_not_depend_on_how_its_losses_are_grouped(losses, cuts):
    whole, parts = Bucket(), Bucket()
    whole.add(losses)
    edges = [0, *sorted(cut for cut in cuts if cut < len(losses)), len(losses)]
    for start, end in itertools.pairwise(edges):
        parts.add(losses[start:end])
    assert whole == parts


@pytest.mark.parametrize(
    "extra", [{}, {"held_out": 0.3, "validate_every": 30}, {"chunks": "shuffled", "chunk_length": 40}]
)
def test_the_pace_of_the_machine_changes_nothing(extra):
    slow, slow_events = run(small(**extra), step=10.0)
    fast, fast_events = run(small(**extra), step=1e-5)
    assert deterministic(slow_events) == deterministic(fast_events)
    assert np.array_equal(slow.engine.parameters.buffer, fast.engine.parameters.buffer)
    assert slow.snapshot().state() == fast.snapshot().state()


@pytest.mark.slow
@given(
    sample_every=st.none() | st.integers(1, 60),
    sample_length=st.integers(1, 20),
    temperature=st.floats(0, 3),
)
@hypothesis_settings(max_examples=15, deadline=None)
def test_sampling_never_changes_training(sample_every, sample_length, temperature):
    reference, _ = run(small(sample_every=None, updates=60))
    sampled, _ = run(
        small(updates=60, sample_every=sample_every, sample_length=sample_length, temperature=temperature)
    )
    assert np.array_equal(reference.engine.parameters.buffer, sampled.engine.parameters.buffer)
    assert np.array_equal(reference.engine.h, sampled.engine.h)


def test_a_sample_depends_on_seed_and_update_not_on_earlier_samples():
    _, often = run(small(sample_every=10))
    _, rarely = run(small(sample_every=50))
    texts = {event.update: event.text for event in often if isinstance(event, Sample)}
    again = {event.update: event.text for event in rarely if isinstance(event, Sample)}
    assert list(again) == [0, 50, 100]
    assert all(texts[update] == text for update, text in again.items())
    assert all(len(text) == 12 for text in texts.values())


def test_validation_changes_neither_training_nor_h():
    # The same training text, once as the whole and once as the part that is not held out.
    vocabulary_first = TEXT[: len(TEXT) // 2]
    whole, _ = run(small(), text=vocabulary_first)
    held, events = run(small(held_out=0.5, validate_every=7), text=TEXT[: 2 * len(vocabulary_first)])
    assert np.array_equal(whole.engine.parameters.buffer, held.engine.parameters.buffer)
    assert np.array_equal(whole.engine.h, held.engine.h)
    validated = [event for event in events if isinstance(event, Validated)]
    assert [event.update for event in validated] == list(range(0, 131, 7))
    assert validated[0].loss == pytest.approx(math.log(len(corpus_of(TEXT).vocabulary)), rel=0.01)


def test_best_is_the_lowest_smooth_loss_at_every_hundredth_update():
    trainer, _ = run(small(updates=1050, learning_rate=0.5))
    smooth, losses = None, trainer_losses(small(updates=1050, learning_rate=0.5))
    at_hundreds = {}
    smooth = losses[0]
    for update, loss in enumerate(losses, 1):
        smooth = 0.999 * smooth + 0.001 * loss
        if update % 100 == 0:
            at_hundreds[update] = smooth
    best = min(at_hundreds, key=at_hundreds.get)
    assert trainer.best.update == best
    assert trainer.best.loss == pytest.approx(at_hundreds[best], rel=1e-12)
    assert trainer.best_snapshot.update == best


def test_best_is_by_held_out_loss_where_there_is_one():
    trainer, events = run(small(held_out=0.3, validate_every=20, updates=200))
    validated = {event.update: event.loss for event in events if isinstance(event, Validated)}
    assert trainer.best.update == min(validated, key=validated.get)
    assert trainer.best.loss == min(validated.values())


def test_the_best_state_is_a_copy():
    trainer, _ = run(small(updates=150))
    assert trainer.best.update == 100
    assert not np.shares_memory(trainer.best_snapshot.parameters.buffer, trainer.engine.parameters.buffer)
    assert not np.array_equal(trainer.best_snapshot.parameters.buffer, trainer.engine.parameters.buffer)
    until, _ = run(small(updates=100))
    assert np.array_equal(trainer.best_snapshot.parameters.buffer, until.engine.parameters.buffer)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"updates": 33}, "updates"),
        ({"epochs": 0.5}, "epochs"),
        ({"epochs": 2.0}, "epochs"),
        ({"seconds": 0.5}, "seconds"),
        ({"stop_below": 9.0, "learning_rate": 0.5}, "smooth loss"),
    ],
)
def test_each_stop_ends_the_run_with_its_reason(given, reason):
    trainer, events = run(small(**{"updates": None, "sample_every": None, **given}), step=0.01)
    assert isinstance(events[-1], Ended)
    assert events[-1].reason == reason
    assert events[-1].update == trainer.update > 0
    if "epochs" in given:
        assert trainer.update == math.ceil(given["epochs"] * trainer.windows.per_epoch)
    if "stop_below" in given:
        assert trainer.engine.smooth_loss < 9.0


@pytest.mark.parametrize("step", [1e-5, 10.0])  # as many updates at once as there can be, and one
@pytest.mark.parametrize(
    ("given", "reason", "update"),
    [
        ({"minimum_updates": 333, "epochs": 0.5}, "epochs", 333),
        ({"minimum_updates": 33, "epochs": 1.0}, "epochs", 153),
        ({"minimum_updates": 333, "stop_below": 1e9}, "smooth loss", 333),
        ({"minimum_updates": 1, "stop_below": 1e9}, "smooth loss", 1),
        ({"minimum_updates": 333, "stop_below": 1e9, "updates": 32}, "updates", 32),
        ({"minimum_updates": 333, "stop_below": 1e-9, "epochs": 0.1}, "epochs", 333),
        ({"minimum_updates": 10**9, "epochs": 0.1, "seconds": 0.01}, "seconds", None),
    ],
)
def test_before_the_minimum_only_updates_and_seconds_end_the_run(given, reason, update, step):
    trainer, events = run(small(**{"updates": None, "sample_every": None, **given}), step=step)
    assert (events[-1].reason, events[-1].update) == (reason, update or trainer.update)
    assert trainer.windows.per_epoch == 153


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("minimum", [0, 1, 60, 400, 401, 402, 457])
def test_the_first_low_enough_loss_from_the_minimum_on_ends_the_run(minimum):
    given = {"updates": None, "sample_every": None, "learning_rate": 2.0, "clip": None}
    losses = trainer_losses(small(**{**given, "updates": 1500}))
    smooth = [losses[0]]
    for loss in losses:
        smooth.append(0.999 * smooth[-1] + 0.001 * loss)
    limit = (smooth[401] + smooth[402]) / 2
    assert smooth[1] < limit < smooth[60]  # this rate is too high at first, and the loss goes up
    expected = next(update for update in range(max(1, minimum), 1500) if smooth[update] < limit)
    trainer, events = run(small(**given, stop_below=limit, minimum_updates=minimum), step=1e-5)
    assert (events[-1].reason, trainer.update) == ("smooth loss", expected)
    assert trainer.engine.smooth_loss < limit


@pytest.mark.parametrize(("minimum", "end"), [(1500, 1500), (100, 918)])
def test_the_time_left_is_that_until_the_minimum_where_the_epochs_end_before_it(minimum, end):
    settings = small(updates=None, epochs=6.0, minimum_updates=minimum)
    trainer = Trainer(settings, corpus_of(TEXT), clock=FakeClock(1e-3))
    left = [
        (end - item.update) / item.updates_per_second - item.seconds_left
        for item in trainer.run()
        if isinstance(item, Status) and item.updates_per_second
    ]
    assert len(left) > 10
    assert max(map(abs, left)) < 1e-9


def test_epochs_are_told_where_they_end():
    trainer, events = run(small(updates=None, epochs=3.0))
    ends = [(event.epoch, event.update) for event in events if isinstance(event, EpochDone)]
    per = trainer.windows.per_epoch
    assert ends == [(1, per), (2, 2 * per), (3, 3 * per)]


def test_of_short_epochs_only_as_many_ends_are_events_as_a_log_can_hold():
    settings = small(seq_length=4, updates=4100, sample_every=None)
    trainer, events = run(settings, text="abcdef")
    assert trainer.windows.per_epoch == 1
    ends = [event.epoch for event in events if isinstance(event, EpochDone)]
    assert ends == [*range(1, 4000), *range(4000, 4101, 2)]  # 4,000 has buckets of 20
    rest = Trainer(settings, corpus_of("abcdef"), snapshot=Trainer(settings, corpus_of("abcdef")).snapshot())
    assert [event.epoch for event in rest.run() if isinstance(event, EpochDone)] == ends
    assert np.array_equal(rest.engine.parameters.W, trainer.engine.parameters.W)


def test_a_run_that_ends_inside_a_bucket_says_so_and_keeps_it():
    trainer, events = run(small(updates=405, sample_every=None))  # buckets of 2 from 400 on
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (last.first_update, last.update, last.partial) == (405, 405, True)
    assert last.to_json()["partial"] is True
    assert trainer.snapshot().bucket.count == 1


def test_stop_is_obeyed_before_the_next_update():
    trainer, events = run(small(updates=10**6), stop_at=40)
    assert events[-1].reason == "asked"
    assert events[-1].update == trainer.update < 10**6


def test_a_stop_during_validation_leaves_it_to_be_done():
    settings = small(held_out=0.5, validate_every=10, sample_every=None)
    trainer = Trainer(settings, corpus_of(TEXT * 40), clock=FakeClock(1e-3))
    validations = 0
    for item in trainer.run():
        if isinstance(item, Status) and item.phase == "validating" and item.update == 20:
            trainer.stop("asked")
        validations += isinstance(item, Validated)
    assert trainer.update == 20
    assert validations == 2  # at 0 and 10
    assert trainer.snapshot().pending == ("validate",)


def run_with_nan(place="W"):
    trainer = Trainer(small(), corpus_of(TEXT), clock=FakeClock(1e-3))
    events = []
    for item in trainer.run():
        if isinstance(item, Event):
            events.append(item)
        elif item.update >= 20:
            getattr(trainer.engine.parameters, place)[..., -1] = math.nan
    return trainer, events


@pytest.mark.parametrize("place", ["U", "W", "V", "b", "c"])
def test_a_nan_anywhere_in_the_weights_is_seen_at_once(place):
    trainer, events = run_with_nan(place)
    assert trainer.diverged
    assert events[-1].reason == "diverged"
    assert events[-1].update <= 25


@pytest.mark.parametrize(
    ("given", "text", "error"),
    [
        ({}, "aaaaaaaaaaaa", CorpusError),
        ({"seq_length": 12}, "abababababab", CorpusError),
        ({"held_out": 0.01}, "abababababab", CorpusError),
        ({"hidden": 1_000_000}, TEXT, SettingsError),
    ],
)
def test_what_cannot_be_trained_is_refused(given, text, error):
    with pytest.raises(error):
        Trainer(small(**given), corpus_of(text))


def test_the_shortest_text_trains():
    trainer, events = run(small(updates=3), text="abcab")
    assert trainer.update == 3
    assert events[-1].reason == "updates"


def test_it_learns():
    _, events = run(small(updates=3000, hidden=20, sample_every=None))
    losses = [event.loss_mean for event in events if isinstance(event, Progress)]
    assert losses[-1] < 0.5 * losses[0]


def returned(generator):
    """Yield what a generator yields, and then what it returns."""
    value = yield from generator
    yield value


def test_samples_begin_with_what_training_carries_and_do_not_touch_it():
    trainer = Trainer(Settings.of(hidden=7, seq_length=4, updates=40, sample_every=40), corpus_of(TEXT))
    events = list(trainer.run())
    (sample,) = (event for event in events if isinstance(event, Sample) and event.update == 40)
    h = trainer.engine.h[0].copy()
    assert h.any()
    stream = np.random.SeedSequence(trainer.settings.seed, spawn_key=(SAMPLE_STREAM, 40))
    sampler = Sampler(trainer.engine.parameters, np.random.default_rng(stream), h)
    sampler.feed(opening(trainer.corpus.vocabulary))
    drawn = trainer.corpus.vocabulary.decode(list(sampler.codes(trainer.settings.sample_length)))
    assert sample.text == drawn
    assert (trainer.engine.h[0] == h).all()
    asked = [*returned(trainer.draw(np.random.default_rng(stream), length=200, temperature=1.0))]
    assert asked[-1].text == drawn


@pytest.mark.parametrize("pending", [("epoch",), ("best", "sample"), ()])
def test_a_replay_whose_recorded_end_never_comes_ends_after_it(pending):
    """A forged checkpoint can name duties that were never due at its update."""
    trainer = Trainer(
        Settings.of(hidden=4, seq_length=4, updates=None, sample_every=None), corpus_of("to be or not. " * 40)
    )
    trainer.end_at(30, pending)
    *_, ended = itertools.takewhile(lambda item: trainer.update < 100, trainer.run())
    assert (ended.type, ended.reason, ended.update) == ("ended", "replayed", 31 if pending else 30)
