"""What is asked of a run is answered once, obeyed or refused, whatever happens to it meanwhile."""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from charrnn_core.errors import CommandError, DivergedError, SettingsError
from charrnn_core.runs import process as process_module
from charrnn_core.runs import starting
from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.commands import (
    COMMAND_NAMES,
    LARGEST_COMMAND,
    MOST_UNREAD,
    BadCommand,
    Command,
    CommandReader,
    send,
)
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import Entry
from charrnn_core.runs.history import History, answered_by
from charrnn_core.runs.log import EventLog
from charrnn_core.runs.saving import Saver
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import Event, Obeyed, Progress, Sample, Status, Validated
from charrnn_core.training.settings import Settings

TEXT = "the tide rises, the tide falls; the clock above the market counts them both.\n" * 8
PROGRAM = [sys.executable, "-m", "charrnn_tui"]
RATE = 0.037
PATIENCE = 90.0


class Killed(BaseException):
    """What ends a process here as SIGKILL would: nothing of it runs any more."""


# In memory, where there is such a place: on a disk a rename onto a file can take a millisecond, and there are
# thousands of them here.
QUICK = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None


@pytest.fixture
def tmp_path():
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True, scope="module")
def quick_disk():
    """No test here is about power cuts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True)
def no_pause_for_ever():
    """A process that is never told to continue would wait for as long as the tests run."""

    def late(number, frame):
        raise TimeoutError("a process waits in vain")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def settings_of(**given):
    values = {
        "hidden": 6, "seq_length": 4, "updates": 40, "sample_every": 15, "sample_length": 10,
        "checkpoint_every": 1e6,
    }  # fmt: skip
    return Settings.of(**{**values, **given})


def start(runs, name="run", **given):
    return starting.start(settings_of(**given), corpus_of(TEXT, "tide"), runs=Path(runs), name=name)


def at_update(update, action):
    """A view that does something once, when so many updates are done."""
    done = []

    def view(item):
        if isinstance(item, Progress) and item.update == update and not item.partial and not done:
            done.append(update)
            action()

    return view


def asks(process, *lines, update=10):
    """A view that asks for something at an update: commands, or lines of any bytes."""

    def ask():
        for line in lines:
            if isinstance(line, Command):
                send(process.directory.commands_file.path, line)
            else:
                append(process.directory, line)

    return at_update(update, ask)


def append(directory, data):
    with directory.commands_file.path.open("ab") as file:
        file.write(data)


def events_of(directory):
    return [json.loads(line) for line in directory.events_file.path.read_bytes().splitlines()]


def answers(directory, identity):
    return [
        event
        for event in events_of(directory)
        if event["type"] in ("obeyed", "refused") and identity in (answered_by(event) or [None])
    ]


def answer(directory, command):
    (only,) = answers(directory, command.id if isinstance(command, Command) else command)
    return only


def of_type(directory, kind):
    return [event for event in events_of(directory) if event["type"] == kind]


def last_of(directory):
    return read_checkpoint(directory.checkpoint_file("last").path)


def undisturbed(tmp_path, **given):
    process = start(tmp_path, "undisturbed", **given)
    return process.run(lambda item: None)


# -- each command ------------------------------------------------------------------------------------------


def test_sample_is_obeyed_and_does_not_change_training(tmp_path):
    process = start(tmp_path)
    plain = Command.make("sample")
    asked = Command.make("sample", length=33, temperature=0.5, top_p=0.9, prime="the ")
    ended = process.run(asks(process, plain, asked))
    samples = [event for event in of_type(process.directory, "sample") if event.get("command")]
    assert [event["command"] for event in samples] == [plain.id, asked.id]
    assert [event["update"] for event in samples] == [10, 10]
    assert [len(event["text"]) for event in samples] == [10, 33]
    assert (samples[1]["temperature"], samples[1]["prime"]) == (0.5, "the ")
    for command in (plain, asked):
        told = answer(process.directory, command)
        assert (told["type"], told["update"], told["name"]) == ("obeyed", 10, "sample")
        assert told["arguments"] == command.arguments
    assert ended.state_sha256 == undisturbed(tmp_path).state_sha256


def test_samples_that_are_asked_for_are_repeatable_and_differ_from_each_other(tmp_path):
    texts = []
    for name in ("one", "two"):
        process = start(tmp_path, name)
        process.run(asks(process, *[Command.make("sample", length=50) for _ in range(3)]))
        texts.append([event["text"] for event in of_type(process.directory, "sample") if "command" in event])
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 3


def test_check_is_obeyed_and_does_not_change_training(tmp_path):
    process = start(tmp_path)
    command = Command.make("check")
    ended = process.run(asks(process, command))
    first, checked = of_type(process.directory, "gradients_checked")
    assert "command" not in first
    assert first["update"] == 0
    assert (checked["command"], checked["update"]) == (command.id, 10)
    assert checked["rows"]
    assert all(row["passed"] for row in checked["rows"])
    assert answer(process.directory, command)["type"] == "obeyed"
    assert ended.state_sha256 == undisturbed(tmp_path).state_sha256


def test_check_takes_the_options_of_gradcheck(tmp_path):
    process = start(tmp_path)
    command = Command.make("check", method="central", entries="random:3", h0="random", step=1e-6, seed=5)
    process.run(asks(process, command))
    checked = of_type(process.directory, "gradients_checked")[1]
    asked = ("central", 3, "random", 1e-6)
    rows = [(row["method"], row["entries"], row["h0"], row["step"]) for row in checked["rows"]]
    assert rows == [asked] * 5


def test_a_stop_while_a_command_checks_refuses_it(tmp_path):
    process = start(tmp_path)
    command = Command.make("check", method="complex-step")
    ask = asks(process, command)

    def view(item):
        ask(item)
        if isinstance(item, Status) and item.phase == "checking" and process.trainer.update:
            process.trainer.stop("test")

    process.run(view)
    assert "stopped before the check" in answer(process.directory, command)["reason"]
    assert len(of_type(process.directory, "gradients_checked")) == 1


def test_gradients_are_right_at_the_start_and_after_1_000_and_10_000_updates(tmp_path, thorough):
    hidden, seq_length = (100, 25) if thorough else (10, 5)
    given = {"hidden": hidden, "seq_length": seq_length, "updates": 10_000, "sample_every": None}
    process = start(tmp_path, **given)
    views = [at_update(n, lambda: send_to(process, Command.make("check"))) for n in (1000, 10_000)]

    def view(item):
        for each in views:
            each(item)

    process.run(view)
    checks = of_type(process.directory, "gradients_checked")
    assert [check["update"] for check in checks] == [0, 1000, 10_000]
    for check in checks:
        assert len(check["rows"]) == 43
        assert all(row["passed"] for row in check["rows"])


def send_to(process, command):
    send(process.directory.commands_file.path, command)


def test_commands_are_obeyed_while_a_check_is_made(tmp_path):
    process = start(tmp_path)
    check, other = Command.make("check", method="complex-step"), Command.make("check")
    rate, stop = Command.make("set-learning-rate", learning_rate=0.05), Command.make("stop")
    ask = asks(process, check, other, rate)

    def view(item):
        ask(item)
        if isinstance(item, Obeyed) and item.name == "set-learning-rate":
            assert not any(answers(process.directory, check.id))
            send(process.directory.commands_file.path, stop)

    process.run(view)
    assert answer(process.directory, other)["reason"] == "another check is being made"
    assert answer(process.directory, rate)["type"] == "obeyed"
    assert answer(process.directory, stop)["update"] == 10
    assert "stopped before" in answer(process.directory, check)["reason"]


def test_checkpoint_saves_now(tmp_path):
    process = start(tmp_path)
    command, found = Command.make("checkpoint"), []

    def view(item):
        ask(item)
        if isinstance(item, Obeyed):
            found.append(last_of(process.directory))

    ask = asks(process, command)
    ended = process.run(view)
    (saved,) = (event for event in of_type(process.directory, "checkpoint") if event["kind"] == "last")
    assert saved["update"] == 10
    assert saved["digest"] == found[0].state_sha256
    assert found[0].snapshot.update == 10
    assert ended.state_sha256 == undisturbed(tmp_path).state_sha256


def test_stop_ends_the_run_after_the_update(tmp_path):
    process = start(tmp_path)
    command = Command.make("stop")
    ended = process.run(asks(process, command))
    assert (ended.reason, ended.update) == ("stopped", 10)
    assert answer(process.directory, command)["type"] == "obeyed"
    assert last_of(process.directory).state_sha256 == ended.state_sha256
    again = starting.resume(process.directory, {}).run(lambda item: None)
    assert again.state_sha256 == undisturbed(tmp_path).state_sha256


def test_detach_without_an_owner_is_obeyed(tmp_path):
    process = start(tmp_path)
    command = Command.make("detach")
    assert process.run(asks(process, command)).update == 40
    assert answer(process.directory, command)["type"] == "obeyed"


def test_another_learning_rate_is_in_a_checkpoint_before_it_is_answered(tmp_path):
    process = start(tmp_path)
    command, found = Command.make("set-learning-rate", learning_rate=RATE), []

    def view(item):
        ask(item)
        if isinstance(item, Obeyed):
            found.append(last_of(process.directory))

    ask = asks(process, command)
    ended = process.run(view)
    assert found[0].snapshot.settings.learning_rate == RATE
    assert found[0].snapshot.update == 10
    assert answer(process.directory, command)["update"] == 10
    halves = start(tmp_path, "halves", updates=10)
    halves.run(lambda item: None)
    resumed = starting.resume(halves.directory, {"updates": 40, "learning_rate": RATE})
    assert resumed.run(lambda item: None).state_sha256 == ended.state_sha256
    assert ended.state_sha256 != undisturbed(tmp_path).state_sha256


def test_a_learning_rate_that_cannot_be_saved_is_refused_and_not_in_effect(tmp_path, monkeypatch):
    process = start(tmp_path)
    command = Command.make("set-learning-rate", learning_rate=RATE)
    real = Entry.move_to

    def ask():
        send(process.directory.commands_file.path, command)
        monkeypatch.setattr(Entry, "move_to", fail)

    def fail(self, target):
        if "last" in target.name and len(answers(process.directory, command.id)) == 0:
            raise OSError(28, "No space left on device")
        return real(self, target)

    ended = process.run(at_update(10, ask))
    told = answer(process.directory, command)
    assert told["type"] == "refused"
    assert "No space left" in told["reason"]
    assert ended.state_sha256 == undisturbed(tmp_path).state_sha256


def test_pause_stops_updates_and_the_clock_and_everything_else_still_works(tmp_path):
    process = start(tmp_path)
    chain = [
        Command.make("pause"),
        Command.make("sample"),
        Command.make("check"),
        Command.make("checkpoint"),
        Command.make("sample", length=5),
        Command.make("continue"),
    ]
    waiting, states = iter(chain), []

    def view(item):
        ask(item)
        if isinstance(item, Obeyed):
            status = json.loads(process.directory.status_file.path.read_bytes())
            states.append((item.name, status["state"], status["update"]))
            following = next(waiting, None)
            if following is not None:
                send(process.directory.commands_file.path, following)

    ask = asks(process, next(waiting))
    ended = process.run(view)
    told = [answer(process.directory, command) for command in chain]
    assert [event["type"] for event in told] == ["obeyed"] * 6
    assert {event["update"] for event in told} == {10}
    # Real time has passed between these answers: the process looks for commands every so often.
    assert len({event["time"] for event in told[1:]}) == 1
    assert [state for _, state, _ in states[1:]] == ["paused"] * 5
    assert {update for _, _, update in states[1:]} == {10}
    times = [event["time"] for event in events_of(process.directory)]
    assert times == sorted(times)
    assert last_of(process.directory).snapshot.update == ended.update == 40
    assert ended.state_sha256 == undisturbed(tmp_path).state_sha256


def test_a_pause_saves_what_was_trained(tmp_path):
    process = start(tmp_path)

    def view(item):
        ask(item)
        if isinstance(item, Obeyed) and item.name == "pause":
            send(process.directory.commands_file.path, Command.make("sample"))
        if isinstance(item, Obeyed) and item.name == "sample":
            raise Killed

    ask = asks(process, Command.make("pause"))
    with pytest.raises(Killed):
        process.run(view)
    process.close()
    assert last_of(process.directory).snapshot.update == 10
    # A process that goes on is not paused.
    ended = starting.resume(process.directory, {}).run(lambda item: None)
    assert ended.state_sha256 == undisturbed(tmp_path).state_sha256


@pytest.mark.parametrize("name", ["stop", "set-learning-rate"])
def test_stop_and_learning_rate_while_paused(tmp_path, name):
    process = start(tmp_path)
    arguments = {"learning_rate": RATE} if name == "set-learning-rate" else {}
    command = Command.make(name, **arguments)

    def view(item):
        ask(item)
        if isinstance(item, Obeyed) and item.name == "pause":
            send(process.directory.commands_file.path, command)
        elif isinstance(item, Obeyed) and item.name != "continue":
            send(process.directory.commands_file.path, Command.make("continue"))

    ask = asks(process, Command.make("pause"))
    ended = process.run(view)
    assert answer(process.directory, command)["update"] == 10
    assert (ended.update, ended.reason) == ((10, "stopped") if name == "stop" else (40, "updates"))
    if name != "stop":
        straight = start(tmp_path, "straight")
        assert straight.run(asks(straight, command)).state_sha256 == ended.state_sha256


def test_pause_twice_and_continue_at_once_in_one_batch(tmp_path):
    process = start(tmp_path)
    chain = [Command.make(name) for name in ("continue", "pause", "pause", "continue")]
    ended = process.run(asks(process, *chain))
    assert all(answer(process.directory, command)["type"] == "obeyed" for command in chain)
    assert ended.update == 40


def test_a_command_during_validation_is_obeyed_there_and_changes_no_score(tmp_path):
    given = {"held_out": 0.3, "validate_every": 10}
    process = start(tmp_path, **given)
    command = Command.make("sample")

    def view(item):
        if isinstance(item, Status) and item.phase == "validating" and item.update == 20:
            send(process.directory.commands_file.path, command)

    ended = process.run(view)
    assert answer(process.directory, command)["update"] == 20
    assert ended.state_sha256 == undisturbed(tmp_path, **given).state_sha256


# -- what is refused ---------------------------------------------------------------------------------------

UNREADABLE = {
    "not JSON": b"pause",
    "half": b'{"id":"x","comma',
    "binary": bytes(set(range(256)) - {10}),
    "deep": b"[" * 60_000,
    "deep object": b'{"id":' * 9000,
    "list": b"[]",
    "number": b"7",
    "null": b"null",
    "huge number": b"9" * 5000,
    "no id": b'{"command":"pause"}',
    "id of another type": b'{"id":7,"command":"pause"}',
    "empty id": b'{"id":"","command":"pause"}',
    "long id": b'{"id":"' + b"x" * 65 + b'","command":"pause"}',
    "too long": b'{"id":"x","command":"' + b"x" * LARGEST_COMMAND + b'"}',
    "much too long": b'{"id":"x","command":"' + b"x" * 5 * LARGEST_COMMAND + b'"}',
}

WRONG = {
    "no command": b"",
    "unknown command": b',"command":"dance"',
    "command of another type": b',"command":["pause"]',
    "command null": b',"command":null',
    "argument of a command that takes none": b',"command":"pause","learning_rate":1',
    "unknown argument": b',"command":"sample","colour":"red"',
    "no rate": b',"command":"set-learning-rate"',
    "rate zero": b',"command":"set-learning-rate","learning_rate":0',
    "rate negative": b',"command":"set-learning-rate","learning_rate":-1',
    "rate too large": b',"command":"set-learning-rate","learning_rate":1001',
    "rate infinite": b',"command":"set-learning-rate","learning_rate":1e999',
    "rate huge": b',"command":"set-learning-rate","learning_rate":' + b"9" * 4000,
    "rate nan": b',"command":"set-learning-rate","learning_rate":NaN',
    "rate text": b',"command":"set-learning-rate","learning_rate":"0.1"',
    "rate true": b',"command":"set-learning-rate","learning_rate":true',
    "rate null": b',"command":"set-learning-rate","learning_rate":null',
    "rate list": b',"command":"set-learning-rate","learning_rate":[0.1]',
    "rate object": b',"command":"set-learning-rate","learning_rate":{}',
    "temperature list": b',"command":"sample","temperature":[]',
    "temperature negative": b',"command":"sample","temperature":-1',
    "temperature nan": b',"command":"sample","temperature":NaN',
    "length zero": b',"command":"sample","length":0',
    "length far": b',"command":"sample","length":1000000000000',
    "length broken": b',"command":"sample","length":2.5',
    "length list": b',"command":"sample","length":[1]',
    "top-p zero": b',"command":"sample","top_p":0',
    "top-p nan": b',"command":"sample","top_p":NaN',
    "top-p text": b',"command":"sample","top_p":"1"',
    "top-p list": b',"command":"sample","top_p":[]',
    "prime number": b',"command":"sample","prime":3',
    "prime null": b',"command":"sample","prime":null',
    "prime unknown": ',"command":"sample","prime":"日本"'.encode(),
    "prime surrogate": b',"command":"sample","prime":"\\ud800"',
    "prime escape": b',"command":"sample","prime":"\\u001b[31m"',
}


def refused_and_goes_on(tmp_path, line, identity):
    process = start(tmp_path, updates=20)
    good = Command.make("sample")
    ended = process.run(asks(process, line + b"\n", good))
    told = answer(process.directory, identity)
    assert told["type"] == "refused"
    assert told["reason"]
    assert answer(process.directory, good)["type"] == "obeyed"
    assert ended.update == 20
    asked = [event for event in of_type(process.directory, "sample") if event.get("command")]
    assert [event["command"] for event in asked] == [good.id]
    return process


@pytest.mark.parametrize("line", UNREADABLE.values(), ids=UNREADABLE)
def test_a_line_that_is_no_command_is_refused_and_training_goes_on(tmp_path, line):
    refused_and_goes_on(tmp_path, line, None)


def test_an_empty_line_is_skipped(tmp_path):
    process = start(tmp_path, updates=20)
    good = Command.make("sample")
    process.run(asks(process, b"\n\n\n", good))
    assert answer(process.directory, good)["type"] == "obeyed"
    assert not of_type(process.directory, "refused")


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_a_wrong_command_is_refused_by_its_id_and_training_goes_on(tmp_path, line):
    refused_and_goes_on(tmp_path, b'{"id":"wrong"' + line + b"}", "wrong")


@pytest.mark.parametrize("line", [WRONG["rate list"], WRONG["rate text"], WRONG["unknown command"]])
def test_a_wrong_command_while_nobody_trains_does_not_keep_the_run_from_going_on(tmp_path, line):
    process = start(tmp_path, updates=20)
    process.run(lambda item: None)
    append(process.directory, b'{"id":"wrong"' + line + b"}\n")
    assert starting.resume(process.directory, {"updates": 30}).run(lambda item: None).update == 30
    assert answer(process.directory, "wrong")["type"] == "refused"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("dance", {}), ("pause", {"length": 3}), ("set-learning-rate", {}), ("sample", {"prime": "x" * 70_000}),
     ("set-learning-rate", {"learning_rate": float("nan")}), ("set-learning-rate", {"learning_rate": [1]})],
)  # fmt: skip
def test_a_wrong_command_is_not_even_sent(tmp_path, name, arguments):
    path = tmp_path / "commands.jsonl"
    with pytest.raises((CommandError, SettingsError)):
        send(path, Command.make(name, **arguments))
    assert not path.exists() or path.read_bytes() == b""


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([*UNREADABLE.values()]))))
@hypothesis_settings(max_examples=40)
def test_any_lines_are_read_once_each_however_they_come(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("commands") / "commands.jsonl"
    lines = [line.replace(b"\n", b"") for line in lines]
    good = Command.make("pause")
    path.write_bytes(b"".join(line + b"\n" for line in lines) + good.to_line())
    reader = CommandReader(path)
    found = list(itertools.chain.from_iterable(iter(reader.read, [])))
    reader.close()
    if path.stat().st_size <= MOST_UNREAD:
        assert sum(getattr(command, "lines", 1) for command, _ in found) == len([*filter(None, lines)]) + 1
    assert found[-1] == (good, path.stat().st_size)
    assert all(isinstance(command, BadCommand) for command, _ in found[:-1])
    offsets = [offset for _, offset in found]
    assert offsets == sorted(offsets)


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_a_command_is_read_back_as_it_was_sent(tmp_path, name):
    arguments = {"set-learning-rate": {"learning_rate": 0.25}, "sample": {"length": 7, "prime": "é\n日"}}
    command = Command.make(name, **arguments.get(name, {}))
    send(tmp_path / "commands.jsonl", command)
    reader = CommandReader(tmp_path / "commands.jsonl")
    assert [found for found, _ in reader.read()] == [command]
    assert reader.read() == []
    reader.close()


def test_the_longest_command_is_read_whole(tmp_path):
    path = tmp_path / "commands.jsonl"
    room = LARGEST_COMMAND - len(Command("0" * 16, "sample", {"prime": ""}).to_line())
    longest = Command("0" * 16, "sample", {"prime": "x" * room})
    assert len(longest.to_line()) == LARGEST_COMMAND
    for command in (Command.make("pause"), longest, longest, Command.make("stop")):
        send(path, command)
    reader = CommandReader(path)
    found = [command for command, _ in itertools.chain.from_iterable(iter(reader.read, []))]
    assert [command.name for command in found] == ["pause", "sample", "sample", "stop"]
    reader.close()


def test_thousands_of_commands_are_all_answered_in_order(tmp_path):
    process = start(tmp_path, updates=20)
    commands = [Command.make("continue") for _ in range(2500)]
    process.run(asks(process, b"".join(command.to_line() for command in commands)))
    told = of_type(process.directory, "obeyed")
    assert [event["command"] for event in told] == [command.id for command in commands]


def test_a_line_in_two_halves_is_obeyed_once_it_is_whole(tmp_path):
    process = start(tmp_path)
    command = Command.make("sample")
    line = command.to_line()
    first, second = asks(process, line[:9], update=10), asks(process, line[9:], update=17)

    def view(item):
        first(item)
        second(item)

    process.run(view)
    assert answer(process.directory, command)["update"] == 17


# -- nobody trains -----------------------------------------------------------------------------------------


def test_what_is_asked_while_nobody_trains_is_refused_at_the_next_start(tmp_path):
    process = start(tmp_path, updates=20)
    process.run(lambda item: None)
    asked = [Command.make("sample"), Command.make("set-learning-rate", learning_rate=RATE)]
    for command in asked:
        send(process.directory.commands_file.path, command)
    half = Command.make("pause")
    append(process.directory, half.to_line()[:12])
    for updates in (25, 30):
        starting.resume(process.directory, {"updates": updates}).run(lambda item: None)
        for command in asked:
            told = answer(process.directory, command)
            assert (told["type"], told["reason"]) == ("refused", "the run was not being trained (2 commands)")
    assert answers(process.directory, half.id) == []
    append(process.directory, half.to_line()[12:])
    starting.resume(process.directory, {"updates": 35}).run(lambda item: None)
    assert answer(process.directory, half)["reason"] == "the run was not being trained"
    assert last_of(process.directory).snapshot.settings.learning_rate == 0.1


def test_a_network_too_large_to_write_with_trains_on_without_samples(tmp_path, monkeypatch):
    """The weights of a network that is about to diverge may be so large that sums of them overflow."""
    process = start(tmp_path, updates=20, sample_every=10)

    class Refusing:
        def __init__(self, *given, **how):
            raise DivergedError("the network has diverged: its weights are too large to write with")

    monkeypatch.setattr("charrnn_core.training.trainer.Sampler", Refusing)
    command = Command.make("sample")
    ended = process.run(asks(process, command, update=6))
    assert (ended.reason, ended.update) == ("updates", 20)
    told = answer(process.directory, command)
    assert (told["type"], "has diverged" in told["reason"]) == ("refused", True)
    warnings = [event["message"] for event in of_type(process.directory, "warning")]
    assert len(warnings) == 3 and all(text.startswith("no sample: the network has") for text in warnings)
    assert of_type(process.directory, "sample") == []


# -- crashes -----------------------------------------------------------------------------------------------

RATE_LINE = b'{"id":"rate","command":"set-learning-rate","learning_rate":0.037}\n'
LINES = {
    "sample": b'{"id":"sample","command":"sample"}\n',
    "check": b'{"id":"check","command":"check"}\n',
    "checkpoint": b'{"id":"checkpoint","command":"checkpoint"}\n',
    "rate": RATE_LINE,
    "rates": RATE_LINE + b'{"id":"rate 2","command":"set-learning-rate","learning_rate":0.02}\n',
    "pause": b'{"id":"pause","command":"pause"}\n{"id":"continue","command":"continue"}\n',
    "detach": b'{"id":"detach","command":"detach"}\n',
    "wrong": b'{"id":"wrong","command":"dance"}\n',
    "refused": '{"id":"refused","command":"sample","prime":"日"}\n'.encode(),
    "wrong, then rate": b'{"id":"wrong","command":"dance"}\n' + RATE_LINE,
}
LINES["all"] = b"".join(LINES[name] for name in ("sample", "refused", "rate", "check", "pause", "sample"))
LINES["all"] = LINES["all"].replace(b'"id":"sample"', b'"id":"sample 2"', 1)


def run_until_killed(process, view, kill_at, how):
    """Train, and be killed as the kill_at-th event is written, or just after; return whether it was."""
    count = itertools.count(1)
    real = EventLog.append

    def append_and_die(self, event):
        number = next(count)
        if number == kill_at and how == "before":
            raise Killed
        return real(self, event)

    def shown(item):
        view(item)
        if isinstance(item, Event) and how == "after" and next(seen) == kill_at:
            raise Killed

    seen = itertools.count(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EventLog, "append", append_and_die)
        try:
            process.run(shown)
        except Killed:
            process.close()
            return True
    return False


def identities(data):
    return [json.loads(line)["id"] for line in data.splitlines()]


def check_answers(directory, asked):
    for identity in asked:
        told = answers(directory, identity)
        assert len(told) == 1, (identity, told)
    obeyed = {event["command"]: event for event in of_type(directory, "obeyed")}
    expected = 0.1
    for identity, rate in (("rate", 0.037), ("rate 2", 0.02)):
        if identity in obeyed:
            expected = rate
    assert last_of(directory).snapshot.settings.learning_rate == expected


@pytest.mark.slow(sparing=10)
@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("save_every", [2, 10**9])
@pytest.mark.parametrize("what", LINES)
def test_over_a_crash_at_any_event_each_command_is_answered_once(
    tmp_path, monkeypatch, thorough, what, how, save_every
):
    # In the short form another third of the instants in each.
    instants = range(5, 40) if thorough else range(5 + (how == "after") + (save_every == 2), 40, 3)
    saves = itertools.count(1)
    monkeypatch.setattr(process_module, "_PAUSED_SECONDS", 0.001)
    monkeypatch.setattr(Saver, "due", property(lambda self: next(saves) % save_every == 0))
    data = LINES[what]
    wrong = []
    for kill_at in instants:
        process = start(tmp_path, f"run-{kill_at}", updates=9, sample_every=None)
        sent = []

        def view(item, process=process, sent=sent):
            if isinstance(item, Progress) and item.update == 6 and not sent:
                sent.append(True)
                append(process.directory, data)

        killed = run_until_killed(process, view, kill_at, how)
        if killed:
            # Killed once more soon after it went on, then left to itself.
            again = starting.resume(process.directory, {"updates": 12})
            again_killed = run_until_killed(again, lambda item: None, 2 + kill_at % 3, how)
            if again_killed:
                starting.resume(process.directory, {"updates": 12}).run(lambda item: None)
        try:
            check_answers(process.directory, identities(data) if sent else [])
        except AssertionError as error:
            wrong.append((kill_at, str(error).splitlines()[0]))
        if not killed:
            break
    else:
        pytest.fail("the run was too long for the kills")
    assert wrong == []


def test_a_line_without_an_id_is_refused_once_over_a_crash(tmp_path):
    process = start(tmp_path)
    killed = run_until_killed(process, asks(process, b"nonsense\n", update=6), 14, "after")
    assert killed
    assert len(of_type(process.directory, "refused")) == 1
    starting.resume(process.directory, {}).run(lambda item: None)
    assert len(of_type(process.directory, "refused")) == 1


def test_a_rate_that_was_saved_but_not_answered_is_answered_obeyed(tmp_path):
    process = start(tmp_path)
    command = Command.make("set-learning-rate", learning_rate=RATE)
    ask = asks(process, command, update=6)
    with pytest.MonkeyPatch.context() as patch:
        real = EventLog.append

        def crash(self, event):
            if isinstance(event, Obeyed):
                raise Killed
            return real(self, event)

        patch.setattr(EventLog, "append", crash)
        with pytest.raises(Killed):
            process.run(ask)
    process.close()
    assert answers(process.directory, command.id) == []
    ended = starting.resume(process.directory, {}).run(lambda item: None)
    told = answer(process.directory, command)
    assert (told["type"], told["update"]) == ("obeyed", 6)
    assert told["arguments"] == {"learning_rate": RATE}
    straight = start(tmp_path, "straight")
    assert straight.run(asks(straight, command, update=6)).state_sha256 == ended.state_sha256
    again, recording = starting.replay(process.directory, runs=tmp_path)
    again.run(lambda item: None)
    assert again.state_sha256 == recording.state_sha256


def test_a_commands_file_that_was_replaced_by_a_shorter_one_is_read_from_its_start(tmp_path):
    process = start(tmp_path, updates=20)
    process.run(asks(process, Command.make("sample"), Command.make("check")))
    process.directory.commands_file.path.unlink()
    command = Command.make("pause")
    send(process.directory.commands_file.path, command)
    starting.resume(process.directory, {"updates": 30}).run(lambda item: None)
    assert answer(process.directory, command)["reason"] == "the run was not being trained"


# -- the owner ---------------------------------------------------------------------------------------------


class Owned:
    """A real process whose standard input is a pipe from its owner, this test."""

    def __init__(self, where, *arguments):
        (where / "tide.txt").write_text(TEXT, encoding="utf-8")
        self.process = subprocess.Popen(
            [*PROGRAM, "train", "tide.txt", "--owned", "--name", "run", "--hidden", "8", "--seq-length", "5",
             "--updates", "none", "--seconds", "600", "--sample-every", "none", "--quiet", *arguments],
            cwd=where, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.directory = RunDirectory(where / "runs" / "run")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def events(self):
        try:
            lines = self.directory.events_file.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def update(self):
        return max((event["update"] for event in self.events()), default=0)

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            assert self.process.poll() is None, self.process.stderr.read().decode()
            time.sleep(0.01)

    def asked(self, name):
        command = Command.make(name)
        send(self.directory.commands_file.path, command)
        self.until(lambda: any(event.get("command") == command.id for event in self.events()))


def test_when_its_owner_is_gone_it_saves_and_ends(tmp_path):
    with Owned(tmp_path) as owned:
        owned.until(lambda: owned.update() > 100)
        owned.process.stdin.write(b"what an owner writes means nothing\n" * 500)
        owned.process.stdin.flush()
        before = owned.update()
        owned.until(lambda: owned.update() > before + 100)
        owned.process.stdin.close()
        assert owned.process.wait(PATIENCE) == 0
        assert owned.process.stderr.read() == b""
        ended = owned.events()[-1]
        assert (ended["type"], ended["reason"]) == ("ended", "owner gone")
        last = last_of(owned.directory)
        assert last.snapshot.update == ended["update"]
        assert last.state_sha256 == ended["state_sha256"]
        assert not owned.directory.is_locked()


def test_when_its_owner_is_gone_while_it_is_paused_it_ends_too(tmp_path):
    with Owned(tmp_path) as owned:
        owned.until(lambda: owned.update() > 20)
        owned.asked("pause")
        owned.process.stdin.close()
        assert owned.process.wait(PATIENCE) == 0
        assert owned.events()[-1]["reason"] == "owner gone"


def test_when_it_was_detached_it_goes_on_without_its_owner(tmp_path):
    with Owned(tmp_path) as owned:
        owned.until(lambda: owned.update() > 20)
        owned.asked("detach")
        owned.process.stdin.close()
        before = owned.update()
        owned.until(lambda: owned.update() > before + 2000)
        owned.asked("checkpoint")
        owned.process.send_signal(signal.SIGTERM)
        assert owned.process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert owned.events()[-1]["reason"] == "signal SIGTERM"


def test_a_log_that_is_nearly_too_large_to_be_read_is_spared_what_nobody_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn_core.runs.process.ROOM_FOR_MANY", 1)
    settings = {"sample_every": 5, "held_out": 0.2, "validate_every": 5, "updates": 60}
    process = start(tmp_path, "full", **settings)
    shown = []
    asking = at_update(10, lambda: send(process.directory.commands_file, Command.make("sample", length=7)))

    def view(item):
        asking(item)
        if isinstance(item, (Sample, Validated)):
            shown.append(item)

    process.run(view)
    assert len(shown) > 20
    history = History.read(process.directory.events_file)
    (sample,) = history.samples
    assert sample["command"] and len(sample["text"]) == 7
    assert not history.validations
    (warning,) = history.warnings
    assert "keeps no samples but those asked for" in warning["message"]
    assert history.ended["update"] == history.progress[-1]["update"] == 60
    monkeypatch.undo()
    whole = start(tmp_path, "whole", **settings)
    whole.run(lambda item: None)
    assert whole.state_sha256 == process.state_sha256
