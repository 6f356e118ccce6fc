"""What is installed: two packages at the top, the texts inside, and every text found in both places."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(target.glob("*.whl"))


def test_the_top_level_is_the_two_packages(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"charrnn_core", "charrnn_tui"}


def test_texts_and_type_marks_are_inside(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"charrnn_core/corpora/{path.name}" for path in (ROOT / "corpora").iterdir()}
    assert expected <= names
    expected = {"charrnn_core/py.typed", "charrnn_tui/py.typed"}
    assert expected | {"charrnn_tui/dashboard/app.tcss", "charrnn_tui/report/report.css"} <= names


def test_the_unpacked_wheel_trains_without_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    program = (
        f"import sys; sys.path[:] = [p for p in sys.path if p not in {[str(ROOT), str(ROOT / 'core')]!r}]; "
        f"sys.path.insert(0, {str(tmp_path / 'site')!r}); "
        "import charrnn_core; print(charrnn_core.__file__, file=sys.stderr); "
        "from charrnn_tui.cli import run; sys.exit(run(['train', 'play', '--updates', '5', '--hidden', '4']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "site") in done.stderr
    assert (Path(done.stdout.strip()) / "checkpoints" / "last.safetensors").is_file()
