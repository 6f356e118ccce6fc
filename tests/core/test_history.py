"""The history of a run is what happened in it, however its log came to be and however it is read."""

import itertools
import json
import math
import os
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from charrnn_core.errors import RunDirectoryError
from charrnn_core.runs import starting
from charrnn_core.runs.commands import Command, send
from charrnn_core.runs.history import EventTail, History
from charrnn_core.runs.json_text import parse_object
from charrnn_core.runs.log import LONGEST_LINE, EventLog
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import Progress, Warned
from charrnn_core.training.settings import Settings
from charrnn_core.training.state import bucket_width

LANES = {
    "progress": "progress",
    "sample": "samples",
    "validated": "validations",
    "gradients_checked": "checks",
    "epoch": "epochs",
    "checkpoint": "checkpoints",
}


def event(kind, update, **fields):
    return {"type": kind, "update": update, "time": float(update), **fields}


def bucket(first, update, *, partial=False, **figures):
    losses = {"loss_mean": 2.0, "loss_min": 1.0, "loss_max": 3.0, "smooth_loss": 2.0}
    others = {"gradient_norm": 1.5, "clipped_share": None, "updates_per_second": 7.5}
    told = {"partial": True} if partial else {}
    return (
        event(
            "progress",
            update,
            first_update=first,
            epoch=update / 7,
            position=update * 25,
            **losses,
            **others,
            **told,
        )
        | figures
    )


def resumed(update, log_length, rate=0.1):
    return event("resumed", update, log_length=log_length, settings={"learning_rate": rate})


def folded(events):
    """The history of events whose lines have the offsets 0, 10, 20, ..."""
    history = History()
    for index, one in enumerate(events):
        history.add(10 * index, one)
    return history


def lane(history, kind):
    return list(getattr(history, LANES[kind]))


# -- any sequence of events --------------------------------------------------------------------------------

UPDATES = st.integers(0, 30)
COMMANDS = st.sampled_from(["a", "b", "c", "d"])


@st.composite
def sequences(draw):
    """Any events in any order, as a log has them in which processes were killed again and again."""
    events = []
    for index in range(draw(st.integers(0, 40))):
        update = draw(UPDATES)
        match draw(st.sampled_from([*LANES, "progress", "resumed", "obeyed", "refused", "other", "ended"])):
            case "progress":
                one = bucket(draw(st.integers(0, 4)), update, partial=draw(st.booleans()))
            case "resumed":
                one = resumed(update, 10 * draw(st.integers(0, index)), draw(st.sampled_from([0.1, 0.2])))
            case "obeyed":
                one = event("obeyed", update, command=draw(COMMANDS), name="pause", arguments={})
                if draw(st.booleans()):
                    one["name"] = "set-learning-rate"
                    one["arguments"] = {"learning_rate": draw(st.sampled_from([0.3, 0.4]))}
            case "refused":
                one = event("refused", update, command=draw(COMMANDS | st.none()), reason="no")
            case "other":
                one = event(draw(st.sampled_from(["warning", "started", "of the future"])), update)
            case "ended":
                one = event("ended", update, reason="updates")
            case kind:
                one = event(kind, update, number=index)
                if draw(st.booleans()):
                    one["command"] = draw(COMMANDS)
        events.append(one)
    return events


def lost(places, by):
    """What the process lost that the `resumed` event replaces, of pairs of index and update in their order.

    The newest, back to the first that it did not lose: in the log of a run, it lost nothing before that one.
    """
    return list(
        itertools.takewhile(
            lambda place: 10 * place[0] >= by["log_length"] or place[1] > by["update"], reversed(places)
        )
    )


def slowly(events):
    """What is left of a log by the rules in the docstrings, all of it worked out anew for each event."""
    left = []  # pairs of index and event
    for index, one in enumerate(events):
        if one["type"] == "resumed":
            for kind in LANES:
                repeatable = [
                    (earlier, other["update"])
                    for earlier, other in left
                    if other["type"] == kind and not other.get("command")
                ]
                gone = {earlier for earlier, _ in lost(repeatable, one)}
                left = [pair for pair in left if pair[0] not in gone]
        if one["type"] == "progress":
            buckets = [pair for pair in left if pair[1]["type"] == "progress"]
            if buckets and buckets[-1][1].get("partial"):
                if buckets[-1][1]["first_update"] == one["first_update"]:
                    left.remove(buckets[-1])
        left.append((index, one))
    return left


def rates_slowly(events, until):
    """The changes of the rate that had an effect on the state in the end."""
    rates = []  # index, update, rate
    for index, one in enumerate(events):
        if one["type"] == "resumed":
            rates = rates[: len(rates) - len(lost([rate[:2] for rate in rates], one))]
            rates.append((index, one["update"], one["settings"]["learning_rate"]))
        if one["type"] == "obeyed" and one["name"] == "set-learning-rate":
            rates.append((index, one["update"], one["arguments"]["learning_rate"]))
    return [(update, rate) for _, update, rate in rates if update <= until]


@pytest.mark.slow
@given(sequences(), UPDATES)
@hypothesis_settings(max_examples=250)
def test_a_fold_of_any_events_is_what_the_rules_say(events, until):
    history, left = folded(events), slowly(events)
    for kind in LANES:
        expected = [one for _, one in left if one["type"] == kind]
        assert lane(history, kind) == expected
    assert history.openings == [one for one in events if one["type"] in ("started", "resumed")]
    assert history.interventions == [one for one in events if one["type"] in ("obeyed", "refused")]
    assert history.warnings == [one for one in events if one["type"] == "warning"]
    assert history.answered == {
        one["command"] for one in events if one["type"] in ("obeyed", "refused") and one["command"]
    }
    ends = [one for one in events if one["type"] in ("ended", "resumed")]
    assert history.ended == (ends[-1] if ends and ends[-1]["type"] == "ended" else None)
    assert history.learning_rates(until) == rates_slowly(events, until)


# -- runs that are killed: the fold is the uninterrupted run ------------------------------------------------


def uninterrupted(updates):
    """All that a run of so many updates tells, by update; buckets of three."""
    told = [bucket(0, 0)]
    for update in range(1, updates + 1):
        if update % 3 == 0:
            told.append(bucket(update - 2, update))
        if update % 7 == 0:
            told.append(event("epoch", update, epoch=update // 7))
        if update % 4 == 0:
            told.append(event("validated", update, loss=1 / update))
        if update % 5 == 0:
            told.append(event("sample", update, text=str(update)))
    return told


@st.composite
def killed_runs(draw):
    """A log of a run that was killed or stopped at any places and went on; and what it comes to.

    The state of the run is how many of its updates and events are done; a checkpoint is a copy of that.
    """
    total = 30
    steps = []  # all that happens: updates, and the events that they bring, in order
    for update in range(total + 1):
        steps.append(("update", update))
        steps += [("event", one) for one in uninterrupted(total) if one["update"] == update]
    log, asked = [], []
    at, saved = 0, None  # steps done; steps done and length of the log at the last save
    for _ in range(draw(st.integers(0, 4))):
        until = draw(st.integers(min(at + 1, len(steps)), len(steps)))
        saves = draw(st.sets(st.integers(at, until)))
        commands = draw(st.sets(st.integers(at, until), max_size=3))
        while at < until:
            kind, value = steps[at]
            at += 1
            update = value if kind == "update" else value["update"]
            if kind == "event":
                log.append(value)
            if at in commands:
                one = event("sample", update, text="asked", command=f"c{len(asked)}")
                asked.append(one)
                log.append(one)
            if at in saves or saved is None:
                saved = at, 10 * len(log)
        update = max(value for kind, value in steps[:at] if kind == "update")
        if draw(st.booleans()):  # a clean stop: the unfinished bucket, a save, the end
            if update % 3:
                log.append(bucket(update - update % 3 + 1, update, partial=True))
            saved = at, 10 * len(log)
            log.append(event("ended", update, reason="stopped"))
        at, length = saved
        update = max(value for kind, value in steps[:at] if kind == "update")
        log.append(resumed(update, length))
    log += [value for kind, value in steps[at:] if kind == "event"]
    return log, uninterrupted(total), asked


@pytest.mark.slow
@given(killed_runs())
@hypothesis_settings(max_examples=250)
def test_the_history_of_a_killed_run_is_that_of_an_uninterrupted_one(run):
    log, expected, asked = run
    history = folded(log)
    for kind in LANES:
        found = [one for one in lane(history, kind) if not one.get("command")]
        assert found == [one for one in expected if one["type"] == kind]
    assert [one for one in history.samples if one.get("command")] == asked


def test_an_unfinished_bucket_gives_way_to_the_one_that_completes_it():
    first, unfinished, whole = bucket(1, 2), bucket(3, 4, partial=True), bucket(3, 5)
    assert list(folded([first, unfinished]).progress) == [first, unfinished]
    assert list(folded([first, unfinished, resumed(4, 20), whole]).progress) == [first, whole]
    longer = bucket(3, 5, partial=True)
    assert list(folded([first, unfinished, resumed(4, 20), longer]).progress) == [first, longer]
    # Going on from before the unfinished bucket forgets it too.
    assert list(folded([first, unfinished, resumed(2, 10)]).progress) == [first]
    # A bucket that is not unfinished gives way to nothing.
    assert list(folded([first, bucket(1, 2)]).progress) == [first, bucket(1, 2)]


@pytest.mark.parametrize("number", [10**400, -(10**400), math.inf])
def test_a_number_that_no_float_holds_is_null(number):
    (one,) = folded([bucket(1, 2, gradient_norm=number, position=number)]).progress
    assert (one["gradient_norm"], one["position"], one["loss_mean"]) == (None, None, 2.0)


def test_what_is_superseded_is_told_by_offset_and_by_update():
    events = [event("sample", update, text="") for update in (1, 2, 2, 3)]
    assert folded([*events, resumed(9, 40)]).samples == events
    assert folded([*events, resumed(9, 20)]).samples == events[:2]
    assert folded([*events, resumed(2, 40)]).samples == events[:3]
    assert folded([*events, resumed(2, 20), *events[2:]]).samples == events


@pytest.mark.parametrize("kind", ["sample", "gradients_checked", "checkpoint"])
def test_what_a_command_caused_stays(kind):
    asked, scheduled = event(kind, 9, command="x"), event(kind, 9)
    assert lane(folded([asked, scheduled, resumed(1, 0)]), kind) == [asked]


def test_a_checkpoint_that_was_asked_for_stays_in_the_history_of_a_killed_run(tmp_path):
    """It happened: somebody asked, was answered, and the event has not been told again."""

    class Killed(BaseException):
        pass

    settings = Settings.of(hidden=5, seq_length=4, updates=60, sample_every=None, checkpoint_every=1e6)
    process = starting.start(settings, corpus_of("the tide rises, the tide falls\n" * 8), runs=tmp_path)

    def view(item):
        if item.update == 30 and isinstance(item, Progress):
            send(process.directory.commands_file.path, Command.make("checkpoint"))
        if item.update == 40:
            raise Killed

    with pytest.raises(Killed):
        process.run(view)
    before = History.read(process.directory.events_file.path).checkpoints
    assert [one["update"] for one in before] == [30]
    starting.resume(process.directory, {}).run(lambda item: None)
    assert History.read(process.directory.events_file.path).checkpoints[:1] == before


# -- the tail ----------------------------------------------------------------------------------------------

LINES = st.one_of(
    st.builds(
        lambda update, text: json.dumps(event("sample", update, text=text), ensure_ascii=False).encode(),
        UPDATES,
        st.text(max_size=20),
    ),
    st.sampled_from(
        [
            b"", b"{", b"null", b"[]", b"3", b'"x"', b"\xff\xfe\x00", b"NaN", b"[" * 100_000, b"{}",
            b'{"type":1,"update":1,"time":0}', b'{"type":"sample"}',
            b'{"type":"sample","update":"1","time":0}', b'{"type":"sample","update":1,"time":null}',
            b'{"type":"sample","update":1}', b"\r", b"9" * 5000,
            b'{"type":"unknown","update":1,"time":0}',
        ]
    ),
)  # fmt: skip


def readable(line):
    """Whether a line is an event: what the tail must find, said in another way."""
    try:
        value = json.loads(line)
        return (
            type(value) is dict
            and type(value.get("type")) is str
            and type(value.get("update")) in (int, float)
            and type(value.get("time")) in (int, float)
        )
    except (ValueError, RecursionError):
        return False


@given(st.lists(LINES, max_size=12), st.binary(max_size=6), st.lists(st.integers(0, 3000), max_size=12))
@hypothesis_settings(max_examples=60)
def test_a_tail_of_a_growing_file_yields_what_reading_it_whole_does(lines, rest, cuts):
    whole = b"".join(line + b"\n" for line in lines) + rest.replace(b"\n", b"")
    expected, offset = [], 0
    for line in lines:
        if readable(line):
            expected.append((offset, json.loads(line)))
        offset += len(line) + 1
    edges = [0, *sorted({cut % (len(whole) + 1) for cut in cuts}), len(whole)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        tail = EventTail(path)
        assert list(tail.read()) == []
        found = []
        for begin, end in itertools.pairwise(edges):
            with path.open("ab") as file:
                file.write(whole[begin:end])
            found += tail.read()
            # Never a line before its end has come.
            complete = whole[:end].rfind(b"\n") + 1
            assert found == [pair for pair in expected if pair[0] < complete]
        assert list(tail.read()) == []
        tail.close()
        again = EventTail(path)
        assert list(again.read()) == expected
        again.close()


def test_a_tail_waits_at_an_incomplete_line_and_reads_it_anew_when_it_was_cut(tmp_path):
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    path.write_bytes(b'{"type":"warning","update":1,"time":0.0,"mess')
    assert list(tail.read()) == []
    EventLog(path).append(Warned(update=2, time=1.0, message="cut"))  # a new process cuts the torn line
    ((offset, found),) = tail.read()
    assert (offset, found["update"], found["message"]) == (0, 2, "cut")
    tail.close()


def test_a_tail_goes_on_where_its_reader_broke_off(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event("epoch", update)) + "\n" for update in range(5)))
    tail = EventTail(path)
    for _, first in tail.read():
        assert first["update"] == 0
        break
    assert [one["update"] for _, one in tail.read()] == [1, 2, 3, 4]
    tail.close()


def test_lines_longer_than_a_read_are_whole(tmp_path):
    path = tmp_path / "events.jsonl"
    long = json.dumps(event("sample", 1, text="x" * (1 << 21)))
    path.write_text(long + "\n" + json.dumps(event("epoch", 2)) + "\n")
    history = History.read(path)
    assert len(history.samples[0]["text"]) == 1 << 21
    assert len(history.epochs) == 1


def lines_of(*updates):
    return "".join(json.dumps(event("epoch", update)) + "\n" for update in updates).encode()


TOO_LONG = b"{" * (LONGEST_LINE + 1)


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (lines_of(1) + TOO_LONG + b"\n" + lines_of(2), 1),
        (TOO_LONG + b"\n" + TOO_LONG * 3 + b"\n" + lines_of(1, 2) + TOO_LONG, 3),
        (
            lines_of(1)
            + json.dumps(event("sample", 1, text="x" * LONGEST_LINE)).encode()
            + b"\n"
            + lines_of(2),
            1,
        ),
    ],
    ids=["in the middle", "several", "an event"],
)
def test_a_line_that_is_too_long_hides_no_other_line(tmp_path, log, lines):
    path = tmp_path / "events.jsonl"
    path.write_bytes(log)
    history = History.read(path)
    assert [epoch["update"] for epoch in history.epochs] == [1, 2]
    (warning,) = history.warnings
    assert warning["skipped_lines"] == lines
    assert f"skipped {lines} line{'s' if lines > 1 else ''} of the log" in warning["message"]


def test_the_longest_line_is_read(tmp_path):
    path = tmp_path / "events.jsonl"
    bare = len(json.dumps(event("sample", 1, text="")))
    line = json.dumps(event("sample", 1, text="x" * (LONGEST_LINE - bare)))
    path.write_text(f"{line}\n")
    assert len(line) == LONGEST_LINE
    history = History.read(path)
    assert len(history.samples) == 1 and not history.warnings


def test_a_growing_line_that_is_too_long_is_read_once(tmp_path, monkeypatch):
    """Polls while it grows, and after its end, read what is new and keep the count of lines right."""
    read, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda *of: read.append(len(got := pread(*of))) or got)
    path = tmp_path / "events.jsonl"
    path.write_bytes(lines_of(1))
    history, tail = History(), EventTail(path)

    def polled():
        read.clear()
        for found in tail.read():
            history.add(*found)
        return sum(read)

    polled()
    with path.open("ab", buffering=0) as log:
        for _ in range(3):
            log.write(TOO_LONG)
            assert polled() == len(TOO_LONG)
            assert polled() == 0
        log.write(b"end\n" + lines_of(2))
        assert polled() == 4 + len(lines_of(2))
        log.write(TOO_LONG + b"\n" + lines_of(3))
        polled()
    tail.close()
    assert [epoch["update"] for epoch in history.epochs] == [1, 2, 3]
    (warning,) = history.warnings
    assert (warning["update"], warning["skipped_lines"]) == (3, 2)


def test_a_huge_line_takes_bounded_memory(tmp_path):
    path = tmp_path / "events.jsonl"
    with path.open("wb") as log:
        log.truncate(20 * LONGEST_LINE)  # zeros
        log.seek(0, os.SEEK_END)
        log.write(b"\n" + lines_of(1))
    tracemalloc.start()
    try:
        history = History.read(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(history.epochs) == 1
    assert most < 4 * LONGEST_LINE


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"progress","update":1,"time":0}',
        '{"type":"progress","update":1,"time":0,"first_update":1,"epoch":1e18}',
        '{"type":"sample","update":1e18,"time":0}',
        '{"type":"sample","update":1,"time":-1e18}',
        '{"type":"resumed","update":1,"time":0}',
        '{"type":"resumed","update":1,"time":0,"log_length":"x","settings":[]}',
        '{"type":"resumed","update":1,"time":0,"log_length":0,"settings":{"learning_rate":"fast"}}',
        '{"type":"obeyed","update":1,"time":0,"command":"x","name":"set-learning-rate"}',
        '{"type":"obeyed","update":1,"time":0,"command":[],"name":"set-learning-rate","arguments":{}}',
    ],
)
def test_a_line_with_the_fields_of_no_event_is_skipped(tmp_path, line):
    path = tmp_path / "events.jsonl"
    good = json.dumps(event("epoch", 2))
    path.write_text(f"{good}\n{line}\n{good}\n")
    assert len(History.read(path).epochs) == 2


def test_the_history_of_no_file_is_empty(tmp_path):
    history = History.read(tmp_path / "events.jsonl")
    assert list(history.progress) == []
    assert history.ended is None
    assert history.column("smooth_loss").shape == (0,)


# -- a week ------------------------------------------------------------------------------------------------


def test_the_log_of_ten_million_updates_is_small(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    update, lines = 0, 0
    generator = np.random.default_rng(0)
    while update < 10_000_000:
        width = bucket_width(update)
        losses = generator.uniform(20, 60, 6).tolist()
        log.append(
            Progress(
                update=update + width,
                time=round(float(update) / 7, 6),
                first_update=update + 1,
                epoch=update / 12_345,
                position=int(update * 25 % 300_000),
                loss_mean=losses[0],
                loss_min=losses[1],
                loss_max=losses[2],
                smooth_loss=losses[3],
                gradient_norm=losses[4],
                clipped_share=losses[5] / 100,
                updates_per_second=12345.6,
            )
        )
        update += width
        lines += 1
    log.close()
    size = path.stat().st_size
    began = time.perf_counter()
    history = History.read(path)
    took = time.perf_counter() - began
    print(f"{lines:,} lines, {size / 1e6:.2f} MB, opened in {1000 * took:.0f} ms")
    assert len(history.progress) == lines
    assert history.progress[-1]["update"] == 10_000_000
    assert size < 2_000_000


def test_a_million_updates_more_take_little_memory():
    """A history keeps figures, and not the objects that their lines were."""
    history, update = History(), 0
    tracemalloc.start()
    while update < 2_000_000:
        width = bucket_width(update)
        history.add(update, bucket(update + 1, update + width, loss_mean=update / 7, time=update / 9))
        if update < 1_000_000 <= update + width:
            at_a_million = tracemalloc.get_traced_memory()[0]
        update += width
    at_two = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert at_two - at_a_million < 100_000


def test_a_progress_event_is_read_as_it_was_written():
    written = bucket(8, 9, loss_mean=None, partial=True)
    (read,) = folded([written | {"of the future": "x", "gradient_norm": None}]).progress
    assert read == written | {"gradient_norm": None}
    assert type(read["update"]) is int and type(read["position"]) is int
    assert np.isnan(folded([written]).column("loss_mean")).tolist() == [True]
    many = folded([bucket(one, one) for one in range(5)]).progress
    assert [one["update"] for one in many[1:4:2]] == [1, 3]
    assert many[-1]["update"] == 4


def test_a_hole_of_terabytes_in_a_log_is_not_read(tmp_path):
    """A sparse file takes no space on the disk, and its zeros would take an hour."""
    path = tmp_path / "events.jsonl"
    line = b'{"type":"warning","update":1,"time":0.5,"message":"x"}\n'
    path.write_bytes(line)
    os.truncate(path, 1 << 43)
    assert History.read(path).warnings[0]["message"] == "x"
    with path.open("ab") as file:
        file.write(b"\n" + line)
    assert [warning["message"] for warning in History.read(path).warnings] == ["x", "x"]


def sparse_log(path, lines, step):
    """A log of lines of zeros that take no space on the disk, and an event after them."""
    with path.open("wb") as file:
        file.truncate(lines * step)
        for line in range(1, lines + 1):
            file.seek(line * step - 1)
            file.write(b"\n")
        file.write(lines_of(1))


@pytest.mark.parametrize("step", [LONGEST_LINE // 2, 3 * LONGEST_LINE])
def test_lines_that_cannot_be_events_are_not_parsed(tmp_path, monkeypatch, step):
    parsed = []
    monkeypatch.setattr(
        "charrnn_core.runs.history.parse_object", lambda line: parsed.append(line) or parse_object(line)
    )
    path = tmp_path / "events.jsonl"
    sparse_log(path, 20, step)
    with path.open("ab") as file:
        file.write(b"\n" * 1_000_000 + b"[1]\n \r\n" + lines_of(2))
    history = History.read(path)
    assert [epoch["update"] for epoch in history.epochs] == [1, 2]
    assert len(parsed) == 2
    assert not history.warnings


def test_a_log_is_read_up_to_a_size_and_a_number_of_strange_lines(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    monkeypatch.setattr("charrnn_core.runs.log.LARGEST_LOG", 5 * LONGEST_LINE)
    sparse_log(path, 9, LONGEST_LINE // 2)
    assert len(History.read(path).epochs) == 1
    sparse_log(path, 2, 10 * LONGEST_LINE)  # holes take no time
    assert len(History.read(path).epochs) == 1
    sparse_log(path, 12, LONGEST_LINE // 2)
    with pytest.raises(RunDirectoryError, match=r"events.jsonl is larger than "):
        History.read(path)
    monkeypatch.setattr("charrnn_core.runs.history.MOST_STRANGERS", 3)
    path.write_bytes(b"{}\n" * 3 + lines_of(1))
    assert len(History.read(path).epochs) == 1
    path.write_bytes(b"{}\n" * 4 + lines_of(1))
    with pytest.raises(RunDirectoryError, match=r"not a log of charrnn: more than 3 lines are no events"):
        History.read(path)


@pytest.mark.parametrize(
    ("kind", "words"), [("validated", "validations"), ("epoch", "ends of epochs"), ("sample", "samples")]
)
def test_of_events_that_there_can_be_many_of_some_are_left_out(monkeypatch, kind, words):
    monkeypatch.setattr("charrnn_core.runs.history.MOST_BYTES", 100_000)
    history = History()
    for number in range(3000):
        history.add(number, event(kind, number, loss=1.0))
        if number % 1000 == 0:
            history.add(number, event("sample", number, text="x"))
    found = lane(history, kind)
    assert 50 < len(found) < 600
    assert found[-1]["update"] == 2999
    assert [warning["message"] for warning in history.warnings] == [
        f"the log holds more {words} than fit into memory: every second one is left out here"
    ]


def test_a_log_with_more_samples_than_fit_is_read_without_some_of_them(monkeypatch):
    monkeypatch.setattr("charrnn_core.runs.history.MOST_BYTES", 100_000)
    history = History()
    for number in range(1000):
        history.add(number, event("sample", number, text="x" * 100))
    assert 50 < len(history.samples) < 300
    assert history.samples[0]["update"] == 0
    assert history.samples[-1]["update"] == 999
    assert history._bytes < 100_000
    (warning,) = history.warnings
    assert "every second one is left out" in warning["message"]


def test_a_log_with_more_of_anything_else_is_refused(monkeypatch):
    monkeypatch.setattr("charrnn_core.runs.history.MOST_BYTES", 100_000)
    history = History()
    with pytest.raises(RunDirectoryError, match="more than 100,000 bytes"):
        for number in range(10_000):
            history.add(number, event("warning", number, message="x" * 100))


# -- logs that somebody has written -------------------------------------------------------------------------


class Looked(dict):
    """An event that counts how often its update is looked at."""

    looks = 0

    def __getitem__(self, key):
        Looked.looks += key == "update"
        return super().__getitem__(key)


@pytest.mark.parametrize("command", [{}, {"command": "x"}])
@pytest.mark.parametrize("kind", [*LANES, "obeyed", "warning"])
def test_a_log_that_resumes_again_and_again_is_read_in_one_pass(kind, command):
    """The work for each line does not grow with the log: 3 MB of such lines took a minute."""
    history, count = History(), 3000
    Looked.looks = 0
    for number in range(count):
        fields = {"text": "a", "name": "set-learning-rate", "arguments": {"learning_rate": 0.1}, **command}
        skipped = {"skipped_lines": number} if kind == "warning" else {}
        columns = {"first_update": number, "loss_mean": 1.0} if kind == "progress" else {}
        history.add(2 * number, Looked(event(kind, 1, **fields, **skipped, **columns)))
        resumed = event("resumed", 9, log_length=9e17, settings={"learning_rate": 0.1})
        history.add(2 * number + 1, Looked(resumed))
    assert Looked.looks <= 20 * count
    assert len(history.openings) == count
    if kind == "warning":
        assert [each["skipped_lines"] for each in history.warnings] == [count - 1]


def test_an_update_between_two_is_no_update(tmp_path):
    """A change of the learning rate at update 401.5 ended a replay in a traceback."""
    log = tmp_path / "events.jsonl"
    lines = [event("epoch", update) for update in (401.5, 2.0, 3)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    updates = [each["update"] for each in History.read(log).epochs]
    assert updates == [2, 3]
    assert all(isinstance(update, int) for update in updates)
