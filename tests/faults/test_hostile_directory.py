"""Run directories that somebody has edited, or made to do harm: read, shown, listed and gone on with."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.listing import summarize
from charrnn_core.runs.liveness import read_status
from charrnn_core.runs.log import LONGEST_LINE
from charrnn_tui import cli
from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.session import RunSession
from tests.faults.fuzz.mutations import mutated
from tests.faults.ledger import injected, waited
from tests.faults.promises import assert_harmless
from tests.terminals import SMALL as SMALL_RUN

pytestmark = pytest.mark.fault("directory")

HOSTILE = (
    "\x1b]52;c;aGFja2Vk\x07\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[?1049l\x1b[?25h\x1bc\x9b31m\x9d0;t\x9c\x90q\x9c"
    "[red]text[/red][/][@click=app.exit]click[/]\\[ [[ ]] \u202eevil\u202c\u2066\u200f\ufeff\xad\u200b"
    "文字の練習 한국어 🙂 👍🏽 🇸🇪 e\u0301 z\u0351\u036b \u0000\x08\x7f\x0b\x0c\r שלום مرحبا \x00\n"
)

# -- shown in the dashboard --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_hostile_text_is_shown_harmlessly(dashboard: Any, until: Any) -> None:
    name = "b\x1b]0;x\x07\x9b31m[red]\u202e[@click=app.exit]x.txt"
    text = HOSTILE * 20 + "x[/" * 3400 + "\n" + "文\u0301\x1b]52;c;AAAA\x07" * 700
    (dashboard.where / name).write_text(text, encoding="utf-8", newline="")
    # A network that does not learn writes all characters alike.
    slow = ["--hidden", "4", "--seq-length", "25", "--learning-rate", "1e-6", "--sample-every", "200"]
    terminal = dashboard(f"./{name}", *slow, "--sample-length", "1500")
    terminal.shows("● training")
    run = terminal.run()
    until(lambda: len(run.of_type("sample")) > 2)
    written = "".join(event["text"] for event in run.of_type("sample"))
    assert {"\x1b", "\x07", "\x9b", "\u202e", "[", "文", "\x9d"} <= set(written)
    terminal.shows("␛")
    terminal.focuses("5")
    terminal.type("\r")  # a sample in full
    terminal.shows("╭─ update ")
    run.goes_on()
    terminal.type("\x1b")
    terminal.gone("╭─ update ")
    assert terminal.stops() == 0
    assert terminal.restored
    assert not terminal.screen.strangers
    assert len(terminal.said) == 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended, for its log to be changed by hand in copies of it."""
    where = tmp_path_factory.mktemp("made")
    (where / "book.txt").write_text("the cat sat on the mat.\n" * 60, encoding="utf-8")
    train = [
        sys.executable,
        "-m",
        "charrnn_tui",
        "train",
        "book.txt",
        *SMALL_RUN,
        "--updates",
        "20",
        "--quiet",
    ]
    done = subprocess.run(train, cwd=where, capture_output=True, text=True, timeout=30, check=True)
    return Path(done.stdout.rstrip("\n"))


Change = Callable[[list[dict[str, Any]]], Iterable[str]]


@pytest.fixture
def changed(made: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the run that has ended, and change the lines of its log."""

    def copy(change: Change = lambda events: map(json.dumps, events), name: str = "hostile") -> Path:
        path = tmp_path / "runs" / name
        shutil.copytree(made, path)
        log = path / "events.jsonl"
        events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        log.write_text("".join(f"{line}\n" for line in change(events)), encoding="utf-8")
        return path

    return copy


EVIL = "\x1b]52;c;aGFja2Vk\x07\x9b31m\u202e[/][@click=app.exit]x[/] [red"

# What a hand can do to a log, by what it is about. Each is one more line before the last one, `ended`.
LINES: dict[str, list[Any]] = {
    "all that is only odd": [
        {"type": "started", "update": 0, "time": 0, "settings": None, "corpus": {"name": EVIL},
         "versions": EVIL, "machine": EVIL, "engine": EVIL, "blas": None, "threads": EVIL},
        {"type": "progress", "update": 30, "time": 1},
        {"type": "progress", "update": 40, "time": 1, "first_update": None, "loss_mean": "x"},
        {"type": "checkpoint", "update": 3, "time": 1},
        {"type": "checkpoint", "update": 3, "time": 1, "kind": "best", "loss": EVIL},
        {"type": "obeyed", "update": 3, "time": 1},
        {"type": "obeyed", "update": 3, "time": 1, "name": EVIL, "command": 7, "arguments": EVIL},
        {"type": "refused", "update": 3, "time": 1, "reason": EVIL, "command": []},
        {"type": "obeyed", "update": 3, "time": 1, "name": "set-learning-rate", "command": "c",
         "arguments": {"learning_rate": 1e300}},
        {"type": "gradients_checked", "update": 3, "time": 1, "rows": None},
        {"type": "gradients_checked", "update": 4, "time": 1, "rows": [1, None, {}, {"passed": True}]},
        {"type": "gradients_checked", "update": 5, "time": 1, "rows": [
            {"parameter": EVIL, "method": EVIL, "h0": EVIL, "passed": EVIL, "maximum_relative_error": None}]},
        {"type": "progress", "update": 1e300, "time": 1e300, "first_update": -1e300, "loss_mean": 1e308,
         "loss_min": -1e308, "loss_max": 1e308, "smooth_loss": 1e308, "epoch": 1e300},
        {"type": "progress", "update": 9e17, "time": 9e17, "first_update": -9e17, "loss_mean": 9e299,
         "loss_min": -9e299, "loss_max": 9e299, "smooth_loss": 9e299, "epoch": 9e17},
        {"type": "epoch", "update": 1e300, "time": 1e300, "epoch": EVIL},
        {"type": "validated", "update": 1e300, "time": 1, "loss": "much"},
        {"type": "warning", "update": 1e300, "time": 1, "message": None},
        {"type": "warning", "update": 3, "time": 1, "message": EVIL},
    ],
    "samples": [
        {"type": "sample", "update": 5, "time": 1, "text": EVIL * 9, "prime": EVIL, "smooth_loss": 1.0},
        {"type": "sample", "update": 6, "time": 1, "text": None, "prime": None, "smooth_loss": None},
        {"type": "sample", "update": 7.5, "time": 1, "text": ["x", {}], "prime": 7, "temperature": "hot"},
        {"type": "sample", "update": 8, "time": 1, "text": "\ud800\udfff\udc00", "temperature": EVIL},
        {"type": "sample", "update": 1e300, "time": -1, "temperature": None},
        {"type": "sample"},
        {"type": EVIL, "update": 8, "time": 1},
    ],
    "nan update": [{"type": "sample", "update": float("nan"), "time": 1, "text": "x"}],
    "infinite update": [{"type": "sample", "update": float("inf"), "time": 1, "text": "x"}],
    "huge integer": [
        {"type": "progress", "update": 10**400, "time": 1, "first_update": 1, "loss_mean": 10**400,
         "loss_min": 1, "loss_max": 1, "smooth_loss": 10**400},
    ],
    "infinite progress": [
        {"type": "progress", "update": float("inf"), "time": 1, "first_update": 1, "loss_mean": 1,
         "loss_min": float("-inf"), "loss_max": float("nan"), "smooth_loss": float("inf")},
    ],
    "null errors": [
        {"type": "gradients_checked", "update": 5, "time": 1, "rows": [
            {"parameter": p, "method": "complex-step", "h0": "zeros", "passed": True,
             "maximum_relative_error": error} for p, error in (("U", None), ("W", 1e-9), ("V", "x"))]},
        {"type": "gradients_checked", "update": 6, "time": 1, "rows": []},
    ],
    "lists for names": [
        {"type": "gradients_checked", "update": 6, "time": 1, "rows": [
            {"parameter": {}, "method": [], "h0": {}, "passed": 1, "maximum_relative_error": []}]},
    ],
    "opening without settings": [{"type": "started", "update": 0, "time": 0, "settings": {}}],
    "opening of other types": [
        {"type": "started", "update": 0, "time": 0, "corpus": {"characters": "many", "sha256": 7}},
    ],
    "opening without a text": [{"type": "started", "update": 0, "time": 0, "corpus": None}],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("first", range(4))
def test_a_log_that_was_edited_by_hand_is_shown(
    dashboard: Any, changed: Callable[..., Path], first: int
) -> None:
    lines = [line for what in list(LINES)[first::4] for line in LINES[what]]

    def change(events: list[dict[str, Any]]) -> list[str]:
        added = [*events[:-1], *lines, events[-1]]
        return [json.dumps(event) for event in added[:-1]] + ["{", "[]", "\x1b[31m", json.dumps(added[-1])]

    path = changed(change)
    terminal = dashboard(str(path))
    terminal.shows("■ ended")
    for key in "2345":
        terminal.focuses(key)
    terminal.type("\r")  # a sample in full
    terminal.shows("╭─ update ")
    terminal.type("\x1b")
    terminal.gone("╭─ update ")
    terminal.begins("/")
    terminal.type("x\r")
    terminal.shows("r Resume")
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.restored
    assert not terminal.screen.strangers
    assert len(terminal.said) == 3


@pytest.mark.slow
def test_hostile_entries_of_a_check_are_shown_harmlessly(
    dashboard: Any, changed: Callable[..., Path]
) -> None:
    entries = [{"index": [EVIL], "analytic": 1.0, "numeric": 1.0}]
    row = {"parameter": "U", "method": "central", "h0": "zeros", "passed": True, "shape": [EVIL, "[/"]}
    row |= {"maximum_relative_error": 1e-9, "selection": EVIL, "compared": entries}
    event = {"type": "gradients_checked", "update": 20, "time": 1, "rows": [row]}
    path = changed(lambda events: map(json.dumps, [*events[:-1], event, events[-1]]))
    terminal = dashboard(str(path))
    terminal.shows("■ ended")
    terminal.focuses("2")
    terminal.type("\r")
    terminal.shows("analytic", "at update 20")
    terminal.type("\x1b")
    terminal.gone("analytic")
    terminal.type("q")
    assert terminal.ends() == 0
    assert not terminal.screen.strangers


@pytest.mark.slow
def test_entries_that_lack_figures_are_shown(dashboard: Any, changed: Callable[..., Path]) -> None:
    row = {"parameter": "U", "method": "central", "h0": "zeros", "passed": True, "shape": None}
    row |= {"maximum_relative_error": 1e-9, "compared": [{"index": 3}, None], "step": "x"}
    event = {"type": "gradients_checked", "update": 20, "time": 1, "rows": [row]}
    path = changed(lambda events: map(json.dumps, [*events, event, events[-1]]))
    terminal = dashboard(str(path))
    terminal.shows("■ ended")
    terminal.focuses("2")
    terminal.type("\r")
    terminal.shows("at update 20")
    terminal.type("\x1b")
    terminal.gone("at update 20")
    terminal.type("q")
    assert terminal.ends() == 0


def test_a_run_with_a_hostile_name_is_shown_harmlessly(dashboard: Any, changed: Callable[..., Path]) -> None:
    name = "r\x1b]52;c;AAAA\x07\x9b31m\u202e\n[red][@click=app.exit]x[/][/"
    path = changed(name=name.replace("/", "\u2215"))
    terminal = dashboard(str(path))
    terminal.shows("■ ended")
    terminal.type("q")
    assert terminal.ends() == 0
    assert not terminal.screen.strangers
    assert len(terminal.said) == 3


@pytest.mark.parametrize(
    "config",
    [{"settings": {}, "corpus": {}}, {"settings": {"hidden": EVIL, "learning_rate": None}, "corpus": {}}],
)
def test_a_config_that_was_edited_by_hand_is_refused_or_shown(
    dashboard: Any, changed: Callable[..., Path], config: Any
) -> None:
    path = changed(lambda events: map(json.dumps, events[1:]))
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    terminal = dashboard(str(path))
    terminal.type("q")
    code = terminal.ends()
    assert code in (0, 2)
    assert not terminal.screen.strangers
    assert len(terminal.said) == (3 if code == 0 else 1), terminal.said


@pytest.mark.slow
@pytest.mark.parametrize("box", ["p", "/"])
def test_what_is_pasted_reaches_the_terminal_harmlessly(book: Any, box: str) -> None:
    terminal, run = book
    terminal.begins(box)
    terminal.type("\x1b[200~pasted \u202eevil\u2066 \x9b31m \ufeff end\x1b[201~")
    terminal.shows("pasted", "end")
    terminal.type("\r")
    run.goes_on()
    terminal.process.terminate()
    terminal.ends()
    assert not terminal.screen.strangers


@pytest.mark.slow
def test_a_folder_with_a_newline_in_its_name(dashboard: Any) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN, "--updates", "50", "--runs", "a\nb\x1b]52;c;AAAA\x07")
    terminal.shows("■ ended")
    terminal.type("q")
    assert terminal.ends() == 0
    assert not terminal.screen.strangers


# -- any log -------------------------------------------------------------------------------------------------

VIEWS = (
    "runs", "runs --json", "report mine -o report.html", "report mine --format md -o report.md",
    "plot mine -o plot.svg", "plot mine", "plot mine --log-x --log-y -o updates.svg",
    "plot mine --by epoch --log-x -o epochs.svg", "plot mine --by time --log-x --log-y -o seconds.svg",
    "export mine -o table.csv", "export mine -f jsonl -o table.jsonl",
)  # fmt: skip


def spoilt_logs(log: Path, generator: random.Random, number: int) -> Iterable[bytes]:
    """Yield a log with all lines of the table above, and this many in which some values are others."""
    real = log.read_bytes()
    yield real + "".join(f"{json.dumps(line)}\n" for lines in LINES.values() for line in lines).encode()
    for _ in range(number):
        changed = real
        while changed == real:
            for _ in range(generator.randrange(1, 6)):
                changed = mutated(changed, generator) or changed
        yield changed


@pytest.fixture
def mine(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a run below the current directory."""
    shutil.copytree(made, tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_RUNS", raising=False)
    return tmp_path / "runs" / "mine" / "events.jsonl"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("low", "high"), [(-2.0, -1.0), (0.0, 0.0), (0.0, 5e-324), (5e-324, 1.0), (-1.0, 9e299)]
)
@pytest.mark.parametrize("view", [view for view in VIEWS if "--log-x" in view], ids=lambda view: view[10:20])
def test_any_loss_has_a_place_on_a_logarithmic_axis(
    mine: Path, low: float, high: float, view: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    lines = [json.loads(line) for line in mine.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["type"] == "progress":
            line |= {"loss_min": low, "loss_mean": low, "loss_max": high, "smooth_loss": high}
    mine.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    assert cli.run(view.split()) == 0
    told = b"".join(capsysbinary.readouterr()).decode()
    assert_harmless(told)
    assert_well_made(Path(view.split()[-1]))


@pytest.mark.slow
def test_any_log_is_listed_drawn_and_reported(
    mine: Path, thorough: bool, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for log in spoilt_logs(mine, random.Random(9), 200 if thorough else 3):
        mine.write_bytes(log)
        injected()
        for view in VIEWS:
            words = view.split()
            if "-o" in words:
                Path(words[-1]).unlink(missing_ok=True)
            began = time.monotonic()
            code = cli.run(words)
            waited(time.monotonic() - began)
            told = b"".join(capsysbinary.readouterr()).decode()
            assert_harmless(told)
            assert code in (0, 1, 2), told
            if code == 0 and "-o" in words:
                assert_well_made(Path(words[-1]))


def test_a_line_that_is_too_long_does_not_end_the_history(
    mine: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Training, the list of runs, report, export and dashboard say the same of a run, and warn."""
    with mine.open("ab") as log:
        log.write(b"{" * (LONGEST_LINE + 1) + b"\n")
    injected()
    assert cli.run(["resume", "mine", "--updates", "90", "--quiet"]) == 0
    capsysbinary.readouterr()
    assert cli.run(["runs", "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["update"] == 90
    warning = "the history is incomplete: skipped 1 line of the log"
    assert cli.run(["report", "mine", "--format", "md", "-o", "report.md"]) == 0
    report = Path("report.md").read_text(encoding="utf-8")
    assert "90 updates" in report and warning in report
    capsysbinary.readouterr()
    assert cli.run(["export", "mine", "-t", "warnings"]) == 0
    assert warning in capsysbinary.readouterr().out.decode()

    async def look() -> None:
        app = Dashboard(RunSession.of(mine.parent, None), None, runs=mine.parent.parent)
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause()
            assert isinstance(app.screen, RunScreen)
            assert app.screen.session is not None and app.screen.session.update == 90
            assert "incomplete" in app.export_screenshot()

    asyncio.run(look())


def assert_well_made(path: Path) -> None:
    """What is for reading is harmless; what is data says exactly what the log says, and can be parsed."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        assert all(isinstance(json.loads(line), dict) for line in text.split("\n") if line)
    elif path.suffix == ".csv":
        assert len({len(row) for row in csv.reader(io.StringIO(text))}) == 1
    else:
        assert_harmless(text)


@pytest.mark.slow
def test_any_log_is_shown_in_the_dashboard(mine: Path, thorough: bool) -> None:
    async def look() -> None:
        app = Dashboard(RunSession.of(mine.parent, None), None, runs=mine.parent.parent)
        async with app.run_test(size=(120, 40)) as pilot:
            for key in (*"1234567+-lLb0", "enter", "escape", "m", "escape", "question_mark", "escape", "o"):
                await pilot.press(key)
            assert app.return_code is None, "a key has ended it"

    for log in spoilt_logs(mine, random.Random(10), 30 if thorough else 1):
        mine.write_bytes(log)
        asyncio.run(look())
        injected()


# -- status.json -------------------------------------------------------------------------------------------

NUMBERS = ("update", "epoch", "loss", "smooth_loss", "updates_per_second", "seconds_left", "time", "pid")
ODD: tuple[Any, ...] = (
    10**400,
    -(10**400),
    1e308,
    True,
    "fast",
    "\x1b[31m" * 99,
    [],
    [1],
    {},
    {"a": 1},
    None,
)


@pytest.mark.slow(sparing=3)
@pytest.mark.parametrize("value", range(len(ODD)))
def test_a_status_that_somebody_has_written_is_read_without_what_is_odd(mine: Path, value: int) -> None:
    """Views calculate with it while another process holds the lock."""
    run = RunDirectory(mine.parent)
    odd = ODD[value]
    status = {"state": odd, "phase": odd, "elsewhere": odd, "training": odd, **dict.fromkeys(NUMBERS, odd)}
    run.status_file.path.write_text(json.dumps(status), encoding="utf-8")
    injected()
    lock = run.lock()
    try:
        told = read_status(run)
        assert all(isinstance(told[name], (int, float)) for name in NUMBERS if name in told)
        assert all(abs(told[name]) < 1e18 for name in NUMBERS if name in told)
        assert all(len(told.get(name, "")) < 300 for name in ("state", "phase", "elsewhere"))
        assert summarize(run).state == "training"

        async def look() -> None:
            app = Dashboard(RunSession.of(run.path, None), None, runs=run.path.parent)
            async with app.run_test(size=(120, 40)) as pilot:
                await pilot.press("2")
                assert app.return_code is None

        asyncio.run(look())
    finally:
        os.close(lock)
