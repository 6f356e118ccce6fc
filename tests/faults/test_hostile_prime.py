"""Primes and options of `sample` that make no sense, and samples without end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings
from tests.faults.ledger import injected, waited
from tests.faults.promises import EVIL, MARKUP, AtOnce, Outcome, assert_harmless, assert_one_line
from tests.program import PATIENCE, PROGRAM, TEXT, Finished, charrnn, environment, most_memory

pytestmark = pytest.mark.fault("prime")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run that was trained in it, and files to prime it with."""
    where = tmp_path_factory.mktemp("trained")
    settings = Settings.of(hidden=8, seq_length=5, updates=50, sample_every=None)
    start(settings, corpus_of(TEXT, "book"), runs=where / "runs", name="mine").run(lambda item: None)
    (where / "latin").write_bytes(b"the \xe9")
    (where / "long").write_text(TEXT * 330, encoding="utf-8")  # a megabyte
    (where / "empty").write_bytes(b"")
    (where / "unknown").write_text("Æther", encoding="utf-8")
    os.mkfifo(where / "pipe")
    return where


# What is refused, with words of the refusal.
REFUSED: dict[str, tuple[list[str | bytes], list[str]]] = {
    "unknown characters": (["--prime", "Æther"], ["'Æ' (U+00C6)", "--unknown"]),
    "escape sequences": (["--prime", EVIL], ["U+001B"]),
    "markup": (["--prime", MARKUP], ["'['"]),
    "NUL in a file": (["--prime-file", "/dev/zero"], []),
    "not UTF-8": (["--prime", b"the \xff"], []),
    "a file that is not UTF-8": (["--prime-file", "latin"], ["byte 4"]),
    "unknown in a file": (["--prime-file", "unknown"], ["'Æ'"]),
    "a file that is missing": (["--prime-file", "none"], ["none"]),
    "a pipe": (["--prime-file", "pipe"], ["pipe"]),
    "a directory": (["--prime-file", "runs"], ["runs"]),
    "two primes": (["--prime", "a", "--prime-file", "long"], ["--prime"]),
    "temperature below 0": (["-t", "-1"], ["--temperature -1"]),
    "temperature nan": (["-t", "nan"], ["--temperature nan"]),
    "temperature inf": (["-t", "inf"], ["--temperature inf"]),
    "temperature 1e300": (["-t", "1e300"], ["--temperature 1e300"]),
    "temperature of words": (["-t", "hot"], ["hot"]),
    "length below 0": (["-n", "-1"], ["--length"]),
    "length nan": (["-n", "nan"], ["--length"]),
    "length 1e20": (["-n", "1e20"], ["--length"]),
    "length of 5,000 digits": (["-n", "9" * 5000], ["--length"]),
    "top-k 0": (["--top-k", "0"], ["--top-k"]),
    "top-k 1e9": (["--top-k", "1e9"], ["--top-k"]),
    "top-p 0": (["--top-p", "0"], ["--top-p"]),
    "top-p above 1": (["--top-p", "1.5"], ["--top-p"]),
    "top-p nan": (["--top-p", "nan"], ["--top-p"]),
    "count 0": (["--count", "0"], ["--count"]),
    "seed below 0": (["--seed", "-1"], ["--seed"]),
    "a checkpoint that is none": (["--checkpoint", "worst"], ["worst"]),
    "raw and safe": (["--raw", "--safe"], ["--raw"]),
    "JSON without end": (["--json", "-n", "inf"], ["--json"]),
    "another word": (["more"], ["more"]),
    "a score of nothing": (["--score", "none"], ["none"]),
    "a score of a device": (["--score", "/dev/zero"], ["/dev/zero"]),
    "a score of what is empty": (["--score", "empty"], []),
}


@pytest.fixture(scope="module")
def refused(at_once: AtOnce, trained: Path) -> dict[str, Outcome]:
    def sample(kind: str, where: Path) -> Finished:
        return charrnn(trained, "sample", "mine", *REFUSED[kind][0])

    return at_once(REFUSED, sample)


@pytest.mark.slow
@pytest.mark.parametrize("kind", REFUSED)
def test_what_makes_no_sense_is_refused_in_a_sentence(refused: dict[str, Outcome], kind: str) -> None:
    assert_one_line(refused[kind][1].result(), 2, *REFUSED[kind][1])


# What is odd, and written all the same: with the number of characters that come.
ODD: dict[str, tuple[list[str | bytes], int]] = {
    "length 0": (["-n", "0"], 0),
    "temperature 0": (["-n", "300", "-t", "0"], 300),
    "temperature 1e-3": (["-n", "300", "-t", "1e-3"], 300),
    "temperature 5e-324": (["-n", "300", "-t", "5e-324"], 300),
    "temperature 100": (["-n", "300", "-t", "100"], 300),
    "top-p 1e-300": (["-n", "300", "--top-p", "1e-300"], 300),
    "an empty prime": (["-n", "300", "--prime", ""], 300),
    "an empty file": (["-n", "300", "--prime-file", "empty"], 300),
    "a megabyte": (["-n", "300", "--prime-file", "long"], 300),
    "unknown characters left out": (["-n", "300", "--prime", "Æ the Œ", "--unknown", "skip"], 300),
    "nothing but unknown characters left out": (["-n", "300", "--prime", EVIL[:1], "--unknown", "skip"], 300),
}


@pytest.fixture(scope="module")
def odd(at_once: AtOnce, trained: Path) -> dict[str, Outcome]:
    return at_once(ODD, lambda kind, where: charrnn(trained, "sample", "mine", *ODD[kind][0]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_is_written(odd: dict[str, Outcome], kind: str) -> None:
    finished = odd[kind][1].result()
    assert_harmless(finished.err)
    assert finished.code == 0, finished.err
    assert len(finished.out) == ODD[kind][1]
    assert set(finished.out) <= set(TEXT)


@pytest.mark.slow
def test_a_prime_of_a_megabyte_takes_a_few(trained: Path) -> None:
    short = most_memory(trained, "sample", "mine", "-n", "300", "--prime-file", "empty")
    long = most_memory(trained, "sample", "mine", "-n", "300", "--prime-file", "long")
    assert (short[0], long[0]) == (0, 0)
    assert long[1] < short[1] + (16 << 20)


def peak(process: subprocess.Popen[bytes]) -> int:
    """Return the most memory that a process had until now, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s*(\d+)", status)
    assert found is not None
    return int(found[1]) << 10


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks /proc how much memory a process has")
@pytest.mark.parametrize("length", ["1000000000000", "inf"])
def test_a_sample_without_end_takes_no_more_memory(trained: Path, thorough: bool, length: str) -> None:
    command = [*PROGRAM, "sample", "mine", "-n", length]
    with subprocess.Popen(command, cwd=trained, env=environment(), stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.read(100_000)
            before = peak(process)
            rest = 5_000_000 if thorough else 300_000
            while rest > 0:
                rest -= len(process.stdout.read(65536))
            injected()
            assert peak(process) < before + (2 << 20)
            process.stdout.close()
            began = time.monotonic()
            assert process.wait(PATIENCE) in (128 + signal.SIGPIPE, -signal.SIGPIPE)
            waited(time.monotonic() - began)
        finally:
            process.kill()
