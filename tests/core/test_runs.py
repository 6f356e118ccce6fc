"""The run directory: what is in it, that it is whole, and that equal runs are equal."""

import dataclasses
import hashlib
import json
import os

import numpy as np
import pytest
import safetensors.numpy

from charrnn_core.errors import CheckpointError, RunDirectoryError
from charrnn_core.runs import checkpoint as checkpoint_module
from charrnn_core.runs import saving
from charrnn_core.runs.checkpoint import Place, read_checkpoint, to_bytes
from charrnn_core.runs.directory import create_run, newest_runs
from charrnn_core.runs.listing import summarize
from charrnn_core.runs.log import EventLog
from charrnn_core.runs.starting import run_facts, start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import Event, Warned
from charrnn_core.training.settings import Settings
from charrnn_tui.dashboard.run_lines import newest_first

TEXT = "the tide rises, the tide falls; the clock above the market counts them both.\n" * 8


def small(**given):
    values = {"hidden": 7, "seq_length": 4, "updates": 130, "sample_every": 50, "sample_length": 12}
    return Settings.of(**{**values, **given})


def train(path, settings, view=lambda item: None, name=None):
    process = start(settings, corpus_of(TEXT, "tide"), runs=path, name=name)
    ended = process.run(view)
    return process, ended


def events_of(directory):
    return [json.loads(line) for line in directory.events_file.path.read_text(encoding="utf-8").splitlines()]


def arrays_of(path):
    return read_checkpoint(path).snapshot.arrays()


def deterministic(directory):
    kept = []
    for event in events_of(directory):
        if event["type"] in ("progress", "sample", "validated", "epoch"):
            event.pop("time")
            event.pop("updates_per_second", None)
            kept.append(event)
    return kept


def test_a_run_directory_holds_what_the_design_says(tmp_path):
    process, ended = train(tmp_path / "runs", small())
    directory = process.directory
    assert {path.name for path in directory.path.iterdir()} == {
        ".lock", "checkpoints", "config.json", "corpus.txt", "events.jsonl", "status.json",
    }  # fmt: skip
    assert {path.stem for path in directory.checkpoints.path.iterdir()} == {"last", "previous", "best"}
    config = directory.config()
    assert Settings.from_json(config["settings"]) == small()
    assert config["corpus"]["sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert config["created"].endswith("Z")
    assert directory.corpus_file.path.read_text(encoding="utf-8") == TEXT
    events = events_of(directory)
    assert events[0]["type"] == "started"
    assert events[-1]["type"] == "ended"
    assert events[-1]["state_sha256"] == ended.state_sha256
    assert all(list(event)[:3] == ["type", "update", "time"] for event in events)
    assert [event["update"] for event in events if event["type"] == "sample"] == [0, 50, 100]
    times = [event["time"] for event in events]
    assert times == sorted(times)
    status = json.loads(directory.status_file.path.read_text(encoding="utf-8"))
    assert status["pid"] == os.getpid()


@pytest.mark.parametrize(
    "given", [{}, {"dtype": "float64", "batch_size": 3}, {"optimizer": "adam", "chunks": "random"}]
)
def test_equal_settings_give_equal_states_and_events(tmp_path, given):
    given = {"chunk_length": 50, **given}
    runs = [train(tmp_path, small(**given), name=name) for name in ("one", "two")]
    assert runs[0][1].state_sha256 == runs[1][1].state_sha256
    assert deterministic(runs[0][0].directory) == deterministic(runs[1][0].directory)
    other = train(tmp_path, small(**given, seed=1), name="other")
    assert other[1].state_sha256 != runs[0][1].state_sha256


def test_sampling_and_saving_cadence_change_no_parameter_and_not_the_identity(tmp_path):
    plain, ended = train(tmp_path, small(sample_every=None, checkpoint_every=1000.0), name="plain")
    busy, busy_ended = train(tmp_path, small(sample_every=3, checkpoint_every=0.0), name="busy")
    one, two = (arrays_of(run.directory.checkpoint_file("last").path) for run in (plain, busy))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert ended.state_sha256 == busy_ended.state_sha256


def test_a_checkpoint_holds_the_state_and_says_what_it_is(tmp_path):
    process, ended = train(tmp_path, small(optimizer="adam", batch_size=2))
    path = process.directory.checkpoint_file("last").path
    checkpoint = read_checkpoint(path)
    saved = arrays_of(path)
    engine = process.trainer.engine
    for name, array in engine.parameters.arrays().items():
        assert np.array_equal(saved[name], array)
        assert saved[f"memory.mean.{name}"].shape == array.shape
    assert np.array_equal(saved["h"], engine.h)
    assert checkpoint.state_sha256 == ended.state_sha256
    assert checkpoint.metadata["update"] == 130
    assert checkpoint.metadata["vocabulary"] == "".join(sorted(set(TEXT)))
    assert checkpoint.metadata["log_length"] <= process.directory.events_file.path.stat().st_size
    # Anybody's safetensors reads it too, with the shapes of the equations.
    arrays = safetensors.numpy.load_file(path)
    assert arrays["U"].shape == (7, len(set(TEXT)))
    assert arrays["W"].dtype == np.float32


def test_the_best_checkpoint_is_the_state_at_its_update(tmp_path):
    process, _ = train(tmp_path, small(updates=150), name="longer")
    until, _ = train(tmp_path, small(updates=100), name="until")
    best = read_checkpoint(process.directory.checkpoint_file("best").path)
    last = read_checkpoint(until.directory.checkpoint_file("last").path)
    assert best.metadata["update"] == 100
    one, two = best.snapshot.arrays(), last.snapshot.arrays()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    saved = [event for event in events_of(process.directory) if event["type"] == "checkpoint"]
    assert [(event["kind"], event["update"], event["digest"]) for event in saved] == [
        ("best", 100, best.state_sha256)
    ]


def test_equal_checkpoints_are_equal_bytes(tmp_path):
    process, _ = train(tmp_path, small(updates=5))
    snapshot = process.trainer.snapshot()
    facts = run_facts(process.trainer, process.trainer.corpus, "none")
    facts = dataclasses.replace(facts, corpus={**facts.corpus, "name": "0" * 64, "sha256": "0" * 64})
    assert to_bytes(snapshot, facts, Place(3)) == to_bytes(snapshot, facts, Place(3))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    process, _ = train(tmp_path, small(updates=5))
    path = process.directory.checkpoint_file("last").path
    data = path.read_bytes()
    for place in (len(data) - 1, len(data) // 2, 300):
        damaged = bytearray(data)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            read_checkpoint(path)


def test_a_state_that_is_not_finite_is_never_saved(tmp_path):
    def poison(item):
        if not isinstance(item, Event) and item.update >= 40:
            process.trainer.engine.parameters.V[0, 0] = np.nan

    process = start(small(checkpoint_every=0.0), corpus_of(TEXT), runs=tmp_path)
    ended = process.run(poison)
    assert ended.reason == "diverged"
    kept = read_checkpoint(process.directory.checkpoint_file("last").path)
    assert kept.metadata["update"] <= 40
    assert kept.state_sha256 == ended.state_sha256
    assert all(np.isfinite(array).all() for array in kept.snapshot.arrays().values())


@pytest.mark.slow
def test_a_save_that_fails_is_a_warning_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "SAVE_SHARE", 0)  # save between any two advances
    real, failures = os.fsync, iter([True, False])

    def fsync(descriptor):
        if next(failures, False):
            raise OSError(28, "No space left on device")
        real(descriptor)

    def later(item):
        if not isinstance(item, Event) and item.update == 10:
            monkeypatch.setattr(os, "fsync", fsync)

    process, ended = train(tmp_path, small(checkpoint_every=0.0, updates=100), later)
    warnings = [event for event in events_of(process.directory) if event["type"] == "warning"]
    assert warnings
    assert "No space left" in warnings[0]["message"]
    assert ended.reason == "updates"
    assert read_checkpoint(process.directory.checkpoint_file("last").path).metadata["update"] == 100
    assert not list(process.directory.checkpoints.path.glob(".*"))


def test_a_last_save_that_fails_is_an_error_and_the_one_before_is_kept(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(28, "No space left on device")

    before = []  # a slow machine may have saved more than the beginning

    def later(item):
        if not isinstance(item, Event) and item.update == 10:
            before.append(read_checkpoint(process.directory.checkpoint_file("last").path).metadata["update"])
            monkeypatch.setattr(os, "fsync", fsync)

    process = start(small(), corpus_of(TEXT), runs=tmp_path)
    with pytest.raises(CheckpointError, match="kept"):
        process.run(later)
    monkeypatch.undo()
    kept = read_checkpoint(process.directory.checkpoint_file("last").path).metadata["update"]
    assert kept == before[0] < 10


def test_a_trial_save_finds_a_bad_disk_before_the_first_update(tmp_path, monkeypatch):
    process = start(small(), corpus_of(TEXT), runs=tmp_path)

    def fsync(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(CheckpointError, match="Input/output error"):
        process.run(lambda item: None)
    assert process.trainer.update == 0


def test_a_log_that_cannot_be_written_waits_and_is_whole_again(tmp_path, monkeypatch):
    log = EventLog(tmp_path / "events.jsonl")
    real = os.write
    broken = True

    def write(descriptor, data):
        if broken:
            real(descriptor, bytes(data)[:5])  # a short write, and then no space
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    events = [Warned(update=number, time=0.0, message="é" * number) for number in range(4)]
    assert log.append(events[0]) is None
    monkeypatch.setattr(os, "write", write)
    assert log.append(events[1]).errno == 28
    assert log.append(events[2]).errno == 28
    assert (tmp_path / "events.jsonl").read_text(encoding="utf-8") == events[0].to_line()
    broken = False
    assert log.append(events[3]) is None
    expected = "".join(event.to_line() for event in events)
    assert (tmp_path / "events.jsonl").read_text(encoding="utf-8") == expected
    assert log.length == len(expected.encode())


def test_a_second_process_is_kept_out(tmp_path):
    directory = create_run(tmp_path, "tide")
    descriptor = directory.lock()
    with pytest.raises(RunDirectoryError, match=f"process {os.getpid()}"):
        directory.lock()
    os.close(descriptor)
    os.close(directory.lock())


def test_runs_of_the_same_minute_have_different_names(tmp_path):
    names = {create_run(tmp_path, "tide").name for _ in range(4)}
    assert len(names) == 4


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "-x", ".hidden", "a\nb", "a b", "\x1b[31m", "x" * 101]
)
def test_names_that_are_no_names_of_runs_are_refused(tmp_path, name):
    with pytest.raises(RunDirectoryError, match="--name"):
        create_run(tmp_path / "runs", "tide", name)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("corpus", ["../../etc/passwd", "\x1b[31mred", "a\nb", "...", "", "é ü", "x" * 300])
def test_any_corpus_name_gives_a_harmless_run_name(tmp_path, corpus):
    directory = create_run(tmp_path, corpus)
    assert directory.path.parent == tmp_path
    assert directory.name.isprintable()


def test_an_existing_directory_is_never_mixed_into(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(RunDirectoryError, match="already"):
        create_run(tmp_path, "tide", "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_gradient_too_large_for_its_norm_does_not_keep_a_run_from_being_saved(tmp_path):
    process = start(small(updates=3), corpus_of(TEXT), runs=tmp_path)
    process.trainer.engine.gradient_figures = lambda: (np.inf, 1.0)
    process.run(lambda item: None)
    saved = read_checkpoint(process.directory.checkpoint_file("last").path)
    assert saved.snapshot.gradient_norm == np.inf
    assert saved.snapshot.update == 3
    assert events_of(process.directory)[-1]["type"] == "ended"


def test_settings_without_effect_do_not_change_the_identity(tmp_path):
    _, plain = train(tmp_path, small(updates=20), name="plain")
    _, idle = train(tmp_path, small(updates=20, beta1=0.3, chunk_length=777, validate_every=5), name="idle")
    assert plain.state_sha256 == idle.state_sha256
    _, other = train(tmp_path, small(updates=20, optimizer="adam", beta1=0.3), name="other")
    assert other.state_sha256 != plain.state_sha256


def test_a_checkpoint_of_an_older_format_is_migrated_and_one_of_a_newer_named(tmp_path, monkeypatch):
    process, ended = train(tmp_path, small(updates=5))
    path = process.directory.checkpoint_file("last").path
    monkeypatch.setattr(checkpoint_module, "FORMAT", 2)
    with pytest.raises(CheckpointError):
        read_checkpoint(path)  # there is no way from 1 to 2
    monkeypatch.setitem(checkpoint_module._MIGRATIONS, 1, lambda metadata: {**metadata, "migrated": True})
    migrated = read_checkpoint(path)
    assert migrated.metadata["migrated"] is True
    assert migrated.state_sha256 == ended.state_sha256
    monkeypatch.setattr(checkpoint_module, "FORMAT", 0)
    with pytest.raises(CheckpointError, match="has format 1"):
        read_checkpoint(path)


def test_a_young_run_is_saved_oftener(tmp_path, monkeypatch):
    process, _ = train(tmp_path, small(checkpoint_every=5.0))
    directory, trainer = process.directory, process.trainer
    log = EventLog(directory.events_file.path)
    saver = saving.Saver(
        directory, trainer, process._saver._facts, log, lambda event: None, place=process._saver.place
    )
    now = [100.0]
    monkeypatch.setattr(saving.time, "monotonic", lambda: now[0])
    saves = []
    for tick in range(240):
        now[0] = 100 + tick / 8
        if saver.due:
            saver.save()
            saves.append(tick / 8)
    log.close()
    assert saves == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 13.0, 18.0, 23.0, 28.0]


CREATED = [[1], "Zzz", "9", None, 99999, "2026-11-30", "2026-11-30T10:00:00Z" + "9" * 99]


@pytest.mark.parametrize("created", CREATED, ids=lambda value: str(value)[:12])
def test_a_run_that_does_not_say_when_it_was_created_is_not_the_newest(tmp_path, created):
    for name in ("old", "strange"):
        directory = create_run(tmp_path, "tide", name)
        told = "2026-11-30T10:00:00.000001Z" if name == "old" else created
        directory.write_config({"created": told, "settings": {}, "corpus": {}})
    assert [run.name for run in newest_runs(tmp_path)] == ["old", "strange"]
    assert [run.name for run in newest_first(map(summarize, newest_runs(tmp_path)))] == ["old", "strange"]
