"""ASCII in place of what a terminal has no characters for: as wide, and told apart."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from charrnn_tui.ascii import to_ascii
from charrnn_tui.terminal import say


@pytest.mark.parametrize("first", [0x80, 0x2000, 0x3000, 0xA000, 0xF900, 0x1F000])
def test_every_character_becomes_as_many_as_it_is_wide(first: int) -> None:
    for code in range(first, first + 0x1000):
        shown = to_ascii(chr(code))
        assert shown.isascii() and len(shown) == cell_len(chr(code)), hex(code)
        assert shown.isprintable(), hex(code)


@pytest.mark.parametrize("text", ["❤️ x", "👍🏽|", "1️⃣2", "e\u0301a\u0308", "🇸🇪", "한국어", "\ufe0f"])
def test_sequences_of_characters_stay_as_wide_as_they_are(text: str) -> None:
    assert len(to_ascii(text)) == cell_len(text)


def test_states_are_told_apart() -> None:
    signs = ["●", "■", "✗", "‖", "○", "✓"]
    assert len({to_ascii(sign) for sign in signs}) == len(signs)


def test_escape_sequences_stay() -> None:
    assert to_ascii("\x1b[38;5;9m╭─\x1b[0m") == "\x1b[38;5;9m+-\x1b[0m"


def test_a_message_for_people_is_readable_where_there_is_only_ascii() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "ascii")
    assert say("café · m = 8 → done\n", stream)
    assert written.getvalue() == b"cafe | m = 8 > done\n"
