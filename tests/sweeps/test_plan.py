"""What a sweep is to do, as it is typed, kept, and made trials of."""

from __future__ import annotations

import json

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st

from charrnn_core.errors import SettingsError
from charrnn_core.sweeps.directory import Record
from charrnn_core.sweeps.plan import MOST_TRIALS, Plan, name_of, read_specification
from charrnn_core.sweeps.varying import MOST_VALUES, parse_variation, variation_of
from charrnn_core.training.settings import FIELDS, Settings


def plan(*vary: str, **more: object) -> Plan:
    return Plan(**{"given": {"updates": 5}, "vary": tuple(map(parse_variation, vary)), **more})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("hidden=100,250,500", (100, 250, 500)),
        ("hidden=5:20:lin4", (5, 10, 15, 20)),
        ("hidden=10:1000:log3", (10, 100, 1000)),
        ("learning_rate=0.01:0.3:log5", (0.01, 0.0234, 0.0548, 0.128, 0.3)),
        ("learning-rate=0.1", (0.1,)),
        ("temperature=0:1:3", (0.0, 0.5, 1.0)),
        ("clip=none,5", (None, 5.0)),
        ("optimizer=adam, rmsprop", ("adam", "rmsprop")),
        ("hidden=7,7,8", (7, 8)),
        ("hidden=5:7:lin9", (5, 6, 7)),
    ],
)
def test_values_of_a_variation(text: str, values: tuple[object, ...]) -> None:
    assert parse_variation(text).values == values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hidden",
        "hidden=",
        "=5",
        "nonsense=5",
        "hidden=5,x",
        "hidden=0",
        "hidden=1:5",
        "hidden=1:5:log1",
        "hidden=5:1:log3",
        "hidden=5:5:log3",
        "learning_rate=0:1:log3",
        "learning_rate=-1:1:lin3",
        "optimizer=adam:rmsprop:lin2",
        "hidden=1:5:cubic3",
        "hidden=1:5:log٣",
        "hidden=1:nan:lin3",
        f"hidden=1:5:lin{MOST_VALUES + 1}",
        "hidden=1:5:lin99999999999999999999",
        "clip=none:5:lin3",
        "learning_rate=inf",
        f"learning_rate={10**400}",
        "hidden=1:1e9:log3",
        "epochs=1:2:3:lin4",
    ],
)
def test_a_variation_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_variation(text)


@given_by(st.text(max_size=30), st.sampled_from(sorted(FIELDS)))
def test_whatever_is_typed_is_allowed_or_refused(text: str, name: str) -> None:
    try:
        variation = parse_variation(f"{name}={text}")
    except SettingsError:
        return
    for value in variation.values:
        FIELDS[name].check(name, value)


def test_a_grid_has_all_combinations_with_all_seeds() -> None:
    trials = plan("hidden=4,7", "learning_rate=0.1,0.2,0.3", seeds=2).first_trials()
    assert [trial.name for trial in trials][:3] == [
        "hidden-4_learning-rate-0.1_seed-0", "hidden-4_learning-rate-0.1_seed-1",
        "hidden-4_learning-rate-0.2_seed-0",
    ]  # fmt: skip
    assert len({trial.name for trial in trials}) == 12
    assert trials[0].settings == Settings.of(hidden=4, learning_rate=0.1, seed=0, updates=5)
    assert trials[0].combination == {"hidden": 4, "learning_rate": 0.1}


def test_what_is_not_given_follows_from_what_varies() -> None:
    trials = plan("optimizer=adagrad,adam").first_trials()
    assert [trial.settings.learning_rate for trial in trials] == [0.1, 0.001]


def test_seeds_begin_with_the_given_one() -> None:
    trials = plan(given={"seed": 7, "updates": 5}, seeds=3).first_trials()
    assert [trial.settings.seed for trial in trials] == [7, 8, 9]


def test_drawn_combinations_are_the_same_each_time_and_all_different() -> None:
    asked = plan("hidden=10:100:log", "learning_rate=0.001:1:log", search="random", combinations=50)
    trials = asked.first_trials()
    assert trials == asked.first_trials()
    assert len({trial.name for trial in trials}) == 50
    assert all(10 <= trial.settings.hidden <= 100 for trial in trials)
    assert all(0.001 <= trial.settings.learning_rate <= 1 for trial in trials)
    # Evenly by ratio: about as many below the middle of the logarithm as above it.
    assert 15 < sum(trial.settings.learning_rate < 0.0316 for trial in trials) < 35


def test_more_combinations_than_there_are_cannot_be_drawn() -> None:
    with pytest.raises(SettingsError, match="fewer than 5"):
        plan("hidden=1,2,3,4", search="random", combinations=5).first_trials()


@pytest.mark.parametrize(
    ("vary", "more"),
    [
        ([], {}),
        (["hidden=4,7", "hidden=5"], {}),
        (["hidden=4,7"], {"given": {"hidden": 5}}),
        (["hidden=4:7:lin"], {}),
        (["seed=1,2"], {"seeds": 2}),
        (["hidden=4,7"], {"seeds": 0}),
        (["hidden=4,7"], {"combinations": 3}),
        (["hidden=4,7"], {"search": "random", "combinations": 0}),
        ([], {"search": "random", "combinations": 3, "seeds": 2}),
        (["hidden=1:1000:lin1000", "seed=0:999:lin1000"], {}),
    ],
)
def test_a_plan_that_is_not_possible_is_refused(vary: list[str], more: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        plan(*vary, **more)


def test_values_that_do_not_go_together_are_refused_before_any_trial() -> None:
    asked = plan("chunk_length=10,1000", given={"chunks": "shuffled", "seq_length": 25})
    with pytest.raises(SettingsError, match="--chunk-length"):
        asked.first_trials()


@pytest.mark.parametrize(
    "asked",
    [
        plan("hidden=4,7", "clip=none,1", seeds=3),
        plan("learning_rate=0.001:1:log", "hidden=4:7:lin", search="tpe", combinations=9),
    ],
)
def test_a_plan_is_kept_as_json(asked: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(asked.to_json()))) == asked


def test_a_whole_number_that_is_too_large_for_any_setting_is_refused() -> None:
    for values in ([10**400], [-(10**400)], [10**400, 1]):
        with pytest.raises(SettingsError):
            variation_of("learning_rate", values)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"vary": 3},
        {**plan("hidden=4,7").to_json(), "vary": []},
        {**plan("hidden=4,7").to_json(), "seeds": "x"},
        {**plan("hidden=4,7").to_json(), "search": "guess"},
        {**plan("hidden=4,7").to_json(), "vary": {"hidden": [{}]}},
        {**plan("hidden=4,7").to_json(), "settings": [1]},
        {**plan("hidden=4,7").to_json(), "vary": {"hidden": [True]}},
    ],
)
def test_what_is_no_plan_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        Plan.from_json(told)


def test_a_plan_extends_another_by_values_and_seeds_alone() -> None:
    small = plan("hidden=4,7", seeds=2)
    assert plan("hidden=4,7,9", seeds=3).extends(small)
    assert not plan("hidden=4", seeds=2).extends(small)
    assert not plan("hidden=4,7", seeds=2, given={"updates": 6}).extends(small)
    assert not plan("hidden=4,7", "clip=1,2", seeds=2).extends(small)


def test_a_long_name_is_cut_and_still_its_own() -> None:
    values = {name: 0.123456789 + number for number, name in enumerate(FIELDS)}
    one, other = name_of(values), name_of({**values, "hidden": 3})
    assert one != other
    assert len(one.encode()) <= 80


def test_a_file_says_what_options_say(tmp_path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(
        """
        corpus = "book.txt"
        seeds = 3
        [settings]
        updates = 500
        learning-rate = 1
        clip = "none"
        [vary]
        hidden = [4, 7]
        "seq-length" = "5:15:lin3"
        optimizer = "adam"
        """
    )
    told = read_specification(path)
    assert (told.corpus, told.seeds, told.name, told.search) == ("book.txt", 3, None, None)
    assert told.given == {"updates": 500, "learning_rate": 1.0, "clip": None}
    assert [each.values for each in told.vary] == [(4, 7), (5, 10, 15), ("adam",)]


@pytest.mark.parametrize(
    "text",
    [
        "corpus",
        "colour = 3",
        "corpus = 3",
        "seeds = true",
        "seeds = 1.5",
        "vary = 3",
        "[vary]\nhidden = []",
        "[vary]\nhidden = [0]",
        "[vary]\nnonsense = 3",
        "[settings]\nhidden = 'many'",
        "[settings]\nhidden = [3]",
        "[settings]\nhidden = true",
        "x = [" * 5000,
        "\x00",
        "[vary]\nhidden = [[1]]",
        "[settings]\nhidden=1979-05-27",
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path, text: str) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises(SettingsError):
        read_specification(path)


def test_a_file_that_is_none_is_refused(tmp_path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        read_specification(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError):
        read_specification(tmp_path / "bytes.toml")


def test_a_log_of_a_sweep_takes_no_more_than_a_sweep_can_need():
    """It may come from anybody."""
    record = Record()
    many = {f"setting-{number}": number for number in range(9000)}
    for values in (many, {"hidden": []}, {"hidden": "x" * 300}, {"hidden": {"a": 1}}):
        record.add({"type": "proposed", "values": values})
    assert record.proposed == []
    for number in range(MOST_TRIALS + 10):
        record.add({"type": "proposed", "values": {"hidden": number}})
        record.add({"type": "pruned", "trials": [f"trial-{number}", number, "x" * 300]})
        record.add({"type": "failed", "trial": f"trial-{number}", "error": "x"})
    record.add({"type": "failed", "trial": "trial-0", "error": "y" * 20_000})
    assert len(record.proposed) == len(record.pruned) == len(record.failed) == MOST_TRIALS
    assert record.failed["trial-0"] == "y" * 10_000


def test_a_specification_with_a_name_of_many_parts_is_refused(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(".".join(["a"] * 60_000) + " = 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="is not TOML: a line has more than 2,000 dots"):
        read_specification(path)
