"""Every screen as it looks, from a scripted run and with a clock that stands still."""

import json
import math
import os

import pytest
import textual

pytest.importorskip("pytest_textual_snapshot")
SNAPSHOT_VERSION = "8.2.8"
pytestmark = pytest.mark.skipif(
    textual.__version__ != SNAPSHOT_VERSION,
    reason=f"snapshots are those of Textual {SNAPSHOT_VERSION}, not of {textual.__version__}",
)

from charrnn_core.training.settings import Settings  # noqa: E402
from charrnn_core.training.state import bucket_width  # noqa: E402
from charrnn_tui.dashboard.app import Dashboard  # noqa: E402
from charrnn_tui.dashboard.preferences import Preferences  # noqa: E402
from charrnn_tui.dashboard.session import RunSession  # noqa: E402

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "60x20": (60, 20), "40x14": (40, 14)}
NOW = 2_000_000_000.0
CORPUS = {
    "name": "fable", "kind": "bundled", "path": None, "characters": 226_213, "vocabulary_size": 63,
    "sha256": "0123456789abcdef" * 4, "newlines_replaced": 0,
}  # fmt: skip
TEXTS = [
    "D)w;tbIWhJf(k-uyi;FvI(W jSCGLh?bqOshKYmcnDn,znWyR;fU(f!;guopHmKiDS",
    "Tawas ack theyonneas ile the his. The one.\nThacly it kisked on the [red]mill[/red].",
    "The runder loy. The by, Brent forsther that but have it on the hill,\nand looked to the sea.",
    "Sincin to the house on the hill, and the \x1b[31mfox\x1b[0m said nothing. 漢字 too, and a ẞ.",
]


def progress(update, first):
    smooth = 42 + 62 * math.exp(-update / 3000) + 0.6 * math.sin(update / 1500)
    spread = 6 + 3 * math.sin(update / 700)
    return {
        "type": "progress", "update": update, "time": update / 8000, "first_update": first,
        "epoch": update / 9048, "position": 0, "loss_mean": smooth, "loss_min": smooth - spread,
        "loss_max": smooth + 2 * spread, "smooth_loss": smooth, "gradient_norm": 20.0, "clipped_share": 0.01,
        "updates_per_second": 8000.0,
    }  # fmt: skip


def check(update, passed=True, command=None):
    rows = []
    for method, h0, window in (
        ("central", "zeros", "text"), ("central", "carried", "text"), ("complex-step", "carried", "text"),
        ("complex-step", "random", "stress"),
    ):  # fmt: skip
        for number, name in enumerate("UWVbc"):
            error = (3e-7 if method == "central" else 4e-14) * (number + 1)
            wrong = not passed and name == "W"
            entries = [
                {
                    "index": [0, k],
                    "analytic": 0.01 * k + 0.01,
                    "numeric": 0.01 * k + 0.01,
                    "passed": not wrong,
                }
                for k in range(4)
            ]
            rows.append(
                {
                    "parameter": name,
                    "shape": [100, 63],
                    "entries": 20,
                    "method": method,
                    "step": 1e-5,
                    "h0": h0,
                    "maximum_relative_error": 0.5 if wrong else error,
                    "window": window,
                    "mean_relative_error": error / 9,
                    "worst": entries[0],
                    "passed": not wrong,
                    "selection": "first:20" if method == "central" else "directions:8",
                    "seq_length": 25,
                    "batch_size": 1,
                    "characters": 12,
                    "tolerance": 1e-4,
                    "floor": 1e-12,
                    "compared": entries,
                }
            )
    event = {"type": "gradients_checked", "update": update, "time": update / 8000, "rows": rows}
    return {**event, "command": command} if command else event


def script():
    """A run of 40,000 updates with a change of the rate, a checkpoint asked for, and a failed check."""
    settings = Settings.of(updates=100_000).to_json()
    opening = {
        "run": "fable", "settings": settings, "corpus": CORPUS, "engine": "numpy", "threads": 1,
        "blas": "openblas SkylakeX", "versions": {"charrnn": "0.1.0"}, "machine": "a machine",
    }  # fmt: skip
    events = [{"type": "started", "update": 0, "time": 0.0, **opening}, progress(0, 0), check(0)]
    update = 0
    due = {
        10_000: {"type": "checkpoint", "kind": "best", "digest": "", "seconds": 0.002, "loss": 44.25},
        20_000: {
            "type": "obeyed", "command": "r", "name": "set-learning-rate",
            "arguments": {"learning_rate": 0.05},
        },
        26_000: {"type": "checkpoint", "kind": "last", "digest": "", "seconds": 0.002, "loss": 42.0},
        30_000: check(30_000, passed=False, command="g"),
    }  # fmt: skip
    while update < 40_000:
        first, update = update + 1, update + bucket_width(update)
        events.append(progress(update, first))
        for at in [at for at in due if at <= update]:
            events.append({**due.pop(at), "update": at, "time": at / 8000})
        if update % 9048 < bucket_width(update):
            events.append({"type": "epoch", "update": update, "time": update / 8000, "epoch": update // 9048})
    for number, text in enumerate(TEXTS):
        at = number * 10_000
        events.append(
            {
                "type": "sample",
                "update": at,
                "time": at / 8000,
                "text": text,
                "temperature": 1.0,
                "prime": "Once" if number == 3 else "",
                "smooth_loss": 104.0 - 18 * number,
            }
        )
    events.append(
        {"type": "ended", "update": 40_000, "time": 5.0, "reason": "signal SIGTERM", "epoch": 4.42,
         "smooth_loss": 42.0, "best_loss": 41.5, "best_update": 39_900, "state_sha256": "0"}
    )  # fmt: skip
    return settings, events


@pytest.fixture
def dashboard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "fable"
    (path / "checkpoints").mkdir(parents=True)
    settings, events = script()
    config = {"created": "2026-11-24T12:00:00Z", "settings": settings, "corpus": CORPUS, "versions": {}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    for kind, age in (("last", 4), ("best", 130), ("previous", 9)):
        file = path / "checkpoints" / f"{kind}.safetensors"
        file.write_bytes(b"x" * 185_000)
        os.utime(file, (NOW - age, NOW - age))
    # Without a choice the theme is that for the colours of the terminal that the tests run in.
    chosen = Preferences("tokyo-night")
    return Dashboard(RunSession.of(path), None, clock=lambda: NOW, preferences=chosen)


@pytest.mark.parametrize("size", SIZES)
def test_run(dashboard, snap_compare, size):
    assert snap_compare(dashboard, terminal_size=SIZES[size], run_before=settled)


KEYS = {
    "crosshair": ["left", "left", "left"],
    "recent": ["w"],
    "logarithmic": ["x", "y"],
    "nats by epoch": ["u", "a"],
    "full": ["2", "f"],
    "entries": ["2", "down", "enter"],
    "sample": ["5", "down", "enter"],
    "compared": ["5", "x", "down", "down", "enter"],
    "found": ["slash", *"brent", "enter"],
    "help": ["question_mark"],
}


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("size", ["80x24", "120x40"])
def test_key(dashboard, snap_compare, size, keys):
    async def press(pilot):
        await settled(pilot)
        await pilot.press(*KEYS[keys])
        await settled(pilot)

    assert snap_compare(dashboard, terminal_size=SIZES[size], run_before=press)


@pytest.mark.parametrize("glyphs", ["block", "ascii"])
def test_charts_without_braille(dashboard, snap_compare, glyphs):
    dashboard.glyphs = glyphs
    assert snap_compare(dashboard, terminal_size=SIZES["80x24"], run_before=settled)


async def settled(pilot):
    """Wait until all is painted, and take notifications away: they fade by the clock."""
    for _ in range(4):
        await pilot.pause()
    pilot.app.clear_notifications()
    await pilot.pause()
