"""Who may import whom, as it is when the program runs; import-linter holds the rest."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import charrnn_core
import charrnn_tui

PACKAGE, PACKAGE_TUI = Path(charrnn_core.__file__).parent, Path(charrnn_tui.__file__).parent
MODULES = sorted(
    ".".join(("charrnn_core", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def loaded_after(program):
    code = f"{program}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
def test_the_engine_imports_no_terminal():
    loaded = loaded_after("\n".join(f"import {module}" for module in MODULES))
    assert not loaded & {"textual", "rich", "typer", "charrnn_tui"}
    assert "charrnn_core.runs.process" in loaded


def test_python_is_started_by_one_module():
    """`charrnn_core.children` keeps the current directory, which may be anybody's, from the modules."""
    starts = {
        path.relative_to(root).as_posix()
        for root in (PACKAGE, PACKAGE_TUI)
        for path in root.rglob("*.py")
        if re.search(r"\bsys\.executable\b|\bmultiprocessing\b|ProcessPoolExecutor", path.read_text())
    }
    assert starts == {"children.py"}


def test_on_windows_it_is_refused_in_a_sentence():
    """Modules that Windows does not have are imported where they are needed, and not before the refusal."""
    code = (
        "import sys\n"
        "sys.platform = 'win32'\n"
        "for name in ('resource', 'fcntl', 'termios', 'pty', 'tty', 'pwd', 'grp'):\n"
        "    sys.modules[name] = None\n"
        "from charrnn_tui.entry import main\n"
        "sys.argv = ['charrnn', 'runs']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("charrnn: ")
    assert "Windows" in done.stderr


@pytest.mark.parametrize(
    "module", ["charrnn_core.training.settings", "charrnn_tui.cli", "charrnn_tui.cli.train"]
)
def test_help_needs_no_numpy(module):
    assert not loaded_after(f"import {module}") & {"numpy", "textual", "rich", "safetensors"}
