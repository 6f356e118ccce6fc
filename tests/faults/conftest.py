"""Every test here is of a row of the matrix; what it has injected is counted, and a table can be made of it.

A test says its row with `pytest.mark.fault("kill")`, for itself or for its module. `ledger` counts.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import ledger
from tests.faults.matrix import ROWS
from tests.faults.promises import AtOnce
from tests.faults.table import PROBLEMS, Tally, write_table
from tests.program import TEXT, EscapeError, HangError, TracebackError
from tests.terminals import book, dashboard, until_fixture

__all__ = ["book", "dashboard", "until_fixture"]

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        mark = item.get_closest_marker("fault")
        if mark is None or mark.args[0] not in ROWS:
            raise pytest.UsageError(f"{item.nodeid} does not say of which row of the matrix it is")
        item.user_properties.append(("row", mark.args[0]))


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Count what the test injects."""
    mark = request.node.get_closest_marker("fault")
    ledger.begin(ROWS[mark.args[0]].slow)
    yield
    told = ledger.entry
    count = 1 if told.injections is None else told.injections
    request.node.user_properties.append(("injections", count))
    request.node.user_properties.append(("longest", told.longest))
    request.node.user_properties.append(("slow", told.slow))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    report = yield
    if report.failed and call.excinfo is not None:
        kinds = {
            "tracebacks": TracebackError,
            "escape codes": EscapeError,
            "hangs": (HangError, subprocess.TimeoutExpired),
        }
        kind = next((name for name, types in kinds.items() if call.excinfo.errisinstance(types)), PROBLEMS[0])
        report.user_properties = [*report.user_properties, ("problem", kind)]
    return report


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtOnce]:
    """Runs commands side by side."""
    runner = AtOnce(lambda: tmp_path_factory.mktemp("case"))
    yield runner
    runner.end()


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a text in it, the current directory of the commands."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


class _Counting:
    """Adds up what the tests report, in the process that hears of all of them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.tally = Tally()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tally.add(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run for the table in which something was missing, or slow."""
        if self._config.getoption("--table") and self.tally.shortcoming() and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.tally.rows and self._config.getoption("--thorough"):
            terminalreporter.section("faults")
            terminalreporter.write_line(self.tally.text())
            terminalreporter.write_line(self.tally.shortcoming() or "nothing is missing")
        where = self._config.getoption("--table")
        if where:
            write_table(Path(where), self.tally)
            terminalreporter.write_line(f"written: {where}")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Counting(config), "faults-counting")
