"""The library as a script or a notebook uses it."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import charrnn_core
from charrnn_core import Settings, Trainer, corpus_of, read_checkpoint, resume, start
from charrnn_core.rnn.sampler import Sampler
from charrnn_core.training.events import Event

TEXT = "the cat sat on the mat and the dog sat on the log.\n" * 60
SETTINGS = Settings.of(
    hidden=7, seq_length=4, updates=300, sample_every=100, sample_length=20, engine="numpy"
)


def told(items):
    """Return the events among what a trainer yields, without times and rates."""
    left_out = ("time", "updates_per_second")
    return [
        {name: value for name, value in item.to_json().items() if name not in left_out}
        for item in items
        if isinstance(item, Event)
    ]


def test_every_name_can_be_imported_and_nothing_else():
    for name in charrnn_core.__all__:
        assert getattr(charrnn_core, name) is not None
    assert set(charrnn_core.__all__) <= set(dir(charrnn_core))
    with pytest.raises(AttributeError, match="nonsense"):
        charrnn_core.nonsense  # noqa: B018


def test_importing_it_costs_nothing():
    program = "import sys, charrnn_core; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("every", [1, 7, 50])
def test_a_loop_that_is_left_goes_on_where_it_was(every):
    whole = Trainer(SETTINGS, corpus_of(TEXT))
    expected = told(whole)
    pieces, events = Trainer(SETTINGS, corpus_of(TEXT)), []
    while not pieces.finished or not events or events[-1]["type"] != "ended":
        for number, item in enumerate(pieces):
            if isinstance(item, Event):
                events += told([item])
            elif number >= every and item.phase == "training":
                break
    assert events == expected
    for name, array in whole.engine.parameters.arrays().items():
        assert np.array_equal(array, pieces.engine.parameters.arrays()[name])


def test_time_between_two_loops_is_no_time_of_training():
    now = [0.0]
    trainer = Trainer(SETTINGS, corpus_of(TEXT), clock=lambda: now[0])
    for item in trainer:
        now[0] += 1
        if item.update >= 100:
            break
    seconds = trainer.seconds
    now[0] += 1000
    next(iter(trainer))
    assert seconds <= trainer.seconds < seconds + 1000


def test_a_loop_that_is_left_but_held_loses_no_time():
    now = [0.0]
    trainer = Trainer(SETTINGS, corpus_of(TEXT), clock=lambda: now[0])
    held = iter(trainer)
    for _ in range(60):
        next(held)
        now[0] += 1
    before = trainer.seconds
    next(iter(trainer))
    assert trainer.seconds == before > 10


@pytest.mark.slow
def test_a_trainer_samples_and_checks_without_being_touched():
    looked, alone = (Trainer(SETTINGS, corpus_of(TEXT)) for _ in range(2))
    texts = set()
    for item in looked:
        if item.type == "sample":
            texts.add(looked.sample(length=30, temperature=0.8, prime="the ", seed=item.update))
            assert all(row.passed for row in looked.check())
    list(alone)
    assert len(texts) == 4 and {len(text) for text in texts} == {30}
    for name, array in alone.engine.parameters.arrays().items():
        assert np.array_equal(array, looked.engine.parameters.arrays()[name])


def test_a_checkpoint_writes_what_its_trainer_did(tmp_path):
    process = start(SETTINGS, corpus_of(TEXT), runs=tmp_path, name="made")
    process.run(lambda item: None)
    state = read_checkpoint(process.directory.checkpoint_file("last").path)
    asked = {"length": 40, "temperature": 0.9, "top_k": 5, "seed": 3}
    assert state.sample(**asked) == process.trainer.sample(**asked)
    assert state.sample(seed=1) != state.sample(seed=2)
    command = [sys.executable, "-m", "charrnn_tui", "sample", str(process.directory.path), "--seed", "3"]
    more = ["--checkpoint", "last", "--length", "40", "--temperature", "0.9", "--top-k", "5"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
    assert done.stdout == state.sample(**asked)


@pytest.mark.parametrize(
    "how",
    [{"temperature": -1}, {"temperature": float("nan")}, {"temperature": float("inf")}, {"top_k": 0},
     {"top_p": 0}, {"top_p": 1.5}, {"top_p": float("nan")}],
)  # fmt: skip
def test_what_makes_no_sense_is_a_value_error(how):
    trainer = Trainer(SETTINGS, corpus_of(TEXT))
    with pytest.raises(ValueError, match=next(iter(how)).replace("_", ".")):
        Sampler(trainer.engine.parameters, np.random.default_rng(0), **how)


def test_paths_are_taken_as_they_are(tmp_path):
    (tmp_path / "tales").write_text(TEXT, encoding="utf-8")
    corpus = charrnn_core.read_corpus(tmp_path / "tales")
    assert (corpus.kind, corpus.name, len(corpus)) == ("file", "tales", len(TEXT))
    process = start(SETTINGS, corpus, runs=str(tmp_path / "runs"))
    assert process.run(lambda item: None).reason == "updates"
    assert charrnn_core.find_run(process.directory.name, tmp_path / "runs").path == process.directory.path


def test_a_length_below_zero_is_a_value_error():
    with pytest.raises(ValueError, match="length"):
        Trainer(SETTINGS, corpus_of(TEXT)).sample(length=-1)


def test_an_unknown_prime_is_an_error_of_the_library():
    with pytest.raises(charrnn_core.CharRNNError):
        Trainer(SETTINGS, corpus_of(TEXT)).sample(prime="Æ")


ENDLESS = """
import sys
from pathlib import Path
from charrnn_core import Settings, corpus_of, start
settings = Settings.of(hidden=7, seq_length=4, updates=None, seconds=1e6, sample_every=None, engine="numpy")
process = start(settings, corpus_of("the cat sat on the mat.\\n" * 60), runs=Path(sys.argv[1]), name="cat")
ended = process.run(lambda item: print("trains", flush=True) if item.update == 50 else None)
print(ended.reason, ended.update == process.trainer.update, flush=True)
"""


def test_ctrl_c_finishes_the_update_and_saves(tmp_path):
    command = [sys.executable, "-c", ENDLESS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "trains\n"
        process.send_signal(signal.SIGINT)
        *_, told = process.communicate(timeout=60)[0].splitlines()
        assert (process.returncode, told) == (0, "signal SIGINT True")
    saved = read_checkpoint(tmp_path / "cat" / "checkpoints" / "last.safetensors")
    assert saved.snapshot.update >= 50


def test_a_view_that_raises_leaves_a_run_that_can_be_gone_on_with(tmp_path):
    def raises(item):
        if item.update == 200:
            raise ZeroDivisionError

    before = signal.getsignal(signal.SIGINT)
    process = start(SETTINGS, corpus_of(TEXT), runs=tmp_path, name="cat")
    with pytest.raises(ZeroDivisionError):
        process.run(raises)
    assert signal.getsignal(signal.SIGINT) is before
    assert resume(process.directory, {}, corpus=corpus_of(TEXT)).run(lambda item: None).update == 300


def test_it_trains_in_another_thread(tmp_path):
    process = start(SETTINGS, corpus_of(TEXT), runs=tmp_path, name="cat")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(process.run, lambda item: None).result().reason == "updates"
