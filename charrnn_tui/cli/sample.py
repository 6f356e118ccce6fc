"""`charrnn sample`: text from a trained network, in a shell pipe."""

from __future__ import annotations

import json as json_module
import math
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_core.errors import CheckpointError, RunDirectoryError, SettingsError, UsageError
from charrnn_tui.cli import completion
from charrnn_tui.cli.options import Runs
from charrnn_tui.terminal import harmless, harmless_line, put, say

if TYPE_CHECKING:
    from charrnn_core.rnn.sampler import Sampler
    from charrnn_core.runs.checkpoint import Checkpoint
    from charrnn_core.text.vocabulary import Vocabulary

SHORT_HELP = "Let a trained network write: text on stdout."
HELP = (
    "Example: charrnn sample --prime 'Once upon' --temperature 0.7 | head -5\n\n"
    "Let a trained network write. The text goes to stdout as it is made, and nothing else does. Standard "
    "input is read only where --prime or --prime-file is -, and for --score -."
)

_PIPE_CHARACTERS = 8192
_MEMORY_OF_A_BYTE = 32  # bytes that a byte of a prime or a scored text may need: 20 were measured
_TERMINAL_SECONDS = 0.02  # a terminal gets what there is this often: at once, to the eye


def command(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            autocompletion=completion.runs,
            help="A run's directory, its name or the beginning of it, or a checkpoint file (default: the "
            "newest run).",
            show_default=False,
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint", metavar="best|last|previous", help="Which state of the run (default best)."
        ),
    ] = None,
    length: Annotated[
        str, typer.Option("--length", "-n", metavar="N", help="Characters to write; inf writes for ever.")
    ] = "1000",
    temperature: Annotated[
        str, typer.Option("--temperature", "-t", metavar="X", help="0 takes the likeliest character always.")
    ] = "1",
    top_k: Annotated[
        str | None, typer.Option("--top-k", metavar="N", help="Draw from the N likeliest characters only.")
    ] = None,
    top_p: Annotated[
        str | None,
        typer.Option(
            "--top-p", metavar="X", help="Draw from the likeliest that together reach this probability."
        ),
    ] = None,
    prime: Annotated[
        str | None,
        typer.Option(
            "--prime", "-p", metavar="TEXT", help="What the network reads first; - is standard input."
        ),
    ] = None,
    prime_file: Annotated[
        str | None, typer.Option("--prime-file", metavar="FILE", help="A file that it reads first.")
    ] = None,
    unknown: Annotated[
        str,
        typer.Option("--unknown", metavar="error|skip", help="What to do with characters it does not know."),
    ] = "error",
    until: Annotated[
        str | None, typer.Option("--until", metavar="TEXT", help="Stop after this was written.")
    ] = None,
    count: Annotated[str, typer.Option("--count", metavar="N", help="How many samples.")] = "1",
    separator: Annotated[
        str,
        typer.Option("--separator", metavar="TEXT", help="What stands between samples.", show_default=False),
    ] = "\n\n",
    seed: Annotated[
        str | None, typer.Option("--seed", metavar="N", help="Of the random numbers (default: a fresh one).")
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            "--score", metavar="FILE", help="Write nothing; say how well the network predicts this text."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a sample.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Control characters as they are, onto a terminal too.")
    ] = False,
    safe: Annotated[
        bool, typer.Option("--safe", help="Control characters as pictures, into a pipe too.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say on stderr which state and seed it is.")
    ] = False,
    runs: Runs = "runs",
) -> None:
    """Write samples to stdout."""
    if sys.stdout is not None:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads has had enough: end as cat does
    if raw and safe:
        raise UsageError("--raw and --safe exclude each other")
    if unknown not in ("error", "skip"):
        raise SettingsError(f"--unknown {unknown} is not possible; allowed is error, skip")
    number = _whole("--count", count, 1, 10**9)
    limit = None if length.strip().lower() == "inf" else _whole("--length", length, 0, 10**15)
    settings: dict[str, Any] = {
        "temperature": _real("--temperature", temperature, 0.0, 100.0),
        "top_k": None if top_k is None else _whole("--top-k", top_k, 1, 10**7),
        "top_p": None if top_p is None else _real("--top-p", top_p, 0.0, 1.0, above=True),
    }
    if json and limit is None and until is None:
        raise UsageError("--json needs a --length that ends, or --until")
    first_seed = secrets.randbits(32) if seed is None else _whole("--seed", seed, 0, 2**63 - 1)
    found = _find(run, checkpoint, Path(runs))
    if score is not None:
        _score(found, score, unknown, json=json)
        return
    if found.snapshot.update == 0:
        say("charrnn: nothing is learnt yet in this state, which is from before update 1\n", sys.stderr)
    start = _prime(found.vocabulary, prime, prime_file, unknown)
    if verbose:
        say(
            f"{harmless_line(found.metadata['corpus']['name'])} · {found.kind} · update "
            f"{found.snapshot.update:,} · smooth loss {found.snapshot.smooth_loss:.2f} · seed {first_seed}\n",
            sys.stderr,
        )
    write = _Writer(safe=safe or (not raw and sys.stdout is not None and sys.stdout.isatty()))
    for sample in range(number):
        sampler = _sampler(found, first_seed, sample, start, settings)
        size = 1 if until or write.terminal else _PIPE_CHARACTERS
        pieces = _until(_pieces(sampler, found.vocabulary, limit, size), until)
        if json:
            text = "".join(pieces)
            facts = {
                "text": text,
                "log_probability": sampler.log_probability,
                "characters": len(text),
                "prime": start,
                **settings,
                "seed": first_seed,
                "sample": sample,
                "update": found.snapshot.update,
                "state_sha256": found.state_sha256,
            }
            put(json_module.dumps(facts) + "\n")
            continue
        if sample:
            write(separator)
        for piece in pieces:
            write(piece)
    write.end()


def _sampler(found: Checkpoint, seed: int, sample: int, start: str, settings: dict[str, Any]) -> Sampler:
    from charrnn_core.rnn.sampler import Sampler, numbered_generator

    state, generator = found.snapshot, numbered_generator(seed, sample)
    return Sampler.primed(start, found.vocabulary, state.parameters, generator, state.h[0], **settings)


def _pieces(sampler: Sampler, vocabulary: Vocabulary, limit: int | None, size: int) -> Iterator[str]:
    """Yield the text in pieces of this many characters."""
    codes = sampler.codes(limit)
    character = vocabulary.characters.__getitem__
    while piece := "".join(map(character, islice(codes, size))):
        yield piece


def _until(characters: Iterator[str], until: str | None) -> Iterator[str]:
    """Yield characters until a text has been among them; it is the last that is yielded."""
    if not until:
        yield from characters
        return
    tail = ""
    for character in characters:
        yield character
        tail = (tail + character)[-len(until) :]
        if tail == until:
            return


class _Writer:
    """Writes text to stdout: in blocks into a pipe, as it comes onto a terminal."""

    def __init__(self, *, safe: bool) -> None:
        self._safe = safe
        self._waiting: list[str] = []
        self.terminal = sys.stdout is not None and sys.stdout.isatty()
        self._next = 0.0
        self._last = "\n"

    def __call__(self, text: str) -> None:
        self._waiting.append(text)
        if self.terminal:
            if time.monotonic() >= self._next:
                self._write()
                self._next = time.monotonic() + _TERMINAL_SECONDS
        elif len(text) > 1 or len(self._waiting) >= _PIPE_CHARACTERS:
            self._write()

    def end(self) -> None:
        """Write what waits, and let the shell's prompt stand on a line of its own."""
        self._write()
        if self.terminal and self._last != "\n":
            put("\n")

    def _write(self) -> None:
        text = "".join(self._waiting)
        self._waiting.clear()
        if text:
            self._last = text[-1]
            put(harmless(text) if self._safe else text, raw=True)


def _find(text: str | None, kind: str | None, runs: Path) -> Checkpoint:
    """Return the checkpoint that is meant; of a run the best, or the last where there is no best yet."""
    from charrnn_core.runs.checkpoint import KINDS, no_checkpoint, read_checkpoint
    from charrnn_core.runs.directory import find_run, newest_runs

    if kind is not None and kind not in KINDS:
        raise SettingsError(f"--checkpoint {kind} is not possible; allowed is {', '.join(KINDS)}")
    if text is not None and Path(text).is_file():
        if kind is not None:
            raise UsageError(f"{text} is a checkpoint itself; --checkpoint goes with a run")
        return read_checkpoint(Path(text))
    directories = [find_run(text, runs)] if text is not None else newest_runs(runs)
    problems: list[str] = []
    for directory in directories:
        try:
            missing = "" if directory.has_checkpoint else str(no_checkpoint(directory))
        except RunDirectoryError as error:
            missing = str(error)
        if missing:
            problems.append(missing)
            continue
        for name in [kind] if kind is not None else ["best", "last", "previous"]:
            try:
                found = read_checkpoint(directory.checkpoint_file(name))
            except CheckpointError as error:
                if directory.checkpoint_file(name).exists() or name != "best":
                    problems.append(str(error))
                continue
            for problem in problems:
                say(f"charrnn: {harmless_line(problem)}; taking {name} of {directory.name}\n", sys.stderr)
            return found
    if problems:
        raise CheckpointError("; ".join(problems))
    raise RunDirectoryError(f"there is no run under {runs} to sample from; charrnn train makes one")


def _prime(vocabulary: Vocabulary, prime: str | None, prime_file: str | None, unknown: str) -> str:
    if prime is not None and prime_file is not None:
        raise UsageError("--prime and --prime-file exclude each other")
    if prime == "-" or prime_file == "-":
        text = _read_text("-")
        if prime == "-":
            text = text.removesuffix("\n")  # as a shell does with what it reads from a command
    elif prime_file is not None:
        text = _read_text(prime_file)
    else:
        text = prime or ""
    return _known(vocabulary, text, unknown, "the prime")


def _read_text(source: str) -> str:
    """Return a text, normalised like one that is trained on, if it fits into a part of memory."""
    from charrnn_core.memory import installed_memory
    from charrnn_core.text.corpus import read_corpus
    from charrnn_core.text.source import Source

    path = Path(source)
    if source != "-" and path.is_file() and path.stat().st_size == 0:
        return ""
    found = Source("input", "standard input") if source == "-" else Source("file", source, (path,))
    return "".join(read_corpus(found, most=installed_memory() // _MEMORY_OF_A_BYTE).text_blocks())


def _known(vocabulary: Vocabulary, text: str, unknown: str, what: str) -> str:
    from charrnn_core.errors import UnknownCharacterError

    strange = vocabulary.unknown(text)
    if strange and unknown == "error":
        raise UsageError(f"{what} has {UnknownCharacterError(strange)}; --unknown skip leaves them out")
    return text.translate(dict.fromkeys(map(ord, strange))) if strange else text


def _score(found: Checkpoint, source: str, unknown: str, *, json: bool) -> None:
    """Say how well the network predicts a text: its first character is not scored, h is zeros before it."""
    from charrnn_core.rnn.scoring import Scorer

    text = _known(found.vocabulary, _read_text(source), unknown, "the text")
    if len(text) < 2:
        raise UsageError("a text of at least two characters can be scored")
    scorer = Scorer(found.snapshot.parameters, found.vocabulary.encode(text))
    scorer.advance(len(text))
    nats = scorer.loss / scorer.scored
    if not math.isfinite(nats):
        raise CheckpointError("the loss of this text is not a finite number")
    facts = {
        "nats_per_character": nats,
        "bits_per_character": nats / math.log(2),
        "perplexity": math.exp(nats) if nats < 700 else None,
        "characters_scored": scorer.scored,
    }
    if json:
        put(json_module.dumps(facts) + "\n")
        return
    put(
        f"{nats:.6f} nats a character\n{nats / math.log(2):.6f} bits a character\n"
        f"{math.exp(min(nats, 700)):.4f} perplexity\n{scorer.scored:,} characters scored\n"
    )


def _whole(option: str, text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        also = ", or inf" if option == "--length" else ""
        raise SettingsError(
            f"{option} {text[:40]} is not possible; allowed is a whole number from {low:,} to {high:,}{also}"
        )
    return value


def _real(option: str, text: str, low: float, high: float, *, above: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (low < value <= high if above else low <= value <= high):
        words = (
            f"a number above {low:g} and at most {high:g}" if above else f"a number from {low:g} to {high:g}"
        )
        raise SettingsError(f"{option} {text[:40]} is not possible; allowed is {words}")
    return value
