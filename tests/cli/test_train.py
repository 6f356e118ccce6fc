"""`charrnn train` and `charrnn corpora`, run as a user runs them: in a shell, a pipe, a terminal."""

from __future__ import annotations

import hashlib
import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_tui.cli import COMMANDS
from tests.program import (
    Finished,
    assert_saved,
    charrnn,
    cursor_is_shown,
    environment,
    events,
    of_type,
    on_terminal,
    only_run,
    run_path,
    started,
)

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
TEXT = "the cat sat on the mat and the dog sat on the log.\n" * 60
SMALL = ["--updates", "30", "--hidden", "8", "--seq-length", "5", "--sample-length", "20"]
ENDLESS = [*SMALL, "--updates", "none", "--seconds", "300"]
DIVERGING = (
    "--hidden 50 --seq-length 5 --updates 3000 --optimizer adam --learning-rate 1000 --init-std 10 "
    "--beta1 0.999 --beta2 0 --epsilon 1e-30 --clip none"
).split()
PATIENCE = 90.0  # seconds until something that should have happened counts as hanging
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a text in it, the current directory of the commands."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


@dataclass(frozen=True)
class Plain:
    """A run that went as most do."""

    where: Path
    finished: Finished
    run: Path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    where = tmp_path_factory.mktemp("plain")
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    finished = charrnn(where, "train", "book.txt", *SMALL)
    return Plain(where, finished, only_run(where))


# -- stdout and stderr -------------------------------------------------------------------------------------


def test_stdout_is_the_absolute_path_of_the_run_and_a_newline(plain: Plain) -> None:
    assert (plain.finished.code, plain.finished.out) == (0, f"{plain.run}\n")
    assert Path(plain.finished.out.rstrip("\n")).is_absolute()


def test_a_run_directory_holds_what_the_design_names(plain: Plain) -> None:
    assert {path.name for path in plain.run.iterdir()} == {
        ".lock",
        "checkpoints",
        "config.json",
        "events.jsonl",
        "status.json",
    }
    checkpoints = {path.name for path in (plain.run / "checkpoints").iterdir()}
    assert checkpoints == {"last.safetensors", "previous.safetensors"}
    config = json.loads((plain.run / "config.json").read_text(encoding="utf-8"))
    assert config["settings"]["hidden"] == 8
    assert config["corpus"]["path"] == str(plain.where / "book.txt")
    assert config["corpus"]["sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert_saved(plain.run)


def test_quiet_leaves_stderr_empty(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", "--quiet", *SMALL)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out == f"{only_run(here)}\n"


def test_json_puts_the_log_on_stdout_line_for_line(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", "--json", *SMALL)
    assert finished.code == 0
    assert finished.out == (only_run(here) / "events.jsonl").read_text(encoding="utf-8")
    kinds = [json.loads(line)["type"] for line in finished.out.splitlines()]
    assert kinds[:2] == ["started", "progress"]
    assert kinds[-1] == "ended"
    assert "cat" not in finished.out.splitlines()[0]


def test_the_first_progress_is_update_0_with_the_loss_of_guessing(plain: Plain) -> None:
    started, first, *_, ended = events(plain.run)
    assert started["type"] == "started"
    assert (first["type"], first["update"], first["first_update"]) == ("progress", 0, 0)
    K = started["corpus"]["vocabulary_size"]
    assert K == len(set(TEXT))
    assert first["loss_mean"] == pytest.approx(5 * math.log(K), rel=0.005)
    assert (ended["type"], ended["update"], ended["reason"]) == ("ended", 30, "updates")


def test_times_and_updates_of_the_log_never_go_back(here: Path) -> None:
    charrnn(here, "train", "book.txt", "--held-out", "0.1", "--validate-every", "10", *SMALL)
    log = [event for event in events(only_run(here)) if event["type"] != "checkpoint"]
    assert [event["time"] for event in log] == sorted(event["time"] for event in log)
    assert [event["update"] for event in log] == sorted(event["update"] for event in log)


def test_samples_go_to_stderr_as_they_are_drawn(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", "--sample-every", "10", *SMALL)
    samples = [event["text"] for event in of_type(only_run(here), "sample")]
    assert len(samples) == 4  # before update 1, and after updates 10, 20 and 30
    places = [finished.err.find(text) for text in samples]
    assert -1 not in places
    assert places == sorted(places)
    assert all(len(text) == 20 for text in samples)


def test_sample_every_none_draws_no_sample(here: Path) -> None:
    charrnn(here, "train", "book.txt", "--sample-every", "none", *SMALL)
    assert of_type(only_run(here), "sample") == []


@pytest.mark.parametrize("changes", [{}, {"FORCE_COLOR": "1"}])
def test_a_pipe_gets_no_escape_codes(here: Path, changes: dict[str, str]) -> None:
    finished = charrnn(here, "train", "book.txt", *SMALL, **changes)
    assert finished.code == 0
    assert "\x1b" not in finished.err + finished.out
    assert "\r" not in finished.err + finished.out


@pytest.mark.parametrize("arguments", [["train", "book.txt", *SMALL], ["corpora"], ["train", "missing"]])
def test_without_a_terminal_neither_textual_nor_rich_is_imported(here: Path, arguments: list[str]) -> None:
    code = (
        "import sys; from charrnn_tui.cli import run; run(sys.argv[1:]); "
        "print('loaded', *(name for name in sys.modules if name.split('.')[0] in ('textual', 'rich')))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=here,
        env=environment(),
        capture_output=True,
        timeout=PATIENCE,
        text=True,
    )
    assert finished.stdout.splitlines()[-1] == "loaded", finished.stderr


def test_divergence_is_exit_1_with_a_remedy(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", *DIVERGING)
    assert finished.code == 1
    assert "--learning-rate" in finished.err
    assert events(only_run(here))[-1]["reason"] == "diverged"


def test_divergence_is_said_even_when_quiet(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", "--quiet", *DIVERGING)
    assert finished.code == 1
    assert "--learning-rate" in finished.err, "exit code 1 and not a word why"


def test_divergence_shows_no_warnings_of_numpy(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", "--quiet", *DIVERGING)
    assert "Warning" not in finished.err


# -- names and places --------------------------------------------------------------------------------------


def test_a_run_is_named_by_date_time_and_text(plain: Plain) -> None:
    assert re.fullmatch(r"\d{8}-\d{4}-book", plain.run.name)


def test_runs_started_together_get_directories_of_their_own(here: Path) -> None:
    arguments = ["train", "book.txt", "--quiet", *SMALL]
    with started(here, *arguments) as one, started(here, *arguments) as two:
        paths = {run_path(one), run_path(two)}
        assert (one.wait(PATIENCE), two.wait(PATIENCE)) == (0, 0)
    assert len(paths) == 2
    assert paths == set((here / "runs").iterdir())
    for path in paths:
        assert_saved(path)


@pytest.mark.parametrize("name", ["v1.2-größe_x", "a" * 100])
def test_a_run_can_be_named(here: Path, name: str) -> None:
    finished = charrnn(here, "train", "book.txt", "--name", name, *SMALL)
    assert finished.code == 0
    assert finished.out == f"{here / 'runs' / name}\n"


def test_a_name_that_is_taken_is_refused_and_its_run_untouched(here: Path) -> None:
    charrnn(here, "train", "book.txt", "--name", "first", *SMALL)
    before = snapshot(here / "runs")
    finished = charrnn(here, "train", "book.txt", "--name", "first", "--hidden", "9")
    assert (finished.code, finished.out) == (2, "")
    assert "first" in finished.err and "--name" in finished.err
    assert finished.err.count("\n") == 1
    assert snapshot(here / "runs") == before


UNFIT_NAMES = [
    "a/b",
    "..",
    "/tmp/abs",
    "a\nb",
    ".hidden",
    "\x1b[31mred",
    "a" * 101,
    "a\u202eb",
]


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("name", UNFIT_NAMES)
def test_a_name_that_could_lead_elsewhere_is_refused(here: Path, name: str) -> None:
    inner = here / "a" / "b"
    inner.mkdir(parents=True)
    before = snapshot(here)
    finished = charrnn(inner, "train", "../../book.txt", f"--name={name}", *SMALL)
    assert (finished.code, finished.out) == (2, "")
    assert "--name" in finished.err
    assert finished.err.count("\n") == 1
    assert "\x1b" not in finished.err and "\u202e" not in finished.err
    assert snapshot(here) == before


def test_a_text_with_a_long_name_trains(here: Path) -> None:
    name = "文" * 83 + ".txt"  # 253 bytes: a file may have up to 255
    (here / name).write_text(TEXT, encoding="utf-8")
    finished = charrnn(here, "train", name, *SMALL)
    assert finished.code == 0, finished.err


def test_runs_are_made_where_runs_says(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", "--runs", "deep/er", "--name", "r", *SMALL)
    assert finished.out == f"{here / 'deep' / 'er' / 'r'}\n"
    assert not (here / "runs").exists()


def test_runs_are_made_where_charrnn_runs_says(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", "--name", "r", *SMALL, CHARRNN_RUNS="elsewhere")
    assert finished.out == f"{here / 'elsewhere' / 'r'}\n"


def test_the_option_wins_over_the_variable(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", "--runs", "a", "--name", "r", *SMALL, CHARRNN_RUNS="b")
    assert finished.out == f"{here / 'a' / 'r'}\n"
    assert not (here / "b").exists()


# -- texts -------------------------------------------------------------------------------------------------


def test_standard_input_is_kept_as_the_normalised_text(here: Path) -> None:
    given = b"\xef\xbb\xbf" + "erste Zeile\r\nzweite\rdritte ä€🙂\n\r\n".encode() * 5
    finished = charrnn(here, "train", "-", *SMALL, given=given)
    assert finished.code == 0
    run = only_run(here)
    kept = (run / "corpus.txt").read_bytes()
    assert kept == "erste Zeile\nzweite\ndritte ä€🙂\n\n".encode() * 5
    corpus = events(run)[0]["corpus"]
    assert corpus["sha256"] == hashlib.sha256(kept).hexdigest()
    assert (corpus["kind"], corpus["byte_order_mark"], corpus["newlines_replaced"]) == ("input", True, 15)


def test_the_bundled_text_is_the_default(here: Path) -> None:
    charrnn(here, "train", *SMALL)
    assert events(only_run(here))[0]["corpus"]["name"] == "tales"
    assert events(only_run(here))[0]["corpus"]["kind"] == "bundled"


def test_the_default_is_the_bundled_text_whatever_lies_in_the_directory(here: Path) -> None:
    (here / "tales").mkdir()
    finished = charrnn(here, "train", *SMALL)
    assert finished.code == 0, finished.err


def test_a_file_wins_over_a_bundled_text_of_its_name(here: Path) -> None:
    (here / "play").write_text(TEXT, encoding="utf-8")
    charrnn(here, "train", "play", *SMALL)
    assert events(only_run(here))[0]["corpus"]["path"] == str(here / "play")


def test_corpora_lists_the_bundled_texts(here: Path) -> None:
    finished = charrnn(here, "corpora")
    assert (finished.code, finished.err) == (0, "")
    header, *rows = finished.out.splitlines()
    assert "name" in header and "characters" in header
    assert {"tales", "play"} <= {row.split()[0] for row in rows}


def test_corpora_as_json_is_one_object_a_line(here: Path) -> None:
    finished = charrnn(here, "corpora", "--json")
    assert (finished.code, finished.err) == (0, "")
    corpora = {corpus["name"]: corpus for corpus in map(json.loads, finished.out.splitlines())}
    assert {"tales", "play"} <= set(corpora)
    charrnn(here, "train", "tales", *SMALL)
    trained = events(only_run(here))[0]["corpus"]
    listed = corpora["tales"]
    for key in ("characters", "vocabulary_size", "sha256"):
        assert listed[key] == trained[key]


# -- version and help --------------------------------------------------------------------------------------


def test_version(here: Path) -> None:
    finished = charrnn(here, "--version")
    assert (finished.code, finished.out) == (0, f"charrnn {version('charrnn-tui')}\n")
    assert finished.err == ""


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_begins_with_an_example(here: Path, command: list[str]) -> None:
    finished = charrnn(here, *command, "--help")
    assert (finished.code, finished.err) == (0, "")
    lines = [line.strip() for line in finished.out.splitlines() if line.strip()]
    assert any(line.startswith("Example: charrnn") for line in lines[:3])
    assert "\x1b" not in finished.out


@pytest.mark.parametrize("arguments", [["--version", "--help"], ["--help", "--version"]], ids=" ".join)
def test_help_and_version_together(here: Path, arguments: list[str]) -> None:
    finished = charrnn(here, *arguments)
    assert (finished.code, finished.err) == (0, "")
    assert "charrnn" in finished.out


def test_a_text_that_is_called_help(here: Path) -> None:
    (here / "--help").write_text(TEXT, encoding="utf-8")
    finished = charrnn(here, "train", *SMALL, "--", "--help")
    assert finished.code == 0, finished.err
    assert finished.out == f"{only_run(here)}\n"


def test_without_a_command_the_help_is_shown(here: Path) -> None:
    assert charrnn(here).out == charrnn(here, "--help").out


# -- settings ----------------------------------------------------------------------------------------------

PER_EPOCH = (len(TEXT) - 1) // 5


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    ("stop", "reason", "updates"),
    [
        (["--epochs", "1"], "epochs", PER_EPOCH),
        (["--updates", "none", "--epochs", "0.05"], "epochs", math.ceil(0.05 * PER_EPOCH)),
        (["--updates", "7", "--epochs", "1"], "updates", 7),
        (["--updates", "none", "--seconds", "0.05"], "seconds", None),
        (["--updates", "none", "--stop-below", "13.5"], "smooth loss", None),
    ],
)
def test_stops(here: Path, stop: list[str], reason: str, updates: int | None) -> None:
    finished = charrnn(here, "train", "book.txt", "--hidden", "8", "--seq-length", "5", *stop)
    assert finished.code == 0
    ended = events(only_run(here))[-1]
    assert ended["reason"] == reason
    assert updates is None or ended["update"] == updates
    if reason == "seconds":
        assert ended["time"] >= 0.05
    if reason == "smooth loss":
        assert ended["smooth_loss"] < 13.5
    assert_saved(only_run(here))


def test_the_preset_of_2026(here: Path) -> None:
    finished = charrnn(here, "train", "book.txt", "--preset", "dd2424-2026", *SMALL)
    assert finished.code == 0
    settings = events(only_run(here))[0]["settings"]
    assert (settings["optimizer"], settings["learning_rate"]) == ("adam", 0.001)
    assert (settings["loss"], settings["init"], settings["clip"]) == ("mean", "fan-in", None)
    assert settings["hidden"] == 8  # what is given wins


def test_held_out_text_is_scored(here: Path) -> None:
    settings = ["--held-out", "0.1", "--validate-every", "50", "--updates", "100"]
    finished = charrnn(here, "train", "book.txt", *settings, "--hidden", "8", "--seq-length", "5")
    assert finished.code == 0
    validated = of_type(only_run(here), "validated")
    assert {50, 100} <= {event["update"] for event in validated}
    assert all(0 < event["loss"] < 2 * math.log(len(set(TEXT))) for event in validated)
    assert "held-out" in finished.err
    best = read_checkpoint(only_run(here) / "checkpoints" / "best.safetensors")
    assert best.metadata["update"] in {event["update"] for event in validated}


def test_the_same_seed_gives_the_same_state(here: Path) -> None:
    settings = ["--chunks", "random", "--optimizer", "rmsprop", "--dtype", "float64", "--seed", "7"]
    for name in ("one", "two"):
        assert charrnn(here, "train", "book.txt", "--name", name, *settings, *SMALL).code == 0
    one, two = (events(here / "runs" / name)[-1]["state_sha256"] for name in ("one", "two"))
    assert one == two


# -- at a terminal -----------------------------------------------------------------------------------------


def test_a_terminal_shows_a_bar_and_gets_its_cursor_back(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *SMALL) as terminal:
        run = run_path(terminal.process)
        assert terminal.finish() == 0
    assert "━" in terminal.text
    assert "updates/s" in terminal.text
    assert "\x1b[?25l" in terminal.text
    assert cursor_is_shown(terminal.text)
    assert of_type(run, "sample")[0]["text"].split("\n")[0] in terminal.text
    assert_saved(run)


def test_quiet_shows_nothing_at_a_terminal(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", "--quiet", *SMALL) as terminal:
        assert terminal.finish() == 0
    assert terminal.text == ""


def test_no_color_at_a_terminal_gives_no_colours(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *SMALL, NO_COLOR="1") as terminal:
        assert terminal.finish() == 0
    assert "updates/s" in terminal.text
    assert COLOUR.findall(terminal.text) == []
    assert cursor_is_shown(terminal.text)


def test_the_list_of_bundled_texts_does_not_depend_on_the_directory(here: Path) -> None:
    (here / "python").mkdir()
    (here / "tales").write_text("mine", encoding="utf-8")
    listed = charrnn(here, "corpora")
    assert listed.code == 0
    assert "226,213" in listed.out
