"""Every screen as it looks, from a scripted run and with a clock that stands still."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import textual

pytest.importorskip("pytest_textual_snapshot")
SNAPSHOT_VERSION = "8.2.8"
pytestmark = pytest.mark.skipif(
    textual.__version__ != SNAPSHOT_VERSION,
    reason=f"snapshots are those of Textual {SNAPSHOT_VERSION}, not of {textual.__version__}",
)

from textual.widgets import Input  # noqa: E402

from charrnn_core.runs.directory import RunDirectory  # noqa: E402
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


def write(path, settings, events, created="2026-11-24T12:00:00Z"):
    """Write a run directory with checkpoints of some ages."""
    (path / "checkpoints").mkdir(parents=True)
    config = {"created": created, "settings": settings, "corpus": CORPUS, "versions": {}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    for kind, age in (("last", 4), ("best", 130), ("previous", 9)):
        file = path / "checkpoints" / f"{kind}.safetensors"
        file.write_bytes(b"x" * 185_000)
        os.utime(file, (NOW - age, NOW - age))


def shown(session, trainer=None, theme="tokyo-night"):
    """Return a dashboard that shows a run."""
    # Without a choice the theme is that for the colours of the terminal that the tests run in.
    chosen = Preferences(theme)
    return Dashboard(session, trainer, clock=lambda: NOW, preferences=chosen, runs=Path("runs"))


@pytest.fixture
def folder(tmp_path, monkeypatch, quick):
    """The working directory, where the runs lie: how long its own path is would be seen in the pictures."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dashboard(folder):
    write(folder / "fable", *script())
    return shown(RunSession.of(Path("fable")))


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


@pytest.mark.slow(sparing=6)
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


# -- what else there is ------------------------------------------------------------------------------------


class Trainer:
    """A process of the dashboard's own."""

    code = None

    def run_path(self):
        return None

    def error(self):
        return ""

    def release(self):
        pass


def training(folder, state="training", *, owned=False, **given):
    """Return a dashboard with a run that trains; its lock is held until the tests end."""
    settings, events = script()
    settings |= given
    events[0]["settings"] = settings
    write(folder / "fable", settings, events[:-1])
    directory = RunDirectory(Path("fable"))
    directory.lock()
    status = {"state": state, "phase": state, "update": 40_120, "epoch": 4.43, "smooth_loss": 41.9}
    status |= {"updates_per_second": 8012.0, "seconds_left": 7.5, "time": 5.0}
    directory.write_status(status)
    session = RunSession.of(directory.path, Trainer() if owned else None)
    session.recent.extend((4.0 + number / 40, 42.5 - number / 60, 8000.0) for number in range(40))
    session.poll()  # now, and not before the picture is taken or after, as it happens
    return shown(session)


def others(folder):
    """Write runs to choose from."""
    settings, events = script()
    for number, name in enumerate(["20261122-0901-tales", "20261123-1830-play", "long-name-of-a-run-" * 3]):
        told = [dict(event) for event in events]
        for event in told:
            if "loss_mean" in event:
                event |= {key: event[key] + 6 * (number + 1) for key in ("loss_mean", "smooth_loss")}
        if number == 1:
            told[-1]["reason"] = "diverged"
        write(folder / "runs" / name, settings, told, f"2026-11-2{number}T12:00:00Z")


def still(folder, **ended):
    """Return a dashboard with a run that has ended in some way."""
    settings, events = script()
    events[-1] |= ended
    best = {"type": "checkpoint", "kind": "best", "digest": "", "seconds": 0.002, "loss": 41.5}
    write(folder / "fable", settings, [*events[:-1], {**best, "update": 39_900, "time": 5.0}, events[-1]])
    return shown(RunSession.of(Path("fable")))


def diverged(folder, *, best=True):
    app = still(folder, reason="diverged", smooth_loss=None)
    if not best:
        (folder / "fable" / "checkpoints" / "best.safetensors").unlink()
    return app


def held_out(folder):
    settings, events = script()
    settings |= {"held_out": 0.1}
    events[0]["settings"] = settings
    scores = [
        {"type": "validated", "update": at, "time": at / 8000, "loss": 1.95 + 2.5 * math.exp(-at / 3000)}
        for at in range(0, 40_001, 2_000)
    ]
    write(folder / "fable", settings, [*events[:-1], *scores, events[-1]])
    return shown(RunSession.of(Path("fable")))


def troubled(folder):
    settings, events = script()
    at = {"update": 39_000, "time": 4.9}
    more = [
        {"type": "refused", "command": "x", "reason": "the command sample takes no 'lenght'", **at},
        {"type": "warning", "message": "checkpoint not saved: No space left on device; trying again", **at},
        {"type": "warning", "message": "\x1b[31mred\x1b[0m of " + "long " * 60, **at},
    ]
    write(folder / "fable", settings, [*events[:-1], *more, events[-1]])
    return shown(RunSession.of(Path("fable")))


def with_files(folder):
    folder = folder / "texts"
    folder.mkdir()
    for name in ("letters", "old books"):
        (folder / name).mkdir()
    for name in ("alice.txt", "a rather long name of a text that goes on and on and does not end.txt"):
        (folder / name).write_text("the cat")
    os.chdir(folder)
    return shown(None)


def with_others(folder):
    others(folder)
    write(folder / "fable", *script())
    return shown(RunSession.of(Path("fable")))


async def at_its_end(pilot):
    pilot.app.screen.query_one("#form").scroll_end(animate=False)


async def in_dates_that_stand_still(pilot):
    screen = pilot.app.screen
    screen._all = [replace(run, age=86_400.0 * (place + 1)) for place, run in enumerate(screen._all)]
    screen.refresh_list()


async def without_the_path(pilot):
    pilot.app.screen.query_one("TextTree").border_title = "/home/user/texts"


async def notified(pilot):
    pilot.app.screen.tell("Checkpoint saved at update 40,120.", "information")
    pilot.app.screen.tell("sample: refused, the prime has characters that the text has not: ẞ", "warning")


async def at_what_is_wrong(pilot):
    """Scroll to the setting: the layouts of the two messages, beneath it and below the form, race."""
    await settled(pilot)
    for row in pilot.app.screen.query("SettingRow:focus-within"):
        row.scroll_visible(animate=False, force=True)


STATES = {
    "new run": (lambda folder: shown(None), [], None),
    "new run wrong": (
        lambda folder: shown(None),
        ["tab", "tab", "tab", "tab", "tab", *"5x"],
        at_what_is_wrong,
    ),
    "new run end": (lambda folder: shown(None), [], at_its_end),
    "files": (with_files, ["ctrl+o", "down", "down"], without_the_path),
    "open": (with_others, ["o", "down"], in_dates_that_stand_still),
    "open filtered": (with_others, ["o", *"play"], in_dates_that_stand_still),
    "open nothing": (lambda folder: still(folder), ["o"], None),
    "compare": (with_others, ["m", "space", "down", "space"], in_dates_that_stand_still),
    "overlaid": (with_others, ["m", "space", "down", "space", "enter"], None),
    "leaving": (lambda folder: training(folder, owned=True), ["q"], None),
    "diverged": (diverged, [], None),
    "diverged offer": (diverged, ["r"], None),
    "diverged offer without best": (lambda folder: diverged(folder, best=False), ["r"], None),
    "held out": (held_out, [], None),
    "paused": (lambda folder: training(folder, "paused"), [], None),
    "training": (lambda folder: training(folder, owned=True), [], None),
    "starting": (lambda folder: shown(None, Trainer()), [], None),
    "troubled": (troubled, ["4"], None),
    "notified": (lambda folder: training(folder), [], notified),
    "beginning": (still, ["p", *"Once upon a"], None),
    "find": (still, ["slash", *"brent"], None),
    "palette": (still, ["ctrl+p"], None),
}


@pytest.mark.slow(sparing=16)
@pytest.mark.parametrize("size", ["60x20", "80x24", "120x40"])
@pytest.mark.parametrize("state", STATES)
def test_state(folder, snap_compare, size, state):
    make, keys, then = STATES[state]

    async def prepare(pilot):
        await settled(pilot)
        await pilot.press(*keys)
        await settled(pilot)
        if then is not None:
            await then(pilot)
        for box in pilot.app.screen.query(Input):
            box.cursor_blink = False
        await (settled(pilot) if then is not notified else pilot.pause())

    assert snap_compare(make(folder), terminal_size=SIZES[size], run_before=prepare)


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("size", ["60x20", "80x24", "120x40"])
def test_light_background(folder, snap_compare, size):
    app = still(folder)
    app._preferences = Preferences("textual-light")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=settled)


@pytest.mark.parametrize("size", ["60x20", "80x24", "120x40"])
def test_without_colours(folder, snap_compare, size, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(training(folder), terminal_size=SIZES[size], run_before=settled)


async def settled(pilot):
    """Wait until all is painted, and take notifications away: they fade by the clock."""
    for _ in range(4):
        await pilot.pause()
    pilot.app.clear_notifications()
    await pilot.pause()
