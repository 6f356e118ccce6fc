"""Options and profiles of the whole suite."""

import os
import signal

import pytest
from hypothesis import settings

# Before they are imported, so that their assertions tell what was compared.
pytest.register_assert_rewrite("tests.program", "tests.terminals", "tests.serving", "tests.faults.promises")

# The same examples every time: a test that fails today failed yesterday too.
settings.register_profile("charrnn", derandomize=True, deadline=None)
settings.load_profile("charrnn")

# Where the user keeps runs is no business of the tests.
os.environ.pop("CHARRNN_RUNS", None)

# Hundreds of tests start a program: each would spend half a second on Numba. Tests of it say so.
os.environ["CHARRNN_ENGINE"] = "numpy"

# Else each of these programs would compile every module of the project again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Whoever runs the suite in the background ignores these, and so would every program that the tests start.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="Run also what is marked as slow.")
    parser.addoption("--thorough", action="store_true", help="Run the fault tests in their long forms.")
    parser.addoption("--table", metavar="FILE", help="Write the table of the fault tests to this file.")
    parser.addoption("--record", action="store_true", help="Record the reports of recorded runs anew.")


def pytest_xdist_auto_num_workers() -> int:
    """Run one test more at a time than there are cores: many wait for a program that they started."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow tests where nobody asked for them."""
    if config.getoption("--slow") or config.getoption("--thorough"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether the long forms were asked for."""
    return bool(request.config.getoption("--thorough"))


@pytest.fixture(scope="session", autouse=True)
def own_configuration(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's themes and keys out of the tests, and the tests' out of the user's."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
