"""The dashboard as a terminal sees it: keys, signals, sizes, and what reaches the terminal."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
from typing import Any

import pytest

from tests.terminals import asked, is_saved

SMALL = ["--hidden", "8", "--seq-length", "5", "--sample-length", "40"]
PATIENCE = 90.0

# -- keys --------------------------------------------------------------------------------------------------


def test_space_pauses_and_space_goes_on(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type(" ")
    paused = asked(run, "pause")
    terminal.shows("paused")
    assert run.status["state"] == "paused"
    assert run.trained
    terminal.type(" ")
    asked(run, "continue")
    run.goes_on()
    terminal.shows("● training")
    names = [(event["type"], event.get("name")) for event in run.events]
    between = names[names.index(("obeyed", "pause")) + 1 : names.index(("obeyed", "continue"))]
    assert between == []
    assert run.obeyed("continue")[0]["update"] == paused["update"]


def test_keys_ask_for_a_sample_a_check_a_checkpoint_and_another_rate(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type("s")
    sample = asked(run, "sample")
    assert [event["update"] for event in run.of_type("sample") if "command" in event] == [sample["update"]]
    terminal.type("g")
    check = asked(run, "check")
    terminal.shows(f"Gradients checked at update {check['update']:,}.")
    (checked,) = (event for event in run.of_type("gradients_checked") if "command" in event)
    assert checked["update"] == check["update"]
    terminal.type("c")
    saved = asked(run, "checkpoint")
    terminal.shows(f"Checkpoint saved at update {saved['update']:,}.")
    assert [event["kind"] for event in run.of_type("checkpoint") if "command" in event] == ["last"]
    terminal.type("]")
    assert asked(run, "set-learning-rate")["arguments"] == {"learning_rate": 0.141}
    terminal.shows("Learning rate 0.141")
    terminal.type("[")
    second = asked(run, "set-learning-rate", 2)["arguments"]["learning_rate"]
    assert second == pytest.approx(0.1, rel=0.005)
    assert not terminal.screen.strangers


@pytest.mark.slow
def test_each_press_of_a_rate_key_counts(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type("]]]")
    rate = asked(run, "set-learning-rate", 3)["arguments"]["learning_rate"]
    assert rate == pytest.approx(0.1 * 2**1.5, rel=0.01)


@pytest.mark.slow
def test_space_pressed_twice_at_once_pauses_and_goes_on(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type("  ")
    until(lambda: len(run.obeyed("pause")) + len(run.obeyed("continue")) == 2)
    assert [event["name"] for event in run.of_type("obeyed")] == ["pause", "continue"]
    run.goes_on()


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_detach_leaves_it_training_and_tui_comes_back(book: Any, dashboard: Any, until: Any) -> None:
    terminal, run = book
    terminal.type("d")
    assert terminal.ends() == 0
    assert terminal.restored
    assert len(terminal.said) == 3
    assert "still trains" in terminal.said[0]
    assert terminal.said[2] == f"charrnn tui {run.path.relative_to(dashboard.where)}"
    asked(run, "detach")
    run.goes_on()

    again = dashboard(*shlex.split(terminal.said[2])[2:])
    again.shows("● training")
    again.type(" ")
    asked(run, "pause")
    again.shows("paused")
    again.type(" ")
    asked(run, "continue")
    again.shows("● training")
    again.type("q")  # not this dashboard's own: it leaves, and the run trains on
    assert again.ends() == 0
    assert again.restored
    run.goes_on()


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_paused_run_can_be_stopped(book: Any, until: Any) -> None:
    terminal, run = book
    terminal.type(" ")
    asked(run, "pause")
    terminal.shows("paused")
    assert terminal.stops() == 0
    assert run.ended["reason"] == "stopped"


@pytest.mark.slow(sparing=1)
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


@pytest.mark.slow
def test_an_answer_that_comes_while_leaving_is_no_error(book: Any, dashboard: Any, until: Any) -> None:
    _, run = book
    other = dashboard(run.path.name)
    other.shows("● training")
    other.type("cq")
    assert other.ends() == 0
    assert len(other.said) == 3
    asked(run, "checkpoint")


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_divergence_is_explained(dashboard: Any) -> None:
    diverging = "--hidden 50 --seq-length 5 --updates 3000 --optimizer adam --learning-rate 1000 --beta2 0"
    more = "--init-std 10 --beta1 0.999 --epsilon 1e-30 --clip none"
    terminal = dashboard("book.txt", *f"{diverging} {more}".split())
    terminal.shows("✗ diverged", "no longer finite")
    terminal.type("q")
    assert terminal.ends() in (0, 1)
    assert terminal.restored
    assert len(terminal.said) == 3


@pytest.mark.slow
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


@pytest.mark.slow
def test_r_pressed_twice_goes_on_once(book: Any, until: Any) -> None:
    terminal, run = book
    os.kill(run.trainer, signal.SIGKILL)
    terminal.shows("✗ crashed")
    terminal.type("rr")
    until(lambda: run.of_type("resumed"))
    terminal.shows("● training")
    run.goes_on()
    assert run.of_type("ended") == []


@pytest.mark.slow
def test_r_that_cannot_go_on_says_why(book: Any, dashboard: Any) -> None:
    terminal, run = book
    os.kill(run.trainer, signal.SIGKILL)
    terminal.shows("✗ crashed")
    (dashboard.where / "book.txt").unlink()
    terminal.type("r")
    terminal.shows("--corpus")
    terminal.type("q")
    assert terminal.ends() == 0


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_second_dashboard_sees_the_end_of_the_first(book: Any, dashboard: Any) -> None:
    terminal, run = book
    other = dashboard(run.path.name)
    other.shows("● training")
    terminal.process.kill()
    other.shows("■ interrupted")
    other.type("q")
    assert other.ends() == 0
    assert len(other.said) == 3
