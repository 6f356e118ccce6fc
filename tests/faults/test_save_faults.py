"""Every system call of a save fails, or is the last one: the old file stays or the new one is there.

strace lets the k-th call of a kind fail, or kills the process at it, for k = 1, 2, ... until the save is
complete. Disks fill up for real, become read-only, and directories immutable, while the program trains.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.log import EventLog
from charrnn_core.training.events import Warned
from tests.faults.checkpoints import half_made
from tests.faults.ledger import injected, waited

pytestmark = pytest.mark.fault("call")

CALLS = {
    "openat": "openat",
    "write": "write",
    "fsync": "fsync",
    "link": "?link,linkat",
    "rename": "?rename,?renameat,renameat2",
    "close": "close",
    "unlink": "?unlink,unlinkat",
    "stat": "?stat,?newfstatat,?statx",
}
"""What a save asks of the system, and its names in strace; one that begins with ? need not exist."""

LEAST = {"openat": 2, "write": 1, "fsync": 3, "link": 1, "rename": 2, "close": 2, "unlink": 1, "stat": 1}
"""How many of each a save with rotation makes at least; fewer mean that the faults have missed it."""

# Makes two saves, stops itself as a mark for strace, and makes a third one. It forks for each line that it
# reads, so that what it imports is imported once.
PROGRAM = """
    import contextlib, hashlib, json, os, resource, signal, sys, traceback
    from pathlib import Path
    from charrnn_core.errors import CheckpointError
    from charrnn_core.runs.checkpoint import Place, save, to_bytes
    from charrnn_core.runs.starting import run_facts
    from charrnn_core.runs.directory import RunDirectory
    from charrnn_core.runs.log import EventLog
    from charrnn_core.text.corpus import corpus_of
    from charrnn_core.training.events import Warned
    from charrnn_core.training.settings import Settings
    from charrnn_core.training.trainer import Trainer

    corpus = corpus_of("banana bread and jam", "jam")
    trainer = Trainer(Settings.of(hidden=3, seq_length=2, updates=10, sample_every=None), corpus)
    snapshots = [trainer.snapshot() for _ in trainer.run()][-4:]
    facts = run_facts(trainer, corpus, "none")

    def one(name, action, stop):
        directory = RunDirectory(Path(name))
        log = EventLog(directory.events_file.path)

        def event(text):
            return Warned(update=0, time=0.0, message=text)

        def put(kind, number, rotate=False):
            return save(directory, kind, snapshots[number], facts, Place(), log, rotate=rotate)

        if action not in ("first", "again"):
            log.append(event("before"))
            put("best", 0)
            put("last", 0)
            put("last", 1, rotate=True)
        if stop:
            os.kill(os.getpid(), signal.SIGSTOP)
        if action == "short":
            real = os.write
            os.write = lambda descriptor, data: real(descriptor, bytes(data[:7]))
        if action == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        if action == "log":
            refused = log.append(event("during")), log.append(event("after"))
            return 3 if any(refused) else 0
        if action == "config":
            directory.write_config({"new": True})
            return 0
        saved = put("best" if action == "best" else "last", 2, rotate=action not in ("first", "best"))
        return 3 if saved.warning else 0

    data = [to_bytes(snapshot, facts, Place())[0] for snapshot in snapshots]
    print(json.dumps([hashlib.sha256(each).hexdigest() for each in data]), flush=True)
    for line in sys.stdin:
        name, action, stop = json.loads(line)
        process = os.fork()
        if not process:
            try:
                code = one(name, action, stop)
            except CheckpointError:
                code = 4
            except BaseException as error:
                code = 5 if isinstance(error, OSError) else 6
                with contextlib.suppress(OSError):
                    Path(name, "traceback").write_text(traceback.format_exc())
            os._exit(code)
        if stop:
            os.waitpid(process, os.WUNTRACED)
            print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""
SAVED, WARNED, REFUSED, OS_ERROR = 0, 3, 4, 5


class Program:
    """The program above, and directories for it to save into."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._number = 0
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM)],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.states: list[str] = json.loads(self._hear())
        """SHA-256 of the files of the first, second and third save."""

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the program that saves has gone"
        return line

    def _ask(self, directory: RunDirectory, action: str, stop: bool) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(directory.path), action, stop]) + "\n")
        self._process.stdin.flush()
        return int(self._hear())

    def directory(self) -> RunDirectory:
        self._number += 1
        directory = RunDirectory(self._where / str(self._number))
        directory.checkpoints.path.mkdir(parents=True)
        return directory

    def save(self, directory: RunDirectory, action: str) -> int:
        """Save without faults and return the exit code."""
        return self._ask(directory, action, stop=False)

    def save_with(self, fault: str, directory: RunDirectory, action: str) -> tuple[int, bool]:
        """Save with what strace injects; return the exit code and whether the fault came to pass."""
        code, trace = self._traced(directory, action, f"trace={fault.split(':')[0]}", f"inject={fault}")
        return code, code < 0 or "(INJECTED)" in trace

    def calls_of(self, action: str) -> set[str]:
        """Return the names of all system calls of a save that have to do with files."""
        _, trace = self._traced(self.directory(), action, "trace=%file,%desc")
        return set(re.findall(r"^\d+ +(\w+)\(", trace, re.M))

    def _traced(self, directory: RunDirectory, action: str, *wanted: str) -> tuple[int, str]:
        process = self._ask(directory, action, stop=True)
        trace = directory.path / "trace"
        command = ["strace", "-f", "-p", str(process), "-o", str(trace)]
        for each in wanted:
            command += ["-e", each]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            said = strace.stderr.readline()
            began = time.monotonic()
            os.kill(process, signal.SIGCONT)
            code = int(self._hear())
            waited(time.monotonic() - began)
            if "attached" not in said:
                pytest.fail(f"strace: {said}{strace.stderr.read()}")
        return code, trace.read_text()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    # In memory, where there is such a place: the faults are injected, and no disk is waited for.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as where:
        program = Program(Path(where))
        yield program
        program.close()


@pytest.fixture(scope="module")
def strace() -> None:
    """Skip where strace is missing or may not do what it does."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    command = ["strace", "-o", "/dev/null", "-e", "trace=?access", "-e", "inject=?access:error=EIO", "true"]
    probe = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ptrace" in probe.stderr or "invalid" in probe.stderr:
        pytest.skip(f"strace cannot trace here: {probe.stderr.strip()}")


def digests(directory: RunDirectory) -> dict[str, str]:
    """Return the SHA-256 of every checkpoint under its final name; each of them is whole."""
    paths = [path for path in directory.checkpoints.path.iterdir() if not path.name.startswith(".")]
    for path in paths:
        read_checkpoint(path)
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def said(directory: RunDirectory) -> str:
    path = directory.path / "traceback"
    return path.read_text() if path.exists() else "no traceback"


def assert_old_or_new(program: Program, directory: RunDirectory, action: str, code: int) -> None:
    first, second, third, _ = program.states
    old = {"best": first, "previous": first, "last": second}
    between = {**old, "previous": second}
    new = {"last": {**between, "last": third}, "best": {**old, "best": third}, "first": {"last": third}}[
        action
    ]
    if action == "first":
        old = between = {}
    found = digests(directory)
    if code < 0:  # killed
        assert found in (old, new) or (action == "last" and found == between)
    elif code == REFUSED:
        assert found == old or (action == "last" and found == between)
    else:
        assert code in (SAVED, WARNED), said(directory)
        assert found == new
    assert b'"before"' in directory.events_file.path.read_bytes() or action == "first"


FAULTS = ("signal=KILL:when={}", "error=ENOSPC:when={}", "error=EIO:when={}", "error=EINTR:when={}")
ALWAYS = ("error=ENOSPC:when={}+", "error=EIO:when={}+")  # not EINTR: Python would try again for ever


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("call", CALLS)
def test_a_save_leaves_the_old_file_or_the_new_one_whatever_call_fails(
    program: Program, call: str, thorough: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("last", "best", "first") if thorough else ("last",):
        counts: Counter[str] = Counter()
        for fault in (*FAULTS, *ALWAYS):
            while save_once(program, f"{CALLS[call]}:{fault.format(counts[fault] + 1)}", call, action):
                counts[fault] += 1
        with capsys.disabled():
            print(f"\n{action}, {call}: {sum(counts.values())} faults", end=" ")
        if action == "last":
            assert all(counts[fault] >= LEAST[call] for fault in FAULTS)


def save_once(program: Program, fault: str, call: str, action: str) -> bool:
    """Save with a fault, look at what it left, and return whether it came to pass."""
    directory = program.directory()
    code, happened = program.save_with(fault, directory, action)
    injected(int(happened))
    assert_old_or_new(program, directory, action, code)
    if not happened:
        assert code == SAVED
    elif code in (SAVED, WARNED) and "EINTR" not in fault:
        assert call not in ("write", "link", "rename"), "a call failed, and nobody said so"
    if code >= 0 and call != "unlink":
        assert half_made(directory) == []
    # Whatever it was: the next process puts all in order, and saves.
    directory.remove_stale_files()
    assert half_made(directory) == []
    assert program.save(directory, "again") == SAVED
    assert digests(directory)["last"] == program.states[2]
    shutil.rmtree(directory.path)
    return happened


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("action", ["last", "best", "first"])
def test_no_call_of_a_save_is_left_out(program: Program, action: str) -> None:
    """What the process does at its end, and what Python asks of a file that it opens, is no part of it."""
    injected(0)
    known = {name.lstrip("?") for names in CALLS.values() for name in names.split(",")}
    assert program.calls_of(action) - {"fstat", "ioctl", "lseek"} <= known


@pytest.mark.usefixtures("strace")
def test_a_directory_that_cannot_be_made_durable_is_a_warning(program: Program) -> None:
    directory = program.directory()
    code, happened = program.save_with("fsync:error=EIO:when=3", directory, "last")
    injected()
    assert (code, happened) == (WARNED, True)
    assert digests(directory)["last"] == program.states[2]


@pytest.mark.usefixtures("strace")
def test_an_fsync_that_failed_is_not_tried_again_on_the_same_file(program: Program) -> None:
    directory = program.directory()
    code, _ = program.save_with("fsync:error=EIO:when=1", directory, "last")
    assert code == REFUSED
    assert (directory.path / "trace").read_text().count("fsync(") == 1


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("fault", FAULTS)
def test_config_is_the_old_one_or_the_new_one(program: Program, fault: str) -> None:
    for call in ("openat", "write", "fsync", "rename", "close"):
        k, happened = 1, True
        while happened:
            directory = program.directory()
            directory.config_file.path.write_text('{"new": false}')
            code, happened = program.save_with(f"{CALLS[call]}:{fault.format(k)}", directory, "config")
            injected(int(happened))
            assert code in (-9, SAVED, OS_ERROR), said(directory)
            new = json.loads(directory.config_file.path.read_text())["new"]
            assert new or code != SAVED
            k += 1


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("fault", [*FAULTS, *ALWAYS])
def test_a_log_that_cannot_be_written_is_reported_and_not_a_traceback(program: Program, fault: str) -> None:
    """Two lines are written after the first; one that a disk does not take waits, and comes with the next."""
    for k in (1, 2, 3):
        directory = program.directory()
        code, happened = program.save_with(f"write:{fault.format(k)}", directory, "log")
        injected(int(happened))
        assert happened == (k < 3)
        is_over = "EINTR" in fault or not happened
        assert code == (SAVED if is_over else -9 if "KILL" in fault else WARNED), said(directory)
        lines = directory.events_file.path.read_text().splitlines(keepends=True)
        is_made_up_for = k == 1 and "error" in fault and "+" not in fault
        expected = ["before", "during", "after"][: 3 if is_over or is_made_up_for else k]
        assert [json.loads(line)["message"] for line in lines] == expected
        assert all(line.endswith("\n") for line in lines)


def test_a_line_torn_by_a_disk_that_cannot_even_cut_it_off_is_no_part_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [Warned(update=number, time=0.0, message="x" * 50) for number in range(3)]
    log = EventLog(tmp_path / "events.jsonl")
    assert log.append(events[0]) is None
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        real(descriptor, bytes(data)[:9])
        raise OSError(5, "Input/output error")

    def ftruncate(descriptor: int, length: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", write)
        broken.setattr(os, "ftruncate", ftruncate)
        refused = log.append(events[1])
        assert refused is not None
        assert refused.errno == 5
    assert log.append(events[2]) is None
    log.close()
    written = (tmp_path / "events.jsonl").read_text()
    assert written == "".join(event.to_line() for event in events)


@pytest.mark.usefixtures("strace")
def test_a_file_system_without_hard_links_does_not_keep_a_run_from_being_saved(program: Program) -> None:
    """As FAT, exFAT and some network file systems: link(2) fails with EPERM, always."""
    directory = program.directory()
    for action in ("last", "again"):
        code, happened = program.save_with("?link,linkat:error=EPERM", directory, action)
        injected(int(happened))
        assert happened or action == "last"
        assert code == SAVED
        assert digests(directory)["last"] == program.states[2]


def test_short_writes_are_written_to_the_end(program: Program) -> None:
    directory = program.directory()
    assert program.save(directory, "short") == SAVED
    first, second, third, _ = program.states
    assert digests(directory) == {"best": first, "previous": second, "last": third}


def test_a_limit_of_file_size_leaves_the_old_file(program: Program) -> None:
    directory = program.directory()
    assert program.save(directory, "limit") == REFUSED
    first, second, _, _ = program.states
    found = digests(directory)
    assert found == {"best": first, "previous": first, "last": second}
    assert half_made(directory) == []
