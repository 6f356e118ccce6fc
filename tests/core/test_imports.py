"""Who may import whom, as it is when the program runs; import-linter holds the rest."""

import subprocess
import sys
from pathlib import Path

import pytest

import charrnn_core

PACKAGE = Path(charrnn_core.__file__).parent
MODULES = sorted(
    ".".join(("charrnn_core", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def loaded_after(program):
    code = f"{program}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_engine_imports_no_terminal():
    loaded = loaded_after("\n".join(f"import {module}" for module in MODULES))
    assert not loaded & {"textual", "rich", "typer", "charrnn_tui"}
    assert "charrnn_core.runs.process" in loaded


@pytest.mark.parametrize(
    "module", ["charrnn_core.training.settings", "charrnn_tui.cli", "charrnn_tui.cli.train"]
)
def test_help_needs_no_numpy(module):
    assert not loaded_after(f"import {module}") & {"numpy", "textual", "rich", "safetensors"}
