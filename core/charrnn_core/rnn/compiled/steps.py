"""The optimizers' steps on a range of parameters; the equations are those of `charrnn_core.rnn.optimizers`.

A gradient is clipped by comparisons, which leave NaN as it is.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from charrnn_core.rnn.compiled.machine import at, compiled, stay_apart

ADAGRAD, RMSPROP, ADAM = range(3)


class Step(NamedTuple):
    """What a step depends on besides gradient and memory, in the type of the parameters.

    Attributes
    ----------
    optimizer : int
        ADAGRAD, RMSPROP or ADAM.
    epsilon : real
    limit : real
        Of clipping; infinite for none.
    mean_decay, mean_share : real
        Adam's beta1 and 1 - beta1.
    square_decay, square_share : real
        Adam's beta2 and 1 - beta2, or RMSProp's rho and 1 - rho.
    """

    optimizer: int
    epsilon: Any
    limit: Any
    mean_decay: Any
    mean_share: Any
    square_decay: Any
    square_share: Any


@compiled()
def take_step(step: Step, memory: Any, rate: Any, correction: Any, first: int, last: int) -> None:
    """Change theta[first:last] and what the optimizer remembers of it.

    Parameters
    ----------
    step : Step
    memory : Memory
        Pointers.
    rate, correction : real
        eta, and anything; for Adam at update n: eta / (1 - beta1^n), and 1 / (1 - beta2^n).
    first, last : int
    """
    stay_apart()
    count = last - first
    theta, gradient = at(memory.theta, first), at(memory.gradient, first)
    squares, mean = at(memory.squares, first), at(memory.mean, first)
    limit, epsilon = step.limit, step.epsilon
    if step.optimizer == ADAGRAD:
        for i in range(count):
            g = gradient[i]
            g = limit if g > limit else g
            g = -limit if g < -limit else g
            squares[i] += g * g
            theta[i] -= rate * g / math.sqrt(squares[i] + epsilon)
    elif step.optimizer == RMSPROP:
        for i in range(count):
            g = gradient[i]
            g = limit if g > limit else g
            g = -limit if g < -limit else g
            squares[i] = step.square_decay * squares[i] + step.square_share * (g * g)
            theta[i] -= rate * g / (math.sqrt(squares[i]) + epsilon)
    else:
        for i in range(count):
            g = gradient[i]
            g = limit if g > limit else g
            g = -limit if g < -limit else g
            mean[i] = step.mean_decay * mean[i] + step.mean_share * g
            squares[i] = step.square_decay * squares[i] + step.square_share * (g * g)
            theta[i] -= rate * mean[i] / (math.sqrt(correction * squares[i]) + epsilon)
