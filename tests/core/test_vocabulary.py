import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn_core.errors import UnknownCharacterError, UsageError
from charrnn_core.text.vocabulary import Vocabulary, code_points

# Every code point, lone surrogates too: a vocabulary takes what Python calls a character.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
SOME_TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=40)


def run_of_characters(count: int, first: int = 0xE000) -> str:
    """Give distinct characters in the order of their code points, above the surrogates."""
    return "".join(map(chr, range(first, first + count)))


@settings(deadline=None)
@given(ANY_TEXT)
def test_code_points_are_those_of_ord(text: str) -> None:
    points = code_points(text)
    assert points.dtype == np.uint32
    assert points.tolist() == [ord(character) for character in text]


@settings(deadline=None)
@given(SOME_TEXT)
def test_the_vocabulary_of_a_text_is_its_distinct_characters_by_code_point(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    distinct: list[str] = []
    for character in text:
        if character not in distinct:
            distinct.append(character)
    assert list(vocabulary.characters) == sorted(distinct, key=ord)
    assert len(vocabulary) == len(distinct)


@settings(deadline=None)
@given(SOME_TEXT, st.randoms(use_true_random=False))
def test_the_order_in_which_characters_appear_does_not_change_the_vocabulary(text: str, random) -> None:
    shuffled = list(text)
    random.shuffle(shuffled)
    assert Vocabulary.of(text) == Vocabulary.of("".join(shuffled))
    assert hash(Vocabulary.of(text)) == hash(Vocabulary.of("".join(shuffled)))


@settings(deadline=None)
@given(SOME_TEXT, st.data())
def test_a_code_is_the_place_of_its_character_among_the_sorted_ones(text: str, data) -> None:
    part = data.draw(st.text(st.sampled_from(sorted(set(text))), max_size=30))
    codes = Vocabulary.of(text).encode(part)
    assert codes.tolist() == [sorted(set(text)).index(character) for character in part]


@settings(deadline=None)
@given(SOME_TEXT)
def test_decoding_the_codes_of_a_text_gives_the_text(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    codes = vocabulary.encode(text)
    assert vocabulary.decode(codes) == text
    assert vocabulary.decode(codes.tolist()) == text


@settings(deadline=None)
@given(SOME_TEXT, st.data())
def test_encoding_the_text_of_some_codes_gives_the_codes(text: str, data) -> None:
    vocabulary = Vocabulary.of(text)
    codes = data.draw(st.lists(st.integers(0, len(vocabulary) - 1), max_size=30))
    assert vocabulary.encode(vocabulary.decode(codes)).tolist() == codes
    assert vocabulary.decode(codes) == "".join(vocabulary.characters[code] for code in codes)


def test_no_text_is_no_codes_and_no_codes_are_no_text() -> None:
    vocabulary = Vocabulary.of("abc")
    assert vocabulary.encode("").tolist() == []
    assert vocabulary.encode("").dtype == np.uint8
    assert vocabulary.decode([]) == ""
    assert vocabulary.decode(np.zeros(0, np.uint8)) == ""


@pytest.mark.parametrize(
    ("count", "dtype"),
    [
        (1, np.uint8),
        (255, np.uint8),
        (256, np.uint8),
        (257, np.uint16),
        (65_536, np.uint16),
        (65_537, np.uint32),
    ],
)
def test_codes_have_the_smallest_unsigned_type_that_holds_them_all(count: int, dtype: type) -> None:
    characters = run_of_characters(count)
    vocabulary = Vocabulary(characters)
    codes = vocabulary.encode(characters[::-1])
    assert vocabulary.dtype == dtype
    assert codes.dtype == dtype
    assert codes.tolist() == list(range(count))[::-1]
    assert vocabulary.decode(codes) == characters[::-1]


@settings(deadline=None)
@given(SOME_TEXT, ANY_TEXT)
def test_unknown_characters_are_each_named_once_and_sorted(text: str, other: str) -> None:
    vocabulary = Vocabulary.of(text)
    unknown = sorted({character for character in other if text.find(character) < 0}, key=ord)
    assert vocabulary.unknown(other) == "".join(unknown)
    if unknown:
        with pytest.raises(UnknownCharacterError) as caught:
            vocabulary.encode(other)
        assert caught.value.characters == "".join(unknown)
    else:
        assert vocabulary.decode(vocabulary.encode(other)) == other


@pytest.mark.parametrize("unknown", ["\0", "a", "c", "é", "\U0010ffff"])
def test_a_character_before_between_or_after_those_of_the_vocabulary_is_unknown(unknown: str) -> None:
    with pytest.raises(UnknownCharacterError, match=f"U\\+{ord(unknown):04X}") as caught:
        Vocabulary("bd").encode("b" + unknown + "d")
    assert caught.value.characters == unknown
    assert isinstance(caught.value, UsageError)


def test_the_message_shows_eight_unknown_characters_and_counts_the_others() -> None:
    with pytest.raises(UnknownCharacterError) as caught:
        Vocabulary("x").encode("jihgfedcba")
    assert caught.value.characters == "abcdefghij"
    message = str(caught.value)
    assert "'a' (U+0061)" in message
    assert "'h' (U+0068)" in message
    assert "'i'" not in message
    assert message.endswith(" and 2 more")


def test_the_message_shows_no_control_character_as_it_is() -> None:
    with pytest.raises(UnknownCharacterError) as caught:
        Vocabulary("x").encode("\x1b[2J\u202e")
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


@pytest.mark.parametrize("code", [3, 255, 2**40])
def test_a_code_that_is_not_below_the_number_of_characters_is_an_index_error(code: int) -> None:
    with pytest.raises(IndexError):
        Vocabulary("abc").decode([0, code])


@pytest.mark.parametrize("characters", ["", "ba", "aa", "abb", "acb", "\U0001f600a"])
def test_a_vocabulary_that_is_empty_or_unsorted_or_repeats_itself_is_refused(characters: str) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        Vocabulary(characters)


def test_the_vocabulary_of_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        Vocabulary.of("")


def test_vocabularies_are_equal_when_their_characters_are() -> None:
    assert Vocabulary("ab") == Vocabulary.of("bbaa")
    assert Vocabulary("ab") != Vocabulary("abc")


def test_a_vocabulary_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Vocabulary("ab").characters = "cd"  # type: ignore[misc]
