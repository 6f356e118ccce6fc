"""What a bad day brings: texts that are none, options that make no sense, streams and disks that refuse.

Whatever it is, the program says one sentence and exits with 2, or it trains. It never shows a traceback,
never hangs, and never gives a terminal something to obey.
"""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.memory import installed_memory
from charrnn_core.training.settings import FIELDS, PRESETS, option_name

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
TEXT = "the cat sat on the mat and the dog sat on the log.\n" * 60
SMALL = ["--updates", "30", "--hidden", "8", "--seq-length", "5", "--sample-length", "20"]
PATIENCE = 20.0  # seconds until something that should have happened counts as hanging

OBEYED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but newline and tab, and what changes the direction of writing."""

EVIL = (
    "\x1b[31mred \x1b]0;title\x07 \x1b]52;c;AAAA\x07 \x9b31m \x90q\x9c \x7f \x08\r "
    "\u202eright\u202c \u2066isolated\u2069"
)
MARKUP = "[bold]b[/bold] [/] [red] [@click=app.quit]q[/] [link=http://x]l[/link] \\[ [[ ]] {x} %s\n"


# -- helpers -----------------------------------------------------------------------------------------------


def environment(**changes: str) -> dict[str, str]:
    """Return the environment without what would change the program's output, and with `changes`."""
    unwanted = {"NO_COLOR", "FORCE_COLOR", "CHARRNN_RUNS", "COLUMNS", "LINES", "PYTHONWARNINGS"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "TERM": "xterm", "OPENBLAS_NUM_THREADS": "1", **changes}


@dataclass(frozen=True)
class Finished:
    code: int
    out: bytes
    err: str


def charrnn(where: Path, *arguments: str | bytes, given: bytes = b"", **changes: str) -> Finished:
    """Run the program to its end, with pipes for its three streams."""
    return finish([*PROGRAM, *arguments], where, given, **changes)


def finish(command: list[str | bytes], where: Path, given: bytes = b"", **changes: str) -> Finished:
    process = subprocess.run(
        command,
        cwd=where,
        env=environment(**changes),
        input=given,
        capture_output=True,
        timeout=PATIENCE,
    )
    return Finished(process.returncode, process.stdout, process.stderr.decode(errors="backslashreplace"))


def in_shell(line: str, where: Path, *arguments: str, **changes: str) -> Finished:
    """Run a line of the shell, in which "$@" is the program with its arguments."""
    return finish(["/bin/sh", "-c", line, "sh", *PROGRAM, *arguments], where, **changes)


def assert_harmless(text: str) -> None:
    found = OBEYED.search(text)
    assert found is None, f"{found.group()!r} in {text[max(0, found.start() - 80) : found.end() + 20]!r}"
    assert "Traceback" not in text


def assert_refused(finished: Finished, where: Path, *words: str) -> None:
    """One harmless line on stderr with these words, exit code 2, and no run."""
    assert finished.code == 2, finished.err
    assert finished.err.count("\n") == 1 and finished.err.endswith("\n"), finished.err
    assert_harmless(finished.err)
    for word in words:
        assert word in finished.err
    assert finished.out == b""
    assert not (where / "runs").exists()


def assert_trained(finished: Finished, where: Path) -> Path:
    """The only run ended well, its path is on stdout, and stderr has nothing that a terminal obeys."""
    assert finished.code == 0, finished.err
    assert_harmless(finished.err)
    (run,) = (where / "runs").iterdir()
    assert finished.out == os.fsencode(run) + b"\n"
    assert_ended(run)
    assert OBEYED.search(run.name) is None
    return run


def events(run: Path) -> list[dict[str, Any]]:
    log = run / "events.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def assert_ended(run: Path) -> None:
    """The log is whole lines of JSON, the last one says how the run ended, and there is a checkpoint."""
    assert (run / "events.jsonl").read_bytes().endswith(b"\n")
    assert events(run)[-1]["type"] == "ended"
    assert (run / "checkpoints" / "last.safetensors").exists()


def shown_on_terminal(where: Path, *arguments: str | bytes) -> tuple[int, str]:
    """Run the program with a terminal for all three streams; return exit code and what it showed."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    seen = bytearray()
    deadline = time.monotonic() + PATIENCE
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=where,
        env=environment(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        try:
            while time.monotonic() < deadline:
                if select.select([master], [], [], 0.1)[0]:
                    try:
                        block = os.read(master, 65536)
                    except OSError:  # Linux says EIO where others say end of file
                        break
                    if not block:
                        break
                    seen += block
            return process.wait(PATIENCE), seen.decode().replace("\r\n", "\n")
        finally:
            process.kill()
            os.close(master)


def without_own_codes(text: str) -> str:
    """Return what a terminal got, without the codes that the progress bar is drawn with."""
    return re.sub(r"\x1b\[(?:\?25[lh]|[0-9;]*[mKA])|\r(?=\x1b)", "", text)


Outcome = tuple[Path, Future[Finished]]
"""The current directory of a command, and what it will have done when it has finished."""


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., dict[str, Outcome]]]:
    """A function that starts a command for each of many kinds, side by side, each in its own folder.

    One after the other they would take twice as long.
    """
    with ThreadPoolExecutor(3) as pool:

        def start(kinds: Iterable[str], command: Callable[[str, Path], Finished]) -> dict[str, Outcome]:
            places = {kind: tmp_path_factory.mktemp("case") for kind in kinds}
            return {kind: (place, pool.submit(command, kind, place)) for kind, place in places.items()}

        yield start


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a text in it, the current directory of the commands."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


# -- texts that cannot be trained on -----------------------------------------------------------------------


def holding(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def sparse(path: Path) -> None:
    size = 100 * 10**9
    if installed_memory() >= size:
        pytest.skip("this machine has more memory than the file is large")
    with path.open("wb") as file:
        try:
            file.truncate(size)
        except OSError as error:
            pytest.skip(f"this file system refuses so large a file: {error}")


def without_privileges() -> list[str]:
    """Return what to put before a command so that the permissions of files hold for it, even for root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("nothing is forbidden to root")
    return ["setpriv", "--bounding-set", "-all"]


UNREADABLE: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "empty": (holding(b""), ["empty"]),
    "one character": (holding(b"a"), ["one distinct character"]),
    "one distinct character": (holding(b"a" * 5000), ["one distinct character", "'a'"]),
    "only ESC": (holding(b"\x1b" * 5000), ["one distinct character"]),
    "T characters": (holding(b"abcab"), ["5 characters", "at least 6"]),
    "T characters of several bytes": (holding("äöüäö".encode()), ["5 characters", "at least 6"]),
    "invalid UTF-8": (holding(b"fine\nnot \xff fine\n" * 9), ["UTF-8", "byte 9", "line 2", "iconv"]),
    "invalid UTF-8 after a megabyte": (
        holding(b"0123456789abcde\n" * 65536 + b"\xe4\n"),
        ["byte 1,048,576", "line 65,537"],
    ),
    "Latin-1": (holding("schön\n".encode("latin-1") * 99), ["UTF-8", "byte 3", "line 1", "ISO-8859-1"]),
    "a character cut in two": (holding(b"abcdefgh" * 9 + b"\xe2\x82"), ["UTF-8", "byte 72"]),
    "UTF-16": (holding(TEXT.encode("utf-16")), ["UTF-16", "iconv"]),
    "gzip": (holding(gzip.compress(TEXT.encode())), ["gzip", "gunzip"]),
    "directory": (Path.mkdir, ["directory"]),
    "FIFO": (os.mkfifo, ["not a regular file"]),
    "device without end": (lambda path: path.symlink_to("/dev/zero"), ["not a regular file"]),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), []),
    "links in a circle": (lambda path: path.symlink_to(path), ["circle"]),
    "link to nothing": (lambda path: path.symlink_to("nothing"), ["no such file"]),
    "missing": (lambda path: None, ["no such file", "tales"]),
    "sparse 100 GB": (sparse, ["100,000,000,000", "memory"]),
}


@pytest.fixture(scope="module")
def unreadable(at_once: Callable[..., dict[str, Outcome]]) -> dict[str, Outcome]:
    def train(kind: str, where: Path) -> Finished:
        UNREADABLE[kind][0](where / "text.txt")
        return charrnn(where, "train", "text.txt", *SMALL)

    return at_once(UNREADABLE, train)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_text_that_is_none_is_refused_in_a_sentence(unreadable: dict[str, Outcome], kind: str) -> None:
    where, future = unreadable[kind]
    named = [] if kind.startswith(("one ", "only ESC", "T char")) else ["text.txt"]
    assert_refused(future.result(), where, *named, *UNREADABLE[kind][1])


def test_a_text_that_may_not_be_read_is_refused(here: Path) -> None:
    (here / "book.txt").chmod(0)
    finished = finish([*without_privileges(), *PROGRAM, "train", "book.txt", *SMALL], here)
    assert_refused(finished, here, "book.txt", "permission denied")


def test_a_text_in_a_directory_that_may_not_be_entered_is_refused(here: Path) -> None:
    (here / "closed").mkdir(mode=0)
    finished = finish([*without_privileges(), *PROGRAM, "train", "closed/book.txt", *SMALL], here)
    assert_refused(finished, here, "closed/book.txt", "permission denied")


@pytest.mark.parametrize("given", [b"", b"aaaa", b"\xff\xfe", b"abcab", b"a\xff" * 99], ids=repr)
def test_standard_input_that_is_no_text_is_refused(tmp_path: Path, given: bytes) -> None:
    assert_refused(charrnn(tmp_path, "train", "-", *SMALL, given=given), tmp_path)


NO_TEXTS = ["/dev/zero", "/dev/null", ".", "/", "", "a/" * 3000, "b" * 300, "./missing", "-missing"]


@pytest.fixture(scope="module")
def no_texts(at_once: Callable[..., dict[str, Outcome]]) -> dict[str, Outcome]:
    return at_once(NO_TEXTS, lambda argument, where: charrnn(where, "train", *SMALL, "--", argument))


@pytest.mark.parametrize("argument", NO_TEXTS, ids=lambda argument: argument[:10])
def test_an_argument_that_is_no_text_is_refused(no_texts: dict[str, Outcome], argument: str) -> None:
    where, future = no_texts[argument]
    assert_refused(future.result(), where)


def test_a_text_shorter_than_its_held_out_share_allows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("abcabcabcabc", encoding="utf-8")
    refused = charrnn(tmp_path, "train", "text.txt", "--held-out", "0.01", *SMALL)
    assert_refused(refused, tmp_path, "--held-out", "at least two")


# -- texts that are odd but texts --------------------------------------------------------------------------

ODD: dict[str, bytes] = {
    "T + 1 characters": b"abcabc",
    "byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "CR LF": TEXT.replace("\n", "\r\n").encode(),
    "NUL": b"a\0b\0c\n" * 300,
    "combining marks": ("z\u0351\u036b\u0343a\u0328\u0301 e\u0301\n" * 200).encode(),
    "emoji": ("👩\u200d💻 👍🏽 🇸🇪 ❤\ufe0f 🙂\n" * 200).encode(),
    "right-to-left": ("שלום עולם مرحبا\n" * 200).encode(),
    "wide": ("文字の練習。\n" * 200).encode(),
    "rare": "".join(map(chr, range(0x20000, 0x20000 + 700))).encode(),
    "escape sequences": (EVIL * 40).encode(),
    "markup": (MARKUP * 40).encode(),
}


@pytest.fixture(scope="module")
def odd_texts(at_once: Callable[..., dict[str, Outcome]]) -> dict[str, Outcome]:
    def train(kind: str, where: Path) -> Finished:
        (where / "text.txt").write_bytes(ODD[kind])
        return charrnn(where, "train", "text.txt", *SMALL)

    return at_once(ODD, train)


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_text_trains_and_is_shown_harmlessly(odd_texts: dict[str, Outcome], kind: str) -> None:
    where, future = odd_texts[kind]
    assert_trained(future.result(), where)


@pytest.mark.parametrize("kind", ["escape sequences", "markup"])
def test_a_hostile_text_is_harmless_at_a_terminal(tmp_path: Path, kind: str) -> None:
    (tmp_path / "text.txt").write_bytes(ODD[kind])
    code, shown = shown_on_terminal(tmp_path, "train", "text.txt", "--sample-length", "2000", *SMALL[:-2])
    assert code == 0
    assert_harmless(without_own_codes(shown))


def test_markup_is_shown_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "[red]x.txt").write_text("[red]" * 100, encoding="utf-8")
    _, shown = shown_on_terminal(tmp_path, "train", "[red]x.txt", *SMALL)
    assert "[red]x · " in shown


def test_json_of_a_hostile_text_is_harmless_at_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(ODD["escape sequences"])
    code, shown = shown_on_terminal(tmp_path, "train", "text.txt", "--json", "--quiet", *SMALL)
    assert code == 0
    assert_harmless(shown)


# -- names -------------------------------------------------------------------------------------------------

ODD_NAMES: dict[str, bytes] = {
    "newline": b"two\nlines.txt",
    "ESC": b"\x1b[31mred\x1b]0;title\x07.txt",
    "C1": "\x9b31m.txt".encode(),
    "markup": b"[red]x[@click=app.quit].txt",
    "bidi": "a\u202etxt.exe".encode(),
    "dash": b"-x.txt",
    "dots": b"...",
    "accents": "Bücher und Erzählungen.txt".encode(),
    "255 bytes": b"n" * 251 + b".txt",
    "not UTF-8": b"b\xfccher.txt",
}


@pytest.fixture(scope="module")
def odd_names(at_once: Callable[..., dict[str, Outcome]]) -> dict[str, Outcome]:
    def train(kind: str, where: Path) -> Finished:
        try:
            (where / os.fsdecode(ODD_NAMES[kind])).write_text(TEXT, encoding="utf-8")
        except OSError as error:
            pytest.skip(f"this file system refuses such a name: {error}")
        return charrnn(where, "train", *SMALL, "--", ODD_NAMES[kind])

    return at_once(ODD_NAMES, train)


@pytest.mark.parametrize("kind", ODD_NAMES)
def test_a_text_with_an_odd_name_trains(odd_names: dict[str, Outcome], kind: str) -> None:
    where, future = odd_names[kind]
    run = assert_trained(future.result(), where)
    assert re.fullmatch(r"\d{8}-\d{4}-[\w.-]+", run.name)


@pytest.mark.parametrize("kind", ["newline", "ESC", "bidi", "not UTF-8"])
def test_a_missing_text_with_an_odd_name_is_refused(tmp_path: Path, kind: str) -> None:
    assert_refused(charrnn(tmp_path, "train", *SMALL, "--", ODD_NAMES[kind]), tmp_path, "no such file")


def test_a_hostile_name_is_harmless_at_a_terminal(tmp_path: Path) -> None:
    name = "\x1b[31m\x9b31m\u202e[red].txt"
    (tmp_path / name).write_text(TEXT, encoding="utf-8")
    code, shown = shown_on_terminal(tmp_path, "train", name, *SMALL)
    assert code == 0
    assert_harmless(without_own_codes(shown))


def test_a_hostile_directory_is_harmless_at_a_terminal(tmp_path: Path) -> None:
    where = tmp_path / "\x1b[31m\u202e"
    where.mkdir()
    code, shown = shown_on_terminal(where, "train", "--quiet", *SMALL)
    assert code == 0
    assert_harmless(shown)


@pytest.mark.parametrize(
    "option",
    ["", "train", "--{}", "train --{}", "train --name", "train --preset", "train --hidden", "train --dtype"],
)
def test_hostile_arguments_come_back_harmless(here: Path, option: str) -> None:
    argument = EVIL + MARKUP + "\udcff"
    words = [word.format(argument) for word in option.split()]
    finished = charrnn(here, *map(os.fsencode, words), *([] if "{}" in option else [os.fsencode(argument)]))
    assert_refused(finished, here)


# -- options -----------------------------------------------------------------------------------------------

NONSENSE = ["0", "-1", "nan", "inf", "1e20", "many", ""]
NUMBERS = [name for name, known in FIELDS.items() if known.kind is not str]
WORDS = [name for name, known in FIELDS.items() if known.kind is str]
ALSO = {
    "beta1": ["--optimizer", "adam"],
    "beta2": ["--optimizer", "adam"],
    "decay": ["--optimizer", "rmsprop"],
    "chunk_length": ["--chunks", "shuffled"],
    "held_out": ["--validate-every", "10"],
    "validate_every": ["--held-out", "0.1"],
    "updates": ["--epochs", "0.1"],
}
"""What a setting needs beside it to have an effect."""


def problem_with(where: Path, name: str, value: str) -> str | None:
    """Return what is wrong with what the program does with a value of a setting, or None."""
    where.mkdir()
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    finished = charrnn(
        where, "train", "book.txt", *SMALL, *ALSO.get(name, []), f"{option_name(name)}={value}"
    )
    try:
        if finished.code == 0:
            assert_trained(finished, where)
            assert "Warning" not in finished.err
        else:
            assert_refused(finished, where, f"{option_name(name)} ", "allowed is", FIELDS[name].allowed)
            assert len(finished.err) < 400
    except AssertionError as wrong:
        return f"{value[:40]!r}: {wrong}"
    return None


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_within_its_range_or_refused(tmp_path: Path, name: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        places = [tmp_path / str(index) for index in range(len(NONSENSE))]
        problems = list(pool.map(problem_with, places, [name] * len(NONSENSE), NONSENSE))
    assert [problem for problem in problems if problem] == []


@pytest.mark.parametrize("value", ["9" * 5000, "1,5", "1e400", "0x10", "1_"], ids=lambda value: value[:10])
def test_what_is_almost_a_number_is_refused(tmp_path: Path, value: str) -> None:
    assert problem_with(tmp_path / "0", "hidden", value) is None


@pytest.mark.parametrize("name", WORDS)
def test_a_word_is_one_of_those_allowed_or_refused(tmp_path: Path, name: str) -> None:
    for index, value in enumerate(["", "nonsense", FIELDS[name].choices[0].upper()]):
        assert problem_with(tmp_path / str(index), name, value) is None


ENDS = [
    ("temperature", "5e-324"),
    ("clip", "1e-300"),
    ("epsilon", "1e-30"),
    ("epochs", "1e-300"),
    ("beta1", "0.9999999999999999"),
    ("seed", "9223372036854775807"),
    ("threads", "1024"),
    ("chunk_length", "1000000000000000"),
    ("sample_length", "10000"),
]
"""Values at the ends of their ranges, or next to them, that train."""


def test_the_ends_of_the_ranges_train(tmp_path: Path) -> None:
    places = [tmp_path / str(index) for index in range(len(ENDS))]
    with ThreadPoolExecutor(4) as pool:
        problems = list(pool.map(problem_with, places, *zip(*ENDS, strict=True)))
    assert [problem for problem in problems if problem] == []
    refused = [end for end, place in zip(ENDS, places, strict=True) if not (place / "runs").exists()]
    assert refused == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--hidden", "1000000"], ["--hidden 1,000,000", "TB", "memory"]),
        (["--hidden", "1000000", "--dtype", "float64"], ["--hidden", "TB"]),
        (["--seq-length", "100000", "--batch-size", "65536"], ["--seq-length", "--batch-size", "TB"]),
        (["--seq-length", "10000"], ["seq-length", "10,001"]),
        (["--batch-size", "10000"], ["batch-size", "60,000"]),
        (["--chunks", "shuffled", "--chunk-length", "4"], ["--chunk-length", "at least"]),
        (["--preset", "dd2424-1999"], ["--preset", *PRESETS]),
        (["--no-such"], ["--no-such", "--help"]),
        (["--seed"], ["--seed", "--help"]),
        (["another.txt"], ["another.txt", "--help"]),
        (["--quiet=yes"], ["--quiet", "--help"]),
        (["--hidden", "8", "--hidden", "0"], ["--hidden", "allowed is"]),
    ],
)
def test_settings_that_cannot_be_met_are_refused(here: Path, settings: list[str], words: list[str]) -> None:
    assert_refused(charrnn(here, "train", "book.txt", *SMALL, *settings), here, *words)


def test_a_batch_that_is_too_large_for_the_text_is_what_the_remedy_names(here: Path) -> None:
    # No window is short enough for 10,000 streams of 3,060 characters.
    finished = charrnn(here, "train", "book.txt", *SMALL, "--batch-size", "10000")
    assert "choose a smaller --batch-size" in finished.err


@pytest.mark.parametrize(
    "command", [["nonsense"], [""], ["--nonsense"], ["corpora", "x"], ["corpora", "--no"]]
)
def test_wrong_use_is_refused_in_a_sentence(here: Path, command: list[str]) -> None:
    assert_refused(charrnn(here, *command), here, "--help")


# -- streams -----------------------------------------------------------------------------------------------


def test_stdout_closed(here: Path) -> None:
    finished = in_shell('exec "$@" >&-', here, "train", "book.txt", *SMALL)
    assert finished.code == 0
    assert_harmless(finished.err)
    assert_ended(next((here / "runs").iterdir()))


@pytest.mark.parametrize(
    "arguments", [["--version"], ["train", "book.txt", "--json", *SMALL]], ids=["version", "train"]
)
@pytest.mark.parametrize("stream", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_any_stream_closed(here: Path, arguments: list[str], stream: str) -> None:
    finished = in_shell(f'exec "$@" {stream}', here, *arguments)
    assert finished.code == 0
    assert_harmless(finished.err)


def test_stderr_closed(here: Path) -> None:
    assert_trained(in_shell('exec "$@" 2>&-', here, "train", "book.txt", *SMALL), here)


def test_stdin_closed(here: Path) -> None:
    assert_trained(in_shell('exec "$@" <&-', here, "train", "book.txt", *SMALL), here)


def test_stdin_closed_and_wanted(here: Path) -> None:
    assert_refused(in_shell('exec "$@" <&-', here, "train", "-", *SMALL), here, "standard input is closed")


def test_all_streams_closed(here: Path) -> None:
    assert in_shell('exec "$@" <&- >&- 2>&-', here, "train", "book.txt", *SMALL).code == 0
    assert_ended(next((here / "runs").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_file_of_a_run_takes_the_place_of_a_closed_stream(here: Path) -> None:
    """Whatever a library in C says to descriptor 2 would otherwise go into the run's log."""
    endless = [*SMALL, "--updates", "none", "--seconds", "100"]
    command = ["/bin/sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh", *PROGRAM, "train", "book.txt", *endless]
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
def encoded(at_once: Callable[..., dict[str, Outcome]]) -> dict[str, Outcome]:
    def train(kind: str, where: Path) -> Finished:
        (where / "文.txt").write_text("schöne Wörter, 文字\n" * 100, encoding="utf-8")
        return charrnn(where, "train", "文.txt", *SMALL, **ASCII[kind])

    return at_once(ASCII, train)


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


# -- places ------------------------------------------------------------------------------------------------


def assert_place_refused(finished: Finished, *words: str) -> None:
    assert finished.code in (1, 2)
    assert finished.err.count("\n") == 1, finished.err
    assert_harmless(finished.err)
    assert "standard output" not in finished.err, "that is not what could not be written"
    for word in words:
        assert word in finished.err


@pytest.mark.parametrize("runs", ["book.txt", "book.txt/x", "/proc", "/dev/null", "r" * 300], ids=str)
def test_runs_on_an_unwritable_place(here: Path, runs: str) -> None:
    finished = charrnn(here, "train", "book.txt", *SMALL, "--runs", runs)
    assert_place_refused(finished, runs)
    assert finished.code == 2
    assert finished.out == b""


def test_runs_where_nothing_may_be_written(here: Path) -> None:
    (here / "runs").mkdir(mode=0o500)
    finished = finish([*without_privileges(), *PROGRAM, "train", "book.txt", *SMALL], here)
    assert_place_refused(finished, "runs", "Permission denied")


def test_runs_is_a_link_to_nothing(here: Path) -> None:
    (here / "runs").symlink_to("nothing")
    assert_place_refused(charrnn(here, "train", "book.txt", *SMALL), "runs")


def test_the_current_directory_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    finished = in_shell('rmdir "$PWD" && exec "$@"', gone, "train", "tales", *SMALL)
    assert_place_refused(finished)


def test_a_file_size_limit_of_nothing_names_the_run(here: Path) -> None:
    finished = in_shell('ulimit -f 0 && exec "$@"', here, "train", "book.txt", "--quiet", *SMALL)
    assert_place_refused(finished, "runs/")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(
    ("source", "free"), [("book.txt", 0), ("book.txt", 8192), ("-", 0), ("-", 4096), ("-", 12288)]
)
def test_a_full_disk_is_an_error_at_the_start(here: Path, small_disk: Path, free: int, source: str) -> None:
    with (small_disk / "fill").open("wb") as file:
        file.write(bytes(65536 - free))
    settings = [*SMALL, "--hidden", "100", "--quiet", "--runs", str(small_disk / "runs")]
    finished = charrnn(here, "train", source, *settings, given=TEXT.encode())
    assert finished.code in (1, 2)
    assert_harmless(finished.err)
    last = finished.err.splitlines()[-1]
    assert "No space left" in last
    assert str(small_disk) in last, "the message names another place"
    assert list(small_disk.rglob(".last*")) == []


def test_a_disk_that_fills_up_does_not_stop_training(here: Path, small_disk: Path) -> None:
    settings = ["--hidden", "8", "--seq-length", "5", "--updates", "2000", "--runs", str(small_disk)]
    finished = charrnn(here, "train", "book.txt", "--quiet", "--checkpoint-every", "0", *settings)
    assert finished.code in (0, 1)
    assert_harmless(finished.err)
    assert "No space left" in finished.err
    (run,) = small_disk.iterdir()
    assert [event["type"] for event in events(run)][:2] == ["started", "progress"]


def test_after_a_full_disk_log_and_stdout_are_equal(here: Path, small_disk: Path) -> None:
    endless = ["--updates", "none", "--seconds", "100", "--sample-every", "none", "--seq-length", "5"]
    command = [*PROGRAM, "train", "book.txt", "--json", "--runs", str(small_disk), "--name", "run", *endless]
    log, out = small_disk / "run" / "events.jsonl", here / "out"

    def until(file: Path, word: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not file.exists() or word not in file.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline, f"no {word} in {file}"
            time.sleep(0.01)

    (small_disk / "fill").write_bytes(bytes(48 * 1024))
    with (
        out.open("wb") as stdout,
        subprocess.Popen(
            [*command, "--hidden", "1"], cwd=here, env=environment(), stdout=stdout, stderr=subprocess.DEVNULL
        ) as process,
    ):
        try:
            until(out, '"warning"')
            subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
            until(log, '"warning"')
            process.terminate()
            assert process.wait(PATIENCE) == 143
        finally:
            process.kill()
    assert out.read_text(encoding="utf-8").splitlines() == log.read_text(encoding="utf-8").splitlines()
