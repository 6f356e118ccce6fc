"""Signals while a command starts: an end without a traceback."""

from __future__ import annotations

import random
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.faults.ledger import injected
from tests.program import PROGRAM, TracebackError, finish, searched_first, started, stopped

pytestmark = pytest.mark.fault("signal")

SCRIPT = Path(sys.executable).with_name("charrnn")
PROGRAMS = [PROGRAM, *([[str(SCRIPT)]] if SCRIPT.exists() else [])]
INTERRUPTED = "__import__('os').kill(__import__('os').getpid(), 2)\nraise ImportError('not interrupted')\n"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: Path(program[0]).name)
@pytest.mark.parametrize("module", ["signal", "typer"])
def test_ctrl_c_during_the_first_imports_is_no_traceback(here: Path, module: str, program: list[str]) -> None:
    stand_in = here / "path" / f"{module}.py"
    stand_in.parent.mkdir()
    stand_in.write_text(INTERRUPTED, encoding="utf-8")
    finished = finish([*program, "--version"], here, PYTHONPATH=searched_first(stand_in.parent))
    assert (finished.code, finished.err) == (-signal.SIGINT, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_instant_of_the_start(here: Path, thorough: bool, number: signal.Signals) -> None:
    generator = random.Random(number)
    lasts = finish([*PROGRAM, "--version"], here).seconds
    for turn in range(200 if thorough else 6):
        command = PROGRAMS[turn % len(PROGRAMS)]
        with started(here, generator.choice(["--version", "corpora", "--help"]), command=command) as process:
            time.sleep(generator.uniform(0, 0.1 if thorough and turn % 2 else lasts))
            code, err = stopped(process, number)
        injected()
        assert code in (-number, 128 + number, 0) or is_of_python(err)
        assert_before_our_code(err)


def is_of_python(err: str) -> bool:
    """Return whether Python itself was interrupted; before it has its streams it calls that a fatal error."""
    return "KeyboardInterrupt" in err or "Fatal Python error: init_" in err


def assert_before_our_code(err: str) -> None:
    """Either nothing was written, or Python was interrupted before it had run the first lines of charrnn."""
    frames = re.findall(r'charrnn_\w+/\S+", line \d+', err)
    if any(not re.fullmatch(r'charrnn_tui/__main__\.py", line [1-8]', frame) for frame in frames):
        raise TracebackError(err)
    assert err == "" or is_of_python(err)
