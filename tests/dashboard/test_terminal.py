"""The dashboard as a terminal sees it: keys, signals, sizes, and what reaches the terminal."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.checkpoint import read_checkpoint

SMALL = ["--hidden", "8", "--seq-length", "5", "--sample-length", "40"]
PATIENCE = 20.0
SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]

HOSTILE = (
    "\x1b]52;c;aGFja2Vk\x07\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[?1049l\x1b[?25h\x1bc\x9b31m\x9d0;t\x9c\x90q\x9c"
    "[red]text[/red][/][@click=app.exit]click[/]\\[ [[ ]] \u202eevil\u202c\u2066\u200f\ufeff\xad\u200b"
    "文字の練習 한국어 🙂 👍🏽 🇸🇪 e\u0301 z\u0351\u036b \u0000\x08\x7f\x0b\x0c\r שלום مرحبا \x00\n"
)


def is_saved(run: Any) -> bool:
    """Whether the last event is `ended`, and names the state of a checkpoint that is whole."""
    saved = read_checkpoint(run.path / "checkpoints" / "last.safetensors")
    return bool(saved.state_sha256 == run.ended["state_sha256"])


@pytest.fixture
def book(dashboard: Any) -> Any:
    """A dashboard that has started a run of its own on a small text, and the run."""
    terminal = dashboard("book.txt", *SMALL)
    terminal.shows("● training")
    return terminal, terminal.run()


def asked(until: Any, run: Any, name: str, times: int = 1) -> dict[str, Any]:
    """Wait for the answer to a command, and return it."""
    until(lambda: len(run.obeyed(name)) >= times, lambda: str(run.events[-1]))
    answer: dict[str, Any] = run.obeyed(name)[times - 1]
    return answer


# -- keys --------------------------------------------------------------------------------------------------


def test_space_pauses_and_space_goes_on(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type(" ")
    paused = asked(until, run, "pause")
    terminal.shows("paused")
    assert run.status["state"] == "paused"
    assert run.trained
    terminal.type(" ")
    asked(until, run, "continue")
    run.goes_on()
    terminal.shows("● training")
    names = [(event["type"], event.get("name")) for event in run.events]
    between = names[names.index(("obeyed", "pause")) + 1 : names.index(("obeyed", "continue"))]
    assert between == []
    assert run.obeyed("continue")[0]["update"] == paused["update"]


def test_keys_ask_for_a_sample_a_check_a_checkpoint_and_another_rate(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type("s")
    sample = asked(until, run, "sample")
    assert [event["update"] for event in run.of_type("sample") if "command" in event] == [sample["update"]]
    terminal.type("g")
    check = asked(until, run, "check")
    terminal.shows(f"Gradients checked at update {check['update']:,}.")
    (checked,) = (event for event in run.of_type("gradients_checked") if "command" in event)
    assert checked["update"] == check["update"]
    terminal.type("c")
    saved = asked(until, run, "checkpoint")
    terminal.shows(f"Checkpoint saved at update {saved['update']:,}.")
    assert [event["kind"] for event in run.of_type("checkpoint") if "command" in event] == ["last"]
    terminal.type("]")
    assert asked(until, run, "set-learning-rate")["arguments"] == {"learning_rate": 0.141}
    terminal.shows("Learning rate 0.141")
    terminal.type("[")
    second = asked(until, run, "set-learning-rate", 2)["arguments"]["learning_rate"]
    assert second == pytest.approx(0.1, rel=0.005)
    assert not terminal.screen.strangers


def test_each_press_of_a_rate_key_counts(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type("]]]")
    rate = asked(until, run, "set-learning-rate", 3)["arguments"]["learning_rate"]
    assert rate == pytest.approx(0.1 * 2**1.5, rel=0.01)


def test_space_pressed_twice_at_once_pauses_and_goes_on(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type("  ")
    until(lambda: len(run.obeyed("pause")) + len(run.obeyed("continue")) == 2)
    assert [event["name"] for event in run.of_type("obeyed")] == ["pause", "continue"]
    run.goes_on()


def test_a_beginning_is_gone_on_with_and_training_is_not_asked(book: Any, until: Any) -> None:
    terminal, run = book
    until(lambda: (run.path / "checkpoints" / "last.safetensors").exists())
    terminal.begins("p")
    terminal.type("the dog")  # letters that are keys elsewhere
    terminal.shows("the dog")
    terminal.type("\r")
    terminal.shows("yours")
    run.goes_on()
    assert not (run.path / "commands.jsonl").exists()
    assert run.of_type("obeyed") == run.of_type("refused") == []


def test_a_beginning_with_unknown_characters_is_refused_in_words(book: Any, until: Any) -> None:
    terminal, run = book
    until(lambda: (run.path / "checkpoints" / "last.safetensors").exists())
    terminal.begins("p")
    terminal.type("Q9\r")
    terminal.shows("vocabulary")
    run.goes_on()


def test_keys_that_come_in_one_packet_go_where_the_first_one_leads(book: Any) -> None:
    terminal, run = book
    terminal.type("pthe cat")  # and not c, the key that saves
    terminal.shows("the cat ")
    run.goes_on()
    assert not (run.path / "commands.jsonl").exists()


# -- leaving and coming back -------------------------------------------------------------------------------


def test_detach_leaves_it_training_and_tui_comes_back(book: Any, dashboard: Any, until: Any) -> None:
    terminal, run = book
    terminal.type("d")
    assert terminal.ends() == 0
    assert terminal.restored
    assert len(terminal.said) == 3
    assert "still trains" in terminal.said[0]
    assert terminal.said[2] == f"charrnn tui {run.path.relative_to(dashboard.where)}"
    asked(until, run, "detach")
    run.goes_on()

    again = dashboard(*shlex.split(terminal.said[2])[2:])
    again.shows("● training")
    again.type(" ")
    asked(until, run, "pause")
    again.shows("paused")
    again.type(" ")
    asked(until, run, "continue")
    again.shows("● training")
    again.type("q")  # not this dashboard's own: it leaves, and the run trains on
    assert again.ends() == 0
    assert again.restored
    run.goes_on()


def test_d_leaves_a_run_of_somebody_else_alone(book: Any, dashboard: Any) -> None:
    _, run = book
    other = dashboard(run.path.name)
    other.shows("● training")
    other.type("d")
    assert other.ends() == 0
    run.goes_on()
    assert run.obeyed("detach") == []


def test_q_and_enter_stop_and_say_what_there_is(book: Any, dashboard: Any) -> None:
    terminal, run = book
    assert terminal.stops() == 0
    assert terminal.restored
    assert not run.trained
    assert run.ended["reason"] == "stopped"
    assert is_saved(run)
    first, second, third = terminal.said
    assert "book" in first and f"update {run.ended['update']:,}" in first
    assert re.search(r"(best )?smooth loss \d+\.\d\d", second)
    assert third == f"charrnn sample {run.path.relative_to(dashboard.where)}"
    written = dashboard.charrnn(*shlex.split(third)[1:], "--length", "20")
    assert (written.returncode, len(written.stdout.rstrip("\n"))) == (0, 20)


def test_escape_stays(book: Any) -> None:
    terminal, run = book
    terminal.type("q")
    terminal.shows("Stop training?")
    terminal.type("\x1b")
    terminal.gone("Stop training?")
    run.goes_on()
    terminal.type("q")
    terminal.shows("Stop training?")
    terminal.type("s")
    assert terminal.ends() == 0
    assert run.ended["reason"] == "stopped"


def test_a_paused_run_can_be_stopped(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type(" ")
    asked(until, run, "pause")
    terminal.shows("paused")
    assert terminal.stops() == 0
    assert run.ended["reason"] == "stopped"


@pytest.mark.parametrize("keys", ["\x03\x03", "\x1b[99;5u\x1b[99;5u"], ids=["byte", "kitty"])
def test_ctrl_c_twice_stops_and_saves(book: Any, dashboard: Any, keys: str) -> None:
    terminal, run = book
    terminal.type(keys)
    assert terminal.ends() in (0, 130)
    assert terminal.restored
    run.done()
    assert run.ended["reason"] in ("stopped", "owner gone")
    assert is_saved(run)


def test_ctrl_c_once_asks(book: Any) -> None:
    terminal, run = book
    terminal.type("\x03")
    terminal.shows("Stop training?")
    run.goes_on()


def test_an_answer_that_comes_while_leaving_is_no_error(book: Any, dashboard: Any, until: Any) -> None:
    _, run = book
    other = dashboard(run.path.name)
    other.shows("● training")
    other.type("cq")
    assert other.ends() == 0
    assert len(other.said) == 3
    asked(until, run, "checkpoint")


# -- signals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_restores_the_terminal_and_the_trainer_saves(
    book: Any, dashboard: Any, number: signal.Signals
) -> None:
    terminal, run = book
    assert {1049, 1000, 1003, 1006, 2004} <= terminal.screen.modes
    assert 25 not in terminal.screen.modes
    terminal.process.send_signal(number)
    assert terminal.ends() == 128 + number
    assert terminal.restored
    assert len(terminal.said) == 3
    run.done()
    assert run.ended["reason"] == "owner gone"
    assert is_saved(run)


def test_a_signal_while_a_question_is_asked(book: Any) -> None:
    terminal, run = book
    terminal.type("q")
    terminal.shows("Stop training?")
    terminal.process.terminate()
    assert terminal.ends() == 128 + signal.SIGTERM
    assert terminal.restored
    run.done()


def test_a_terminal_that_is_closed_while_a_question_is_asked(book: Any) -> None:
    terminal, run = book
    terminal.type("q")
    terminal.shows("Stop training?")
    terminal.close()
    assert terminal.ends() == 128 + signal.SIGHUP
    run.done()
    assert is_saved(run)


def test_a_second_signal_changes_nothing(book: Any) -> None:
    terminal, run = book
    terminal.process.terminate()
    terminal.process.terminate()
    # Once the terminal is left, and there are but words to say, it ends as any program does.
    assert terminal.ends() in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert terminal.restored
    run.done()
    assert is_saved(run)


def test_a_signal_at_the_first_paint(dashboard: Any, until: Any) -> None:
    for _ in range(3):
        terminal = dashboard("book.txt", *SMALL)
        until(lambda at=terminal: b"\x1b[?1049h" in at.seen)
        terminal.process.terminate()
        assert terminal.ends() == 128 + signal.SIGTERM
        assert terminal.restored


def test_a_terminal_that_is_closed_at_the_first_paint(dashboard: Any, until: Any) -> None:
    for word in (b"\x1b[?1049h", b"Loss"):
        terminal = dashboard("book.txt", *SMALL)
        until(lambda at=terminal, word=word: word in at.seen)
        terminal.close()
        assert terminal.ends() == 128 + signal.SIGHUP


@pytest.mark.parametrize("keys", ["q", "qq", "\x03\x03"])
def test_leaving_at_the_first_paint(dashboard: Any, until: Any, keys: str) -> None:
    terminal = dashboard("book.txt", *SMALL)
    until(lambda: b"\x1b[?1049h" in terminal.seen)
    terminal.type(keys)
    assert terminal.ends() in (0, 128 + signal.SIGINT)
    assert terminal.restored
    for log in dashboard.where.glob("runs/*/events.jsonl"):
        until(lambda at=log: b'"ended"' in at.read_bytes())


def test_without_a_signal_a_terminal_that_is_closed_is_noticed_too(dashboard: Any) -> None:
    # As for what `nohup` starts, and for whatever is not in the foreground of its terminal.
    dashboard.program = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *dashboard.program]
    terminal = dashboard("book.txt", *SMALL)
    terminal.shows("● training")
    run = terminal.run()
    terminal.close()
    assert terminal.ends() == 128 + signal.SIGHUP
    run.done()
    assert is_saved(run)


def test_a_terminal_that_is_closed_ends_the_dashboard_and_the_trainer_saves(
    book: Any, dashboard: Any
) -> None:
    terminal, run = book
    terminal.close()
    assert terminal.ends() == 128 + signal.SIGHUP
    run.done()
    assert run.ended["reason"] == "owner gone"
    assert is_saved(run)


def test_a_terminal_that_hangs_and_then_is_closed(book: Any) -> None:
    terminal, run = book
    terminal.hangs()
    terminal.close()
    assert terminal.ends() == 128 + signal.SIGHUP
    run.done()
    assert run.ended["reason"] == "owner gone"
    assert is_saved(run)


def test_a_terminal_that_hangs_holds_up_nothing_and_is_painted_when_it_goes_on(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.hangs()
    terminal.type(" ")
    asked(until, run, "pause")
    terminal.held = False
    terminal.shows("paused", "Loss")
    assert terminal.stops() == 0
    assert terminal.restored
    assert not terminal.screen.strangers


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_terminal_hangs(book: Any, number: signal.Signals) -> None:
    terminal, run = book
    terminal.hangs()
    terminal.process.send_signal(number)
    assert terminal.process.wait(PATIENCE) == 128 + number
    run.done()
    assert is_saved(run)
    terminal.held = False
    assert terminal.ends() == 128 + number
    assert terminal.restored
    assert not terminal.said


def test_a_dashboard_that_is_killed_loses_nothing(book: Any, dashboard: Any) -> None:
    terminal, run = book
    terminal.process.kill()
    terminal.ends()
    run.done()
    assert run.ended["reason"] == "owner gone"
    assert is_saved(run)
    end = run.ended["update"]
    resumed = dashboard.charrnn("resume", str(run.path), "--updates", str(end + 50), "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    assert (run.of_type("resumed")[0]["update"], run.ended["update"]) == (end, end + 50)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc whether a process is stopped")
@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_stopped_by_a_signal_and_continued(book: Any, until: Any, number: signal.Signals) -> None:
    terminal, run = book
    terminal.process.send_signal(number)
    until(lambda: " T " in Path(f"/proc/{terminal.process.pid}/stat").read_text(encoding="utf-8"))
    if number == signal.SIGTSTP:
        until(lambda: terminal.restored)
    run.goes_on()
    terminal.screen.resize(40, 120)  # what others have written there meanwhile is not known
    terminal.process.send_signal(signal.SIGCONT)
    terminal.shows("● training", "╭─ Loss", "╭─ Evolution", "q Quit")
    assert terminal.stops() == 0
    assert terminal.restored
    run.done()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc whether a process is stopped")
@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_stopped_by_a_signal_and_ended_by_another(book: Any, until: Any, number: signal.Signals) -> None:
    terminal, run = book
    terminal.process.send_signal(number)
    until(lambda: " T " in Path(f"/proc/{terminal.process.pid}/stat").read_text(encoding="utf-8"))
    terminal.process.terminate()
    terminal.process.send_signal(signal.SIGCONT)
    assert terminal.ends() == 128 + signal.SIGTERM
    assert terminal.restored
    run.done()


# -- sizes -------------------------------------------------------------------------------------------------


def test_the_size_is_the_terminals_own(dashboard: Any, until: Any) -> None:
    terminal = dashboard("book.txt", *SMALL, size=(24, 80), COLUMNS="120", LINES="40")
    terminal.shows("● training")
    until(lambda: terminal.text.split("\n")[1].endswith("╮"))
    assert terminal.stops() == 0


def test_300_resizes(book: Any) -> None:
    terminal, run = book
    sizes = [(1, 1), (3, 5), (60, 200), (24, 80), (2, 120), (40, 1), (20, 60), (10, 33), (16, 50), (5, 3)]
    for number in range(300):
        lines, columns = sizes[number % len(sizes)]
        terminal.resize(lines + number // 100, columns + number % 7)
    terminal.resize(24, 80)
    terminal.shows("● training", "Loss")
    run.goes_on()
    assert terminal.stops() == 0
    assert terminal.restored
    assert run.ended["reason"] == "stopped"
    assert not terminal.screen.strangers


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_it_starts_in_a_tiny_terminal(dashboard: Any, size: tuple[int, int]) -> None:
    terminal = dashboard("book.txt", *SMALL, size=size)
    run = terminal.run()
    run.goes_on()
    terminal.resize(24, 80)
    terminal.shows("● training")
    assert terminal.stops() == 0
    assert run.ended["reason"] == "stopped"


def test_a_terminal_that_does_not_know_its_size_gets_80_columns(dashboard: Any) -> None:
    terminal = dashboard("book.txt", *SMALL, size=(0, 0))
    terminal.shows("● training", f"╭─ Loss {'─' * 30}")
    terminal.resize(40, 120)  # now it does
    terminal.shows("● training", f"╭─ Loss {'─' * 50}")
    assert terminal.stops() == 0


# -- hostile texts -----------------------------------------------------------------------------------------


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
    train = [sys.executable, "-m", "charrnn_tui", "train", "book.txt", *SMALL, "--updates", "20", "--quiet"]
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


@pytest.mark.parametrize("what", LINES)
def test_a_log_that_was_edited_by_hand_is_shown(
    dashboard: Any, changed: Callable[..., Path], what: str
) -> None:
    def change(events: list[dict[str, Any]]) -> list[str]:
        added = [*events[:-1], *LINES[what], events[-1]]
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


def test_a_folder_with_a_newline_in_its_name(dashboard: Any) -> None:
    terminal = dashboard("book.txt", *SMALL, "--updates", "50", "--runs", "a\nb\x1b[31m")
    terminal.shows("■ ended")
    terminal.type("q")
    assert terminal.ends() == 0
    assert not terminal.screen.strangers


# -- other terminals ---------------------------------------------------------------------------------------


def test_without_a_terminal_it_is_one_line_and_exit_2(dashboard: Any) -> None:
    finished = dashboard.charrnn("tui", "book.txt", *SMALL)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert re.fullmatch(r"charrnn: .*terminal.*charrnn train.*\n", finished.stderr)
    assert not (dashboard.where / "runs").exists()


@pytest.mark.parametrize("name", ["dumb", "unknown", ""])
def test_on_a_poor_terminal_it_is_one_line_and_exit_2(dashboard: Any, name: str) -> None:
    terminal = dashboard("book.txt", *SMALL, TERM=name)
    assert terminal.ends() == 2
    (line,) = terminal.said
    assert "charrnn train" in line
    assert b"\x1b" not in terminal.seen
    assert not (dashboard.where / "runs").exists()


def test_standard_input_from_a_pipe_is_one_line_and_exit_2(dashboard: Any) -> None:
    terminal = dashboard("book.txt", *SMALL, stdin=subprocess.DEVNULL)
    assert terminal.ends() == 2
    assert len(terminal.said) == 1
    assert not (dashboard.where / "runs").exists()


def test_a_text_from_a_pipe_is_watched_on_the_terminal(dashboard: Any, tmp_path: Path) -> None:
    with (tmp_path / "book.txt").open("rb") as text:
        terminal = dashboard("-", *SMALL, stdin=text)
        terminal.shows("● training")
    run = terminal.run()
    assert terminal.stops() == 0
    assert (run.path / "corpus.txt").exists()


def test_stderr_may_be_closed(dashboard: Any) -> None:
    dashboard.program = ["sh", "-c", 'exec "$@" 2>&-', "sh", *dashboard.program]
    terminal = dashboard("book.txt", *SMALL, "--updates", "100")
    terminal.shows("■ ended")
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.restored
    assert len(terminal.said) == 3


def test_stderr_in_a_file_stays_empty(dashboard: Any, tmp_path: Path) -> None:
    with (tmp_path / "err").open("wb") as err:
        terminal = dashboard("book.txt", *SMALL, "--updates", "100", stderr=err)
        terminal.shows("■ ended")
        terminal.type("q")
        assert terminal.ends() == 0
    assert terminal.restored
    assert len(terminal.said) == 3
    assert (tmp_path / "err").read_bytes() == b""


def test_what_a_modern_terminal_has_is_switched_off_too(book: Any, until: Any) -> None:
    terminal, _ = book
    terminal.type("\x1b[?2048;2$y\x1b[?2026;2$y")  # it tells its size, and paints a frame at once
    until(lambda: {2048, 1016} <= terminal.screen.modes)
    assert terminal.stops() == 0
    assert terminal.restored


ENVIRONMENTS = {
    "no colour": {"NO_COLOR": "1"},
    "locale C": {"LC_ALL": "C"},
    "linux": {"TERM": "linux"},
    "16 colours": {"TERM": "xterm-16color"},
    "true colour": {"COLORTERM": "truecolor"},
    "unknown theme": {"TEXTUAL_THEME": "none-such"},
}


@pytest.mark.parametrize("what", ENVIRONMENTS)
def test_it_works_on_other_terminals(dashboard: Any, what: str) -> None:
    terminal = dashboard("book.txt", *SMALL, "--updates", "100", size=(24, 80), **ENVIRONMENTS[what])
    terminal.shows("■ ended", "Loss")
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.restored
    assert not terminal.screen.strangers
    colours = set(re.findall(rb"[34]8;([25]);", bytes(terminal.seen)))
    if what in ("linux", "16 colours"):
        assert colours == set()
    if what == "no colour":
        assert_grey(bytes(terminal.seen))


def assert_grey(seen: bytes) -> None:
    """Check that all colours of 256 are shades of grey."""
    greys = {*range(232, 256), 16, 59, 102, 145, 188, 231}
    assert {int(number) for number in re.findall(rb"[34]8;5;(\d+)", seen)} <= greys


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("size", [(24, 80), (40, 120)])
def test_where_utf_8_is_missing_ascii_is_sent(dashboard: Any, size: tuple[int, int]) -> None:
    terminal = dashboard("book.txt", *SMALL, "--updates", "100", size=size, **ASCII)
    terminal.shows("# ended", "+- Loss -----", "v U")
    rows = terminal.text.split("\n")
    assert {len(row) for row in rows} == {size[1]}
    # One column for one column: the borders of the panes stand below each other.
    top, *below = rows[1:]
    assert top.startswith("+- Loss") and top.endswith("-+")
    assert below[0][0] == below[1][0] == below[0][-1] == below[1][-1] == "|"
    terminal.type("?")
    terminal.shows("+- Keys ---", "Everywhere")
    terminal.type("\x1b")
    terminal.gone("+- Keys ---")
    terminal.focuses("5")
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.seen.isascii()
    assert b"\\u" not in terminal.seen
    assert len(terminal.said) == 3


def test_what_ascii_has_no_sign_for_is_a_question_mark_for_each_of_its_columns(dashboard: Any) -> None:
    (dashboard.where / "wide.txt").write_text("文字の練習 한국어 🙂 é z\u0351 ❤️ ±½…\n" * 60, encoding="utf-8")
    terminal = dashboard("wide.txt", *SMALL, "--updates", "100", "--learning-rate", "1e-6", **ASCII)
    terminal.shows("# ended", "??")
    assert {row[-1] for row in terminal.text.split("\n")[1:3]} <= {"+", "|"}
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.seen.isascii()


# -- the same training, and its failures -------------------------------------------------------------------


def test_the_same_settings_end_in_the_same_state_as_headless(dashboard: Any) -> None:
    settings = [*SMALL, "--updates", "300", "--seed", "7", "--sample-every", "50"]
    headless = dashboard.charrnn("train", "book.txt", *settings, "--name", "headless", "--quiet")
    assert headless.returncode == 0, headless.stderr
    terminal = dashboard("book.txt", *settings, "--name", "watched")
    terminal.shows("■ ended")
    terminal.type("q")
    assert terminal.ends() == 0
    watched = terminal.run("watched").ended
    assert watched["state_sha256"] == terminal.run("headless").ended["state_sha256"]
    assert (watched["reason"], watched["update"]) == ("updates", 300)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["latin.txt"], ["latin.txt", "UTF-8"]),
        (["missing.txt"], ["missing.txt"]),
        (["book.txt", "--runs", "book.txt"], ["book.txt"]),
        (["book.txt", "--runs", "/dev/null/runs"], ["/dev/null/runs"]),
        (["book.txt", "--hidden", "-1"], ["--hidden"]),
        (["book.txt", "--charts", "crayon"], ["--charts"]),
        (["book.txt", "--name", "../x"], ["--name"]),
    ],
    ids=["encoding", "missing", "runs is a file", "runs under a device", "setting", "charts", "name"],
)
def test_what_cannot_be_trained_is_one_line(dashboard: Any, arguments: list[str], words: list[str]) -> None:
    (dashboard.where / "latin.txt").write_bytes("größe".encode("latin-1") * 100)
    terminal = dashboard(*arguments)
    assert terminal.ends() in (1, 2)
    assert terminal.restored
    (line,) = terminal.said
    assert line.startswith("charrnn: ")
    assert all(word in line for word in words), line


def test_a_bad_key_map_is_one_line_and_no_run_is_begun(dashboard: Any, until: Any) -> None:
    (dashboard.where / "config" / "charrnn").mkdir(parents=True)
    (dashboard.where / "config" / "charrnn" / "keys.toml").write_text("pause = 7\n", encoding="utf-8")
    terminal = dashboard("book.txt", *SMALL)
    assert terminal.ends() == 2
    assert len(terminal.said) == 1
    assert "keys.toml" in terminal.said[0]
    # Whether a trainer was started at all does not show at once.
    assert not dashboard.comes((dashboard.where / "runs").exists)


def test_divergence_is_explained(dashboard: Any) -> None:
    diverging = "--hidden 50 --seq-length 5 --updates 3000 --optimizer adam --learning-rate 1000 --beta2 0"
    more = "--init-std 10 --beta1 0.999 --epsilon 1e-30 --clip none"
    terminal = dashboard("book.txt", *f"{diverging} {more}".split())
    terminal.shows("✗ diverged", "no longer finite")
    terminal.type("q")
    assert terminal.ends() in (0, 1)
    assert terminal.restored
    assert len(terminal.said) == 3


def test_r_goes_on_with_an_interrupted_run(book: Any, dashboard: Any, until: Any) -> None:
    first, run = book
    first.process.terminate()
    first.ends()
    run.done()
    terminal = dashboard(run.path.name)
    terminal.shows("■ interrupted", "r goes on with it")
    terminal.type("r")
    terminal.shows("● training")
    run.goes_on()
    assert run.of_type("resumed")[0]["update"] == run.of_type("ended")[0]["update"]
    assert terminal.stops() == 0
    assert run.ended["reason"] == "stopped"


def test_a_trainer_that_is_killed_is_shown_as_crashed_and_r_goes_on(book: Any, until: Any) -> None:
    terminal, run = book
    os.kill(run.trainer, signal.SIGKILL)
    terminal.shows("✗ crashed")
    terminal.type("r")
    until(lambda: run.of_type("resumed"))
    run.goes_on()
    terminal.shows("● training")
    assert terminal.stops() == 0
    assert run.ended["reason"] == "stopped"


def test_r_pressed_twice_goes_on_once(book: Any, until: Any) -> None:
    terminal, run = book
    os.kill(run.trainer, signal.SIGKILL)
    terminal.shows("✗ crashed")
    terminal.type("rr")
    until(lambda: run.of_type("resumed"))
    terminal.shows("● training")
    run.goes_on()
    assert run.of_type("ended") == []


def test_r_that_cannot_go_on_says_why(book: Any, dashboard: Any) -> None:
    terminal, run = book
    os.kill(run.trainer, signal.SIGKILL)
    terminal.shows("✗ crashed")
    (dashboard.where / "book.txt").unlink()
    terminal.type("r")
    terminal.shows("--corpus")
    terminal.type("q")
    assert terminal.ends() == 0


def test_a_run_whose_directory_vanishes_is_survived(book: Any, dashboard: Any) -> None:
    terminal, run = book
    os.kill(run.trainer, signal.SIGKILL)
    terminal.shows("✗ crashed")
    shutil.rmtree(run.path)
    terminal.type("s")
    terminal.shows("nobody trains")
    terminal.type("q")
    assert terminal.ends() == 0
    assert len(terminal.said) == 3


def test_a_second_dashboard_sees_the_end_of_the_first(book: Any, dashboard: Any) -> None:
    terminal, run = book
    other = dashboard(run.path.name)
    other.shows("● training")
    terminal.process.kill()
    other.shows("■ interrupted")
    other.type("q")
    assert other.ends() == 0
    assert len(other.said) == 3
