"""The pages for users, taken apart: their sections, and what stands in fences there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
    ROOT / "core" / "README.md",
    ROOT / "core" / "benchmarks" / "README.md",
]


@dataclass(frozen=True)
class Block:
    """What stands in one fence.

    Attributes
    ----------
    kind : str
        "sh": commands; "console": commands after `$`, and what they say; "python"; "text".
    text : str
    note : str
        The comment just above it, `<!-- like this -->`; or nothing.
    """

    kind: str
    text: str
    note: str

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each command, and the lines that it says by the page, without those left out (`...`)."""
        if self.kind == "sh":
            for command in _whole_commands(self.text.splitlines()):
                yield command, []
            return
        command, said = "", []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, said
                command, said = line.removeprefix("$ "), []
            elif line.strip() not in ("", "..."):
                said.append(line)
        yield command, said


def _whole_commands(lines: list[str]) -> Iterator[str]:
    """Yield commands: what is indented, and a `done`, belongs to the line before."""
    waiting: list[str] = []
    for line in lines:
        goes_on = line.startswith((" ", "done")) or (waiting and waiting[-1].endswith(("\\", "|")))
        if waiting and not goes_on:
            yield "\n".join(waiting)
            waiting = []
        if line.strip() and not line.startswith("#"):
            waiting.append(line)
    if waiting:
        yield "\n".join(waiting)


@dataclass(frozen=True)
class Section:
    """What stands below one heading of a page.

    Attributes
    ----------
    page : str
        Its path, from the root of the project.
    heading : str
    blocks : tuple of Block
    """

    page: str
    heading: str
    blocks: tuple[Block, ...]

    def __str__(self) -> str:
        return f"{Path(self.page).stem}: {self.heading}"


_PIECE = re.compile(
    r"^(?:#+ (?P<heading>.*)|<!-- (?P<note>.*) -->|```(?P<kind>\w*)\n(?P<text>(?s:.*?))^```)$", re.M
)


def sections(path: Path) -> list[Section]:
    """Return the sections of a page that have something in fences."""
    text = path.read_text(encoding="utf-8")
    found: list[tuple[str, list[Block]]] = [("", [])]
    note, end = "", 0
    for piece in _PIECE.finditer(text):
        if piece["heading"] is not None:
            found.append((piece["heading"], []))
        elif piece["note"] is not None:
            note = piece["note"]
        else:
            is_noted = text[end : piece.start()].strip() == ""
            found[-1][1].append(Block(piece["kind"] or "text", piece["text"], note if is_noted else ""))
            note = ""
        end = piece.end()
    page = str(path.relative_to(ROOT))
    return [Section(page, heading, tuple(blocks)) for heading, blocks in found if blocks]


def examples(path: Path) -> list[Section]:
    """Return the examples of a page of commands: those that ask a run which trains apart from the others."""
    page = str(path.relative_to(ROOT))
    commands = re.findall(r"^For example:\n\n    (.*)\n", path.read_text(encoding="utf-8"), re.M)
    asking = [command for command in commands if command.startswith("charrnn command ")]
    groups = {"examples": [each for each in commands if each not in asking], "examples of asking": asking}
    return [Section(page, heading, (Block("sh", "\n".join(group), ""),)) for heading, group in groups.items()]


SECTIONS = [section for path in PAGES for section in sections(path)]
"""All sections of all pages."""
