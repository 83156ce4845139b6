"""What the tests of snippets share."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx


@pytest.fixture
def no_blocking() -> Iterator[BlockBuster]:
    """Raises BlockingError where code blocks a thread whose event loop is running."""
    with blockbuster_ctx() as detection:
        yield detection
