"""No check of a right network fails, whatever the network is like."""

import numpy as np
import pytest
import threadpoolctl

from charrnn_core.rnn.gradcheck.check import check
from charrnn_core.rnn.gradcheck.rows import (
    ILL_CONDITIONED_NOTE,
    NOT_FINITE_NOTE,
    TOO_LARGE_NOTE,
    CheckRow,
)
from tests.core.right_networks import KINDS, right_network

SMALL = 24


@pytest.fixture(autouse=True)
def one_thread():
    """Let NumPy's products use one thread: tests run side by side."""
    with threadpoolctl.threadpool_limits(1, "blas"):
        yield


def rows_of(network, number):
    engine, update = network.engine, network.update
    items = check(
        engine.window(update), np.random.SeedSequence(number), network=engine.network, engine=engine,
        update=update,
    )  # fmt: skip
    return [item for item in items if isinstance(item, CheckRow)]


@pytest.mark.parametrize("number", range(200))
def test_no_check_of_a_right_network_fails(number, thorough):
    if number >= SMALL and not thorough:
        pytest.skip("the other networks are larger: --thorough")
    network = right_network(number, most=40_000_000 if thorough else 200_000)
    rows = rows_of(network, number)
    assert not [row for row in rows if not row.passed], network.described
    notes = {row.note for row in rows}
    assert notes <= {None, ILL_CONDITIONED_NOTE, NOT_FINITE_NOTE}
    if network.kind == "diverged":
        assert {row.note for row in rows if row.window == "text"} == {NOT_FINITE_NOTE}
    if network.kind == "initial":
        assert NOT_FINITE_NOTE not in notes
    for row in rows:  # the engine is compared on the fixed network whatever the run's own is like
        if row.window in ("fixed", "stress", "repeats"):
            assert row.note is None
            assert row.entries > 0


@pytest.mark.slow
def test_networks_of_all_kinds_are_among_the_small_ones():
    assert {right_network(number, most=200_000).kind for number in range(SMALL)} == set(KINDS)


def test_a_network_too_large_for_the_memory_is_reported(monkeypatch):
    monkeypatch.setattr("charrnn_core.rnn.gradcheck.training.installed_memory", lambda: 1000)
    rows = rows_of(right_network(0, most=200_000), 0)
    assert all(row.passed for row in rows)
    assert {row.note for row in rows if row.method == "training"} == {TOO_LARGE_NOTE}
    assert {row.note for row in rows if row.method != "training"} == {None}
