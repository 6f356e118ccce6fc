"""The lock of a run: one process has it, anybody may ask, and the kernel gives it back."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from charrnn_core.errors import RunDirectoryError
from charrnn_core.runs import lock
from charrnn_core.runs.files import Entry
from charrnn_core.runs.lock import is_locked, take_lock

HOLDER = """
import os, sys
from pathlib import Path
from charrnn_core.runs.files import Entry
from charrnn_core.runs.lock import take_lock
descriptor = take_lock(Entry.at(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
os.close(descriptor)
print("given back", flush=True)
sys.stdin.readline()
"""

ASKER = """
import sys
from pathlib import Path
from charrnn_core.runs.files import Entry
from charrnn_core.runs.lock import is_locked
print("asking", flush=True)
found = set()
for _ in range(20_000):
    found.add(is_locked(Entry.at(sys.argv[1])))
print(sorted(found), flush=True)
"""

TAKER = """
import os, sys
from pathlib import Path
from charrnn_core.errors import RunDirectoryError
from charrnn_core.runs.files import Entry
from charrnn_core.runs.lock import take_lock
refused = 0
for _ in range(int(sys.argv[2])):
    try:
        os.close(take_lock(Entry.at(sys.argv[1])))
    except RunDirectoryError:
        refused += 1
print(refused, flush=True)
"""


@contextmanager
def python(code, *arguments):
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def reads(process, line):
    assert process.stdout.readline() == f"{line}\n"


def tells(process):
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_lock_is_seen_by_others_names_its_holder_and_is_given_back(tmp_path):
    path = tmp_path / "run" / ".lock"
    path.parent.mkdir()
    assert not is_locked(Entry.at(path))
    assert not path.exists()  # asking makes no file
    with python(HOLDER, path) as holder:
        reads(holder, "held")
        assert is_locked(Entry.at(path))
        with pytest.raises(
            RunDirectoryError, match=rf"{path.parent} is being trained by process {holder.pid}"
        ):
            take_lock(Entry.at(path))
        assert is_locked(Entry.at(path))  # the one that was kept out has disturbed nothing
        assert path.read_text() == f"{holder.pid}\n"
        tells(holder)
        reads(holder, "given back")
        assert not is_locked(Entry.at(path))
        descriptor = take_lock(Entry.at(path))  # while the earlier holder still lives
        assert path.read_text() == f"{os.getpid()}\n"
        os.close(descriptor)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_killed_holder_is_free(tmp_path, number):
    path = tmp_path / ".lock"
    with python(HOLDER, path) as holder:
        reads(holder, "held")
        holder.send_signal(number)
        holder.wait(20)
    assert not is_locked(Entry.at(path))
    os.close(take_lock(Entry.at(path)))


def test_a_stopped_holder_still_has_it(tmp_path):
    path = tmp_path / ".lock"
    with python(HOLDER, path) as holder:
        reads(holder, "held")
        holder.send_signal(signal.SIGSTOP)
        assert is_locked(Entry.at(path))
        with pytest.raises(RunDirectoryError, match=str(holder.pid)):
            take_lock(Entry.at(path))
        holder.send_signal(signal.SIGCONT)


@pytest.mark.slow
def test_asking_never_keeps_anybody_out(tmp_path):
    path = tmp_path / ".lock"
    path.touch()
    with python(ASKER, path) as asker:
        reads(asker, "asking")
        with python(TAKER, path, 5000) as taker:
            reads(taker, "0")
        assert asker.stdout.readline().strip() in ("[False]", "[True]", "[False, True]")


def test_asking_in_the_holders_own_process_does_not_give_the_lock_back(tmp_path):
    path = tmp_path / ".lock"
    descriptor = take_lock(Entry.at(path))
    # Any descriptor of the file that closes would give a traditional record lock back.
    for _ in range(3):
        assert is_locked(Entry.at(path))
    path.read_bytes()
    with pytest.raises(RunDirectoryError, match=f"process {os.getpid()}"):
        take_lock(Entry.at(path))
    with python(TAKER, path, 3) as other:
        reads(other, "3")
    assert is_locked(Entry.at(path))
    os.close(descriptor)
    assert not is_locked(Entry.at(path))


def test_of_many_that_want_it_at_once_one_gets_it(tmp_path):
    path = tmp_path / ".lock"
    race = """
import sys
from pathlib import Path
from charrnn_core.errors import RunDirectoryError
from charrnn_core.runs.files import Entry
from charrnn_core.runs.lock import take_lock
print("ready", flush=True)
sys.stdin.readline()
try:
    take_lock(Entry.at(sys.argv[1]))
    print("mine", flush=True)
except RunDirectoryError:
    print("refused", flush=True)
sys.stdin.readline()
"""
    with python(race, path) as one, python(race, path) as two, python(race, path) as three:
        racers = (one, two, three)
        for racer in racers:
            reads(racer, "ready")
        for racer in racers:
            tells(racer)
        answers = sorted(racer.stdout.readline().strip() for racer in racers)
    assert answers == ["mine", "refused", "refused"]


def test_the_lock_does_not_outlive_its_process_in_a_program_that_it_started(tmp_path):
    path = tmp_path / ".lock"
    code = """
import subprocess, sys
from pathlib import Path
from charrnn_core.runs.files import Entry
from charrnn_core.runs.lock import take_lock
take_lock(Entry.at(sys.argv[1]))
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.readline()
"""
    with python(code, path) as holder:
        child = int(holder.stdout.readline())
        try:
            assert is_locked(Entry.at(path))
            holder.kill()
            holder.wait(20)
            assert not is_locked(Entry.at(path))
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_lock_is_waited_for_that_a_killed_process_has_left_with_one_that_it_was_starting(
    tmp_path, monkeypatch
):
    path = tmp_path / ".lock"
    # A child has its parent's descriptors until it becomes another program.
    code = """
import os, sys
from charrnn_core.runs.files import Entry
from charrnn_core.runs.lock import take_lock
take_lock(Entry.at(sys.argv[1]))
if os.fork():
    sys.stdout.close()
    os.wait()
print("started", flush=True)
sys.stdin.readline()
"""
    with python(code, path) as holder:
        reads(holder, "started")
        holder.kill()
        holder.wait(20)
        assert is_locked(Entry.at(path))
        looks = []

        def become_another_program(seconds):
            looks.append(seconds)
            tells(holder)
            assert holder.stdout.read() == ""  # until the child has ended

        monkeypatch.setattr(lock.time, "sleep", become_another_program)
        descriptor = take_lock(Entry.at(path))
        assert path.read_text() == f"{os.getpid()}\n"
        assert len(looks) == 1
        os.close(descriptor)


@pytest.mark.parametrize("content", [b"", b"12 34", b"\x1b]0;evil\x07", b"\xff\xfe", b"9" * 4000])
def test_whatever_a_lock_file_holds_the_message_is_harmless(tmp_path, content):
    path = tmp_path / ".lock"
    with python(HOLDER, path) as holder:
        reads(holder, "held")
        path.write_bytes(content)
        with pytest.raises(RunDirectoryError) as refusal:
            take_lock(Entry.at(path))
        assert str(refusal.value).isprintable()
        assert "is being trained by" in str(refusal.value)
    assert not is_locked(Entry.at(path))
