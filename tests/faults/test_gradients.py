"""The default check passes the engines as they are, and no engine that trains wrongly."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl

from charrnn_core.rnn.threads import available_cores
from charrnn_core.text.corpus import Corpus, corpus_of
from charrnn_core.training.settings import Settings
from charrnn_core.training.trainer import Trainer
from tests.faults import ledger
from tests.faults.careless import AND, VARIABLE, Careless, sabotages
from tests.faults.sabotages.gradients import CHECK

pytestmark = pytest.mark.fault("gradient")

HERE = Path(__file__).parent

# Settings that reach what is rare: products of more than 128 and 256 rows, T > 100, K > 256, B > 4 at m =
# 512, characters that occur more than 100 times in a window, odd numbers in a row, other threads.
CASES: dict[str, dict[str, Any]] = {
    "small": {"hidden": 141, "seq_length": 8, "batch_size": 3},
    "double": {"hidden": 21, "seq_length": 8, "batch_size": 3, "dtype": "float64", "optimizer": "rmsprop"},
    "long": {"hidden": 13, "seq_length": 121, "batch_size": 3, "preset": "dd2424-2026"},
    "wide": {"hidden": 512, "seq_length": 9, "batch_size": 31},
    "threads": {"hidden": 40, "seq_length": 8, "batch_size": 3, "threads": 2},
}
NAMES = [f"{engine} {case}" for engine in ("numpy", "numba") for case in CASES]
NAMES.remove("numpy threads")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let NumPy's products use one thread: tests run side by side."""
    with threadpoolctl.threadpool_limits(1, "blas"):
        yield


def corpus(characters: int) -> Corpus:
    """Return a text with so many characters, of which some are frequent."""
    generator = np.random.default_rng(characters)
    shares = generator.dirichlet(np.full(characters, 0.5))
    codes = np.concatenate([np.arange(characters), generator.choice(characters, 9000, p=shares)])
    return corpus_of("".join(chr(0x100 + code) for code in codes))


def rows_of(name: str) -> list[dict[str, Any]]:
    """Return the rows of the default check in one of the cases, at update 2."""
    engine, _, case = name.partition(" ")
    chosen = {"preset": "dd2424-2019", **CASES[case]}
    settings = Settings.of(chosen.pop("preset"), engine=engine, updates=2, sample_every=None, **chosen)
    trainer = Trainer(settings, corpus(301 if case == "long" else 14))
    trainer.engine.begin()
    trainer.engine.advance(0, 2)
    trainer.update = 2
    return [row.to_json() for row in trainer.check()]


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("name", NAMES)
def test_the_default_check_passes_the_engines_as_they_are(name: str) -> None:
    if name.endswith("threads") and available_cores() < 2:
        pytest.skip("there is a single core")
    rows = rows_of(name)
    assert not [row for row in rows if not row["passed"]]
    compared = {(row["method"], row["window"]) for row in rows if row["note"] is None}
    assert {("training", "fixed"), ("loop", "fixed"), ("complex-step", "repeats")} <= compared
    assert {row["dtype"] for row in rows if row["method"] == "training"} == {
        CASES[name.partition(" ")[2]].get("dtype", "float32")
    }


def place_of(sabotage: Careless) -> str:
    """Return where a fault is: in "numpy", in "compiled" code, or in the Python "around" that code."""
    if not any(".compiled." in target for target in sabotage.targets):
        return "numpy"
    return "around" if all(".compiled.engine:" in target for target in sabotage.targets) else "compiled"


def planted(place: str) -> list[str]:
    """Return the names of the sabotages in a place that the default check has to find."""
    return [
        sabotage.name
        for sabotage in sabotages().values()
        if CHECK in sabotage.tests and place_of(sabotage) == place
    ]


def is_caught(names: list[str]) -> bool:
    return any(not row["passed"] for name in names for row in rows_of(name))


def plant(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage: Careless = sabotages()[name]
    for module in sabotage.modules:
        for owner, attribute, careless in sabotage.replacements(importlib.import_module(module)):
            monkeypatch.setattr(owner, attribute, careless)


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("name", planted("numpy"))
def test_the_default_check_finds_every_fault_in_numpy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(name, monkeypatch)
    assert is_caught([name for name in NAMES if name.startswith("numpy")])


@pytest.mark.parametrize("name", planted("around"))
def test_the_default_check_finds_every_fault_around_compiled_code(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(name, monkeypatch)
    assert is_caught([name for name in NAMES if name.startswith("numba")])


_SCRIPT = """
import json
from charrnn_core.rnn.threads import limit_blas_threads
from tests.faults.test_gradients import NAMES, is_caught
limit_blas_threads(1)
print(json.dumps(is_caught([name for name in NAMES if name.startswith("numba")])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", planted("compiled"))
def test_the_default_check_finds_every_fault_in_compiled_code(
    name: str, thorough: bool, tmp_path: Path
) -> None:
    if not thorough and name != "compiled wrong in single precision":
        pytest.skip("each is compiled for half a minute: --thorough")
    if "threads" in name and available_cores() < 2:
        pytest.skip("there is a single core")
    project = HERE.parent.parent
    search = [str(HERE / "hook"), str(project), str(project / "core")]
    # Compiled code that is kept on disk is found by the source, which is as it was.
    planted = AND.join(filter(None, (os.environ.get(VARIABLE), name)))
    extra = {VARIABLE: planted, "PYTHONPATH": os.pathsep.join(search), "NUMBA_CACHE_DIR": str(tmp_path)}
    finished = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=project, env={**os.environ, **extra}, capture_output=True,
        text=True, timeout=600, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) is True
    ledger.injected()
