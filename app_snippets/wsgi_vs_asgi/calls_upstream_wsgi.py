"""A WSGI app that calls another service, and holds its thread until the answer is there.

Shows:  a blocking call in the model it was made for: the server's other threads go on.
Costs:  one thread for each call in flight; the server's number of threads is the limit.
Needs:  httpx waitress
Run:    waitress-serve --listen=127.0.0.1:8000 calls_upstream_wsgi:app    then    curl -i http://127.0.0.1:8000/
        UPSTREAM_URL names the service to call; until something listens there the answer is 502.
"""

import atexit
import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import httpx


def create_app(upstream: str) -> WSGIApplication:
    client = httpx.Client(timeout=10)  # one for all threads: it is thread-safe, and keeps connections open
    atexit.register(client.close)  # WSGI has no lifespan: nothing else says when the app is over

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            body, status = client.get(upstream).content, "200 OK"
        except httpx.HTTPError as error:
            body, status = f"upstream: {type(error).__name__}\n".encode(), "502 Bad Gateway"
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return app


app = create_app(os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8001/wait"))
