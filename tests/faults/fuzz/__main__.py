"""Fuzz one reader for some minutes: `python -m tests.faults.fuzz checkpoint --minutes 20`.

Needs atheris (`pip install atheris`). What breaks a promise is written to `cases/READER/` of this directory,
where the suite finds it from then on; the inputs that reached something new are kept between runs in a
directory that `--inputs` names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

CASES = Path(__file__).with_name("cases")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
RESULTS = Path(__file__).with_name("results.json")
ROUND = 5.0
"""Minutes of one process: the fuzzer's own memory grows with what it has tried."""


def main() -> int:
    """Fuzz in processes that follow each other, until the time is over or one has found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("reader", choices=sorted(path.name for path in CASES.iterdir()))
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--inputs", type=Path, help="keep what reached something new here, and begin with it")
    parser.add_argument(
        "--record", action="store_true", help="have the table of reliability tell of this run"
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        fuzz(given.reader, given.minutes, given.inputs)
        return 0
    tried = found = 0
    with tempfile.TemporaryDirectory() as folder:
        inputs = given.inputs or Path(folder)
        for number in range(math.ceil(given.minutes / ROUND)):
            minutes = min(ROUND, given.minutes - number * ROUND)
            command = [sys.executable, "-m", "tests.faults.fuzz", given.reader, "--here"]
            more = ["--minutes", str(minutes), "--inputs", str(inputs)]
            with subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True) as process:
                assert process.stderr is not None
                for line in process.stderr:
                    sys.stderr.write(line)
                    if line.startswith("stat::number_of_executed_units:"):
                        tried += int(line.split()[1])
            found += process.returncode != 0
            if found:
                break
    print(f"{given.reader}: {tried:,} inputs, {found} findings")
    if given.record:
        told = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        told[given.reader] = {"minutes": given.minutes, "inputs": tried, "findings": found}
        RESULTS.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return min(found, 1)


def fuzz(reader: str, minutes: float, inputs: Path) -> None:
    """Fuzz in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["charrnn_core", "json"]):
        from tests.faults.fuzz.mutations import mutated
        from tests.faults.fuzz.targets import TARGETS, seeds

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        """Change data as JSON, or as bytes where it is none and every other time."""
        generator = random.Random(seed)
        changed = mutated(data, generator) if generator.random() < 0.6 else None
        mutation = changed if changed is not None else atheris.Mutate(data, most)
        return bytes(mutation[:most])

    inputs.mkdir(parents=True, exist_ok=True)
    for data in seeds(reader).values():
        (inputs / hashlib.sha1(data).hexdigest()).write_bytes(data)
    with tempfile.TemporaryDirectory(dir=MEMORY) as where:
        limits = [
            f"-max_total_time={60 * minutes:.0f}",
            "-timeout=10",
            "-max_len=20000",
            "-rss_limit_mb=8192",
        ]
        told = [f"-artifact_prefix={CASES / reader}/", "-print_final_stats=1"]
        target = TARGETS[reader]
        arguments = [sys.argv[0], *limits, *told, str(inputs)]
        atheris.Setup(arguments, lambda data: target(data, Path(where)), custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
