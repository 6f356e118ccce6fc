#!/usr/bin/env python3
"""The figures of the gradient check: beside the study's, on all entries after training, and its time.

    python core/benchmarks/gradient_checks.py [TEXT] [--seeds 10]

Errors are maximum relative errors. The text is the bundled `tales` by default; one of about 80 different
characters is nearest to the study's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

from charrnn_core.rnn.gradcheck.comparisons import REFERENCE, STUDY, Comparison, comparisons
from charrnn_core.rnn.gradcheck.rows import CheckRow
from charrnn_core.rnn.threads import limit_blas_threads
from charrnn_core.text.corpus import Corpus, read_corpus
from charrnn_core.training.settings import PRESETS, Settings
from charrnn_core.training.trainer import Trainer


def rows_of(trainer: Trainer, asked: Sequence[Comparison] | None) -> list[CheckRow]:
    return [item for item in trainer.checking(asked) if isinstance(item, CheckRow)]


def beside_the_study(corpus: Corpus, seeds: int) -> None:
    print(f"reference conditions, K = {len(corpus.vocabulary)}, {seeds} seeds")
    central: dict[str, list[float]] = {name: [] for name in STUDY}
    complex_step: dict[str, list[float]] = {name: [] for name in STUDY}
    for seed in range(seeds):
        trainer = Trainer(Settings.of(seed=seed, dtype="float64"), corpus)
        for row in rows_of(trainer, [REFERENCE]):
            central[row.parameter].append(row.maximum_relative_error)
        for row in rows_of(trainer, comparisons("complex-step", REFERENCE.entries)):
            complex_step[row.parameter].append(row.maximum_relative_error)
    print("       study  median of central (range)       of the study  largest of complex step")
    for name, errors in central.items():
        median = statistics.median(errors)
        print(
            f"   {name}  {STUDY[name]:.2e}  {median:.2e} ({min(errors):.1e} to {max(errors):.1e})  "
            f"{median / STUDY[name]:6.2f}x  {max(complex_step[name]):.1e}"
        )


def after_training(corpus: Corpus, seeds: int) -> None:
    print("all entries by the complex step after 1,000 updates, h_0 random, floor 1e-8")
    for preset in PRESETS:
        for seed in range(seeds):
            settings = Settings.of(preset, seed=seed, dtype="float64", updates=1000, sample_every=None)
            trainer = Trainer(settings, corpus)
            for _ in trainer.run():
                pass
            began = time.perf_counter()
            rows = rows_of(trainer, comparisons("complex-step", h0="random", floor=1e-8))
            seconds = time.perf_counter() - began
            worst = max(rows, key=lambda row: row.maximum_relative_error)
            print(
                f"   {preset} seed {seed}: {worst.maximum_relative_error:.1e} ({worst.parameter}, where the "
                f"gradient is {abs(worst.worst['analytic']):.0e}); {seconds:.1f} s"
            )


def time_of_default(corpus: Corpus, rounds: int) -> None:
    trainer = Trainer(Settings.of(), corpus)
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        rows_of(trainer, None)
        seconds.append(time.perf_counter() - began)
    least, most = min(seconds), max(seconds)
    print(f"the default check takes {statistics.median(seconds):.3f} s ({least:.3f} to {most:.3f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("text", nargs="?", default="tales")
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    limit_blas_threads(1)
    corpus = read_corpus(arguments.text)
    beside_the_study(corpus, arguments.seeds)
    after_training(corpus, min(3, arguments.seeds))
    time_of_default(corpus, 20)


if __name__ == "__main__":
    main()
