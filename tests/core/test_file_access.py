"""All that is inside a run or a sweep is reached through `charrnn_core.runs.files`.

What else in the program opens, creates, moves or removes a file is listed here, with what it is for. None of
it is in the directory of a run or of a sweep.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import charrnn_core
import charrnn_tui

ALLOWED: dict[str, dict[str, str]] = {
    "charrnn_core.memory": {"read_text": "the limits of the control group"},
    "charrnn_core.rnn.compiled.bucket": {
        "read_bytes": "the source of the compiled functions",
        "unlink": "compiled code in the user's cache",
    },
    "charrnn_core.rnn.compiled.compiling": {"touch": "a mark beside compiled code in the user's cache"},
    "charrnn_core.runs.directory": {"mkdir": "a new run, in the directory that the user keeps runs in"},
    "charrnn_core.runs.files": {"*": "this is the module through which all else goes"},
    "charrnn_core.sweeps.cluster": {
        "write_bytes": "the text, in a temporary directory of a worker",
        "unlink": "the text, in a temporary directory of a worker",
        "rmtree": "temporary directories of a worker",
    },
    "charrnn_core.text.source": {"open": "a text that the user gave"},
    "charrnn_tui.entry": {"open": "/dev/null, in place of a closed stream"},
    "charrnn_tui.browser.server": {"rglob": "the page's scripts and fonts, in an installed package"},
    "charrnn_tui.cli.completion": {"scandir": "the current directory"},
    "charrnn_tui.cli.training": {"open": "/dev/null, where a log cannot be opened"},
    "charrnn_tui.cli.tui": {"open": "the terminal"},
    "charrnn_tui.dashboard.preferences": {"mkdir": "the user's configuration"},
    "charrnn_tui.dashboard.screens.pick_file": {"open": "the beginning of a text that the user picks"},
    "charrnn_tui.limits": {"open": "/dev/null, in place of a stream that nobody reads"},
    "charrnn_tui.files": {
        "mkdir": "a directory that the user named outside of runs",
        "write_bytes": "a pipe or a device that the user named",
    },
    "charrnn_tui.report.html": {"read_text": "the style sheet of the program"},
}

CALLS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "remove", "rename", "renames",
    "rmdir", "removedirs", "rmtree", "mkdir", "makedirs", "touch", "symlink", "symlink_to", "link",
    "hardlink_to",
    "listdir", "scandir", "iterdir", "rglob", "walk", "fwalk", "truncate", "mkfifo", "mknod", "copy", "copy2",
    "copyfile", "copytree", "move", "chmod", "utime", "memmap", "fromfile", "tofile", "loadtxt", "savetxt",
    "save_file", "load_file", "safe_open", "NamedTemporaryFile",
}  # fmt: skip
"""What opens, creates, moves, lists or removes files; of other things with such names, see `_is_meant`."""

OWN = {"open", "remove", "make", "copy", "names"}
"""Methods of entries and folders, arrays, lists and containers, called on what is not a path."""


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr, node
            elif isinstance(node.func, ast.Name) and node.func.id == "open":
                yield "open", node


def _is_meant(name: str, call: ast.Call) -> bool:
    """Return whether a call may reach a file by its path."""
    if name == "replace":  # Path.replace has one argument; those of str, dataclasses and time have others
        return isinstance(call.func, ast.Attribute) and len(call.args) == 1 and not call.keywords
    if name not in CALLS:
        return False
    if isinstance(call.func, ast.Attribute) and name in OWN:
        owner = call.func.value
        return isinstance(owner, ast.Name) and owner.id in ("os", "io", "shutil", "codecs", "gzip", "Path")
    return True


def _found(package: Path) -> Iterator[tuple[str, str, int]]:
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for name, call in _calls(ast.parse(file.read_text(encoding="utf-8"))):
            if _is_meant(name, call):
                yield module, name, call.lineno


def test_files_of_runs_are_reached_in_one_way() -> None:
    packages = (Path(str(package.__file__)).parent for package in (charrnn_core, charrnn_tui))
    found = [each for package in packages for each in _found(package)]
    strangers = [
        f"{module}:{line} {name}"
        for module, name, line in found
        if not {name, "*"} & ALLOWED.get(module, {}).keys()
    ]
    assert not strangers
    used = {(module, name) for module, name, _ in found}
    unused = [
        (module, name)
        for module, names in ALLOWED.items()
        for name in names
        if name != "*" and (module, name) not in used
    ]
    assert not unused


def test_a_path_that_is_opened_is_found(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "careless.py").write_text(
        "run.path.joinpath('x').read_bytes()\nopen(run.path)\nos.open(path, 0)\n"
        "(run.path / 'x').replace(other)\n"
        "entry.open(0)\ntext.replace('a', 'b')\n[p for p in run.path.iterdir()]\n"
    )
    assert [line for _, _, line in _found(tmp_path / "package")] == [1, 2, 3, 4, 7]
