"""Texts that are none, texts that are odd, and texts that want to do harm; and their names.

Each is refused in one sentence with exit code 2, or it trains and is shown harmlessly.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn_core.memory import installed_memory
from tests.faults.promises import (
    EVIL,
    MARKUP,
    AtOnce,
    Outcome,
    assert_harmless,
    assert_refused,
    assert_trained,
    shown_on_terminal,
    without_own_codes,
)
from tests.program import PROGRAM, SMALL, TEXT, Finished, charrnn, finish, in_shell, without_privileges

pytestmark = pytest.mark.fault("corpus")

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
def unreadable(at_once: AtOnce) -> dict[str, Outcome]:
    def train(kind: str, where: Path) -> Finished:
        UNREADABLE[kind][0](where / "text.txt")
        return charrnn(where, "train", "text.txt", *SMALL)

    return at_once(UNREADABLE, train)


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_text_that_is_none_is_refused_in_a_sentence(unreadable: dict[str, Outcome], kind: str) -> None:
    where, future = unreadable[kind]
    named = [] if kind.startswith(("one ", "only ESC", "T char")) else ["text.txt"]
    assert_refused(future.result(), where, *named, *UNREADABLE[kind][1])


@pytest.mark.slow
def test_a_text_that_may_not_be_read_is_refused(here: Path) -> None:
    (here / "book.txt").chmod(0)
    finished = finish([*without_privileges(), *PROGRAM, "train", "book.txt", *SMALL], here)
    assert_refused(finished, here, "book.txt", "permission denied")


def test_a_text_in_a_directory_that_may_not_be_entered_is_refused(here: Path) -> None:
    (here / "closed").mkdir(mode=0)
    finished = finish([*without_privileges(), *PROGRAM, "train", "closed/book.txt", *SMALL], here)
    assert_refused(finished, here, "closed/book.txt", "permission denied")


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("given", [b"", b"aaaa", b"\xff\xfe", b"abcab", b"a\xff" * 99], ids=repr)
def test_standard_input_that_is_no_text_is_refused(tmp_path: Path, given: bytes) -> None:
    assert_refused(charrnn(tmp_path, "train", "-", *SMALL, given=given), tmp_path)


@pytest.mark.slow
def test_standard_input_without_end_is_refused_when_the_memory_is_used_up(tmp_path: Path) -> None:
    line = 'ulimit -v 1000000 && yes "the cat sat" | exec "$@"'
    finished = in_shell(line, tmp_path, "train", "-", *SMALL, OPENBLAS_NUM_THREADS="1")
    assert finished.code == 2, finished.err
    assert finished.err.count("\n") == 1, finished.err
    assert "standard input" in finished.err
    assert "memory" in finished.err
    assert not (tmp_path / "runs").exists()


NO_TEXTS = ["/dev/zero", "/dev/null", ".", "/", "", "a/" * 3000, "b" * 300, "./missing", "-missing"]


@pytest.fixture(scope="module")
def no_texts(at_once: AtOnce) -> dict[str, Outcome]:
    return at_once(NO_TEXTS, lambda argument, where: charrnn(where, "train", *SMALL, "--", argument))


@pytest.mark.slow
@pytest.mark.parametrize("argument", NO_TEXTS, ids=lambda argument: argument[:10])
def test_an_argument_that_is_no_text_is_refused(no_texts: dict[str, Outcome], argument: str) -> None:
    where, future = no_texts[argument]
    assert_refused(future.result(), where)


@pytest.mark.slow
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
def odd_texts(at_once: AtOnce) -> dict[str, Outcome]:
    def train(kind: str, where: Path) -> Finished:
        (where / "text.txt").write_bytes(ODD[kind])
        return charrnn(where, "train", "text.txt", *SMALL)

    return at_once(ODD, train)


@pytest.mark.slow
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
def odd_names(at_once: AtOnce) -> dict[str, Outcome]:
    def train(kind: str, where: Path) -> Finished:
        try:
            (where / os.fsdecode(ODD_NAMES[kind])).write_text(TEXT, encoding="utf-8")
        except OSError as error:
            pytest.skip(f"this file system refuses such a name: {error}")
        return charrnn(where, "train", *SMALL, "--", ODD_NAMES[kind])

    return at_once(ODD_NAMES, train)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ODD_NAMES)
def test_a_text_with_an_odd_name_trains(odd_names: dict[str, Outcome], kind: str) -> None:
    where, future = odd_names[kind]
    run = assert_trained(future.result(), where)
    assert re.fullmatch(r"\d{8}-\d{4}-[\w.-]+", run.name)


@pytest.mark.slow(sparing=1)
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
