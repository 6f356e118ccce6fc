#!/usr/bin/env python3
"""The same training in JAX with everything under jit: windows, gradients, AdaGrad, many updates a call."""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--seq-length", type=int, default=25)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", options.dtype == "float64")
    text = Path(options.corpus).read_text(encoding="utf-8")
    characters = sorted(set(text))
    code_of = {character: code for code, character in enumerate(characters)}
    codes = np.array([code_of[character] for character in text], np.int32)
    K, m, T, B = len(characters), options.hidden, options.seq_length, options.batch_size
    part = len(codes) // B
    streams = jnp.asarray(codes[: part * B].reshape(B, part).T)
    generator = np.random.default_rng(0)
    shapes = {"U": (K, m), "W": (m, m), "V": (m, K), "b": (m,), "c": (K,)}
    theta = {
        name: jnp.asarray(generator.standard_normal(shape) * (0.01 if len(shape) == 2 else 0), options.dtype)
        for name, shape in shapes.items()
    }
    memory = jax.tree.map(jnp.zeros_like, theta)
    per_epoch = (part - 1) // T

    def loss_of(theta, x, y, h):  # type: ignore[no-untyped-def]
        inputs = theta["U"][x] + theta["b"]

        def step(h, a):  # type: ignore[no-untyped-def]
            h = jnp.tanh(a + h @ theta["W"])
            return h, h

        last, hidden = jax.lax.scan(step, h, inputs)
        o = hidden @ theta["V"] + theta["c"]
        wanted = jnp.take_along_axis(jax.nn.log_softmax(o), y[..., None], axis=-1)
        return -wanted.sum() / B, last

    def update(state, n):  # type: ignore[no-untyped-def]
        theta, memory, h, smooth = state
        position = n % per_epoch * T
        window = jax.lax.dynamic_slice(streams, (position, 0), (T + 1, B))
        h = jnp.where(position == 0, jnp.zeros_like(h), h)
        (loss, h), gradient = jax.value_and_grad(loss_of, has_aux=True)(theta, window[:-1], window[1:], h)
        gradient = jax.tree.map(lambda g: jnp.clip(g, -5, 5), gradient)
        memory = jax.tree.map(lambda s, g: s + g * g, memory, gradient)
        theta = jax.tree.map(lambda w, s, g: w - 0.1 * g * jax.lax.rsqrt(s + 1e-8), theta, memory, gradient)
        return (theta, memory, h, 0.999 * smooth + 0.001 * loss), None

    @functools.partial(jax.jit, static_argnums=2, donate_argnums=0)
    def advance(state, first, count):  # type: ignore[no-untyped-def]
        return jax.lax.scan(update, state, first + jnp.arange(count))[0]

    at_once = max(1, options.updates // 20)
    state = (theta, memory, jnp.zeros((B, m), options.dtype), jnp.asarray(T * math.log(K), options.dtype))
    state = jax.block_until_ready(advance(state, 0, at_once))
    began = time.perf_counter()
    for turn in range(1, 21):
        state = advance(state, turn * at_once, at_once)
    jax.block_until_ready(state)
    seconds = time.perf_counter() - began
    print(json.dumps({"updates_per_s": 20 * at_once / seconds, "smooth_loss": float(state[3])}))


if __name__ == "__main__":
    main()
