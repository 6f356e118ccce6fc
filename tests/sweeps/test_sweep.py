"""`charrnn sweep` as a user runs it: on the cores of this machine, interrupted, killed, and gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from charrnn_core.errors import RunDirectoryError
from charrnn_core.sweeps.directory import SweepDirectory
from charrnn_core.sweeps.following import SweepFollower, groups_of
from charrnn_tui.cli import run
from tests.faults.mounts import mounted
from tests.program import (
    PATIENCE,
    TEXT,
    assert_saved,
    charrnn,
    cursor_is_shown,
    in_shell,
    of_type,
    on_terminal,
    run_path,
    searched_first,
    started,
    stopped,
    until,
)
from tests.sweeps.programs import (
    TINY,
    assert_once,
    is_gone,
    rows_of,
    slots_of,
    states_alone,
    states_of,
    updates_of,
)

GRID = [
    "--vary",
    "hidden=4,6",
    "--vary",
    "learning_rate=0.05,0.1",
    "--seq-length",
    "5",
    "--sample-every",
    "none",
]
LONG = [*GRID, "--updates", "6000", "--name", "long"]
"""A second or two of work, the same each time."""

ENDLESS = [*GRID, "--updates", "none", "--seconds", "300", "--name", "long"]

DIVERGING = (
    "--hidden 50 --seq-length 5 --updates 3000 --learning-rate 1000 --init-std 10 --beta1 0.999 --beta2 0 "
    "--epsilon 1e-30 --clip none --sample-every none"
).split()
"""With Adam."""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The last states of the trials of `LONG`, where nothing interrupts them."""
    where = tmp_path_factory.mktemp("whole")
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    done = charrnn(where, "sweep", "book.txt", *LONG, "--quiet")
    assert done.code == 0, done.err
    return states_of(where / "runs" / "long")


def test_each_trial_ends_like_the_same_run_made_alone(here: Path) -> None:
    done = charrnn(
        here, "sweep", "book.txt", "--vary", "hidden=4,6", *TINY[2:], "--seeds", "2", "--updates", "60"
    )
    assert done.code == 0, done.err
    path = Path(done.out.strip())
    assert done.out == f"{path}\n"
    assert path.parent == here / "runs" and path.name.endswith("-book-sweep")
    assert "4 trials: 2 hidden × 2 seeds" in done.err
    rows = rows_of(path)
    assert {row.state for row in rows.values()} == {"ended"}
    assert len(rows) == 4
    assert states_of(path) == states_alone(here, path)
    (first, *_) = groups_of(rows.values())
    assert f"{first.mean:.4f} ± {first.deviation:.4f}  hidden {first.values['hidden']}" in done.err


def test_started_again_it_repeats_nothing_and_adds_what_is_new(here: Path) -> None:
    asked = ["sweep", "book.txt", "--vary", "hidden=4,6", "--updates", "30", *TINY[2:]]
    first = charrnn(here, *asked)
    path = Path(first.out.strip())
    before = {file: file.read_bytes() for file in path.glob("*/*.jsonl")}
    for again in (
        charrnn(here, *asked),
        charrnn(here, "sweep", path.name[:10]),
        charrnn(here, "sweep", str(path)),
    ):
        assert (again.code, again.out) == (0, first.out)
        assert "2 of 2 trials are done already" in again.err
    assert {file: file.read_bytes() for file in path.glob("*/*.jsonl")} == before
    more = [*asked[:2], "--vary", "hidden=4,5,6", *asked[4:], "--name", path.name]
    added = charrnn(here, *more)
    assert added.code == 0 and "2 of 3 trials are done already" in added.err
    assert len(rows_of(path)) == 3
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.slow
def test_other_options_make_another_sweep_and_under_its_name_are_refused(here: Path) -> None:
    asked = ["sweep", "book.txt", "--vary", "hidden=4,6", *TINY[2:], "--name", "mine"]
    assert charrnn(here, *asked, "--updates", "30").code == 0
    refused = charrnn(here, *asked, "--updates", "31")
    assert (
        refused.code == 2
        and "has --updates 30, and not 31" in refused.err
        and "another --name" in refused.err
    )
    (here / "other.txt").write_text(TEXT[::-1], encoding="utf-8")
    refused = charrnn(here, "sweep", "other.txt", *asked[2:], "--updates", "30")
    assert refused.code == 2 and "another text" in refused.err
    refused = charrnn(here, "sweep", "mine", "--seeds", "0")
    assert refused.code == 2 and "--seeds" in refused.err
    assert {path.name for path in (here / "runs").iterdir()} == {"mine"}


@pytest.mark.slow
def test_more_seeds_are_added_to_a_sweep_that_began_with_one(here: Path) -> None:
    asked = [
        "sweep",
        "book.txt",
        "--vary",
        "hidden=4,6",
        *TINY[2:],
        "--updates",
        "20",
        "--name",
        "mine",
        "--quiet",
    ]
    path = here / "runs" / "mine"
    for seeds, names in (("1", {""}), ("2", {"", "_seed-1"}), ("3", {"", "_seed-1", "_seed-2"})):
        done = charrnn(here, *asked, "--seeds", seeds, "--quiet")
        assert done.code == 0, done.err
        assert set(rows_of(path)) == {f"hidden-{m}{name}" for m in (4, 6) for name in names}
    rows = rows_of(path)
    assert [rows[name].trial.settings.seed for name in sorted(rows)] == [0, 1, 2, 0, 1, 2]
    assert {row.state for row in rows.values()} == {"ended"}


@pytest.mark.slow
def test_a_text_that_has_moved_is_found_again(here: Path) -> None:
    asked = ["--vary", "hidden=4,6", *TINY[2:], "--updates", "20", "--name", "mine", "--quiet"]
    assert charrnn(here, "sweep", "book.txt", *asked).code == 0
    (here / "book.txt").rename(here / "moved.txt")
    refused = charrnn(here, "sweep", "mine")
    assert refused.code == 2 and "--corpus" in refused.err
    asked[1] = "hidden=4,5,6"
    done = charrnn(here, "sweep", "moved.txt", *asked)
    assert done.code == 0, done.err
    assert charrnn(here, "sweep", "mine", "--corpus", "moved.txt", "--quiet").code == 0
    (here / "moved.txt").write_text(TEXT + "x", encoding="utf-8")
    refused = charrnn(here, "sweep", "mine", "--corpus", "moved.txt")
    assert refused.code == 2 and refused.err.count("\n") == 1
    # One from standard input has its text with it, wherever it is moved.
    given = charrnn(here, "sweep", "-", *asked[:-3], "--name", "given", given=TEXT.encode())
    assert given.code == 0, given.err
    (here / "runs" / "given").rename(here / "elsewhere")
    shutil.rmtree(here / "elsewhere" / "hidden-5")
    done = charrnn(here, "sweep", "./elsewhere")
    assert done.code == 0, done.err
    assert rows_of(here / "elsewhere")["hidden-5"].state == "ended"


@pytest.mark.slow
def test_a_trial_that_was_gone_on_with_counts_as_it_was_at_its_end(here: Path) -> None:
    asked = ["sweep", "book.txt", "--vary", "hidden=4,6", *TINY[2:], "--updates", "200", "--name", "mine"]
    assert charrnn(here, *asked).code == 0
    path = here / "runs" / "mine"
    before = {name: row.loss for name, row in rows_of(path).items()}
    assert charrnn(here, "resume", "mine/hidden-4", "--updates", "400", "--quiet").code == 0
    with started(here, "resume", str(path / "hidden-6"), "--updates", "9000000") as process:
        run_path(process)
        until(lambda: updates_of(path) > 1000)
        stopped(process, signal.SIGTERM)
    rows = rows_of(path)
    assert {name: (row.state, row.update, row.loss) for name, row in rows.items()} == {
        name: ("ended", 200, loss) for name, loss in before.items()
    }
    again = charrnn(here, *asked)
    assert again.code == 0 and "2 of 2 trials are done already" in again.err


@pytest.mark.slow
def test_ctrl_z_stops_what_trains_too(here: Path) -> None:
    with started(here, "sweep", "book.txt", *ENDLESS, start_new_session=True) as process:
        path = run_path(process)
        until(lambda: updates_of(path) > 100)
        slots = slots_of(process.pid)
        process.send_signal(signal.SIGTSTP)
        until(lambda: all(state_of(each) == "T" for each in [process.pid, *slots]))
        process.send_signal(signal.SIGCONT)
        until(lambda: all(state_of(slot) in "RSD" for slot in slots))
        assert stopped(process, signal.SIGTERM)[0] == 128 + signal.SIGTERM


def state_of(process: int) -> str:
    """Return the letter for what a process does."""
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_all_trials_and_the_same_command_goes_on(
    here: Path, whole: dict[str, str], number: signal.Signals
) -> None:
    path = here / "runs" / "long"
    with started(here, "sweep", "book.txt", *LONG) as process:
        run_path(process)
        until(lambda: updates_of(path) > 300)
        slots = slots_of(process.pid)
        code, err = stopped(process, number)
    assert code == 128 + number, err
    assert err.endswith("to go on: charrnn sweep runs/long\n")
    assert len(slots) == 2 and all(map(is_gone, slots))
    begun = [row for row in rows_of(path).values() if row.state != "waiting"]
    assert 0 < len(begun)
    for row in begun:
        assert_saved(path / row.trial.name)
    again = charrnn(here, "sweep", "book.txt", *LONG, "--quiet")
    assert again.code == 0, again.err
    assert states_of(path) == whole
    assert_once(path)


@pytest.mark.slow
def test_after_sigkill_its_processes_end_and_the_sweep_goes_on(here: Path, whole: dict[str, str]) -> None:
    path = here / "runs" / "long"
    with started(here, "sweep", "book.txt", *LONG) as process:
        run_path(process)
        until(lambda: updates_of(path) > 300)
        slots = slots_of(process.pid)
        process.kill()
        process.wait(PATIENCE)
        until(lambda: all(map(is_gone, slots)), lambda: "a process that trains is left")
    again = charrnn(here, "sweep", "long", "--quiet")
    assert again.code == 0, again.err
    assert states_of(path) == whole
    assert_once(path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_trial_whose_process_is_killed_goes_on(
    here: Path, whole: dict[str, str], number: signal.Signals
) -> None:
    path = here / "runs" / "long"
    with started(here, "sweep", "book.txt", *LONG) as process:
        run_path(process)
        until(lambda: updates_of(path) > 300)
        os.kill(slots_of(process.pid)[0], number)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert states_of(path) == whole
    assert_once(path)


@pytest.mark.slow
def test_whatever_was_left_of_a_trial_that_was_hardly_begun_is_no_hindrance(here: Path) -> None:
    asked = ["sweep", "book.txt", *GRID, "--updates", "20", "--name", "torn"]
    assert charrnn(here, *asked).code == 0
    path = here / "runs" / "torn"
    whole = states_of(path)
    left = {
        "hidden-4_learning-rate-0.05": [],
        "hidden-4_learning-rate-0.1": [".lock", "events.jsonl"],
        "hidden-6_learning-rate-0.05": [".lock", "events.jsonl", "config.json"],
        "hidden-6_learning-rate-0.1": [
            ".lock",
            "config.json",
            "events.jsonl",
            "checkpoints/last.safetensors",
        ],
    }
    for name, kept in left.items():
        for file in [each for each in (path / name).rglob("*") if each.is_file()]:
            if str(file.relative_to(path / name)) not in kept:
                file.unlink()
        log = path / name / "events.jsonl"
        if log.exists():
            *begun, ended, _ = log.read_bytes().split(b"\n")
            whole_lines = begun[:1] if len(kept) < 4 else begun
            log.write_bytes(b"\n".join([*whole_lines, ended[:9]]))
    (path / "hidden-4_learning-rate-0.05" / "checkpoints").rmdir()
    again = charrnn(here, *asked)
    assert again.code == 0, again.err
    assert states_of(path) == whole


@pytest.mark.slow
def test_what_diverges_is_a_row_and_what_fails_is_tried_again(here: Path) -> None:
    asked = ["sweep", "book.txt", "--vary", "optimizer=adagrad,adam", "--name", "wild", *DIVERGING]
    path = here / "runs" / "wild"
    blocked = path / "optimizer-adagrad"
    done = charrnn(here, *asked)
    assert done.code == 0, done.err
    assert {name: row.state for name, row in rows_of(path).items()} == {
        "optimizer-adagrad": "ended",
        "optimizer-adam": "diverged",
    }
    assert "1 diverged" in done.err
    # What stands in the way of a trial is its failure, and no end of the sweep.
    for file in [*blocked.rglob("*")][::-1]:
        file.rmdir() if file.is_dir() else file.unlink()
    blocked.rmdir()
    blocked.write_text("not a directory", encoding="utf-8")
    failed = charrnn(here, "sweep", "wild")
    assert failed.code == 1
    assert "1 of 2 trials failed, the first of them optimizer-adagrad" in failed.err
    assert rows_of(path)["optimizer-adagrad"].state == "failed"
    blocked.unlink()
    assert charrnn(here, "sweep", "wild").code == 0
    assert rows_of(path)["optimizer-adagrad"].state == "ended"


@pytest.mark.parametrize(
    "asked",
    [
        [],
        ["--vary", "hidden"],
        ["--vary", "hidden=0,5"],
        ["--vary", "nonsense=1"],
        ["--vary", "hidden=1:9:log"],
        ["--vary", "hidden=4,6", "--hidden", "5"],
        ["--vary", "seq_length=5,100000"],
        ["--seeds", "0"],
        ["--vary", "hidden=4,1000000"],
        ["--vary", "held_out=0,0.0001"],
        ["--vary", "hidden=4", "--jobs", "0"],
        ["--vary", "hidden=1:9:log", "--search", "tpe"],
        ["--vary", "hidden=4,6", "--search", "guess"],
        ["--vary", "hidden=4,6", "--random", "2", "--search", "tpe"],
        ["--vary", "hidden=4,6", "--random", "3"],
        ["--vary", "hidden=4,6", "--dask", "tcp://127.0.0.1:1", "--jobs", "2"],
        ["--seeds", "2", "--name", "../x"],
        ["--vary", "hidden=4,\x1b[31m6"],
        ["--seeds", "100001"],
    ],
    ids=" ".join,
)
def test_what_is_not_possible_is_refused_before_anything_is_made(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    monkeypatch.chdir(here)
    assert_refused(capsys, ["sweep", "book.txt", *asked])
    assert not (here / "runs").exists()


def assert_refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Check that a command is refused in a sentence, and return that."""
    code = run(arguments)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("charrnn: ") and err.count("\n") == 1
    assert "\x1b" not in err
    return err


@pytest.mark.slow
def test_a_file_says_what_is_to_be_done_and_options_go_before_it(here: Path) -> None:
    (here / "spec.toml").write_text(
        'corpus = "book.txt"\nname = "file"\nseeds = 2\n[settings]\nupdates = 20\nseq_length = 5\n'
        "[vary]\nhidden = [4, 6]\n"
    )
    done = charrnn(here, "sweep", "spec.toml", "--updates", "10", "--json")
    assert done.code == 0, done.err
    told = [json.loads(line) for line in done.out.splitlines()]
    assert {(row["hidden"], row["seed"], row["update"], row["state"]) for row in told} == {
        (4, 0, 10, "ended"), (4, 1, 10, "ended"), (6, 0, 10, "ended"), (6, 1, 10, "ended"),
    }  # fmt: skip
    assert {run.parent.name for run in (here / "runs" / "file").glob("*/config.json")} == {
        row["trial"] for row in told
    }


@pytest.mark.slow
@pytest.mark.parametrize("source", ["book.txt", "-"])
def test_trials_read_a_text_where_it_has_moved(here: Path, source: str) -> None:
    asked = ("sweep", source, "--vary", "hidden=3,4", "--updates", "10", *TINY[2:], "--name", "mine")
    assert charrnn(here, *asked, given=TEXT.encode()).code == 0
    text = here / "runs" / "mine" / "corpus.txt" if source == "-" else here / "book.txt"
    text.rename(here / "moved.txt")
    shutil.rmtree(here / "runs" / "mine" / "hidden-4")
    done = charrnn(here, "sweep", "mine", "--corpus", "moved.txt", "--quiet")
    assert done.code == 0, done.err
    assert len(rows_of(here / "runs" / "mine")) == 2


@pytest.mark.slow
def test_drawn_settings_and_a_text_from_standard_input(here: Path) -> None:
    asked = [
        "sweep",
        "-",
        "--vary",
        "hidden=3:9:lin",
        "--random",
        "3",
        "--updates",
        "10",
        *TINY[2:],
        "--name",
        "in",
    ]
    done = charrnn(here, *asked, given=TEXT.encode())
    assert done.code == 0, done.err
    path = here / "runs" / "in"
    assert (path / "corpus.txt").read_text(encoding="utf-8") == TEXT
    assert len(rows_of(path)) == 3
    assert not list(path.glob("*/corpus.txt")), "one text is enough for all"
    again = charrnn(here, *asked, given=TEXT.encode())
    assert again.code == 0 and "3 of 3 trials are done already" in again.err
    trial = next(path.glob("*/config.json")).parent
    on = charrnn(here, "resume", str(trial), "--updates", "20", "--quiet")
    assert on.code == 0, on.err


@pytest.mark.slow
def test_a_trial_is_a_run_like_any_other_and_no_newest_one(here: Path) -> None:
    assert charrnn(here, "train", "book.txt", *TINY, "--updates", "10", "--name", "alone").code == 0
    done = charrnn(
        here, "sweep", "book.txt", "--vary", "hidden=4,6", "--updates", "10", *TINY[2:], "--name", "many"
    )
    assert done.code == 0
    listed = charrnn(here, "runs")
    assert "alone" in listed.out and "hidden-4" not in listed.out
    assert "many" in listed.err
    trials = charrnn(here, "runs", "--runs", "runs/many")
    assert "hidden-4" in trials.out and "hidden-6" in trials.out
    for command in (["sample", "runs/many/hidden-4", "-n", "5"], ["export", "runs/many/hidden-4"]):
        assert charrnn(here, *command).code == 0
    newest = charrnn(here, "sample", "-n", "5", "--json").out
    alone = charrnn(here, "sample", "alone", "-n", "5", "--json").out
    assert json.loads(newest)["state_sha256"] == json.loads(alone)["state_sha256"]


@pytest.mark.slow
def test_two_sweeps_at_once_keep_out_of_each_others_way(here: Path) -> None:
    with started(here, "sweep", "book.txt", *ENDLESS) as process:
        path = run_path(process)
        until(lambda: updates_of(path) > 100)
        refused = charrnn(here, "sweep", "long")
        assert refused.code == 2 and f"process {process.pid}" in refused.err
        trial = next(row.trial.name for row in rows_of(path).values() if row.state == "training")
        taken = charrnn(here, "resume", str(path / trial))
        assert taken.code == 2 and "being trained" in taken.err
        stopped(process, signal.SIGTERM)


@pytest.mark.slow
def test_a_trial_that_somebody_stops_is_left_to_be_gone_on_with(here: Path) -> None:
    with started(here, "sweep", "book.txt", *LONG, "--updates", "16000", "--jobs", "1") as process:
        path = run_path(process)
        until(lambda: updates_of(path) > 500)
        trial = next(row.trial.name for row in rows_of(path).values() if row.state == "training")
        assert charrnn(here, "command", str(path / trial), "stop").code == 0
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert b"1 of 4 trials was stopped before their end" in err
    assert rows_of(path)[trial].state == "interrupted"


@pytest.mark.slow
def test_a_full_disk_fails_trials_and_afterwards_the_sweep_goes_on(here: Path) -> None:
    asked = ["sweep", "book.txt", *GRID, "--updates", "400", "--runs", "small/runs", "--name", "full"]
    with mounted(here / "small", "-t", "tmpfs", "-o", "size=1500k", "none") as small:
        (small / "ballast").write_bytes(bytes(1_300_000))
        failed = charrnn(here, *asked)
        assert failed.code == 1, failed.err
        assert "Traceback" not in failed.err
        assert "No space left" in failed.err
        (small / "ballast").unlink()
        again = charrnn(here, *asked)
        assert again.code == 0, again.err
        assert_once(small / "runs" / "full")


def test_on_a_terminal_a_table_that_leaves_nothing_behind(here: Path) -> None:
    with on_terminal(here, "sweep", "book.txt", *ENDLESS) as terminal:
        terminal.read_until("training")
        terminal.read_until("of 4 trials done")
        terminal.type(b"\x03")
        assert terminal.finish() == 130
        assert cursor_is_shown(terminal.text)
    assert "nats/char" in terminal.text
    assert "to go on: charrnn sweep runs/long" in terminal.text
    assert "Traceback" not in terminal.text


def is_stopping(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a process no longer holds the ends of the pipes to those that train for it."""
    pipes = [str(file.readlink()) for file in Path(f"/proc/{process.pid}/fd").iterdir()]
    return sum(pipe.startswith("pipe:") for pipe in pipes) <= 4  # stdout and stderr, and two to read from


HELD = """
import os, time
from pathlib import Path
really = os.fsync
def fsync(descriptor):
    while Path("held").exists():
        time.sleep(0.01)
    really(descriptor)
os.fsync = fsync
"""


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once_and_the_trials_by_themselves(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "path").mkdir()
    (here / "path" / "sitecustomize.py").write_text(HELD, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", searched_first(here / "path"))
    with started(here, "sweep", "book.txt", *ENDLESS) as process:
        path = run_path(process)
        until(lambda: updates_of(path) > 100)
        slots = slots_of(process.pid)
        (here / "held").touch()  # no save ends
        process.send_signal(signal.SIGINT)
        until(lambda: is_stopping(process))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert not any(map(is_gone, slots))
        (here / "held").unlink()
        until(lambda: all(map(is_gone, slots)))
    for row in rows_of(path).values():
        if row.state != "waiting":
            assert_saved(path / row.trial.name)


@pytest.mark.slow
def test_a_reader_that_goes_away_stops_the_sweep_cleanly(here: Path) -> None:
    done = in_shell('set -o pipefail; "$@" | head -1', here, "sweep", "book.txt", *LONG, "--json")
    assert done.code == 141 or done.code == 0
    assert "Traceback" not in done.err
    path = here / "runs" / "long"
    assert all(of_type(path / name, "ended") for name, row in rows_of(path).items() if row.state != "waiting")


@pytest.mark.parametrize(
    "told",
    [b"", b"{", b"[]", b"{}", b'{"corpus": {}, "vary": {"hidden": [0]}}', b"\xff", b"[" * 100_000],
    ids=range(7),
)
def test_what_is_no_sweep_is_a_sentence(tmp_path: Path, told: bytes) -> None:
    (tmp_path / "sweep.json").write_bytes(told)
    with pytest.raises(RunDirectoryError) as refusal:
        SweepFollower(SweepDirectory(tmp_path))
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize(
    "subject", ["nonsense", "no/such.txt", ".", "", "x" * 5000, "nonsense.toml", "\x1b[31m"]
)
def test_what_is_neither_a_text_nor_a_sweep_is_a_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], subject: str
) -> None:
    monkeypatch.chdir(here)
    for more in ([], ["--seeds", "2"]):
        assert "varies" not in assert_refused(capsys, ["sweep", subject, *more])
    assert not (here / "runs").exists()


def test_a_damaged_sweep_is_refused_in_a_sentence(here: Path) -> None:
    path = here / "runs" / "bad"
    path.mkdir(parents=True)
    (path / "sweep.json").write_bytes(b"{")
    done = charrnn(here, "sweep", "bad")
    assert done.code == 2
    assert done.err.startswith("charrnn: ") and done.err.count("\n") == 1, done.err
