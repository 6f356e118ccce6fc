"""`charrnn train` and `charrnn corpora`, run as a user runs them: in a shell, a pipe, a terminal."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_tui.cli import COMMANDS

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
TEXT = "the cat sat on the mat and the dog sat on the log.\n" * 60
SMALL = ["--updates", "30", "--hidden", "8", "--seq-length", "5", "--sample-length", "20"]
ENDLESS = [*SMALL, "--updates", "none", "--seconds", "300"]
DIVERGING = (
    "--hidden 50 --seq-length 5 --updates 3000 --optimizer adam --learning-rate 1000 --init-std 10 "
    "--beta1 0.999 --beta2 0 --epsilon 1e-30 --clip none"
).split()
PATIENCE = 20.0  # seconds until something that should have happened counts as hanging
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


# -- helpers -----------------------------------------------------------------------------------------------


def environment(**changes: str) -> dict[str, str]:
    """Return the environment without what would change the program's output, and with `changes`."""
    unwanted = {"NO_COLOR", "FORCE_COLOR", "CHARRNN_RUNS", "COLUMNS", "LINES", "PYTHONWARNINGS"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "TERM": "xterm", "OPENBLAS_NUM_THREADS": "1", **changes}


def searched_first(folder: Path) -> str:
    """Return a PYTHONPATH with this folder before what it has now."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def charrnn(where: Path, *arguments: str, given: bytes = b"", **changes: str) -> Finished:
    """Run the program to its end, with pipes for its three streams."""
    process = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=where,
        env=environment(**changes),
        input=given,
        capture_output=True,
        timeout=PATIENCE,
    )
    return Finished(process.returncode, process.stdout.decode(), process.stderr.decode())


@contextmanager
def started(where: Path, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program, and kill it at the end if it still runs."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    command = options.pop("command", PROGRAM)
    with subprocess.Popen([*command, *arguments], cwd=where, env=environment(), **options) as process:
        try:
            yield process
        finally:
            process.kill()


def run_path(process: subprocess.Popen[bytes]) -> Path:
    """Return the path that a process prints first."""
    assert process.stdout is not None
    return Path(process.stdout.readline().decode().rstrip("\n"))


def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def events(run: Path) -> list[dict[str, Any]]:
    """Return the events in whole lines of a run's log."""
    log = run / "events.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def of_type(run: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in events(run) if event["type"] == kind]


def only_run(where: Path) -> Path:
    (run,) = (where / "runs").iterdir()
    return run


def updates_done(run: Path) -> int:
    return max((int(event["update"]) for event in events(run)), default=0)


def is_training(run: Path) -> bool:
    return updates_done(run) > 0


def assert_saved(run: Path) -> None:
    """The last event is `ended`, and `last` is the state that it names."""
    ended = events(run)[-1]
    assert ended["type"] == "ended"
    assert read_checkpoint(run / "checkpoints" / "last.safetensors").state_sha256 == ended["state_sha256"]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


@dataclass
class Terminal:
    """A terminal of 24 lines and 80 columns with a program in it.

    Its stderr, and where asked for its stdout, are the terminal; and so is its standard input.
    """

    master: int
    process: subprocess.Popen[bytes]
    seen: bytearray = field(default_factory=bytearray)
    closed: bool = False

    @property
    def text(self) -> str:
        return self.seen.decode(errors="replace")

    def read_until(self, pattern: str | None, since: int = 0) -> None:
        """Read until a pattern was seen after `since` bytes, or, without one, until the end."""
        wanted = None if pattern is None else re.compile(pattern.encode())
        deadline = time.monotonic() + PATIENCE
        while wanted is None or not wanted.search(self.seen, since):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.text[-500:]!r}"
            if not select.select([self.master], [], [], 0.1)[0]:
                continue
            try:
                block = os.read(self.master, 65536)
            except OSError:  # Linux says EIO where others say end of file
                block = b""
            if not block:
                assert pattern is None, f"ended without {pattern!r}: {self.text[-500:]!r}"
                return
            self.seen += block

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def close(self) -> None:
        """Close the terminal's window."""
        if not self.closed:
            self.closed = True
            os.close(self.master)

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        self.read_until(None)
        return self.process.wait(PATIENCE)


@contextmanager
def on_terminal(
    where: Path,
    *arguments: str,
    controlling: bool = True,
    out_too: bool = False,
    command: list[str] | None = None,
    **changes: str,
) -> Iterator[Terminal]:
    """Run the program in a terminal of its own, killed at the end if it still runs."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    process = subprocess.Popen(
        [*(command or PROGRAM), *arguments],
        cwd=where,
        env=environment(**changes),
        stdin=slave,
        stdout=slave if out_too else subprocess.PIPE,
        stderr=slave,
        start_new_session=True,
        # Ctrl+C and hanging up reach those whose controlling terminal it is.
        preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None,
    )
    os.close(slave)
    terminal = Terminal(master, process)
    try:
        with process:
            try:
                yield terminal
            finally:
                process.kill()
    finally:
        terminal.close()


def cursor_is_shown(text: str) -> bool:
    return text.rfind("\x1b[?25h") >= text.rfind("\x1b[?25l")


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


# -- signals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_signal_saves_and_is_recorded(here: Path, number: signal.Signals) -> None:
    with started(here, "train", "book.txt", *ENDLESS) as process:
        run = run_path(process)
        until(lambda: is_training(run))
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert b"Traceback" not in err
    assert number.name in events(run)[-1]["reason"]
    assert (run / "checkpoints" / "last.safetensors").exists()
    assert_saved(run)


def test_a_second_signal_ends_it_at_once(here: Path) -> None:
    (here / "long.txt").write_text(TEXT * 4, encoding="utf-8")
    # One update takes about half a second, so that the second signal finds the first one not yet obeyed.
    slow = ["--hidden", "700", "--seq-length", "8000", "--sample-every", "none"]
    with started(here, "train", "long.txt", *slow) as process:
        run = run_path(process)
        until((run / "checkpoints" / "last.safetensors").exists)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (130, 143)
    assert b"Traceback" not in err
    assert events(run)[-1]["type"] != "ended"
    read_checkpoint(run / "checkpoints" / "last.safetensors")


def test_a_hang_up_that_the_caller_ignores_stays_ignored(here: Path) -> None:
    nohup = ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *PROGRAM]
    with started(here, "train", "book.txt", *ENDLESS, command=nohup) as process:
        run = run_path(process)
        until(lambda: is_training(run))
        process.send_signal(signal.SIGHUP)
        sent_at = updates_done(run)
        until(lambda: updates_done(run) > sent_at + 1000 or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert events(run)[-1]["reason"] == "signal SIGTERM", "nohup does not protect the run"


def test_a_run_whose_path_was_printed_records_how_it_ended(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.process.send_signal(signal.SIGTERM)
        code = terminal.finish()
    assert code == 143
    assert [event["type"] for event in events(run)[-1:]] == ["ended"]


INTERRUPT = "__import__('os').kill(__import__('os').getpid(), __import__('signal').SIGINT)"
IN_A_CLASS = f"class Name:\n    def __set_name__(self, *_): {INTERRUPT}; 1\nclass Library:\n    name = Name()"
"""Where Python 3.11 turns KeyboardInterrupt into RuntimeError: NumPy has such classes."""


@pytest.mark.parametrize(
    ("module", "code"),
    [("typer", INTERRUPT), ("numpy", INTERRUPT), ("threadpoolctl", INTERRUPT), ("numpy", IN_A_CLASS)],
    ids=["typer", "numpy", "threadpoolctl", "inside NumPy"],
)
def test_ctrl_c_while_it_starts_is_no_traceback(here: Path, module: str, code: str) -> None:
    stand_in = here / "path" / f"{module}.py"
    stand_in.parent.mkdir()
    stand_in.write_text(f"{code}\nraise ImportError('not interrupted')\n", encoding="utf-8")
    finished = charrnn(here, "train", "book.txt", *SMALL, PYTHONPATH=searched_first(stand_in.parent))
    assert finished.err == ""
    assert finished.code in (130, -signal.SIGINT)


def test_ctrl_c_while_it_reads_standard_input(here: Path) -> None:
    with started(here, "train", "-", *SMALL, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(TEXT.encode() * 300)  # more than a pipe holds: some is read when this returns
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert code in (130, -signal.SIGINT)
    assert not (here / "runs").exists()


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


def test_ctrl_c_at_a_terminal_saves_and_gives_the_cursor_back(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.type(b"\x03")
        assert terminal.finish() == 130
    assert "Traceback" not in terminal.text
    assert cursor_is_shown(terminal.text)
    assert events(run)[-1]["reason"] == "signal SIGINT"
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


def test_a_dumb_terminal_gets_no_escape_codes(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *SMALL, out_too=True, TERM="dumb") as terminal:
        assert terminal.finish() == 0
    assert "\x1b" not in terminal.text
    assert str(only_run(here)) in terminal.text.replace("\r\n", "")
    assert "update 0" in terminal.text


@pytest.mark.parametrize("size", [(1, 1), (0, 0)], ids=str)
def test_a_terminal_of_any_size(here: Path, size: tuple[int, int]) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        termios.tcsetwinsize(terminal.master, size)
        terminal.read_until(r"\x1b\[2K", since=len(terminal.seen))
        terminal.type(b"\x03")
        assert terminal.finish() == 130
    assert "Traceback" not in terminal.text
    assert cursor_is_shown(terminal.text)
    assert_saved(run)


def test_closing_the_terminal_is_a_hang_up(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.close()
        code = terminal.process.wait(PATIENCE)
    assert events(run)[-1]["reason"] == "signal SIGHUP"
    assert_saved(run)
    assert code == 129


def test_a_terminal_that_goes_away_does_not_stop_training(here: Path) -> None:
    """As after `disown`: the terminal is gone, but nobody sends SIGHUP."""
    with on_terminal(here, "train", "book.txt", *ENDLESS, controlling=False) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.close()
        gone_at = updates_done(run)
        until(lambda: updates_done(run) > gone_at + 20_000 or terminal.process.poll() is not None)
        terminal.process.send_signal(signal.SIGTERM)
        code = terminal.process.wait(PATIENCE)
    assert [event["type"] for event in events(run)[-1:]] == ["ended"], "a view that failed ended the run"
    assert_saved(run)
    assert code == 143


SHELL = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
if sys.argv[1] == "ignore":
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
job = subprocess.Popen(sys.argv[2:], process_group=0)
os.tcsetpgrp(0, job.pid)
_, status = os.waitpid(job.pid, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.write(1, b"[stopped]")
    os.kill(job.pid, signal.SIGCONT)
    _, status = os.waitpid(job.pid, 0)
os.write(1, b"[code %d]" % os.waitstatus_to_exitcode(status))
"""
"""A shell with job control that does nothing but one `fg`."""


def test_ctrl_z_and_fg(here: Path) -> None:
    shell = [sys.executable, "-c", SHELL, "", *PROGRAM]
    with on_terminal(here, "train", "book.txt", *ENDLESS, command=shell, out_too=True) as terminal:
        terminal.read_until("updates/s")
        terminal.type(b"\x1a")
        terminal.read_until(r"\[stopped\]")
        while_stopped = terminal.text.partition("[stopped]")[0]
        terminal.read_until("updates/s", since=len(terminal.seen))
        terminal.type(b"\x03")
        terminal.read_until(r"\[code \d+\]")
    assert "[code 130]" in terminal.text
    assert_saved(only_run(here))
    assert cursor_is_shown(terminal.text)
    assert cursor_is_shown(while_stopped), "Ctrl+Z leaves the shell without a cursor"


def test_ctrl_z_that_the_caller_ignores_stays_ignored(here: Path) -> None:
    shell = [sys.executable, "-c", SHELL, "ignore", *PROGRAM]
    with on_terminal(here, "train", "book.txt", *ENDLESS, command=shell, out_too=True) as terminal:
        terminal.read_until("updates/s")
        terminal.type(b"\x1a")
        terminal.read_until("updates/s", since=len(terminal.seen))
        terminal.type(b"\x03")
        terminal.read_until(r"\[code \d+\]")
    assert "[stopped]" not in terminal.text
    assert "[code 130]" in terminal.text


def test_a_stop_after_the_terminal_has_gone_does_not_end_training(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *ENDLESS, controlling=False) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.close()
        for _ in range(3):  # at different moments
            terminal.process.send_signal(signal.SIGTSTP)
            sent_at = updates_done(run)
            until(lambda before=sent_at: updates_done(run) > before or terminal.process.poll() is not None)
        terminal.process.send_signal(signal.SIGTERM)
        code = terminal.process.wait(PATIENCE)
    assert [event["type"] for event in events(run)[-1:]] == ["ended"]
    assert code == 143


def test_ctrl_z_where_no_shell_could_continue_it(here: Path) -> None:
    """As in `ssh -t host charrnn train`: the system itself then ignores Ctrl+Z, and so must the program."""
    with on_terminal(here, "train", "book.txt", *ENDLESS) as terminal:
        run = run_path(terminal.process)
        terminal.read_until("updates/s")
        terminal.type(b"\x1a")
        pressed_at = len(terminal.seen)
        terminal.read_until("(?s)updates/s.*updates/s", since=pressed_at)
        terminal.type(b"\x03")
        assert terminal.finish() == 130
    assert_saved(run)


INTERRUPTED_AT_THE_END = """
import os, signal
from pathlib import Path
really = os.fsync
def fsync(descriptor):
    really(descriptor)
    logs = list(Path("runs").glob("*/events.jsonl"))
    if logs and '"type":"ended"' in logs[0].read_text(encoding="utf-8"):
        os.kill(os.getpid(), signal.SIGINT)
os.fsync = fsync
"""


def test_ctrl_c_when_the_run_has_just_ended_gives_the_cursor_back(here: Path) -> None:
    """As with an impatient second Ctrl+C."""
    (here / "path").mkdir()
    (here / "path" / "sitecustomize.py").write_text(INTERRUPTED_AT_THE_END, encoding="utf-8")
    with on_terminal(here, "train", "book.txt", *SMALL, PYTHONPATH=searched_first(here / "path")) as terminal:
        run = run_path(terminal.process)
        assert terminal.finish() in (0, 130, -signal.SIGINT)
    assert "Traceback" not in terminal.text
    assert_saved(run)
    assert cursor_is_shown(terminal.text)


def test_the_list_of_bundled_texts_does_not_depend_on_the_directory(here: Path) -> None:
    (here / "python").mkdir()
    (here / "tales").write_text("mine", encoding="utf-8")
    listed = charrnn(here, "corpora")
    assert listed.code == 0
    assert "226,213" in listed.out
