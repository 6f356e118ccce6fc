"""What is written to a terminal that reads, that does not, and that is gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from charrnn_tui.dashboard.output import Output

PATIENCE = 90.0
MUCH = b"0123456789abcdef" * 40000  # more than any pipe takes


@pytest.fixture
def pipe() -> Iterator[tuple[Output, int]]:
    reader, writer = os.pipe()
    output = Output(writer)
    output.start()
    yield output, reader
    output.drop()
    os.close(reader)
    output.end()
    os.close(writer)


def read(reader: int, count: int) -> bytes:
    taken = b""
    while len(taken) < count:
        taken += os.read(reader, count - len(taken))
    return taken


def test_all_is_written_in_order(pipe: tuple[Output, int]) -> None:
    output, reader = pipe
    output.put(b"one ")
    output.put(b"two")
    assert read(reader, 7) == b"one two"
    assert output.drain(PATIENCE)


def test_nobody_waits_for_a_reader_that_does_not_read(pipe: tuple[Output, int]) -> None:
    output, reader = pipe
    caught_up = threading.Event()
    assert output.lets_through(caught_up.set)
    output.put(MUCH)
    assert not output.lets_through(caught_up.set)
    assert not output.drain(0.0)
    assert read(reader, len(MUCH)) == MUCH
    assert caught_up.wait(PATIENCE)
    assert output.lets_through(caught_up.set)
    assert output.drain(PATIENCE)


def test_what_is_dropped_is_not_written(pipe: tuple[Output, int]) -> None:
    output, _ = pipe
    output.put(MUCH)
    output.drop()
    output.put(b"more")
    assert output.drain(PATIENCE)
    assert output.lets_through(lambda: None)


def test_a_reader_that_is_gone_ends_all_waiting() -> None:
    reader, writer = os.pipe()
    output = Output(writer)
    output.start()
    output.put(MUCH)
    os.close(reader)
    assert output.drain(PATIENCE)
    output.put(b"more")
    output.end()
    assert not output.is_alive()
    os.close(writer)
