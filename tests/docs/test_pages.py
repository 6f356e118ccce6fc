"""Every command and every piece of Python in the pages for users is run, as a reader would."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import read_corpus
from charrnn_core.training.settings import Settings
from tests.docs.pages import PAGES, ROOT, SECTIONS, Section, examples, sections
from tests.docs.shell import Shell
from tests.program import PATIENCE, PROGRAM, TEXT, environment, finish, until

ELSEWHERE = {"pip": "needs the network", "git": "needs the network"}
TOOLS = ("jq", "rsync", "tensorboard", "iconv", "zcat", "tar", "xargs")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reader who has the texts and runs that the pages speak of."""
    where = tmp_path_factory.mktemp("desk")
    for name in ("book.txt", "other.txt", "goblet.txt"):
        (where / name).write_text(TEXT * 20 + "Once upon a time\n", encoding="utf-8")
    (where / "old.txt").write_text("où est le chat ?\n" * 500, encoding="latin-1")
    (where / "book.txt.gz").write_bytes(gzip.compress((where / "book.txt").read_bytes()))
    for name in ("chapters", "texts"):
        (where / name).mkdir()
        (where / name / "book.txt").write_text(TEXT * 5, encoding="utf-8")
    (where / "mine.txt").write_text(TEXT * 5, encoding="utf-8")
    texts = {"mine": str(where / "mine.txt"), "20261122-2210-tales": "tales", "20261123-0900-tales": "tales"}
    for name, text in texts.items():
        # One has come to its end; the others were interrupted.
        stops = {"updates": 300} if name == "20261122-2210-tales" else {}
        settings = Settings.of(hidden=16, sample_every=200, sample_length=50, engine="numpy", **stops)
        process = start(settings, read_corpus(text), runs=where / "runs", name=name)
        process.run(
            lambda item, trainer=process.trainer: (
                trainer.stop("signal SIGINT") if item.update >= 300 else None
            )
        )
    (where / "mine.txt").unlink()
    return where


@pytest.fixture
def here(desk: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    where = tmp_path / "reader"
    shutil.copytree(desk, where)
    return where


def missing(command: str) -> str:
    """Return why a command cannot be run here; or nothing."""
    words = set(re.findall(r"[\w./-]+", command))
    reasons = [f"{word}: {reason}" for word, reason in ELSEWHERE.items() if word in words]
    reasons += [f"{tool} is not installed" for tool in TOOLS if tool in words and shutil.which(tool) is None]
    return "; ".join(reasons)


def typed(section: Section) -> list[tuple[str, list[str]]]:
    """Return the commands of a section, with what they say, but for those of the gate and long ones."""
    return [
        (command, said)
        for block in section.blocks
        if block.kind in ("sh", "console") and not block.note.startswith(("gate: ", "long"))
        for command, said in block.commands()
    ]


@pytest.fixture
def shell(here: Path, tmp_path: Path) -> Iterator[Shell]:
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "charrnn"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charrnn_tui "$@"\n', encoding="ascii")
    program.chmod(0o755)
    # The other machine is this one.
    ssh = programs / "ssh"
    options = "while :; do case $1 in -L) shift 2 ;; -*) shift ;; *) break ;; esac; done"
    ssh.write_text(f'#!/bin/sh\n{options}\nshift\nexec sh -c "$*"\n', encoding="ascii")
    ssh.chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    shell = Shell(here, environment(PATH=path, XDG_CONFIG_HOME=str(here / ".config"), LANG="C.UTF-8"))
    yield shell
    shell.end()


EXAMPLES = examples(ROOT / "docs" / "reference" / "commands.md")


@pytest.mark.slow(sparing=6)
@pytest.mark.parametrize("section", [each for each in [*SECTIONS, *EXAMPLES] if typed(each)], ids=str)
def test_commands_do_what_the_page_says(section: Section, shell: Shell, here: Path) -> None:
    skipped = []
    for block in section.blocks:
        if block.note.startswith("file: "):
            (here / block.note.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
    if any("charrnn command" in command for command, _ in typed(section)):
        shell.run("charrnn resume 20261122 --updates none --quiet > run.path &")
        until(lambda: RunDirectory(here / "runs" / "20261122-2210-tales").is_locked())
    commands = [command for command, _ in typed(section)]
    if "sizes" in " ".join(commands) and "--name sizes" not in commands[0]:
        page = next(each for each in SECTIONS if each.page.endswith("how-to/sweep.md"))
        begun = next(line for line, _ in typed(page))
        assert shell.run(f"{begun} --quiet")[0] == 0
    for command, said in typed(section):
        subprocess.run(["bash", "-n", "-c", command], check=True, timeout=PATIENCE)
        reason = missing(command)
        if reason:
            skipped.append(reason)
            continue
        code, told = shell.run(command)
        # 141: head has had enough, and what wrote into it has ended by that.
        expected = {0, 141} if "| head" in command else {0}
        assert code in expected, f"{command}\n{told}"
        assert_said(said, told)
    for run in map(RunDirectory, (here / "runs").iterdir()):
        if run.is_locked():  # what was started behind, and was not stopped
            os.kill(json.loads((run.path / "status.json").read_text(encoding="utf-8"))["pid"], signal.SIGTERM)
    if skipped:
        pytest.skip(f"{len(typed(section)) - len(skipped)} commands were run; {'; '.join(skipped)}")


def assert_said(lines: list[str], told: str) -> None:
    """Check that lines stand in what was said, in this order.

    Another number is as good as the page's, but for those that are the same wherever it is run.
    """
    rest = iter(shape(line) for line in told.splitlines())
    for line in lines:
        if not any(shape(line) in other for other in rest):
            pytest.fail(f"{line!r} is not in its place in\n{told}")


def shape(line: str) -> str:
    """Return a line with its numbers, dates, paths and spaces as signs for such."""
    line = re.sub(r"/\S+/runs/\S+", "RUN", line)
    if line.startswith(("update 0 ", "tales · ", "✓ all ")):
        return line.strip()
    return re.sub(r"\s+", " ", re.sub(r"[-\d][\d,.:e+-]*", "0", line)).strip()


LONG = [
    command
    for section in SECTIONS
    for block in section.blocks
    if block.note == "long"
    for command, _ in block.commands()
]


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("command", LONG)
def test_what_takes_minutes_has_the_options_of_the_page(command: str) -> None:
    program = shlex.split(command)
    if program[0] == "dask":
        pytest.importorskip("distributed")
    begin = {
        "python": [sys.executable, program[1]],
        "charrnn": [*PROGRAM, program[1]],
        "dask": [sys.executable, "-m", "dask", program[1]],
    }[program[0]]
    done = finish([*begin, "--help"], ROOT)
    assert done.code == 0, done.err
    options = [word for word in program if word.startswith("--")]
    assert [option for option in options if not re.search(rf"{option}\b", done.out)] == []


SAME_NETWORK = """
import numpy as np
from charrnn_core import read_checkpoint
from charrnn_core.rnn.sampler import Sampler
sampler = Sampler(read_checkpoint(path).snapshot.parameters, np.random.default_rng(0))
codes = [1, 2, 3, 1, 0, 2]
sampler.feed(codes)
y, _ = rnn(torch.nn.functional.one_hot(torch.tensor([codes]), len(vocabulary)).float())
assert np.allclose(sampler.distribution(), torch.log_softmax(output(y[0, -1]), 0).detach(), atol=1e-5)
"""


def program_of(page: Path) -> str:
    """Return all Python of a page."""
    blocks = [block for section in sections(page) for block in section.blocks]
    return "\n".join(block.text for block in blocks if block.kind == "python")


@pytest.mark.slow
@pytest.mark.parametrize("page", filter(program_of, PAGES), ids=lambda path: path.stem)
def test_python_of_a_page_runs(page: Path, here: Path) -> None:
    program = program_of(page)
    for module in re.findall(r"^(?:import|from) (torch)", program, re.M):
        pytest.importorskip(module)
    if page.stem == "pytorch":
        program += SAME_NETWORK
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=here, env=environment(), capture_output=True, text=True, timeout=3 * PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def gate_blocks(page: str) -> dict[str, list[str]]:
    """Return the commands that a page leaves to the gate, by their names there."""
    blocks = [block for section in sections(ROOT / page) for block in section.blocks]
    return {
        block.note.removeprefix("gate: "): [command for command, _ in block.commands()]
        for block in blocks
        if block.note.startswith("gate: ")
    }


def test_contributing_says_what_the_readme_says_and_the_gate() -> None:
    (readme,) = gate_blocks("README.md")["test"]
    *both, gate = gate_blocks("CONTRIBUTING.md")["test"]
    assert readme.startswith(" && ".join(both))
    assert os.access(ROOT / gate, os.X_OK)


def test_the_gate_runs_what_is_left_to_it() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for section in SECTIONS:
        for block in section.blocks:
            if block.note.startswith("gate: "):
                assert f"readme_command {block.note.removeprefix('gate: ')}" in gate


def test_every_fence_says_what_it_is() -> None:
    kinds = {block.kind for section in SECTIONS for block in section.blocks}
    assert kinds <= {"sh", "console", "python", "text", "toml", "toctree", "include", "image"}
