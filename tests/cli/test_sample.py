"""`charrnn sample` in a shell pipe."""

import json
import math
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from charrnn_core.rnn.sampler import Sampler, opening
from charrnn_core.rnn.scoring import Scorer
from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.events import Validated
from charrnn_core.training.settings import Settings

PROGRAM = [sys.executable, "-m", "charrnn_tui"]
TEXT = "the tide rises, the tide falls; ÿé the clock counts them both.\n" * 12
PATIENCE = 60


def settings(**given):
    values = {"hidden": 12, "seq_length": 6, "updates": 400, "sample_every": None}
    return Settings.of(**{**values, **given})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    start(settings(), corpus_of(TEXT, "tide"), runs=path, name="first").run(lambda item: None)
    start(settings(seed=1), corpus_of(TEXT, "tide"), runs=path, name="second").run(lambda item: None)
    return path


def sample(runs, *arguments, **options):
    options = {"capture_output": True, "timeout": PATIENCE, "stdin": subprocess.DEVNULL, **options}
    environment = {**os.environ, "CHARRNN_RUNS": str(runs), **options.pop("environment", {})}
    if "input" in options:
        del options["stdin"]
    return subprocess.run([*PROGRAM, "sample", *arguments], env=environment, **options)


def text_of(runs, *arguments, **options):
    done = sample(runs, *arguments, **options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return done.stdout.decode()


def refusal(runs, *arguments, code=2, **options):
    done = sample(runs, *arguments, **options)
    assert done.returncode == code
    assert done.stdout == b""
    message = done.stderr.decode()
    assert message.startswith("charrnn: ")
    assert message.count("\n") == 1
    return message


def test_stdout_has_the_text_and_nothing_else(runs):
    text = text_of(runs, "first", "--length", "321")
    assert len(text) == 321
    assert set(text) <= set(TEXT)


def test_the_text_is_the_one_that_the_sampler_draws(runs):
    found = read_checkpoint(runs / "first" / "checkpoints" / "best.safetensors")
    generator = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(0,)))
    snapshot = found.snapshot
    sampler = Sampler(snapshot.parameters, generator, snapshot.h[0], temperature=0.8)
    sampler.feed(opening(found.vocabulary))
    expected = found.vocabulary.decode(list(sampler.codes(50)))
    assert text_of(runs, "first", "-n", "50", "--seed", "5", "-t", "0.8") == expected


def test_the_default_is_the_best_state_of_the_newest_run(runs):
    said = sample(runs, "-n", "0", "-v").stderr.decode()
    assert "best" in said
    assert "seed" in said
    same = ["-n", "40", "--seed", "1"]
    assert text_of(runs, *same) == text_of(runs, "second", *same) != text_of(runs, "first", *same)
    assert text_of(runs, *same) == text_of(runs, *same, "--checkpoint", "best")
    assert text_of(runs, *same) == text_of(
        runs, str(runs / "second" / "checkpoints" / "best.safetensors"), *same
    )


def test_a_run_without_a_best_state_yet_gives_the_last(tmp_path):
    start(settings(updates=3), corpus_of(TEXT), runs=tmp_path, name="short").run(lambda item: None)
    assert len(text_of(tmp_path, "-n", "9")) == 9


def test_a_damaged_state_is_told_and_the_next_one_taken(runs, tmp_path):
    shutil.copytree(runs / "first", tmp_path / "first")
    best = tmp_path / "first" / "checkpoints" / "best.safetensors"
    best.write_bytes(best.read_bytes()[:-1])
    done = sample(tmp_path, "-n", "9")
    assert done.returncode == 0
    assert len(done.stdout.decode()) == 9
    assert b"best.safetensors" in done.stderr
    assert "best.safetensors" in refusal(tmp_path, "--checkpoint", "best", code=1)


def test_a_run_that_saved_nothing_says_so_and_the_newest_that_did_is_taken(tmp_path):
    start(settings(updates=8), corpus_of(TEXT, "tide"), runs=tmp_path, name="good").run(lambda item: None)
    shutil.copytree(tmp_path / "good", tmp_path / "unsaved", ignore=shutil.ignore_patterns("*.safetensors"))
    said = f"charrnn: {tmp_path / 'unsaved'} has no checkpoint: none was saved yet, or they were removed"
    assert refusal(tmp_path, "unsaved", code=1) == said + "\n"
    assert refusal(tmp_path, "unsaved", "--checkpoint", "best", code=1) == said + "\n"
    os.utime(tmp_path / "good", (1, 1))
    assert sample(tmp_path, "--length", "5").returncode == 0


def test_length_zero_is_nothing(runs):
    assert text_of(runs, "-n", "0") == ""


def test_fresh_seeds_differ_and_given_ones_do_not(runs):
    assert text_of(runs, "-n", "60") != text_of(runs, "-n", "60")
    assert text_of(runs, "-n", "60", "--seed", "3") == text_of(runs, "-n", "60", "--seed", "3")


def test_several_samples_differ_and_are_apart(runs):
    text = text_of(runs, "--count", "3", "-n", "30", "--separator", "|", "--seed", "2")
    parts = text.split("|")
    assert [len(part) for part in parts] == [30, 30, 30]
    assert len(set(parts)) == 3
    assert parts[0] == text_of(runs, "-n", "30", "--seed", "2")


def test_until_ends_the_text(runs):
    text = text_of(runs, "first", "-n", "inf", "--until", "th", "--seed", "4")
    assert text.endswith("th")
    assert text.count("th") == 1


def test_json_gives_text_settings_and_log_probability(runs):
    (line,) = text_of(runs, "first", "--json", "-n", "30", "--seed", "6", "-t", "0.5").splitlines()
    facts = json.loads(line)
    assert facts["text"] == text_of(runs, "first", "-n", "30", "--seed", "6", "-t", "0.5")
    assert facts["temperature"] == 0.5
    assert facts["seed"] == 6
    found = read_checkpoint(runs / "first" / "checkpoints" / "best.safetensors")
    snapshot = found.snapshot
    reader = Sampler(snapshot.parameters, np.random.default_rng(0), snapshot.h[0], temperature=0.5)
    reader.feed(opening(found.vocabulary))
    total = 0.0
    for code in found.vocabulary.encode(facts["text"]):
        total += reader.distribution()[code]
        reader.feed([code])
    assert facts["log_probability"] == pytest.approx(total, rel=1e-4)


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("cut", [["--top-k", "1"], ["--top-p", "1e-9"], ["--temperature", "0"]])
def test_the_sharpest_cuts_are_the_argmax(runs, cut):
    assert text_of(runs, "first", "-n", "40", *cut) == text_of(runs, "first", "-n", "40", "-t", "0")


@pytest.mark.slow
def test_a_prime_comes_from_option_file_or_standard_input(runs, tmp_path):
    path = tmp_path / "prime.txt"
    path.write_text("the cl", encoding="utf-8")
    common = ["first", "-n", "30", "--seed", "1"]
    expected = text_of(runs, *common, "--prime", "the cl")
    assert text_of(runs, *common, "--prime-file", str(path)) == expected
    assert text_of(runs, *common, "--prime", "-", input=b"the cl\n") == expected
    assert text_of(runs, *common, "--prime-file", "-", input=b"the cl") == expected
    assert text_of(runs, *common) != expected
    assert text_of(runs, *common, "--prime", "") == text_of(runs, *common)


def test_standard_input_is_left_alone(runs):
    read_end, write_end = os.pipe()
    os.write(write_end, b"mine")
    assert len(text_of(runs, "-n", "5", stdin=read_end)) == 5
    os.close(write_end)
    assert os.read(read_end, 10) == b"mine"
    os.close(read_end)


def test_unknown_characters_are_named_or_left_out(runs):
    message = refusal(runs, "first", "--prime", "the € ☃")
    assert "€" in message
    assert "U+2603" in message
    common = ["first", "-n", "30", "--seed", "1"]
    skipped = text_of(runs, *common, "--unknown", "skip", "--prime", "t€he")
    assert skipped == text_of(runs, *common, "--prime", "the")


def test_a_score_is_the_held_out_loss_of_training(tmp_path):
    text = corpus_of(TEXT, "tide")
    validated = []
    process = start(settings(held_out=0.25, validate_every=100), text, runs=tmp_path, name="held")
    process.run(lambda item: validated.append(item) if isinstance(item, Validated) else None)
    _, held_out = text.split(0.25)
    path = tmp_path / "held.txt"
    path.write_text(text.vocabulary.decode(held_out), encoding="utf-8")
    facts = json.loads(text_of(tmp_path, "held", "--checkpoint", "last", "--score", str(path), "--json"))
    assert facts["nats_per_character"] == pytest.approx(validated[-1].loss, rel=1e-6)
    assert facts["bits_per_character"] == pytest.approx(validated[-1].loss / math.log(2), rel=1e-6)
    assert facts["perplexity"] == pytest.approx(math.exp(validated[-1].loss), rel=1e-6)
    assert facts["characters_scored"] == len(held_out) - 1
    assert "bits a character" in text_of(tmp_path, "held", "--score", "-", input=path.read_bytes())
    found = read_checkpoint(tmp_path / "held" / "checkpoints" / "last.safetensors")
    scorer = Scorer(found.snapshot.parameters, held_out)
    scorer.advance(10**9)
    assert scorer.loss / scorer.scored == validated[-1].loss


def test_a_reader_that_has_enough_ends_it_silently(runs):
    program = " ".join(PROGRAM)
    shell = f"set -o pipefail; {program} sample first -n inf | head -c 1000 | wc -c"
    done = subprocess.run(
        ["bash", "-c", shell],
        env={**os.environ, "CHARRNN_RUNS": str(runs)},
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 128 + signal.SIGPIPE
    assert done.stdout.strip() == b"1000"
    assert done.stderr == b""


def test_a_full_device_is_a_sentence(runs):
    with Path("/dev/full").open("wb") as full:
        done = sample(runs, "-n", "100000", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"charrnn: cannot write to standard output: No space left on device\n"


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX"}])
def test_a_pipe_gets_utf_8_in_any_locale(runs, environment):
    expected = text_of(runs, "first", "-n", "200", "--seed", "1")
    assert not expected.isascii()
    assert text_of(runs, "first", "-n", "200", "--seed", "1", environment=environment) == expected


@pytest.mark.slow
def test_closed_streams_are_no_traceback(runs):
    program = " ".join(PROGRAM)
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        done = subprocess.run(
            ["bash", "-c", f"{program} sample first -n 20 {closed}"],
            env={**os.environ, "CHARRNN_RUNS": str(runs)},
            capture_output=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0
        assert b"Traceback" not in done.stderr


def hostile(tmp_path):
    text = "\x1b[31m\x1b]52;c;AA\x07 \u202e\u200b a\n" * 30
    start(settings(), corpus_of(text), runs=tmp_path, name="evil").run(lambda item: None)


def on_terminal(runs, *arguments):
    master, slave = pty.openpty()
    environment = {**os.environ, "CHARRNN_RUNS": str(runs)}
    with subprocess.Popen(
        [*PROGRAM, "sample", *arguments], stdout=slave, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=environment,
    ) as process:  # fmt: skip
        os.close(slave)
        seen = bytearray()
        while True:
            try:
                block = os.read(master, 65536)
            except OSError:  # Linux says EIO at the end
                break
            if not block:
                break
            seen += block
        assert process.wait(PATIENCE) == 0
    os.close(master)
    return seen.decode()


@pytest.mark.slow
def test_a_terminal_gets_harmless_text_and_a_pipe_the_real_one(tmp_path):
    hostile(tmp_path)
    common = ["evil", "-n", "400", "--seed", "1"]
    raw = text_of(tmp_path, *common)
    assert "\x1b" in raw
    shown = on_terminal(tmp_path, *common)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\u241b" in shown
    assert "\x1b" in on_terminal(tmp_path, *common, "--raw")
    assert "\x1b" not in text_of(tmp_path, *common, "--safe")


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "-1"], ["-n", "1e20"], ["-n", "nan"], ["-t", "-1"], ["-t", "nan"], ["-t", "inf"], ["-t", "x"],
        ["--top-k", "0"], ["--top-p", "0"], ["--top-p", "1.1"], ["--top-p", "nan"], ["--count", "0"],
        ["--seed", "-1"], ["--unknown", "maybe"], ["--checkpoint", "worst"], ["nope"], ["--raw", "--safe"],
        ["--json", "-n", "inf"], ["--prime", "a", "--prime-file", "b"], ["--prime-file", "nowhere"],
        ["--prime-file", "/"], ["--score", "nowhere"], ["--score", "/dev/zero"],
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_a_sentence(runs, arguments):
    refusal(runs, *arguments)


def test_a_prime_that_is_not_utf_8_names_the_place(runs, tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"the \xe9")
    assert "byte 4" in refusal(runs, "--prime-file", str(path))


def test_no_run_at_all_is_told(tmp_path):
    assert "charrnn train" in refusal(tmp_path)


def test_a_long_prime_is_read_whole(runs):
    prime = TEXT * 20
    text = text_of(runs, "first", "-n", "5", "--seed", "1", "--prime-file", "-", input=prime.encode())
    found = read_checkpoint(runs / "first" / "checkpoints" / "best.safetensors")
    generator = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(0,)))
    sampler = Sampler(found.snapshot.parameters, generator, found.snapshot.h[0])
    sampler.feed(found.vocabulary.encode(prime).tolist())
    assert text == found.vocabulary.decode(list(sampler.codes(5)))


def test_it_imports_neither_textual_nor_rich(runs):
    program = (
        "import sys\nfrom charrnn_tui.cli import run\n"
        "code = run(['sample', '-n', '5'])\n"
        "unwanted = {'textual', 'rich', 'pydantic', 'threadpoolctl'}\n"
        "print(*sorted(unwanted & set(sys.modules)), code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "CHARRNN_RUNS": str(runs)},
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.stderr.decode().split() == ["0"]
