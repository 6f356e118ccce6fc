"""`charrnn export`: what comes out is the folded history, in the words of other tools."""

import csv
import io
import json
import math
import os
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from charrnn_core.runs import starting
from charrnn_core.runs.commands import Command, send
from charrnn_core.runs.history import History
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import Progress
from charrnn_core.training.settings import Settings
from charrnn_tui import cli
from charrnn_tui.export.tables import TABLES, Table
from charrnn_tui.export.texts import to_csv

# The lowest version of tensorboardX brings one of protobuf that warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated create function:DeprecationWarning")

TEXT = 'the "tide" rises,\nthe tide falls\n' * 40
LANES = {"samples": "sample", "validations": "validated", "checks": "gradients_checked",
         "checkpoints": "checkpoint", "epochs": "epoch", "warnings": "warning"}  # fmt: skip
WIDE = 10_000  # characters of a line of the log


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two runs: one that was asked for things, killed, and went on; and one of a single update."""
    runs = tmp_path_factory.mktemp("recorded") / "runs"
    settings = Settings.of(
        hidden=5, seq_length=4, updates=450, sample_every=50, sample_length=30, held_out=0.2,
        validate_every=100, checkpoint_every=1e6,
    )  # fmt: skip
    process = starting.start(settings, corpus_of(TEXT, "tide"), runs=runs, name="killed")

    def view(item):
        if isinstance(item, Progress) and item.update == 200:  # saved before it is answered
            send(process.directory.commands_file.path, Command.make("set-learning-rate", learning_rate=0.05))
        if isinstance(item, Progress) and item.update == 300:
            send(process.directory.commands_file.path, Command.make("sample", length=9))
        if item.update == 430:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr("charrnn_core.runs.saving.YOUNG_SECONDS", 1e6)  # else a slow machine saves once more
        process.run(view)
    starting.resume(process.directory, {}).run(lambda item: None)
    settings = Settings.of("dd2424-2026", hidden=5, seq_length=4, updates=1)
    starting.start(settings, corpus_of(TEXT, "tide"), runs=runs, name="single").run(lambda item: None)
    return runs


@pytest.fixture
def runs(recorded, tmp_path):
    return Path(shutil.copytree(recorded, tmp_path / "runs"))


@pytest.fixture
def export(runs, capsys):
    """Call the command, and return what it has written to stdout."""

    def call(*arguments):
        code = cli.run(["export", *map(str, arguments), "--runs", str(runs)])
        told = capsys.readouterr()
        assert (code, told.err) == (0, "")
        return told.out

    return call


@pytest.fixture
def refused(runs, capsys):
    """Call the command, and return its exit code and its one line on stderr."""

    def call(*arguments):
        code = cli.run(["export", *map(str, arguments), "--runs", str(runs)])
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("charrnn: ")
        assert told.err.endswith("\n")
        assert told.err[:-1].isprintable()
        return code, told.err

    return call


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def objects_of(text):
    def strict(constant):
        raise AssertionError(f"{constant} is not JSON")

    assert text.endswith("\n") or not text
    return [json.loads(line, parse_constant=strict) for line in text.split("\n")[:-1]]


def files_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# -- tables ------------------------------------------------------------------------------------------------


def test_progress_is_that_of_the_history_each_update_once(runs, export):
    log = runs / "killed" / "events.jsonl"
    history = History.read(log)
    rows = rows_of(export("killed"))
    assert len(rows) == len(history.progress) < log.read_text(encoding="utf-8").count('"progress"') - 100
    assert [int(row["first_update"]) for row in rows[1:]] == [int(row["update"]) + 1 for row in rows[:-1]]
    assert (rows[0]["update"], rows[-1]["update"], rows[-1]["partial"]) == ("0", "450", "False")
    for name in (field.name for field in fields(Progress) if field.name != "partial"):
        np.testing.assert_array_equal([float(row[name]) for row in rows], history.column(name), name)
    nats = [float(row["smooth_loss_nats_per_character"]) for row in rows]
    np.testing.assert_array_equal(nats, history.column("smooth_loss") / 4)
    bits = [float(row["loss_mean_bits_per_character"]) for row in rows]
    np.testing.assert_allclose(bits, history.column("loss_mean") / 4 / math.log(2))


def test_a_learning_rate_counts_from_the_update_after_its_change(runs, export):
    (changed,) = (
        event["update"]
        for event in History.read(runs / "killed" / "events.jsonl").interventions
        if event["name"] == "set-learning-rate"
    )
    rates = {int(row["update"]): float(row["learning_rate"]) for row in rows_of(export("killed"))}
    assert {rate for update, rate in rates.items() if update <= changed} == {0.1}
    assert {rate for update, rate in rates.items() if update > changed} == {0.05}


def test_a_mean_loss_is_per_character_already(export):
    rows = rows_of(export("single"))
    assert [row["update"] for row in rows] == ["0", "1"]
    assert [row["smooth_loss_nats_per_character"] for row in rows] == [row["smooth_loss"] for row in rows]


@pytest.mark.parametrize("table", LANES)
def test_a_table_has_the_events_of_the_history(runs, export, table):
    events = getattr(History.read(runs / "killed" / "events.jsonl"), table)
    rows = objects_of(export("killed", "--table", table, "--format", "jsonl"))
    if table == "checks":
        events = [{**event, **row} for event in events for row in event["rows"]]
        events = [{**event, "shape": "x".join(map(str, event["shape"]))} for event in events]
    assert len(rows) == len(events)
    for row, event in zip(rows, events, strict=True):
        same = set(row) & set(event)
        assert {name: row[name] for name in same} == {name: event[name] for name in same}
        assert same >= set(event) - {"type", "rows", "worst", "compared"}
    as_csv = rows_of(export("killed", "--table", table, "--formulas"))
    told = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    assert as_csv == told


def test_what_was_asked_before_a_crash_is_there_and_what_was_done_again_is_once(export):
    samples = rows_of(export("killed", "--table", "samples"))
    scheduled = [int(row["update"]) for row in samples if not row["command"]]
    assert scheduled == list(range(0, 451, 50))
    (asked,) = (row for row in samples if row["command"])
    assert len(asked["text"]) == 9
    assert any("\n" in row["text"] for row in samples)
    interventions = rows_of(export("killed", "--table", "interventions"))
    assert asked["command"] in {row["command"] for row in interventions}
    assert json.loads(interventions[0]["arguments"]) == {"learning_rate": 0.05}


def test_checks_have_the_columns_of_gradcheck(runs, export, capsys):
    assert cli.run(["gradcheck", "killed", "--csv", "--runs", str(runs)]) == 0
    checked = rows_of(capsys.readouterr().out)
    logged = rows_of(export("killed", "--table", "checks"))
    assert list(logged[0]) == ["update", "time", "command", *checked[0]]
    assert {row["shape"] for row in logged if row["parameter"] == "W"} == {"5x5"}
    assert {row["update"] for row in logged} == {"0"}


# -- the whole history -------------------------------------------------------------------------------------


def test_json_lines_begin_with_the_run_and_have_the_history_in_its_order(runs, export):
    config = json.loads((runs / "killed" / "config.json").read_text(encoding="utf-8"))
    run, *events = objects_of(export("killed", "--format", "jsonl"))
    assert run == {"type": "run", "name": "killed", **config}
    assert [event["update"] for event in events] == sorted(event["update"] for event in events)
    assert [event["type"] for event in (events[0], events[-1])] == ["started", "ended"]
    history = History.read(runs / "killed" / "events.jsonl")
    for kind, lane in (*((kind, getattr(history, name)) for name, kind in LANES.items()),
                       ("progress", history.progress), ("resumed", history.openings[1:])):  # fmt: skip
        told = [event for event in events if event["type"] == kind]
        assert told == sorted(lane, key=lambda event: (event["update"], event["time"]))


# -- where it goes -----------------------------------------------------------------------------------------


def test_the_newest_run_is_the_default(runs, export):
    assert export() == export("single")
    assert export("--output", "-") == export("single")


@pytest.mark.parametrize("there", [False, True])
def test_a_directory_gets_every_table_and_the_run_is_left_alone(runs, export, tmp_path, there):
    before = files_of(runs / "killed")
    folder = tmp_path / "new" / "tables"
    if there:
        folder.mkdir(parents=True)
    told = export("killed", "-o", folder if there else f"{folder}/")
    assert told.splitlines() == [str(folder / f"{name}.csv") for name in TABLES]
    for name in TABLES:
        assert (folder / f"{name}.csv").read_bytes().decode() == export("killed", "--table", name)
    assert len(list(folder.iterdir())) == len(TABLES)
    assert export("killed", "-o", folder, "--table", "samples") == f"{folder / 'samples.csv'}\n"
    assert files_of(runs / "killed") == before


def test_a_file_is_replaced_and_a_link_to_it_stays(export, tmp_path):
    old, link, pipe = tmp_path / "old.jsonl", tmp_path / "link", tmp_path / "pipe"
    old.write_text("old")
    link.symlink_to(old)
    assert export("killed", "--format", "jsonl", "-o", link) == f"{link}\n"
    assert link.is_symlink()
    assert old.read_bytes().decode() == export("killed", "--format", "jsonl")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert export("single", "-o", pipe) == f"{pipe}\n"
    assert os.read(reader, 1 << 20).decode() == export("single")
    assert pipe.is_fifo()
    os.close(reader)


def test_lines_end_as_in_rfc_4180_and_on_a_terminal_as_there(export, monkeypatch):
    whole = export("single")
    assert whole.count("\r\n") == whole.count("\n") == 3
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert export("single") == whole.replace("\r\n", "\n")


# -- runs that are not whole -------------------------------------------------------------------------------


def test_a_run_without_events_has_empty_tables(runs, export):
    (runs / "single" / "events.jsonl").unlink()
    for name in TABLES:
        assert export("single", "--table", name).count("\r\n") == 1
        assert export("single", "--table", name, "--format", "jsonl") == ""
    assert [line["type"] for line in objects_of(export("single", "--format", "jsonl"))] == ["run"]


def test_a_run_that_trains_is_exported_as_it_is_now(runs, export):
    with (runs / "single" / "events.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"type":"warning","update":1,"time":1,"message":"whole"}\n{"type":"warning","upd')
    assert [row["message"] for row in rows_of(export("single", "--table", "warnings"))] == ["whole"]


FIRST = {"first_update": 1, "epoch": 0.0}
EVIL = '\x1b]52;c;aGFja2Vk\x07\u202e",\r\n\x00=1+1'
HOSTILE = [
    {"type": "started", "update": 0, "time": 0, "settings": None},
    {"type": "progress", "update": 30, "time": 1, **FIRST, "loss_max": 1e299, "gradient_norm": 10**400},
    {"type": "progress", "update": 31, "time": 1, **FIRST, "position": EVIL, "updates_per_second": None},
    {"type": "progress", "update": 1e17, "time": 9e17, **FIRST, "smooth_loss": -1e299, "clipped_share": []},
    {"type": "progress", "update": 1e299, "time": 1, **FIRST, "smooth_loss": 1.0},
    {"type": "progress", "update": 32, "time": 1e18, **FIRST, "smooth_loss": 1.0},
    {"type": "progress", "update": 32, "time": 1, "smooth_loss": 1.0},
    {"type": "obeyed", "update": 3, "time": 1, "name": EVIL, "command": 7, "arguments": EVIL},
    {"type": "refused", "update": 3, "time": 1, "command": [], "reason": {"\udce9": [10**400]}},
    {"type": "gradients_checked", "update": 3, "time": 1, "rows": None},
    {"type": "gradients_checked", "update": 4, "time": 1, "rows": [1, None, {}, {"worst": 7, "shape": "x"}]},
    {"type": "gradients_checked", "update": 4, "time": 1,
     "rows": [{"shape": [EVIL, {}], "worst": {"index": [[]]}}]},
    {"type": "checkpoint", "update": 3, "time": 1, "kind": None, "loss": EVIL},
    {"type": "validated", "update": 1e299, "time": 1, "loss": "much"},
    {"type": "validated", "update": 2, "time": 1, "loss": 10**4000},
    {"type": "validated", "update": 2, "time": 1, "loss": True},
    {"type": "epoch", "update": 2.5, "time": -1},
    {"type": "warning", "update": 1, "time": 1, "message": EVIL},
    {"type": "sample", "update": 1e17, "time": 1, "text": None, "temperature": EVIL},
    {"type": "sample", "update": 1, "time": 9e17, "text": "caf\udce9", "smooth_loss": []},
    {"type": EVIL, "update": 1, "time": 1},
    {"type": "ended", "update": 1, "time": 1, "reason": {}, "of the future": [1.5]},
]  # fmt: skip
RAW = [
    '{"type":"sample","update":2,"time":1,"text":1e400,"prime":[-1e400]}',
    '{"type":"progress","update":2,"time":1,"first_update":2,"updates_per_second":1e400}',
    '{"type":"sample","update":2,"time":1,"text":' + "[" * 900 + "1e400" + "]" * 900 + "}",
    '{"type":"sample","update":NaN,"time":1}', "[" * WIDE, '{"type":"sample"}', "{", "\x1b[31m",
]  # fmt: skip


def test_a_log_that_others_have_written_to_is_exported(runs, export):
    with (runs / "single" / "events.jsonl").open("a", encoding="utf-8") as log:
        log.writelines(f"{line}\n" for line in (*map(json.dumps, HOSTILE), *RAW))
    for name in TABLES:
        rows = rows_of(export("single", "--table", name))
        lines = objects_of(export("single", "--table", name, "--format", "jsonl"))
        assert [set(row) for row in rows] == [set(line) for line in lines]
    messages = [row["message"] for row in rows_of(export("single", "--table", "warnings"))]
    assert messages == [f"'{EVIL}"], "an apostrophe before what begins with a control character"
    rows = rows_of(export("single", "--table", "warnings", "--formulas"))
    assert [row["message"] for row in rows] == [EVIL]
    progress = rows_of(export("single"))[-3:]
    assert [row["update"] for row in progress] == ["30", "31", "1e+17"], "the others are no lines of a log"
    assert {row[name] for row in progress for name in ("gradient_norm", "position", "clipped_share")} == {""}
    samples = objects_of(export("single", "--table", "samples", "--format", "jsonl"))
    assert [sample["text"] for sample in samples[1:]] == [None, "caf\udce9"]
    told = objects_of(export("single", "--format", "jsonl"))
    assert len([event for event in told if event["type"] == "gradients_checked"]) == 4
    assert export("single", "--format", "tensorboard")
    curves = scalars_of(events_in(runs / "tensorboard" / "single"))
    assert curves["loss/smooth"]
    assert all(math.isfinite(value) for points in curves.values() for _, _, value in points)


# -- TensorBoard -------------------------------------------------------------------------------------------


def events_in(folder):
    """The events of the only event file that charrnn has written into a directory."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    (file,) = (path for path in folder.iterdir() if path.name.endswith(".charrnn"))
    assert file.name.startswith("events.out.tfevents.")
    data, events = file.read_bytes(), []
    while data:
        length, check = struct.unpack("<QI", data[:12])
        assert check == masked_crc32c(data[:8])
        assert struct.unpack("<I", data[12 + length : 16 + length]) == (masked_crc32c(data[12:][:length]),)
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return events


def scalars_of(events):
    curves = {}
    for event in events:
        for value in event.summary.value:
            if value.HasField("simple_value"):
                curves.setdefault(value.tag, []).append((event.step, event.wall_time, value.simple_value))
    return curves


def texts_of(events, tag):
    return {
        event.step: value.tensor.string_val[0].decode()
        for event in events
        for value in event.summary.value
        if value.tag.startswith(tag)
    }


def test_an_event_file_has_the_curves_and_the_texts(runs, export):
    folder = runs / "tensorboard" / "killed"
    assert export("killed", "--format", "tensorboard") == f"{folder}\n"
    events = events_in(folder)
    assert events[0].file_version == "brain.Event:2"
    # A TensorBoard that is open forgets what it has read from this step on.
    assert (events[1].session_log.status, events[1].step) == (events[1].session_log.START, 0)
    curves, history = scalars_of(events), History.read(runs / "killed" / "events.jsonl")
    created = datetime.fromisoformat(
        json.loads((runs / "killed" / "config.json").read_text(encoding="utf-8"))["created"]
    ).timestamp()
    scale = 4 * math.log(2)
    for tag, expected in (
        ("loss/smooth", history.column("smooth_loss")),
        ("loss/min", history.column("loss_min")),
        ("bits_per_character/mean", history.column("loss_mean") / scale),
        ("training/gradient_norm", history.column("gradient_norm")),
        ("training/clipped_share", history.column("clipped_share")),
        ("training/updates_per_second", history.column("updates_per_second")),
    ):
        steps, times, values = zip(*curves[tag], strict=True)
        np.testing.assert_array_equal(steps, history.column("update"))
        np.testing.assert_allclose(times, created + history.column("time"), atol=1e-5, rtol=0)
        np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert {value for _, _, value in curves["training/learning_rate"]} == {np.float32(0.1), np.float32(0.05)}
    held_out = [(event["update"], np.float32(event["loss"])) for event in history.validations]
    assert [(step, value) for step, _, value in curves["nats_per_character/held_out"]] == held_out
    texts = texts_of(events, "samples")
    assert list(texts) == sorted({sample["update"] for sample in history.samples})
    for sample in history.samples:
        assert sample["text"].replace("\n", "\n    ") in texts[sample["update"]]
    assert "| hidden | 5 |" in texts_of(events, "settings")[0]


def test_exporting_again_replaces_what_charrnn_wrote_and_nothing_else(runs, export, capsys, tmp_path):
    folder = tmp_path / "curves"
    folder.mkdir()
    before = export("single", "--format", "tensorboard", "-o", folder), files_of(folder)
    assert export("single", "--format", "tensorboard", "-o", folder) == before[0]
    ((name, data),) = files_of(folder).items()
    ((old, same),) = before[1].items()
    assert data == same
    assert name.name > old.name  # a TensorBoard that is open takes it for newer
    others = {folder / "events.out.tfevents.1.host", folder / "events.out.tfevents.1.a.single.charrnn"}
    for other in others:
        other.write_bytes(b"another's")
    (folder / "events.out.tfevents.1.single.charrnn").mkdir()  # no file of ours, whatever its name
    arguments = ["--format", "tensorboard", "--output", str(folder), "--runs", str(runs)]
    assert cli.run(["export", "single", *arguments]) == 0
    assert "event files of others" in capsys.readouterr().err
    left = set(files_of(folder))
    assert left > others
    assert len(left) == 3
    assert name not in left


def test_without_the_extra_a_sentence_says_how_to_install_it(refused, monkeypatch):
    monkeypatch.delitem(sys.modules, "charrnn_tui.export.tensorboard", raising=False)
    for name in ("tensorboardX", "tensorboardX.proto.event_pb2"):
        monkeypatch.setitem(sys.modules, name, None)
    code, told = refused("single", "--format", "tensorboard")
    assert code == 2
    assert "pip install 'charrnn-tui[tensorboard]'" in told


# -- what goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, ["--format xls", "csv, jsonl, tensorboard"], ["--format", "xls"]),
        (2, ["--table losses", *TABLES], ["--table", "losses"]),
        (2, ["--table", "csv"], ["--table", "samples", "--format", "tensorboard"]),
        (2, ["nobody", "charrnn runs"], ["nobody"]),
        (2, ["-o", "name"], ["-o", ""]),
        (2, ["-o", "name"], ["-o", "-", "--format", "tensorboard"]),
        (2, ["directory", "name one in it"], ["-o", ".", "--format", "jsonl"]),
        (1, ["nowhere/x.csv", "No such file", "-o"], ["-o", "nowhere/x.csv"]),
        (1, ["file", "-o"], ["-o", "file/", "--format", "csv"]),
        (1, ["file", "-o"], ["-o", "file", "--format", "tensorboard"]),
    ],
)
def test_what_goes_wrong_is_one_line(refused, tmp_path, monkeypatch, code, words, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    before = files_of(tmp_path)
    got, told = refused(*arguments)
    assert got == code
    assert all(word in told for word in words), told
    assert files_of(tmp_path) == before


def test_no_run_and_no_log_that_can_be_read(refused, runs):
    log = runs / "single" / "events.jsonl"
    log.unlink()
    log.mkdir()
    code, told = refused("single")
    assert (code, str(log) in told) == (2, True)
    shutil.rmtree(runs)
    code, told = refused()
    assert (code, "charrnn train" in told) == (2, True)


@pytest.mark.parametrize("format", ["csv", "jsonl", "tensorboard"])
def test_nothing_is_written_into_a_run(refused, runs, tmp_path, format):
    (tmp_path / "link").symlink_to(runs / "killed")
    before = files_of(runs)
    for place in (runs / "killed" / "events.jsonl", tmp_path / "link" / "new" / "x"):
        code, told = refused("single", "--format", format, "-o", place)
        assert code == 2
        assert str(runs / "killed") in told
    assert files_of(runs) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(charrnn, runs, refused):
    code, told = refused("single", "-o", "/dev/full")
    assert code == 1
    assert told.startswith("charrnn: cannot write /dev/full: No space left on device")
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "charrnn_tui", "export", "single"]
        done = subprocess.run(
            command, cwd=charrnn.where, env=charrnn.environment(), stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr == b"charrnn: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_whoever_reads_may_go_away(charrnn, runs, monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with charrnn.start("export", "killed", "--format", "jsonl") as process:  # more than a pipe holds
        assert process.stdout.read(5) == b'{"typ'
        process.stdout.close()
        err = process.stderr.read()
        assert (process.wait(30), err) == (141, b"")


def test_what_it_does_not_need_is_not_imported(charrnn, runs):
    code = (
        "from charrnn_tui.cli import run; import sys; run(['export']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=charrnn.where, env=charrnn.environment(), capture_output=True
    )
    assert done.stdout.startswith(b"update,time,")
    loaded = set(done.stderr.decode().split())
    assert "charrnn_tui.export.tables" in loaded
    assert not loaded & {"matplotlib", "textual", "rich", "tensorboardX", "google.protobuf"}


# -- formulas ----------------------------------------------------------------------------------------------

RUN_BY_A_SPREADSHEET = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "'=1+1", "''@x", "\uff1d1",
    "\uff0b1", "\uff0d1", "\uff20x", "\x00=1", "\x1b=1",
]  # fmt: skip
HARMLESS_CELLS = ["", "a=1", "'tis", "1", " =1", "''", "{=1}", "文字", '"=1"']


def cells_of(text):
    """Return the cells as any reader of CSV has them."""
    return [row[0] for row in csv.reader(io.StringIO(text, newline=""), strict=True)][1:]


@pytest.mark.parametrize("text", RUN_BY_A_SPREADSHEET, ids=ascii)
def test_a_formula_has_an_apostrophe_before_it(text):
    table = Table(("text",), ((text,),))
    assert cells_of(to_csv(table)) == [f"'{text}"]
    assert cells_of(to_csv(table, formulas=True)) == [text]


@pytest.mark.parametrize("text", HARMLESS_CELLS, ids=ascii)
def test_other_text_is_written_as_it_is(text):
    assert cells_of(to_csv(Table(("text",), ((text or "x",),)))) == [text or "x"]


def test_numbers_stay_numbers():
    table = Table(("loss",), ((-1.5,), (-3,), (True,), (-1e-300,)))
    assert cells_of(to_csv(table)) == ["-1.5", "-3", "True", "-1e-300"]


def test_one_apostrophe_is_dropped_to_have_the_text_again():
    texts = [*RUN_BY_A_SPREADSHEET, *filter(None, HARMLESS_CELLS)]
    begin = re.compile("'+[=+\\-@\x00-\x1f\uff1d\uff0b\uff0d\uff20]")
    cells = cells_of(to_csv(Table(("text",), tuple((text,) for text in texts))))
    assert [cell[1:] if begin.match(cell) else cell for cell in cells] == texts


def test_the_formulas_of_a_run_are_written_where_they_are_asked_for(runs, export, refused):
    log = runs / "killed" / "events.jsonl"
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for event in events:
        if event["type"] == "sample":
            event["text"] = '=HYPERLINK("http://x")'
    log.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    safe = {row["text"] for row in rows_of(export("killed", "--table", "samples"))}
    raw = {row["text"] for row in rows_of(export("killed", "--table", "samples", "--formulas"))}
    assert (safe, raw) == ({'\'=HYPERLINK("http://x")'}, {'=HYPERLINK("http://x")'})
    assert refused("killed", "--formulas", "--format", "jsonl") == (
        2,
        "charrnn: --formulas goes with --format csv\n",
    )
