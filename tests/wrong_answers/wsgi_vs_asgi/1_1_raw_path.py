"""The path as it stood in the request line, percent signs and all."""

REFUSED_WITH = "body b'/echo/na%C3%AFve%20caf%C3%A9'"


async def app(scope, receive, send):
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["raw_path"]})
