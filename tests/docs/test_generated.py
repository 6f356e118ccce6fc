"""What is made from the code is as the code is now, and all pages can be built."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import charrnn_core
from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import FIELDS, Settings, option_name
from charrnn_tui.cli import COMMANDS
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_and_the_manual_page_are_as_the_code_is(generate: ModuleType) -> None:
    for name, text in generate.pages().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "python docs/generate.py"


def test_a_status_has_the_fields_of_the_page(generate: ModuleType, tmp_path: Path) -> None:
    section = generate.pages()["reference/events.md"].partition("## status.json")[2].partition("\n## ")[0]
    settings = Settings.of(hidden=4, seq_length=3, updates=2, sample_every=None)
    process = start(settings, corpus_of("abcde" * 9), runs=tmp_path)
    process.run(lambda item: None)
    status = json.loads(process.directory.status_file.path.read_text(encoding="utf-8"))
    assert list(status) == re.findall(r"^\| `(\w+)`", section, re.M)


def test_commands_and_settings_are_all_there(generate: ModuleType) -> None:
    pages = generate.pages()
    for name in COMMANDS:
        assert f"## charrnn {name}\n" in pages["reference/commands.md"]
        assert f'.SH "charrnn {name}"' in pages["charrnn.1"]
    for name in FIELDS:
        assert f"`{option_name(name)}`" in pages["reference/settings.md"]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_manual_page_has_no_mistake() -> None:
    command = ["groff", "-man", "-Tutf8", "-ww", "-z", str(ROOT / "docs" / "charrnn.1")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("myst_parser", reason="needs the extra docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-q",
        "-d",
        str(tmp_path / "trees"),
        "docs",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "tutorial.html").read_text(encoding="utf-8")
    assert "Watch it" in page
    assert re.findall(r'(?:src|href)="(https?://(?:fonts|cdn)[^"]*)', page) == []


def test_version_and_changelog_agree() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (newest,) = re.findall(r"^## (\S+)", changelog, re.M)[:1]
    assert newest == charrnn_core.__version__


def test_links_between_pages_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "core" / "README.md"]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", path.read_text(encoding="utf-8")):
            page = path.parent / target if target else path
            assert page.exists(), f"{path.name} leads to {target}"
            assert not anchor or anchor in anchors(page), f"{path.name} leads to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return what headings of a page, and of one that it includes, are called in links."""
    text = page.read_text(encoding="utf-8")
    included = re.findall(r"^```\{include\} (.*)$", text, re.M)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    own = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return own.union(*(anchors(page.parent / other) for other in included))
