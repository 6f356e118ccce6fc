"""The network: parameters, forward and backward pass, optimizers, sampler, and the engine that trains it."""
