"""`charrnn serve`: pages that come and go, dashboards that hang, requests of strangers, signals in pairs."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.ledger import injected, waited
from tests.program import PATIENCE, until
from tests.terminals import Run

pytest.importorskip("textual_serve", reason="needs the extra web")
if not Path("/proc/self/cwd").exists():
    pytest.skip("asks /proc for processes", allow_module_level=True)

import aiohttp

from tests.serving import (
    UPGRADE,
    Server,
    all_gone,
    has_painted,
    is_stopped,
    processes_in,
    served,
    shows,
)

pytestmark = pytest.mark.fault("page")

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
MOST_PAGES = 16


@pytest.fixture
def server(here: Path) -> Server:
    with served(here) as server:
        yield server


def in_page(
    server: Server, use: Callable[[aiohttp.ClientWebSocketResponse], Awaitable[None]], painted: bool = True
) -> None:
    """Open a page, do something with it once its dashboard has painted, and close it."""

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(server.socket_address, max_msg_size=0) as page:
                if painted:
                    await has_painted(page)
                await use(page)

    asyncio.run(run())


async def nothing(page: aiohttp.ClientWebSocketResponse) -> None:
    pass


# -- dashboards --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_pages_that_are_opened_and_closed_at_once_leave_no_process(server: Server, thorough: bool) -> None:
    async def open_and_close(session: aiohttp.ClientSession, seconds: float) -> None:
        try:
            async with session.ws_connect(server.socket_address):
                await asyncio.sleep(seconds)
        except aiohttp.WSServerHandshakeError as refusal:
            assert refusal.status == 503

    async def run() -> None:
        generator = random.Random(3)
        async with aiohttp.ClientSession() as session:
            for _ in range(5 if thorough else 1):
                seconds = [generator.choice([0, 0.05, 0.5, 1]) for _ in range(8)]
                await asyncio.gather(*(open_and_close(session, each) for each in seconds))
                injected(8)

    asyncio.run(run())
    closed = time.monotonic()
    all_gone(server)
    waited(time.monotonic() - closed)
    server.assert_owner_gets_in()
    server.ends(signal.SIGTERM)


@pytest.mark.slow
def test_a_stopped_dashboard_ends_with_its_page(server: Server) -> None:
    async def stop(page: aiohttp.ClientWebSocketResponse) -> None:
        (dashboard,) = server.dashboards
        os.kill(dashboard, signal.SIGSTOP)
        until(lambda: is_stopped(dashboard))
        # More keys than the pipe to it and the server's memory hold: nobody may wait for them to be read.
        for _ in range(40):
            await page.send_json(["stdin", "x" * 65536])

    in_page(server, stop)
    closed = time.monotonic()
    all_gone(server)
    waited(time.monotonic() - closed)
    server.ends(signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("state", ["starting", "painting", "stopped", "asleep"])
def test_the_server_ends_whatever_its_dashboards_do(
    server: Server, state: str, number: signal.Signals
) -> None:
    async def end(page: aiohttp.ClientWebSocketResponse) -> None:
        until(lambda: len(server.dashboards) == 1)
        (dashboard,) = server.dashboards
        if state == "stopped":
            os.kill(dashboard, signal.SIGSTOP)
            until(lambda: is_stopped(dashboard))
        if state == "asleep":  # the page does not read what is painted
            for turn in range(400):
                await page.send_json(["resize", {"width": 400 + turn % 2, "height": 200}])
        began = time.monotonic()
        await asyncio.to_thread(server.ends, number)
        waited(time.monotonic() - began)

    in_page(server, end, painted=state != "starting")


@pytest.mark.slow
@pytest.mark.parametrize("is_stopped_too", [False, True])
def test_dashboards_end_when_the_server_is_killed(server: Server, here: Path, is_stopped_too: bool) -> None:
    async def kill(page: aiohttp.ClientWebSocketResponse) -> None:
        if is_stopped_too:
            (dashboard,) = server.dashboards
            os.kill(dashboard, signal.SIGSTOP)
            until(lambda: is_stopped(dashboard))
        async with aiohttp.ClientSession() as session, session.ws_connect(server.socket_address):
            until(lambda: len(server.dashboards) == 2)  # one of them still starts
            server.process.kill()
            server.process.wait(PATIENCE)
            began = time.monotonic()
            until(lambda: not processes_in(here), lambda: f"left: {processes_in(here)}")
            waited(time.monotonic() - began)

    in_page(server, kill)


@pytest.mark.slow
def test_a_run_that_was_started_in_a_page_outlives_a_dashboard_that_is_killed(here: Path) -> None:
    async def begin(page: aiohttp.ClientWebSocketResponse) -> None:
        await shows(page, "New run")
        (dashboard,) = server.dashboards
        await page.send_json(["stdin", "\x1b[15~"])  # F5 starts a run with the settings of the form
        until(lambda: list(here.glob("runs/*/events.jsonl")))
        os.kill(dashboard, signal.SIGSTOP)
        server.process.terminate()
        await asyncio.to_thread(server.process.wait, PATIENCE)
        with pytest.raises(ProcessLookupError):
            os.kill(dashboard, 0)

    with served(here) as server:
        in_page(server, begin, painted=False)
        (log,) = here.glob("runs/*/events.jsonl")
        run = Run(log.parent)
        run.goes_on()
        os.kill(run.trainer, signal.SIGTERM)
        run.done()
        assert run.ended["reason"] == "signal SIGTERM"


@pytest.mark.slow
def test_more_pages_than_there_may_be_are_refused(server: Server, thorough: bool) -> None:
    async def run() -> list[int]:
        refusals = []
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            pages, readers = [], []
            for _ in range(1000 if thorough else 30):
                try:
                    pages.append(await session.ws_connect(server.socket_address, max_msg_size=0))
                    readers.append(asyncio.create_task(read(pages[-1])))
                except aiohttp.WSServerHandshakeError as refusal:
                    refusals.append(refusal.status)
            assert len(pages) == MOST_PAGES
            assert len(server.dashboards) <= MOST_PAGES
            server.assert_owner_gets_in()
            await asyncio.gather(*(page.close() for page in pages), *readers)
        return refusals

    async def read(page: aiohttp.ClientWebSocketResponse) -> None:
        async for _ in page:  # answers the server's pings too
            pass

    refusals = asyncio.run(run())
    injected(len(refusals))
    assert set(refusals) == {503}
    all_gone(server)
    server.process.terminate()
    _, err = server.process.communicate(timeout=PATIENCE)
    assert re.fullmatch(rb"charrnn: too many open pages: [^\n]+\n", err)


FRAMES = [
    "", "[]", "{}", "1", "null", "x", '["stdin"]', '["stdin", 1]', '["resize", 1]', '["resize", {}]',
    '["stdin", "a", "b"]', "[" * 100_000, b"\x00\xff",
    "x" * 5_000_000, '["ping", ' + "1" * 10_000 + "]",
]  # fmt: skip


def test_messages_that_no_page_sends_close_the_page(server: Server) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            for frame in FRAMES:
                async with session.ws_connect(server.socket_address, max_msg_size=0) as page:
                    with suppress(ConnectionError):  # it is closed before all of a long one is sent
                        await (page.send_bytes(frame) if isinstance(frame, bytes) else page.send_str(frame))
                    async with asyncio.timeout(PATIENCE):
                        async for _ in page:  # ends when the server has closed it
                            pass
                injected()

    asyncio.run(run())
    all_gone(server)
    server.ends(signal.SIGTERM)


@pytest.mark.slow
def test_sizes_that_no_terminal_has_are_bounded(server: Server) -> None:
    async def resize(page: aiohttp.ClientWebSocketResponse) -> None:
        for size in ("9" * 30, -5, 0, "x", 1e300, True):
            await page.send_json(["resize", {"width": size, "height": size}])
            injected()
        await page.send_json(["resize", {"width": 100, "height": 30}])
        await has_painted(page)

    in_page(server, resize)
    all_gone(server)
    server.ends(signal.SIGTERM)


# -- strangers ---------------------------------------------------------------------------------------------

MALFORMED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # TLS
    b"\0" * 1000,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /?key=\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \x1b]0;title\x07\r\n\r\n",
    b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.slow
def test_malformed_requests_are_refused_and_write_nothing_into_the_terminal(
    server: Server, thorough: bool
) -> None:
    generator = random.Random(5)
    requests = list(MALFORMED)
    whole = server.request("/socket/guessed", *UPGRADE.strip().split("\r\n"))
    for _ in range(500 if thorough else 20):
        damaged = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(damaged) - 4)] = generator.randrange(256)
        requests.append(bytes(damaged) + b"\r\n\r\n")
    for request in requests:
        answer = server.answer(request)
        injected()
        assert answer == b"" or re.match(rb"HTTP/\d\.\d (4\d\d|505) ", answer), (request[:200], answer[:200])
    server.assert_owner_gets_in()
    server.ends(signal.SIGTERM)


@pytest.mark.slow
def test_half_requests_are_dropped_after_a_while(server: Server) -> None:
    halves = [b"", b"G", b"GET / HTTP/1.1\r\nHost: ", server.request(f"/?key={server.key}")[:-2]]
    connections = [server.connect() for _ in halves]
    for connection, half in zip(connections, halves, strict=True):
        connection.sendall(half)
    for connection in connections:
        with connection:
            assert server.answer_on(connection, b"") == b""
        injected()
    server.ends(signal.SIGTERM)


@pytest.mark.slow
def test_half_requests_without_number_shut_nobody_out(server: Server, thorough: bool) -> None:
    connections: list[socket.socket] = []
    for number in range(1100 if thorough else 300):
        connections.append(server.connect())
        try:
            connections[-1].sendall(b"GET / HTTP/1.1\r\nHost: ")
        except ConnectionError:  # the server has dropped it for others already
            pass
        injected()
        if number % 100 == 99:
            began = time.monotonic()
            server.assert_owner_gets_in()
            waited(time.monotonic() - began)
        if len(connections) > 500:
            connections.pop(0).close()
    assert len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) < 200
    for connection in connections:
        connection.close()
    server.ends(signal.SIGTERM)


PATHS = (
    "/", "/?key=", "/?key={guess}", "/static/", "/static/js/textual.js", "/static/{guess}/js/textual.js",
    "/static//js/textual.js", "/socket", "/socket/", "/socket/{guess}", "/socket/?key={guess}", "/download/x",
    "/download/{guess}/x", "/ws", "/favicon.ico", "/..%2f..%2fetc/passwd", "/?key=%E6%96%87", "/?key=%00",
)  # fmt: skip


def test_nothing_answers_without_the_key(server: Server, thorough: bool) -> None:
    for path in PATHS:
        for guess in ("guessed", server.key[:-1], server.key + "x", server.key.swapcase()):
            for headers in ([], UPGRADE.strip().split("\r\n")):
                answer = server.answer(server.request(path.format(guess=guess), *headers))
                injected()
                assert answer.startswith(b"HTTP/1.1 403 "), (path, answer[:200])
    for number in range(2000 if thorough else 200):
        assert b" 403 " in server.answer(server.request(f"/?key={number:032}"))[:20]
        injected()
    for path in ("js/textual.js", "css/xterm.css"):
        assert server.answer(server.request(f"/static/{server.key}/{path}"))[9:12] == b"200"
    for path in ("", "js", "../server.py", "..%2fserver.py", "%2fetc%2fpasswd", "js/textual.js/"):
        assert server.answer(server.request(f"/static/{server.key}/{path}"))[9:12] in (b"404", b"403")
    assert server.answer(server.request(f"/download/{server.key}/x"))[9:12] == b"404"
    assert server.dashboards == set()
    server.ends(signal.SIGTERM)


@pytest.mark.parametrize("expectation", ["100-continue", "foo", ""])
def test_an_expectation_gets_no_other_answer(server: Server, expectation: str) -> None:
    """The answer to `Expect` comes before all others where a server gives one."""
    for path in ("/", "/nowhere", "/static/x/y"):
        injected()
        assert server.answer(server.request(path, f"Expect: {expectation}")).startswith(b"HTTP/1.1 403 ")
    server.ends(signal.SIGTERM)


def test_pages_of_other_sites_are_refused_even_with_the_key(server: Server) -> None:
    own = f"127.0.0.1:{server.port}"
    upgrade = UPGRADE.strip().split("\r\n")
    paths = (f"/?key={server.key}", f"/socket/{server.key}", f"/static/{server.key}/js/textual.js")
    for path in paths:
        headers = upgrade if "socket" in path else []
        for host in (
            "evil.example",
            f"evil.example:{server.port}",
            "127.0.0.1.evil.example",
            "[::2]",
            "x" * 5000,
        ):
            assert b" 403 " in server.answer(server.request(path, *headers, host=host))[:20], (path, host)
            injected()
        for origin in ("http://evil.example", "null", f"https://{own}", "http://127.0.0.1:1", ""):
            answer = server.answer(server.request(path, f"Origin: {origin}", *headers))
            assert b" 403 " in answer[:20], (path, origin)
            injected()
    two = (f"Origin: http://{own}", "Origin: http://evil.example")
    for origins in (two, two[::-1]):
        assert b" 403 " in server.answer(server.request(paths[0], *origins))[:20]
    for host in (own, "localhost", "127.0.0.1:9999", "[::1]:80"):  # a tunnel may begin at another port
        answer = server.answer(server.request(paths[0], f"Origin: http://{host}", host=host))
        assert b" 200 " in answer[:20]
        assert f"ws://{host}/".encode() in answer
    assert server.dashboards == set()
    server.ends(signal.SIGTERM)


# -- signals -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_signals_at_once_are_an_end_like_one(here: Path, thorough: bool) -> None:
    generator = random.Random(7)
    for turn in range(90 if thorough else 9):
        with served(here) as server:
            server.process.send_signal(SIGNALS[turn % 3])
            time.sleep(generator.choice([0, 0, 0.0002, 0.001, 0.005, 0.02]))
            server.process.send_signal(SIGNALS[turn // 3 % 3])
            _, err = server.process.communicate(timeout=PATIENCE)
            assert err == b""
            assert server.process.returncode in (128 + SIGNALS[turn % 3], 128 + SIGNALS[turn // 3 % 3])
        injected()


@pytest.mark.slow
def test_two_signals_at_once_with_an_open_page(server: Server) -> None:
    async def end(page: aiohttp.ClientWebSocketResponse) -> None:
        await asyncio.to_thread(server.ends, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    in_page(server, end)


def test_a_hang_up_that_the_caller_ignores_does_not_end_the_server(here: Path) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with served(here) as server:
            server.process.send_signal(signal.SIGHUP)
            server.assert_owner_gets_in()
            server.ends(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
