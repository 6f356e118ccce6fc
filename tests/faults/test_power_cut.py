"""A power cut: what is on the disk at any instant of a run that saves holds every save that was acknowledged.

The disk is an ext4 image; it is copied while the run saves, and the copy is mounted, as after the cut. Three
cuts; with `--thorough` 60.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

from charrnn_core.runs.checkpoint import newest_checkpoint, read_checkpoint
from charrnn_core.runs.commands import Command, send
from charrnn_core.runs.directory import RunDirectory
from tests.faults.ledger import injected, waited
from tests.faults.mounts import mounted
from tests.program import ENDLESS, PATIENCE, HangError, Lines, charrnn, started, until

pytestmark = pytest.mark.fault("power")

# Trains, and after each save says which one it was; its argument is the directory of runs.
PROGRAM = """
    import dataclasses, json, os, sys
    from pathlib import Path
    from charrnn_core.runs.checkpoint import Place, save
    from charrnn_core.runs.starting import run_facts
    from charrnn_core.runs.directory import create_run
    from charrnn_core.runs.log import EventLog
    from charrnn_core.text.corpus import corpus_of
    from charrnn_core.training.events import Event, Warned
    from charrnn_core.training.settings import Settings
    from charrnn_core.training.trainer import Trainer

    if "unsafe" in sys.argv:
        os.fsync = lambda descriptor: None
    corpus = corpus_of("the tide rises, the tide falls; the clock counts them both.\\n" * 9, "tide")
    settings = Settings.of(hidden=20, seq_length=5, updates=None, seconds=1e6, sample_every=50)
    trainer = Trainer(settings, corpus)
    facts = run_facts(trainer, corpus, "none")
    directory = create_run(Path(sys.argv[1]), "tide", "it")
    log = EventLog(directory.events_file.path)
    directory.write_config({"settings": settings.to_json(), "corpus": facts.corpus})
    saved_best = None
    for number, item in enumerate(trainer.run()):
        if isinstance(item, Event):
            assert log.append(item) is None
        place = Place(log_length=log.length, drawn=number)  # several saves may be of the same update
        told = {"number": number, "best": saved_best}
        if trainer.best is not None and trainer.best.update != saved_best:
            saved = save(directory, "best", trainer.best_snapshot, facts, place, log)
            assert saved.warning is None
            told["best"] = saved_best = trainer.best.update
        saved = save(directory, "last", trainer.snapshot(), facts, place, log, rotate=number > 0)
        assert saved.warning is None
        told.update(digest=saved.state_sha256, log_length=log.length)
        os.write(1, json.dumps(told).encode() + b"\\n")
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An ext4 file system of 32 MB in a file."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount images")
    return made_image(tmp_path / "image")


def made_image(path: Path) -> Path:
    for command in ("mount", "umount", "mkfs.ext4"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")
    with path.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-J", "size=8", str(path)], check=True)
    return path


class Saving:
    """The program above, and what it has acknowledged."""

    def __init__(self, directory: RunDirectory, *more: str) -> None:
        self.acknowledged: list[dict[str, object]] = []
        self._rest = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(directory.path.parent), *more],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def hear(self, seconds: float) -> None:
        """Take what was acknowledged until now, and wait at most this long for the first of it."""
        assert self.process.stdout is not None
        while select.select([self.process.stdout], [], [], seconds)[0]:
            block = os.read(self.process.stdout.fileno(), 1 << 16)
            assert block, "the program that saves has gone"
            *lines, self._rest = (self._rest + block).split(b"\n")
            self.acknowledged += map(json.loads, lines)
            seconds = 0

    def hear_to_the_end(self) -> None:
        """Take what is acknowledged until it ends."""
        assert self.process.stdout is not None
        rest = self._rest + self.process.stdout.read()
        self.acknowledged += map(json.loads, rest.split(b"\n")[:-1])

    def hear_until(self, count: int) -> None:
        """Wait for this many saves, and for one of a best state."""
        deadline = time.monotonic() + PATIENCE
        while len(self.acknowledged) < count or self.acknowledged[-1]["best"] is None:
            assert time.monotonic() < deadline, "nothing is saved"
            self.hear(1.0)

    def copy(self, image: Path, to: Path) -> None:
        """Copy the image as it is now, with all that was acknowledged known before.

        The program stops when the system call that it is in has ended: a copy takes longer than a save, and
        a disk that loses power does not have its first block from before a save and its last from after it.
        """
        self.hear(0.0)
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            subprocess.run(["cp", "--sparse=always", str(image), str(to)], check=True)
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def __enter__(self) -> Saving:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_power_cut_loses_no_save_that_was_acknowledged(
    tmp_path: Path, image: Path, thorough: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = random.Random(4)
    copy, counts = tmp_path / "copy", Counter[str]()
    with mounted(tmp_path / "disk", "-o", "loop", str(image)) as disk:
        directory = RunDirectory(disk / "runs" / "it")
        with Saving(directory) as saving:
            for _ in range(60 if thorough else 3):
                saving.hear_until(len(saving.acknowledged) + generator.randrange(1, 20))
                instant = time.monotonic() + generator.uniform(0, 0.02)
                while time.monotonic() < instant:
                    pass
                saving.copy(image, copy)
                log = directory.events_file.path.read_bytes()
                look_after_cut(copy, tmp_path / "after", saving, log, counts)
                counts["cuts"] += 1
                injected()
                copy.unlink()
        counts["acknowledged saves"] = len(saving.acknowledged)
    with capsys.disabled():
        print(f"\n{', '.join(f'{name}: {count}' for name, count in counts.items())}", end=" ")


@pytest.mark.slow
def test_a_disk_that_dies_in_the_middle_of_an_fsync_keeps_what_was_acknowledged(
    tmp_path: Path, thorough: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cuts above fall between system calls; here the disk takes so many blocks more, and then none."""
    generator = random.Random(5)
    counts = Counter[str]()
    for number in range(20 if thorough else 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        with mounted(folder / "memory", "-t", "tmpfs", "-o", "size=64m", "tmpfs") as memory:
            image = made_image(memory / "image")
            with mounted(folder / "disk", "-o", "loop", str(image)) as disk:
                directory = RunDirectory(disk / "runs" / "it")
                with Saving(directory) as saving:
                    saving.hear_until(generator.randrange(2, 9))
                    blocks = leave(memory, image, generator.randrange(60))
                    saving.hear_to_the_end()
                    assert saving.process.wait(PATIENCE) == 1, "its disk has died, and it has not noticed"
                log = directory.events_file.path.read_bytes()
            assert allocated(image) == blocks
            injected()
            assert resize(memory, 16384)
            look_after_cut(image, folder / "after", saving, log, counts)
        counts["disks that died"] += 1
    with capsys.disabled():
        print(f"\n{', '.join(f'{name}: {count}' for name, count in counts.items())}", end=" ")


def allocated(image: Path) -> int:
    """Return how many blocks of 4 kB of a file are there."""
    return image.stat().st_blocks // 8


def resize(memory: Path, blocks: int) -> bool:
    """Give a file system in memory another size, unless it holds more than that."""
    command = ["mount", "-o", f"remount,nr_blocks={blocks}", str(memory)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def leave(memory: Path, image: Path, blocks: int) -> int:
    """Leave so many blocks for an image that grows meanwhile; return how many it will have."""
    for _ in range(1000):
        size = allocated(image) + blocks
        if resize(memory, size):
            return size
    raise HangError("the image grows too fast")


def look_after_cut(copy: Path, point: Path, saving: Saving, log: bytes, counts: Counter[str]) -> None:
    acknowledged = saving.acknowledged[-1]
    with mounted(point, "-o", "loop", str(copy)) as disk:
        directory = RunDirectory(disk / "runs" / "it")
        assert "settings" in directory.config()
        began = time.monotonic()
        newest, problems = newest_checkpoint(directory)
        waited(time.monotonic() - began)
        assert problems == []
        assert newest.kind == "last"
        if newest.place.drawn == acknowledged["number"]:
            assert newest.state_sha256 == acknowledged["digest"]
        else:  # the next one was in place, and only its acknowledgement came too late
            assert newest.place.drawn > acknowledged["number"]
            counts["cuts after the rename and before the acknowledgement"] += 1
        previous = read_checkpoint(directory.checkpoint_file("previous").path).place.drawn
        assert previous in (newest.place.drawn, newest.place.drawn - 1)
        best = read_checkpoint(directory.checkpoint_file("best").path)
        assert best.snapshot.update >= acknowledged["best"]
        counts["half-made checkpoints left"] += sum(
            path.name.startswith(".") for path in directory.checkpoints.path.iterdir()
        )
        kept = directory.events_file.path.read_bytes()
        assert len(kept) >= max(newest.place.log_length, acknowledged["log_length"])
        assert kept[: newest.place.log_length] == log[: newest.place.log_length]


def test_the_same_cut_shows_what_a_save_without_fsync_loses(tmp_path: Path, image: Path) -> None:
    """So that the test above is known to find what it looks for."""
    injected(0)
    with mounted(tmp_path / "disk", "-o", "loop", str(image)) as disk:
        with Saving(RunDirectory(disk / "runs" / "it"), "unsafe") as saving:
            saving.hear_until(1)
            saving.copy(image, tmp_path / "copy")
            acknowledged = saving.acknowledged[-1]
        with mounted(tmp_path / "after", "-o", "loop", str(tmp_path / "copy")) as after:
            path = RunDirectory(after / "runs" / "it").checkpoint_file("last").path
            assert not path.exists() or read_checkpoint(path).place.drawn < acknowledged["number"]


@pytest.mark.slow
def test_a_power_cut_keeps_what_the_program_has_answered(
    tmp_path: Path, here: Path, image: Path, thorough: bool
) -> None:
    """The program itself: a learning rate that it has said to be changed is there after the cut."""
    generator = random.Random(7)
    with mounted(tmp_path / "disk", "-o", "loop", str(image)) as disk:
        directory = RunDirectory(disk / "runs" / "it")
        saving = [
            "--runs",
            str(disk / "runs"),
            "--name",
            "it",
            "--json",
            "--quiet",
            "--checkpoint-every",
            "0",
        ]
        with started(here, "train", "book.txt", *ENDLESS, *saving, stderr=subprocess.DEVNULL) as process:
            told = Lines(process)
            told.wait_for(50)
            for _ in range(10 if thorough else 1):
                rate = generator.uniform(0.001, 0.1)
                command = Command.make("set-learning-rate", learning_rate=rate)
                send(directory.commands_file.path, command)
                until(lambda: any(command.id in line for line in told.lines))  # noqa: B023
                os.kill(process.pid, signal.SIGSTOP)
                try:
                    subprocess.run(["cp", "--sparse=always", str(image), str(tmp_path / "copy")], check=True)
                finally:
                    os.kill(process.pid, signal.SIGCONT)
                injected()
                with mounted(tmp_path / "after", "-o", "loop", str(tmp_path / "copy")) as after:
                    run = RunDirectory(after / "runs" / "it")
                    newest, problems = newest_checkpoint(run)
                    assert problems == []
                    assert newest.snapshot.settings.learning_rate == rate
                    more = str(newest.snapshot.update + 20)
                    resumed = charrnn(here, "resume", str(run.path), "--updates", more, "--quiet")
                    waited(resumed.seconds)
                    assert (resumed.code, resumed.err) == (0, "")
