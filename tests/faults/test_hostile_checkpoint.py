"""Checkpoints that are damaged, foreign or made to do harm: refused with CheckpointError, and nothing else.

`golden/format-1.safetensors` is a real one: 401 updates on the 20 characters of `TEXT`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from charrnn_core.errors import CharRNNError, CheckpointError
from charrnn_core.runs.checkpoint import RunFacts, newest_checkpoint, read_checkpoint, save
from charrnn_core.runs.directory import list_runs
from charrnn_core.runs.json_text import to_json
from charrnn_core.runs.listing import RunSummary, summarize
from charrnn_core.runs.log import EventLog
from charrnn_core.runs.starting import resume
from charrnn_core.training.settings import FIELDS, Settings
from charrnn_core.training.state import Best, Bucket, bucket_width
from tests.faults.checkpoints import (
    GOLDEN,
    HEADER_END,
    SETTINGS,
    STATE,
    WHOLE,
    Arrays,
    Metadata,
    forged,
    golden_run,
    parts,
    sealed,
    sealed_again,
    signed_header,
)
from tests.faults.fuzz.mutations import mutated
from tests.faults.ledger import injected, waited
from tests.faults.promises import assert_harmless
from tests.program import charrnn

pytestmark = pytest.mark.fault("checkpoint")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "last.safetensors"


def assert_refused(path: Path, data: bytes | None = None) -> str:
    """Refused with CheckpointError, whose message names the file; any other exception fails the test."""
    if data is not None:
        path.write_bytes(data)
    injected()
    began = time.monotonic()
    with pytest.raises(CheckpointError) as raised:
        read_checkpoint(path)
    waited(time.monotonic() - began)
    assert str(path) in str(raised.value)
    return str(raised.value)


# -- the real one ------------------------------------------------------------------------------------------


def test_the_golden_checkpoint_of_format_1_loads() -> None:
    injected(0)
    checkpoint = read_checkpoint(GOLDEN)
    snapshot = checkpoint.snapshot
    assert checkpoint.metadata["format"] == 1
    assert checkpoint.state_sha256 == STATE
    assert checkpoint.vocabulary.characters == " abdejmnr"
    assert snapshot.update == 401
    assert {name: getattr(snapshot.settings, name) for name in SETTINGS} == SETTINGS
    assert snapshot.best == Best(3.6808219190951843, 400)
    loss = 0.5668968558311462
    assert snapshot.bucket == Bucket(first=401, last=402, count=1, total=loss, low=loss, high=loss)
    assert snapshot.smooth_loss == 3.67770799403192
    assert snapshot.arrays()["V"].shape == (9, 3)


def test_training_goes_on_from_the_golden_checkpoint(tmp_path: Path) -> None:
    injected(0)
    process = resume(golden_run(tmp_path), {"updates": 450}, corpus=str(tmp_path / "golden.txt"))
    ended = process.run(lambda item: None)
    assert (ended.reason, ended.update) == ("updates", 450)
    assert ended.smooth_loss < 3.67770799403192


def test_the_helper_forges_what_the_module_accepts(path: Path) -> None:
    injected(0)
    path.write_bytes(forged(*parts()))
    assert read_checkpoint(path).state_sha256 == STATE
    header = WHOLE[8:HEADER_END]
    digest = read_checkpoint(GOLDEN).metadata["sha256"].encode()
    assert sealed(header.replace(digest, b"0" * 64), WHOLE[HEADER_END:]) == WHOLE


# -- damage ------------------------------------------------------------------------------------------------


def test_a_file_cut_off_anywhere_is_refused(path: Path, thorough: bool) -> None:
    lengths = [*range(HEADER_END), *range(HEADER_END, len(WHOLE), 1 if thorough else 7), len(WHOLE) - 1]
    path.write_bytes(WHOLE)
    for length in sorted(lengths, reverse=True):
        os.truncate(path, length)
        assert_refused(path)


def flip(path: Path, bits: list[int]) -> None:
    """Flip bits of the golden checkpoint one at a time; each time it is refused."""
    path.write_bytes(WHOLE)
    with path.open("r+b", buffering=0) as file:
        for bit in bits:
            place, byte = bit // 8, WHOLE[bit // 8]
            os.pwrite(file.fileno(), bytes([byte ^ 1 << bit % 8]), place)
            assert_refused(path)
            os.pwrite(file.fileno(), bytes([byte]), place)
    read_checkpoint(path)


@pytest.mark.slow
def test_every_flipped_bit_of_the_header_is_noticed(path: Path) -> None:
    flip(path, list(range(8 * HEADER_END)))


def test_a_flipped_bit_of_the_data_is_noticed(path: Path, thorough: bool) -> None:
    bits = range(8 * HEADER_END, 8 * len(WHOLE))
    generator = random.Random(5)
    flip(path, list(bits) if thorough else generator.sample(bits, 500))


def test_a_flipped_bit_of_a_larger_state_is_noticed(path: Path, thorough: bool) -> None:
    """Where most of the file is data, as it is in use."""
    metadata, arrays = parts()
    metadata["settings"]["batch_size"] = 5000
    arrays["h"] = np.zeros((5000, 3), np.float32)
    data = bytearray(forged(metadata, arrays))
    path.write_bytes(data)
    read_checkpoint(path)
    generator = random.Random(6)
    for bit in generator.sample(range(8 * (len(data) - 60_000), 8 * len(data)), 500 if thorough else 100):
        data[bit // 8] ^= 1 << bit % 8
        assert_refused(path, data)
        data[bit // 8] ^= 1 << bit % 8


FOREIGN: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"\0",
    "zeros": bytes(len(WHOLE)),
    "a byte more": WHOLE + b"\0",
    "a megabyte more": WHOLE + bytes(1 << 20),
    "twice": WHOLE * 2,
    "pickle": pickle.dumps({"U": [1.0, 2.0]}),
    "text": b"the tide rises, the tide falls\n" * 99,
    "gzip": b"\x1f\x8b\x08" + bytes(1000),
    "safetensors of others": safetensors.numpy.save({"U": np.zeros((3, 9), np.float32)}),
    "safetensors of others, with metadata": safetensors.numpy.save(
        {"U": np.zeros((3, 9), np.float32)}, {"format": "pt"}
    ),
    "metadata without sense": safetensors.numpy.save({"U": np.zeros(3)}, {"charrnn": "[" * 100_000}),
    "metadata that is a list": safetensors.numpy.save({"U": np.zeros(3)}, {"charrnn": "[]"}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_checkpoint_is_refused(path: Path, kind: str) -> None:
    assert_refused(path, FOREIGN[kind])


def test_arrays_of_numpy_are_refused(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, U=np.zeros((3, 9)))
    assert_refused(path)
    with path.open("wb") as file:
        np.save(file, np.array([{"evil": 1}], dtype=object), allow_pickle=True)
    assert_refused(path)


# -- what does not end, or grows, in a process of its own --------------------------------------------------

READER = """
    import re, resource, sys
    from pathlib import Path
    from charrnn_core.errors import CheckpointError
    from charrnn_core.runs.checkpoint import read_checkpoint

    def peak():
        # ru_maxrss is at least what the process that started this one had.
        status = Path("/proc/self/status")
        if status.exists():
            return int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text()).group(1)) << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    read_checkpoint(Path(sys.argv[1]))
    before = peak()
    try:
        read_checkpoint(Path(sys.argv[2]))
        print("accepted", 0)
    except CheckpointError:
        print("refused", peak() - before)
"""
SMALL, BOMB = 8, 800
"""Megabytes that reading may take: of what is known to be none at once, and of a header of 16 MB."""


def assert_refused_cheaply(path: Path, megabytes: int) -> None:
    command = [sys.executable, "-c", textwrap.dedent(READER), str(GOLDEN), str(path)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
    verdict, grown = finished.stdout.split()
    assert verdict == "refused"
    assert int(grown) < megabytes << 20


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * 10**9)


def sparse_behind_a_real_header(path: Path) -> None:
    path.write_bytes(WHOLE)
    os.truncate(path, 100 * 10**9)


def named(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


STRANGE: dict[str, Callable[[Path], object]] = {
    "100 GB of nothing": sparse,
    "100 GB behind a real header": sparse_behind_a_real_header,
    "FIFO": os.mkfifo,
    "link to a FIFO": lambda path: (os.mkfifo(path.with_name("fifo")), path.symlink_to("fifo")),
    "directory": Path.mkdir,
    "zeros without end": named("/dev/zero"),
    "random bytes without end": named("/dev/urandom"),
    "null": named("/dev/null"),
    "full": named("/dev/full"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to nothing": named("nothing"),
    "file of the kernel": named("/proc/self/mem"),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_file_is_refused_at_once(path: Path, kind: str) -> None:
    STRANGE[kind](path)
    assert_refused_cheaply(path, SMALL)


def header_of(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


LARGEST = 16_000_000
GOLDEN_HEADER = WHOLE[8:HEADER_END]
BOMBS: dict[str, Callable[[], bytes]] = {
    "length 2^63": lambda: header_of(GOLDEN_HEADER, 2**63),
    "length 2^64 - 1": lambda: header_of(GOLDEN_HEADER, 2**64 - 1),
    "length 0": lambda: header_of(GOLDEN_HEADER, 0),
    "longer than the file": lambda: header_of(GOLDEN_HEADER, 10_000_000),
    "longer than the largest": lambda: header_of(b" " * (LARGEST + 1)),
    "16 MB of brackets": lambda: header_of(b"[" * LARGEST),
    "16 MB of braces": lambda: header_of(b'{"a":' * (LARGEST // 5)),
    "deep, and closed again": lambda: header_of(b"[" * 8_000_000 + b"]" * 8_000_000),
    "empty lists": lambda: header_of(b"[" + b"[]," * (LARGEST // 3 - 1) + b"1]"),
    "empty objects": lambda: header_of(b"[" + b"{}," * (LARGEST // 3 - 1) + b"1]"),
    "small objects": lambda: header_of(b"[" + b'{"":1},' * (LARGEST // 7 - 1) + b"1]"),
    "floats": lambda: header_of(b"[" + b"1.5," * (LARGEST // 4 - 1) + b"1]"),
    "one long number": lambda: header_of(b'{"__metadata__":' + b"9" * (LARGEST - 20) + b"}"),
    "one long text": lambda: header_of(b'{"__metadata__":{"charrnn":"' + b"x" * (LARGEST - 40) + b'"}}'),
    "metadata of brackets": lambda: header_of(
        b'{"__metadata__":{"charrnn":"' + b"[" * (LARGEST - 40) + b'"}}'
    ),
    "spaces": lambda: header_of(b" " * LARGEST),
    "invalid UTF-8": lambda: header_of(b'{"__metadata__":{"charrnn":"\xff\xfe"}}'),
    "no object": lambda: header_of(b'"charrnn"'),
    "metadata twice": lambda: header_of(b'{"__metadata__":{},"__metadata__":{}}'),
    "a name twice": lambda: header_of(GOLDEN_HEADER[:-1].rstrip(b"} ") + b"}," + b'"U":{},"U":{}}'),
}


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("kind", BOMBS)
def test_headers_that_are_bombs_are_refused(path: Path, kind: str) -> None:
    path.write_bytes(BOMBS[kind]())
    assert_refused_cheaply(path, SMALL if path.stat().st_size < 10**6 or "length" in kind else BOMB)


def test_a_name_that_stands_twice_is_refused_whatever_the_digest_says(path: Path) -> None:
    zeros = GOLDEN_HEADER.replace(read_checkpoint(GOLDEN).metadata["sha256"].encode(), b"0" * 64)
    entry = json.dumps(json.loads(zeros)["U"]).encode()
    data = sealed(zeros.rstrip(b" ")[:-1] + b',"U":' + entry + b"}", WHOLE[HEADER_END:])
    assert "twice" in assert_refused(path, data)
    inside = zeros.replace(rb"\"update\":401", rb"\"update\":401,\"update\":402", 1)
    assert "twice" in assert_refused(path, sealed(inside, WHOLE[HEADER_END:]))


# -- a valid digest over hostile content -------------------------------------------------------------------


def array_changes() -> dict[str, Callable[[Arrays], None]]:
    def put(name: str, value: float) -> Callable[[Arrays], None]:
        def change(arrays: Arrays) -> None:
            arrays[name].flat[0] = value

        return change

    changes: dict[str, Callable[[Arrays], None]] = {}
    for name in sorted(parts()[1]):  # the library gives them in any order
        for value in (np.nan, np.inf, -np.inf):
            changes[f"{name} {value}"] = put(name, value)
        changes[f"{name} missing"] = lambda arrays, name=name: arrays.pop(name)
        for dtype in ("float64", "float16", "int32"):
            changes[f"{name} {dtype}"] = lambda arrays, name=name, dtype=dtype: arrays.update(
                {name: arrays[name].astype(dtype)}
            )
        changes[f"{name} as whole numbers"] = lambda arrays, name=name: arrays.update(
            {name: arrays[name].view("int32")}
        )
        changes[f"{name} deeper"] = lambda arrays, name=name: arrays.update({name: arrays[name][None]})
        changes[f"{name} longer"] = lambda arrays, name=name: arrays.update(
            {name: np.concatenate([arrays[name]] * 2)}
        )
        changes[f"{name} empty"] = lambda arrays, name=name: arrays.update({name: arrays[name][:0]})
        changes[f"{name} renamed"] = lambda arrays, name=name: arrays.update({f"{name}2": arrays.pop(name)})
        if name.startswith("memory.squares."):
            changes[f"{name} negative"] = put(name, -1e-30)
    changes["another one"] = lambda arrays: arrays.update(more=np.zeros(1, np.float32))
    changes["another one, empty"] = lambda arrays: arrays.update(more=np.zeros(0, np.float32))
    changes["a path"] = lambda arrays: arrays.update({"../../etc/passwd": np.zeros(0, np.float32)})
    changes["U and W change places"] = lambda arrays: arrays.update(U=arrays["W"], W=arrays["U"])
    return changes


ARRAY_CHANGES = array_changes()


@pytest.mark.parametrize("change", ARRAY_CHANGES)
def test_arrays_that_a_run_could_not_have_are_refused(path: Path, change: str) -> None:
    metadata, arrays = parts()
    ARRAY_CHANGES[change](arrays)
    assert_refused(path, forged(metadata, arrays))


NOTHING: list[Any] = [None, True, False, "", "x", "\x00", [], [1], {}, {"a": 1}]
NUMBERS: list[Any] = [float("nan"), float("inf"), float("-inf"), -1, 0.5, 10**400, "1", "401"]
COUNT = [*NOTHING, *NUMBERS]
NUMBER = [value for value in COUNT if value not in (-1, 0.5)]
TEXTS: list[Any] = [None, True, 1, 0.5, [], ["x"], {}, {"a": 1}]

WRONG: dict[tuple[str, ...], list[Any]] = {
    ("format",): [*COUNT, 0, 2, 10**6],
    ("update",): [*COUNT, 400, 402],
    ("epoch",): [*NUMBER, -1],
    ("seconds",): [*NUMBER, -1],
    ("vocabulary",): [
        *TEXTS, "", "a", " abdejmn", " abdejmnrs", "aabdejmnr", "rnmjedba ", list(" abdejmnr"), "\ud800",
    ],
    ("log_length",): COUNT,
    ("command_offset",): [*COUNT, 10**30],
    ("drawn",): COUNT,
    ("obeyed",): [value for value in COUNT if value is not None],
    ("state",): COUNT,
    ("state", "update"): [*COUNT, 400, 403, 10**18, 10**30],
    ("state", "smooth_loss"): NUMBER,
    ("state", "gradient_norm"): [value for value in NUMBER if value is not None],
    ("state", "clipped_share"): NUMBER,
    ("state", "bucket"): COUNT,
    ("state", "bucket", "first"): [*COUNT, 400, 402],
    ("state", "bucket", "last"): [*COUNT, 400, 403, 10**9],
    ("state", "bucket", "count"): [*COUNT, 0, 2],
    ("state", "bucket", "total"): NUMBER,
    ("state", "bucket", "low"): NUMBER,
    ("state", "bucket", "high"): NUMBER,
    ("state", "best"): [value for value in COUNT if value is not None],
    ("state", "best", "loss"): NUMBER,
    ("state", "best", "update"): [*COUNT, 402],
    ("state", "pending"): [
        None, True, 1, 0.5, "", "log", "catalogue", {}, {"log": 1}, ["bogus"], ["log", "log"], [["log"]],
        [None], ["sample", "log"],
    ],
    ("settings",): COUNT,
    ("corpus",): COUNT,
    ("corpus", "sha256"): [*TEXTS, "", "0" * 63],
    ("corpus", "kind"): TEXTS,
    ("corpus", "name"): TEXTS,
    ("corpus", "path"): TEXTS,
    ("corpus", "characters"): COUNT,
    ("engine",): TEXTS,
    ("blas",): TEXTS,
    ("threads",): [*COUNT, 0, 10**6],
    ("versions",): TEXTS[:-1],
    ("state_sha256",): [*TEXTS, "", "0" * 64],
    ("sha256",): [*TEXTS, "", "0" * 63, "\ud800"],
}  # fmt: skip
for _name, _field in FIELDS.items():
    _kinds: list[Any] = NUMBER if _field.kind is float else COUNT if _field.kind is int else [*NOTHING, 1]
    WRONG["settings", _name] = [value for value in _kinds if not (value is None and _field.none)]
OBEYED = {
    "update": 1, "time": 1.0, "command": "c", "name": "set-learning-rate",
    "arguments": {"learning_rate": 0.5},
}  # fmt: skip


def changed(where: tuple[str, ...], value: Any) -> bytes:
    metadata, arrays = parts()
    place = metadata
    for name in where[:-1]:
        place = place[name]
    place[where[-1]] = value
    data = forged(metadata, arrays)
    if where in (("state_sha256",), ("sha256",)):  # which the helper has put right
        header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
        metadata = json.loads(header["__metadata__"]["charrnn"])
        metadata["sha256"] = "0" * 64
        metadata[where[0]] = value
        header["__metadata__"]["charrnn"] = to_json(metadata)
        data = sealed(to_json(header).encode(), WHOLE[HEADER_END:])
    return data


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("where", WRONG, ids=".".join)
def test_values_that_a_run_could_not_have_are_refused(path: Path, where: tuple[str, ...]) -> None:
    accepted = []
    for value in WRONG[where]:
        path.write_bytes(changed(where, value))
        injected()
        try:
            read_checkpoint(path)
            accepted.append(value)
        except CheckpointError:
            pass
    assert accepted == [], f"{'.'.join(where)} may be {accepted!r:.300}"


@pytest.mark.parametrize("name", OBEYED)
def test_an_obeyed_command_of_the_wrong_form_is_refused(path: Path, name: str) -> None:
    wrong = {
        "update": COUNT, "time": NUMBER, "command": TEXTS, "name": [*TEXTS, "sample", "x"],
        "arguments": [None, 1, "x", [], {}, {"a": 1}, {"learning_rate": "x" * 9_000_000}],
    }  # fmt: skip
    path.write_bytes(changed(("obeyed",), OBEYED))
    read_checkpoint(path)
    accepted = []
    for value in wrong[name]:
        path.write_bytes(changed(("obeyed",), {**OBEYED, name: value}))
        injected()
        try:
            read_checkpoint(path)
            accepted.append(value)
        except CheckpointError:
            pass
    assert accepted == []


@pytest.mark.parametrize(
    "name", ["blas", "engine", "machine", "corpus.name", "corpus.path", "versions.numpy"]
)
def test_a_text_that_is_longer_than_any_name_is_refused(path: Path, name: str) -> None:
    """It would be written into the log and the terminal each time that the run is resumed."""
    path.write_bytes(changed(tuple(name.split(".")), "x" * 9_000_000))
    injected()
    with pytest.raises(CheckpointError) as refusal:
        read_checkpoint(path)
    assert len(str(refusal.value)) < 1000


def test_a_number_too_large_for_a_float_is_refused(path: Path) -> None:
    """As an infinity it could not be written again."""
    data = changed(("obeyed",), {**OBEYED, "time": 9.25e16})
    path.write_bytes(data)
    read_checkpoint(path)
    path.write_bytes(sealed_again(data.replace(b"9.25e+16", b"9.2e+999")))
    injected()
    with pytest.raises(CheckpointError, match="too large"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "name",
    [
        "format", "update", "epoch", "seconds", "settings", "vocabulary", "corpus", "state", "state_sha256",
        "log_length", "command_offset", "drawn", "obeyed", "sha256", "engine", "threads", "blas",
    ],
)  # fmt: skip
def test_metadata_that_is_missing_is_refused(path: Path, name: str) -> None:
    header = json.loads(GOLDEN_HEADER)
    metadata = json.loads(header["__metadata__"]["charrnn"])
    metadata["sha256"] = "0" * 64
    del metadata[name]
    header["__metadata__"]["charrnn"] = to_json(metadata)
    assert_refused(path, sealed(to_json(header).encode(), WHOLE[HEADER_END:]))


def test_settings_that_need_terabytes_are_refused_before_anything_is_made(path: Path) -> None:
    metadata, arrays = parts()
    metadata["settings"]["hidden"] = 1_000_000
    path.write_bytes(forged(metadata, arrays))
    assert_refused_cheaply(path, SMALL)


def test_a_newer_format_is_named_with_the_version_that_wrote_it(path: Path) -> None:
    metadata, arrays = parts()
    metadata.update(format=2, versions={"charrnn": "9.8.7"})
    message = assert_refused(path, forged(metadata, arrays))
    assert "format 2" in message
    assert "9.8.7" in message


# -- going on ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cut off", "flipped", *(kind for kind in STRANGE if "100" not in kind)])
def test_a_run_falls_back_to_the_checkpoint_before_and_says_so(tmp_path: Path, kind: str) -> None:
    directory = golden_run(tmp_path)
    last = directory.checkpoint_file("last").path
    last.unlink()
    if kind in STRANGE:
        STRANGE[kind](last)
    else:
        last.write_bytes(WHOLE[:-1] if kind == "cut off" else WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]))
    checkpoint, problems = newest_checkpoint(directory)
    assert (checkpoint.kind, checkpoint.state_sha256) == ("previous", STATE)
    assert len(problems) == 1
    assert str(last) in problems[0]
    shutil.copy(GOLDEN, directory.checkpoint_file("best").path)
    directory.checkpoint_file("previous").path.write_bytes(b"")
    checkpoint, problems = newest_checkpoint(directory)
    assert (checkpoint.kind, len(problems)) == ("best", 2)
    directory.checkpoint_file("best").path.write_bytes(WHOLE[:100])
    with pytest.raises(CheckpointError, match="no checkpoint to go on from") as raised:
        newest_checkpoint(directory)
    for name in ("last", "previous", "best"):
        assert str(directory.checkpoint_file(name).path) in str(raised.value)


def larger_vocabulary(metadata: Metadata, arrays: Arrays) -> None:
    metadata["vocabulary"] += "s"
    for name in ("U", "memory.squares.U"):
        arrays[name] = np.concatenate([arrays[name], arrays[name][:, :1]], axis=1)
    for name in ("V", "c", "memory.squares.V", "memory.squares.c"):
        arrays[name] = np.concatenate([arrays[name], arrays[name][:1]])


def another_vocabulary(metadata: Metadata, arrays: Arrays) -> None:
    metadata["vocabulary"] = metadata["vocabulary"].replace("r", "s")


def far_ahead(metadata: Metadata, arrays: Arrays) -> None:
    update = 10**18
    metadata["update"] = metadata["state"]["update"] = update
    metadata["state"]["bucket"].update(first=update, last=update)


CONTRADICTIONS: list[Callable[[Metadata, Arrays], None]] = [larger_vocabulary, another_vocabulary, far_ahead]


@pytest.mark.parametrize("change", CONTRADICTIONS)
def test_a_checkpoint_that_contradicts_its_text_is_an_error_of_our_own(
    tmp_path: Path, change: Callable[[Metadata, Arrays], None]
) -> None:
    directory = golden_run(tmp_path)
    metadata, arrays = parts()
    change(metadata, arrays)
    for kind in ("last", "previous"):
        directory.checkpoint_file(kind).path.write_bytes(forged(metadata, arrays))
    with pytest.raises(CharRNNError):
        process = resume(directory, {"updates": 10**12}, corpus=str(tmp_path / "golden.txt"))
        process.trainer.stop("enough")
        process.run(lambda item: None)


@pytest.mark.slow
def test_a_string_without_an_end_takes_no_longer_than_another_one(tmp_path: Path) -> None:
    """Its backslashes and quotes can be read in as many ways as there are of them."""
    directory = golden_run(tmp_path / "runs")
    endless = b'"' + b'\\"' * 1_500_000
    header = b"{" + b"," * 3_000 + endless
    for kind in ("last", "best"):
        directory.checkpoint_file(kind).path.write_bytes(struct.pack("<Q", len(header)) + header + WHOLE)
    directory.events_file.path.write_bytes(b"," * 200_000 + endless + b"\n")
    for command in (["runs"], ["report", "run", "-o", "-"], ["sample", "run", "--length", "9"]):
        injected()
        finished = charrnn(tmp_path, *command)
        assert_harmless(finished.out + finished.err)
        assert finished.code == 0, finished.err


@pytest.mark.parametrize(("duty", "update"), [("log", 401), ("validate", 401), ("epoch", 0), ("best", 0)])
def test_a_duty_that_cannot_be_due_is_refused(path: Path, duty: str, update: int) -> None:
    metadata, arrays = parts()
    metadata["update"] = metadata["state"]["update"] = update
    metadata["state"]["best"] = None
    last = update + bucket_width(update)
    metadata["state"]["bucket"].update(first=update + 1, last=last, count=0, total=0.0, low=None, high=None)
    path.write_bytes(forged(metadata, arrays))
    read_checkpoint(path)
    metadata["state"]["pending"] = [duty]
    assert f"the duty {duty} cannot be due at update {update}" in assert_refused(
        path, forged(metadata, arrays)
    )


def test_a_full_bucket_that_is_not_to_be_written_is_refused(path: Path) -> None:
    """The bucket would never be written, and every later checkpoint would be unreadable."""
    metadata, arrays = parts()
    metadata["update"] = metadata["state"]["update"] = 402
    metadata["state"]["bucket"].update(first=401, last=402, count=2, total=60.0, low=30.0, high=30.0)
    metadata["state"]["pending"] = ["log"]
    path.write_bytes(forged(metadata, arrays))
    read_checkpoint(path)
    metadata["state"]["pending"] = []
    assert "the log's bucket is full but not due to be written" in assert_refused(
        path, forged(metadata, arrays)
    )


@pytest.mark.parametrize("seconds", [10**17, 999_999_999_999_999_999, 1e17])
def test_a_time_that_could_not_be_saved_again_is_refused(path: Path, seconds: float) -> None:
    assert "seconds has an impossible value" in assert_refused(path, changed(("seconds",), seconds))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"place": {"drawn": 10**16 + 1}}, "drawn has an impossible value"),
        ({"snapshot": {"seconds": 1e17}}, "seconds has an impossible value"),
        ({"snapshot": {"pending": ("log",)}}, "the duty log cannot be due"),
        (
            {"snapshot": {"update": 402, "bucket": Bucket(401, 402, 2, 60.0, 30.0, 30.0)}},
            "the log's bucket is full",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_could_not_be_read_again_takes_no_place(
    tmp_path: Path, changes: dict[str, dict[str, Any]], words: str
) -> None:
    directory = golden_run(tmp_path)
    found = read_checkpoint(directory.checkpoint_file("last").path)
    kept = {path.name: path.read_bytes() for path in directory.checkpoints.path.iterdir()}
    snapshot = dataclasses.replace(found.snapshot, **changes.get("snapshot", {}))
    place = dataclasses.replace(found.place, **changes.get("place", {}))
    environment = {
        name: found.metadata[name] for name in ("engine", "threads", "blas", "versions", "machine")
    }
    facts = RunFacts(found.vocabulary.characters, found.metadata["corpus"], environment)
    log = EventLog(directory.events_file)
    injected()
    try:
        with pytest.raises(CheckpointError, match=f"was not saved: {words}"):
            save(directory, "last", snapshot, facts, place, log, rotate=True)
    finally:
        log.close()
    assert {path.name: path.read_bytes() for path in directory.checkpoints.path.iterdir()} == kept


def test_runs_are_listed_by_headers_alone(tmp_path: Path) -> None:
    """A checkpoint of a terabyte of zeros can be packed into some kilobytes."""
    directory = golden_run(tmp_path)
    best = directory.checkpoint_file("best").path
    best.write_bytes(WHOLE[:HEADER_END])
    os.truncate(best, 1 << 40)
    assert_refused(best)
    injected()
    assert summarize(directory).best_loss == 3.6808219190951843
    for value in (True, "low", [], None, 1e400):
        metadata, arrays = parts()
        metadata["state"]["best"] = {"loss": value}
        best.write_bytes(forged(metadata, arrays))
        injected()
        assert summarize(directory).best_loss in (None, 1.0)


@pytest.mark.parametrize("update", [10**16 + 1, 2**63 - 300, 2**63 - 1])
def test_counts_that_could_not_be_saved_again_are_refused(path: Path, update: int) -> None:
    metadata, arrays = parts()
    metadata["drawn"] = update
    assert "drawn has an impossible value" in assert_refused(path, forged(metadata, arrays))
    metadata, arrays = parts()
    metadata["update"] = metadata["state"]["update"] = update
    metadata["state"]["bucket"].update(first=update, last=update - 1 + bucket_width(update - 1))
    assert "update has an impossible value" in assert_refused(path, forged(metadata, arrays))


ODD_VALUES: list[Any] = [
    0, 1, 2, -1, 400, 401, 402, 450, 10**6, 2**53, 2**63 - 1, 10**30, 0.5, -0.5, 1e-300, 1e300, True, False,
    None, "", "adam", "float64", [], {}, ["log"], ["epoch"], ["validate"], ["best"], ["check"], ["sample"],
    ["log", "epoch", "best", "check", "sample"], ["sample", "log"],
]  # fmt: skip


def with_other_values(metadata: Metadata, generator: random.Random) -> None:
    """Give one to three of the values that a checkpoint has beside its arrays another one."""
    for _ in range(generator.randint(1, 3)):
        part = generator.choice(
            [
                metadata["state"],
                metadata["state"],
                metadata["state"]["bucket"],
                metadata["settings"],
                metadata,
            ]
        )
        if not isinstance(part, dict) or not part:
            continue
        name = generator.choice(sorted(part))
        if name in ("pending", "best", "bucket") and generator.random() < 0.5:
            part[name] = generator.choice([value for value in ODD_VALUES if isinstance(value, list)])
        elif name not in ("state", "settings"):
            part[name] = generator.choice(ODD_VALUES)


@pytest.mark.slow
def test_training_goes_on_from_a_forged_state_or_it_is_refused(tmp_path: Path, thorough: bool) -> None:
    """Whoever makes a checkpoint can also compute the identity of its state."""
    directory = golden_run(tmp_path)
    trained = 0
    for seed in range(4000 if thorough else 400):
        metadata, arrays = parts()
        with_other_values(metadata, random.Random(seed))
        injected()
        for kind in ("last", "previous"):
            directory.checkpoint_file(kind).path.write_bytes(forged(metadata, arrays))
        directory.events_file.remove()
        try:
            process = resume(directory, {"updates": None}, corpus=str(tmp_path / "golden.txt"))
            looks = iter(range(60))
            process.run(lambda item, process=process, looks=looks: (  # type: ignore[misc]
                next(looks, None) is None and process.trainer.stop("enough")
            ))  # fmt: skip
        except CharRNNError:
            continue
        trained += 1
    assert trained > 10


def test_the_settings_of_the_golden_checkpoint_are_all_that_there_are() -> None:
    """A setting that comes later has its default; one that goes away needs a migration."""
    injected(0)
    assert SETTINGS.keys() <= FIELDS.keys()
    assert Settings.from_json(SETTINGS).hidden == 3


# -- a right digest over a wrong header ----------------------------------------------------------------------


def test_a_signed_file_with_a_changed_header_is_one_or_is_refused(path: Path, thorough: bool) -> None:
    """Somebody who changes a file can compute its digest, too."""
    tried = 4000 if thorough else 400
    accepted = 0
    for seed in range(tried):
        generator = random.Random(seed)
        header: bytes | None = WHOLE[8:HEADER_END]
        if seed % 3:
            header = mutated(header, generator)
        else:
            place = generator.randrange(len(header))
            header = header[:place] + bytes([generator.randrange(256)]) + header[place + 1 :]
        if header is None:
            continue
        path.write_bytes(signed_header(header))
        injected()
        try:
            found = read_checkpoint(path)
        except CheckpointError as error:
            assert str(path) in str(error)
            continue
        accepted += 1
        assert found.state_sha256 == STATE
    assert 0 < accepted < tried / 4


ENTRY_OF = {"dtype": "F32", "shape": [3, 3], "data_offsets": [0, 36]}
HEADERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another type": lambda header: header["W"].update(dtype="I32"),
    "an unknown type": lambda header: header["W"].update(dtype="F3"),
    "a type that is a number": lambda header: header["W"].update(dtype=32),
    "another shape": lambda header: header["W"].update(shape=[9]),
    "a shape of its transpose": lambda header: header["V"].update(shape=header["V"]["shape"][::-1]),
    "a negative size": lambda header: header["W"].update(shape=[-3, -3]),
    "sizes that overflow": lambda header: header["W"].update(shape=[2**62, 4]),
    "a size that is a fraction": lambda header: header["W"].update(shape=[3.0, 3]),
    "offsets in the wrong order": lambda header: header["W"].update(data_offsets=[36, 0]),
    "an offset beyond the end": lambda header: header["W"].update(data_offsets=[10**6, 10**6 + 36]),
    "offsets before the beginning": lambda header: header["W"].update(data_offsets=[-36, 0]),
    "an offset that is huge": lambda header: header["W"].update(data_offsets=[2**64, 2**64 + 36]),
    "one offset": lambda header: header["W"].update(data_offsets=[0]),
    "offsets of another array": lambda header: header["W"].update(
        data_offsets=header["memory.squares.W"]["data_offsets"]
    ),
    "no type": lambda header: header["W"].pop("dtype"),
    "something more": lambda header: header["W"].update(more=1),
    "a list": lambda header: header.update(W=[]),
    "nothing": lambda header: header.update(W=None),
    "an array more": lambda header: header.update(X=ENTRY_OF),
    "an array less": lambda header: header.pop("W"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_signed_header_that_describes_other_arrays_is_refused(path: Path, kind: str) -> None:
    header = json.loads(WHOLE[8:HEADER_END])
    HEADERS[kind](header)
    path.write_bytes(signed_header(json.dumps(header).encode()))
    injected()
    assert_refused(path)


@pytest.mark.parametrize("kind", ["another type", "offsets in the wrong order", "a list"])
def test_a_run_with_such_a_checkpoint_falls_back_and_hides_no_other(tmp_path: Path, kind: str) -> None:
    directory = golden_run(tmp_path / "runs")
    header = json.loads(WHOLE[8:HEADER_END])
    HEADERS[kind](header)
    hostile = signed_header(json.dumps(header).encode())
    for name in ("last", "best"):
        directory.checkpoint_file(name).write(hostile)
    assert len(run_summaries(tmp_path / "runs")) == 1
    process = resume(directory, {"updates": 420}, corpus=str(tmp_path / "runs" / "golden.txt"))
    seen: list[Any] = []
    process.run(seen.append)
    warned = [event.message for event in seen if getattr(event, "type", None) == "warning"]
    assert sum("not a whole checkpoint" in message for message in warned) == 2
    assert read_checkpoint(directory.checkpoint_file("last")).snapshot.update == 420


def run_summaries(runs: Path) -> list[RunSummary]:
    return [summarize(run) for run in list_runs(runs)]


def test_the_arrays_are_those_that_the_library_of_the_format_reads() -> None:
    arrays = safetensors.numpy.load(WHOLE)
    read = read_checkpoint(GOLDEN).snapshot.arrays()
    assert arrays.keys() == read.keys()
    assert all(np.array_equal(arrays[name], read[name]) for name in arrays)
