"""Options and profiles of the whole suite."""

import os
import signal
from pathlib import Path

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
    parser.addoption(
        "--tier",
        choices=["default", "slow", "all"],
        default="default",
        help="default: what a change is tried with, in five minutes; slow: the other tests.",
    )
    parser.addoption("--thorough", action="store_true", help="Run the fault tests in their long forms.")
    parser.addoption("--table", metavar="FILE", help="Write the table of the fault tests to this file.")
    parser.addoption("--record", action="store_true", help="Record the reports of recorded runs anew.")


def pytest_xdist_auto_num_workers() -> int:
    """Run one test more at a time than there are cores: many wait for a program that they started."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of the tier that was asked for; one that is named is run in any case."""
    tier = config.getoption("--tier")
    if tier == "all" or config.getoption("--thorough") or any("::" in each for each in config.args):
        return
    slow = _slow(items)
    left_out = [item for item in items if (item in slow) == (tier == "default")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _slow(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return the tests that are marked as slow, without the cases that the mark spares.

    Cases of one kind are often next to each other, so those that are spared are spread evenly.
    """
    cases: dict[tuple[Path, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("slow"):
            cases.setdefault((item.path, item.name.partition("[")[0]), []).append(item)
    slow = set()
    for each in cases.values():
        sparing = each[0].get_closest_marker("slow").kwargs.get("sparing", 0)
        spared = {number * len(each) // sparing for number in range(sparing)}
        slow.update(item for number, item in enumerate(each) if number not in spared)
    return slow


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether the long forms were asked for."""
    return bool(request.config.getoption("--thorough"))


@pytest.fixture(scope="session", autouse=True)
def own_configuration(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's themes and keys out of the tests, and the tests' out of the user's."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
