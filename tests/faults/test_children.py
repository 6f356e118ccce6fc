"""Processes that a command has started: none outlives it unnoticed, and none keeps it waiting."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ledger import waited
from tests.program import PATIENCE, Terminal, on_terminal, started, until
from tests.serving import is_stopped, processes_in

if not Path("/proc/self/cwd").exists():
    pytest.skip("asks /proc for processes", allow_module_level=True)

pytestmark = pytest.mark.fault("signal")

SWEEP = (
    "sweep", "book.txt", "--vary", "hidden=4,6", "--jobs", "2", "--updates", "none", "--seconds", "300",
    "--seq-length", "5", "--sample-every", "none", "--name", "sizes",
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_left(here: Path) -> Iterator[None]:
    """End what a test that failed has left."""
    yield
    for process in processes_in(here):
        os.kill(process, signal.SIGKILL)


def slots(here: Path, sweep: int) -> set[int]:
    """Wait until both trials are trained, and return the processes that train them."""
    until(lambda: len(list(here.glob("runs/sizes/**/last.safetensors"))) == 2)
    found = processes_in(here) - {sweep}
    assert len(found) == 2
    return found


def all_gone(here: Path) -> None:
    began = time.monotonic()
    until(lambda: not processes_in(here), lambda: f"left: {processes_in(here)}")
    waited(time.monotonic() - began)


@pytest.mark.slow
def test_processes_of_a_sweep_end_when_it_is_killed(here: Path) -> None:
    with started(here, *SWEEP) as sweep:
        slots(here, sweep.pid)
        sweep.kill()
        sweep.communicate(timeout=PATIENCE)
        all_gone(here)


@pytest.mark.slow
def test_processes_of_a_sweep_end_when_it_is_stopped_and_killed(here: Path) -> None:
    with on_terminal(here, *SWEEP, out_too=True) as terminal:
        stop(here, terminal)
        terminal.process.kill()
        terminal.process.wait(PATIENCE)
        all_gone(here)


def stop(here: Path, terminal: Terminal) -> None:
    """Stop a sweep as Ctrl+Z does, and with it its processes."""
    found = slots(here, terminal.process.pid)
    terminal.process.send_signal(signal.SIGTSTP)
    until(lambda: all(map(is_stopped, found | {terminal.process.pid})))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_sweep_does_not_wait_for_a_process_that_is_stopped(here: Path, number: signal.Signals) -> None:
    with started(here, *SWEEP) as sweep:
        found = slots(here, sweep.pid)
        for slot in found:
            os.kill(slot, signal.SIGSTOP)
        until(lambda: all(map(is_stopped, found)))
        began = time.monotonic()
        sweep.send_signal(number)
        sweep.communicate(timeout=PATIENCE)
        waited(time.monotonic() - began)
        assert sweep.returncode == 128 + number
        assert processes_in(here) == set()
