"""A text that the dashboard gets through a pipe: never copied, bounded, and let go of in time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.text import source
from charrnn_core.text.corpus import read_corpus
from charrnn_core.text.source import Source
from tests.program import PROGRAM, TEXT, environment, until
from tests.terminals import SMALL

pytestmark = pytest.mark.fault("input")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that nothing is written to, and that is not closed."""
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with suppress(OSError):
            os.close(descriptor)


def trainers(where: Path) -> list[int]:
    """Return the processes that train in a folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            if b"--owned" in arguments and str(where).encode() in b"\0".join(arguments):
                found.append(int(folder.name))
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")


@pytest.mark.slow(sparing=1)
@needs_proc
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, "q"])
def test_a_dashboard_that_is_left_while_its_text_is_read_leaves_nothing(
    how: Any, dashboard: Any, pipe: tuple[int, int], tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    os.write(pipe[1], TEXT.encode())
    terminal = dashboard("-", *SMALL, stdin=pipe[0], TMPDIR=str(temporary))
    terminal.shows("starting")
    until(lambda: trainers(tmp_path))
    assert list(temporary.iterdir()) == []
    if how == "q":
        terminal.type("q")
        assert terminal.ends() == 0
    else:
        terminal.process.send_signal(how)
        terminal.ends()
    until(lambda: not trainers(tmp_path), lambda: "the trainer still reads")
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_text_without_end_is_refused_when_it_takes_too_much_memory(dashboard: Any, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    dashboard.program = ["/bin/bash", "-c", 'ulimit -v 1000000 && yes "the cat sat" | "$@"', "sh", *PROGRAM]
    terminal = dashboard("-", *SMALL, TMPDIR=str(temporary))
    assert terminal.ends() == 2
    assert "charrnn: standard input gives more than 512 MB, half of the memory that charrnn may use; " in (
        "".join(terminal.said)
    )
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_writer_of_the_text_hears_that_nobody_reads(dashboard: Any, tmp_path: Path) -> None:
    """The trainer has ended, and nobody else may hold the pipe."""
    reader, writer = os.pipe()
    terminal = dashboard("-", *SMALL, stdin=reader)
    os.close(reader)
    os.write(writer, b"\xff not UTF-8\n" * 10)
    assert terminal.ends() == 2
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"more")
    os.close(writer)


def test_a_terminal_is_no_text(dashboard: Any) -> None:
    terminal = dashboard("-", *SMALL)
    assert terminal.ends() == 2
    assert terminal.said == [
        "charrnn: charrnn tui - reads a text from a pipe: PROGRAM | charrnn tui -; or give a file"
    ]


def test_a_pipe_that_does_not_wait_is_waited_for(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.set_blocking(reader, False)
    command = ["/bin/sh", "-c", "sleep 0.2; printf 'the tide rises'"]
    with subprocess.Popen(command, stdout=writer):
        os.close(writer)
        assert len(read_corpus(Source("input", "standard input", descriptor=reader))) == 14


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--prime", "--score"])
def test_a_prime_and_a_scored_text_are_bounded(option: str, tmp_path: Path) -> None:
    """A byte of them needs many bytes of memory."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    small = ["--updates", "1", "--hidden", "4", "--seq-length", "5", "--name", "done"]
    subprocess.run([*PROGRAM, "train", "book.txt", *small], cwd=tmp_path, env=environment(), check=True)
    line = f'ulimit -v 640000 && yes "the cat sat" | "$@" sample done {option} -'
    finished = subprocess.run(
        ["/bin/bash", "-c", line, "sh", *PROGRAM],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 2, finished.stderr
    assert finished.stderr == "charrnn: standard input is too long: it has more than 20 MB\n"


def test_many_different_characters_need_no_more_memory_than_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code has two bytes once there are more than 256 characters, also for a text that is mostly ASCII."""
    from charrnn_core.errors import CorpusError
    from charrnn_core.text import corpus

    rare = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    path = tmp_path / "rare.txt"
    path.write_text(rare + "a" * 100_000, encoding="utf-8")
    monkeypatch.setattr(corpus, "installed_memory", lambda: 200_000)
    monkeypatch.setattr(source, "installed_memory", lambda: 200_000)
    with pytest.raises(CorpusError, match=r"rare.txt does not fit into memory"):
        read_corpus(path)
    monkeypatch.setattr(corpus, "installed_memory", lambda: 300_000)
    assert len(read_corpus(path)) == 100_300
