"""Checks of the backward pass against derivatives that do not use it, and of training against float64.

Two methods only call the network's own forward and backward, in float64 or complex128 whatever the type of
training, and compare unclipped gradients:

- `central`, the assignment's: (L(theta + s) - L(theta - s)) / 2s. The two losses are rounded, so with the
  best step, about 1e-5, an entry is known to about 1e-10 absolute, and a small one to a few digits only.
- `complex-step`: Im L(theta + i s) / s. Nothing is subtracted, so a step of 1e-20 costs no digits, and
  agreement reaches 1e-13.

Two more look at the engine that trains; see `training`:

- `training`: gradients of an engine like the run's, in its type, after several updates, against `reference`.
- `loop`: five updates in float64 against a plain loop.

The first two move one entry at a time, or all entries of a parameter along a random direction of +1 and -1: a
single number in which every entry has a part.

References
----------
Squire, Trapp: Using complex variables to estimate derivatives of real functions, SIAM Review 40 (1998).
"""
