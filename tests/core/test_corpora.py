"""The bundled texts are what their README says, and hold no repetition."""

import lzma
import re
from collections import Counter

import pytest

from charrnn_core.text.corpus import read_corpus
from charrnn_core.text.source import PYTHON_BYTES, _corpora, bundled_sources


def text_of(name):
    return "".join(read_corpus(name).text_blocks())


def test_the_default_text_is_long_enough():
    assert len(text_of("tales")) >= 150_000
    assert len(text_of("play")) >= 50_000


@pytest.mark.parametrize("name", ["tales", "play"])
def test_no_long_sentence_occurs_twice(name):
    sentences = re.split(r"(?<=[.!?])[\"')]*\s+|\n+", text_of(name))
    repeated = [
        text for text, count in Counter(s.strip() for s in sentences).items() if count > 1 and len(text) > 60
    ]
    assert repeated == []


@pytest.mark.parametrize("name", ["tales", "play"])
def test_it_does_not_compress_like_something_made_by_a_program(name):
    text = text_of(name)
    assert 8 * len(lzma.compress(text.encode(), preset=9)) / len(text) > 2.2


def test_the_default_text_has_a_dozen_recurring_names():
    words = Counter(re.findall(r"\b[A-Z][a-z]+\b", text_of("tales")))
    people = "Tamsin Odwin Quill Pellow Hask Juniper Vale Crake Silas Gaunt Nan Ferris Wick Thrush Lumley"
    assert all(words[name] >= 10 for name in people.split())


@pytest.mark.parametrize("name", ["tales", "play"])
def test_the_readme_gives_size_and_digest(name):
    corpus = read_corpus(name)
    readme = (_corpora() / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}`"))
    assert f"{len(corpus):,}" in row
    assert corpus.sha256 in row


def test_python_is_the_standard_library_in_order_and_bounded():
    corpus = read_corpus("python")
    assert 1_000_000 < corpus.source_bytes <= PYTHON_BYTES
    paths = bundled_sources()["python"].paths
    assert list(paths) == sorted(paths)
    beginning = paths[0].read_bytes()[:400].decode()
    assert text_of("python").startswith(beginning)
