"""Which run a study goes on with: one that an uninterrupted study would have gone through, and no other."""

import json
import os

import pytest

from charrnn_core.runs import starting
from charrnn_core.runs.unfinished import find_unfinished
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings

TEXT = "the tide rises, the tide falls; the clock above the market counts them both.\n" * 8


def settings_of(**given):
    values = {"hidden": 7, "seq_length": 4, "updates": 60, "sample_every": None}
    return Settings.of(**{**values, **given})


def train(process, until):
    """Train until an update, and stop there as a signal would."""

    def view(item):
        if item.update >= until:
            process.trainer.stop("signal SIGTERM")

    process.run(view)
    return process.directory


def interrupted(runs, name, text=TEXT, **given):
    process = starting.start(settings_of(**given), corpus_of(text), runs=runs, name=name)
    return train(process, until=20)


def found_by(runs, *, text=TEXT, name=None, **given):
    found = find_unfinished(runs, settings_of(**given), corpus_of(text), name)
    return None if found is None else (found[0].name, found[1].update)


def test_the_newest_run_of_this_study_is_found_with_where_it_is(tmp_path):
    assert found_by(tmp_path / "nowhere") is None
    first = interrupted(tmp_path, "first")
    assert found_by(tmp_path) == ("first", 20)
    interrupted(tmp_path, "seed", seed=1)
    train(starting.resume(interrupted(tmp_path, "second"), {}), until=30)
    assert found_by(tmp_path) == ("second", 30)
    assert found_by(tmp_path, name="first") == ("first", 20)
    assert found_by(tmp_path, name="fir") is None
    assert found_by(tmp_path, seed=1) == ("seed", 20)
    assert found_by(tmp_path, name="seed") is None
    config = json.loads(first.config_file.path.read_text(encoding="utf-8"))
    first.config_file.path.write_text(json.dumps({**config, "created": "2999"}), encoding="utf-8")
    assert found_by(tmp_path) == ("first", 20)


@pytest.mark.parametrize(
    "asked",
    [
        {"text": TEXT + "more"},
        {"hidden": 8},
        {"updates": 61},
        {"updates": None, "stop_below": 3.0, "minimum_updates": 60},
        {"sample_every": 10},
    ],
)
def test_another_text_or_other_settings_are_another_study(tmp_path, asked):
    interrupted(tmp_path, "run")
    assert found_by(tmp_path, **asked) is None


@pytest.mark.parametrize("change", [{"learning_rate": 0.05}, {"updates": 50}, {"temperature": 0.5}])
def test_a_run_that_somebody_has_changed_is_no_longer_of_this_study(tmp_path, change):
    directory = interrupted(tmp_path, "run")
    train(starting.resume(directory, change), until=25)
    assert found_by(tmp_path) is None
    assert found_by(tmp_path, **change) is None


def test_a_learning_rate_that_was_changed_back_is_still_a_change(tmp_path):
    directory = interrupted(tmp_path, "run")
    train(starting.resume(directory, {"learning_rate": 0.05}), until=25)
    train(starting.resume(directory, {"learning_rate": 0.1}), until=30)
    assert found_by(tmp_path) is None


def test_a_run_that_is_trained_or_has_diverged_or_cannot_go_on_is_left_alone(tmp_path):
    directory = interrupted(tmp_path, "run")
    lock = directory.lock()
    assert found_by(tmp_path) is None
    os.close(lock)
    assert found_by(tmp_path) == ("run", 20)
    with directory.events_file.path.open("a", encoding="utf-8") as log:
        log.write('{"type":"ended","update":20,"time":1,"reason":"diverged"}\n')
    assert found_by(tmp_path) is None
    other = interrupted(tmp_path, "other")
    for path in other.checkpoints.path.iterdir():
        path.write_bytes(b"damaged")
    assert found_by(tmp_path) is None


def test_a_finished_run_is_of_interest_only_while_its_report_is_missing(tmp_path):
    directory = interrupted(tmp_path, "run")
    starting.resume(directory, {}).run(lambda item: None)
    assert found_by(tmp_path) is None
    directory.begin_study()
    assert found_by(tmp_path) == ("run", 60)
    directory.end_study()
    assert found_by(tmp_path) is None


@pytest.mark.parametrize(
    "config", [b"", b"[]", b'{"settings": {}, "corpus": {}}', b'{"settings": {"hidden": [1]}, "corpus": {}}']
)
def test_what_is_no_run_does_not_hide_another(tmp_path, config):
    interrupted(tmp_path, "run")
    (tmp_path / "zzz").mkdir()
    (tmp_path / "zzz" / "config.json").write_bytes(config)
    assert found_by(tmp_path) == ("run", 20)
