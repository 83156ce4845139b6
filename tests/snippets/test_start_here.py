"""The snippets of chapter 00."""

import httpx
import pytest

from app_snippets.start_here import hello
from lab import serve


@pytest.mark.usefixtures("no_blocking")
async def test_hello_greets_and_refuses_a_name_that_is_too_long() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(hello.app), base_url="http://app") as client:
        assert (await client.get("/hello/Ada")).json() == {"hello": "Ada"}
        assert (await client.get("/hello/" + "x" * 40)).status_code == 200
        assert (await client.get("/hello/" + "x" * 41)).status_code == 422


def test_the_lifespan_runs_on_a_server_and_ends_with_it() -> None:
    with serve(hello.app) as server:
        where = httpx.get(server.url + "/where").json()
        assert where["lifespan_ran"] is True
        assert where["thread"] != "MainThread"
    assert hello.app.state.started is False
