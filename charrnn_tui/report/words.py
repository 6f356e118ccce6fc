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


_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, the scripts of Japanese, and Chinese characters."""


class Words:
    """The words of a text: runs of letters and the marks on them, with single apostrophes inside.

    Parameters
    ----------
    characters : iterable of str
        All characters that can occur.
    """

    def __init__(self, characters: Iterable[str]) -> None:
        # Of the text's own characters, for `re` has no class for letters with combining marks.
        letters = "".join(re.escape(each) for each in characters if unicodedata.category(each)[0] == "L")
        marks = "".join(re.escape(each) for each in characters if unicodedata.category(each)[0] == "M")
        part = f"[{letters}][{letters}{marks}\u200c\u200d]*"
        self._pattern = re.compile(f"{part}(?:[{_APOSTROPHES}]{part})*") if letters else None
        self._inside = {*letters, *marks, *_APOSTROPHES, "\u200c", "\u200d"}

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
            end = self._last_gap(text)
            counts.update(self.of(text[:end]))
            rest = text[end:]
        counts.update(self.of(rest))
        return counts

    def _last_gap(self, text: str) -> int:
        """Return after which character a text can be cut without cutting a word; 0 where none is such."""
        for end in range(len(text), 0, -1):
            if text[end - 1] not in self._inside:
                return end
        return 0


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
    are_separated : bool
        Whether the text has spaces between its words; most of the letters of one without are of such scripts.
    """

    def __init__(self, corpus: Corpus, progress: Callable[[int], None] | None = None) -> None:
        self._words = Words(corpus.vocabulary.characters)
        self._counts = self._words.count(_told(corpus.text_blocks(), progress))
        self._folded: Counter[str] = Counter()
        for word, count in self._counts.items():
            self._folded[word.casefold()] += count
        self.different = len(self._folded)
        letters = sum(len(word) * count for word, count in self._counts.items())
        unseparated = sum(
            len(word) * count for word, count in self._counts.items() if _WITHOUT_SPACES.search(word)
        )
        self.are_separated = 2 * unseparated <= letters

    def found(self, sample: str) -> Found:
        """Return how many words of a sample are words of the text."""
        words = [word for word in self._words.of_sample(sample) if len(word) >= SHORTEST_WORD]
        return Found(len(words), sum(word.casefold() in self._folded for word in words))

    def names(self, samples: Iterable[str]) -> list[tuple[str, int]]:
        """Return the capitalised words of samples that are names in the text, the most frequent first.

        A name is a word that counts and has no apostrophe, and that the text writes with a capital more often
        than without.

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
        is_plain = len(word) >= SHORTEST_WORD and not any(sign in word for sign in _APOSTROPHES)
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
