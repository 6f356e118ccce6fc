"""One definition of every setting: what is allowed, what follows from what."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import SettingsError
from charrnn_core.training.settings import FIELDS, PRESETS, Settings, option_name

NUMBERS = [name for name, field in FIELDS.items() if field.kind is not str]


def test_defaults_are_the_assignment():
    settings = Settings.of()
    assert (settings.hidden, settings.seq_length, settings.batch_size) == (100, 25, 1)
    assert (settings.optimizer, settings.learning_rate, settings.clip) == ("adagrad", 0.1, 5.0)
    assert (settings.dtype, settings.seed, settings.updates) == ("float32", 0, 100_000)
    assert (settings.sample_every, settings.sample_length, settings.temperature) == (10_000, 200, 1.0)
    assert settings == Settings()


def test_the_later_course_is_adam_on_the_mean_loss_without_clipping():
    settings = Settings.of("dd2424-2026")
    assert (settings.optimizer, settings.learning_rate) == ("adam", 0.001)
    assert (settings.loss, settings.init, settings.clip) == ("mean", "fan-in", None)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_given_goes_before_the_preset(preset):
    settings = Settings.of(preset, hidden=7, optimizer="rmsprop", loss="mean")
    assert (settings.hidden, settings.optimizer, settings.loss) == (7, "rmsprop", "mean")
    assert settings.learning_rate == 0.001


def test_a_given_learning_rate_stays_when_the_optimizer_changes():
    assert Settings.of(optimizer="adam", learning_rate=0.02).learning_rate == 0.02


@pytest.mark.parametrize("stop", ["epochs", "seconds", "stop_below"])
def test_another_stop_takes_the_place_of_the_limit_of_updates(stop):
    assert Settings.of(**{stop: 2.0}).updates is None
    assert Settings.of(**{stop: 2.0}, updates=10).updates == 10


@given(st.data())
def test_settings_survive_json(data):
    name = data.draw(st.sampled_from(NUMBERS))
    field = FIELDS[name]
    low = max(field.minimum, -1e6) + (0.5 if field.above else 0)
    high = min(field.maximum, 2**40) - (1e-9 if field.below else 0)
    draw = st.integers(math.ceil(low), math.floor(high)) if field.kind is int else st.floats(low, high)
    settings = Settings(**{name: data.draw(draw)})
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_settings_of_a_version_that_had_fewer_take_the_defaults():
    values = Settings.of(epochs=2.0).to_json()
    del values["minimum_updates"]
    assert Settings.from_json(values) == Settings.of(epochs=2.0)
    assert Settings.from_json(values).minimum_updates == 0


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "-1", "abc", "", "0x10", "9" * 5000])
def test_hostile_numbers_are_refused_with_the_allowed_range(name, text):
    with pytest.raises(SettingsError) as caught:
        FIELDS[name].parse(name, text)
    message = str(caught.value)
    assert message.startswith(option_name(name))
    assert FIELDS[name].allowed in message
    assert len(message) < 200


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.choices])
def test_words_are_from_the_list(name):
    with pytest.raises(SettingsError, match=FIELDS[name].choices[0]):
        FIELDS[name].parse(name, "sideways")


@pytest.mark.parametrize("name", FIELDS)
def test_none_is_for_what_can_be_left_out(name):
    if FIELDS[name].none:
        assert FIELDS[name].parse(name, "none") is None
        assert getattr(Settings(**{name: None}), name) is None
    else:
        with pytest.raises(SettingsError):
            Settings(**{name: None})


def test_both_ends_of_a_range_are_what_they_say():
    assert FIELDS["held_out"].parse("held_out", "0") == 0
    assert FIELDS["held_out"].parse("held_out", "0.9") == 0.9
    for name, text in (("learning_rate", "0"), ("beta1", "1"), ("held_out", "0.91")):
        with pytest.raises(SettingsError):
            FIELDS[name].parse(name, text)


def test_wrong_types_are_refused_not_converted():
    for wrong in (True, 2.0, "2"):
        with pytest.raises(SettingsError):
            Settings(hidden=wrong)


def test_unknown_names_are_refused():
    with pytest.raises(SettingsError, match="'hiden'"):
        Settings.of(hiden=3)
    with pytest.raises(SettingsError, match="dd2424-2019"):
        Settings.of("dd2424-1999")


def test_a_chunk_shorter_than_a_window_is_refused():
    with pytest.raises(SettingsError, match="--chunk-length"):
        Settings.of(chunks="shuffled", chunk_length=10, seq_length=11)
    assert Settings.of(chunk_length=10, seq_length=11).chunks == "sequential"


def test_a_network_larger_than_memory_is_refused_before_it_is_made():
    with pytest.raises(SettingsError, match="memory"):
        Settings.of(hidden=1_000_000).check_memory()
    with pytest.raises(SettingsError, match="memory"):
        Settings.of(batch_size=65_536, seq_length=100_000).check_memory()
    Settings.of().check_memory(10_000)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.of().hidden = 3
