"""All that is inside a run or a sweep is reached through `charrnn_core.runs.files`.

Each other call of the program that opens, creates, moves, lists or removes a file is listed here, with what
it is for. None of these files is in the directory of a run or of a sweep.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import charrnn_core
import charrnn_tui

THROUGH = ("charrnn_core.runs.descriptors", "charrnn_core.runs.files")

ALLOWED: dict[str, dict[str, str]] = {
    "charrnn_core.libraries": {"os.open('.')": "the current directory, to return to it"},
    "charrnn_core.memory": {"path.read_text()": "the limits of control groups"},
    "charrnn_core.rnn.compiled.bucket": {
        "Path(__file__).parent.glob('*.py')": "the source of the compiled functions",
        "path.read_bytes()": "the source of the compiled functions",
        "folder.glob(f'{Path(__file__).stem}.*.nb[ci]')": "compiled code in the user's cache",
        "path.unlink()": "compiled code in the user's cache",
        "folder.glob('*.kept')": "marks beside compiled code in the user's cache",
    },
    "charrnn_core.rnn.compiled.compiling": {
        "mark.read_text()": "a mark beside compiled code in the user's cache",
        "mark.write_text('\\n'.join((path.name for path in kept_files())))": "that mark",
    },
    "charrnn_core.runs.directory": {
        "runs.mkdir()": "the directory that the user keeps runs in",
        "path.mkdir()": "a new run in that directory",
        "parent.absolute().iterdir()": "the names of runs and sweeps in that directory",
    },
    "charrnn_core.sweeps.cluster": {
        "tempfile.mkdtemp()": "temporary directories of a worker",
        "path.write_bytes(part)": "the text, in a temporary directory of a worker",
        "path.unlink()": "the text, in a temporary directory of a worker",
        "shutil.rmtree(self.directory)": "temporary directories of a worker",
        "shutil.rmtree(path.parent)": "temporary directories of a worker",
    },
    "charrnn_core.text.source": {
        "os.open(path)": "a text that the user gave, or that a run has recorded by its path",
        "_corpora().glob('*.txt')": "the bundled texts",
        "library.glob('*.py')": "the source of the standard library",
    },
    "charrnn_tui.browser.server": {
        "_STATIC.rglob('*.*')": "the page's scripts and fonts, in an installed package",
    },
    "charrnn_tui.cli.completion": {
        "os.scandir('.')": "the current directory",
        "folder.glob(f'*/{file}')": "the names of runs in the directory that the user keeps runs in",
    },
    "charrnn_tui.cli.sweep_meant": {
        "runs.glob('*/sweep.json')": "the names of sweeps in the directory that the user keeps runs in",
    },
    "charrnn_tui.cli.training": {"os.open(os.devnull)": "where a log cannot be opened"},
    "charrnn_tui.cli.tui": {"os.open('/dev/tty')": "the terminal"},
    "charrnn_tui.dashboard.preferences": {"folder.mkdir()": "the user's configuration"},
    "charrnn_tui.dashboard.screens.pick_file": {
        "os.open(path)": "the beginning of a text that the user picks",
    },
    "charrnn_tui.entry": {"os.open(os.devnull)": "in place of a closed stream"},
    "charrnn_tui.files": {
        "path.mkdir()": "a directory that the user named outside of runs",
        "path.write_bytes(data)": "a pipe or a device that the user named",
    },
    "charrnn_tui.limits": {"os.open(os.devnull)": "in place of a stream without a reader"},
    "charrnn_tui.report.html": {"_STYLE.read_text()": "the style sheet of the program"},
}
"""The calls of each module, up to their first argument, and what they reach."""

CALLS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "rename", "renames",
    "rmdir", "removedirs", "rmtree", "mkdir", "makedirs", "touch", "symlink", "symlink_to", "link",
    "hardlink_to", "mkdtemp", "mkstemp",
    "listdir", "scandir", "iterdir", "glob", "iglob", "rglob", "walk", "fwalk",
    "truncate", "mkfifo", "mknod", "copy2", "copyfile", "copytree", "chmod", "utime", "memmap", "fromfile",
    "tofile", "loadtxt", "genfromtxt", "savetxt", "savez", "save_file", "load_file", "safe_open",
    "NamedTemporaryFile", "TemporaryFile",
}  # fmt: skip
"""Functions and methods of any owner that open, create, move, list or remove files."""

OF_PATHS = {"read_text", "read_bytes", "write_text", "write_bytes", "touch", "iterdir", "rglob"}
"""Those that are methods alone: a function of such a name is one of the program's own."""

OF_MODULES = {"remove", "replace", "copy", "move", "load", "save"}
"""Names that lists, texts, arrays and entries have too: counted where a module of files owns them."""

MODULES = {"os", "io", "shutil", "codecs", "gzip", "tempfile", "pathlib", "glob", "np", "numpy"}


def _calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the source of each call that may reach a file by its path, up to its first argument."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            # Under a name of its own a call would not be recognised.
            for each in node.names:
                if each.name in CALLS | OF_MODULES:
                    yield f"from {node.module} import {each.name}", node.lineno
        elif isinstance(node, ast.Import):
            for each in node.names:
                if each.name in MODULES and each.asname not in (None, "np"):
                    yield f"import {each.name} as {each.asname}", node.lineno
        elif isinstance(node, ast.Call) and _is_meant(node):
            yield f"{ast.unparse(node.func)}({', '.join(map(ast.unparse, node.args[:1]))})", node.lineno


def _is_meant(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id in CALLS - OF_PATHS
    if not isinstance(call.func, ast.Attribute):
        return False
    name, owner = call.func.attr, call.func.value
    if name in OF_MODULES and isinstance(owner, ast.Name) and owner.id in MODULES | {"Path"}:
        return True
    if name == "replace":  # Path.replace has one argument; those of str, dataclasses and time have others
        return len(call.args) == 1 and not call.keywords
    return name in CALLS


def _found(package: Path) -> Iterator[tuple[str, str, int]]:
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for call, line in _calls(ast.parse(file.read_text(encoding="utf-8"))):
            yield module, call, line


def test_files_of_runs_are_reached_in_one_way() -> None:
    packages = (Path(str(package.__file__)).parent for package in (charrnn_core, charrnn_tui))
    found = [each for package in packages for each in _found(package) if each[0] not in THROUGH]
    strangers = [
        f"{module}:{line} {call}" for module, call, line in found if call not in ALLOWED.get(module, {})
    ]
    assert not strangers
    used = {(module, call) for module, call, _ in found}
    assert not [
        (module, call) for module, calls in ALLOWED.items() for call in calls if (module, call) not in used
    ]


CARELESS = """
run.path.joinpath('x').read_bytes()
open(run.path)
os.open(path, 0)
(run.path / 'x').replace(other)
[p for p in run.path.iterdir()]
run.path.open('w')
(path / 'x').open()
run.events_file.path.open('ab')
list(run.path.glob('*'))
run.path.rglob('*.json')
glob.glob('runs/*')
os.remove(path)
shutil.move(path, other)
np.load(path)
run.folder.path.mkdir()
from os import open as unlisted
from shutil import rmtree
import os as system
import shutil as files
"""


@pytest.mark.parametrize("line", CARELESS.strip().splitlines())
def test_a_path_that_is_opened_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "careless.py").write_text(f"import os\n{line}\n")
    assert [found for *_, found in _found(tmp_path / "package")] == [2]


CAREFUL = """
entry.descriptor(os.O_RDONLY)
entry.remove()
names.remove('x')
text.replace('a', 'b')
dataclasses.replace(settings, seed=1)
folder.create()
folder.names()
array.copy()
from pathlib import Path
import numpy as np
"""


@pytest.mark.parametrize("line", CAREFUL.strip().splitlines())
def test_what_opens_no_path_is_not_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "careful.py").write_text(f"{line}\n")
    assert not list(_found(tmp_path / "package"))
