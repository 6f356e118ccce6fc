from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_core.errors import CorpusError
from charrnn_core.text.windows import Windows

ORDERS = ["sequential", "shuffled", "random"]


@st.composite
def any_windows(draw: st.DrawFn, orders: tuple[str, ...] = tuple(ORDERS)) -> Windows:
    seq_length = draw(st.integers(1, 7))
    batch_size = draw(st.integers(1, 4))
    part = seq_length + 1 + draw(st.integers(0, 50))
    return Windows(
        characters=part * batch_size + draw(st.integers(0, batch_size - 1)),
        batch_size=batch_size,
        seq_length=seq_length,
        order=draw(st.sampled_from(orders)),
        chunk_length=seq_length + draw(st.integers(0, 20) | st.integers(0, 10**6)),
        seed=draw(st.integers(0, 2**63 - 1)),
    )


def chunk_starts(windows: Windows) -> list[int]:
    """Give the chunks of a part that have room for a window, one look at a time."""
    last = windows.characters // windows.batch_size - 1  # the last character is only ever a target
    if windows.order == "sequential":
        return [0]
    starts, start = [], 0
    while start + windows.seq_length <= last:
        starts.append(start)
        start += min(windows.chunk_length, last)
    return starts


def obvious_epoch(windows: Windows, epoch: int) -> Iterator[tuple[int, bool]]:
    """Give position and freshness of an epoch's windows, one character at a time."""
    last = windows.characters // windows.batch_size - 1
    starts = chunk_starts(windows)
    length = last if windows.order == "sequential" else min(windows.chunk_length, last)
    generator = np.random.default_rng(np.random.SeedSequence(windows.seed, spawn_key=(1, epoch)))
    if windows.order == "shuffled":
        starts = [starts[i] for i in generator.permutation(len(starts))]
    elif windows.order == "random":
        starts = generator.integers(0, last - length + 1, size=len(starts)).tolist()
    for start in starts:
        end = min(start + length, last)  # the last target of the chunk
        inside = 0  # characters of the chunk before this one
        while start + inside + windows.seq_length <= end:
            yield start + inside, inside == 0
            inside += windows.seq_length


def obvious_windows(windows: Windows) -> Iterator[tuple[int, bool]]:
    """Give the windows of every epoch, for ever."""
    for epoch in count():
        yield from obvious_epoch(windows, epoch)


def epoch_of(windows: Windows, epoch: int) -> tuple[list[int], list[bool]]:
    positions, fresh = windows.at(epoch * windows.per_epoch, windows.per_epoch)
    return positions.tolist(), fresh.tolist()


@settings(deadline=None)
@given(any_windows(), st.integers(0, 200))
def test_windows_are_those_of_an_obvious_slow_generator(windows: Windows, number: int) -> None:
    positions, fresh = windows.at(0, number)
    expected = list(islice(obvious_windows(windows), number))
    assert list(zip(positions.tolist(), fresh.tolist(), strict=True)) == expected
    assert positions.dtype == np.int64
    assert fresh.dtype == np.bool_


@settings(deadline=None)
@given(any_windows(), st.integers(0, 3))
def test_an_epoch_has_the_number_of_windows_that_it_says(windows: Windows, epoch: int) -> None:
    assert windows.per_epoch == len(list(obvious_epoch(windows, epoch)))
    assert windows.epoch(3 * windows.per_epoch) == 3.0


@settings(deadline=None)
@given(any_windows(), st.integers(0, 300), st.integers(1, 100))
def test_every_window_and_its_last_target_are_inside_the_part(
    windows: Windows, first: int, number: int
) -> None:
    positions, _ = windows.at(first, number)
    assert windows.part == windows.characters // windows.batch_size
    assert positions.min() >= 0
    assert positions.max() + windows.seq_length <= windows.part - 1


@settings(deadline=None)
@given(any_windows(), st.integers(0, 300), st.integers(2, 100))
def test_a_window_follows_the_one_before_it_unless_it_is_fresh(
    windows: Windows, first: int, number: int
) -> None:
    positions, fresh = windows.at(first, number)
    steps = np.diff(positions)
    assert (steps[~fresh[1:]] == windows.seq_length).all()


@settings(deadline=None)
@given(any_windows(orders=("sequential", "shuffled")), st.integers(0, 5))
def test_a_window_is_fresh_exactly_at_the_start_of_a_chunk(windows: Windows, epoch: int) -> None:
    positions, fresh = epoch_of(windows, epoch)
    starts = chunk_starts(windows)
    assert sorted(p for p, is_fresh in zip(positions, fresh, strict=True) if is_fresh) == starts
    assert all((position in starts) == is_fresh for position, is_fresh in zip(positions, fresh, strict=True))


@settings(deadline=None)
@given(any_windows(), st.integers(0, 20))
def test_every_epoch_begins_fresh(windows: Windows, epoch: int) -> None:
    _, fresh = windows.at(epoch * windows.per_epoch, 1)
    assert fresh.tolist() == [True]


@settings(deadline=None)
@given(any_windows(orders=("sequential",)))
def test_sequential_windows_cover_all_but_a_tail_shorter_than_a_window_and_its_target(
    windows: Windows,
) -> None:
    positions, fresh = epoch_of(windows, 0)
    covered = [p + i for p in positions for i in range(windows.seq_length)]
    assert covered == list(range(len(covered)))
    assert 1 <= windows.part - len(covered) < windows.seq_length + 1
    assert fresh == [True] + [False] * (len(positions) - 1)


@settings(deadline=None)
@given(any_windows(orders=("sequential",)), st.integers(1, 5))
def test_sequential_epochs_are_all_the_same(windows: Windows, epoch: int) -> None:
    assert epoch_of(windows, epoch) == epoch_of(windows, 0)


@settings(deadline=None)
@given(any_windows(orders=("shuffled",)), st.integers(1, 6))
def test_a_shuffled_epoch_is_a_permutation_of_the_same_windows(windows: Windows, epoch: int) -> None:
    first, later = epoch_of(windows, 0), epoch_of(windows, epoch)
    assert sorted(zip(*first, strict=True)) == sorted(zip(*later, strict=True))
    assert len(set(first[0])) == windows.per_epoch


@settings(deadline=None)
@given(any_windows(orders=("shuffled",)), st.integers(1, 9))
def test_shuffled_chunks_of_whole_windows_leave_out_nothing_that_sequential_has(
    windows: Windows, multiple: int
) -> None:
    T = windows.seq_length
    sizes = {"characters": windows.characters, "batch_size": windows.batch_size, "seq_length": T}
    shuffled = Windows(**sizes, order="shuffled", chunk_length=multiple * T, seed=windows.seed)
    assert sorted(epoch_of(shuffled, 2)[0]) == epoch_of(Windows(**sizes), 0)[0]


@pytest.mark.parametrize("order", ["shuffled", "random"])
@settings(deadline=None)
@given(seed=st.integers(0, 2**63 - 2), epoch=st.integers(0, 50))
def test_epochs_and_seeds_differ(order: str, seed: int, epoch: int) -> None:
    # 40 chunks a part: two equal orders by chance would be one in 40!.
    sizes = {"characters": 1205, "batch_size": 3, "seq_length": 3, "order": order, "chunk_length": 10}
    windows = Windows(**sizes, seed=seed)
    assert len(chunk_starts(windows)) == 40
    assert epoch_of(windows, epoch) == epoch_of(Windows(**sizes, seed=seed), epoch)
    assert epoch_of(windows, epoch) != epoch_of(windows, epoch + 1)
    assert epoch_of(windows, epoch) != epoch_of(Windows(**sizes, seed=seed + 1), epoch)


@settings(deadline=None)
@given(any_windows(orders=("random",)), st.integers(1, 8))
def test_a_random_epoch_has_as_many_windows_and_chunks_as_every_other(windows: Windows, epoch: int) -> None:
    _, first = epoch_of(windows, 0)
    _, later = epoch_of(windows, epoch)
    assert later == first
    assert sum(first) == len(chunk_starts(windows))


def test_random_chunks_start_at_every_place_where_a_whole_chunk_fits() -> None:
    # A part of 11 characters: 10 can be inputs, a chunk is 6 of them, so it starts at 0, 1, 2, 3 or 4.
    windows = Windows(characters=22, batch_size=2, seq_length=2, order="random", chunk_length=6, seed=5)
    positions, fresh = windows.at(0, 100 * windows.per_epoch)
    assert windows.per_epoch == 6
    assert set(positions[fresh].tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("order", ["shuffled", "random"])
def test_a_chunk_longer_than_the_part_is_the_part(order: str) -> None:
    windows = Windows(characters=23, batch_size=2, seq_length=3, order=order, chunk_length=1_000)
    assert epoch_of(windows, 0) == ([0, 3, 6], [True, False, False])
    assert epoch_of(windows, 7) == ([0, 3, 6], [True, False, False])


def test_the_last_target_of_a_chunk_is_the_first_character_of_the_next() -> None:
    windows = Windows(characters=10, batch_size=1, seq_length=2, order="shuffled", chunk_length=4)
    assert sorted(epoch_of(windows, 0)[0]) == [0, 2, 4, 6]
    windows = Windows(characters=9, batch_size=1, seq_length=2, order="shuffled", chunk_length=4)
    assert sorted(epoch_of(windows, 0)[0]) == [0, 2, 4, 6]
    windows = Windows(characters=8, batch_size=1, seq_length=2, order="shuffled", chunk_length=4)
    assert sorted(epoch_of(windows, 0)[0]) == [0, 2, 4]


@settings(deadline=None)
@given(any_windows(), st.lists(st.integers(0, 60), max_size=6))
def test_the_windows_of_any_split_joined_are_those_of_the_whole(windows: Windows, counts: list[int]) -> None:
    first = 0
    positions: list[int] = []
    fresh: list[bool] = []
    for number in counts:
        piece = windows.at(first, number)
        positions += piece[0].tolist()
        fresh += piece[1].tolist()
        first += number
    whole = windows.at(0, sum(counts))
    assert (positions, fresh) == (whole[0].tolist(), whole[1].tolist())


@settings(deadline=None)
@given(any_windows(), st.lists(st.tuples(st.integers(0, 500), st.integers(1, 30)), min_size=1, max_size=5))
def test_what_was_asked_before_changes_nothing(windows: Windows, asked: list[tuple[int, int]]) -> None:
    expected = list(islice(obvious_windows(windows), 530))
    for first, number in asked:
        positions, fresh = windows.at(first, number)
        assert list(zip(positions.tolist(), fresh.tolist(), strict=True)) == expected[first : first + number]
        positions[:] = -1  # the caller may do with its arrays what it likes
        fresh[:] = False


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(ORDERS))
def test_the_least_text_has_one_window_and_one_character_less_names_what_is_needed(
    batch_size: int, seq_length: int, order: str
) -> None:
    need = batch_size * (seq_length + 1)
    sizes = {"batch_size": batch_size, "seq_length": seq_length, "order": order, "chunk_length": seq_length}
    least = Windows(characters=need, **sizes)
    assert least.per_epoch == 1
    assert epoch_of(least, 4) == ([0], [True])
    with pytest.raises(CorpusError) as caught:
        Windows(characters=need - 1, **sizes)
    message = str(caught.value)
    assert f" {need - 1:,} characters" in message
    assert f"at least {need:,}" in message
    assert f"seq-length {seq_length:,} " in message
    assert f"batch-size {batch_size:,} " in message


def test_no_text_at_all_is_too_short() -> None:
    with pytest.raises(CorpusError, match=r"has 0 characters.* needs at least 10;"):
        Windows(characters=0, batch_size=2, seq_length=4)


def test_the_remainder_of_the_cut_into_parts_is_dropped() -> None:
    assert [Windows(n, batch_size=3, seq_length=2).part for n in (9, 10, 11, 12)] == [3, 3, 3, 4]
    assert [Windows(n, batch_size=3, seq_length=1).per_epoch for n in (9, 10, 11, 12)] == [2, 2, 2, 3]


def test_an_order_of_too_many_chunks_is_refused() -> None:
    with pytest.raises(CorpusError, match="--chunk-length"):
        Windows(10**8, 1, 1, "shuffled", 1)
    assert Windows(10**8, 1, 25, "shuffled", 10_000).per_epoch > 0
