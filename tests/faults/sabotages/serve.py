"""Careless versions of `charrnn serve`."""

from tests.faults.careless import careless

TESTS = "tests/faults/test_serve.py"
PROCESS = "charrnn_tui.browser.process:DashboardProcess"
SERVER = "charrnn_tui.browser.server:"
ENDING = "charrnn_tui.browser.ending:Ending"


@careless(f"{PROCESS}.end", says="a dashboard that does not end is waited for", tests=TESTS)
def waits_for_dashboards(original):
    async def end(self):
        self._stdin().abort()
        await self._pipes.exited.wait()

    return end


@careless(f"{PROCESS}.end", says="dashboards end whenever they like", tests=TESTS)
def leaves_dashboards(original):
    async def end(self):
        pass

    return end


@careless(
    "charrnn_tui.dashboard.app:Dashboard.start_trainer",
    says="what a page starts ends with its dashboard",
    tests=TESTS,
)
def ends_what_a_page_started(original):
    def start_trainer(self, arguments):
        from charrnn_tui.dashboard.trainer import OwnedTrainer

        return OwnedTrainer(arguments)

    return start_trainer


@careless(
    "charrnn_tui.dashboard.signals:Signals._listen",
    says="a dashboard does not notice that its server, or its terminal, is gone",
    tests=TESTS,
)
def dashboards_without_a_server(original):
    import select

    class Poll:
        """Does not hear that a descriptor hangs up."""

        def __init__(self):
            self._poll = poll()

        def register(self, descriptor, events):
            if events:
                self._poll.register(descriptor, events)

        def unregister(self, descriptor):
            self._poll.unregister(descriptor)

        def poll(self, milliseconds):
            return self._poll.poll(milliseconds)

    poll = select.poll

    def _listen(self):
        select.poll = Poll
        original(self)

    return _listen


@careless(
    "charrnn_tui.browser.connections:Connections.accept", says="connections stay as they like", tests=TESTS
)
def patient_connections(original):
    def accept(self):
        return self._server()

    return accept


@careless(f"{SERVER}DashboardServer._check", says="requests without the key are answered", tests=TESTS)
def lets_everybody_in(original):
    def _check(self, request):
        pass

    return _check


@careless(f"{SERVER}DashboardServer._check", says="the key is all that is asked for", tests=TESTS)
def lets_other_sites_in(original):
    def _check(self, request):
        from aiohttp import web

        if self._key not in (request.match_info.get("key"), request.query.get("key")):
            raise web.HTTPForbidden

    return _check


@careless(
    "charrnn_tui.browser.complaints:Complaints.emit", says="errors are written as they are", tests=TESTS
)
def complaints_as_they_are(original):
    def emit(self, record):
        import sys

        sys.stderr.write(self.format(record) + "\n")

    return emit


@careless(f"{SERVER}MOST_PAGES", says="any number of pages may be open", tests=TESTS)
def any_number_of_pages(original):
    return 100_000


@careless(f"{SERVER}_pass_on_input", says="what a page sends is right", tests=TESTS)
def trusts_messages(original):
    async def _pass_on_input(page, process):
        import json

        from charrnn_tui.browser import server

        async for message in page:
            server._tell(process, *json.loads(message.data))

    return _pass_on_input


@careless(f"{SERVER}_number", says="a terminal has any size that a page says", tests=TESTS)
def any_size(original):
    def _number(given, default, least, most):
        return int(given or default)

    return _number


@careless(f"{ENDING}._hear", says="each signal interrupts what the one before has begun", tests=TESTS)
def obeys_each_signal(original):
    def _hear(self, number, frame):
        if self.number is not None:
            raise SystemExit(1)
        self.number = number

    return _hear


@careless(f"{ENDING}.__exit__", says="signals are obeyed while the process exits", tests=TESTS)
def interrupts_the_exit(original):
    def leave(self, *exception):
        import signal

        original(self, *exception)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    return leave


@careless(f"{ENDING}.__enter__", says="signals are heard that the caller ignores", tests=TESTS)
def hears_ignored_signals(original):
    def enter(self):
        import signal

        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        return original(self)

    return enter


@careless(
    f"{SERVER}_ignore_expectation", says="an expectation is answered before it is known who asks", tests=TESTS
)
def answers_expectations(original):
    async def fail(request):
        from aiohttp import web

        raise web.HTTPExpectationFailed

    return fail
