"""A network that goes on from a beginning, within the dashboard and without making it wait."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from charrnn_core.errors import CheckpointError, UnknownCharacterError
from charrnn_core.runs import starting
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings
from charrnn_tui.dashboard.panes.samples import SamplesPane
from charrnn_tui.dashboard.writer import Writer

TEXT = "the tide rises, the tide falls.\n" * 20


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    settings = Settings.of(hidden=5, seq_length=4, updates=20, sample_every=None)
    process = starting.start(settings, corpus_of(TEXT, "tide"), runs=tmp_path_factory.mktemp("runs"))
    process.run(lambda item: None)
    return process.directory


def test_it_writes_what_was_asked_for_and_no_more(run: RunDirectory) -> None:
    writer = Writer(run, "the tide", temperature=1.0, length=70)
    pieces = [writer.write(40, 60.0), writer.write(40, 60.0), writer.write(40, 60.0)]
    assert [len(piece) for piece in pieces] == [40, 30, 0]
    assert set("".join(pieces)) <= set(TEXT)
    assert writer.left == 0


def test_however_slow_the_network_it_writes_a_little_each_time(run: RunDirectory) -> None:
    seconds = itertools.count()
    writer = Writer(run, "tid", temperature=1.0, length=3, clock=lambda: float(next(seconds)))
    pieces = [writer.write(40, 0.5) for _ in range(7)]
    # One character of the prime each time, then one of the text.
    assert [len(piece) for piece in pieces] == [0, 0, 0, 1, 1, 1, 0]


def test_how_it_is_cut_into_pieces_changes_nothing(run: RunDirectory) -> None:
    seconds = itertools.count()
    slow = Writer(run, "rises, " * 30, temperature=0.0, length=40, clock=lambda: float(next(seconds)))
    text = ""
    while slow.left:
        text += slow.write(7, 0.5)
    assert text == Writer(run, "rises, " * 30, temperature=0.0, length=40).write(40, 60.0)


def test_unknown_characters_are_named(run: RunDirectory) -> None:
    with pytest.raises(UnknownCharacterError, match="Q"):
        Writer(run, "Q", temperature=1.0, length=1)


def test_a_sample_that_comes_meanwhile_waits(run: RunDirectory) -> None:
    pane = SamplesPane()
    pane._writer = Writer(run, "the", temperature=1.0, length=10)
    pane.add({"update": 7, "text": "scheduled", "smooth_loss": 1.0})
    assert pane._stream.waiting == 0
    assert [sample["update"] for sample in pane._held] == [7]


def test_no_whole_checkpoint_is_said(tmp_path: Path, run: RunDirectory) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError):
        Writer(RunDirectory(tmp_path), "the", temperature=1.0, length=1)
