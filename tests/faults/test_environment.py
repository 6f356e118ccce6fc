"""Environment variables that make no sense: no traceback, no endless output, no hang."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults import ledger
from tests.faults.promises import AtOnce, assert_harmless, assert_trained
from tests.program import SMALL, Finished, charrnn, finish
from tests.terminals import SMALL as SMALL_RUN

pytestmark = pytest.mark.fault("environment")

SIZES = [
    "100000000000000000000",
    "99999999",
    "0",
    "-1",
    "words",
    "1.5",
    "\u0663",
    "\u00b2",
    " 80 ",
    "1000",
]
NAMES = ["COLUMNS", "LINES", "TERMINAL_WIDTH"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_size_that_is_none_does_not_count(name: str, at_once: AtOnce) -> None:
    asked = at_once(SIZES, lambda size, where: charrnn(where, "train", "--help", **{name: size}))
    for size, (_, outcome) in asked.items():
        finished = outcome.result()
        ledger.waited(finished.seconds)
        ledger.injected()
        assert (finished.code, finished.err) == (0, ""), (size, finished.err)
        assert "Usage" in finished.out
        assert len(finished.out) < 1_000_000, size


ODD: dict[str, dict[str, str]] = {
    "home is a device": {"HOME": "/dev/null", "XDG_CONFIG_HOME": ""},
    "home is empty": {"HOME": "", "XDG_CONFIG_HOME": ""},
    "home is nowhere": {"HOME": "/nonexistent", "XDG_CONFIG_HOME": ""},
    "home is not a path": {"HOME": "words", "XDG_CONFIG_HOME": "words"},
    "configuration in a device": {"XDG_CONFIG_HOME": "/dev/null"},
    "a long name": {"XDG_CONFIG_HOME": "/" + "x" * 5000, "XDG_CACHE_HOME": "/" + "x" * 5000},
    "caches nowhere": {
        "XDG_CACHE_HOME": "/dev/null",
        "MPLCONFIGDIR": "/dev/null",
        "NUMBA_CACHE_DIR": "/dev/null",
    },
    "no temporary files": {"TMPDIR": "/nonexistent"},
    "no place for anything": {"TMPDIR": "/dev/null", "HOME": "/dev/null", "MPLCONFIGDIR": "/dev/null/x"},
    "an unknown locale": {"LC_ALL": "xx_YY.nothing"},
    "an unknown terminal": {"TERM": "none-such"},
    "an escape sequence as terminal": {"TERM": "\x1b[31m", "COLORTERM": "\x1b[31m"},
    "an unknown back end": {"MPLBACKEND": "none-such"},
    "a time zone a day away": {"TZ": "XXX-24"},
    "an escape sequence as time zone": {"TZ": "\x1b[31m"},
    "no threads": {"NUMBA_NUM_THREADS": "0", "OPENBLAS_NUM_THREADS": "words"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ODD)
def test_training_and_drawing_work_in_an_odd_environment(kind: str, here: Path, thorough: bool) -> None:
    run = assert_trained(charrnn(here, "train", "book.txt", *SMALL, **ODD[kind]), here)
    commands = [["plot", run.name, "--output", "loss.svg"]]
    if thorough:
        commands += [
            ["report", run.name],
            ["runs"],
            ["sample", run.name],
            ["gradcheck", run.name],
            ["corpora"],
        ]
        commands += [["--help"], ["resume", run.name, "--updates", "40"], ["export", run.name]]
    for command in commands:
        finished = charrnn(here, *command, **ODD[kind])
        ledger.injected()
        assert_ended_well(finished)


@pytest.mark.slow
def test_a_number_of_threads_that_numba_refuses_does_not_count(here: Path) -> None:
    """Else Numba could not be imported."""
    pytest.importorskip("numba")
    program = (
        "import os\n"
        "from charrnn_tui.environment import drop_wrong_variables\n"
        "drop_wrong_variables(os.environ)\n"
        "from charrnn_core.rnn.engines import problem_with_numba\n"
        "print(problem_with_numba())\n"
    )
    finished = finish([sys.executable, "-c", program], here, NUMBA_NUM_THREADS="0")
    assert finished.out == "None\n", finished.err


def assert_ended_well(finished: Finished) -> None:
    assert_harmless(finished.err)
    assert finished.code == 0, finished.err


DASHBOARD = ["home is a device", "home is empty", "home is nowhere", "a long name", "an unknown terminal"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", DASHBOARD)
def test_the_dashboard_works_in_an_odd_environment(kind: str, dashboard: Any) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN, "--updates", "50", **ODD[kind])
    terminal.shows("■ ended")
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.restored


@pytest.mark.slow
def test_colours_that_the_toolkit_does_not_know_are_its_own(dashboard: Any) -> None:
    sizes = {"COLUMNS": "100000000000000000000", "LINES": "-1", "TEXTUAL_COLOR_SYSTEM": "none-such"}
    terminal = dashboard("book.txt", *SMALL_RUN, "--updates", "50", **sizes)
    terminal.shows("■ ended")
    terminal.type("q")
    assert terminal.ends() == 0


def test_a_home_that_the_system_does_not_know_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from charrnn_tui.dashboard.preferences import Preferences, read_keymap

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert Preferences.read() == Preferences()
    assert read_keymap() == {}
    with pytest.raises(OSError, match="no home directory; set HOME"):
        Preferences("light").write()


def test_a_key_map_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from charrnn_core.errors import UsageError
    from charrnn_core.runs.files import Entry
    from charrnn_tui.dashboard import preferences

    def refuse(file: Entry, most: int = 0) -> bytes:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Entry, "read", refuse)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"keys.toml: Permission denied$"):
        preferences.read_keymap()
