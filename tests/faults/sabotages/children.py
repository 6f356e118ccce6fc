"""Careless versions of what ends the processes that a command has started."""

import contextlib
import sys
from pathlib import Path

from tests.faults.careless import careless

TESTS = "tests/faults/test_children.py"


@careless(
    "charrnn_core.sweeps.slot:Slot.let_go", says="a sweep waits for processes that are stopped", tests=TESTS
)
def waits_for_stopped_processes(original):
    def let_go(self):
        self._process.stdin.close()

    return let_go


@careless(
    "charrnn_core.sweeps.slot:Slot.__init__",
    says="the processes of a sweep are in a session of their own",
    tests=TESTS,
)
def sessions_of_their_own(original):
    def create(self):
        import subprocess
        import sys

        self._process = subprocess.Popen(
            [sys.executable, "-m", "charrnn_core.sweeps.slot"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._process.pid

    return create


@careless(
    "charrnn_core.runs.process:TrainingProcess._look_for_owner",
    says="a process that trains does not notice that its owner is gone",
    tests=TESTS,
)
def trains_for_nobody(original):
    def _look_for_owner(self):
        pass

    return _look_for_owner


@careless(
    "charrnn_core.children:python",
    says="processes that charrnn starts look for modules in the current directory first",
    tests="tests/faults/test_modules.py",
)
def imports_from_here(original):
    return lambda *arguments: [sys.executable, *arguments]


@careless(
    "charrnn_core.libraries:away_from_the_current_directory",
    says="Numba and Matplotlib read settings from the current directory while they are imported",
    tests="tests/faults/test_modules.py::"
    "test_no_library_reads_its_settings_from_the_run_in_which_a_command_is_called "
    "tests/faults/test_modules.py::"
    "test_a_command_opens_nothing_in_the_current_directory_but_files_of_runs",
)
def reads_settings_here(original):
    return contextlib.nullcontext


@careless(
    "charrnn_tui.limits:prepare",
    says="`python -m charrnn_tui` looks for modules in the current directory first",
    tests="tests/faults/test_modules.py",
)
def keeps_the_current_directory(original):
    def prepare(environment):
        sys.path.insert(0, str(Path.cwd()))
        return original(environment)

    return prepare
