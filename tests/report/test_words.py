"""Which words a network has learnt: what counts as a word, as one of the text, and as a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.text.corpus import corpus_of
from charrnn_tui.report.words import SHORTEST_WORD, CorpusWords, Words


def words_of(text: str) -> list[str]:
    return Words(set(text)).of(text)


def corpus_words(text: str) -> CorpusWords:
    return CorpusWords(corpus_of(text))


# -- what a word is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat, the-dog; 3 cats2go_now.", ["The", "cat", "the", "dog", "cats", "go", "now"]),
        ("don't 'tis dogs' rock''n", ["don't", "tis", "dogs", "rock", "n"]),
        ("it\u2019s o'clock\u2019s", ["it\u2019s", "o'clock\u2019s"]),
        ("cafe\u0301 nai\u0308ve", ["cafe\u0301", "nai\u0308ve"]),  # combining marks
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # vowel signs and viramas
        ("\u0301abc a\u0301\u0308b", ["abc", "a\u0301\u0308b"]),  # no word begins with a mark
        ("\u06a9\u062a\u0627\u0628\u200c\u0647\u0627", ["\u06a9\u062a\u0627\u0628\u200c\u0647\u0627"]),
        ("Ünïcøde Война λόγος", ["Ünïcøde", "Война", "λόγος"]),
        ("123 -- '' \u0301", []),
    ],
)  # fmt: skip
def test_a_word_is_letters_with_their_marks_and_single_apostrophes_inside(
    text: str, words: list[str]
) -> None:
    assert words_of(text) == words


def test_characters_that_the_text_has_not_are_in_no_word() -> None:
    assert Words("abc").of("abxc") == ["ab", "c"]


def test_of_a_sample_the_last_word_may_be_cut_and_does_not_count() -> None:
    words = Words("abcdef .")
    assert words.of_sample("abc de f") == ["abc", "de"]
    assert words.of_sample("abc de f.") == ["abc", "de", "f"]
    assert words.of_sample("abc ab ") == ["abc", "ab"]
    assert words.of_sample("") == []


@given(
    text=st.text(st.sampled_from("abZ'\u2019\u0301\u200c .\n"), max_size=40),
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
def test_words_are_counted_the_same_wherever_blocks_cut_them(text: str, sizes: list[int]) -> None:
    words = Words("abZ'\u2019\u0301\u200c .\n")
    blocks, at = [], 0
    while at < len(text):
        size = sizes[len(blocks) % len(sizes)]
        blocks.append(text[at : at + size])
        at += size
    whole = words.of(text)
    assert words.count(blocks) == {word: whole.count(word) for word in whole}
    assert words.count(text) == words.count([text])  # blocks of one character


def test_words_are_counted_the_same_in_blocks_of_every_size() -> None:
    text = "Cafe\u0301s, don't 'tis the\u0308\u0301n क\u094d\u200dष it\u2019s \u0301x dogs' rock''n\u0301roll"
    words = Words(set(text))
    whole = {word: words.of(text).count(word) for word in words.of(text)}
    for size in range(1, len(text) + 1):
        assert words.count(text[at : at + size] for at in range(0, len(text), size)) == whole


def test_a_text_without_gaps_is_one_word_over_all_blocks() -> None:
    assert Words("ab").count(["ab", "ba", "a"]) == {"abbaa": 1}


# -- which words are the text's ----------------------------------------------------------------------------


def test_a_word_is_known_whatever_its_case() -> None:
    words = corpus_words("The CAT sat. The cat sat? STRASSE Straße MH\n")
    assert words.different == 5  # the, cat, sat, strasse, mh
    found = words.found("tHE Cat that SAT.")
    assert (found.words, found.known, found.share) == (4, 3, 0.75)
    assert words.found("strasse.").known == 1
    assert words.found("the ca").words == 1  # the last one may have been cut


def test_words_that_are_too_short_do_not_count() -> None:
    assert SHORTEST_WORD == 3
    words = corpus_words("a an the sat\n")
    found = words.found("a an an the hen ")
    assert (found.words, found.known) == (2, 1)
    assert words.found("a an ").share is None


def test_progress_is_told_after_each_block() -> None:
    told: list[int] = []
    CorpusWords(corpus_of("abc " * 100_000), told.append)
    assert told == [1 << 18, 400_000]


# -- names -------------------------------------------------------------------------------------------------


def test_a_name_is_what_the_text_writes_with_a_capital_more_often_than_without() -> None:
    text = "Ada Ada will Will Will will. Rose Rose rose. Bo Bo O'Hara O'Hara The the the Iris iris\n"
    words = corpus_words(text)
    # Will as often as will, iris as often as Iris: no names; Bo too short; an apostrophe.
    assert words.names(["Ada Will Rose Bo O'Hara The Iris. "]) == [("Ada", 1), ("Rose", 1)]


def test_a_name_that_a_sample_writes_small_does_not_count() -> None:
    words = corpus_words("Ada Ada met Rose Rose.\n")
    assert words.names(["ada Ada aDa Rose met "]) == [("Ada", 1), ("Rose", 1)]
    assert words.names(["ada rose "]) == []


def test_a_capitalised_word_that_the_text_has_not_is_no_name() -> None:
    assert corpus_words("Ada met Rose.\n").names(["Oda Dam Ada "]) == [("Ada", 1)]


def test_names_are_written_as_the_text_writes_them_most_often() -> None:
    words = corpus_words("Ada said. ADA: hello. ADA: hello. Rose Rose ROSE.\n")
    assert words.names(["Ada ADA ROSE "]) == [("ADA", 2), ("Rose", 1)]


def test_names_stand_by_frequency_and_then_by_the_alphabet() -> None:
    words = corpus_words("Zoe Zoe Zoe Ada Bob Cyd.\n")
    assert words.names(["Zoe Cyd Bob ", "Cyd Zoe Ada Cyd "]) == [
        ("Cyd", 3),
        ("Zoe", 2),
        ("Ada", 1),
        ("Bob", 1),
    ]


# -- scripts without spaces --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "are_separated"),
    [
        ("The cat sat on the mat.", True),
        ("Кошка сидела на ковре.", True),
        ("고양이가 매트 위에 앉았다.", True),  # Korean has spaces
        ("القطة جلست على الحصيرة.", True),
        ("猫坐在垫子上。狗也坐在垫子上。", False),
        ("ねこがマットのうえにすわった。", False),
        ("カタカナ", False),
        ("แมวนั่งบนเสื่อ", False),
        ("ແມວນັ່ງ", False),
        ("ကြောင်", False),
        ("ឆ្មាអង្គុយ", False),
        ("\U00020000\U00020001", False),
        ("The word 猫 means cat.", True),  # most letters are of a script with spaces
        ("猫坐在垫子上狗也坐在垫子上 a cat", False),
        ("abcd 猫坐在垫", True),  # half of them
        ("... 123", True),
    ],
)  # fmt: skip
def test_whether_a_text_has_spaces_between_its_words(text: str, are_separated: bool) -> None:
    assert corpus_words(text + "\n").are_separated is are_separated


def test_letters_and_not_words_decide_whether_words_are_separated() -> None:
    assert not corpus_words("a b c d 猫坐在垫子上\n").are_separated
    assert not corpus_words("abc " + "猫坐 " * 4).are_separated  # of each word as often as it occurs
