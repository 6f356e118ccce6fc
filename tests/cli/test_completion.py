"""What the shell completes after Tab."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings
from tests.program import PROGRAM, TEXT, environment, finish


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with runs, files, and names that a shell could take for commands."""
    where = tmp_path_factory.mktemp("desk")
    settings = Settings.of(hidden=4, updates=1, sample_every=None)
    for name in ("20261122-tales", "20261123-play", "mine"):
        start(settings, corpus_of(TEXT), runs=where / "runs", name=name).run(lambda item: None)
    evil = where / "runs" / "2026$(touch owned)`touch owned`\\$(touch owned)"
    evil.mkdir()
    (evil / "config.json").write_text("{}", encoding="utf-8")
    option = where / "runs" / "-rf"
    option.mkdir()
    (option / "config.json").write_text("{}", encoding="utf-8")
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    (where / "table.txt").write_text(TEXT, encoding="utf-8")
    (where / "ta$(touch owned)").write_text(TEXT, encoding="utf-8")
    (where / "books").mkdir()
    (where / "books" / "one.txt").write_text(TEXT, encoding="utf-8")
    (where / "bo$(touch owned)").write_text(TEXT, encoding="utf-8")
    return where


def completed(where, line, **changes):
    """Return what is offered for the last word of a line."""
    words = line.split(" ")
    asked = {"_CHARRNN_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = finish(PROGRAM, where, **asked, **changes)
    assert (done.code, done.err) == (0, "")
    return done.out.split()


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("charrnn resume 2026", ["20261123-play", "20261122-tales"]),
        ("charrnn sample ", ["mine", "20261123-play", "20261122-tales"]),
        ("charrnn plot mine 20261122", ["20261122-tales"]),
        ("charrnn report none", []),
        ("charrnn serve m", ["mine"]),
        ("charrnn train ta", ["tales", "table.txt"]),
        ("charrnn train bo", []),
        ("charrnn train books/", []),
        ("charrnn train nowhere/", []),
        ("charrnn tui p", ["play", "python"]),
        ("charrnn tui ./bo", []),
        ("charrnn command mine ch", ["check", "checkpoint"]),
        ("charrnn train --optimizer a", ["adagrad", "adam"]),
        ("charrnn train --preset dd", ["dd2424-2019", "dd2424-2026"]),
        ("charrnn train --resume m", ["mine"]),
        ("charrnn st", ["study"]),
        ("charrnn train --hid", ["--hidden"]),
        ("charrnn sample --runs elsewhere m", []),
    ],
)
def test_what_is_offered(desk, line, offered):
    assert completed(desk, line) == offered


def test_runs_are_looked_for_where_the_variable_says(desk, tmp_path):
    assert completed(tmp_path, "charrnn resume mi", CHARRNN_RUNS=str(desk / "runs")) == ["mine"]


def test_bash_completes_with_the_script_that_it_is_given(desk, tmp_path):
    program = tmp_path / "charrnn"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charrnn_tui "$@"\n', encoding="ascii")
    program.chmod(0o755)
    lines = [
        'source <(_CHARRNN_COMPLETE=source_bash charrnn)',
        "COMP_WORDS=(charrnn resume 20261122) COMP_CWORD=2",
        "$(complete -p charrnn | sed 's/.*-F \\([^ ]*\\).*/\\1/') charrnn",
        'echo "${COMPREPLY[@]}"',
    ]  # fmt: skip
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=desk, env=environment(PATH=path), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("20261122-tales\n", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_the_same(desk, shell):
    asked = {"_CHARRNN_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "charrnn resume 2026"}
    done = finish(PROGRAM, desk, **asked, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert (done.code, done.err) == (0, "")
    assert "20261122-tales" in done.out and "20261123-play" in done.out
    script = finish(PROGRAM, desk, _CHARRNN_COMPLETE=f"source_{shell}")
    assert script.code == 0 and f"complete_{shell}" in script.out


@pytest.mark.slow
def test_nothing_that_a_shell_could_obey_is_offered(desk):
    for line in ("charrnn resume 2026", "charrnn train ta", "charrnn tui "):
        assert not any(sign in word for word in completed(desk, line) for sign in "$`\\'\"")
    assert not list(Path(desk).rglob("owned"))
