"""The gradient check passes the right backward pass and catches every wrong one."""

import json
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_core.errors import SettingsError
from charrnn_core.rnn.gradcheck.check import Checking, check
from charrnn_core.rnn.gradcheck.comparisons import REFERENCE, STUDY, Comparison, comparisons
from charrnn_core.rnn.gradcheck.pieces import finish
from charrnn_core.rnn.gradcheck.rows import KEPT_ENTRIES, NOT_FINITE_NOTE, CheckRow
from charrnn_core.rnn.gradcheck.windows import CheckedWindow, affordable_part, calm_part, stress_window
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.parameters import PARAMETER_NAMES, Parameters, initial_parameters
from charrnn_core.runs import starting
from charrnn_core.runs.history import History
from charrnn_core.text.corpus import corpus_of, read_corpus
from charrnn_core.training.events import GradientsChecked, Status, Warned
from charrnn_core.training.settings import Settings
from charrnn_core.training.trainer import Trainer

COMPLEX_ALL = comparisons("complex-step", h0="random")


def window(seed, *, m=9, K=11, T=6, B=1, reduction="sum", clip=5.0, std=0.01, carried=True):
    generator = np.random.default_rng(seed)
    parameters = initial_parameters(m, K, np.float32, seed=seed, scheme="normal", standard_deviation=std)
    inputs, targets = generator.integers(0, K, (2, T * B))
    h0 = generator.uniform(-0.1, 0.1, (B, m)) if carried else np.zeros((B, m))
    return CheckedWindow(parameters, inputs, targets, h0, T, reduction, clip)


def rows_of(checked, seed, asked=None, network=Network):
    items = check(checked, np.random.SeedSequence(seed), asked, network=network)
    return [item for item in items if isinstance(item, CheckRow)]


def is_caught(checked, seed, network):
    """Stop at the first row that fails: the others have nothing to add."""
    items = check(checked, np.random.SeedSequence(seed), network=network)
    return any(isinstance(item, CheckRow) and not item.passed for item in items)


# -- backward passes, right and wrong ----------------------------------------------------------------------


class Plain(Network):
    """A second backward pass, in plain loops over time and streams, with places where it can be broken."""

    def backward(self):
        T, B, m = len(self.H) - 1, self.H.shape[1], self.H.shape[2]
        parameters, gradients = self.parameters, self.gradients
        gradients.buffer[:] = 0
        p = (self._p / self._row_sum).reshape(T, B, -1)
        do = self.output_gradient(p, self._target_places.reshape(T, B) % p.shape[2])
        do = self.do = do * self._scale
        inputs = np.asarray(self._inputs).reshape(T, B)
        da_next = np.zeros((B, m))
        da = np.zeros((T, B, m))
        for t in range(T - 1, -1, -1):
            dh = do[t] @ parameters.V + self.from_next(da_next, da, t) @ self.recurrent(parameters.W)
            da[t] = self.through_tanh(dh, self.H[t + 1])
            da_next = da[t]
        da = self.streams(da)
        for t in range(T):
            gradients.V += do[t].T @ self.H[t + 1]
            gradients.W += da[t].T @ self.h_before(t)
            for s in range(B):
                gradients.U[:, inputs[t, s]] += da[t, s]
        gradients.b[:] = self.bias(da)
        gradients.c[:] = do.sum((0, 1))
        self.spoil(gradients)

    def output_gradient(self, p, targets):
        do = p.copy()
        for t, s in np.ndindex(targets.shape):
            do[t, s, targets[t, s]] -= 1
        return do

    def from_next(self, da_next, da, t):
        return da_next

    def recurrent(self, W):
        return W

    def through_tanh(self, dh, h):
        return dh * (1 - h * h)

    def streams(self, da):
        return da

    def h_before(self, t):
        return self.H[t]

    def bias(self, da):
        return da.sum((0, 1))

    def spoil(self, gradients):
        pass


class NoPreviousState(Plain):  # dW without h_prev, where h_0 = 0 hides it
    def h_before(self, t):
        return self.H[t] if t else np.zeros_like(self.H[0])


class IndexMinusOne(Plain):  # h_{-1} at t = 0
    def h_before(self, t):
        return self.H[1:][t - 1]


class ThisStateInsteadOfPrevious(Plain):
    def h_before(self, t):
        return self.H[t + 1]


class PreviousInsteadOfNext(Plain):  # t-1 for t+1
    def from_next(self, da_next, da, t):
        return da[t - 1]


class NothingFromNext(Plain):
    def from_next(self, da_next, da, t):
        return np.zeros_like(da_next)


class Untransposed(Plain):
    def recurrent(self, W):
        return W.T


class NoTanhDerivative(Plain):
    def through_tanh(self, dh, h):
        return dh


class TanhDerivativeOfOther(Plain):  # 1 - h instead of 1 - h^2
    def through_tanh(self, dh, h):
        return dh * (1 - h)


class Clipped(Plain):
    def spoil(self, gradients):
        np.clip(gradients.buffer, -5, 5, out=gradients.buffer)


class BiasOverWrongAxis(Plain):
    def bias(self, da):
        return np.resize(da.sum(2), da.shape[2])


class BiasOfLastStep(Plain):
    def bias(self, da):
        return da[-1].sum(0)


class NoTarget(Plain):
    def output_gradient(self, p, targets):
        return p


class TargetOneLate(Plain):
    def output_gradient(self, p, targets):
        return super().output_gradient(p, np.roll(targets, 1, axis=0))


class WrongColumnOfU(Plain):
    column = 0

    def spoil(self, gradients):
        gradients.U[:, self.column % gradients.characters] *= 0.5


class MixedStreams(Plain):
    def streams(self, da):
        return np.roll(da, 1, axis=1)


class OneStreamOnly(Plain):
    def streams(self, da):
        return np.concatenate([da[:, :1], np.zeros_like(da[:, 1:])], axis=1)


class SinglePrecision(Plain):
    def spoil(self, gradients):
        gradients.buffer[:] = gradients.buffer.astype(np.float32)


class Unscaled(Plain):  # 1/B forgotten
    def spoil(self, gradients):
        gradients.buffer *= self.H.shape[1]


class MixedStreamsInV(Plain):
    def spoil(self, gradients):
        T, B, _ = self.H[1:].shape
        h = np.roll(self.H[1:], 1, axis=1).reshape(T * B, -1)
        gradients.V[:] += self.do.reshape(T * B, -1).T @ (h - self.H[1:].reshape(T * B, -1))


class ClippedThroughTime(Plain):
    def from_next(self, da_next, da, t):
        return np.clip(da_next, -5, 5)


def clipped_in(name):
    def spoil(self, gradients):
        array = getattr(gradients, name)
        np.clip(array, -5, 5, out=array)

    return type(f"ClippedIn_{name}", (Plain,), {"spoil": spoil})


class Accumulating(Plain):  # on top of the window before
    def backward(self):
        before = self.gradients.buffer.copy()
        super().backward()
        self.gradients.buffer += before


class InputsOfTheWindowBefore(Network):
    def backward(self):
        super().backward()
        self._one_hot.reshape(-1)[self._row_starts + self._inputs] = 1


class Infinite(Plain):
    def spoil(self, gradients):
        gradients.W[0, 0] = np.inf


class NotANumber(Plain):
    def spoil(self, gradients):
        gradients.V[-1, -1] = np.nan


MUTANTS = [
    NoPreviousState, IndexMinusOne, ThisStateInsteadOfPrevious, PreviousInsteadOfNext, NothingFromNext,
    Untransposed, NoTanhDerivative, TanhDerivativeOfOther, Clipped, BiasOverWrongAxis, BiasOfLastStep,
    NoTarget, TargetOneLate, WrongColumnOfU, MixedStreams, OneStreamOnly, SinglePrecision, Unscaled,
    MixedStreamsInV, ClippedThroughTime, *map(clipped_in, PARAMETER_NAMES), Accumulating,
    InputsOfTheWindowBefore, Infinite, NotANumber,
]  # fmt: skip


@pytest.fixture
def sizes(thorough):
    """Of the checked networks: those of the assignment in the long form."""
    return {"m": 100, "K": 80, "T": 25} if thorough else {}


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_every_broken_backward_pass_is_caught_for_each_of_20_seeds(mutant, sizes):
    for seed in range(20):
        broken = type(mutant.__name__, (mutant,), {"column": seed})
        # At update 0 nothing is carried into the window.
        assert is_caught(window(seed, carried=seed % 2 == 0, **sizes), seed, broken), f"seed {seed}"


@pytest.mark.slow
def test_the_right_backward_pass_passes_for_each_of_200_seeds(sizes):
    for seed in range(200):
        wrong = [row for row in rows_of(window(seed, carried=seed % 2 == 0, **sizes), seed) if not row.passed]
        assert not wrong, f"seed {seed}: {wrong}"


@pytest.mark.slow
def test_the_pass_that_the_mutants_are_made_from_is_right(sizes):
    for seed in range(20):
        assert all(row.passed for row in rows_of(window(seed, **sizes), seed, network=Plain))


@pytest.mark.slow
@given(
    st.integers(1, 12),
    st.integers(2, 12),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from(["sum", "mean"]),
    st.sampled_from([None, 0.01, 5.0, 1e30]),
    st.sampled_from([1e-6, 0.01, 0.3, 2.0, 10.0]),
    st.integers(0, 99),
)
@settings(max_examples=200)
def test_the_right_backward_pass_passes_for_any_network(m, K, T, B, reduction, clip, std, seed):
    checked = window(seed, m=m, K=K, T=T, B=B, reduction=reduction, clip=clip, std=std)
    assert not [row for row in rows_of(checked, seed) if not row.passed]


# -- the figures of the reference study --------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference_windows():
    corpus = read_corpus("tales")
    return [Trainer(Settings.of(seed=seed, dtype="float64"), corpus).engine.window(0) for seed in range(10)]


def test_reference_conditions_give_the_orders_of_magnitude_of_the_study(reference_windows):
    errors = {name: [] for name in PARAMETER_NAMES}
    for seed, checked in enumerate(reference_windows):
        for row in rows_of(checked, seed, [REFERENCE]):
            assert row.passed
            assert row.entries == 20
            errors[row.parameter].append(row.maximum_relative_error)
    for name, figures in errors.items():
        # A single tiny entry makes W's figure jump between seeds.
        assert statistics.median(figures) <= STUDY[name] * (10 if name == "W" else 5)


def test_complex_step_on_the_same_entries_agrees_to_1e_11(reference_windows):
    for seed, checked in enumerate(reference_windows):
        for row in rows_of(checked, seed, comparisons("complex-step", "first:20")):
            assert row.maximum_relative_error <= 1e-11


# AdaGrad saturates units within 1,000 updates, and where h is 1 - 1e-9, 1 - h^2 has few digits: there the
# backward pass itself is rounded, and only an absolute error can be asked for.
@pytest.mark.slow
@pytest.mark.parametrize(("preset", "floor"), [("dd2424-2026", 1e-8), ("dd2424-2019", 1e-5)])
def test_all_entries_agree_after_training(preset, floor, thorough):
    corpus = read_corpus("tales")
    hidden = 100 if thorough else 20
    settings = Settings.of(preset, hidden=hidden, updates=1000, dtype="float64", sample_every=None)
    trainer = Trainer(settings, corpus)
    for _ in trainer.run():
        pass
    for item in trainer.checking(comparisons("complex-step", h0="random", floor=floor)):
        if isinstance(item, CheckRow):
            assert item.maximum_relative_error <= 1e-10


@pytest.mark.slow
@pytest.mark.parametrize(("m", "K", "T", "std"), [(200, 3, 5, 3.0), (100, 2, 25, 2.0), (100, 63, 25, 3.0)])
def test_saturated_and_chaotic_networks_pass(m, K, T, std):
    for seed in range(12):
        assert not [row for row in rows_of(window(seed, m=m, K=K, T=T, std=std), seed) if not row.passed]


def test_a_value_that_is_not_finite_fails_is_the_worst_and_is_null_in_json():
    for mutant, wrong in ((Infinite, np.inf), (NotANumber, np.nan)):
        for asked in (None, comparisons("complex-step"), comparisons("central", "all", tolerance=1e-3)):
            rows = rows_of(window(1), 1, asked, network=mutant)
            failed = [row for row in rows if not row.passed]
            assert {row.parameter for row in failed} == {"W" if mutant is Infinite else "V"}
            for row in failed:
                if not row.selection.startswith("directions"):
                    assert row.worst["index"] == ([0, 0] if mutant is Infinite else [10, 8])
                    assert np.array_equal(row.worst["analytic"], wrong, equal_nan=True)
                assert row.to_json()["worst"]["analytic"] is None
                json.dumps(row.to_json(), allow_nan=False)


def test_the_entry_that_failed_is_the_worst_one_whatever_has_a_larger_error():
    class WrongEntry(Network):
        def backward(self):
            super().backward()
            self.gradients.W[2, 2] *= 1.0003

    (row,) = [
        row for row in rows_of(window(2), 2, comparisons("central", "all"), WrongEntry) if not row.passed
    ]
    assert row.worst["index"] == [2, 2]
    assert [entry["passed"] for entry in row.compared] == [False] + [True] * (KEPT_ENTRIES - 1)
    assert row.maximum_relative_error >= 1e-4


# -- windows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 11, 40])
def test_repeats_window_repeats_characters_has_all_of_them_and_saturates_units(K):
    for seed in range(5):
        checked = window(seed, K=K, m=20)
        repeats = finish(stress_window(checked, np.random.default_rng(seed), repeats=True))
        T, B = repeats.seq_length, repeats.batch_size
        inputs, targets = repeats.inputs.reshape(T, B), repeats.targets.reshape(T, B)
        assert B == 3
        assert set(repeats.inputs) == set(range(K))
        assert np.array_equal(inputs[1:], targets[:-1])  # a text
        assert np.mean(inputs == targets) > 0.3
        h = finish(finish(repeats.network(repeats.h0)).last_state())
        assert np.all(np.abs(h[:, [3, 11, 19]]) == 1)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("clip", [None, 0.5, 5.0, 1e6])
def test_stress_window_has_all_characters_three_streams_and_large_gradients(reduction, clip):
    for seed in range(5):
        checked = window(seed, K=40, reduction=reduction, clip=clip)
        before = checked.parameters.buffer.copy()
        stress = finish(stress_window(checked, np.random.default_rng(seed)))
        assert stress.batch_size == 3
        assert set(stress.inputs) == set(stress.targets) == set(range(40))
        assert stress.h0.all()
        gradients = finish(finish(stress.network(stress.h0)).gradients())
        # A mean over characters keeps the gradients of V and c below 1, whatever the weights.
        bounded = ("V", "c") if reduction == "mean" or clip == 1e6 else ()
        for name in set(PARAMETER_NAMES).difference(bounded):
            assert np.abs(getattr(gradients, name)).max() > min(1e4, 2 * (clip or 5.0)), name
        assert np.array_equal(checked.parameters.buffer, before)


def test_default_check_looks_at_a_part_of_a_large_network():
    large = window(0, m=700, K=300, T=40, B=8)
    part, share = affordable_part(large)
    assert part.seq_length * part.batch_size * 700 * 1000 <= 4_000_000
    assert part.seq_length == 5  # streams are kept longer than characters
    assert np.array_equal(
        part.inputs, large.inputs.reshape(40, 8)[: part.seq_length, : part.batch_size].ravel()
    )
    assert share == 1
    _, share = affordable_part(window(0, m=1200, K=300, T=10))
    assert 0 < share < 1


def test_default_check_shortens_the_window_of_a_chaotic_network():
    chaotic = window(0, m=40, T=40, std=3.0)
    assert 1 <= finish(calm_part(chaotic)).seq_length < 40
    assert finish(calm_part(window(0, m=40, T=40))).seq_length == 40


# -- rows and options --------------------------------------------------------------------------------------


def test_rows_say_what_was_compared():
    rows = rows_of(window(3), 3)
    assert [row.parameter for row in rows] == list(PARAMETER_NAMES) * 5
    assert {(row.method, row.h0, row.window, row.selection) for row in rows} == {
        ("central", "zeros", "text", "first:20"),
        ("central", "carried", "text", "first:20"),
        ("complex-step", "carried", "text", "directions:8"),
        ("complex-step", "random", "stress", "directions:8"),
        ("complex-step", "random", "repeats", "directions:4"),
    }
    for row in rows:
        assert row.entries == (20 if row.method == "central" else np.prod(row.shape)) or row.entries < 20
        errors = [
            abs(entry["analytic"] - entry["numeric"])
            / max(row.floor, abs(entry["analytic"]) + abs(entry["numeric"]))
            for entry in row.compared
        ]
        assert errors == sorted(errors, reverse=True)
        assert row.worst == row.compared[0]
        assert row.maximum_relative_error == pytest.approx(errors[0], abs=0)
        assert 0 <= row.mean_relative_error <= row.maximum_relative_error
        assert json.loads(json.dumps(row.to_json())) == row.to_json()


def test_entries_are_first_random_or_all():
    checked = window(1, m=7, K=5)

    def indices(entries, parameter="W"):
        (row,) = [
            row for row in rows_of(checked, 4, comparisons("central", entries)) if row.parameter == parameter
        ]
        return row.entries, sorted(tuple(entry["index"]) for entry in row.compared)

    assert indices("first:9") == (9, [(0, k) for k in range(7)] + [(1, 0), (1, 1)])
    count, drawn = indices("random:9")
    assert count == len(set(drawn)) == 9
    assert drawn != indices("first:9")[1]
    assert indices("all")[0] == 49
    assert len(indices("all")[1]) == KEPT_ENTRIES
    assert indices("first:100", "b") == (7, [(k,) for k in range(7)])


def test_a_wrong_entry_is_found_where_it_is():
    class WrongEntry(Network):
        def backward(self):
            super().backward()
            self.gradients.V[3, 4] *= 1.001

    rows = rows_of(window(2), 2, comparisons("complex-step"), WrongEntry)
    assert [row.parameter for row in rows if not row.passed] == ["V"]
    (wrong,) = [row for row in rows if not row.passed]
    assert wrong.worst["index"] == [3, 4]
    # Along a direction it is seen without being looked for.
    along = rows_of(window(2), 2, comparisons("complex-step", "directions:1"), WrongEntry)
    assert [row.parameter for row in along if not row.passed] == ["V"]


def test_both_methods_and_both_ways_of_choosing_agree_on_the_derivative():
    checked = window(5, std=0.3)
    by_entry, along = (
        {row.parameter: row for row in rows_of(checked, 5, comparisons(method, entries, "carried"))}
        for method, entries in (("central", "all"), ("central", "directions:4"))
    )
    assert all(row.passed for row in (*by_entry.values(), *along.values()))


def test_states_that_a_window_begins_with():
    checked = window(6, carried=True)
    fresh = window(6, carried=False)
    for h0, seen in (("zeros", np.zeros((1, 9))), ("carried", checked.h0)):
        begun = []

        class Begun(Network):
            def forward(self, inputs, targets, begun=begun):
                begun.append(self.H[0].copy())
                return super().forward(inputs, targets)

        rows_of(checked, 6, comparisons("central", h0=h0), Begun)
        assert np.array_equal(begun[-1], seen)
        rows_of(fresh, 6, comparisons("central", h0=h0), Begun)
        assert begun[-1].any() == (h0 == "carried")  # what the window ends with, where nothing is carried


def test_progress_adds_up():
    items = list(check(window(1), np.random.SeedSequence(1), COMPLEX_ALL))
    told = [item for item in items if isinstance(item, Checking)]
    assert [item.done for item in told] == sorted(item.done for item in told)
    assert told[-1].done == told[-1].total == window(1).parameters.buffer.size


def test_the_same_seed_gives_the_same_rows():
    assert rows_of(window(1), 8) == rows_of(window(1), 8)
    assert rows_of(window(1), 8) != rows_of(window(1), 9)


def test_a_check_changes_nothing():
    checked = window(4)
    before = checked.parameters.buffer.copy(), checked.h0.copy()
    rows_of(checked, 4)
    rows_of(checked, 4, COMPLEX_ALL)
    assert np.array_equal(checked.parameters.buffer, before[0])
    assert np.array_equal(checked.h0, before[1])


@pytest.mark.parametrize(("name", "value"), [("W", np.nan), ("b", np.inf), ("V", -np.inf), ("U", np.nan)])
def test_weights_that_are_not_finite_are_reported_and_only_the_stress_windows_compared(name, value):
    checked = window(4)
    getattr(checked.parameters, name)[...] = value
    rows = rows_of(checked, 4)
    assert all(row.passed for row in rows)
    assert {(row.window, row.note, row.entries > 0) for row in rows} == {
        ("text", NOT_FINITE_NOTE, False),
        ("stress", None, True),
        ("repeats", None, True),
    }
    assert all(json.loads(json.dumps(row.to_json(), allow_nan=False)) for row in rows)


@pytest.mark.parametrize("mutant", [Untransposed, Clipped, Infinite])
def test_a_wrong_backward_pass_is_caught_although_the_weights_are_not_finite(mutant):
    checked = window(4)
    checked.parameters.W[1, 1] = np.nan
    assert is_caught(checked, 4, mutant)


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "forward"}, {"method": []}, {"entries": "first:0"}, {"entries": "first:-1"},
        {"entries": "last:3"}, {"entries": 20}, {"entries": "all:3"}, {"h0": "ones"}, {"window": ""},
        {"tolerance": 0}, {"tolerance": float("nan")}, {"floor": True}, {"floor": "x"}, {"step": 1e-5},
        {"entries": "directions:10001"},
        {"method": "central", "step": -1.0}, {"method": "central", "step": 10**400},
    ],
    ids=str,
)  # fmt: skip
def test_impossible_options_are_refused(wrong):
    with pytest.raises(SettingsError, match=r"is not possible; allowed is|needs --method"):
        comparisons(**wrong)


def test_options_have_the_defaults_of_their_method():
    assert comparisons() == (
        REFERENCE,
        Comparison("complex-step", "all", "zeros", 1e-20, 1e-8),
    )
    assert not any(one.strict for one in comparisons(h0="random"))
    assert all(one.strict for one in comparisons(tolerance=1e-3))
    (one,) = comparisons("central", "random:5", "random", "stress", 1e-6, 1e-3, 1e-9)
    assert one == Comparison("central", "random:5", "random", 1e-6, 1e-3, 1e-9, "stress", strict=True)


# -- in the trainer ----------------------------------------------------------------------------------------

TEXT = "the cat sat on the mat and the dog sat on the log\n" * 20


def test_every_run_checks_itself_before_the_first_update():
    trainer = Trainer(Settings.of(hidden=8, updates=3), corpus_of(TEXT))
    events = [item for item in trainer.run() if not isinstance(item, Status)]
    assert [event.type for event in events[:3]] == ["progress", "gradients_checked", "sample"]
    assert [event.update for event in events if isinstance(event, GradientsChecked)] == [0]
    assert not events[1].wrong
    assert len(events[1].rows) == 43


@pytest.mark.slow
def test_a_check_does_not_change_training():
    def state(checks):
        trainer = Trainer(Settings.of(hidden=8, updates=20, batch_size=2), corpus_of(TEXT))
        for item in trainer.run():
            if checks and not isinstance(item, Status):
                for _ in trainer.checking():
                    pass
        return trainer.engine.parameters.buffer.tobytes(), trainer.engine.h.tobytes()

    assert state(checks=True) == state(checks=False)


def test_a_stop_interrupts_a_check_which_stays_pending():
    trainer = Trainer(Settings.of(hidden=8, updates=3), corpus_of(TEXT))
    for item in trainer.run():
        if isinstance(item, Status) and item.phase == "checking":
            trainer.stop("test")
    assert trainer.pending == ("check", "sample")
    resumed = Trainer(Settings.of(hidden=8, updates=3), corpus_of(TEXT), snapshot=trainer.snapshot())
    types = [item.type for item in resumed.run() if not isinstance(item, Status)]
    assert types[:2] == ["gradients_checked", "sample"]


def test_a_wrong_gradient_is_a_warning(monkeypatch):
    class Wrong(Network):
        def backward(self):
            super().backward()
            self.gradients.b *= 2

    monkeypatch.setattr("charrnn_core.rnn.numpy_engine.Network", Wrong)
    trainer = Trainer(Settings.of(hidden=8, updates=3), corpus_of(TEXT))
    events = [item for item in trainer.run() if not isinstance(item, Status)]
    (warned,) = [event for event in events if isinstance(event, Warned)]
    assert "gradient check failed for b" in warned.message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_a_warning_and_no_crash(value, monkeypatch, tmp_path):
    class Wrong(Network):
        def backward(self):
            super().backward()
            self.gradients.V[0, 0] = value

    monkeypatch.setattr("charrnn_core.rnn.numpy_engine.Network", Wrong)
    settings = Settings.of(hidden=8, updates=3, sample_every=None)
    process = starting.start(settings, corpus_of(TEXT), runs=tmp_path, name="run")
    process.run(lambda item: None)
    history = History.read(process.directory.events_file.path)
    assert "gradient check failed for V" in history.warnings[0]["message"]
    assert history.checks[0]["rows"]


def test_numpy_keeps_its_error_settings_while_a_check_waits():
    before = np.geterr()
    items = check(window(1), np.random.SeedSequence(1))
    next(items)
    assert np.geterr() == before


def test_parameters_of_a_part_are_shared_and_codes_are_those_of_the_first_streams():
    checked = window(0, T=4, B=3)
    part = checked.part(2, 2)
    assert part.parameters is checked.parameters
    assert part.inputs.tolist() == checked.inputs.reshape(4, 3)[:2, :2].ravel().tolist()
    assert part.h0.shape == (2, 9)
    assert isinstance(part.parameters, Parameters)
