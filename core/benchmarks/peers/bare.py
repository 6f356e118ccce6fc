#!/usr/bin/env python3
"""An engine's bare rate: updates by `advance` alone, without events, samples and checkpoints."""

from __future__ import annotations

import argparse
import json
import time

from charrnn_core.text.corpus import read_corpus
from charrnn_core.training.settings import Settings
from charrnn_core.training.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--engine", default="numpy")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--seq-length", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    options = vars(parser.parse_args())
    corpus, updates = read_corpus(options.pop("corpus")), options.pop("updates")
    engine = Trainer(Settings.of(**options), corpus).engine
    engine.prepare()
    engine.begin()
    warm = max(1, updates // 20)
    engine.advance(0, warm)
    began = time.perf_counter()
    done = 0
    while done < updates:  # as a trainer does: about a twentieth of a second at a time
        count = min(max(1, updates // 50), updates - done)
        engine.advance(warm + done, count)
        done += count
    seconds = time.perf_counter() - began
    print(json.dumps({"updates_per_s": updates / seconds, "smooth_loss": engine.smooth_loss}))


if __name__ == "__main__":
    main()
