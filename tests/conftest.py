"""Options and profiles of the whole suite."""

import pytest
from hypothesis import settings

# The same examples every time: a test that fails today failed yesterday too.
settings.register_profile("charrnn", derandomize=True, deadline=None)
settings.load_profile("charrnn")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="Run the fault tests in their long forms.")


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether the long forms were asked for."""
    return bool(request.config.getoption("--thorough"))
