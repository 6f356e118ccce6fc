"""Which words of a text a network has learnt to write."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from charrnn_core.text.corpus import Corpus

SHORTEST_WORD = 3
"""Letters of the shortest word that counts: noise has as many of the shorter ones as a text."""

_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"


class Words:
    """The words of a text: runs of letters and the marks on them, with single apostrophes inside.

    Parameters
    ----------
    characters : iterable of str
        All characters that can occur.
    """

    def __init__(self, characters: Iterable[str]) -> None:
        # Of the text's own characters, for `re` has no class for letters with combining marks.
        letters = "".join(
            re.escape(character) for character in characters if unicodedata.category(character)[0] in "LM"
        )
        self._pattern = re.compile(f"[{letters}]+(?:[{_APOSTROPHES}][{letters}]+)*") if letters else None

    def of(self, text: str) -> list[str]:
        """Return the words of a text in their order."""
        return [] if self._pattern is None else self._pattern.findall(text)

    def of_sample(self, text: str) -> list[str]:
        """Return the words of a sample, without one that its end may have cut."""
        words = self.of(text)
        return words[:-1] if words and text.endswith(words[-1]) else words

    def count(self, blocks: Iterable[str]) -> Counter[str]:
        """Return how often each word occurs in a text that comes in blocks, cut anywhere."""
        counts: Counter[str] = Counter()
        rest = ""
        for block in blocks:
            text = rest + block
            end = _last_gap(text)
            counts.update(self.of(text[:end]))
            rest = text[end:]
        counts.update(self.of(rest))
        return counts


def _last_gap(text: str) -> int:
    """Return where the last white space is, at which no word is cut; the end where there is none."""
    for place in range(len(text) - 1, max(len(text) - 1000, -1), -1):
        if text[place].isspace():
            return place
    return len(text)


@dataclass(frozen=True)
class Found:
    """How many words of a sample are words of the text, whatever their case.

    Attributes
    ----------
    words : int
        All of the sample that count.
    known : int
        Those that the text has too.
    """

    words: int
    known: int

    @property
    def share(self) -> float | None:
        """The share of known words; None where there are no words."""
        return self.known / self.words if self.words else None


class CorpusWords:
    """The words of the text that a run was trained on.

    Parameters
    ----------
    corpus : Corpus
    progress : callable, optional
        Called with the number of characters that are done, after each block.

    Attributes
    ----------
    different : int
        Different words, whatever their case.
    """

    def __init__(self, corpus: Corpus, progress: Callable[[int], None] | None = None) -> None:
        self._words = Words(corpus.vocabulary.characters)
        self._counts = self._words.count(_told(corpus.text_blocks(), progress))
        self._folded: Counter[str] = Counter()
        for word, count in self._counts.items():
            self._folded[word.casefold()] += count
        self.different = len(self._folded)

    def found(self, sample: str) -> Found:
        """Return how many words of a sample are words of the text."""
        words = [word for word in self._words.of_sample(sample) if len(word) >= SHORTEST_WORD]
        return Found(len(words), sum(word.casefold() in self._folded for word in words))

    def names(self, samples: Iterable[str]) -> list[tuple[str, int]]:
        """Return the capitalised words of samples that are names in the text, the most frequent first.

        A name is a word of at least two letters and no apostrophe that the text writes with a capital more
        often than without.

        Returns
        -------
        list of (str, int)
            Names, as the text writes them most often, and how often each is in the samples; of those as
            frequent, in the order of the alphabet.
        """
        written = (word for sample in samples for word in self._words.of_sample(sample))
        counts = Counter(word.casefold() for word in written if self._is_name(word))
        usual: dict[str, str] = {}
        for word, _ in self._counts.most_common():
            usual.setdefault(word.casefold(), word)
        return sorted(((usual[word], count) for word, count in counts.items()), key=_most_frequent_first)

    def _is_name(self, word: str) -> bool:
        folded = self._folded[word.casefold()]
        is_plain = len(word) > 1 and not any(sign in word for sign in _APOSTROPHES)
        return is_plain and word[0].isupper() and folded > 2 * self._counts[word.lower()]


def _most_frequent_first(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _told(blocks: Iterable[str], progress: Callable[[int], None] | None) -> Iterator[str]:
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        if progress is not None:
            progress(done)
