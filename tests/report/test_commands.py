"""`charrnn report` and `charrnn plot` as a user calls them."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.directory import RunDirectory
from charrnn_tui.cli import run
from charrnn_tui.report.reproducing import quoted

from .conftest import GOLDEN

Altered = Callable[..., RunDirectory]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(altered: Altered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with two runs under `runs`; the one called `tiny` was created last."""
    altered(name="older", created="2026-01-01T00:00:00.000000Z")
    altered()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


def refused(words: str, code: int, *arguments: str, told: Captured) -> None:
    assert run(list(arguments)) == code
    out, err = told.readouterr()
    assert out == ""
    assert re.fullmatch(f"charrnn: [^\n]*{re.escape(words)}[^\n]*\n", err), err


# -- report ------------------------------------------------------------------------------------------------


def test_a_report_goes_into_the_run_directory_and_its_path_to_stdout(here: Path, capfd: Captured) -> None:
    assert run(["report"]) == 0
    path = here / "runs" / "tiny" / "report.html"
    assert capfd.readouterr() == (f"{path}\n", "")
    assert path.read_text().startswith("<!doctype html>")


def test_markdown_has_its_figure_beside_it(here: Path, capfd: Captured) -> None:
    assert run(["report", "old", "-o", "my report.md"]) == 0
    assert capfd.readouterr().out == "my report.md\n"
    assert "(my%20report-loss.svg)" in Path("my report.md").read_text()
    assert Path("my report-loss.svg").read_bytes().startswith(b"<?xml")


def test_a_report_goes_into_a_pipe(here: Path, capfd: Captured) -> None:
    assert run(["report", "tiny", "-o", "-", "--format", "md", "-q"]) == 0
    written = (GOLDEN / "tiny.md").read_text()
    assert capfd.readouterr().out == re.sub(r"!\[[^\n]*\n\n", "", written)


def test_a_report_is_replaced_and_a_half_one_never_left(here: Path, capfd: Captured) -> None:
    Path("r.html").write_text("before")
    assert run(["report", "tiny", "-o", "r.html"]) == 0
    assert "</html>" in Path("r.html").read_text()
    assert sorted(path.name for path in here.iterdir()) == ["r.html", "runs"]


def test_a_report_is_refused_for_what_it_cannot_be(here: Path, capfd: Captured) -> None:
    refused("the ending says no format", 2, "report", "tiny", "-o", "report.docx", told=capfd)
    refused("allowed is html, md", 2, "report", "tiny", "--format", "pdf", told=capfd)
    refused("is a directory", 2, "report", "tiny", "-o", ".", "--format", "md", told=capfd)
    refused("nowhere is not a directory", 2, "report", "tiny", "-o", "nowhere/r.md", told=capfd)
    refused("no such run", 2, "report", "nobody", told=capfd)
    refused("charrnn train makes one", 2, "report", "--runs", "nowhere", told=capfd)
    refused("not the one that the run", 2, "report", "tiny", "--corpus", "runs/tiny/config.json", told=capfd)


def test_a_full_disk_is_told_in_a_sentence(here: Path, capfd: Captured, monkeypatch: Any) -> None:
    def full(descriptor: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("charrnn_core.runs.files.os.write", full)
    refused("cannot write r.html: No space left on device", 1, "report", "tiny", "-o", "r.html", told=capfd)
    assert [path.name for path in here.iterdir()] == ["runs"]


# -- plot --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_figure_is_written_in_the_form_of_its_name(
    ending: str, begins: bytes, here: Path, capfd: Captured
) -> None:
    assert run(["plot", "tiny", "old", "-o", f"loss.{ending}", "--size", "3x3", "--by", "epoch"]) == 0
    assert capfd.readouterr() == (f"loss.{ending}\n", "")
    assert Path(f"loss.{ending}").read_bytes().startswith(begins)


def test_a_pipe_gets_the_figure_itself(here: Path, capfd: Captured) -> None:
    assert run(["plot"]) == 0
    assert capfd.readouterr().out.startswith("<?xml")


def test_a_chart_of_characters_has_the_size_that_was_asked_for(here: Path, capfd: Captured) -> None:
    assert run(["plot", "tiny", "older", "--terminal", "--size", "70x14", "--title", "two runs"]) == 0
    lines = capfd.readouterr().out.split("\n")[:-1]
    assert len(lines) == 14
    assert max(map(len, lines)) <= 70
    assert lines[0] == "two runs"
    assert "tiny" in lines[1]
    assert "1 older" in lines[1]
    assert "held-out" in lines[1]


def test_a_chart_of_ascii_is_ascii(here: Path, capfd: Captured) -> None:
    assert run(["plot", "tiny", "--terminal", "--charts", "ascii", "--log-x", "--log-y"]) == 0
    assert capfd.readouterr().out.isascii()


def test_a_chart_has_colours_and_extremes_only_where_they_are_told_apart(
    here: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["plot", "tiny", "--terminal"]) == 0
    plain = capfd.readouterr().out
    assert "\x1b" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert run(["plot", "tiny", "--terminal"]) == 0
    coloured = capfd.readouterr().out
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) != plain


def test_a_plot_is_refused_for_what_it_cannot_be(here: Path, capfd: Captured) -> None:
    refused("ends in .svg, .png, .pdf", 2, "plot", "tiny", "-o", "loss.gif", told=capfd)
    refused("allowed is update, epoch, time", 2, "plot", "tiny", "--by", "day", told=capfd)
    refused("each 3 to 40 inches", 2, "plot", "tiny", "-o", "a.svg", "--size", "1x1", told=capfd)
    refused("WIDTHxHEIGHT", 2, "plot", "tiny", "--terminal", "--size", "wide", told=capfd)
    refused("leave it out for a file", 2, "plot", "tiny", "--terminal", "-o", "a.svg", told=capfd)
    refused(
        "nowhere is not a directory",
        2,
        "plot",
        "tiny",
        "-o",
        "nowhere/a.svg",
        told=capfd,
    )
    refused("charrnn train makes one", 2, "plot", "--runs", "nowhere", told=capfd)
    path = here / "runs" / "tiny"
    for number in range(6):
        (here / "runs" / f"copy{number}").symlink_to(path)
    many = [f"runs/copy{number}" for number in range(6)]
    refused("7 runs do not fit", 2, "plot", "tiny", *many, "--terminal", told=capfd)


def test_matplotlib_and_textual_are_imported_only_where_they_are_needed(here: Path) -> None:
    program = (
        "import sys; from charrnn_tui.cli import run; "
        "code = run(['plot', 'tiny', '--terminal']); "
        "print(code, {'matplotlib', 'textual'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "0 set()\n"


def test_files_of_a_run_and_devices_are_never_replaced(here: Path, capfd: Captured) -> None:
    for name in ("events.jsonl", "checkpoints/best.safetensors", "corpus.txt"):
        before = (here / "runs" / "tiny" / name).read_bytes()
        place = f"runs/tiny/{name}"
        refused("choose another place", 2, "report", "older", "-o", place, "--format", "md", told=capfd)
        assert (here / "runs" / "tiny" / name).read_bytes() == before
    assert run(["report", "tiny", "-o", "/dev/null", "--format", "html"]) == 0
    assert Path("/dev/null").is_char_device()


def test_runs_of_one_name_are_told_apart_by_their_paths(here: Path, capfd: Captured) -> None:
    (here / "elsewhere").mkdir()
    (here / "runs" / "older").rename(here / "elsewhere" / "tiny")
    assert run(["plot", "tiny", "elsewhere/tiny", "--terminal", "--size", "200x12"]) == 0
    legend, axes = capfd.readouterr().out.split("\n")[:2]
    assert "runs/tiny" in legend
    assert "1 elsewhere/tiny" in legend
    assert axes == "loss in nats, sum over 10 characters, by update"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a b.txt", "'a b.txt'"),
        ("\udcff.txt", "$'\\xff.txt'"),
        ("\ud800.txt", "$'\\x3f.txt'"),
        ("é\n", "$'é\\x0a'"),
    ],
)
def test_any_name_can_be_quoted_for_a_shell(name: str, told: str) -> None:
    assert quoted(name) == told
