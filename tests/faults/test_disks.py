"""Places for runs that refuse, and disks that fill up: an error at the start, or a warning and no loss."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.checkpoint import newest_checkpoint, read_checkpoint
from charrnn_core.runs.directory import RunDirectory
from tests.faults.checkpoints import half_made
from tests.faults.ledger import waited
from tests.faults.mounts import mounted
from tests.faults.promises import assert_harmless
from tests.program import (
    PATIENCE,
    PROGRAM,
    SMALL,
    TEXT,
    Finished,
    charrnn,
    environment,
    events,
    finish,
    in_shell,
    without_privileges,
)

pytestmark = pytest.mark.fault("disk")

# -- places ------------------------------------------------------------------------------------------------


def assert_place_refused(finished: Finished, *words: str) -> None:
    waited(finished.seconds)
    assert finished.code in (1, 2)
    assert finished.err.count("\n") == 1, finished.err
    assert_harmless(finished.err)
    assert "standard output" not in finished.err, "that is not what could not be written"
    for word in words:
        assert word in finished.err


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("runs", ["book.txt", "book.txt/x", "/proc", "/dev/null", "r" * 300], ids=str)
def test_runs_on_an_unwritable_place(here: Path, runs: str) -> None:
    finished = charrnn(here, "train", "book.txt", *SMALL, "--runs", runs)
    assert_place_refused(finished, runs)
    assert finished.code == 2
    assert finished.out == ""


def test_runs_where_nothing_may_be_written(here: Path) -> None:
    (here / "runs").mkdir(mode=0o500)
    finished = finish([*without_privileges(), *PROGRAM, "train", "book.txt", *SMALL], here)
    assert_place_refused(finished, "runs", "Permission denied")


def test_runs_is_a_link_to_nothing(here: Path) -> None:
    (here / "runs").symlink_to("nothing")
    assert_place_refused(charrnn(here, "train", "book.txt", *SMALL), "runs")


def test_the_current_directory_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    finished = in_shell('rmdir "$PWD" && exec "$@"', gone, "train", "tales", *SMALL)
    assert_place_refused(finished)


def test_a_file_size_limit_of_nothing_names_the_run(here: Path) -> None:
    finished = in_shell('ulimit -f 0 && exec "$@"', here, "train", "book.txt", "--quiet", *SMALL)
    assert_place_refused(finished, "runs/")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64k", "tmpfs") as place:
        yield place


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    ("source", "free"), [("book.txt", 0), ("book.txt", 8192), ("-", 0), ("-", 4096), ("-", 12288)]
)
def test_a_full_disk_is_an_error_at_the_start(here: Path, small_disk: Path, free: int, source: str) -> None:
    with (small_disk / "fill").open("wb") as file:
        file.write(bytes(65536 - free))
    settings = [*SMALL, "--hidden", "100", "--quiet", "--runs", str(small_disk / "runs")]
    finished = charrnn(here, "train", source, *settings, given=TEXT.encode())
    waited(finished.seconds)
    assert finished.code in (1, 2)
    assert_harmless(finished.err)
    last = finished.err.splitlines()[-1]
    assert "No space left" in last
    assert str(small_disk) in last, "the message names another place"
    assert list(small_disk.rglob(".last*")) == []


@pytest.mark.slow
def test_a_disk_that_fills_up_does_not_stop_training(here: Path, small_disk: Path) -> None:
    settings = ["--hidden", "8", "--seq-length", "5", "--updates", "2000", "--runs", str(small_disk)]
    finished = charrnn(here, "train", "book.txt", "--quiet", "--checkpoint-every", "0", *settings)
    assert finished.code in (0, 1)
    assert_harmless(finished.err)
    assert "No space left" in finished.err
    (run,) = small_disk.iterdir()
    assert [event["type"] for event in events(run)][:2] == ["started", "progress"]


def test_after_a_full_disk_log_and_stdout_are_equal(here: Path, small_disk: Path) -> None:
    endless = ["--updates", "none", "--seconds", "100", "--sample-every", "none", "--seq-length", "5"]
    command = [*PROGRAM, "train", "book.txt", "--json", "--runs", str(small_disk), "--name", "run", *endless]
    log, out = small_disk / "run" / "events.jsonl", here / "out"

    def until(file: Path, word: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not file.exists() or word not in file.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline, f"no {word} in {file}"
            time.sleep(0.01)

    (small_disk / "fill").write_bytes(bytes(48 * 1024))
    with (
        out.open("wb") as stdout,
        subprocess.Popen(
            [*command, "--hidden", "1"], cwd=here, env=environment(), stdout=stdout, stderr=subprocess.DEVNULL
        ) as process,
    ):
        try:
            until(out, '"warning"')
            subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
            until(log, '"warning"')
            process.terminate()
            assert process.wait(PATIENCE) == 143
        finally:
            process.kill()
    assert out.read_text(encoding="utf-8").splitlines() == log.read_text(encoding="utf-8").splitlines()


# -- the program, on disks that refuse ---------------------------------------------------------------------

FAST = "--hidden 8 --seq-length 5 --sample-every none --checkpoint-every 0".split()


class Training:
    """The program, as it trains into a directory that will refuse, and what it says meanwhile."""

    def __init__(
        self, where: Path, runs: Path, *, updates: int = 10**9, before: tuple[str, ...] = ()
    ) -> None:
        (where / "tide.txt").write_text(TEXT, encoding="utf-8")
        self.directory = RunDirectory(runs / "it")
        self._errors = where / "stderr.txt"
        command = [sys.executable, "-m", "charrnn_tui", "train", str(where / "tide.txt"), *FAST]
        with self._errors.open("wb") as file:
            self.process = subprocess.Popen(
                [*before, *command, "--runs", str(runs), "--name", "it", "--updates", str(updates)],
                cwd=where,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    @property
    def saved(self) -> int:
        """The update of the last checkpoint."""
        return read_checkpoint(self.directory.checkpoint_file("last").path).snapshot.update

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Look again and again until something is so; the process may not end before that."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < deadline, f"nothing happens; {self.errors}"
            time.sleep(0.002)

    def wait_for_saves(self) -> int:
        """Wait for a save after the first ones, and return its update."""
        path = self.directory.checkpoint_file("last").path
        self.wait_until(path.exists)
        first = self.saved
        self.wait_until(lambda: self.saved > first)
        return self.saved

    def end(self) -> int:
        """Ask it to stop, and return its exit code."""
        began = time.monotonic()
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        waited(time.monotonic() - began)
        return code

    def events(self) -> list[dict[str, Any]]:
        lines = self.directory.events_file.path.read_text().splitlines(keepends=True)
        assert all(line.endswith("\n") for line in lines)
        return [json.loads(line) for line in lines]

    def __enter__(self) -> Training:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()


def fill(where: Path) -> None:
    """Leave no byte of space."""
    with (where / "filler").open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def use_up_inodes(where: Path) -> None:
    (where / "many").mkdir()
    try:
        for number in range(10**6):
            (where / "many" / str(number)).touch()
    except OSError:
        return


def clear(where: Path) -> None:
    (where / "filler").unlink(missing_ok=True)
    shutil.rmtree(where / "many", ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("use_up", [fill, use_up_inodes])
@pytest.mark.parametrize("freed", [True, False])
def test_training_goes_on_while_the_disk_is_full(
    tmp_path: Path, use_up: Callable[[Path], None], freed: bool
) -> None:
    disk = tmp_path / "disk"
    with (
        mounted(disk, "-t", "tmpfs", "-o", "size=2m,nr_inodes=100", "tmpfs"),
        Training(tmp_path, disk) as training,
    ):
        training.wait_for_saves()
        use_up(disk)
        training.wait_until(lambda: "cannot save the checkpoint" in training.errors)
        assert "No space left on device" in training.errors
        newest, problems = newest_checkpoint(training.directory)
        assert problems == []
        assert half_made(training.directory) == []
        if not freed:
            assert training.end() == 1
            kept = read_checkpoint(training.directory.checkpoint_file("last").path)
            assert kept.snapshot.update >= newest.snapshot.update
            assert "the last checkpoint could not be saved; the one before it is kept" in training.errors
            assert "Traceback" not in training.errors
            return
        clear(disk)
        training.wait_until(lambda: training.saved > newest.snapshot.update)
        training.wait_until(lambda: any(event["type"] == "warning" for event in training.events()))
        assert training.end() == 128 + signal.SIGTERM
        assert "Traceback" not in training.errors
        events = training.events()
        assert events[-1]["type"] == "ended"
        assert events[-1]["update"] == training.saved
        progress = [event for event in events if event["type"] == "progress" and event["update"]]
        # Nothing is missing from the log: what could not be written has waited.
        ends = [event["update"] for event in progress[:-1]]
        assert [event["first_update"] for event in progress] == [1, *(update + 1 for update in ends)]


def test_a_disk_that_is_full_before_the_first_save_is_an_error_at_the_start(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "size=8k,nr_inodes=100", "tmpfs"):
        with Training(tmp_path, disk) as training:
            assert training.process.wait(PATIENCE) == 1
        assert "No space left on device" in training.errors
        assert "Traceback" not in training.errors


@pytest.mark.slow
def test_an_immutable_directory_is_a_warning_until_it_is_none(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("chattr") is None:
        pytest.skip("directories cannot be made immutable here")
    with Training(tmp_path, tmp_path / "runs") as training:
        training.wait_for_saves()
        folder = str(training.directory.checkpoints.path)
        done = subprocess.run(["chattr", "+i", folder], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"directories cannot be made immutable here: {done.stderr.strip()}")
        try:
            training.wait_until(lambda: "cannot save the checkpoint" in training.errors)
            assert "Operation not permitted" in training.errors
            before = training.saved
        finally:
            subprocess.run(["chattr", "-i", folder], check=True)
        training.wait_until(lambda: training.saved > before)
        assert training.end() == 128 + signal.SIGTERM
        assert training.events()[-1]["update"] == training.saved
        assert half_made(training.directory) == []


@pytest.mark.slow
def test_a_disk_that_becomes_read_only_is_one_line_and_keeps_what_was_saved(tmp_path: Path) -> None:
    """As ext4 does it after an error: remount,ro is refused while the log is open for writing."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed")
    image, disk = tmp_path / "image", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    with mounted(disk, "-o", "loop,errors=remount-ro", str(image)), Training(tmp_path, disk) as training:
        training.wait_for_saves()
        subprocess.run(["mount", "-o", "remount,abort", str(disk)], capture_output=True, check=False)
        training.wait_until(lambda: "cannot" in training.errors)
        before = training.saved
        # Training goes on; at its end it says that the last save failed, and it does so in its own words.
        training.wait_until(lambda: "cannot save the checkpoint" in training.errors)
        assert training.process.poll() is None
        assert training.end() == 1
        assert "the last checkpoint could not be saved; the one before it is kept" in training.errors
        assert "Traceback" not in training.errors
        assert training.saved >= before


@pytest.mark.slow
def test_a_log_beyond_the_limit_of_file_size_is_a_warning_and_the_checkpoint_is_kept(tmp_path: Path) -> None:
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed")
    with Training(tmp_path, tmp_path / "runs", updates=3000, before=("prlimit", "--fsize=16384")) as training:
        assert training.process.wait(PATIENCE) == 1
    assert re.search(r"cannot write .*events\.jsonl: File too large", training.errors)
    assert "Traceback" not in training.errors
    assert training.saved == 3000
    assert all(isinstance(event["update"], int) for event in training.events())
