"""Fuzz one reader for some minutes: `python -m tests.faults.fuzz checkpoint --minutes 20`.

Needs atheris (`pip install atheris`). What breaks a promise is written to `cases/READER/` of this directory,
where the suite finds it from then on; the inputs that reached something new are kept between runs in a
directory that `--inputs` names.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["charrnn_core", "json"]):
    from tests.faults.fuzz.targets import TARGETS, seeds
from tests.faults.fuzz.mutations import mutated

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Change data as JSON, or as bytes where it is none and every other time."""
    generator = random.Random(seed)
    changed = mutated(data, generator) if generator.random() < 0.6 else None
    mutation = changed if changed is not None else atheris.Mutate(data, most)
    return bytes(mutation[:most])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("reader", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--inputs", type=Path, help="keep what reached something new here, and begin with it")
    given = parser.parse_args()
    cases = Path(__file__).with_name("cases") / given.reader
    target = TARGETS[given.reader]
    with tempfile.TemporaryDirectory() as inputs, tempfile.TemporaryDirectory(dir=MEMORY) as where:
        inputs = given.inputs or Path(inputs)
        inputs.mkdir(parents=True, exist_ok=True)
        for data in seeds(given.reader).values():
            (inputs / hashlib.sha1(data).hexdigest()).write_bytes(data)
        options = [f"-max_total_time={60 * given.minutes:.0f}", f"-artifact_prefix={cases}/", "-timeout=10"]
        more = ["-max_len=20000", "-rss_limit_mb=4096", "-print_final_stats=1"]
        arguments = [sys.argv[0], *options, *more, str(inputs)]
        atheris.Setup(arguments, lambda data: target(data, Path(where)), custom_mutator=mutate)
        atheris.Fuzz()


main()
