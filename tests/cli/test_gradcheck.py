"""`charrnn gradcheck`, as a shell runs it."""

import csv
import io
import json
import signal
import time

import numpy as np
import pytest

from charrnn_core.rnn.gradcheck.comparisons import STUDY
from charrnn_core.rnn.parameters import Parameters, parameter_count
from charrnn_core.runs.history import History
from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import GradientsChecked
from charrnn_core.training.settings import Settings
from charrnn_tui import cli
from charrnn_tui.cli.check_table import show_check
from charrnn_tui.cli.told import told

TEXT = "the cat sat on the mat and the dog sat on the log.\n" * 60
SMALL = ["--hidden", "8", "--seq-length", "5"]
FIELDS = {
    "parameter", "shape", "entries", "method", "step", "h0", "maximum_relative_error", "mean_relative_error",
    "worst", "passed",
}  # fmt: skip


@pytest.fixture
def text(tmp_path):
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    return "book.txt"


def made(runs, name="run", updates=20):
    settings = Settings.of(hidden=6, seq_length=4, updates=updates, sample_every=None)
    process = start(settings, corpus_of(TEXT, "tide"), runs=runs, name=name)
    process.run(lambda item: None)
    return process.directory


def rows_of(finished):
    assert finished.code == 0, finished.err
    return json.loads(finished.out)["rows"]


def test_default_check_of_the_bundled_text(charrnn):
    finished = charrnn("gradcheck", *SMALL)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("tales · K = 63 · m = 8 · sum loss · update 0 · seed 0 · numpy\n")
    assert finished.out.endswith("all 43 checks passed\n")
    assert finished.out.count("✓") == 44
    assert "stress window · T = 25 · B = 3 · 63 different characters" in finished.out
    assert "repeats window · T = 42 · B = 3 · 63 different characters" in finished.out
    assert "training gradient, float32 · T = 5 · B = 1 · h_0 carried · norm over all entries" in finished.out
    assert "training gradient, float32 · fixed network" in finished.out
    assert "five updates, float64 · fixed network" in finished.out
    assert "step 1e-05 · T = 5 · B = 1 · h_0 zeros · first 20 entries" in finished.out
    assert "study" in finished.out
    assert all(line == line.rstrip() for line in finished.out.splitlines())
    assert max(map(len, finished.out.splitlines())) <= 100
    assert not list(charrnn.where.iterdir())  # a check leaves nothing behind


def test_json_and_csv_have_all_that_the_table_has(charrnn, text):
    whole = charrnn("gradcheck", text, *SMALL, "--json")
    told = json.loads(whole.out)
    assert told["passed"] is True
    assert told["corpus"] == "book"
    assert len(told["rows"]) == 43
    assert all(set(row) >= FIELDS for row in told["rows"])
    table = list(csv.DictReader(io.StringIO(charrnn("gradcheck", text, *SMALL, "--csv").out)))
    assert [row["parameter"] for row in table] == [row["parameter"] for row in told["rows"]]
    assert [float(row["maximum_relative_error"]) for row in table] == [
        row["maximum_relative_error"] for row in told["rows"]
    ]
    assert {row["shape"] for row in table if row["parameter"] == "W"} == {"8x8"}


def test_options_choose_method_entries_state_window_and_step(charrnn, text):
    rows = rows_of(
        charrnn(
            "gradcheck", text, *SMALL, "--method", "central", "--entries", "random:7", "--h0", "random",
            "--step", "1e-6", "--window", "stress", "--tolerance", "1e-3", "--floor", "1e-9", "--json",
        )
    )  # fmt: skip
    assert {(row["method"], row["entries"], row["h0"], row["step"], row["window"]) for row in rows} == {
        ("central", 7, "random", 1e-6, "stress")
    }
    assert {(row["tolerance"], row["floor"]) for row in rows} == {(1e-3, 1e-9)}
    both = rows_of(charrnn("gradcheck", text, *SMALL, "--h0", "random", "--json"))
    assert [row["method"] for row in both] == ["central"] * 5 + ["complex-step"] * 5
    assert {row["entries"] for row in both if row["parameter"] == "W"} == {20, 64}


def test_it_shows_what_a_run_logs_at_update_0(charrnn, text):
    assert charrnn("train", text, *SMALL, "--updates", "5", "--name", "run", "--seed", "3").code == 0
    (logged,) = History.read(charrnn.where / "runs" / "run" / "events.jsonl").checks
    assert rows_of(charrnn("gradcheck", text, *SMALL, "--seed", "3", "--json")) == logged["rows"]
    assert rows_of(charrnn("gradcheck", text, *SMALL, "--seed", "4", "--json")) != logged["rows"]


def test_a_run_that_ended_is_checked_as_its_last_checkpoint_has_it(charrnn):
    directory = made(charrnn.where / "runs")
    before = {path: path.read_bytes() for path in directory.path.rglob("*") if path.is_file()}
    checked = json.loads(charrnn("gradcheck", "run", "--json", "--seed", "4").out)
    assert (checked["run"], checked["update"], checked["passed"]) == ("run", 20, True)
    assert (checked["seed"], checked["hidden"], checked["seq_length"]) == (4, 6, 4)
    assert {path: path.read_bytes() for path in directory.path.rglob("*") if path.is_file()} == before
    assert charrnn("gradcheck", "runs/run").out.startswith("run · K = ")


def test_a_damaged_checkpoint_is_said(charrnn):
    directory = made(charrnn.where / "runs", updates=150)
    directory.checkpoint_file("last").path.write_bytes(b"junk")
    finished = charrnn("gradcheck", "run", "--json")
    assert finished.code == 0
    assert "last.safetensors" in finished.err
    assert f"checked is update {json.loads(finished.out)['update']}" in finished.err


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("seed", [[None], "x", {}, 1.5, -1, None, [1], True, 2**70])
def test_a_config_with_an_impossible_seed_is_refused_in_a_sentence(charrnn, seed):
    run = made(charrnn.where / "runs")
    config = run.config()
    config["settings"]["seed"] = seed
    run.write_config(config)
    done = charrnn("gradcheck", str(run.path))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "--seed" in done.err


@pytest.mark.slow
def test_a_run_that_trains_checks_itself_and_logs_the_rows(charrnn, text):
    options = [*SMALL, "--updates", "none", "--seconds", "600", "--name", "live", "--sample-every", "none"]
    with charrnn.start("train", text, *options) as process:
        try:
            log = charrnn.where / "runs" / "live" / "events.jsonl"
            deadline = time.monotonic() + 20
            while not log.exists() or not History.read(log).progress[50:]:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            checked = json.loads(charrnn("gradcheck", "live", "--json").out)
            asked = rows_of(charrnn("gradcheck", "live", "--method", "central", "--entries", "all", "--json"))
            charrnn.refuses(2, ["hidden"], "gradcheck", "live", "--hidden", "9")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
    at_start, first, second = History.read(log).checks
    assert at_start["update"] == 0
    assert (checked["update"], checked["rows"]) == (first["update"], first["rows"])
    assert checked["update"] > 0
    assert second["rows"] == asked
    assert {row["entries"] for row in asked if row["parameter"] == "W"} == {64}


def test_a_failed_check_is_exit_code_1_and_names_the_parameters(charrnn, text):
    # No difference is as good as this tolerance, so that a right gradient fails it.
    options = ["--method", "central", "--window", "stress", "--tolerance", "1e-15"]
    finished = charrnn("gradcheck", text, *SMALL, *options)
    assert finished.code == 1
    assert "✗" in finished.out
    assert "checks failed" in finished.out
    assert finished.err.startswith("charrnn: the gradient check failed for ")
    assert len(finished.err.splitlines()) == 1


@pytest.mark.slow
def test_wrong_use_is_one_line_and_exit_code_2(charrnn, text):
    made(charrnn.where / "runs")
    for words, arguments in (
        (["--entries first:0", "first:N"], [text, "--entries", "first:0"]),
        (["--method forward", "central, complex-step"], [text, "--method", "forward"]),
        (["--h0 ones", "zeros, carried, random"], [text, "--h0", "ones"]),
        (["--step", "--method"], [text, "--step", "1e-3"]),
        (["--step big", "number"], [text, "--method", "central", "--step", "big"]),
        (["--tolerance nan", "from"], [text, "--tolerance", "nan"]),
        (["--json", "--csv"], [text, "--json", "--csv"]),
        (["no such file", "no such run", "tales"], ["nothing"]),
        (["no/such"], ["no/such"]),
        (["--corpus"], [text, "--corpus", text]),
        (["--preset"], ["run", "--preset", "dd2424-2026"]),
        (["characters"], ["-"]),
    ):
        charrnn.refuses(2, words, "gradcheck", *arguments, stdin=b"ab")


@pytest.mark.slow
def test_a_name_with_two_meanings_is_refused_naming_both(charrnn):
    made(charrnn.where / "runs", "tales")
    charrnn.refuses(2, ["bundled text", str(charrnn.where / "runs" / "tales")], "gradcheck", "tales")
    assert charrnn("gradcheck", "runs/tales").code == 0
    made(charrnn.where / "runs", "one-a")
    made(charrnn.where / "runs", "one-b")
    charrnn.refuses(2, ["beginning of 2 runs"], "gradcheck", "one")
    assert charrnn("gradcheck", "one-a").code == 0


@pytest.mark.slow
def test_standard_input_is_checked(charrnn):
    finished = charrnn("gradcheck", "-", *SMALL, stdin=TEXT.encode())
    assert finished.code == 0
    assert finished.out.startswith("input · ")


@pytest.mark.parametrize("width", [20, 30, 40, 50, 80, 90, 100])
def test_table_keeps_verdicts_and_figures_at_any_width(width, capsys, monkeypatch):
    rows = [
        {
            "parameter": name, "shape": [2000, 1000], "entries": 2_000_000, "method": "central", "step": 1e-5,
            "h0": "zeros", "maximum_relative_error": 2.5e-8, "mean_relative_error": 1e-9, "seq_length": 25,
            "worst": {"index": [1900, 900], "analytic": -1.0, "numeric": -1.0}, "passed": name != "W",
            "selection": "first:20", "window": "text", "tolerance": 1e-4, "floor": 1e-12, "compared": [],
            "batch_size": 1, "characters": 9,
        }
        for name in STUDY
    ]  # fmt: skip
    rows[0]["maximum_relative_error"] = rows[0]["worst"]["analytic"] = None  # what is not finite in JSON
    monkeypatch.setattr("charrnn_tui.cli.check_table._PIPE_WIDTH", width)
    show_check(rows, "evil \x1b[31m name")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    assert out.count("2.5e-08") == 4
    assert out.count(" nan") == (2 if "analytic" in out else 1)
    assert ("analytic" in out, "mean rel" in out) == (width >= 90, width >= 50)
    assert "✗ W" in out
    assert "…" not in out
    assert "1 of 5 checks failed" in " ".join(out.split())
    assert "\x1b" not in out


def not_compared(note):
    return {
        "parameter": "W", "shape": [8, 8], "entries": 0, "method": "training", "step": None, "h0": "carried",
        "maximum_relative_error": None, "mean_relative_error": None, "seq_length": 25, "batch_size": 1,
        "worst": {"index": None, "analytic": None, "numeric": None, "passed": True}, "passed": True,
        "selection": "norm", "window": "text", "tolerance": 1e-4, "floor": 1e-12, "compared": [],
        "characters": 9, "dtype": "float32", "note": note,
    }  # fmt: skip


@pytest.mark.parametrize("note", ["ill-conditioned: not compared", "not finite: not compared"])
def test_what_could_not_be_compared_is_said_and_not_counted_as_passed(note, capsys):
    whole = {
        **not_compared(None),
        "maximum_relative_error": 1e-6,
        "mean_relative_error": 1e-6,
        "parameter": "U",
    }
    whole["worst"] = {"index": [0, 1], "analytic": 1.0, "numeric": 1.0, "passed": True}
    show_check([whole, not_compared(note)], "run")
    out = capsys.readouterr().out
    assert f"  W: {note}\n" in out
    assert out.endswith("✓ all 1 checks passed, 1 not compared\n")
    assert "– W" in out
    assert "✓ W" not in out
    assert "nan" not in out
    checked = GradientsChecked(update=0, time=1.0, rows=(whole, not_compared(note)))
    assert list(told(checked, Settings.of(), "run")) == [
        "gradients are right at update 0: training gradient agrees to 1e-06"
    ]


def test_a_check_that_compared_nothing_has_not_passed(tmp_path, text, monkeypatch, capsys):
    def diverged(hidden, characters, dtype, **how):
        size = parameter_count(hidden, characters)
        return Parameters(hidden, characters, dtype, np.full(size, np.nan, dtype))

    monkeypatch.setattr("charrnn_core.training.trainer.initial_parameters", diverged)
    command = ["gradcheck", str(tmp_path / text), *SMALL, "--engine", "numpy", "--method", "central"]
    assert cli.run(command) == 1
    finished = capsys.readouterr()
    assert finished.out.endswith("– nothing could be compared\n")
    assert "✓" not in finished.out
    assert "checks passed" not in finished.out
    assert finished.err.splitlines()[-1].startswith(
        "charrnn: nothing could be compared: U, W, V, b, c: not finite: not compared; "
    )
    assert cli.run([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["passed"] is None


def test_training_says_that_nothing_could_be_compared():
    rows = tuple({**not_compared("not finite: not compared"), "parameter": name} for name in STUDY)
    checked = GradientsChecked(update=3, time=1.0, rows=rows)
    assert list(told(checked, Settings.of(), "run")) == ["gradients could not be compared at update 3"]
    asked = GradientsChecked(update=3, time=1.0, rows=rows, command="id")
    assert list(told(asked, Settings.of(), "run")) == [
        "gradients checked at update 3: nothing could be compared"
    ]


def test_training_tells_that_its_gradients_are_right(charrnn, text):
    finished = charrnn("train", text, *SMALL, "--updates", "5")
    assert "gradients are right at update 0: centred difference agrees to " in finished.err


def test_training_tells_that_its_gradients_are_wrong():
    rows = tuple({"parameter": name, "passed": name != "W"} for name in STUDY)
    checked = GradientsChecked(update=30, time=1.0, rows=rows)
    assert list(told(checked, Settings.of(), "run")) == ["gradients are WRONG at update 30: W"]
    asked = GradientsChecked(update=30, time=1.0, rows=rows, command="id")
    assert list(told(asked, Settings.of(), "run")) == ["gradients checked at update 30: 1 of 5 checks failed"]


def test_the_help_says_the_defaults_as_they_are(charrnn):
    from charrnn_core.rnn.gradcheck.comparisons import DEFAULT_FLOOR, DEFAULT_STEPS, DEFAULT_TOLERANCES

    told = " ".join(charrnn("gradcheck", "--help", COLUMNS="200").out.replace("│", " ").split())
    for defaults in (DEFAULT_STEPS, DEFAULT_TOLERANCES):
        both = " and ".join(
            f"{defaults[method]:.0e}".replace("e-0", "e-") for method in ("central", "complex-step")
        )
        assert f"(default {both})" in told
    assert f"(default {DEFAULT_FLOOR:.0e})" in told
