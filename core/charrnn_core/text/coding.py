"""From blocks of bytes to codes, in one pass and little memory.

A text may be as large as memory allows, so no step ever holds more of it than one block besides the codes
themselves. Codes are given in the order of first appearance while reading and put into the vocabulary's
order at the end, in place.
"""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass

import numpy as np

from charrnn_core.errors import CorpusError
from charrnn_core.text.vocabulary import Codes, Vocabulary, code_points

BLOCK_BYTES = 1 << 18
"""How much of a text is worked on at once: small enough for the processor's cache, large enough for NumPy."""

_UNICODE = 0x110000

_BEGINNING = 4  # bytes, at least as many as any byte order mark or file signature that is looked for


@dataclass(frozen=True)
class CodedText:
    """A whole text as codes.

    Attributes
    ----------
    codes : array of shape (characters,)
        In the smallest unsigned type for the vocabulary; writable by nobody.
    vocabulary : Vocabulary
    sha256 : str
        Hexadecimal digest of the normalised text in UTF-8.
    source_bytes : int
        How many bytes were read.
    byte_order_mark : bool
        Whether one was dropped at the start.
    newlines_replaced : int
        How many CR LF pairs and single CRs became LF.
    """

    codes: Codes
    vocabulary: Vocabulary
    sha256: str
    source_bytes: int
    byte_order_mark: bool
    newlines_replaced: int


class TextCoder:
    r"""Decodes, normalises, hashes and codes a text block by block.

    Call `feed` with each block and `finish` once. UTF-8 is taken strictly. A byte order mark at the start is
    dropped; CR LF and CR become LF.

    Examples
    --------
    >>> coder = TextCoder("a name for messages")
    >>> coder.feed(b"ab")
    >>> coder.feed(b"ba\r\n")
    >>> text = coder.finish()
    >>> text.vocabulary.characters, text.codes.tolist(), text.newlines_replaced
    ('\nab', [1, 2, 2, 1, 0], 1)
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._digest = hashlib.sha256()
        self._pending = b""  # bytes whose character, or whose CR LF, is not complete yet
        self._offset = 0  # of _pending's first byte in the source
        self._byte_order_mark = False
        self._newlines_replaced = 0
        self._characters: list[str] = []  # in the order of first appearance
        self._codes = bytearray()
        self._use(np.dtype(np.uint8))

    @property
    def size(self) -> int:
        """Memory of the codes so far, in bytes: up to four for a character, where there are many."""
        return len(self._codes)

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the text.

        Raises
        ------
        CorpusError
            The bytes are not UTF-8; the message names byte offset and line.
        """
        self._take(block, final=False)

    def finish(self) -> CodedText:
        """Return the coded text; the coder is used up.

        Raises
        ------
        CorpusError
            The text ends inside a character, or is empty.
        """
        self._take(b"", final=True)
        if not self._characters:
            raise CorpusError(f"{self._name} is empty: there is nothing to learn from")
        codes, vocabulary = self._sorted()
        codes.flags.writeable = False
        return CodedText(
            codes,
            vocabulary,
            self._digest.hexdigest(),
            self._offset,
            self._byte_order_mark,
            self._newlines_replaced,
        )

    # -- bytes to characters ------------------------------------------------------------------------------

    def _take(self, block: bytes, *, final: bool) -> None:
        data = self._pending + block if self._pending else block
        if self._offset == 0 and len(data) < _BEGINNING and not final:
            self._pending = data  # how a text begins tells what it is, where it is not UTF-8
            return
        if self._offset == 0 and data.startswith(codecs.BOM_UTF8):
            data = data[len(codecs.BOM_UTF8) :]
            self._offset = len(codecs.BOM_UTF8)
            self._byte_order_mark = True
        if data.isascii():
            text, used = None, len(data)
        else:
            text, used = self._decode(data, final=final)
        if not final and used and data[used - 1 : used] == b"\r":
            used -= 1  # an LF may follow in the next block
            text = text[:-1] if text is not None else None
        self._pending, data = data[used:], data[:used]
        self._offset += used
        if b"\r" in data:
            self._newlines_replaced += data.count(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            text = text.replace("\r\n", "\n").replace("\r", "\n") if text is not None else None
        self._digest.update(data)
        if text is None and self._dtype == np.uint8:
            self._add_ascii(data)
        else:
            self._add_text(text if text is not None else data.decode("ascii"))

    def _decode(self, data: bytes, *, final: bool) -> tuple[str, int]:
        try:
            return codecs.utf_8_decode(data, "strict", final)
        except UnicodeDecodeError as error:
            before = data[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            offset, line = self._offset + error.start, 1 + self._newlines() + before.count(b"\n")
            raise CorpusError(
                f"{self._name} is not UTF-8: {error.reason} at byte {offset:,} (line {line:,}); "
                f"{_remedy(data) if self._offset == 0 else _REMEDY}"
            ) from None

    def _newlines(self) -> int:
        """Return how many newlines are in what was coded; nothing is counted until somebody asks."""
        if "\n" not in self._characters:
            return 0
        codes: Codes = np.frombuffer(self._codes, self._dtype)
        return int(np.count_nonzero(codes == self._characters.index("\n")))

    # -- characters to codes ------------------------------------------------------------------------------

    def _use(self, dtype: np.dtype[np.unsignedinteger]) -> None:
        """Keep codes in this type from now on.

        Its largest value stands for "not seen yet" until the last character that the type can hold takes it;
        from then on that value only says "look whether it is new".
        """
        self._dtype = dtype
        self._unseen = int(np.iinfo(dtype).max)
        self._table: Codes = np.full(_UNICODE, self._unseen, dtype)
        if self._characters:
            self._table[code_points("".join(self._characters))] = np.arange(len(self._characters))
        self._ascii = self._table[:128].tobytes().ljust(256) if dtype == np.uint8 else b""

    def _add_ascii(self, data: bytes) -> None:
        # bytes.translate is twice as fast as NumPy's take, and most texts are mostly ASCII.
        codes = data.translate(self._ascii)
        if self._unseen in codes and self._learn(data.decode("ascii")):
            self._add_text(data.decode("ascii"))
        else:
            self._codes += codes

    def _add_text(self, text: str) -> None:
        points = code_points(text)
        codes = self._table.take(points, mode="clip")
        if np.any(codes == self._unseen) and self._learn(text):
            codes = self._table.take(points, mode="clip")
        self._codes += codes.data.cast("B")

    def _learn(self, text: str) -> bool:
        """Give codes to the characters that are new, and return whether there are any."""
        new = sorted(set(text).difference(self._characters))
        if not new:
            return False
        codes = np.arange(len(self._characters), len(self._characters) + len(new))
        self._characters += new
        if len(self._characters) > self._unseen + 1:
            before = self._dtype
            self._use(np.min_scalar_type(len(self._characters) - 1))
            _widen(self._codes, before, self._dtype)
        else:
            self._table[code_points("".join(new))] = codes
            if self._dtype == np.uint8:
                self._ascii = self._table[:128].tobytes().ljust(256)
        return True

    def _sorted(self) -> tuple[Codes, Vocabulary]:
        vocabulary = Vocabulary("".join(sorted(self._characters)))
        place = {character: code for code, character in enumerate(vocabulary.characters)}
        order = np.array([place[character] for character in self._characters], self._dtype)
        size = BLOCK_BYTES
        if self._dtype == np.uint8:
            table = order.tobytes().ljust(256)
            for start in range(0, len(self._codes), size):
                self._codes[start : start + size] = self._codes[start : start + size].translate(table)
        codes: Codes = np.frombuffer(self._codes, self._dtype)
        if self._dtype != np.uint8:
            for start in range(0, len(codes), size):
                codes[start : start + size] = order.take(codes[start : start + size], mode="clip")
        return codes, vocabulary


def _widen(
    codes: bytearray, before: np.dtype[np.unsignedinteger], after: np.dtype[np.unsignedinteger]
) -> None:
    """Change the type of codes in place, last block first, so that no second copy of the text is needed."""
    count = len(codes) // before.itemsize
    for added in range(0, count * (after.itemsize - before.itemsize), BLOCK_BYTES):
        codes.extend(bytes(min(BLOCK_BYTES, count * (after.itemsize - before.itemsize) - added)))
    narrow: Codes = np.frombuffer(codes, before)
    wide: Codes = np.frombuffer(codes, after)
    for end in range(count, 0, -BLOCK_BYTES):
        start = max(0, end - BLOCK_BYTES)
        wide[start:end] = narrow[start:end].copy()


_REMEDY = "convert it to UTF-8 first, for example with iconv -f ISO-8859-1 -t UTF-8"


def _remedy(beginning: bytes) -> str:
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it begins like UTF-16: convert it first with iconv -f UTF-16 -t UTF-8"
    if beginning.startswith(b"\x1f\x8b"):
        return "it begins like a gzip file: unpack it first with gunzip"
    return _REMEDY
