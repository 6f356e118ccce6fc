"""A real checkpoint, and checkpoints that are made to look like one.

`golden/format-1.safetensors` is of 401 updates on the 20 characters of `TEXT`.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
from pathlib import Path
from typing import Any

import safetensors.numpy

from charrnn_core.errors import SettingsError
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.json_text import to_json
from charrnn_core.training.settings import Settings

GOLDEN = Path(__file__).with_name("golden") / "format-1.safetensors"
TEXT = "banana bread and jam"
STATE = "230d577babe2eda065cadbbb91ee24a30f481f613496702c05085a453323f3c0"
SETTINGS: dict[str, Any] = {
    "hidden": 3, "seq_length": 2, "batch_size": 1, "init": "normal", "init_std": 0.01, "dtype": "float32",
    "seed": 0, "optimizer": "adagrad", "learning_rate": 0.1, "beta1": 0.9, "beta2": 0.999, "decay": 0.9,
    "epsilon": 1e-8, "clip": 5.0, "loss": "sum", "chunks": "sequential", "chunk_length": 10000,
    "held_out": 0.0, "validate_every": 10000, "updates": 401, "epochs": None, "seconds": None,
    "stop_below": None, "sample_every": None, "sample_length": 200, "temperature": 1.0,
    "checkpoint_every": 5.0, "threads": 1,
}  # fmt: skip

WHOLE = GOLDEN.read_bytes()
HEADER_END = 8 + int(struct.unpack("<Q", WHOLE[:8])[0])
ENTRY = rb"\"sha256\":\""
"""What stands before the digest, in a JSON text inside a JSON text."""

DIGEST = json.loads(json.loads(WHOLE[8:HEADER_END])["__metadata__"]["charrnn"])["sha256"].encode()
"""The digest that the golden checkpoint names of itself."""

CONFIG: dict[str, Any] = {"settings": SETTINGS, "corpus": {}}
"""What `config.json` of the run says."""

Metadata = dict[str, Any]
Arrays = dict[str, Any]


def parts() -> tuple[Metadata, Arrays]:
    """Return what the golden checkpoint holds, to be changed."""
    header = json.loads(WHOLE[8:HEADER_END])
    return json.loads(header["__metadata__"]["charrnn"]), safetensors.numpy.load(WHOLE)


def sealed(header: bytes, data: bytes) -> bytes:
    """Return a file with a valid digest over a header, in which the digest's place holds 64 zeros."""
    whole = struct.pack("<Q", len(header)) + header + data
    digest = hashlib.sha256(whole).hexdigest().encode()
    return whole.replace(ENTRY + b"0" * 64, ENTRY + digest, 1)


def sealed_again(whole: bytes) -> bytes:
    """Return a file with the digest that it should have, where it has the form of one and a place for it."""
    if len(whole) < 8:
        return whole
    end = 8 + int(struct.unpack("<Q", whole[:8])[0])
    header = re.sub(re.escape(ENTRY) + b"[0-9a-f]{64}", ENTRY + b"0" * 64, whole[8:end], count=1)
    return sealed(header, whole[end:]) if len(header) == end - 8 else whole


def signed_header(header: bytes) -> bytes:
    """Return the golden checkpoint with this header in place of its own, and a digest that agrees with it."""
    # The digest of the file, and not that of the text, which stands before it.
    return sealed(header.replace(ENTRY + DIGEST, ENTRY + b"0" * 64, 1), WHOLE[HEADER_END:])


def identity(metadata: Metadata, arrays: Arrays) -> str:
    """Return the identity of a state as the module computes it."""
    facts = {
        "settings": Settings.from_json(metadata["settings"]).shaping(),
        "vocabulary": metadata["vocabulary"],
        "corpus": metadata["corpus"]["sha256"],
        "state": {
            **metadata["state"],
            "pending": [duty for duty in metadata["state"]["pending"] if duty not in ("check", "sample")],
        },
    }
    digest = hashlib.sha256(to_json(facts).encode())
    for name in sorted(arrays):
        digest.update(to_json([name, arrays[name].dtype.str, list(arrays[name].shape)]).encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def forged(metadata: Metadata, arrays: Arrays) -> bytes:
    """Return a file that says of itself, rightly, that it is undamaged, whatever is in it."""
    try:
        metadata["state_sha256"] = identity(metadata, arrays)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, SettingsError):
        pass  # too strange to have an identity
    metadata["sha256"] = "0" * 64
    text = json.dumps(metadata, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    text = text.encode("utf-8", "backslashreplace").decode()
    data = safetensors.numpy.save(arrays, {"charrnn": text})
    end = 8 + struct.unpack("<Q", data[:8])[0]
    return sealed(data[8:end], data[end:])


def golden_run(where: Path) -> RunDirectory:
    """Return a run whose last and previous checkpoints are the golden one, with its text."""
    directory = RunDirectory(where / "run")
    directory.checkpoints.path.mkdir(parents=True)
    directory.write_config(CONFIG)
    for kind in ("last", "previous"):
        shutil.copy(GOLDEN, directory.checkpoint_file(kind).path)
    (where / "golden.txt").write_text(TEXT, encoding="utf-8")
    return directory


def half_made(directory: RunDirectory) -> list[str]:
    """Return the names of the temporary files among a run's checkpoints."""
    return [path.name for path in directory.checkpoints.path.iterdir() if path.name.startswith(".")]
