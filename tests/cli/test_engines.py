"""The engines as a shell chooses them, Numba broken or its kept code damaged; and `charrnn bench`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = ("--hidden", "5", "--dtype", "float64", "--sample-every", "none", "--runs", "runs", "--quiet")
LARGEST_FILE = 100_000  # bytes: enough for a small run, and less than compiled code


@pytest.fixture
def broken_numba(tmp_path):
    """The environment in which the import of Numba fails."""
    package = tmp_path / "broken" / "numba"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('Numba needs NumPy 1.0 or less. Got 9.9.')\n")
    return {"PYTHONPATH": str(package.parent)}


def train(charrnn, engine, **environment):
    """Train and return the run's directory."""
    finished = charrnn("train", "--updates", "20", *SMALL, "--engine", engine, **environment)
    assert (finished.code, finished.err) == (0, "")
    return Path(finished.out[:-1])


def events(run, kind):
    lines = (json.loads(line) for line in (run / "events.jsonl").read_text().splitlines())
    return [event for event in lines if event["type"] == kind]


@pytest.mark.slow
def test_the_compiled_engine_is_refused_where_it_cannot_work(charrnn, broken_numba):
    words = ("--engine numba", "Numba needs NumPy 1.0 or less", "--engine numpy")
    charrnn.refuses(2, words, "train", *SMALL, "--engine", "numba", **broken_numba)
    charrnn.refuses(2, words, "gradcheck", "--engine", "numba", **broken_numba)
    charrnn.refuses(2, words, "bench", "--engine", "numba", **broken_numba)


def test_auto_does_without_it_and_says_so(charrnn, broken_numba):
    finished = charrnn("train", "--updates", "5", *SMALL[:-1], CHARRNN_ENGINE="auto", **broken_numba)
    assert finished.code == 0
    assert "warning: the engine numba is not used: Numba does not work here" in finished.err
    [started] = events(Path(finished.out[:-1]), "started")
    assert started["engine"] == "numpy"


@pytest.mark.slow
def test_a_run_of_the_compiled_engine_goes_on_without_it_only_when_told_to(charrnn, broken_numba):
    run = train(charrnn, "numba")
    [started] = events(run, "started")
    assert started["engine"] == "numba" and "LLVM" in started["blas"] and "numba" in started["versions"]
    refusal = ("was trained by the engine numba", "--engine numpy")
    charrnn.refuses(2, refusal, "resume", str(run), "--updates", "40", **broken_numba)

    finished = charrnn("resume", str(run), "--updates", "40", "--engine", "numpy", **broken_numba)
    assert finished.code == 0
    assert "the engine is numpy now and was numba before: the last bits differ" in finished.err
    [resumed] = events(run, "resumed")
    assert resumed["engine"] == "numpy"


@pytest.mark.slow
def test_a_run_goes_on_with_its_engine_whatever_auto_is_now(charrnn):
    run = train(charrnn, "numba")
    finished = charrnn("resume", str(run), "--updates", "40", CHARRNN_ENGINE="numpy")
    assert finished.code == 0 and "warning" not in finished.err
    [resumed] = events(run, "resumed")
    assert resumed["engine"] == "numba"


@pytest.mark.slow
def test_a_replay_is_by_the_engine_of_the_run_whatever_auto_is_now(charrnn):
    run = train(charrnn, "auto", CHARRNN_ENGINE="numba")
    finished = charrnn("train", "--replay", str(run), "--runs", "runs", CHARRNN_ENGINE="numpy")
    assert finished.code == 0, finished.err
    [started] = events(Path(finished.out[:-1]), "started")
    assert started["engine"] == "numba"


@pytest.mark.slow
def test_a_run_of_two_engines_cannot_be_replayed(charrnn):
    run = train(charrnn, "numba")
    assert charrnn("resume", str(run), "--updates", "40", "--engine", "numpy").code == 0
    words = ("trained by the engine numba and then by numpy",)
    charrnn.refuses(2, words, "train", "--replay", str(run), "--runs", "runs")


@pytest.mark.slow
def test_numba_that_is_told_not_to_compile_is_not_used(charrnn):
    charrnn.refuses(2, ("NUMBA_DISABLE_JIT",), "train", *SMALL, "--engine", "numba", NUMBA_DISABLE_JIT="1")
    finished = charrnn("train", "--updates", "5", *SMALL[:-1], CHARRNN_ENGINE="auto", NUMBA_DISABLE_JIT="1")
    assert finished.code == 0 and "warning: the engine numba is not used" in finished.err


@pytest.mark.slow
def test_the_engine_of_a_run_is_that_of_its_check(charrnn):
    run = train(charrnn, "numba")
    for choice, engine in ((), "numba"), (("--engine", "auto"), "numba"), (("--engine", "numpy"), "numpy"):
        finished = charrnn("gradcheck", str(run), "--json", *choice)
        assert finished.code == 0 and json.loads(finished.out)["engine"] == engine


def test_an_engine_that_there_is_not_is_refused(charrnn):
    charrnn.refuses(2, ("--engine cuda", "auto, numpy, numba"), "train", *SMALL, "--engine", "cuda")
    charrnn.refuses(2, ("CHARRNN_ENGINE is 'cuda'",), "train", *SMALL, CHARRNN_ENGINE="cuda")


@pytest.mark.slow
def test_kept_code_that_is_damaged_is_compiled_anew(charrnn, tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    first = train(charrnn, "numba", **kept)
    files = [path for path in Path(kept["NUMBA_CACHE_DIR"]).rglob("*.nb[ci]")]
    assert {path.suffix for path in files} == {".nbc", ".nbi"}
    for path in files:
        path.write_bytes(b"no code")
    second = train(charrnn, "numba", **kept)
    assert all(path.stat().st_size > 1000 for path in files)
    assert events(first, "ended")[0]["state_sha256"] == events(second, "ended")[0]["state_sha256"]


@pytest.mark.slow
def test_code_that_no_disk_can_keep_is_used_all_the_same(charrnn, tmp_path):
    environment = charrnn.environment(NUMBA_CACHE_DIR=str(tmp_path / "kept"))
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({LARGEST_FILE}, {LARGEST_FILE}));"
        "from charrnn_tui.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program, "train", "--updates", "20", *SMALL, "--engine", "numba"]
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert not list((tmp_path / "kept").rglob("*.nbc"))


@pytest.mark.slow
def test_bench_has_a_row_for_each_engine_and_type_and_makes_no_run(charrnn, tmp_path):
    sizes = ("--hidden", "8", "--batch-size", "2", "--seq-length", "5", "--rounds", "2")
    before = set(tmp_path.iterdir())
    finished = charrnn("bench", *sizes, "--json", "--engine", "numpy")
    assert finished.code == 0 and set(tmp_path.iterdir()) == before
    facts = json.loads(finished.out)
    assert [(row["engine"], row["dtype"], row["batch_size"]) for row in facts["rows"]] == [
        ("textbook", "float64", 1),
        ("numpy", "float64", 2),
        ("numpy", "float32", 2),
    ]
    for row in facts["rows"]:
        assert len(row["rates"]) == 2
        assert row["characters_per_second"] == pytest.approx(
            row["updates_per_second"] * 5 * row["batch_size"]
        )
    assert facts["rows"][0]["times_textbook"] == 1

    finished = charrnn("bench", *sizes, "--engine", "numpy")
    heading, machine, empty, columns, *rows = finished.out.splitlines()
    assert heading == "tales · K = 63 · m = 8 · T = 5 · B = 2 · adagrad"
    assert "NumPy" in machine and empty == ""
    assert columns.split() == [
        "engine",
        "type",
        "threads",
        "updates/s",
        "characters/s",
        "x",
        "textbook",
        "range",
    ]
    assert [row.split()[:2] for row in rows[:3]] == [
        ["textbook", "float64"], ["numpy", "float64"], ["numpy", "float32"],
    ]  # fmt: skip


@pytest.mark.slow
def test_bench_measures_without_the_compiled_engine_where_that_is_broken(charrnn, broken_numba):
    finished = charrnn("bench", "--hidden", "8", "--rounds", "1", CHARRNN_ENGINE="auto", **broken_numba)
    assert finished.code == 0
    assert "numba" not in finished.out
    assert "charrnn: without the engine numba: Numba does not work here" in finished.err


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("--rounds 0", "1 to 1,000"), ("--rounds", "0")),
        (("--hidden 0",), ("--hidden", "0")),
        (("no such file",), ("nowhere.txt",)),
        (("--batch-size", "characters"), ("short.txt",)),
        (("memory",), ("--hidden", "1000000")),
    ],
)
def test_bench_refuses_what_cannot_be_measured(charrnn, tmp_path, words, arguments):
    (tmp_path / "short.txt").write_text("ab")
    charrnn.refuses(2, words, "bench", *arguments)
