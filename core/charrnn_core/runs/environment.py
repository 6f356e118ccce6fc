"""What a run depends on besides its settings and its text."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import charrnn_core
from charrnn_core.text.corpus import Corpus


def versions(engine: str = "numpy") -> dict[str, str]:
    """Return the versions of program, Python and the libraries that compute and save."""
    libraries = ("numpy", "safetensors") if engine == "numpy" else ("numpy", engine, "safetensors")
    return {
        "charrnn": charrnn_core.__version__,
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }


def machine() -> str:
    """Return system, processor architecture and number of cores."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def describe_corpus(corpus: Corpus) -> dict[str, str | int | bool | None]:
    """Return what is recorded of a corpus."""
    return {
        "name": corpus.name,
        "kind": corpus.kind,
        "path": corpus.path,
        "characters": len(corpus),
        "vocabulary_size": len(corpus.vocabulary),
        "sha256": corpus.sha256,
        "source_bytes": corpus.source_bytes,
        "byte_order_mark": corpus.byte_order_mark,
        "newlines_replaced": corpus.newlines_replaced,
    }
