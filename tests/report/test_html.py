"""The page: it needs nothing, loads nothing, and its figures are drawn in its colours."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from charrnn_tui.report.document import (
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
from charrnn_tui.report.html import html
from charrnn_tui.report.markdown import markdown
from charrnn_tui.report.writing import report_html
from tests.characters import CONTROLS, FORBIDDEN, HIDDEN

from .conftest import begun_with, event, findings_of, recorded_events

NASTY = "<b>&\"'\t\x1b"
SHOWN = "&lt;b&gt;&amp;&quot;&#x27;␉␛"


@pytest.fixture(scope="module")
def page() -> str:
    """Return the page of a run to which everything has happened that a figure shows."""
    rates = {"command": "1", "name": "set-learning-rate", "arguments": {"learning_rate": 0.05}}
    *events, ended = recorded_events()
    events = [*events, event("obeyed", 300, **rates), {**ended, "reason": "diverged"}]
    return report_html(findings_of(events, begun_with=begun_with(), state="ended"))


class Balance(HTMLParser):
    """Whether each element is closed that was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_may_load_and_run_nothing(page: str) -> None:
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_a_page_is_whole(page: str) -> None:
    balance = Balance()
    balance.feed(page)
    balance.close()
    assert balance.open == []


def test_both_figures_are_in_a_page_and_neither_refers_to_the_other(page: str) -> None:
    figures = re.findall(
        r'<div class="(wide|narrow)" role="img" aria-label="[^"]+"><svg(.*?)</svg>', page, re.S
    )
    assert [name for name, _ in figures] == ["wide", "narrow"]
    assert page.count("<svg") == 2
    for _, figure in figures:
        own = set(re.findall(r' id="([^"]+)"', figure))
        referred = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', figure))
        assert referred
        assert referred <= own
    ids = Counter(re.findall(r' id="([^"]+)"', page))
    assert max(ids.values()) == 1


def test_figures_have_the_colours_of_the_page_and_no_others(page: str) -> None:
    for figure in re.findall("<svg.*?</svg>", page, re.S):
        assert not re.search("#[0-9a-f]{6}", figure)
        used = set(re.findall(r"var\((--[a-z-]+)\)", figure))
        assert used == {"--ink", "--muted", "--grid", "--data", "--held-out", "--band", "--good", "--bad"}
        defined = set(re.findall(r"(--[a-z-]+):", page[: page.index("<body>")]))
        assert used <= defined


def test_figures_have_the_colour_of_what_they_show(page: str) -> None:
    wide = page[page.index("<svg") : page.index("</svg>")]
    smooth = re.search(r"stroke: (var\(--[a-z-]+\)); stroke-width: 1\.6", wide)
    assert smooth is not None
    assert smooth[1] == "var(--data)"
    assert re.search(r"fill: var\(--band\); stroke: var\(--band\)", wide)


def test_figures_have_text_and_nothing_beside_the_drawing(page: str) -> None:
    assert "<metadata>" not in page
    assert "smooth loss</text>" in page
    assert "<?xml" not in page


def document(*blocks: object, title: str = "t") -> str:
    return html(Document(title, "s", [Section("h", blocks)]), "<svg>w</svg>", "<svg>n</svg>")  # type: ignore[arg-type]


def test_whatever_is_written_is_escaped() -> None:
    text = html(
        Document(
            NASTY,
            NASTY,
            [
                Section(
                    NASTY,
                    [
                        Paragraph(NASTY), Paragraph(NASTY, "note"), Facts([(NASTY, NASTY)]), Written(NASTY),
                        Commands([NASTY]), LossFigure(NASTY, NASTY),
                        Table([Column(NASTY), Column(NASTY, "sample")], [(NASTY, NASTY)], NASTY),
                    ],
                )
            ],
        ),
        "",
        "",
    )  # fmt: skip
    assert f"<title>{SHOWN}</title>" in text
    assert f"<h1>{SHOWN}</h1>" in text
    assert text.count(SHOWN) == text.count("b&gt;") == 19
    assert "<b>" not in text
    assert "\t" not in text[text.index("<body>") :]


def test_texts_of_a_network_have_the_direction_of_their_script() -> None:
    text = document(Written("a\nb"), Table([Column("n"), Column("t", "sample")], [("1", "c\nd")]))
    assert '<blockquote class="written" dir="auto">a\nb</blockquote>' in text
    assert '<td class="sample"><div class="written" dir="auto">c\nd</div></td>' in text


def test_paragraphs_have_their_tone() -> None:
    text = document(Paragraph("a"), Paragraph("b", "note"), Paragraph("c", "warning"))
    assert '<p>a</p>\n<p class="note">b</p>\n<p class="warning">c</p>' in text


def test_a_long_table_is_read_row_by_row_on_a_phone() -> None:
    six, seven = [Column(f"{number}", "number") for number in range(6)], [Column("a")] * 7
    assert "<table>" in document(Table(six, [["1"] * 6]))
    assert "<table class=long>" in document(Table(seven, [["1"] * 7]))
    for kind in ("sample", "description"):
        assert "<table class=long>" in document(Table([Column("a", kind)], [["1"]]))  # type: ignore[arg-type]
    assert '<td class="number" data-title="0">1</td>' in document(Table(six, [["1"] * 6]))


@pytest.mark.parametrize("kind", [*CONTROLS, *HIDDEN])
def test_nothing_hidden_reaches_a_page(kind: str) -> None:
    """Wherever a text, a name or a message of a run stands in a document."""
    codes = {**CONTROLS, **HIDDEN}[kind]
    evil = "a" + "".join(chr(code) for pair in codes for code in pair if chr(code) != "\n") + "<script>"
    table = Table([Column(evil), Column(evil, "sample"), Column(evil, "description")], [[evil] * 3], evil)
    blocks = [Paragraph(evil), Paragraph(evil, "warning"), table, Facts([(evil, evil)]), Written(evil)]
    blocks += [Commands([evil]), LossFigure(evil, evil)]
    document = Document(evil, evil, [Section(evil, blocks)])
    page = html(document, "", "")
    for text in (page, markdown(document, "")):
        assert FORBIDDEN.search(text) is None
    assert "&lt;script&gt;" in page
    tags = {tag for tag in re.findall(r"<([a-z0-9]+)", page)}
    assert tags.isdisjoint({"script", "iframe", "object", "embed", "form", "input", "img", "base"})
    assert not re.search(r"<[^>]* on[a-z]+=", page)
