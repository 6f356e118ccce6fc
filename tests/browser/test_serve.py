"""`charrnn serve` in a real browser: seen, pressed, closed; and what trains, trains on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.program import (
    ENDLESS,
    PATIENCE,
    charrnn,
    finish,
    is_training,
    run_path,
    started,
    until,
    updates_done,
)
from tests.terminals import Run

pytest.importorskip("textual_serve", reason="needs the extra web")

from tests.browser.chromium import PROGRAM, Page, page

needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_text("the cat sat on the mat and the dog sat on the log.\n" * 60)
    return tmp_path


@contextmanager
def served(here: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve in a process group of its own, and give the process and the address that it says."""
    with started(here, "serve", "--port", "0", *arguments, start_new_session=True) as process:
        yield process, str(run_path(process)).replace("http:/1", "http://1")


def assert_ends(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (128 + number, b"")


def children(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")


def loss_shown(page: Page) -> str:
    """Return the line of the loss pane with the smooth loss."""
    return next((line for line in page.screen.text.split("\n") if " nats  " in line), "")


@pytest.mark.slow
@needs_chromium
def test_the_loss_moves_a_key_is_obeyed_and_closing_the_page_stops_nothing(here: Path) -> None:
    with started(here, "train", "book.txt", *ENDLESS, "--sample-every", "1000") as trainer:
        run = run_path(trainer)
        until(lambda: is_training(run))
        with served(here, run.name[:8]) as (server, address):
            asyncio.run(look(address, Run(run)))
            until(lambda: not children(server).strip(), lambda: "the dashboard of a closed page stays")
            before = updates_done(run)
            until(lambda: updates_done(run) > before + 100, lambda: "closing the page has stopped the run")
            assert_ends(server, signal.SIGINT)
        assert trainer.poll() is None


async def look(address: str, run: Run) -> None:
    async def is_painted_anew() -> bool:
        return await at.picture() != picture

    async with page() as at:
        await at.opens(address)
        await at.shows("● training")
        await at.until(lambda: loss_shown(at))
        first, picture = loss_shown(at), await at.picture()
        await at.until(lambda: loss_shown(at) != first, lambda: "the loss does not move")
        await at.until(is_painted_anew, lambda: "the page is not painted anew")
        await at.press(" ", 32, " ")
        await at.until(lambda: run.status["phase"] == "paused", lambda: str(run.status))
        await at.shows("paused")
        await at.press(" ", 32, " ")
        await at.shows("● training")
        assert at.problems == []
        assert at.screen.strangers == []


@pytest.mark.slow
@needs_chromium
def test_a_run_that_is_started_in_the_page_trains_on_without_it(here: Path) -> None:
    async def begin(address: str) -> None:
        async with page() as at:
            await at.opens(address)
            await at.shows("New run")
            await at.press("F5", 116)
            await at.shows("● training")
            assert at.problems == []
            await at.opens(address)  # loaded again, it shows the run that was started
            await at.shows("● training")
            os.killpg(server.pid, signal.SIGINT)  # as Ctrl+C does, with a page that is open
            await at.until(at.is_closed)

    with served(here) as (server, address):
        asyncio.run(begin(address))
        (log,) = here.glob("runs/*/events.jsonl")
        run = Run(log.parent)
        try:
            _, err = server.communicate(timeout=PATIENCE)
            assert (server.returncode, err) == (128 + signal.SIGINT, b"")
            run.goes_on()
        finally:
            os.kill(run.trainer, signal.SIGTERM)
        run.done()
        assert run.ended["reason"] == "signal SIGTERM"


@pytest.mark.slow
@needs_chromium
def test_each_page_has_a_dashboard_of_its_own_and_says_when_it_is_closed(here: Path) -> None:
    async def leave(address: str) -> None:
        async with page() as one, page() as other:
            for at in (one, other):
                await at.opens(address)
                await at.shows("● training")
            await one.press("q", 81, "q")
            await one.until(one.is_closed)
            loss = loss_shown(other)
            await other.until(lambda: loss_shown(other) != loss)
            assert not await other.is_closed()

    async def fail(address: str) -> None:
        async with page() as at:
            await at.opens(address)
            await at.until(at.is_closed)

    with started(here, "train", "book.txt", *ENDLESS) as trainer:
        run = run_path(trainer)
        until(lambda: is_training(run))
        with served(here, run.name) as (server, address):
            asyncio.run(leave(address))
            assert trainer.poll() is None
            trainer.terminate()
            trainer.wait(PATIENCE)
            run.rename(here / "elsewhere")
            asyncio.run(fail(address))
            until(lambda: not children(server).strip())
            server.send_signal(signal.SIGINT)
            out, err = server.communicate(timeout=PATIENCE)
    assert out == b""
    assert err.startswith(b"charrnn: ") and err.count(b"\n") == 1
    assert run.name.encode() in err


@pytest.mark.slow
@needs_chromium
def test_a_sweep_is_shown_and_a_trial_of_it_opened(here: Path) -> None:
    async def open_trial(address: str) -> None:
        async with page() as at:
            await at.opens(address)
            await at.shows("2 of 2 done")
            await at.press("Enter", 13, "\r")
            await at.shows("update 20")
            await at.press("q", 81, "q")
            await at.until(at.is_closed)
            assert at.problems == []

    varied = ["--vary", "hidden=4,6", "--seq-length", "5", "--updates", "20", "--sample-every", "none"]
    assert charrnn(here, "sweep", "book.txt", *varied, "--name", "sizes").code == 0
    with served(here, "sizes") as (server, address):
        asyncio.run(open_trial(address))
        assert_ends(server, signal.SIGINT)


@pytest.mark.slow
@needs_chromium
def test_a_dashboard_that_does_not_end_is_ended(here: Path) -> None:
    async def hold(address: str) -> int:
        async with page() as at:
            await at.opens(address)
            await at.shows("New run")
            dashboard = int(children(server))
            os.kill(dashboard, signal.SIGSTOP)
            server.send_signal(signal.SIGINT)
            await at.until(at.is_closed)
            return dashboard

    with served(here) as (server, address):
        dashboard = asyncio.run(hold(address))
        _, err = server.communicate(timeout=PATIENCE)
    assert (server.returncode, err) == (128 + signal.SIGINT, b"")
    with pytest.raises(ProcessLookupError):
        os.kill(dashboard, signal.SIGKILL)


def test_nobody_without_the_key_gets_in(here: Path) -> None:
    with served(here) as (process, address):
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            assert answer.status == 200
        place = address.partition("/?")[0]
        for path in ("/", "/?key=", "/?key=guessed", "/ws", "/ws/guessed", "/ws/?key=%E6%96%87"):
            with pytest.raises(urllib.error.HTTPError) as refusal:
                urllib.request.urlopen(place + path, timeout=PATIENCE)
            assert refusal.value.code in (403, 404)
            refusal.value.close()
        assert children(process).strip() == "", "a dashboard was started"
        assert_ends(process, signal.SIGHUP)


def test_it_listens_to_this_machine_alone(here: Path) -> None:
    with served(here) as (process, address):
        port = int(address.rpartition(":")[2].partition("/")[0])
        table = Path("/proc/net/tcp").read_text(encoding="ascii")
        assert f"0100007F:{port:04X} 00000000:0000 0A" in table
        assert f"00000000:{port:04X} 00000000:0000 0A" not in table
        assert_ends(process, signal.SIGTERM)


@pytest.mark.parametrize("port", ["65536", "-1", "x", "", "٣"])
def test_a_port_that_is_none_is_refused(here: Path, port: str) -> None:
    finished = charrnn(here, "serve", "--port", port)
    assert finished.code == 2
    assert "--port" in finished.err and finished.err.count("\n") == 1


def test_a_port_that_is_taken_is_refused_in_a_sentence(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finished = charrnn(here, "serve", "--port", str(taken.getsockname()[1]))
    assert finished.code == 2
    assert "--port 0" in finished.err and finished.err.count("\n") == 1


def test_without_the_extra_it_says_how_to_get_it(here: Path) -> None:
    program = (
        "import importlib.util, sys; importlib.util.find_spec = lambda name: None; "
        "from charrnn_tui.cli import run; sys.exit(run(['serve']))"
    )
    done = finish([sys.executable, "-c", program], here)
    assert done.code == 2
    assert done.err == "charrnn: charrnn serve needs the extra web: pip install 'charrnn-tui[web]'\n"
