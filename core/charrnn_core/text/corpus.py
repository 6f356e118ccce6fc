"""A text that a network learns from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from charrnn_core.errors import CorpusError
from charrnn_core.memory import installed_memory, readable_size
from charrnn_core.text.coding import BLOCK_BYTES, CodedText, TextCoder
from charrnn_core.text.source import Kind, Source, find_source
from charrnn_core.text.vocabulary import Codes, Vocabulary


@dataclass(frozen=True)
class Corpus:
    """A whole text as codes, with where it came from.

    Attributes
    ----------
    name : str
        What to call it: the bundled name, the file's name without its ending, or "input".
    kind : "file", "input" or "bundled"
    path : str or None
        Absolute path of a file; None for the others.
    codes : array of shape (characters,)
        In the smallest unsigned type for K; read-only. There is no other copy of the text in memory.
    vocabulary : Vocabulary
        The K distinct characters of the whole text.
    sha256 : str
        Digest of the normalised text (no byte order mark, LF newlines) in UTF-8: what makes it this text.
    source_bytes : int
        Bytes read.
    byte_order_mark : bool
        Whether one was dropped.
    newlines_replaced : int
        How many CR LF or CR became LF.
    """

    name: str
    kind: Kind
    path: str | None
    codes: Codes
    vocabulary: Vocabulary
    sha256: str
    source_bytes: int
    byte_order_mark: bool = False
    newlines_replaced: int = 0

    def __len__(self) -> int:
        """Return the number of characters."""
        return len(self.codes)

    def text_blocks(self) -> Iterator[str]:
        """Yield the normalised text piece by piece, so that a large one can be written in little memory."""
        for start in range(0, len(self), BLOCK_BYTES):
            yield self.vocabulary.decode(self.codes[start : start + BLOCK_BYTES])

    def split(self, held_out: float) -> tuple[Codes, Codes]:
        """Return the codes to train on and the last share of the text, held out; both are views.

        Parameters
        ----------
        held_out : float
            The share to hold out, at least 0 and below 1.
        """
        boundary = len(self) - int(len(self) * held_out)
        return self.codes[:boundary], self.codes[boundary:]


def read_corpus(
    text: str | Path | Source,
    progress: Callable[[int], None] | None = None,
    *,
    most: int | None = None,
) -> Corpus:
    """Read, decode, check, hash and code a text.

    Parameters
    ----------
    text : str, Path or Source
        A path, `-` for standard input, or the name of a bundled text; a file; or the source itself.
    progress : callable, optional
        Called with the number of bytes read so far, after each block.
    most : int, optional
        Largest number of bytes, where less than memory is to be used for the text.

    Raises
    ------
    CorpusError
        The text cannot be found or read, is not UTF-8 (with byte offset and line), is empty or too large:
        its codes have at most three quarters of the memory that this process may use.
    """
    if isinstance(text, Path):
        source = Source("file", str(text), (text,))
    else:
        source = find_source(text) if isinstance(text, str) else text
    coder = TextCoder(source.name)
    read, largest = 0, installed_memory() // 4 * 3
    try:
        for block in source.blocks():
            coder.feed(block)
            read += len(block)
            if most is not None and read > most:
                raise CorpusError(f"{source.name} is too long: it has more than {readable_size(most)}")
            if coder.size > largest:
                raise CorpusError(
                    f"{source.name} does not fit into memory: {readable_size(read)} of it need "
                    f"{readable_size(coder.size)} of the {readable_size(largest)} that a text may have"
                )
            if progress is not None:
                progress(read)
    except MemoryError:
        raise CorpusError(f"{source.name} does not fit into memory: {read:,} bytes of it did") from None
    path = source.paths[0] if source.kind == "file" else None
    name = {"file": path.stem if path else "", "input": "input", "bundled": source.name}[source.kind]
    return _corpus(name, source.kind, str(path.absolute()) if path else None, coder.finish())


def corpus_of(text: str, name: str = "text") -> Corpus:
    r"""Return a corpus of a text that is in memory already.

    Examples
    --------
    >>> len(corpus_of("one line\n"))
    9
    """
    coder = TextCoder(name)
    coder.feed(text.encode())
    return _corpus(name, "input", None, coder.finish())


def _corpus(name: str, kind: Kind, path: str | None, coded: CodedText) -> Corpus:
    return Corpus(
        name=name,
        kind=kind,
        path=path,
        codes=coded.codes,
        vocabulary=coded.vocabulary,
        sha256=coded.sha256,
        source_bytes=coded.source_bytes,
        byte_order_mark=coded.byte_order_mark,
        newlines_replaced=coded.newlines_replaced,
    )


def write_text(corpus: Corpus, descriptor: int) -> None:
    """Write the normalised text into an open file in UTF-8, so that reading it gives the same text again.

    The file is closed, however this ends.
    """
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        if corpus.codes[0] == corpus.vocabulary.characters.find("\ufeff"):
            file.write("\ufeff")  # reading drops one; this text has another after it
        file.writelines(corpus.text_blocks())
