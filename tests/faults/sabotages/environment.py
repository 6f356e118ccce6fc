"""Carelessness about limits of the process and variables of the environment."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from tests.faults.careless import careless


@careless(
    "charrnn_tui.environment:drop_wrong_variables",
    says="libraries get whatever the environment says of sizes, colours, drawing and threads",
    tests="tests/faults/test_environment.py",
)
def variables_as_they_are(original: Any) -> Any:
    def drop_wrong_variables(environment: Any) -> None:
        pass

    return drop_wrong_variables


@careless(
    "charrnn_tui.limits:prepare",
    says="libraries in C end the process where memory or threads are limited",
    tests="tests/faults/test_limits.py",
)
def no_trial_of_libraries(original: Any) -> Any:
    def prepare(environment: Any) -> None:
        return None

    return prepare


@careless(
    "charrnn_tui.limits:explain",
    says="errors of the system, of imports and of memory come out as they are",
    tests="tests/faults/test_limits.py",
)
def errors_without_a_sentence(original: Any) -> Any:
    def explain(error: BaseException) -> None:
        return None

    return explain


@careless(
    "charrnn_core.errors:reason_of",
    says="an error of the system that has no number is None in messages",
    tests="tests/core/test_errors.py",
)
def none_for_a_reason(original: Any) -> Any:
    def reason_of(error: BaseException) -> str:
        return str(getattr(error, "strerror", error))

    return reason_of


@careless(
    "charrnn_tui.limits:check_limits_of_dashboard",
    says="the dashboard starts with fewer open files and less memory than it needs",
    tests="tests/faults/test_limits.py",
)
def a_dashboard_under_any_limit(original: Any) -> Any:
    def check_limits_of_dashboard() -> None:
        pass

    return check_limits_of_dashboard


@careless(
    "charrnn_tui.dashboard.preferences:_folder",
    says="the dashboard does without no home directory",
    tests="tests/faults/test_environment.py",
)
def a_home_for_everybody(original: Any) -> Any:
    def _folder() -> Path:
        given = os.environ.get("XDG_CONFIG_HOME")
        return (Path(given) if given else Path.home() / ".config") / "charrnn"

    return _folder


@careless(
    "charrnn_tui.dashboard.preferences:_NOT_THERE",
    says="a configuration below a device is an error of the key map",
    tests="tests/faults/test_environment.py",
)
def only_missing_files_are_not_there(original: Any) -> Any:
    return (errno.ENOENT,)


@careless(
    "charrnn_tui.dashboard.preferences:_NOT_THERE",
    says="a key map that cannot be read is taken for none",
    tests="tests/faults/test_environment.py",
)
def whatever_fails_is_not_there(original: Any) -> Any:
    return tuple(errno.errorcode)


@careless(
    "charrnn_tui.cli:run",
    says="errors come out as they are",
    tests="tests/faults/test_hostile_corpus.py tests/faults/test_hostile_options.py "
    "tests/faults/test_hostile_resume.py tests/faults/test_hostile_prime.py "
    "tests/faults/test_hostile_places.py tests/faults/test_disks.py tests/faults/test_streams.py "
    "tests/faults/test_input.py "
    "tests/faults/test_signals.py",
)
def exceptions(original: Any) -> Any:
    def run(arguments: list[str]) -> int:
        from charrnn_tui import cli

        return int(cli._invoke(arguments) or 0)

    return run
