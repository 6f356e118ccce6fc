"""What is installed: two packages at the top, the texts inside, and every text found in both places."""

import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import charrnn_core
from tests.program import finish

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(target.glob("*.whl"))


def test_the_top_level_is_the_two_packages(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    beside = re.compile(r"[^/]*\.(dist-info|data)/")  # what is said of it, and the manual page
    top = {name.split("/")[0] for name in names if not beside.match(name)}
    assert top == {"charrnn_core", "charrnn_tui"}


def test_texts_and_type_marks_are_inside(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"charrnn_core/corpora/{path.name}" for path in (ROOT / "corpora").iterdir()}
    assert expected <= names
    expected = {"charrnn_core/py.typed", "charrnn_tui/py.typed", "charrnn_tui/browser/page.html"}
    assert expected | {"charrnn_tui/dashboard/app.tcss", "charrnn_tui/report/report.css"} <= names


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with nothing of the repository: the wheel, and what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(wheel)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in required("charrnn-tui"):
        for top in {path.parts[0] for path in distribution(name).files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(sysconfig.get_path("purelib"), top))
    return folder


def required(name):
    """Return the distributions that one needs without its extras, those that they need, and so on."""
    found, left = set(), [name]
    while left:
        for told in distribution(left.pop()).requires or ():
            requirement = Requirement(told)
            of_use = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if of_use and requirement.name not in found:
                found.add(requirement.name)
                left.append(requirement.name)
    return found


@pytest.fixture
def here(installed, tmp_path, monkeypatch):
    """A folder of a user who has installed it; nothing of the checkout is on any path."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


@pytest.mark.slow
def test_nothing_comes_from_the_checkout(installed, here):
    program = "import charrnn_core, charrnn_tui; print(charrnn_core.__file__, charrnn_tui.__file__)"
    command = [installed / "bin" / "python", "-c", program]
    told = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout
    assert told.count(f"{installed}/lib/") == 2
    assert str(ROOT) not in told


def test_nothing_else_is_there(installed, here):
    """So that a package which the program needs, and does not say that it needs, is missed."""
    for name in ("pytest", "hypothesis", "numba", "textual_serve"):
        found = subprocess.run(
            [installed / "bin" / "python", "-c", f"import {name}"], capture_output=True, check=False
        )
        assert found.returncode == 1, name


@pytest.mark.slow
def test_what_is_installed_trains_and_writes(installed, here):
    program = str(installed / "bin" / "charrnn")
    small = ["--updates", "20", "--hidden", "8", "--quiet"]
    trained = finish([program, "train", "play", *small], here)
    assert (trained.code, trained.err) == (0, "")
    assert (Path(trained.out.strip()) / "checkpoints" / "last.safetensors").is_file()
    written = finish([program, "sample", "--length", "50"], here)
    assert (written.code, len(written.out)) == (0, 50)
    reported = finish([program, "report"], here)
    assert reported.code == 0
    assert "<style>" in Path(reported.out.strip()).read_text(encoding="utf-8")


def test_what_is_installed_shows_the_dashboard(installed, here, dashboard):
    dashboard.program = [str(installed / "bin" / "charrnn")]
    terminal = dashboard("play", "--updates", "100", "--hidden", "8")
    terminal.shows("■ ended", "Loss", "Gradients")
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.restored


def test_the_manual_page_is_where_man_looks(installed):
    assert (installed / "share" / "man" / "man1" / "charrnn.1").read_text(encoding="utf-8").startswith('.\\"')


def test_the_extras(wheel):
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = file.read(name).decode()
    extras = set(re.findall(r"^Provides-Extra: (.*)$", metadata, re.M))
    assert {"all", "fast", "tensorboard", "web"} <= extras
    assert f"Version: {charrnn_core.__version__}\n" in metadata


@pytest.mark.slow
def test_the_source_distribution_makes_the_same_wheel(wheel, tmp_path):
    build = [sys.executable, "-m", "hatchling", "build"]
    subprocess.run([*build, "-t", "sdist", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # since 3.11.4
        file.extractall(tmp_path, **safe)
    (source,) = tmp_path.glob("charrnn_tui-*/")
    subprocess.run([*build, "-t", "wheel", "-d", str(tmp_path)], cwd=source, check=True, capture_output=True)
    (again,) = tmp_path.glob("*.whl")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
