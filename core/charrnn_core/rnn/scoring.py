"""How well a network predicts a given text."""

from __future__ import annotations

import numpy as np

from charrnn_core.rnn.network import Network
from charrnn_core.rnn.parameters import Parameters
from charrnn_core.text.vocabulary import Codes

SCORED_AT_ONCE = 256
"""Characters of one forward pass; the result does not depend on it beyond rounding."""


class Scorer:
    """Scores a text of one stream piece by piece: h is zeros before it, its first character is not scored.

    Parameters
    ----------
    parameters : Parameters
        Read, never changed.
    codes : array of shape (n,)
        The text, at least two characters.

    Attributes
    ----------
    scored : int
        Characters scored so far; n - 1 at the end.
    loss : float
        Their summed loss in nats.
    """

    def __init__(self, parameters: Parameters, codes: Codes) -> None:
        self._parameters = parameters
        self._codes = codes
        self._network = Network(parameters, min(SCORED_AT_ONCE, len(codes) - 1))
        self.scored = 0
        self.loss = 0.0

    @property
    def done(self) -> bool:
        """Whether the whole text is scored."""
        return self.scored == len(self._codes) - 1

    def advance(self, characters: int) -> None:
        """Score about this many more characters, whole pieces of `SCORED_AT_ONCE`."""
        end = min(len(self._codes) - 1, self.scored + characters)
        with np.errstate(all="ignore"):  # a diverged network has a loss of NaN, which is the answer
            while self.scored < end:
                piece = self._codes[self.scored : self.scored + SCORED_AT_ONCE + 1].astype(np.intp)
                network = self._network
                if len(piece) - 1 != len(network.H) - 1:
                    network = Network(self._parameters, len(piece) - 1)
                    network.H[0] = self._network.H[0]
                self.loss += network.forward(piece[:-1], piece[1:])
                self._network.H[0] = network.H[-1]
                self.scored += len(piece) - 1
