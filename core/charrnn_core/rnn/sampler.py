"""Text from a network, one character at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from charrnn_core.rnn.parameters import Floats, Parameters


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

    Parameters
    ----------
    parameters : Parameters
        Read, never changed.
    generator : numpy Generator
        One number is drawn a character.
    temperature, top_k, top_p
        As in `log_probabilities`.

    Attributes
    ----------
    h : array of shape (m,)
        After the last character fed; zeros before the first.
    """

    def __init__(
        self,
        parameters: Parameters,
        generator: np.random.Generator,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> None:
        self._parameters = parameters
        self._generator = generator
        self._temperature, self._top_k, self._top_p = temperature, top_k, top_p
        self.h: Floats = np.zeros(parameters.hidden, parameters.dtype)

    def feed(self, codes: Iterable[int]) -> None:
        """Let the network read characters."""
        parameters = self._parameters
        for code in codes:
            self.h = np.tanh(parameters.W.dot(self.h) + parameters.U[:, code] + parameters.b)

    def codes(self, length: int) -> Iterator[int]:
        """Yield the codes of `length` characters, each fed to the network before the next is drawn."""
        parameters = self._parameters
        for _ in range(length):
            log_p = log_probabilities(
                parameters.V.dot(self.h) + parameters.c,
                temperature=self._temperature,
                top_k=self._top_k,
                top_p=self._top_p,
            )
            reached = np.exp(log_p).cumsum()
            # Scaled by the last sum, so that rounding can never leave the draw beyond the end.
            code = int(np.searchsorted(reached, self._generator.random() * reached[-1], side="right"))
            self.feed((code,))
            yield code
