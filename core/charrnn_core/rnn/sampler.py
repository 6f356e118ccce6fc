"""Text from a network, one character at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np

from charrnn_core.errors import DivergedError
from charrnn_core.rnn.parameters import Floats, Parameters
from charrnn_core.text.vocabulary import Vocabulary

_NUMBERS_AT_ONCE = 256
_SMALLEST_SUM = 1e-25  # of exponentials that are still exact in float32
_TINY = 1e-3  # temperatures below this leave nothing to float32


def log_probabilities(
    outputs: Floats, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Floats:
    """Return ln of the distribution that the next character is drawn from, float64 of shape (K,).

    Parameters
    ----------
    outputs : array of shape (K,)
        o, in any range: the maximum is subtracted first.
    temperature : float
        Divides o. 0 puts everything on the largest (the first of equals).
    top_k : int, optional
        Keep the k largest only, at least 1.
    top_p : float, optional
        Keep the smallest set of the largest whose probabilities reach p, in (0, 1], at least one character
        (nucleus sampling); after `top_k`.

    Examples
    --------
    >>> np.exp(log_probabilities(np.log([0.5, 0.3, 0.2]), top_p=0.6)).round(3).tolist()
    [0.625, 0.375, 0.0]
    """
    o = np.asarray(outputs, np.float64)
    if temperature == 0:
        kept = np.zeros(len(o), bool)
        kept[o.argmax()] = True
        return np.where(kept, 0.0, -np.inf)
    log_p: Floats = o - o.max()
    with np.errstate(over="ignore"):  # -inf is what a tiny temperature makes of all but the largest
        log_p /= temperature
    log_p -= np.log(np.exp(log_p).sum())
    if top_k is not None and top_k < len(o):
        order = np.argsort(-log_p, kind="stable")
        log_p[order[top_k:]] = -np.inf
        log_p -= np.log(np.exp(log_p).sum())
    if top_p is not None and top_p < 1:
        order = np.argsort(-log_p, kind="stable")
        reached = np.cumsum(np.exp(log_p[order]))
        log_p[order[np.searchsorted(reached, top_p) + 1 :]] = -np.inf
        log_p -= np.log(np.exp(log_p).sum())
    return log_p


class Sampler:
    """Draws characters from a network; what it draws depends on the parameters, the prime and its generator.

    A text has read something before it begins: `Sampler.primed`.

    Parameters
    ----------
    parameters : Parameters
        Never changed, and not looked at again if they change.
    generator : numpy Generator
        One number is used a character.
    h : array of shape (m,), optional
        What it begins with; zeros by default. A network that has never begun with zeros while it was trained
        may write nothing but noise from there: what training carries is what it knows.
    temperature, top_k, top_p
        As in `log_probabilities`.

    Attributes
    ----------
    h : array of shape (m,)
        After the last character fed.
    log_probability : float
        ln of the probability of all characters drawn so far, in the distributions that they were drawn from.

    Raises
    ------
    ValueError
        `temperature`, `top_k` or `top_p` is out of its range.
    DivergedError
        The parameters are so large that the network's outputs may overflow.
    """

    def __init__(
        self,
        parameters: Parameters,
        generator: np.random.Generator,
        h: Floats | None = None,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> None:
        if not 0 <= temperature < math.inf:
            raise ValueError(f"a temperature is a number from 0, not {temperature}")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k is a whole number from 1, not {top_k}")
        if top_p is not None and not 0 < top_p <= 1:
            raise ValueError(f"top_p is a number above 0 and at most 1, not {top_p}")
        if parameters.may_overflow():
            raise DivergedError("the network has diverged: its weights are too large to write with")
        m, K = parameters.hidden, parameters.characters
        self._input_rows: Floats = parameters.U.T + parameters.b  # row k: U x + b for character k
        self._W, self._V, self._c = parameters.W.copy(), parameters.V.copy(), parameters.c.copy()
        self._generator = generator
        # Differences of outputs by their type's rounding are then far below those that matter.
        rounding = float(np.finfo(parameters.dtype).eps)
        self._is_exact = parameters.largest_output() * rounding < max(temperature, _TINY)
        self._temperature, self._top_k, self._top_p = temperature, top_k, top_p
        self._a: Floats = np.empty(m, parameters.dtype)
        self._o: Floats = np.empty(K, parameters.dtype)
        self._reached = np.empty(K, np.float64)
        self.h: Floats = np.zeros(m, parameters.dtype) if h is None else h.copy()
        self.log_probability = 0.0

    @classmethod
    def primed(
        cls,
        prime: str,
        vocabulary: Vocabulary,
        parameters: Parameters,
        generator: np.random.Generator,
        h: Floats | None = None,
        **how: Any,
    ) -> Self:
        """Return one that has read a prime, or `opening` where the prime is empty.

        Raises
        ------
        UnknownCharacterError
            The prime holds characters that the vocabulary does not have.
        """
        codes = vocabulary.encode(prime).tolist() if prime else opening(vocabulary)
        sampler = cls(parameters, generator, h, **how)
        sampler.feed(codes)
        return sampler

    def feed(self, codes: Iterable[int]) -> None:
        """Let the network read characters."""
        a, h = self._a, self.h.copy()
        for code in codes:
            self._W.dot(h, a)
            np.add(a, self._input_rows[code], a)
            np.tanh(a, h)
        self.h = h

    def distribution(self) -> Floats:
        """Return ln of the probabilities of the next character, float64 of shape (K,)."""
        return log_probabilities(
            self._V.dot(self.h) + self._c,
            temperature=self._temperature,
            top_k=self._top_k,
            top_p=self._top_p,
        )

    def codes(self, length: int | None) -> Iterator[int]:
        """Yield the codes of `length` characters, or for ever; each is fed before the next is drawn."""
        if self._temperature > _TINY and self._top_k is None and self._top_p is None and self._is_exact:
            yield from self._from_softmax(length)
        else:
            yield from self._from_distribution(length)

    def _numbers(self, length: int | None) -> Iterator[float]:
        """Yield as many random numbers from [0, 1)."""
        drawn = 0
        while length is None or drawn < length:
            count = _NUMBERS_AT_ONCE if length is None else min(_NUMBERS_AT_ONCE, length - drawn)
            yield from self._generator.random(count).tolist()
            drawn += count

    def _from_softmax(self, length: int | None) -> Iterator[int]:
        """Draw by temperature alone, in a loop with nothing in it that can be outside."""
        # |h| <= 1 bounds every output. With the largest bound subtracted beforehand no exponential can
        # overflow, and where everything underflows instead the maximum is subtracted after all.
        bound = float((np.abs(self._V).sum(1) + self._c).max())
        V, c = self._V / self._temperature, (self._c - bound) / self._temperature
        W, rows = self._W, self._input_rows
        a, o, h, reached = self._a, self._o, self.h.copy(), self._reached
        add, exp, tanh, log = np.add, np.exp, np.tanh, math.log
        accumulate, search, total = np.add.accumulate, reached.searchsorted, reached.item
        self.h = h
        for number in self._numbers(length):
            V.dot(h, o)
            add(o, c, o)
            exp(o, o)
            accumulate(o, 0, np.float64, reached)
            whole = total(-1)
            if not whole > _SMALLEST_SUM:
                V.dot(h, o)
                add(o, c, o)
                np.subtract(o, o.max(), o)
                exp(o, o)
                accumulate(o, 0, np.float64, reached)
                whole = total(-1)
            # Scaled by the last sum, so that rounding can never leave the draw beyond the end.
            code = int(search(number * whole, "right"))
            self.log_probability += log(o.item(code) / whole)
            W.dot(h, a)
            add(a, rows[code], a)
            tanh(a, h)
            yield code

    def _from_distribution(self, length: int | None) -> Iterator[int]:
        """Draw from `distribution`, whatever is cut from it."""
        for number in self._numbers(length):
            log_p = self.distribution()
            reached = np.exp(log_p).cumsum()
            code = int(np.searchsorted(reached, number * reached[-1], side="right"))
            self.log_probability += float(log_p[code])
            self.feed((code,))
            yield code


def opening(vocabulary: Vocabulary) -> list[int]:
    """Return what a network reads before it writes, where nobody gives it a prime: one newline.

    A text begins after a newline. A vocabulary without one gives its first character.
    """
    return [max(0, vocabulary.characters.find("\n"))]


def written(
    vocabulary: Vocabulary,
    parameters: Parameters,
    h: Floats | None = None,
    *,
    length: int = 1000,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    prime: str = "",
    seed: int = 0,
) -> str:
    """Return what a network writes: what `charrnn sample` writes with the same seed.

    Parameters
    ----------
    vocabulary : Vocabulary
    parameters : Parameters
    h : array of shape (m,), optional
        As of `Sampler`.
    length : int
        Characters.
    temperature, top_k, top_p
        As in `log_probabilities`.
    prime : str
        What it reads first; not part of what is returned.
    seed : int

    Raises
    ------
    UnknownCharacterError
        The prime holds characters that the vocabulary does not have.
    ValueError
        Another argument is out of its range.
    """
    if length < 0:
        raise ValueError(f"a length is a whole number from 0, not {length}")
    cut: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    generator = numbered_generator(seed, 0)
    sampler = Sampler.primed(prime, vocabulary, parameters, generator, h, **cut)
    return vocabulary.decode(list(sampler.codes(length)))


def numbered_generator(seed: int, number: int) -> np.random.Generator:
    """Return the random numbers of the n-th of several samples with one seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
