"""The program as a shell runs it, for tests of the command line."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
PATIENCE = 90.0  # seconds until something that should have happened counts as hanging

_UNWANTED = {"NO_COLOR", "FORCE_COLOR", "CHARRNN_RUNS", "COLUMNS", "LINES", "PYTHONWARNINGS"}


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


class Shell:
    """Runs the program in a directory, with pipes for its streams."""

    def __init__(self, where):
        self.where = where

    def environment(self, **changes):
        kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
        return {**kept, "TERM": "xterm", "OPENBLAS_NUM_THREADS": "1", **changes}

    def __call__(self, *arguments, stdin=b"", **changes):
        process = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.where,
            env=self.environment(**changes),
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
        )
        return Finished(process.returncode, process.stdout.decode(), process.stderr.decode())

    def start(self, *arguments):
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.where,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def refuses(self, code, words, *arguments, **more):
        """Check that the program ends with a code and nothing but one line on stderr that has these words."""
        finished = self(*arguments, **more)
        assert finished.code == code, finished.err
        assert finished.out == ""
        assert finished.err.startswith("charrnn: ")
        assert finished.err.endswith("\n")
        assert finished.err[:-1].isprintable(), finished.err
        for word in words:
            assert word in finished.err


@pytest.fixture
def charrnn(tmp_path):
    return Shell(tmp_path)
