"""Right networks of all kinds, on which no check may fail."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from charrnn_core.rnn.engine import Engine
from charrnn_core.rnn.engines import engine_class
from charrnn_core.rnn.optimizers import OptimizerSettings
from charrnn_core.rnn.parameters import Parameters
from charrnn_core.text.windows import Windows

KINDS = ("initial", "trained", "saturated", "chaotic", "sure", "huge", "diverged", "vanishing")


@dataclass(frozen=True)
class RightNetwork:
    """An engine, how many updates it has done, and what kind of network it trains."""

    engine: Engine
    update: int
    kind: str
    described: str


def right_network(number: int, *, most: int = 40_000_000) -> RightNetwork:
    """Return a network that follows from a number; a forward pass costs at most so many multiplications."""
    generator = np.random.default_rng(number)
    while True:
        m, T, B, K = (
            _log_uniform(generator, low, high) for low, high in ((1, 512), (1, 200), (1, 32), (2, 400))
        )
        if m * (m + K) * T * B <= most:
            break
    name, dtype = generator.choice(["numpy", "numba"]), np.dtype(generator.choice(["float32", "float64"]))
    optimizer = OptimizerSettings(
        generator.choice(["adagrad", "adam", "rmsprop"]).item(),
        float(generator.choice([0.001, 0.01, 0.1])),
        clip=generator.choice([None, 5.0, 0.01]),
    )
    kind = KINDS[number % len(KINDS)]
    parameters = _parameters(kind, m, K, dtype, generator)
    codes = generator.choice(K, B * (12 * T + 1), p=generator.dirichlet(np.full(K, 0.3))).astype(np.uint16)
    if kind == "sure":
        codes[:] = np.arange(len(codes)) % K
    engine = engine_class(name.item())(
        parameters,
        optimizer,
        codes,
        Windows(len(codes), B, T),
        reduction=generator.choice(["sum", "mean"]).item(),
        threads=int(generator.choice([1, 2])) if name == "numba" else 1,
    )
    update = 0
    if np.isfinite(engine.begin().loss):
        wanted = {"trained": 60, "sure": 60}.get(kind, int(generator.integers(0, 4)))
        if m * (m + K) * T * B > 5_000_000:
            wanted = min(wanted, 5)
        update = len(engine.advance(0, wanted)) if wanted else 0
    described = f"{number}: {kind} {name} {dtype} m={m} K={K} T={T} B={B} {optimizer.name} at {update}"
    return RightNetwork(engine, update, kind, described)


def _log_uniform(generator: np.random.Generator, low: int, high: int) -> int:
    return int(math.exp(generator.uniform(math.log(low), math.log(high + 1))))


def _parameters(
    kind: str, m: int, K: int, dtype: np.dtype[np.floating], generator: np.random.Generator
) -> Parameters:
    parameters = Parameters(m, K, np.float64)
    parameters.buffer[:] = generator.standard_normal(parameters.buffer.size)
    parameters.W *= m**-0.5
    parameters.V *= m**-0.5
    match kind:
        case "initial":
            parameters.buffer *= 0.01
        case "saturated":
            parameters.U *= float(generator.choice([5.0, 30.0]))
            parameters.b *= 10
        case "chaotic":
            parameters.W *= float(generator.choice([1.5, 2.0, 4.0, 6.0]))
        case "sure":
            parameters.V *= 20
            parameters.c *= 20
        case "huge":
            parameters.buffer *= 10.0 ** float(generator.choice([3, 10, 25, 37]))
        case "diverged":
            parameters.buffer[generator.integers(parameters.buffer.size)] = generator.choice([np.nan, np.inf])
        case "vanishing":
            parameters.buffer *= 10.0 ** float(generator.choice([-10, -20, -37]))
    with np.errstate(all="ignore"):
        return parameters.astype(dtype)
