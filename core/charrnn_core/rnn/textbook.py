"""The network as one writes it from the equations: the obvious implementation that the fast one must equal.

A column vector a time step, one-hot inputs, a dictionary of states, nothing reused. It is the other half of
the tests, the baseline of `core/benchmarks`, and the place to read first.
"""

from __future__ import annotations

import numpy as np

from charrnn_core.rnn.parameters import Floats


def loss_and_gradients(
    parameters: dict[str, Floats], inputs: list[int], targets: list[int], h_prev: Floats
) -> tuple[float, dict[str, Floats], Floats]:
    """Return loss, gradients and last h of a window of one stream.

    Parameters
    ----------
    parameters : dict
        U (m, K), W (m, m), V (K, m), b (m,), c (K,).
    inputs, targets : list of int
        T codes each.
    h_prev : array of shape (m,)
        h_0.

    Returns
    -------
    loss : float
        Nats, summed over the window.
    gradients : dict
        Of that loss, unclipped, with the shapes of the parameters.
    h : array of shape (m,)
        h_T.
    """
    U, W, V = parameters["U"], parameters["W"], parameters["V"]
    b, c = parameters["b"][:, None], parameters["c"][:, None]
    K = len(c)
    x, h, p = {}, {-1: h_prev[:, None]}, {}
    loss = 0.0
    for t, (code, target) in enumerate(zip(inputs, targets, strict=True)):
        x[t] = np.zeros((K, 1))
        x[t][code] = 1
        h[t] = np.tanh(W @ h[t - 1] + U @ x[t] + b)
        o = V @ h[t] + c
        e = np.exp(o - o.max())
        p[t] = e / e.sum()
        loss -= float(np.log(p[t][target, 0]))
    dU, dW, dV, db, dc = (np.zeros_like(theta) for theta in (U, W, V, b, c))
    dh_next = np.zeros_like(b)
    for t in reversed(range(len(inputs))):
        do = p[t].copy()
        do[targets[t]] -= 1
        dV += do @ h[t].T
        dc += do
        dh = V.T @ do + dh_next
        da = (1 - h[t] ** 2) * dh
        db += da
        dU += da @ x[t].T
        dW += da @ h[t - 1].T
        dh_next = W.T @ da
    gradients = {"U": dU, "W": dW, "V": dV, "b": db[:, 0], "c": dc[:, 0]}
    return loss, gradients, h[len(inputs) - 1][:, 0]


def train(
    parameters: dict[str, Floats],
    codes: list[int],
    *,
    updates: int,
    seq_length: int = 25,
    learning_rate: float = 0.1,
    clip: float = 5.0,
) -> list[float]:
    """Train the parameters in place with AdaGrad and return the loss of each update.

    Windows follow each other; at the end of the text training starts again at its beginning with h = 0.
    """
    memory = {name: np.zeros_like(theta) for name, theta in parameters.items()}
    position, h, losses = 0, np.zeros_like(parameters["b"]), []
    for _ in range(updates):
        if position + seq_length + 1 > len(codes):
            position, h = 0, np.zeros_like(h)
        inputs = codes[position : position + seq_length]
        targets = codes[position + 1 : position + seq_length + 1]
        loss, gradients, h = loss_and_gradients(parameters, inputs, targets, h)
        for name, theta in parameters.items():
            g = np.clip(gradients[name], -clip, clip)
            memory[name] += g * g
            theta -= learning_rate * g / np.sqrt(memory[name] + 1e-8)
        losses.append(loss)
        position += seq_length
    return losses
