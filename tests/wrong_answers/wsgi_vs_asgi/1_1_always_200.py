"""Echoes whatever it is asked for."""

REFUSED_WITH = "a path that is not under /echo/"


async def app(scope, receive, send):
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
