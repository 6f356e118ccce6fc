"""The fixed network and text of the gradient check: of any sizes, well-conditioned, and rich in rare cases.

They do not depend on a run's seed, weights or text, so that a network that is chaotic, saturated or diverged
does not keep its engine from being checked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from charrnn_core.rnn.gradcheck.pieces import Pieces, blocks
from charrnn_core.rnn.optimizers import OptimizerSettings
from charrnn_core.rnn.parameters import Floats, Parameters
from charrnn_core.text.vocabulary import Codes

_SATURATION = 30.0  # a bias with which h is 1 to the last digit, in either type
_NORMAL = 8  # cost of a random number
_FREQUENT = 0.55  # share of the most frequent character, which makes runs of it
_REPEATED = 0.15  # share of other characters that repeat the one before


def fixed_parameters(
    hidden: int, characters: int, dtype: np.dtype[np.floating] | type[np.floating]
) -> Pieces[Parameters]:
    """Return weights of which every eighth unit is saturated, and with a recurrent gain of 0.8; in pieces."""
    m, K = hidden, characters
    generator = np.random.default_rng(np.random.SeedSequence((m, K)))
    parameters = Parameters(m, K, dtype)
    parameters.U[...] = 0.5 * generator.standard_normal((m, K))
    yield _NORMAL * m * K
    for rows in blocks(m, _NORMAL * m):
        drawn = generator.standard_normal((rows.stop - rows.start, m))
        parameters.W[rows] = 0.8 * m**-0.5 * drawn
        yield _NORMAL * drawn.size
    parameters.V[...] = m**-0.5 * generator.standard_normal((K, m))
    parameters.b[...] = 0.3 * generator.standard_normal(m)
    saturate(parameters.b)
    parameters.c[...] = 0.5 * generator.standard_normal(K)
    yield _NORMAL * m * K
    return parameters


def saturate(b: Floats) -> None:
    """Change the biases of every eighth unit so that its h is 1 or -1 to the last digit."""
    b[3::16] += _SATURATION
    b[11::16] -= _SATURATION


def fixed_codes(characters: int, seq_length: int, batch_size: int, windows: int) -> Codes:
    """Return the codes of a text with so many windows for each stream.

    More than half of it is one character, which therefore stands in runs, and more than 100 times in a window
    of 200; others stand twice in a row; and what is left goes through the vocabulary in random orders.
    """
    K, length = characters, batch_size * (windows * seq_length + 1)
    generator = np.random.default_rng(np.random.SeedSequence((K, length)))
    orders = np.concatenate([generator.permutation(K) for _ in range(-(-length // K))])[:length]
    chance = generator.random(length)
    codes = np.where(chance < _FREQUENT, generator.integers(K), 0)
    others = np.flatnonzero(chance >= _FREQUENT)
    codes[others] = orders[: len(others)]
    repeats = np.flatnonzero((chance >= _FREQUENT) & (chance < _FREQUENT + _REPEATED))
    repeats = repeats[repeats > 0]
    codes[repeats] = codes[repeats - 1]
    return codes.astype(np.uint16 if K <= 1 << 16 else np.uint32)


def fixed_optimizer(optimizer: OptimizerSettings, hidden: int) -> OptimizerSettings:
    """Return an optimizer of the same kind whose steps are small enough to keep the network as it is.

    It clips where the run's does, at a limit that is really met.
    """
    return replace(
        optimizer,
        learning_rate=min(0.01, 0.2 / hidden),
        epsilon=1e-8,
        clip=None if optimizer.clip is None else 0.05,
    )
