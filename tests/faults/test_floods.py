"""More commands than anybody asks for, and work that takes long: a run stays itself, and can be ended."""

from __future__ import annotations

import itertools
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.commands import MOST_UNREAD, BadCommand, Command, CommandReader, send
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import History, answered_by
from charrnn_core.runs.process import TrainingProcess
from charrnn_core.runs.starting import resume, start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import Event, Sample, Status
from charrnn_core.training.settings import Settings
from tests.faults.ledger import injected
from tests.faults.promises import assert_harmless
from tests.program import (
    ENDLESS,
    PATIENCE,
    TEXT,
    charrnn,
    environment,
    of_type,
    started,
    stopped,
    until,
)  # fmt: skip

pytestmark = pytest.mark.fault("flood")

SMALL = Settings.of(hidden=6, seq_length=4, updates=300, sample_every=None)


def begun(where: Path, settings: Settings = SMALL, name: str = "run", **how: Any) -> TrainingProcess:
    return start(settings, corpus_of(TEXT, "book"), runs=where, name=name, **how)


def refusals(directory: RunDirectory) -> list[dict[str, Any]]:
    return of_type(directory.path, "refused")


def line(name: str, **arguments: Any) -> bytes:
    return json.dumps({"id": secrets.token_hex(8), "command": name, **arguments}).encode() + b"\n"


# -- floods ------------------------------------------------------------------------------------------------

PIECES: dict[str, Callable[[random.Random], bytes]] = {
    "empty lines": lambda draw: b"\n" * 5000,
    "bytes": lambda draw: draw.randbytes(5000) + b"\n",
    "letters": lambda draw: b"x\n" * 2000,
    "a long line": lambda draw: b"y" * 200_000 + b"\n",
    "a line of zeros": lambda draw: b"\0" * 5000 + b"\n",
    "brackets": lambda draw: b"[" * 20_000 + b"\n",
    "many values": lambda draw: b"[" + b"[]," * 20_000 + b"[]]\n",
    "no command": lambda draw: line("dance") * 40,
    "wrong arguments": lambda draw: line("sample", length=10**30) * 40,
    "one id again and again": lambda draw: line("checkpoint") * 40,
    "samples": lambda draw: b"".join(line("sample", length=3) for _ in range(20)),
    "saves": lambda draw: b"".join(line("checkpoint") for _ in range(5)),
    "pause and go on": lambda draw: b"".join(line("pause") + line("continue") for _ in range(10)),
    "learning rates": lambda draw: b"".join(line("set-learning-rate", learning_rate=0.01) for _ in range(3)),
    "half a line": lambda draw: line("sample", length=3)[:-5],
}


def flood(seed: int) -> bytes:
    """Return some hundred kilobytes of commands of mixed kinds, ended by a line."""
    draw = random.Random(seed)
    pieces = [PIECES[name](draw) for name in draw.choices(list(PIECES), k=draw.randrange(1, 9))]
    return b"".join(pieces) * draw.choice([1, 1, 1, 30]) + b"\n"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" in metafunc.fixturenames:
        count = 500 if metafunc.config.getoption("--thorough") else 24
        parts = [range(first, min(first + 12, count)) for first in range(0, count, 12)]
        metafunc.parametrize("seeds", parts, ids=lambda part: str(part[0]))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_flood_of_commands_is_answered_briefly_and_the_last_one_is_obeyed(
    tmp_path: Path, seeds: range, when: str
) -> None:
    for seed in seeds:
        process = begun(tmp_path, name=f"run-{seed}")
        directory, data = process.directory, flood(seed)
        asked = Command.make("stop")

        def write(directory: RunDirectory = directory, data: bytes = data, asked: Command = asked) -> None:
            directory.commands_file.path.write_bytes(data)
            send(directory.commands_file.path, asked)

        written = when == "before"
        if written:
            write()

        def look(item: Event | Status, process: TrainingProcess = process, write: Any = write) -> None:
            nonlocal written
            if not written and process.trainer.update >= 20:
                written = True
                write()

        injected()
        ended = process.run(look)
        if when == "meanwhile":
            assert ended.reason == "stopped", data[:200]
        else:
            assert ended.update == 300
            (answer,) = [event for event in refusals(directory) if asked.id in answered_by(event)]
            assert answer["reason"].startswith("the run was not being trained")
        nameless = [event for event in refusals(directory) if event.get("command") is None]
        assert len(nameless) < 400
        assert (directory.path / "events.jsonl").stat().st_size < 2_000_000


def test_work_and_answers_do_not_grow_with_the_flood(tmp_path: Path) -> None:
    process = begun(tmp_path, Settings.of(hidden=6, seq_length=4, updates=40))
    process.close()
    directory = process.directory
    commands = directory.commands_file.path
    with commands.open("wb") as file:
        for _ in range(40):
            file.write(b"\n" * 1_000_000 + b"x\n" * 10 + b"\n" * 1_000_000)
        file.truncate(10 * 10**9)  # and a hole
    injected()
    resume(directory, {}).run(lambda item: None)
    assert len(refusals(directory)) < 10
    assert "skipped" in refusals(directory)[0]["reason"]


def test_a_reader_takes_a_bounded_share_at_each_look(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    path.write_bytes(b"".join(line("pause") for _ in range(20_000)))
    reader = CommandReader(path)
    found = reader.read()
    assert len(found) <= 1002
    bad, offset = found[0]
    assert isinstance(bad, BadCommand) and "skipped" in bad.reason
    assert path.stat().st_size - offset <= MOST_UNREAD
    assert all(isinstance(command, Command) for command, _ in found[1:])
    while more := reader.read():
        assert len(more) <= 1001
    assert reader.offset == path.stat().st_size
    reader.close()


def test_lines_with_one_problem_are_one_refusal_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    path.write_bytes(b"x\n\n\ny\n" + line("pause") + b"\n" + b"z\n" * 3)
    reader = CommandReader(path)
    (bad, end), (command, _) = reader.read()
    assert (bad, end) == (BadCommand("a command is a JSON object in one line", (), 5), path.stat().st_size)
    assert isinstance(bad, BadCommand) and bad.reason == "a command is a JSON object in one line (5 lines)"
    assert isinstance(command, Command)
    reader.close()


# -- what takes long ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_does_not_wait_for_all_that_was_asked(tmp_path: Path, number: int) -> None:
    process = begun(tmp_path, Settings.of(hidden=6, seq_length=4, updates=20_000))
    for _ in range(400):
        send(process.directory.commands_file.path, Command.make("sample", length=200))

    def look(item: Event | Status) -> None:
        if isinstance(item, Sample) and item.command and process.signal is None:
            os.kill(os.getpid(), number)

    begin_with_commands(process)
    injected()
    ended = process.run(look)
    assert ended.reason == f"signal {signal.Signals(number).name}"
    assert len([event for event in of_type(process.directory.path, "sample") if event.get("command")]) == 1
    (refused,) = refusals(process.directory)
    assert refused["reason"] == "training is ending (399 commands)"
    assert len(refused["commands"]) == 399


def begin_with_commands(process: TrainingProcess) -> None:
    """Let the commands that are there count as asked while it trains."""
    process._refuse_old_commands = lambda: None  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "asked",
    [{"length": 10_000}, {"length": 1, "prime": TEXT[:3000]}, {"length": 10_000, "top_p": 0.9}],
    ids=["long", "prime", "top-p"],
)
def test_a_long_sample_is_given_up_where_a_signal_comes(tmp_path: Path, asked: dict[str, Any]) -> None:
    settings = Settings.of(hidden=6, seq_length=4, updates=20_000, sample_every=None)
    process = begun(tmp_path, settings)
    command = Command.make("sample", **asked)
    send(process.directory.commands_file.path, command)
    begin_with_commands(process)
    pieces = 0

    def look(item: Event | Status) -> None:
        nonlocal pieces
        if isinstance(item, Status) and item.phase == "sampling":
            pieces += 1
            process.trainer.stop("signal SIGTERM")

    injected()
    ended = process.run(look)
    assert ended.reason == "signal SIGTERM"
    assert pieces == 1
    (answer,) = refusals(process.directory)
    assert answer["command"] == command.id
    assert "before the sample was drawn" in answer["reason"]
    assert not of_type(process.directory.path, "sample")


def test_a_sample_in_pieces_is_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the network is, and so however small the pieces are."""
    texts = []
    for size in (10**9, 1):
        monkeypatch.setattr("charrnn_core.training.trainer._MULTIPLIED_A_PULSE", size)
        process = begun(tmp_path, Settings.of(hidden=6, seq_length=4, updates=40), name=f"run-{size}")
        send(process.directory.commands_file.path, Command.make("sample", length=30, prime="the cat"))
        begin_with_commands(process)
        process.run(lambda item: None)
        texts.append([event["text"] for event in of_type(process.directory.path, "sample")])
    assert texts[0] == texts[1]
    assert len(texts[0]) >= 2


class Slow:
    """An engine's code that is being compiled for ever."""

    def __init__(self) -> None:
        self.closed = False

    def preparing(self, dtype: object = None) -> Iterator[None]:
        try:
            yield from itertools.repeat(None)
        finally:
            self.closed = True


def test_a_run_that_is_ended_while_it_compiles_is_resumed_as_if_it_had_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = begun(tmp_path, name="whole").run(lambda item: None)
    process, slow = begun(tmp_path), Slow()
    monkeypatch.setattr(process.trainer.engine, "is_ready", lambda dtype=None: False)
    monkeypatch.setattr(process.trainer.engine, "preparing", slow.preparing)
    looks = 0

    def look(item: Event | Status) -> None:
        nonlocal looks
        looks += isinstance(item, Status) and item.phase == "compiling"
        if looks == 3:
            process.trainer.stop("signal SIGTERM")

    injected()
    ended = process.run(look)
    assert (ended.reason, ended.update, ended.state_sha256) == ("signal SIGTERM", 0, None)
    assert slow.closed
    assert not process.directory.has_checkpoint
    resumed = resume(process.directory, {}).run(lambda item: None)
    assert resumed.state_sha256 == whole.state_sha256


def test_a_run_that_has_lost_its_checkpoints_does_not_begin_again(tmp_path: Path) -> None:
    process = begun(tmp_path)
    process.run(lambda item: None)
    for name in ("last", "previous", "best"):
        process.directory.checkpoint_file(name).remove()
    log = process.directory.events_file.read()
    with pytest.raises(Exception, match="no checkpoint") as caught:
        resume(process.directory, {"updates": 500})
    assert type(caught.value).__name__ == "CheckpointError"
    assert process.directory.events_file.read() == log


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_trainer_that_compiles(tmp_path: Path, number: int) -> None:
    pytest.importorskip("numba")
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    kept = tmp_path / "kept"
    arguments = ["train", "book.txt", *ENDLESS, "--engine", "numba", "--name", "run"]
    with started(tmp_path, *arguments, changes={"NUMBA_CACHE_DIR": str(kept)}) as process:
        run = tmp_path / "runs" / "run"
        until(lambda: (run / "status.json").exists() and "compiling" in (run / "status.json").read_text())
        until(lambda: compilers(kept))
        injected()
        code, err = stopped(process, number)
    assert code == 128 + number
    assert_harmless(err)
    assert of_type(run, "ended")[-1]["update"] == 0
    until(lambda: not compilers(kept))


def compilers(kept: Path) -> list[int]:
    """Return the processes that compile into a directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line, variables = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"compiled.compiling" in line and os.fsencode(kept) in variables:
                found.append(int(entry.name))
    return found


@pytest.mark.slow
def test_code_is_compiled_once_and_then_read(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    program = (
        "import numpy as np, subprocess\n"
        "from charrnn_core.rnn.compiled import compiling\n"
        "seen = []\n"
        "real = subprocess.Popen\n"
        "def popen(*given, **how):\n"
        "    seen.append(given)\n"
        "    return real(*given, **how)\n"
        "subprocess.Popen = popen\n"
        "for _ in range(2):\n"
        "    for _ in compiling.compile_elsewhere(np.dtype('float32')): pass\n"
        "print(len(seen))\n"
    )
    variables = environment(NUMBA_CACHE_DIR=str(tmp_path))
    for expected in ("1", "0", "1"):
        if expected == "1":  # also where a user has emptied the cache, but for its marks
            for kept in tmp_path.rglob("*.nbc"):
                kept.unlink()
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=variables,
            capture_output=True,
            text=True,
            timeout=6 * PATIENCE,
        )
        assert done.stdout.strip() == expected, done.stderr


def test_a_flooded_run_is_ended_by_a_signal(here: Path) -> None:
    with started(here, "train", "book.txt", *ENDLESS, "--name", "run", "--quiet") as process:
        run = here / "runs" / "run"
        until(lambda: of_type(run, "progress"))
        with (run / "commands.jsonl").open("wb") as file:
            for _ in range(300):
                file.write(b"z\n" * 200_000 + line("sample", length=10_000) * 20)
        injected()
        code, err = stopped(process, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert_harmless(err)
    assert len(of_type(run, "refused")) < 2000


@pytest.mark.slow
def test_a_signal_ends_a_run_that_is_resumed_while_commands_keep_coming(here: Path) -> None:
    train = [
        "train",
        "book.txt",
        *ENDLESS,
        "--updates",
        "30",
        "--seconds",
        "none",
        "--name",
        "run",
        "--quiet",
    ]
    assert charrnn(here, *train).code == 0
    run, over = here / "runs" / "run", threading.Event()

    def write() -> None:
        with (run / "commands.jsonl").open("ab", buffering=0) as file:
            for number in itertools.count():
                if over.is_set():
                    return
                file.write(b"".join(b'{"id":"%d-%d"}\n' % (number, each) for each in range(1000)))
                time.sleep(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with started(here, "resume", "run", *ENDLESS[-4:], "--quiet") as process:
            until(lambda: of_type(run, "refused"))
            injected()
            code, err = stopped(process, signal.SIGTERM)
    finally:
        over.set()
        writer.join()
    assert code == 128 + signal.SIGTERM
    assert_harmless(err)
    log = run / "events.jsonl"
    assert log.stat().st_size < (run / "commands.jsonl").stat().st_size + 1_000_000


def test_problems_are_told_apart_up_to_a_number(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    lines = [b'{"id":"a%d","command":"x%d"}\n' % (number, number) for number in range(400)]
    path.write_bytes(b"".join(lines) + b"1\nx\n" * 100 + line("pause"))
    reader = CommandReader(path)
    *bad, (command, _) = reader.read()
    assert isinstance(command, Command)
    assert len(bad) == 22
    ids = [identity for each, _ in bad if isinstance(each, BadCommand) for identity in each.ids]
    assert sorted(ids) == sorted(f"a{number}" for number in range(400))
    assert sum(each.lines for each, _ in bad if isinstance(each, BadCommand)) == 600
    reader.close()


def test_commands_of_many_askers_are_refused_together_and_each_is_answered(tmp_path: Path) -> None:
    process = begun(tmp_path)
    process.close()
    directory = process.directory
    commands = [Command.make("checkpoint") for _ in range(300)]
    for command in commands:
        send(directory.commands_file.path, command)
    nameless = b"".join(b'{"id":"n%d"}\n' % number for number in range(300))
    with directory.commands_file.path.open("ab") as file:
        file.write(nameless)
    injected()
    for updates in (300, 310):
        resume(directory, {"updates": updates}).run(lambda item: None)
    asked, wrong = refusals(directory)  # and not again by the second process
    assert asked["reason"] == "the run was not being trained (300 commands)"
    assert asked["commands"] == [command.id for command in commands]
    assert wrong["reason"].startswith("there is no command") and wrong["reason"].endswith("(300 commands)")
    assert len(wrong["commands"]) == 300
    history = History.read(directory.events_file)
    assert history.answered == {*asked["commands"], *wrong["commands"]}
