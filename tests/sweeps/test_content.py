"""What a worker returns takes the place of the only copy of a trial: it is looked at before."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.checkpoint import parse_checkpoint
from charrnn_core.runs.environment import describe_corpus
from charrnn_core.sweeps.content import (
    Content,
    ReturnedError,
    checked,
    content_of,
    with_status,
    write_content,
)
from charrnn_core.sweeps.task import Outcome, Task, Trainee
from charrnn_core.text.corpus import read_corpus
from charrnn_core.text.source import Source
from charrnn_core.training.settings import Settings

LOG, LAST, BEST = "events.jsonl", "checkpoints/last.safetensors", "checkpoints/best.safetensors"
SETTINGS = Settings.of(
    hidden=4, seq_length=5, updates=40, held_out=0.2, validate_every=10, sample_every=None, engine="numpy"
)


@dataclass
class Part:
    """A part of a trial that a worker has really trained.

    Attributes
    ----------
    task : Task
    sent, returned : dict
        The files before it and after it.
    told : dict
        The outcome, as JSON.
    """

    task: Task
    sent: Content
    told: dict[str, Any]
    returned: Content


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Part, Part, Content]:
    """The first half of a trial, the second half, and the files of another trial."""
    place = tmp_path_factory.mktemp("worker")
    text = place / "book.txt"
    text.write_text("All that glitters is not gold. " * 40, encoding="utf-8")
    facts = describe_corpus(read_corpus(Source("file", "book.txt", (text,))))
    trainee, sent, found = Trainee(), {}, []
    for updates in (20, 40):
        task = Task(str(place / "trial"), SETTINGS.to_json(), facts, [str(text)], updates=updates)
        outcome, _ = trainee.train(task)
        assert (outcome.end, outcome.update) == ("ended", updates), outcome
        returned = content_of(place / "trial")
        found.append(Part(replace(task, path="trial"), sent, outcome.to_json(), returned))
        sent = returned
    other = replace(SETTINGS, hidden=5).to_json()
    trainee.train(Task(str(place / "other"), other, facts, [str(text)]))
    first, second = found
    return first, second, content_of(place / "other")


def test_what_a_worker_really_returns_is_taken(parts: tuple[Part, Part, Content], tmp_path: Path) -> None:
    for part in parts[:2]:
        outcome, content = checked((part.told, part.returned), part.task, part.sent)
        assert (outcome, content) == (Outcome(**part.told), part.returned)
        write_content(with_status(content, {"elsewhere": "tcp://there"}), tmp_path / "here", durable=False)
    written = content_of(tmp_path / "here")
    status = json.loads(written.pop("status.json"))
    assert status["elsewhere"] == "tcp://there"
    assert written == {name: data for name, data in parts[1].returned.items() if name != "status.json"}


def test_a_trial_that_was_stopped_before_its_first_save_may_return_nothing(
    parts: tuple[Part, Part, Content],
) -> None:
    told = Outcome("interrupted", "stopped").to_json()
    assert checked((told, {}), parts[0].task, {}) == (Outcome("interrupted", "stopped"), {})


Alter = Callable[[Part, Content], object]


def outcome(**changes: object) -> Alter:
    return lambda part, other: ({**part.told, **changes}, part.returned)


def file(name: str, change: Callable[[bytes], object]) -> Alter:
    return lambda part, other: (part.told, {**part.returned, name: change(part.returned[name])})


WRONG: dict[str, tuple[Alter, str]] = {
    "nothing": (lambda part, other: None, "it is no outcome with files, but of type NoneType"),
    "a number": (lambda part, other: 3, "of type int"),
    "three things": (lambda part, other: (part.told, part.returned, 1), "it is no outcome with files"),
    "the outcome alone": (lambda part, other: (part.told, None), "it is no outcome with files"),
    "another outcome": (lambda part, other: ({"end": "ended"}, part.returned), "its outcome is malformed"),
    "another end": (outcome(end="done"), "its end has an impossible value"),
    "an end that is a list": (outcome(end=["ended"]), "its end has an impossible value"),
    "no reason": (outcome(reason=None), "its reason has an impossible value"),
    "half an update": (outcome(update=2.5), "its update has an impossible value"),
    "a negative update": (outcome(update=-1), "its update has an impossible value"),
    "a loss that is text": (outcome(smooth_loss="low"), "its smooth_loss has an impossible value"),
    "a loss that is no number": (outcome(best_loss=float("nan")), "its best_loss has an impossible value"),
    "text for bytes": (file(LOG, lambda data: data.decode()), "its files are not bytes"),
    "a file elsewhere": (
        lambda part, other: (part.told, {**part.returned, "../../.profile": b"x"}),
        "files that do not belong to a trial: ../../.profile",
    ),
    "a name that is a number": (
        lambda part, other: (part.told, {**part.returned, 7: b"x"}),
        "files that do not belong to a trial: 7",
    ),
    "no last checkpoint": (
        lambda part, other: (part.told, {n: data for n, data in part.returned.items() if n != LAST}),
        f"it has no {LAST}",
    ),
    "an end without files": (lambda part, other: (part.told, {}), f"it has no {LAST}"),
    "half a checkpoint": (file(LAST, lambda data: data[: len(data) // 2]), "is not a whole checkpoint"),
    "an empty checkpoint": (file(LAST, lambda data: b""), "is not a whole checkpoint"),
    "one bit of the last": (file(LAST, lambda data: flipped(data, -9)), "its digest does not agree"),
    "one bit of the best": (file(BEST, lambda data: flipped(data, -9)), "its digest does not agree"),
    "another trial's last": (
        lambda part, other: (part.told, {**part.returned, LAST: other[LAST]}),
        f"its {LAST} is that of another trial",
    ),
    "another trial's files": (lambda part, other: (part.told, other), "is that of another trial"),
    "another state": (
        lambda part, other: ({**part.told, "state_sha256": "0" * 64}, part.returned),
        "not the state that it reached",
    ),
    "half a line": (file(LOG, lambda data: data[:-3]), "does not end with a whole line"),
    "no log": (file(LOG, lambda data: b""), "events.jsonl"),
    "a line that is none": (file(LOG, lambda data: data + b"\xff\n"), "its events.jsonl is malformed"),
    "a list for an event": (file(LOG, lambda data: data + b"[]\n"), "it is not a JSON object"),
    "a malformed config": (file("config.json", lambda data: b"{"), "its config.json is malformed"),
    "an empty config": (file("config.json", lambda data: b"{}"), "config.json"),
    "a malformed status": (file("status.json", lambda data: b"\x00" * 99), "its status.json is malformed"),
}


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 4
    return bytes(changed)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(name: str, parts: tuple[Part, Part, Content]) -> None:
    alter, said = WRONG[name]
    for part in parts[:2]:
        with pytest.raises(ReturnedError) as refused:
            checked(alter(part, parts[2]), part.task, part.sent)
        assert said in str(refused.value) or (part.sent and "sent" in str(refused.value)), str(refused.value)


def test_a_log_or_a_config_that_is_not_the_one_sent_is_refused(parts: tuple[Part, Part, Content]) -> None:
    _, part, _ = parts
    log, config = part.returned[LOG], part.returned["config.json"]
    for changed, said in (
        ({LOG: log.partition(b"\n")[2]}, "does not begin with the one that was sent"),
        ({LOG: flipped(log, 5)}, "does not begin with the one that was sent"),
        ({"config.json": config + b"\n"}, "is not the one that was sent"),
    ):
        with pytest.raises(ReturnedError, match=said):
            checked((part.told, {**part.returned, **changed}), part.task, part.sent)


def test_whatever_bytes_come_back_they_are_refused_or_as_they_were(
    parts: tuple[Part, Part, Content],
) -> None:
    """Random damage: cut, flipped, repeated, exchanged."""
    _, part, _ = parts
    chance = random.Random(3)
    refused = 0
    for _ in range(400):
        content = dict(part.returned)
        name = chance.choice(sorted(content))
        data, at = content[name], chance.randrange(len(content[name]))
        content[name] = chance.choice(
            [
                data[:at],
                data[at:],
                flipped(data, at),
                data + data[at:],
                content[chance.choice(sorted(content))],
            ]
        )
        try:
            _, taken = checked((part.told, content), part.task, part.sent)
        except ReturnedError:
            refused += 1
        else:
            # What only people look at may differ: a figure in a line of the log, or the status.
            assert parse_checkpoint(taken[LAST], "last").state_sha256 == part.told["state_sha256"]
            assert taken[BEST] in (part.returned[BEST], part.returned[LAST])
            assert taken[LOG].startswith(part.sent[LOG])
    assert refused > 200
