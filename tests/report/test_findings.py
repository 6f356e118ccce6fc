"""What is found out of a run before it is told."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.liveness import RunState
from charrnn_tui.report import findings
from charrnn_tui.report.findings import find
from charrnn_tui.report.passage import PASSAGE_LENGTH, best_passage

from .conftest import GOLDEN, event, findings_of, recorded, recorded_events

Altered = Callable[..., RunDirectory]


# -- the passage -------------------------------------------------------------------------------------------


def test_the_passage_is_of_the_best_state_before_the_last_before_the_one_before(altered: Altered) -> None:
    directory = altered()
    other = GOLDEN / "other" / "checkpoints" / "last.safetensors"  # of update 80
    shutil.copy(other, directory.checkpoint_file("last").path)
    shutil.copy(directory.checkpoint_file("best").path, directory.checkpoint_file("previous").path)
    told = []
    for kind in ("best", "last", "previous"):
        passage = best_passage(directory)
        assert passage is not None
        told.append((passage.kind, passage.update))
        directory.checkpoint_file(kind).path.unlink()  # type: ignore[arg-type]
    assert told == [("best", 400), ("last", 80), ("previous", 400)]
    assert best_passage(directory) is None


def test_a_damaged_checkpoint_gives_its_place_to_the_next(altered: Altered) -> None:
    directory = altered()
    best = directory.checkpoint_file("best").path
    shutil.copy(best, directory.checkpoint_file("last").path)
    best.write_bytes(best.read_bytes()[:-1])
    passage = best_passage(directory)
    assert passage is not None
    assert passage.kind == "last"
    assert passage.text == recorded().passage.text  # type: ignore[union-attr]


def test_a_passage_is_long_and_always_the_same() -> None:
    passage = best_passage(RunDirectory(GOLDEN / "other"))
    assert passage is not None
    assert len(passage.text) == PASSAGE_LENGTH == 1000
    assert passage == best_passage(RunDirectory(GOLDEN / "other"))


# -- the text ----------------------------------------------------------------------------------------------


def entropy_of(text: str) -> float:
    return -sum(count / len(text) * math.log(count / len(text)) for count in Counter(text).values())


def test_the_entropy_is_that_of_the_characters_of_the_whole_text() -> None:
    text = (GOLDEN / "tiny" / "corpus.txt").read_text()
    facts = recorded().text
    assert facts is not None
    assert facts.entropy == pytest.approx(entropy_of(text), rel=1e-12)


@pytest.mark.parametrize("size", [1, 7, 4211, 4212, 4213])
def test_characters_are_counted_the_same_in_blocks_of_any_size(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "_COUNTED_AT_ONCE", size)
    facts, whole = find(RunDirectory(GOLDEN / "tiny")).text, recorded().text
    assert facts is not None
    assert whole is not None
    assert facts.entropy == whole.entropy


def test_progress_of_reading_is_told(altered: Altered) -> None:
    told: list[int] = []
    find(altered(), progress=told.append)
    assert told == [4212]


def test_a_text_that_is_gone_is_told_without_where_it_was(altered: Altered) -> None:
    found = find(RunDirectory(GOLDEN / "other"))
    assert found.text is None
    assert found.text_problem == (
        "cannot read sea shanties: no such file or directory; if the text has moved, say where with --corpus"
    )
    directory = altered()
    directory.corpus_file.path.unlink()
    problem = find(directory).text_problem
    assert problem.startswith("cannot read corpus.txt: ")
    assert str(directory.path) not in problem
    directory.write_config({**directory.config(), "corpus": {}})
    assert find(directory).text_problem == "tiny does not say which text it was trained on"


def test_there_is_no_problem_with_a_text_that_is_there(altered: Altered, tmp_path: Path) -> None:
    assert recorded().text_problem == ""
    directory = altered()
    moved = directory.corpus_file.path.rename(tmp_path / "moved.txt")
    found = find(directory, corpus=str(moved))
    assert found.text is not None
    assert found.text_problem == ""


# -- the run -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "ended_by"),
    [("training", None), ("paused", None), ("ended", "diverged"), ("interrupted", "diverged")],
)
def test_a_run_that_trains_has_not_ended(state: RunState, ended_by: str | None) -> None:
    ended = {**recorded_events()[-1], "reason": "diverged"}
    found = findings_of([*recorded_events()[:-1], ended], state=state)
    assert found.ended_by == ended_by
    assert found.diverged is (ended_by == "diverged")
    assert findings_of(recorded_events()[:-1], state="crashed").ended_by is None


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, []),
        (1, [0]),
        (2, [0, 1]),
        (24, list(range(24))),
        (25, list(range(0, 25, 2))),
        (48, [*range(0, 48, 2), 47]),
        (49, list(range(0, 49, 3))),
        (50, [*range(0, 50, 3), 49]),
    ],
)
def test_of_many_samples_some_are_the_evolution(count: int, shown: list[int]) -> None:
    samples = [event("sample", update, text="a") for update in range(count)]
    asked = event("sample", count + 1, text="b", command="1")
    found = findings_of([*samples, asked, event("sample", count + 2, text=3)])
    assert [sample["update"] for sample in found.evolution] == shown
    assert len(found.samples) == count + 1  # what was asked for is a sample too; without a text it is none


def test_losses_are_the_first_and_the_last_that_are_finite() -> None:
    events = [
        event("progress", at, first_update=at, epoch=0.0, smooth_loss=loss)
        for at, loss in enumerate((3.0, 1.0, 2.0))
    ]
    found = findings_of(events)
    assert (found.first_loss, found.smooth_loss) == (3.0, 2.0)
    found = findings_of([event("progress", 0, first_update=0, epoch=0.0, smooth_loss=None)])
    assert (found.first_loss, found.smooth_loss) == (None, None)
    found = findings_of([])
    assert (found.first_loss, found.smooth_loss) == (None, None)


def test_the_update_is_the_last_that_anything_tells_of(altered: Altered) -> None:
    def update_of(name: str, *events: dict[str, object]) -> int:
        return find(altered(list(events), name=name)).update

    progress = event("progress", 10, first_update=9, epoch=0.0)
    assert update_of("a") == 0
    assert update_of("b", progress) == 10
    assert update_of("c", progress, event("ended", 12, reason="updates")) == 12
    assert update_of("d", progress, event("checkpoint", 11, kind="best", loss=1.0)) == 11


def test_characters_and_size_of_the_vocabulary() -> None:
    assert recorded().characters == 10
    assert recorded().vocabulary_size == 54
    assert findings_of(corpus={}).vocabulary_size == 0
    assert find(RunDirectory(GOLDEN / "other")).characters == 1


def test_a_run_is_found_as_its_configuration_says(altered: Altered) -> None:
    directory = altered()
    found = find(directory)
    config = json.loads((directory.path / "config.json").read_text())
    assert (found.name, found.created, found.corpus) == ("tiny", config["created"], config["corpus"])
    assert {name: found.begun_with.to_json()[name] for name in config["settings"]} == config["settings"]
    assert np.array_equal(found.history.column("update"), recorded().history.column("update"))
