import dataclasses
import hashlib
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn_core.errors import CorpusError, UsageError
from charrnn_core.runs.files import Entry
from charrnn_core.text import coding, corpus, source
from charrnn_core.text.coding import BLOCK_BYTES, CodedText, TextCoder
from charrnn_core.text.corpus import Corpus, corpus_of, read_corpus, write_text
from charrnn_core.text.source import Source, bundled_sources, find_source

BOM = b"\xef\xbb\xbf"
NEWLINE = re.compile("\r\n|\r")


# -- the obvious implementation, and texts to compare with it ---------------------------------------------


def normal(data: bytes) -> str:
    """Give the text of bytes without byte order mark and with LF newlines, all at once."""
    return NEWLINE.sub("\n", data.removeprefix(BOM).decode("utf-8"))


def check_against_the_whole_text(coded: CodedText | Corpus, data: bytes) -> None:
    """Compare what was coded block by block with what the whole string gives."""
    text = normal(data)
    characters = sorted(set(text), key=ord)
    code_of = {character: code for code, character in enumerate(characters)}
    assert coded.vocabulary.characters == "".join(characters)
    assert coded.codes.tolist() == [code_of[character] for character in text]
    assert coded.codes.dtype == smallest_type(len(characters))
    assert coded.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert coded.newlines_replaced == len(NEWLINE.findall(data.decode("utf-8")))
    assert coded.byte_order_mark == data.startswith(BOM)
    assert coded.source_bytes == len(data)


def smallest_type(count: int) -> type:
    return np.uint8 if count <= 2**8 else np.uint16 if count <= 2**16 else np.uint32


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at the given places; equal places give empty blocks."""
    return [data[start:end] for start, end in pairwise([0, *sorted(places), len(data)])]


def every(step: int, data: bytes) -> list[int]:
    return list(range(step, len(data), step))


def code(blocks: list[bytes], name: str = "some.txt") -> CodedText:
    coder = TextCoder(name)
    for block in blocks:
        coder.feed(block)
    return coder.finish()


def distinct(count: int, first: int = 0xE000) -> str:
    """Give distinct characters: three bytes each, the later ones four."""
    return "".join(map(chr, range(first, first + count)))


PIECES = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.text(st.characters(codec="ascii"), max_size=6),
    st.sampled_from(["\r\n", "\r", "\n", "\n\r", "\r\r\n", "\ufeff", "\0", "e\u0301", "😀", "\U0010ffff"]),
)
# Runs of distinct characters make codes widen, before, between and after other pieces.
RUNS = st.builds(distinct, st.sampled_from([127, 128, 200, 254, 255, 256, 257]), st.integers(0, 0x3000))
TEXTS = st.builds(
    lambda mark, pieces: mark + "".join(pieces).encode(),
    st.sampled_from([b"", BOM]),
    st.lists(PIECES | PIECES | PIECES | RUNS, max_size=8),
)


@st.composite
def texts_in_blocks(draw: st.DrawFn, texts: st.SearchStrategy[bytes] = TEXTS) -> list[bytes]:
    data = draw(texts)
    if draw(st.booleans()):
        return cut(data, every(draw(st.integers(1, 5)), data))
    return cut(data, draw(st.lists(st.integers(0, len(data)), max_size=10)))


# -- coding -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(texts_in_blocks(TEXTS.filter(normal)), st.sampled_from([1, 3, 100, BLOCK_BYTES]))
@example([b"\xef", b"\xbb", b"\xbf", b"a"], BLOCK_BYTES)
@example([BOM, b"", BOM, b"a"], BLOCK_BYTES)
@example([b"\r", b"\n", b"\r", b"", b"\r", b"\n\n"], BLOCK_BYTES)
@example([b"a\r\xc3", b"\xa9\r", b"\n\xf0\x9f", b"\x98", b"\x80\r"], BLOCK_BYTES)
def test_a_text_in_any_blocks_is_coded_like_the_whole_text(blocks: list[bytes], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coding, "BLOCK_BYTES", size)  # so that tiny texts, too, are several blocks at the end
        coded = code(blocks)
    check_against_the_whole_text(coded, b"".join(blocks))


@pytest.mark.parametrize("places", ["one block", "many blocks"])
@pytest.mark.parametrize(
    "count", [1, 2, 127, 128, 129, 254, 255, 256, 257, 258, 511, 65_535, 65_536, 65_537, 70_000]
)
def test_codes_widen_just_when_they_must(count: int, places: str) -> None:
    # The high ones first, and again at the end: codes in the order of appearance and sorted ones differ.
    characters = distinct(count)
    data = (characters[::-1] + characters[: count // 2] + characters[-1]).encode()
    step = len(data) if places == "one block" else max(1, len(data) // 17)
    check_against_the_whole_text(code(cut(data, every(step, data))), data)


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("count", [254, 255, 256])
def test_ascii_after_many_characters_is_coded_right(count: int, newline: bytes) -> None:
    data = newline.join([distinct(count).encode(), b"plain", b"text", "é".encode(), b"again"])
    check_against_the_whole_text(code(cut(data, every(4, data))), data)


@pytest.mark.parametrize("last", ["a", "é", "\U0010ffff", "\n"])
def test_the_256th_character_is_told_from_one_that_is_new(last: str) -> None:
    data = (distinct(255) + last * 3 + "\ue000" + last).encode()
    check_against_the_whole_text(code([data, last.encode(), data]), data + last.encode() + data)
    for new in ("b", "θ"):
        blocks = [data, last.encode(), new.encode(), (last + new).encode()]
        check_against_the_whole_text(code(blocks), b"".join(blocks))


def test_a_text_longer_than_several_blocks_widens_at_its_end() -> None:
    data = b"plain text\r\n" * (BLOCK_BYTES // 4) + distinct(300).encode()
    coded = code(cut(data, every(BLOCK_BYTES, data)))
    text = normal(data)
    assert coded.codes.dtype == np.uint16
    points = np.array(sorted(map(ord, set(text))))
    assert np.array_equal(points[coded.codes], np.frombuffer(text.encode("utf-32-le"), np.uint32))


def test_only_a_byte_order_mark_at_the_very_start_is_dropped() -> None:
    assert code([BOM + BOM + b"a" + BOM]).vocabulary.characters == "a\ufeff"
    assert code([BOM + BOM + b"a" + BOM]).codes.tolist() == [1, 0, 1]
    assert code([b"\r" + BOM]).byte_order_mark is False


def test_one_character_is_a_text() -> None:
    coded = code([b"\0"])
    assert (coded.vocabulary.characters, coded.codes.tolist()) == ("\0", [0])


def test_the_codes_cannot_be_written_to() -> None:
    for count in (2, 256, 257):
        coded = code([distinct(count).encode()])
        with pytest.raises(ValueError, match="read-only"):
            coded.codes[0] = 1
        with pytest.raises(dataclasses.FrozenInstanceError):
            coded.codes = coded.codes  # type: ignore[misc]


@pytest.mark.parametrize("blocks", [[], [b""], [b"", b""], [BOM], [b"\xef", b"\xbb", b"\xbf"]])
def test_an_empty_text_is_refused_by_name(blocks: list[bytes]) -> None:
    with pytest.raises(CorpusError, match=r"^some\.txt is empty: there is nothing to learn from$"):
        code(blocks)


# -- bytes that are not UTF-8 -----------------------------------------------------------------------------

# None of them is valid whatever follows: a text that can follow begins a character.
INVALID = [b"\xff", b"\x80", b"\xbf\xbf", b"\xc0\xaf", b"\xe4", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80"]


def failure(blocks: list[bytes]) -> str:
    with pytest.raises(CorpusError) as caught:
        code(blocks)
    return str(caught.value)


def place_of_the_error(data: bytes) -> str:
    """Give reason, offset and line as decoding the whole text and counting its newlines have them."""
    with pytest.raises(UnicodeDecodeError) as caught:
        data.decode("utf-8")
    before = data[: caught.value.start].decode("utf-8")
    line = 1 + len(re.findall("\r\n|\r|\n", before))
    return f"some.txt is not UTF-8: {caught.value.reason} at byte {caught.value.start:,} (line {line:,}); "


@settings(deadline=None)
@given(texts_in_blocks(st.builds(lambda *parts: b"".join(parts), TEXTS, st.sampled_from(INVALID), TEXTS)))
@example([b"a\r", b"\xff"])
@example([b"a\r\n", b"\xff"])
@example([b"a\r", b"\n\xff"])
@example([BOM + b"\r", b"\n", b"\xe4", b"a"])
@example([b"\xef", b"\xbb\xff"])
def test_an_invalid_byte_is_named_by_offset_and_line_in_any_blocks(blocks: list[bytes]) -> None:
    message = failure(blocks)
    assert message.startswith(place_of_the_error(b"".join(blocks)))


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("position", range(17))
@pytest.mark.parametrize("mark", [b"", BOM])
def test_an_invalid_byte_at_any_position_is_found(mark: bytes, position: int, step: int) -> None:
    good = mark + b"one\r\ntwo\rsix\nten\n"
    data = good[: len(mark) + position] + b"\xff" + good[len(mark) + position :]
    line = 1 + [position >= newline for newline in (5, 9, 13, 17)].count(True)
    line += position == 4  # between CR and LF: the CR alone has ended the line
    expected = f"invalid start byte at byte {len(mark) + position} (line {line}); convert it to UTF-8 first"
    assert expected in failure(cut(data, every(step, data)))


@pytest.mark.parametrize("character", ["é", "€", "😀"])
@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_a_character_cut_off_at_the_end_is_named_where_it_begins(character: str, step: int) -> None:
    for length in range(1, len(character.encode())):
        data = BOM + b"a\r\n\r\xe2\x82\xac\n" + character.encode()[:length]
        expected = "some.txt is not UTF-8: unexpected end of data at byte 11 (line 4); "
        assert failure(cut(data, every(step, data))).startswith(expected)
        assert place_of_the_error(data) == expected


def test_large_offsets_and_lines_are_grouped_by_thousands() -> None:
    data = b"123456789\r\n" * 1234 + b"ab\xff"
    assert "at byte 13,576 (line 1,235); " in failure(cut(data, every(1000, data)))


@pytest.mark.parametrize(
    ("beginning", "remedy"),
    [
        (b"\xff\xfea\0b\0", "it begins like UTF-16: convert it first with iconv -f UTF-16 -t UTF-8"),
        (b"\xfe\xff\0a\0b", "it begins like UTF-16: convert it first with iconv -f UTF-16 -t UTF-8"),
        (b"\x1f\x8b\x08\0\0", "it begins like a gzip file: unpack it first with gunzip"),
    ],
)
# A pipe may give its first byte alone.
@pytest.mark.parametrize("first_block", [100, 4, 3, 2, 1])
def test_the_beginnings_of_utf_16_and_gzip_have_remedies_of_their_own(
    beginning: bytes, remedy: str, first_block: int
) -> None:
    assert failure([beginning[:first_block], beginning[first_block:]]).endswith("; " + remedy)


@pytest.mark.parametrize("beginning", ["utf-16", "utf-16-be", "gzip"])
def test_what_begins_like_utf_16_or_gzip_only_later_has_the_usual_remedy(beginning: str) -> None:
    bad = {"utf-16": b"\xff\xfea\0", "utf-16-be": b"\xfe\xff\0a", "gzip": b"\x1f\x8b\x08"}[beginning]
    for blocks in ([b"a" + bad], [b"a", bad], [BOM + bad], [BOM, bad]):
        assert "iconv -f ISO-8859-1 -t UTF-8" in failure(blocks)


# -- files that cannot be read ----------------------------------------------------------------------------


def refusal(text: str, progress: Callable[[int], None] | None = None) -> str:
    """Give the sentence with which a text is refused."""
    with pytest.raises(CorpusError) as caught:
        read_corpus(text, progress)
    assert isinstance(caught.value, UsageError)
    return str(caught.value)


def nothing_may_be_read(count: int) -> None:
    pytest.fail(f"{count} bytes were read")  # and not, from /dev/zero, for ever


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["texts", "./texts", "texts/", "."])
def test_a_directory_is_refused(folder: Path, name: str) -> None:
    (folder / "texts").mkdir()
    assert refusal(name) == f"{Path(name)} is a directory; give a text file"


READ = """
import sys
from charrnn_core.errors import CorpusError
from charrnn_core.text.corpus import read_corpus
try:
    read_corpus(sys.argv[1])
except CorpusError as error:
    sys.exit(str(error))
"""


def test_a_named_pipe_without_a_writer_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # In a process of its own: if it hangs, only that one does.
    done = subprocess.run(
        [sys.executable, "-c", READ, str(pipe)], capture_output=True, text=True, timeout=10, check=False
    )
    assert done.stderr.strip().startswith(f"{pipe} is not a regular file; to read from a program: ")
    assert done.returncode == 1


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused_before_anything_is_read(device: str) -> None:
    assert refusal(device, nothing_may_be_read).startswith(f"{device} is not a regular file; ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_refused(folder: Path) -> None:
    secret = folder / "secret.txt"
    secret.write_bytes(b"text")
    secret.chmod(0)
    assert refusal("secret.txt") == "cannot read secret.txt: permission denied"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_file_in_a_folder_that_may_not_be_searched_is_refused(folder: Path) -> None:
    (folder / "closed").mkdir()
    (folder / "closed" / "some.txt").write_bytes(b"text")
    (folder / "closed").chmod(0)
    try:
        assert refusal("closed/some.txt") == "cannot read closed/some.txt: permission denied"
    finally:
        (folder / "closed").chmod(0o700)


@pytest.mark.parametrize("name", ["first", "./first", "second", "itself"])
def test_symbolic_links_in_a_circle_are_refused(folder: Path, name: str) -> None:
    (folder / "first").symlink_to("second")
    (folder / "second").symlink_to("first")
    (folder / "itself").symlink_to("itself")
    assert refusal(name) == f"cannot read {Path(name)}: its symbolic links lead round in a circle"


def test_a_link_to_nothing_is_refused_as_a_file(folder: Path) -> None:
    (folder / "play").symlink_to("gone")
    assert refusal("play") == "cannot read play: no such file or directory"


def test_a_path_to_nothing_is_refused(folder: Path) -> None:
    assert refusal("texts/gone.txt") == "cannot read texts/gone.txt: no such file or directory"


@pytest.mark.parametrize("name", ["gone.txt", "Play", "play.txt", "pythons"])
def test_a_name_of_nothing_is_refused_with_the_names_there_are(folder: Path, name: str) -> None:
    message = refusal(name)
    assert message == f"{name}: no such file, and no such bundled text ({', '.join(bundled_sources())})"
    assert "play" in message
    assert "python" in message


@pytest.mark.parametrize("name", ["a\0b", "./a\0b", "\0"])
def test_a_name_with_a_nul_is_refused(folder: Path, name: str) -> None:
    (folder / "a").write_bytes(b"not this one")
    assert re.search("null byte|no such file", refusal(name))


@pytest.mark.parametrize("name", ["x" * 300, "./" + "x" * 300, "x/" * 3000])
def test_a_name_too_long_for_the_system_is_refused(folder: Path, name: str) -> None:
    assert re.search("name too long|no such file", refusal(name))


def test_a_file_larger_than_the_memory_is_refused_before_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "large.txt").write_bytes(b"x" * 1235)
    monkeypatch.setattr(source, "installed_memory", lambda: 1234)
    message = refusal("large.txt", nothing_may_be_read)
    assert message == "large.txt has 1,235 bytes, more than the memory of this machine"
    monkeypatch.setattr(source, "installed_memory", lambda: 1235)
    assert len(read_corpus("large.txt")) == 1235


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file whose reading fails")
def test_an_error_while_reading_is_reported_as_ours() -> None:
    assert refusal("/proc/self/mem") == "cannot read /proc/self/mem: input/output error"


def test_an_unreadable_text_in_a_file_is_named_as_it_was_given(folder: Path) -> None:
    (folder / "latin.txt").write_bytes(b"na\xefve\n")
    expected = "./latin.txt is not UTF-8: invalid continuation byte at byte 2 (line 1); "
    assert refusal("./latin.txt").startswith(expected)


def test_an_empty_file_is_refused(folder: Path) -> None:
    (folder / "empty.txt").touch()
    assert refusal("empty.txt") == "empty.txt is empty: there is nothing to learn from"


def test_no_file_is_left_open(folder: Path) -> None:
    (folder / "good.txt").write_bytes(b"x" * (BLOCK_BYTES + 1))
    (folder / "bad.txt").write_bytes(b"\xff" * (BLOCK_BYTES + 1))
    (folder / "folder").mkdir()
    before = os.listdir("/dev/fd")  # noqa: PTH208 - names, to compare
    read_corpus("good.txt")
    for name in ("bad.txt", "folder", "/dev/null"):
        refusal(name)
    blocks = find_source("good.txt").blocks()
    next(blocks)
    blocks.close()
    assert os.listdir("/dev/fd") == before  # noqa: PTH208


# -- files, names and standard input ----------------------------------------------------------------------


def test_a_file_is_read_with_all_that_is_known_of_it(folder: Path) -> None:
    data = BOM + "Ünï\r\nθ😀\rx\n\0".encode()
    (folder / "my.text.txt").write_bytes(data)
    text = read_corpus("my.text.txt")
    check_against_the_whole_text(text, data)
    assert (text.name, text.kind, text.path) == ("my.text", "file", str(folder / "my.text.txt"))
    assert len(text) == len("Ünï\nθ😀\nx\n\0")
    assert text.newlines_replaced == 2


@pytest.mark.parametrize("piece", ["\r\n", "\r", "\r\r\n", "é", "€", "😀", "\ufeff"])
def test_what_lies_across_the_border_of_two_blocks_of_a_file_is_read_whole(
    tmp_path: Path, piece: str
) -> None:
    path = tmp_path / "some.txt"
    for before in range(1, len(piece.encode())):
        data = b"x" * (BLOCK_BYTES - before) + piece.encode() + b"y"
        path.write_bytes(data)
        text = read_corpus(str(path))
        assert text.vocabulary.decode(text.codes[BLOCK_BYTES - before :]) == NEWLINE.sub("\n", piece) + "y"
        assert text.sha256 == hashlib.sha256(normal(data).encode()).hexdigest()
        path.write_bytes(data + b"\xff")
        assert place_of_the_error(data + b"\xff").removeprefix("some.txt") in refusal(str(path))


def test_progress_is_told_of_all_bytes_read_so_far(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(BOM + b"\r\n" * BLOCK_BYTES)
    told: list[int] = []
    text = read_corpus(str(path), told.append)
    assert told == [BLOCK_BYTES, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES + 3]
    assert text.source_bytes == told[-1]
    assert len(text) == BLOCK_BYTES


@pytest.mark.parametrize("name", ["two\nlines.txt", "\x1b[2J.txt", "-.txt", " ", "[bold]", "\u202etxt", "~"])
def test_any_name_that_a_file_can_have_is_read(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"text")
    text = read_corpus(name)
    assert (text.name, text.kind, len(text)) == (Path(name).stem, "file", 4)
    assert text.path == f"{folder}/{name}"


def test_a_link_to_a_file_is_read_under_the_name_of_the_link(folder: Path) -> None:
    (folder / "real.txt").write_bytes(b"text")
    (folder / "link.txt").symlink_to("real.txt")
    text = read_corpus("link.txt")
    assert (text.name, text.path) == ("link", str(folder / "link.txt"))


def test_bundled_texts_are_found_by_name(folder: Path) -> None:
    texts = {path.stem: path for path in (Path(__file__).parents[2] / "corpora").glob("*.txt")}
    assert {"play", "tales"} <= set(texts)
    assert set(bundled_sources()) == {*texts, "python"}
    for name, path in texts.items():
        text = read_corpus(name)
        assert (text.name, text.kind, text.path) == (name, "bundled", None)
        check_against_the_whole_text(text, path.read_bytes())


def test_an_existing_file_of_a_bundled_name_wins(folder: Path) -> None:
    (folder / "play").write_bytes(b"mine")
    text = read_corpus("play")
    assert (text.name, text.kind, text.path) == ("play", "file", str(folder / "play"))
    assert text.vocabulary.characters == "eimn"


def test_a_path_never_means_a_bundled_text(folder: Path) -> None:
    assert refusal("./play").startswith("cannot read play: no such file")


def test_the_bundled_python_is_the_beginning_of_the_standard_library() -> None:
    expected = b""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if len(expected) + path.stat().st_size > 5_000_000:
            break
        expected += path.read_bytes()
    text = read_corpus("python")
    assert (text.name, text.kind, text.path) == ("python", "bundled", None)
    assert 1_000_000 < text.source_bytes <= 5_000_000
    assert text.sha256 == hashlib.sha256(normal(expected).encode()).hexdigest()


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(2, b""), (3, b"aaa"), (6, b"aaa"), (7, b"aaabbbb"), (8, b"aaabbbb"), (9, b"aaabbbbcc")],
)
def test_python_ends_before_the_module_with_which_it_would_be_too_large(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limit: int, expected: bytes
) -> None:
    for name, data in {"c.py": b"cc", "b.py": b"bbbb", "a.py": b"aaa", "0.txt": b"0"}.items():
        (folder / name).write_bytes(data)
    monkeypatch.setattr(source, "PYTHON_BYTES", limit)
    monkeypatch.setattr(sysconfig, "get_path", {"stdlib": str(folder)}.get)
    assert b"".join(bundled_sources()["python"].blocks()) == expected


@pytest.fixture
def give_input(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Give a function that makes bytes the standard input."""
    readers = []

    def give(data: bytes) -> None:
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        readers.append(os.fdopen(reader))
        monkeypatch.setattr(sys, "stdin", readers[-1])

    yield give
    for reader in readers:
        reader.close()


def test_a_dash_is_standard_input(folder: Path, give_input: Callable[[bytes], None]) -> None:
    (folder / "-").write_bytes(b"not this one")
    data = BOM + "Käse\r\n".encode()
    give_input(data)
    text = read_corpus("-")
    check_against_the_whole_text(text, data)
    assert (text.name, text.kind, text.path) == ("input", "input", None)


def test_standard_input_that_is_bad_or_empty_is_refused(give_input: Callable[[bytes], None]) -> None:
    give_input(b"a\r\n\xff")
    assert refusal("-").startswith("standard input is not UTF-8: invalid start byte at byte 3 (line 2); ")
    give_input(b"")
    assert refusal("-") == "standard input is empty: there is nothing to learn from"


def test_standard_input_that_gives_more_than_the_memory_is_refused(
    give_input: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "installed_memory", lambda: 19)
    give_input(b"123456789")
    assert len(read_corpus("-")) == 9
    give_input(b"1234567890")
    assert refusal("-") == (
        "standard input gives more than 9 B, half of the memory that charrnn may use; give a part of the text"
    )


def test_standard_input_that_the_shell_closed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert refusal("-") == "standard input is closed; give a file or the name of a bundled text"


def test_standard_input_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: descriptor))
    try:
        assert refusal("-") == "cannot read standard input: is a directory"
    finally:
        os.close(descriptor)


def test_a_source_gives_the_bytes_of_its_files_in_order_and_in_small_blocks(folder: Path) -> None:
    paths = (folder / "b", folder / "a")
    paths[0].write_bytes(b"1" * (2 * BLOCK_BYTES + 3))
    paths[1].write_bytes(b"2" * 5)
    blocks = list(Source("bundled", "both", paths).blocks())
    assert b"".join(blocks) == b"1" * (2 * BLOCK_BYTES + 3) + b"2" * 5
    assert max(map(len, blocks)) <= BLOCK_BYTES


# -- a text that has been read ----------------------------------------------------------------------------


@settings(deadline=None)
@given(TEXTS.filter(normal), st.sampled_from([1, 3, 100, BLOCK_BYTES]))
def test_the_blocks_of_a_corpus_joined_are_its_text(data: bytes, size: int) -> None:
    text = corpus_of(data.decode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "BLOCK_BYTES", size)
        blocks = list(text.text_blocks())
    assert "".join(blocks) == normal(data)
    assert [len(block) for block in blocks[:-1]] == [size] * (len(blocks) - 1)
    assert 0 < len(blocks[-1]) <= size


@settings(deadline=None)
@given(st.text("abc", min_size=1, max_size=60), st.floats(0, 1, exclude_max=True))
def test_a_split_gives_the_beginning_and_the_end_as_views(text: str, held_out: float) -> None:
    whole = corpus_of(text)
    training, validation = whole.split(held_out)
    assert training.tolist() + validation.tolist() == whole.codes.tolist()
    assert len(validation) <= len(text) * held_out < len(validation) + 1
    assert np.shares_memory(training, whole.codes)
    assert not len(validation) or np.shares_memory(validation, whole.codes)


def test_nothing_held_out_leaves_the_whole_text_for_training() -> None:
    training, validation = corpus_of("some text").split(0.0)
    assert (len(training), len(validation)) == (9, 0)


def test_a_share_held_out_is_the_end_of_the_text() -> None:
    whole = corpus_of("0123456789")
    training, validation = whole.split(0.3)
    assert whole.vocabulary.decode(training) == "0123456"
    assert whole.vocabulary.decode(validation) == "789"


@pytest.mark.parametrize("text", ["one line\n", "a\r\nb\rc\n", "\ufeffmark", "\ufeffa\r\n"])
def test_a_text_in_memory_is_described_like_the_same_text_in_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "some.txt").write_bytes(text.encode())
    read = read_corpus(str(tmp_path / "some.txt"))
    given_text = corpus_of(text, "some")
    check_against_the_whole_text(read, text.encode())
    assert (given_text.name, given_text.kind, given_text.path) == ("some", "input", None)
    check_against_the_whole_text(given_text, text.encode())


def test_an_empty_text_in_memory_is_refused_by_name() -> None:
    with pytest.raises(CorpusError, match=r"^greeting is empty"):
        corpus_of("", "greeting")


@pytest.mark.parametrize(
    "data",
    [
        b"a\n\nb",
        BOM + b"a\r\nb\rc",
        "Käse, 蛇, 😀, \0 and e\u0301\n".encode(),
        distinct(300).encode(),
        # The mark is dropped, the character after it is of the text.
        pytest.param(BOM + "\ufeffa\n".encode(), id="U+FEFF as first character"),
    ],
)
def test_a_text_that_was_written_is_read_again_as_the_same_text(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "before.txt").write_bytes(data)
    before = read_corpus(str(tmp_path / "before.txt"))
    write_text(before, Entry.at(tmp_path / "after.txt").create())
    after = read_corpus(str(tmp_path / "after.txt"))
    assert after.newlines_replaced == 0
    assert after.sha256 == before.sha256
    assert after.codes.tolist() == before.codes.tolist()


def test_a_text_is_written_in_utf_8_with_lf_newlines(tmp_path: Path) -> None:
    write_text(corpus_of("ä\r\nb\r"), Entry.at(tmp_path / "new.txt").create())
    assert (tmp_path / "new.txt").read_bytes() == b"\xc3\xa4\nb\n"


def test_writing_a_text_never_replaces_a_file(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        write_text(corpus_of("new"), Entry.at(tmp_path / "old.txt").create())
    assert (tmp_path / "old.txt").read_bytes() == b"precious"


# -- memory -----------------------------------------------------------------------------------------------

MEASURE = """
import resource, sys
from charrnn_core.text.corpus import read_corpus
corpus = read_corpus(sys.argv[1]) if len(sys.argv) > 1 else None
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
print(len(corpus) if corpus else 0, corpus.codes.nbytes if corpus else 0)
"""

PLAIN = b"Plain text, of which there is more than of anything else.\r\n"
LARGE_TEXTS = {
    "one byte a code": (PLAIN * 20 + distinct(150).encode(), b""),
    "exactly 256 characters": (bytes(range(14, 128)) + distinct(142).encode() + PLAIN[:-2] * 99, b""),
    "two bytes a code": ((distinct(300, 32) + "plain text " * 500).encode(), b""),
    "two bytes a code after the last block": (PLAIN * 99, distinct(300).encode()),
}


def peak(*arguments: str) -> tuple[int, int, int]:
    """Give a child's peak memory in bytes, the number of characters and the bytes of their codes.

    A small shell starts the child: Linux counts what the starting process had to the peak of the new one, and
    this process may be large.
    """
    command = ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", MEASURE, *arguments]
    memory, characters, codes = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.split()
    return int(memory), int(characters), int(codes)


@pytest.fixture(scope="module")
def idle_peak() -> int:
    """Give the peak memory of a process that has imported all and read nothing."""
    return peak()[0]


@pytest.fixture
def peak_of(tmp_path: Path, idle_peak: int) -> Iterator[Callable[[str, int], tuple[int, int, int]]]:
    """Give a function from a kind and size of text to the peak's rise, characters and bytes of codes."""
    path = tmp_path / "large.txt"

    def rise(kind: str, size: int) -> tuple[int, int, int]:
        body, end = LARGE_TEXTS[kind]
        path.write_bytes(body * (size // len(body)) + end)
        memory, characters, codes = peak(str(path))
        return memory - idle_peak, characters, codes

    yield rise
    path.unlink(missing_ok=True)


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("kind", list(LARGE_TEXTS))
def test_a_large_text_needs_little_memory_besides_its_codes(
    peak_of: Callable[[str, int], tuple[int, int, int]], kind: str
) -> None:
    rise, characters, codes = peak_of(kind, 30_000_000)
    assert codes == characters * (2 if kind.startswith("two") else 1)
    assert rise <= codes + 0.15 * characters + 60e6


@pytest.mark.slow
def test_a_larger_text_needs_as_much_more_memory_as_its_codes_are_larger(
    peak_of: Callable[[str, int], tuple[int, int, int]],
) -> None:
    # What does not grow with the text cancels out, so a single further copy of the codes would show.
    small, large = (peak_of("one byte a code", size) for size in (6_000_000, 30_000_000))
    rise, characters, codes = (after - before for before, after in zip(small, large, strict=True))
    assert rise <= codes + 0.15 * characters + 8e6
