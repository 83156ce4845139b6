"""What tests tell at the end of a run."""

import pytest

TOLD = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TOLD] = []


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> list[str]:
    """Lines to show in the closing summary of a run."""
    return request.config.stash[TOLD]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[TOLD]:
        terminalreporter.write_line(line)
