"""What stands where a file of a run should be: nothing, a directory, a pipe, a device, a link, an abyss.

Every command that reads runs is given each of them. It says a sentence, or does what it can, at once.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.commands import Command, send
from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import DEFAULT_PRESET, Value
from charrnn_tui.cli.study import study_settings
from tests.faults.ledger import waited
from tests.faults.promises import assert_harmless
from tests.program import ENDLESS, PATIENCE, TEXT, HangError, environment, started

pytestmark = pytest.mark.fault("directory")

FILES = (
    "config.json", "events.jsonl", "status.json", "commands.jsonl", ".lock", ".study", "corpus.txt",
    "checkpoints", "checkpoints/last.safetensors", "checkpoints/best.safetensors",
)  # fmt: skip


ABSENT = (".study", "corpus.txt", "commands.jsonl")
"""Of these the run has none anyway."""


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def holding(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * 10**9)


KINDS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "empty": holding(b""),
    "directory": Path.mkdir,
    "pipe": os.mkfifo,
    "zeros without end": link_to("/dev/zero"),
    "full device": link_to("/dev/full"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to nothing": link_to("nothing"),
    "link to the parent": link_to(".."),
    "link to a file of the user": link_to("../../precious"),
    "link to a folder of the user": link_to("../../folder"),
    "100 GB of nothing": sparse,
    "a long line": holding(b"x" * 40_000_000),
    "bytes": holding(bytes(range(256)) * 40 + b"\n"),
    "deep": holding(b"[" * 200_000 + b"\n"),
    "escapes": holding(json.dumps({"type": "\x1b]52;c;AAAA\x07\u202e[red]"}).encode() + b"\n"),
}
STRANGE = [("events.jsonl", "pipe"), ("checkpoints", "link to a folder of the user")]
"""What other runs have suffered from."""

COMMANDS = (
    "runs", "runs --json", "sample mine -n 20 --seed 1", "plot mine -o plot.svg",
    "report mine -o report.html", "export mine -o table.csv", "gradcheck mine", "command mine pause",
    "resume mine --updates 60 --quiet", "train --replay mine --quiet --name again", "runs", "sample -n 5",
    "study book.txt --hidden 6 --seq-length 4 --updates 40 --sample-every 20 --sample-length 9 --quiet",
)  # fmt: skip
OF_OTHERS = ("runs", "sample -n 5", "study")
"""Commands that do what they are asked for, by other runs than this one."""

DRIVER = """
    import contextlib, io, json, os, sys, time, traceback
    from charrnn_tui import cli

    for command in json.load(sys.stdin):
        began = time.monotonic()
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\\n") for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = cli.run(command)
            except BaseException:
                code = traceback.format_exc()
        texts = [(stream.flush(), stream.buffer.getvalue().decode())[1] for stream in (out, err)]
        told = [command, code, *texts, time.monotonic() - began]
        os.write(1, json.dumps(told).encode() + b"\\n")
"""
"""Runs many commands in one process, whose start takes longer than most of them; the program does one."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run that was trained in it, and an older one that stays as it is."""
    where = tmp_path_factory.mktemp("made")
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    given: dict[str, Value] = {"hidden": 6, "seq_length": 4, "sample_every": 20, "sample_length": 9}
    settings = study_settings(DEFAULT_PRESET, {**given, "updates": 40})
    for name in ("other", "mine"):
        start(settings, corpus_of(TEXT, "book"), runs=where / "runs", name=name).run(lambda item: None)
    return where


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        every = [(name, kind) for name in FILES for kind in KINDS if kind != "nothing" or name not in ABSENT]
        thorough = metafunc.config.getoption("--thorough")
        metafunc.parametrize(("name", "kind"), every if thorough else every[::34] + STRANGE, ids=str)
    if "change" in metafunc.fixturenames:
        every = [(name, change) for name in CHANGED for change in CHANGES]
        thorough = metafunc.config.getoption("--thorough")
        metafunc.parametrize(("changed", "change"), every if thorough else every[::13], ids=str)


@pytest.mark.slow
def test_whatever_stands_for_a_file_of_a_run_each_command_ends_well(
    made: Path, tmp_path: Path, name: str, kind: str
) -> None:
    where = tmp_path / "here"
    shutil.copytree(made, where)
    path = where / "runs" / "mine" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (where / "folder").mkdir()
    precious = [where / "precious", where / "folder" / ".notes.md.0123456789ab", where / "folder" / "x.txt"]
    for file in precious:
        file.write_text("nobody else's", encoding="utf-8")
    KINDS[kind](path)
    commands = [command.split() for command in COMMANDS]
    finished = subprocess.run(
        ["prlimit", "--as=3000000000", sys.executable, "-c", textwrap.dedent(DRIVER)],
        cwd=where,
        env=environment(),
        input=json.dumps(commands).encode(),
        capture_output=True,
        timeout=3 * PATIENCE,
    )
    assert all(file.read_text(encoding="utf-8") == "nobody else's" for file in precious)
    lines = finished.stdout.decode().splitlines()
    assert len(lines) == len(commands), finished.stderr.decode()[-2000:]
    for command, code, out, err, seconds in map(json.loads, lines):
        waited(seconds)
        assert isinstance(code, int), f"{command}: {code}"
        assert_harmless(err)
        if "sample" not in command:
            assert_harmless(out)
        assert code in (0, 1, 2), f"{command}: {err}"
        if code:
            assert err.splitlines()[-1].startswith("charrnn: "), f"{command}: {err}"
        if " ".join(command).startswith(OF_OTHERS):
            # The study resumes this run, and a checkpoint cannot replace a directory.
            is_stuck = "cannot save the checkpoint" in err and kind == "directory"
            assert code == is_stuck, f"{command}: {err}"
        if command[0] == "runs":
            assert "other" in out, "one run hides the others"


# -- while it trains -----------------------------------------------------------------------------------------


def removed(path: Path) -> None:
    if not path.is_dir():
        path.unlink()
    while path.exists():
        try:
            shutil.rmtree(path)
        except OSError as error:  # the process that trains made a file in it meanwhile
            if error.errno != errno.ENOTEMPTY:
                raise


def becomes(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        if path.exists():
            path.rename(path.with_name("moved-away"))
        make(path)

    return change


CHANGES: dict[str, Callable[[Path], None]] = {
    "removed": removed,
    "moved": becomes(lambda path: None),
    "cut to nothing": lambda path: None if path.is_dir() else os.truncate(path, 0),
    "a directory": becomes(Path.mkdir),
    "a pipe": becomes(os.mkfifo),
    "zeros without end": becomes(link_to("/dev/zero")),
    "300 MB": becomes(lambda path: path.write_bytes(b"\x1b[31m\n" * 50_000_000)),
    "bytes": lambda path: None if path.is_dir() else path.write_bytes(bytes(range(256)) * 99),
}  # fmt: skip
CHANGED = (
    "", "events.jsonl", "status.json", "commands.jsonl", ".lock", "checkpoints",
    "checkpoints/last.safetensors",
)  # fmt: skip


ANOTHER_RUN = ("", "a directory")
"""Another directory has replaced the run's: the run stops, because it would write into that directory."""


@pytest.mark.slow
def test_whatever_happens_to_its_files_a_run_goes_on_or_says_why(
    here: Path, changed: str, change: str
) -> None:
    run = here / "runs" / "mine"
    command = [
        "train",
        "book.txt",
        *ENDLESS,
        "--name",
        "mine",
        "--json",
        "--quiet",
        "--checkpoint-every",
        "0",
    ]
    with started(here, *command) as process:
        assert process.stdout is not None
        told = Updates(process.stdout)
        told.wait_for(200)
        send(run / "commands.jsonl", Command.make("sample", length=5))
        CHANGES[change](run / changed)
        if (changed, change) == ANOTHER_RUN:
            told.read_rest()
        else:
            told.wait_for(told.update + 2000)
        began = time.monotonic()
        process.terminate()
        told.read_rest()
        assert process.stderr is not None
        err = process.stderr.read().decode()
        code = process.wait(PATIENCE)
        waited(time.monotonic() - began)
    assert_harmless(err)
    assert code in (1, 128 + signal.SIGTERM), err
    if (changed, change) == ANOTHER_RUN:
        assert code == 1 and "another directory is" in err
    if changed and not changed.startswith("checkpoints"):
        assert read_checkpoint(run / "checkpoints" / "last.safetensors").snapshot.update == told.update


class Updates:
    """What a run says of itself on its standard output: after how many updates it is."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.update = 0

    def wait_for(self, update: int) -> None:
        """Read until so many updates were done; a run that ends before it fails the test."""
        deadline = time.monotonic() + PATIENCE
        while self.update < update:
            line = self._stream.readline()
            assert line, "the run has ended"
            if time.monotonic() > deadline:
                raise HangError(f"no update {update}")
            self.update = json.loads(line)["update"]

    def read_rest(self) -> None:
        """Read to the end."""
        for line in self._stream:
            self.update = json.loads(line)["update"]
