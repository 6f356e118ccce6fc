"""Markdown: what is written down is what a reader of Markdown sees, whatever a text holds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from charrnn_tui.report.document import (
    Block,
    Column,
    Commands,
    Document,
    Facts,
    LossFigure,
    Paragraph,
    Section,
    Table,
    Written,
)
from charrnn_tui.report.markdown import markdown

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

DANGEROUS = st.text(st.sampled_from("ab1 `*_[]()<>#|~$&;!@\\-+=.\n\t\x1b:/"), max_size=20)


def written(*blocks: Block, figure: str = "") -> str:
    """Return the Markdown of blocks in a document, without its headings."""
    text = markdown(Document("t", "s", [Section("h", blocks)]), figure)
    return text.removeprefix("# t\n\ns\n\n## h\n\n")


def seen(text: str) -> list[Token]:
    """Return the pieces of text that a reader sees, in their order."""
    tokens = READER.parse(text)
    return [piece for token in tokens for piece in token.children or [] if token.type == "inline"]


def one_line(text: str) -> str:
    return text.replace("\n", "␊").replace("\t", "␉").replace("\x1b", "␛")


# -- prose -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("- x", "\\- x"),
        ("+ x", "\\+ x"),
        ("= x", "\\= x"),
        ("-", "\\-"),
        ("1. x", "1\\. x"),
        ("12) x", "12\\) x"),
        ("# x", "\\# x"),
        ("> x", "\\> x"),
        ("![a](b)", "\\!\\[a\\](b)"),
        ("*a* _b_", "\\*a\\* \\_b\\_"),
        ("<b> a|b ~~c~~", "\\<b\\> a\\|b \\~\\~c\\~\\~"),
        ("`a` \\ $x$ &amp; @b", "\\`a\\` \\\\ \\$x\\$ \\&amp; \\@b"),
        ("a - b, 1.5 = 2. -x 1.x", "a - b, 1.5 = 2. -x 1.x"),
        ("two\nlines\tand\x1b", "two␊lines␉and␛"),
    ],
)
def test_what_means_something_in_markdown_is_escaped(text: str, escaped: str) -> None:
    assert written(Paragraph(text)) == f"{escaped}\n"


@given(DANGEROUS)
def test_a_reader_sees_the_text_of_a_heading_and_of_a_cell(text: str) -> None:
    document = Document(text, "s", [Section("h", [Facts([(f"a{text}", f"{text}a")])])])
    headings = markdown(document, "").split("\n\n")
    assert "".join(piece.content for piece in seen(headings[0])) == one_line(text).strip(" ")
    pieces = seen(headings[-1])
    assert {piece.type for piece in pieces} <= {"text", "text_special"}
    assert "".join(piece.content for piece in pieces) == (
        f"a{one_line(text)}".rstrip(" ") + f"{one_line(text)}a".lstrip(" ")
    )


@given(DANGEROUS)
def test_a_reader_sees_the_text_of_a_paragraph(text: str) -> None:
    for tone in ("plain", "note", "warning"):
        tokens = READER.parse(written(Paragraph(f"a {text} b", tone)))  # type: ignore[arg-type]
        kinds = [token.type for token in tokens if not token.type.startswith("blockquote")]
        assert kinds == ["paragraph_open", "inline", "paragraph_close"]
        pieces = tokens[kinds.index("inline") + (tone != "plain")].children or []
        assert {piece.type for piece in pieces} <= {"text", "text_special", "strong_open", "strong_close"}
        assert "".join(piece.content for piece in pieces) == f"a {one_line(text)} b"


def test_a_note_is_quoted_and_a_warning_is_bold() -> None:
    assert written(Paragraph("a", "note")) == "> a\n"
    assert written(Paragraph("a*", "warning")) == "> **a\\***\n"


# -- tables ------------------------------------------------------------------------------------------------


def test_a_table_has_its_caption_above_and_numbers_on_the_right() -> None:
    table = Table([Column("a|b"), Column("n", "number")], [("x|y", "1"), ("z", "2")], "made_up")
    assert written(table) == (
        "made\\_up:\n\n| a\\|b | n |\n| --- | ---: |\n| x\\|y | 1 |\n| z | 2 |\n"
    )  # fmt: skip
    assert written(Facts([("a*", "b")])) == "| | |\n| --- | --- |\n| a\\* | b |\n"


@pytest.mark.parametrize(
    ("sample", "cell"),
    [
        ("abc", "`abc`"),
        ("a`b", "``a`b``"),
        ("a``b`", "``` a``b` ```"),
        ("`a", "`` `a ``"),
        (" a ", "`  a  `"),
        (" a", "` a`"),
        ("a ", "`a `"),
        ("   ", "`   `"),
        ("a|b", "`a\\|b`"),
        ("a\n\nb", "`a`<br><br>`b`"),
        ("a\tb\x1b\u202e", "`a␉b␛\ufffd`"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_sample_in_a_cell_is_code(sample: str, cell: str) -> None:
    assert written(Table([Column("text", "sample")], [(sample,)])).splitlines()[-1] == f"| {cell} |"


@given(st.text(st.sampled_from("ab `|\\<*_\n\t&"), max_size=20))
def test_a_reader_sees_a_sample_in_a_cell_as_it_is(sample: str) -> None:
    table = Table([Column("n", "number"), Column("text", "sample")], [("7", sample)])
    _, _, seven, *pieces = seen(written(table))
    assert seven.content == "7"
    assert {piece.type for piece in pieces} <= {"code_inline", "html_inline"}
    told = "".join("\n" if piece.content == "<br>" else piece.content for piece in pieces)
    assert told == sample.replace("\t", "␉")


# -- texts and commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fence"),
    [("a", "```"), ("`` a", "```"), ("```\n# a", "````"), ("a ````` b ```", "``````")],
)
def test_the_fence_around_a_text_is_longer_than_any_in_it(text: str, fence: str) -> None:
    assert written(Written(text)) == f"{fence}text\n{text}\n{fence}\n"


def test_a_tab_in_a_text_is_a_picture() -> None:
    assert written(Written("a\tb\x1b[0m\u202e\nc")) == "```text\na␉b␛[0m\ufffd\nc\n```\n"


@given(DANGEROUS)
def test_a_reader_sees_a_text_as_code(text: str) -> None:
    tokens: Sequence[Token] = READER.parse(written(Written(text)))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == text.replace("\t", "␉").replace("\x1b", "␛") + "\n"


def test_commands_are_harmless_and_in_one_line_each() -> None:
    assert written(Commands(["a 'b\nc'", "d\x1b\t"])) == "```sh\na 'b␊c'\nd␛␉\n```\n"


def test_a_figure_has_a_description_and_a_caption() -> None:
    figure = LossFigure("loss [of] a", "smooth_loss")
    assert written(figure, figure="a.svg") == "![loss \\[of\\] a](a.svg)\n\n*smooth\\_loss*\n"
    assert written(figure) == "*smooth\\_loss*\n"
