"""The command that repeats a run: parsed as the command line parses it, it gives the run's settings back."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Annotated, Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_core.training.settings import NO_STOPS, PRESETS, Settings, Value
from charrnn_tui.cli.options import with_settings
from charrnn_tui.report.findings import Findings
from charrnn_tui.report.reproducing import command_line, setting_told, was_changed

from .conftest import event, findings_of

FILE = {"kind": "file", "path": "/home/ada/corpus.txt", "name": "corpus"}


def run_of(
    settings: Settings, reason: str | None = "updates", *more: dict[str, Any], **changes: Any
) -> Findings:
    """Return what is found of a run with these settings that ended so after 400 updates."""
    ended = [] if reason is None else [event("ended", 400, reason=reason)]
    what = {"corpus": FILE, "begun_with": settings, "state": "ended", "update": 400, "name": "a-run"}
    return findings_of([*more, *ended], **{**what, **changes})


@pytest.fixture(scope="module")
def parsed() -> Any:
    """Give a function that parses a command as `charrnn train` does: its text, and its settings."""
    app = typer.Typer()

    @app.command()
    @with_settings
    def train(
        given: dict[str, Value],
        preset: str | None = None,
        corpus: Annotated[str | None, typer.Argument()] = None,
    ) -> Any:
        return corpus, Settings.of(preset or "dd2424-2019", **given)

    command = typer.main.get_command(app)

    def parse(line: str) -> Any:
        program, name, *arguments = shlex.split(line)
        assert (program, name) == ("charrnn", "train")
        return command.main(arguments, standalone_mode=False)

    return parse


POSITIVE = st.floats(1e-12, 900.0)
SHARES = st.floats(0.0, 0.999)
COUNTS = st.integers(1, 10**15)


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    """Return settings that differ in some places from one of the presets."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "hidden": st.integers(1, 1000), "seq_length": st.integers(1, 20_000),
        "batch_size": st.integers(1, 64), "init": st.sampled_from(["normal", "fan-in"]),
        "init_std": st.floats(1e-9, 10.0),
        "dtype": st.sampled_from(["float32", "float64"]), "seed": st.integers(0, 2**63 - 1),
        "optimizer": st.sampled_from(["adagrad", "adam", "rmsprop"]),
        "learning_rate": st.one_of(st.sampled_from([0.1, 0.001, 0.3]), POSITIVE), "beta1": SHARES,
        "beta2": SHARES, "decay": SHARES, "epsilon": st.floats(1e-30, 1.0),
        "clip": st.one_of(st.none(), st.just(5.0), st.floats(1e-9, 1e30)),
        "loss": st.sampled_from(["sum", "mean"]), "chunks": st.sampled_from(["shuffled", "random"]),
        "chunk_length": st.integers(20_000, 10**15), "held_out": st.floats(0.0, 0.9),
        "validate_every": COUNTS, "updates": st.one_of(st.none(), st.just(100_000), COUNTS),
        "epochs": st.one_of(st.none(), st.floats(1e-3, 1e9)), "seconds": st.one_of(st.none(), POSITIVE),
        "stop_below": st.one_of(st.none(), POSITIVE), "minimum_updates": st.integers(0, 10**15),
        "sample_every": st.one_of(st.none(), COUNTS), "sample_length": st.integers(1, 10_000),
        "temperature": st.floats(0.0, 100.0), "checkpoint_every": st.floats(0.0, 1e6),
        "threads": st.integers(1, 1024),
    }  # fmt: skip
    names = draw(st.lists(st.sampled_from(list(fields)), unique=True, max_size=8))
    values = {name: draw(fields[name]) for name in names}
    if "seq_length" in values or "chunks" in values:
        values["chunk_length"] = draw(fields["chunk_length"])
    return dataclasses.replace(Settings.of(draw(st.sampled_from(list(PRESETS)))), **values)


@settings(max_examples=150)
@given(run=any_settings())
def test_the_command_gives_the_settings_back(run: Settings, parsed: Any) -> None:
    assert parsed(command_line(run_of(run))) == ("corpus.txt", run)


@settings(max_examples=50)
@given(run=any_settings())
def test_the_command_of_a_run_that_was_stopped_ends_where_it_came_to(run: Settings, parsed: Any) -> None:
    without: dict[str, Any] = {**NO_STOPS, "updates": 400}
    _, repeated = parsed(command_line(run_of(run, "signal SIGINT", state="interrupted")))
    assert repeated == dataclasses.replace(run, **without)


# -- what stands in it -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, ""),
        ({"learning_rate": 0.1 + 0.2}, " --learning-rate 0.30000000000000004"),
        ({"epsilon": 1e-8}, ""),
        ({"epsilon": 1e-10, "clip": 1e22}, " --epsilon 1e-10 --clip 1e+22"),
        ({"clip": 5.5, "seed": 2**63 - 1}, " --seed 9223372036854775807 --clip 5.5"),
        ({"updates": None}, " --updates none"),
        ({"optimizer": "adam", "learning_rate": 0.001}, " --optimizer adam"),
        ({"optimizer": "adam"}, " --optimizer adam --learning-rate 0.1"),
        ({"epochs": 2.0, "updates": None}, " --epochs 2"),
        ({"epochs": 2.0}, " --updates 100000 --epochs 2"),
        ({"chunks": "random", "chunk_length": 30_000, "seq_length": 20_000},
         " --seq-length 20000 --chunks random --chunk-length 30000"),
    ],
)  # fmt: skip
def test_options_are_exact_and_as_few_as_possible(changes: dict[str, Any], options: str) -> None:
    run = dataclasses.replace(Settings(), **changes)
    assert command_line(run_of(run)) == f"charrnn train corpus.txt{options}"


def test_the_newer_preset_is_named_with_what_differs_from_it() -> None:
    run = Settings.of("dd2424-2026", hidden=50, clip=1.0)
    assert command_line(run_of(run)) == (
        "charrnn train corpus.txt --preset dd2424-2026 --hidden 50 --clip 1"
    )  # fmt: skip


@pytest.mark.parametrize("reason", ["updates", "epochs", "smooth loss"])
def test_a_run_that_came_to_its_own_end_is_repeated_with_its_stops(reason: str) -> None:
    run = Settings.of(epochs=2.0, stop_below=40.0, minimum_updates=300)
    told = "charrnn train corpus.txt --epochs 2 --stop-below 40 --minimum-updates 300"
    assert command_line(run_of(run, reason)) == told


@pytest.mark.parametrize(
    ("reason", "state"),
    [("seconds", "ended"), ("diverged", "ended"), ("signal SIGINT", "interrupted"),
     ("stopped", "interrupted"), (None, "crashed"), ("updates", "training")],
)  # fmt: skip
def test_a_run_that_ended_otherwise_is_repeated_up_to_there(reason: str | None, state: str) -> None:
    run = Settings.of(seconds=60.0, minimum_updates=300, hidden=50)
    told = "charrnn train corpus.txt --hidden 50 --updates 400"
    assert command_line(run_of(run, reason, state=state)) == told


def test_a_run_without_an_update_has_no_end_to_repeat() -> None:
    assert command_line(run_of(Settings(), None, state="crashed", update=0)) == "charrnn train corpus.txt"


def resumed(**changed: Any) -> dict[str, Any]:
    return event(
        "resumed", 100, log_length=10, changed=changed, checkpoint="last", settings={"learning_rate": 0.1}
    )


def test_other_stops_on_resuming_are_not_those_that_the_run_began_with() -> None:
    run = Settings(updates=100)
    assert command_line(run_of(run, "updates", resumed(updates=400))).endswith(" --updates 400")
    assert command_line(run_of(run, "epochs", resumed(minimum_updates=9))).endswith(" --updates 400")
    same = resumed(sample_every=5, checkpoint_every=1.0)
    assert command_line(run_of(run, "updates", same)).endswith(" --updates 100")
    assert command_line(run_of(run, "updates", {**same, "changed": None})).endswith(" --updates 100")


def test_a_run_whose_rate_was_changed_is_replayed() -> None:
    told = {"command": "1", "name": "set-learning-rate", "arguments": {"learning_rate": 0.05}}
    changed = run_of(Settings(), "updates", event("obeyed", 7, **told))
    assert was_changed(changed)
    assert command_line(changed) == "charrnn train --replay a-run"
    same = run_of(Settings(learning_rate=0.05), "updates", event("obeyed", 7, **told))
    assert not was_changed(same)
    named = run_of(Settings(), "updates", event("obeyed", 7, **told), name="my run's")
    assert shlex.split(command_line(named)) == ["charrnn", "train", "--replay", "my run's"]


# -- the text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("corpus", "word"),
    [
        ({"kind": "file", "path": "/home/ada/-dash.txt"}, "./-dash.txt"),
        ({"kind": "file", "path": "/home/ada/my book.txt"}, "'my book.txt'"),
        ({"kind": "file", "path": "/home/ada/it's.txt"}, "'it'\"'\"'s.txt'"),
        ({"kind": "file", "path": "/home/ada/$HOME;`x`.txt"}, "'$HOME;`x`.txt'"),
        ({"kind": "file", "path": "/a/two\nlines.txt"}, "$'two\\x0alines.txt'"),
        ({"kind": "file", "path": "/a/it's\\\x1b.txt"}, "$'it\\x27s\\x5c\\x1b.txt'"),
        ({"kind": "file", "path": "/a/\u202e\udcff"}, "$'\\xe2\\x80\\xae\\xff'"),
        ({"kind": "file", "path": "/a/été.txt"}, "'été.txt'"),
        ({"kind": "file", "path": None, "name": "gone"}, "gone"),
        ({"kind": "bundled", "path": None, "name": "tales"}, "tales"),
        ({"kind": "bundled", "path": None, "name": "a tale"}, "'a tale'"),
        ({"kind": "input", "path": None, "name": "input"}, "corpus.txt"),
        ({}, "TEXT"),
    ],
)  # fmt: skip
def test_the_text_is_a_word_of_a_shell_and_says_nothing_of_folders(corpus: dict[str, Any], word: str) -> None:
    assert command_line(run_of(Settings(), corpus=corpus)) == f"charrnn train {word}"


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, "none"), (5.0, "5"), (5, "5"), (0.1 + 0.2, "0.30000000000000004"), (1e-8, "1e-08"),
     ("adam", "adam"), (10.05, "10.05"), (1e22, "1e+22")],
)  # fmt: skip
def test_a_setting_is_told_exactly(value: Value, told: str) -> None:
    assert setting_told(value) == told
