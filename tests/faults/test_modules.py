"""A run that came from somebody else may hold modules: none is imported, wherever charrnn is called."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from charrnn_core.sweeps.slot import Slot
from charrnn_tui.browser.process import DashboardProcess
from charrnn_tui.dashboard.trainer import OwnedTrainer
from tests.faults.ledger import injected
from tests.faults.promises import assert_harmless
from tests.program import PATIENCE, PROGRAM, SMALL, charrnn, finish, until

pytestmark = pytest.mark.fault("module")

INSTALLED = set(importlib.metadata.packages_distributions()) - {"__editable__"}
OWN = {"charrnn_tui", "charrnn_core", "tests"}
COMMANDS = (
    ["resume", ".", "--updates", "40", "--quiet"],
    ["sample", ".", "--length", "5"],
    ["gradcheck", "."],
    ["report", ".", "-o", "-"],
    ["runs"],
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of 30 updates; modules of the tests' environment are found wherever the current directory is."""
    searched = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(path).absolute()) for path in searched if path))
    (tmp_path / "book.txt").write_text("the cat sat on the mat.\n" * 60, encoding="utf-8")
    done = charrnn(tmp_path, "train", "book.txt", *SMALL, "--name", "run", "--quiet")
    assert done.code == 0, done.err
    return tmp_path / "runs" / "run"


def plant(run: Path, names: set[str]) -> Path:
    """Write modules that say when they are imported, and return the file that they say it in."""
    told = run.parent / "told.txt"
    for name in names:
        if name.isidentifier():
            (run / f"{name}.py").write_text(
                f"with open({str(told)!r}, 'a') as file: file.write(__name__ + '\\n')\n", encoding="utf-8"
            )
    injected()
    return told


@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_a_command_imports_nothing_from_the_run_in_which_it_is_called(
    run: Path, arguments: list[str]
) -> None:
    told = plant(run, INSTALLED | OWN | set(sys.stdlib_module_names))
    # As the script that pip installs does: its own directory is the first that is looked into.
    installed = [sys.executable, "-P", *PROGRAM[1:]]
    limited = ["prlimit", "--as=6000000000", *installed]
    for program in (installed, limited):
        done = finish([*program, *arguments], run)
        assert not told.exists(), told.read_text()
        assert_harmless(done.err)
        assert done.code in (0, 2), done.err  # 2: there is nothing more to train
    told.unlink(missing_ok=True)


@pytest.mark.slow
def test_python_m_forgets_the_current_directory(run: Path) -> None:
    """What Python itself imports before the first line of charrnn is not in our hands."""
    told = plant(run, INSTALLED - OWN)
    for arguments in COMMANDS:
        done = charrnn(run, *arguments)
        assert not told.exists(), told.read_text()
        assert done.code in (0, 2), done.err


def test_the_trainer_of_a_dashboard_imports_nothing_from_the_run(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = plant(run, INSTALLED | OWN | set(sys.stdlib_module_names))
    monkeypatch.chdir(run)
    trainer = OwnedTrainer(["resume", ".", "--updates", "40", "--quiet"])
    with trainer._process:  # closes its pipes
        until(lambda: trainer.code is not None)
    assert not told.exists(), told.read_text()
    assert trainer.code == 0


def test_the_process_of_a_trial_imports_nothing_from_the_sweep(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = plant(run, INSTALLED | OWN | set(sys.stdlib_module_names))
    monkeypatch.chdir(run)
    with Slot() as slot:
        pass
    assert slot.pid
    assert not told.exists(), told.read_text()


def test_a_dashboard_in_a_page_imports_nothing_from_the_run(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = plant(run, INSTALLED | OWN | set(sys.stdlib_module_names))
    monkeypatch.chdir(run)

    async def shown() -> None:
        dashboard = await DashboardProcess.start(["--version"], 80, 24)
        async for _ in dashboard.packets():
            break
        await dashboard.end()

    asyncio.run(asyncio.wait_for(shown(), PATIENCE))
    assert not told.exists(), told.read_text()


def test_the_process_that_compiles_imports_nothing_from_the_run(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    import numpy as np

    from charrnn_core.rnn.compiled import compiling

    told = plant(run, INSTALLED | OWN | set(sys.stdlib_module_names))
    monkeypatch.chdir(run)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(run.parent / "kept"))
    monkeypatch.setattr("numba.config.CACHE_DIR", str(run.parent / "kept"))
    started: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *given: object, **how: object) -> None:
            super().__init__(*given, **how)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    with closing(compiling.compile_elsewhere(np.dtype("float32"))) as compilation:
        next(compilation)
        (child,) = started

        def has_loaded() -> bool:
            maps = Path(f"/proc/{child.pid}/maps")
            return child.poll() is not None or "llvmlite" in maps.read_text(encoding="utf-8")

        until(has_loaded)
        assert child.poll() is None
    assert not told.exists(), told.read_text()


# -- files that libraries read -----------------------------------------------------------------------------

SETTINGS = (
    ".numba_config.yaml",
    "matplotlibrc",
    "matplotlib",
    "setup.cfg",
    "pyproject.toml",
    ".env",
    "dask.yaml",
)
READING = (
    ["gradcheck", ".", "--engine", "numba"],
    ["train", "../../book.txt", *SMALL, "--engine", "numba", "--quiet", "--runs", "../other"],
    ["report", ".", "-o", "-"],
    ["plot", ".", "-o", "../loss.svg"],
    ["sample", ".", "--length", "5"],
)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: arguments[0])
def test_no_library_reads_its_settings_from_the_run_in_which_a_command_is_called(
    run: Path, arguments: list[str]
) -> None:
    """Pipes in the places of settings would be waited for."""
    for name in SETTINGS:
        os.mkfifo(run / name)
    injected()
    done = charrnn(run, *arguments)
    assert_harmless(done.err)
    assert done.code == 0, done.err


@pytest.mark.slow
@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: arguments[0])
def test_a_command_opens_nothing_in_the_current_directory_but_files_of_runs(
    run: Path, tmp_path: Path, arguments: list[str]
) -> None:
    """Whatever libraries there are: what they look for is not there, and it is noticed that they do."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace.txt"
    strace = ["strace", "-f", "-qq", "-e", "trace=%file,fchdir", "-o", str(trace)]
    injected()
    done = finish([*strace, *PROGRAM, *arguments], run)
    assert done.code == 0, done.err
    looked_for, is_away = set(), False
    for line in trace.read_text(errors="replace").splitlines():
        if "chdir(" in line:  # to the root directory and back: there, names are harmless
            is_away = 'chdir("/")' in line
        elif not is_away:
            looked_for.update(re.findall(r'\((?:AT_FDCWD, )?"([^"/]+)"', line))
    assert "." in looked_for
    assert looked_for <= {".", "..", "book.txt", "runs", "sweep.json", *(path.name for path in run.iterdir())}
