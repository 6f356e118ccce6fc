"""Any bytes, and any JSON, for whatever reads them: an error of our own, or what they say.

What a coverage-guided fuzzer has found stands in `fuzz/cases`, and is tried again here.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from charrnn_core.errors import CorpusError, SettingsError
from charrnn_core.runs.history import History
from charrnn_core.text.corpus import read_corpus
from charrnn_core.text.source import find_source
from charrnn_core.text.vocabulary import Vocabulary
from charrnn_core.training.settings import FIELDS, Settings
from tests.faults.fuzz.mutations import HOSTILE, mutated
from tests.faults.fuzz.targets import TARGETS, seeds
from tests.faults.ledger import injected, waited

pytestmark = pytest.mark.fault("bytes")

FEW, MANY = 60, 3000
"""Examples of each property; in a thorough test."""

JSON = st.recursive(
    st.sampled_from(HOSTILE) | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=12,
)
TEXTS = st.text(st.characters(), max_size=60)


@pytest.fixture
def holds(thorough: bool) -> Callable[..., None]:
    """Try a property on many examples, and count them."""

    def try_it(strategy: st.SearchStrategy[Any], claim: Callable[[Any], None]) -> None:
        @hypothesis_settings(
            max_examples=MANY if thorough else FEW,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(strategy)
        def claimed(example: Any) -> None:
            injected()
            began = time.monotonic()
            claim(example)
            waited(time.monotonic() - began)

        claimed()

    return try_it


def mutations_of(data: bytes) -> st.SearchStrategy[bytes]:
    """Return real data in which some values of its JSON are others, or some of its bytes."""

    def change(seed: int) -> bytes:
        generator = random.Random(seed)
        changed = data
        for _ in range(generator.randrange(1, 5)):
            changed = mutated(changed, generator) or changed
        for _ in range(generator.choice([0, 0, 1, 3])):
            place = generator.randrange(len(changed))
            changed = changed[:place] + bytes([generator.randrange(256)]) + changed[place + 1 :]
        return changed

    return st.integers(0, 2**32).map(change)


@pytest.mark.parametrize("reader", TARGETS)
def test_what_a_fuzzer_has_found_is_read_well(reader: str, tmp_path: Path) -> None:
    for data in seeds(reader).values():
        TARGETS[reader](data, tmp_path)
        injected()


@pytest.mark.parametrize("reader", TARGETS)
def test_any_bytes_are_read_well(reader: str, tmp_path: Path, holds: Callable[..., None]) -> None:
    holds(st.binary(max_size=400), lambda data: TARGETS[reader](data, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("reader", TARGETS)
def test_any_lines_of_json_are_read_well(reader: str, tmp_path: Path, holds: Callable[..., None]) -> None:
    def read(values: list[Any]) -> None:
        TARGETS[reader]("".join(json.dumps(value) + "\n" for value in values).encode(), tmp_path)

    holds(st.lists(JSON, max_size=4), read)


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    ("reader", "name"), [(reader, name) for reader in TARGETS for name in seeds(reader)], ids=str
)
def test_real_data_with_hostile_values_is_read_well(
    reader: str, name: str, tmp_path: Path, holds: Callable[..., None]
) -> None:
    holds(mutations_of(seeds(reader)[name]), lambda data: TARGETS[reader](data, tmp_path))


KINDS = ("started", "resumed", "progress", "sample", "validated", "gradients_checked", "epoch", "checkpoint",
         "obeyed", "refused", "warning", "ended", "of the future")  # fmt: skip
NAMES = ("first_update", "loss_mean", "loss_min", "loss_max", "smooth_loss", "epoch", "position", "partial",
         "log_length", "settings", "command", "name", "arguments", "offset", "text", "rows", "reason", "kind",
         "loss")  # fmt: skip
UPDATES = st.integers(-5, 50) | st.sampled_from([1e300, -1e300, 10**300, 0.5])
EVENTS = st.fixed_dictionaries(
    {"type": st.just("sample") | st.sampled_from(KINDS), "update": UPDATES, "time": UPDATES},
    optional={name: UPDATES | JSON | st.just({"learning_rate": 0.1}) for name in NAMES},
)


@pytest.mark.slow
def test_any_sequence_of_events_is_a_history(tmp_path: Path, holds: Callable[..., None]) -> None:
    def read(events: list[dict[str, Any]]) -> None:
        TARGETS["events"]("".join(json.dumps(event) + "\n" for event in events).encode(), tmp_path)
        history = History()
        for number, event in enumerate(events):
            history.add(number, event)
        kept = [event for event in events if event["type"] == "sample"]
        if not any(event["type"] == "resumed" for event in events):
            assert history.samples == kept  # of which nothing is ever lost but by going on
        assert len(history.openings) <= sum(event["type"] in ("started", "resumed") for event in events)

    holds(st.lists(EVENTS, max_size=12), read)


def test_any_json_is_settings_or_refused(holds: Callable[..., None]) -> None:
    def read(given: Any) -> None:
        try:
            settings = Settings.from_json(given)
        except SettingsError as error:
            str(error).encode("utf-8", "backslashreplace")
            return
        assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
        for name, field in FIELDS.items():
            value = getattr(settings, name)
            kinds = (int, float) if field.kind is float else (field.kind,)
            assert value is None or type(value) in kinds, name

    fields = st.dictionaries(
        st.sampled_from([*FIELDS, "more"]), JSON | st.sampled_from([1, 0.5, "adam"]), max_size=4
    )
    holds(fields, read)


def test_any_text_of_a_value_is_one_or_refused(holds: Callable[..., None]) -> None:
    def read(given: tuple[str, str]) -> None:
        name, text = given
        try:
            value = FIELDS[name].parse(name, text)
        except SettingsError as error:
            assert "allowed is" in str(error)
            return
        FIELDS[name].check(name, value)

    values = (
        TEXTS
        | st.integers().map(str)
        | st.floats().map(str)
        | st.sampled_from(["none", "٣", "1_0", " 5 ", "+1"])
    )
    holds(st.tuples(st.sampled_from(list(FIELDS)), values), read)


def test_any_bytes_are_a_text_or_refused(tmp_path: Path, holds: Callable[..., None]) -> None:
    path = tmp_path / "text.txt"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        try:
            corpus = read_corpus(find_source(str(path)))
        except CorpusError as error:
            assert str(path) in str(error)
            return
        expected = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        assert corpus.vocabulary.decode(corpus.codes) == expected

    texts = TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
    holds(st.binary(max_size=200) | texts | texts.map(lambda data: b"\xef\xbb\xbf" + data), read)


def test_any_text_is_its_codes_and_back(holds: Callable[..., None]) -> None:
    def read(text: str) -> None:
        vocabulary = Vocabulary("".join(sorted(set(text))))
        codes = vocabulary.encode(text)
        assert vocabulary.decode(codes) == text
        assert vocabulary.decode(np.asarray(codes).tolist()) == text

    holds(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), read)
