#!/usr/bin/env python3
"""The project's own textbook loop in NumPy: the obvious implementation, and 1.0 of every ratio."""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from charrnn_core.rnn import textbook
from charrnn_core.rnn.parameters import initial_parameters
from charrnn_core.text.corpus import read_corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--hidden", type=int, default=100)
    options = parser.parse_args()
    text = read_corpus(options.corpus)
    parameters = initial_parameters(
        options.hidden, len(text.vocabulary), np.float64, seed=0, scheme="normal", standard_deviation=0.01
    )
    arrays = {name: np.ascontiguousarray(array) for name, array in parameters.arrays().items()}
    codes = text.codes.tolist()
    began = time.perf_counter()
    losses = textbook.train(arrays, codes, updates=options.updates)
    seconds = time.perf_counter() - began
    smooth = losses[0]
    for loss in losses:
        smooth = 0.999 * smooth + 0.001 * loss
    print(json.dumps({"updates_per_s": options.updates / seconds, "smooth_loss": smooth}))


if __name__ == "__main__":
    main()
