"""A WSGI app by hand: one function, called once a request, that returns the body.

Shows:  the whole of the interface (PEP 3333): `environ` in, `start_response` called, bytes out.
Costs:  a thread for as long as the request lasts, whatever the function waits for.
Needs:  waitress
Run:    waitress-serve --listen=127.0.0.1:8000 raw_wsgi:app    then    curl -i http://127.0.0.1:8000/hello
"""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/hello":
        status, body = "200 OK", b"hello from WSGI\n"
    else:
        status, body = "404 Not Found", b"not found\n"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
