"""Streams that are closed, full, or have no reader, and terminals and encodings that can do little."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.promises import AtOnce, Outcome, assert_harmless, assert_refused, assert_trained
from tests.program import (
    PATIENCE,
    PROGRAM,
    SMALL,
    Finished,
    assert_ended,
    charrnn,
    environment,
    in_shell,
    on_terminal,
    only_run,
)
from tests.terminals import SMALL as SMALL_RUN

pytestmark = pytest.mark.fault("stream")

# -- streams -----------------------------------------------------------------------------------------------


def test_stdout_closed(here: Path) -> None:
    finished = in_shell('exec "$@" >&-', here, "train", "book.txt", *SMALL)
    assert finished.code == 0
    assert_harmless(finished.err)
    assert_ended(next((here / "runs").iterdir()))


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    "arguments", [["--version"], ["train", "book.txt", "--json", *SMALL]], ids=["version", "train"]
)
@pytest.mark.parametrize("stream", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_any_stream_closed(here: Path, arguments: list[str], stream: str) -> None:
    finished = in_shell(f'exec "$@" {stream}', here, *arguments)
    assert finished.code == 0
    assert_harmless(finished.err)


@pytest.mark.slow
def test_stderr_closed(here: Path) -> None:
    assert_trained(in_shell('exec "$@" 2>&-', here, "train", "book.txt", *SMALL), here)


@pytest.mark.slow
def test_stdin_closed(here: Path) -> None:
    assert_trained(in_shell('exec "$@" <&-', here, "train", "book.txt", *SMALL), here)


def test_stdin_closed_and_wanted(here: Path) -> None:
    assert_refused(in_shell('exec "$@" <&-', here, "train", "-", *SMALL), here, "standard input is closed")


@pytest.mark.slow
def test_all_streams_closed(here: Path) -> None:
    assert in_shell('exec "$@" <&- >&- 2>&-', here, "train", "book.txt", *SMALL).code == 0
    assert_ended(next((here / "runs").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_file_of_a_run_takes_the_place_of_a_closed_stream(here: Path) -> None:
    """Whatever a library in C says to descriptor 2 would otherwise go into the run's log."""
    endless = [*SMALL, "--updates", "none", "--seconds", "100"]
    command = ["/bin/bash", "-c", 'exec "$@" >&- 2>&- <&-', "sh", *PROGRAM, "train", "book.txt", *endless]
    with subprocess.Popen(command, cwd=here, env=environment()) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not list(here.glob("runs/*/checkpoints/last.safetensors")):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            folder = Path(f"/proc/{process.pid}/fd")
            taken = [str((folder / name).readlink()) for name in "012" if (folder / name).is_symlink()]
        finally:
            process.kill()
    assert [path for path in taken if path.startswith(str(here))] == []


needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


@pytest.mark.slow(sparing=1)
@needs_dev_full
@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["corpora"],
        ["train", "book.txt", "-q"],
        ["train", "book.txt", "-q", "--json"],
    ],
)
def test_stdout_full(here: Path, arguments: list[str]) -> None:
    small = SMALL if "train" in arguments else []
    finished = in_shell('exec "$@" >/dev/full', here, *arguments, *small)
    assert finished.code == 1
    assert finished.err == "charrnn: cannot write to standard output: No space left on device\n"


@needs_dev_full
def test_stderr_full(here: Path) -> None:
    assert_trained(in_shell('exec "$@" 2>/dev/full', here, "train", "book.txt", *SMALL), here)


def test_the_reader_of_the_events_goes_away(here: Path) -> None:
    command = [*PROGRAM, "train", "book.txt", "--json", "--quiet", "--updates", "none", "--seconds", "100"]
    with subprocess.Popen(
        command, cwd=here, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            assert json.loads(process.stdout.readline())["type"] == "started"
            process.stdout.close()
            err = process.stderr.read().decode()
            code = process.wait(PATIENCE)
        finally:
            process.kill()
    assert err == ""
    assert_ended(next((here / "runs").iterdir()))
    assert code == 141, "as a program that SIGPIPE ended"


def test_the_reader_of_the_progress_goes_away(here: Path) -> None:
    finished = in_shell(
        '{ "$@" 2>&1 >/dev/null; echo "code $?" >&3; } 3>code | head -n 1', here, "train", "book.txt", *SMALL
    )
    assert finished.err == ""
    assert (here / "code").read_text(encoding="utf-8") == "code 0\n"
    assert_ended(next((here / "runs").iterdir()))


# -- encodings ---------------------------------------------------------------------------------------------

ASCII = {
    "C": {"LC_ALL": "C"},
    "POSIX": {"LC_ALL": "POSIX"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C, and no UTF-8 mode": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
}


@pytest.fixture(scope="module")
def encoded(at_once: AtOnce) -> dict[str, Outcome]:
    def train(kind: str, where: Path) -> Finished:
        (where / "文.txt").write_text("schöne Wörter, 文字\n" * 100, encoding="utf-8")
        return charrnn(where, "train", "文.txt", *SMALL, **ASCII[kind])

    return at_once(ASCII, train)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ASCII)
def test_an_encoding_that_lacks_characters(encoded: dict[str, Outcome], kind: str) -> None:
    where, future = encoded[kind]
    finished = future.result()
    assert finished.code == 0, finished.err
    assert_harmless(finished.err)
    assert_ended(next((where / "runs").iterdir()))


@pytest.mark.parametrize("changes", [ASCII["ascii"], ASCII["C, and no UTF-8 mode"]], ids=["ascii", "C"])
@pytest.mark.parametrize("arguments", [["train", "--help"], ["corpora"]], ids=" ".join)
def test_words_for_people_in_any_encoding(here: Path, changes: dict[str, str], arguments: list[str]) -> None:
    finished = charrnn(here, *arguments, **changes)
    assert (finished.code, finished.err) == (0, "")


@pytest.mark.parametrize("changes", [ASCII["ascii"], ASCII["C, and no UTF-8 mode"]], ids=["ascii", "C"])
def test_a_refusal_in_any_encoding(here: Path, changes: dict[str, str]) -> None:
    assert_refused(charrnn(here, "train", "größe-文", **changes), here, "no such file")


# -- poor terminals ---------------------------------------------------------------------------------------


def test_a_dumb_terminal_gets_no_escape_codes(here: Path) -> None:
    with on_terminal(here, "train", "book.txt", *SMALL, out_too=True, TERM="dumb") as terminal:
        assert terminal.finish() == 0
    assert "\x1b" not in terminal.text
    assert str(only_run(here)) in terminal.text.replace("\r\n", "")
    assert "update 0" in terminal.text


def test_without_a_terminal_it_is_one_line_and_exit_2(dashboard: Any) -> None:
    finished = dashboard.charrnn("tui", "book.txt", *SMALL_RUN)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert re.fullmatch(r"charrnn: .*terminal.*charrnn train.*\n", finished.stderr)
    assert not (dashboard.where / "runs").exists()


@pytest.mark.parametrize("name", ["dumb", "unknown", ""])
def test_on_a_poor_terminal_it_is_one_line_and_exit_2(dashboard: Any, name: str) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN, TERM=name)
    assert terminal.ends() == 2
    (line,) = terminal.said
    assert "charrnn train" in line
    assert b"\x1b" not in terminal.seen
    assert not (dashboard.where / "runs").exists()


def test_standard_input_from_a_pipe_is_one_line_and_exit_2(dashboard: Any) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN, stdin=subprocess.DEVNULL)
    assert terminal.ends() == 2
    assert len(terminal.said) == 1
    assert not (dashboard.where / "runs").exists()


@pytest.mark.slow
def test_a_text_from_a_pipe_is_watched_on_the_terminal(dashboard: Any, tmp_path: Path) -> None:
    with (tmp_path / "book.txt").open("rb") as text:
        terminal = dashboard("-", *SMALL_RUN, stdin=text)
        terminal.shows("● training")
    run = terminal.run()
    assert terminal.stops() == 0
    assert (run.path / "corpus.txt").exists()


@pytest.mark.slow
def test_stderr_may_be_closed(dashboard: Any) -> None:
    dashboard.program = ["sh", "-c", 'exec "$@" 2>&-', "sh", *dashboard.program]
    terminal = dashboard("book.txt", *SMALL_RUN, "--updates", "100")
    terminal.shows("■ ended")
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.restored
    assert len(terminal.said) == 3


@pytest.mark.slow
def test_stderr_in_a_file_stays_empty(dashboard: Any, tmp_path: Path) -> None:
    with (tmp_path / "err").open("wb") as err:
        terminal = dashboard("book.txt", *SMALL_RUN, "--updates", "100", stderr=err)
        terminal.shows("■ ended")
        terminal.type("q")
        assert terminal.ends() == 0
    assert terminal.restored
    assert len(terminal.said) == 3
    assert (tmp_path / "err").read_bytes() == b""


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("what", ENVIRONMENTS)
def test_it_works_on_other_terminals(dashboard: Any, what: str) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN, "--updates", "100", size=(24, 80), **ENVIRONMENTS[what])
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


NO_UTF_8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.slow
@pytest.mark.parametrize("size", [(24, 80), (40, 120)])
def test_where_utf_8_is_missing_ascii_is_sent(dashboard: Any, size: tuple[int, int]) -> None:
    terminal = dashboard("book.txt", *SMALL_RUN, "--updates", "100", size=size, **NO_UTF_8)
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


@pytest.mark.slow
def test_what_ascii_has_no_sign_for_is_a_question_mark_for_each_of_its_columns(dashboard: Any) -> None:
    (dashboard.where / "wide.txt").write_text("文字の練習 한국어 🙂 é z\u0351 ❤️ ±½…\n" * 60, encoding="utf-8")
    terminal = dashboard("wide.txt", *SMALL_RUN, "--updates", "100", "--learning-rate", "1e-6", **NO_UTF_8)
    terminal.shows("# ended", "??")
    assert {row[-1] for row in terminal.text.split("\n")[1:3]} <= {"+", "|"}
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.seen.isascii()
