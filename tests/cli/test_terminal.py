"""What may reach a terminal."""

from __future__ import annotations

import errno
import io
import os
import pty
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn_tui.terminal import harmless, harmless_line, is_rich, put, say
from tests.characters import CONTROLS, HIDDEN, NEEDED, each
from tests.program import finish

FORBIDDEN = each(CONTROLS) | each(HIDDEN)
texts = st.text(st.characters(exclude_categories=()))
kinds = [st.sampled_from(sorted(each({kind: ranges}))) for kind, ranges in {**CONTROLS, **HIDDEN}.items()]
hostile = st.text(st.one_of(*kinds, st.characters(exclude_categories=())))
ordinary = st.text(
    st.one_of(
        # Letters, marks, numbers, punctuation, symbols and spaces: all that shows and does nothing else.
        st.characters(categories=("L", "M", "N", "P", "S", "Zs"), exclude_characters=sorted(FORBIDDEN)),
        st.sampled_from(sorted(each(NEEDED))),
    )
)


# -- harmless ----------------------------------------------------------------------------------------------


@given(hostile)
@example("\x1b]52;c;AAAA\x07")
@example("\x9b31m")
@example("\r\x08\x0b\x0c")
def test_nothing_forbidden_is_left(text: str) -> None:
    assert FORBIDDEN.isdisjoint(harmless(text))
    assert {unicodedata.category(character) for character in harmless(text)}.isdisjoint({"Cs", "Zl", "Zp"})


@given(texts)
def test_no_control_character_but_newline_and_tab_is_left(text: str) -> None:
    controls = {character for character in harmless(text) if unicodedata.category(character) == "Cc"}
    assert controls <= {"\n", "\t"}


@given(hostile)
def test_twice_is_as_once(text: str) -> None:
    assert harmless(harmless(text)) == harmless(text)
    assert harmless_line(harmless_line(text)) == harmless_line(text)


@given(hostile)
def test_each_character_stays_one_character_in_its_place(text: str) -> None:
    shown = harmless(text)
    assert len(shown) == len(text)
    assert shown == "".join(map(harmless, text))
    assert all(
        after == before or before in FORBIDDEN or hides(before)
        for before, after in zip(text, shown, strict=True)
    )


def hides(character: str) -> bool:
    """Return whether a character is one of those without a shape of their own, or not assigned."""
    return unicodedata.category(character) in ("Cf", "Cn")


@pytest.mark.parametrize("kind", HIDDEN)
def test_what_is_hidden_is_replaced(kind: str) -> None:
    hidden = "".join(sorted(each({kind: HIDDEN[kind]})))
    assert harmless(hidden) == "\ufffd" * len(hidden)
    assert harmless(f"a{hidden[0]}é") == "a\ufffdé"


@pytest.mark.parametrize("kind", CONTROLS)
def test_a_control_is_a_picture(kind: str) -> None:
    for control in each({kind: CONTROLS[kind]}):
        assert harmless(control) == ("\u2421" if control == "\x7f" else chr(0x2400 + ord(control)))


@pytest.mark.parametrize("kind", NEEDED)
def test_what_scripts_need_is_left(kind: str) -> None:
    needed = "".join(sorted(each({kind: NEEDED[kind]})))
    assert harmless(needed) == needed


def test_the_tables_agree_with_what_is_invisible_in_unicode() -> None:
    """No format character, separator or control is missing in both tables."""
    known = FORBIDDEN | each(NEEDED)
    missing = [
        f"U+{code:04X}"
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") and chr(code) not in known
    ]
    assert set(missing) <= {
        "U+0890",
        "U+0891",
        "U+110CD",
        *(f"U+{code:X}" for code in range(0x13439, 0x13440)),
    }


@given(ordinary)
@example("Bücher, Erzählungen: naïve façade – Ångström")
@example("e\u0301 z\u0351\u036b a\u0328\u0301")
@example("文字の練習。한국어")
@example("🙂 👍🏽 🇸🇪 ❤\ufe0f")
@example("שלום مرحبا हिन्दी ไทย")
@example("[bold]b[/] [/ [@click=app.quit]")
@example("\U0001f9d1 \u202f \u3000 \xa0")
@example("می\u200cخواهم ക്\u200d 👩\u200d💻 Sil\u00adbe")
def test_what_is_ordinary_is_unchanged(text: str) -> None:
    assert harmless(text) == text


@given(hostile)
def test_what_is_left_can_be_encoded(text: str) -> None:
    harmless(text).encode("utf-8")


def test_controls_become_their_pictures() -> None:
    assert harmless("\0\x07\x1b\x1f\x7f\r") == "␀␇␛␟␡␍"
    assert harmless("\x9b\u202e\ufeff\udcff") == "\ufffd" * 4


@given(hostile)
def test_a_line_is_one_line(text: str) -> None:
    line = harmless_line(text)
    assert len(line.splitlines()) <= 1
    assert "\n" not in line and "\t" not in line
    assert FORBIDDEN.isdisjoint(line)


# -- is_rich -----------------------------------------------------------------------------------------------


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    """The program's side of a terminal."""
    master, slave = pty.openpty()
    with open(slave, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
        yield stream
    os.close(master)


def test_a_terminal_is_rich(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert is_rich(terminal)


@pytest.mark.parametrize("name", ["dumb", "unknown", "", None])
def test_a_terminal_that_cannot_move_its_cursor_is_not(
    terminal: TextIO, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    if name is None:
        monkeypatch.delenv("TERM", raising=False)
    else:
        monkeypatch.setenv("TERM", name)
    assert not is_rich(terminal)


def test_what_is_no_terminal_is_not_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert not is_rich(None)
    assert not is_rich(io.StringIO())


# -- say ---------------------------------------------------------------------------------------------------


def a_stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")


def said(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(stream.encoding)


@given(hostile, st.sampled_from(["utf-8", "ascii", "latin-1", "cp1252", "koi8-r"]))
def test_whatever_is_said_arrives_harmlessly_in_any_encoding(text: str, encoding: str) -> None:
    stream = a_stream(encoding)
    assert say(text, stream)
    assert FORBIDDEN.isdisjoint(said(stream))
    assert said(stream) == harmless(text) if encoding == "utf-8" else said(stream).isascii()


def test_what_an_encoding_lacks_becomes_something_similar_or_a_question_mark() -> None:
    stream = a_stream("ascii")
    assert say("größe ␛ · 文\n", stream)
    assert said(stream) == "gro?e ? | ??\n"


def test_what_is_said_is_there_at_once() -> None:
    stream = a_stream("utf-8")
    say("one ", stream)
    assert said(stream) == "one "
    say("two\n", stream)
    assert said(stream) == "one two\n"


class Broken(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class Closing(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_nobody_to_say_it_to_is_no_error() -> None:
    closed = io.StringIO()
    closed.close()
    assert not say("text", None)
    assert not say("text", closed)
    assert not say("text", Broken())
    assert not say("text", Closing())


# -- put ---------------------------------------------------------------------------------------------------


class Piecemeal(io.RawIOBase):
    """What stdout is with PYTHONUNBUFFERED: a write takes as many bytes as there is room for."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.taken += bytes(data[:3])
        return min(len(data), 3)


def test_data_is_written_whole_where_a_write_takes_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = Piecemeal()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "utf-8", write_through=True))
    put("the tide rises, the tide falls\n")
    assert raw.taken == b"the tide rises, the tide falls\n"


# -- warnings ----------------------------------------------------------------------------------------------

WARN = """\
import sys, warnings
from charrnn_tui import cli
from charrnn_tui.entry import main
cli.run = lambda arguments: warnings.warn("of a library", RuntimeWarning) or 0
sys.argv = ["charrnn"]
main()
"""


@pytest.mark.parametrize(("options", "shown"), [([], False), (["-W", "default"], True)])
def test_warnings_of_libraries_are_shown_to_those_who_ask(
    tmp_path: Path, options: list[str], shown: bool
) -> None:
    done = finish([sys.executable, *options, "-c", WARN], tmp_path)
    assert done.code == 0
    assert ("RuntimeWarning: of a library" in done.err) == shown
    assert shown or not done.err
